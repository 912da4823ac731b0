// Takes the picture a video element shows now, as JPEG bytes of a bounded size.

const BOUND = Object.freeze({ width: 640, height: 480 });

/** The largest size within `bound` (pixels) of the same shape; never larger than the source. */
export function fit(width, height, scale = 1, bound = BOUND) {
  const factor = Math.min(1, bound.width / width, bound.height / height) * scale;
  return {
    width: Math.max(1, Math.round(width * factor)),
    height: Math.max(1, Math.round(height * factor)),
  };
}

function makeCanvas() {
  if (typeof OffscreenCanvas === "function" && OffscreenCanvas.prototype.convertToBlob) {
    const canvas = new OffscreenCanvas(1, 1);
    return { canvas, encode: (quality) => canvas.convertToBlob({ type: "image/jpeg", quality }) };
  }
  const canvas = document.createElement("canvas");
  const encode = (quality) =>
    new Promise((resolve, reject) => {
      const done = (blob) => (blob ? resolve(blob) : reject(new Error("The picture is empty.")));
      canvas.toBlob(done, "image/jpeg", quality);
    });
  return { canvas, encode };
}

/**
 * Returns capture({quality, scale}) for the Sender. It resolves with null while the video has no
 * picture yet. `capturedMs` is on performance.now()'s clock, `epochMs` since 1970. bound() is the
 * largest {width, height} to take, in pixels.
 */
export function makeCapture(video, bound = () => BOUND) {
  const { canvas, encode } = makeCanvas();
  // Every picture is read back to be encoded, so it may as well be drawn in main memory.
  const context = /** @type {CanvasRenderingContext2D} */ (
    canvas.getContext("2d", { alpha: false, willReadFrequently: true })
  );
  return async ({ quality, scale }) => {
    if (video.readyState < 2 || !video.videoWidth) return null;
    const size = fit(video.videoWidth, video.videoHeight, scale, bound());
    if (canvas.width !== size.width || canvas.height !== size.height) {
      canvas.width = size.width;
      canvas.height = size.height;
    }
    const capturedMs = performance.now();
    context.drawImage(video, 0, 0, size.width, size.height);
    const blob = await encode(quality);
    return {
      bytes: await blob.arrayBuffer(),
      ...size,
      capturedMs,
      epochMs: Math.round(performance.timeOrigin + capturedMs),
    };
  };
}

/**
 * Calls `call(nowMs, picture)` for every new picture the video shows; returns a function that ends it.
 * `picture` is the metadata of requestVideoFrameCallback, undefined where a browser has none.
 */
export function onEachFrame(video, call) {
  let handle = null;
  let ended = false;
  let shownS = -1; // place of the picture before, where only the screen's own beat is told
  const useVideoFrames = typeof video.requestVideoFrameCallback === "function";
  const again = () => {
    if (ended) return;
    handle = useVideoFrames ? video.requestVideoFrameCallback(tick) : requestAnimationFrame(tick);
  };
  const tick = (nowMs, picture) => {
    if (ended) return;
    if (useVideoFrames || video.currentTime !== shownS) call(nowMs, picture);
    shownS = video.currentTime;
    again();
  };
  again();
  return () => {
    ended = true;
    if (useVideoFrames) video.cancelVideoFrameCallback(handle);
    else cancelAnimationFrame(handle);
  };
}
