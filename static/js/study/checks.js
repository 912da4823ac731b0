// Whether the camera shows a face that can be read: what to do first, in the order in which it helps.

import { t } from "../lib/i18n.js";

export const CHECK = Object.freeze({
  goodMs: 1500, // good for as long: done
  mostMs: 60_000, // after as long one may go on as it is
  smallPx: 80, // of the face's box, in the frame that was sent
  largeShare: 0.9, // of the frame's height
  edgeShare: 0.02,
});

/** Which points hold for a result: {light, face, size, facing}, each true, false or null (not known). */
export function points(result, dark) {
  const { faces, frame } = result;
  const [face] = faces;
  const one = faces.length === 1;
  if (!one) return { light: !dark, face: false, size: null, facing: null };
  const [x1, y1, x2, y2] = face.box;
  const [width, height] = [x2 - x1, y2 - y1];
  const room = CHECK.edgeShare * frame.width;
  const inside = x1 >= room && x2 <= frame.width - room && y1 >= -0.1 * height && y2 <= frame.height + 0.1 * height;
  return {
    light: !dark,
    face: true,
    size: Math.max(width, height) >= CHECK.smallPx && height <= CHECK.largeShare * frame.height && inside,
    facing: result.sample?.face !== "turned" && (face.quality.ok || Math.max(width, height) < CHECK.smallPx),
  };
}

/** What to do now, in words; null where everything is good. */
export function advice(result, dark) {
  if (dark) return t("More light on your face would help: turn on a lamp or face a window.");
  const { faces, frame } = result;
  if (faces.length === 0) return t("No face is in view. Sit in front of the camera.");
  if (faces.length > 1) return t("More than one face is in view. Only you should be in the picture.");
  const [face] = faces;
  const [x1, y1, x2, y2] = face.box;
  const found = points(result, dark);
  if (!found.size) {
    if (Math.max(x2 - x1, y2 - y1) < CHECK.smallPx) return t("Come a little closer.");
    if (y2 - y1 > CHECK.largeShare * frame.height) return t("Go back a little.");
    return t("Move to the middle of the picture.");
  }
  if (result.sample?.face === "turned") return t("Look at the screen.");
  if (!found.facing) return face.quality.advice ?? t("Your face is hard to read. Look at the screen, with light from the front.");
  return null;
}

export class CameraCheck {
  #beganMs = null; #goodSinceMs = null; #passed = false;

  /** Takes one look; returns {passed, mayGoOn, seconds}. Once passed it stays so. */
  update(good, nowMs) {
    this.#beganMs ??= nowMs;
    if (!good) this.#goodSinceMs = null;
    else this.#goodSinceMs ??= nowMs;
    if (good && nowMs - this.#goodSinceMs >= CHECK.goodMs) this.#passed = true;
    const spentMs = nowMs - this.#beganMs;
    return {
      passed: this.#passed,
      mayGoOn: this.#passed || spentMs >= CHECK.mostMs,
      seconds: Math.round(spentMs / 1000),
    };
  }
}
