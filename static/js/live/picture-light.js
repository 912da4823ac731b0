// How light the camera's picture is. In the dark a camera adds noise, in which no face is found
// at all: then "come closer" would be the wrong advice.

export const LIGHT = Object.freeze({
  everyMs: 1000,
  // Mean grey value, 0 to 255. NASA's astronaut before a wall, darkened, with noise of 10 grey
  // levels, is found by dlib in 30 of 30 frames at a mean of 51, 28 at 45, 19 at 38, 1 at 32.
  darkBelow: 45,
  width: 32,
  height: 24,
});

/** Mean grey value of RGBA bytes (ITU-R BT.601 luma, as JPEG has it). */
export function meanLight(rgba) {
  let sum = 0;
  for (let i = 0; i < rgba.length; i += 4) {
    sum += 0.299 * rgba[i] + 0.587 * rgba[i + 1] + 0.114 * rgba[i + 2];
  }
  return rgba.length ? (4 * sum) / rgba.length : 0;
}

/** Returns isDark(nowMs), which looks at most once a second. */
export function watchLight(video) {
  let context = null;
  let lookedMs = -Infinity;
  let dark = false;
  return (nowMs) => {
    if (nowMs - lookedMs < LIGHT.everyMs) return dark;
    if (video.readyState < 2 || !video.videoWidth) return false;
    lookedMs = nowMs;
    if (!context) {
      const canvas = document.createElement("canvas");
      canvas.width = LIGHT.width;
      canvas.height = LIGHT.height;
      context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    }
    context.drawImage(video, 0, 0, LIGHT.width, LIGHT.height);
    dark = meanLight(context.getImageData(0, 0, LIGHT.width, LIGHT.height).data) < LIGHT.darkBelow;
    return dark;
  };
}
