// What the stage shows as a picture of the video's own size, saved by the browser: nothing is sent.

const QUALITY = 0.92;

/** "mien-2026-11-27-09-05-03.jpg" of a local time. */
function snapshotName(at) {
  const two = (value) => String(value).padStart(2, "0");
  const parts = [at.getFullYear(), at.getMonth() + 1, at.getDate(), at.getHours(), at.getMinutes(), at.getSeconds()];
  return `mien-${parts.map(two).join("-")}.jpg`;
}

/**
 * Draws the video and what lies over it (`overlay.layer(boxes)`: {canvas, placed, dpr}) and offers
 * the picture as a download. Covered faces stay covered; `boxes` says whether boxes are in it.
 */
export async function takeSnapshot({ video, overlay, mirror, boxes, now = new Date() }) {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  const context = canvas.getContext("2d", { alpha: false });
  context.save();
  if (mirror) {
    context.translate(canvas.width, 0);
    context.scale(-1, 1);
  }
  context.drawImage(video, 0, 0);
  context.restore();
  overlay.layer(boxes, ({ canvas: layer, placed, dpr }) => {
    const { left, top, width, height } = placed;
    context.drawImage(layer, left * dpr, top * dpr, width * dpr, height * dpr, 0, 0, canvas.width, canvas.height);
  });
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = snapshotName(now);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
