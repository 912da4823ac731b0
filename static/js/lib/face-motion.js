// Boxes between results. A result tells where a face was when its frame was taken; the screen
// shows a newer picture. Each box therefore runs ahead by its own speed (an alpha-beta filter),
// glides to corrections instead of jumping, and is gone soon after the results stop.

import { iou } from "./geometry.js";

export const MOTION = Object.freeze({
  alpha: 0.85, // how far a measured place corrects the expected one
  beta: 0.35, // how far it corrects the speed
  leadMostMs: 140, // never run ahead of a measurement by more
  glideMs: 25, // time constant of the correction's decay
  stillPx: 1.2, // leads below this are jitter, not motion
  snapIou: 0.15, // a box that shares less with the last is a new place: no glide
  fadeFromMs: 500, // age of the picture at which a box starts to fade
  fadeMs: 350, // and how long that takes
  goneMs: 120, // fade of a face that the newest result no longer has
});

class Motion {
  constructor(face, capturedMs, nowMs) {
    this.update(face, capturedMs, nowMs);
  }

  update(face, capturedMs, nowMs) {
    const dt = capturedMs - this.capturedMs;
    const shown = this.face && this.boxAt(nowMs);
    if (!this.face || dt <= 0 || dt > 1000 || iou(shown, face.box) < MOTION.snapIou) {
      this.place = [...face.box];
      this.speed = [0, 0, 0, 0];
      this.offset = [0, 0, 0, 0];
    } else {
      for (let i = 0; i < 4; i += 1) {
        const expected = this.place[i] + this.speed[i] * dt;
        const residual = face.box[i] - expected;
        this.place[i] = expected + MOTION.alpha * residual;
        this.speed[i] += (MOTION.beta * residual) / dt;
      }
    }
    this.face = face;
    this.capturedMs = capturedMs;
    this.updatedMs = nowMs;
    this.lostMs = null;
    if (shown) {
      this.offset = [0, 0, 0, 0];
      const next = this.boxAt(nowMs);
      if (iou(shown, next) >= MOTION.snapIou) this.offset = next.map((v, i) => shown[i] - v);
    }
  }

  boxAt(nowMs) {
    const lead = Math.min(Math.max(0, nowMs - this.capturedMs), MOTION.leadMostMs);
    const left = Math.exp(-Math.max(0, nowMs - this.updatedMs) / MOTION.glideMs);
    return this.place.map((v, i) => {
      const ahead = this.speed[i] * lead;
      const moved = Math.abs(ahead) < MOTION.stillPx ? 0 : ahead;
      return v + moved + this.offset[i] * left;
    });
  }
}

export class MotionField {
  #motions = new Map();
  #frame = null;
  #typicalAgeMs = 0;
  #reduced;

  /** `reduced`: boxes step from result to result, for people who asked for less motion. */
  constructor({ reduced = false } = {}) {
    this.#reduced = reduced;
  }

  set reduced(value) {
    this.#reduced = value;
  }

  /** Takes a result whose frame was taken at `capturedMs` and which arrived at `nowMs`. */
  update(result, capturedMs, nowMs) {
    const age = nowMs - capturedMs;
    this.#typicalAgeMs = this.#frame ? 0.8 * this.#typicalAgeMs + 0.2 * age : age;
    const sameSize =
      this.#frame?.width === result.frame.width && this.#frame?.height === result.frame.height;
    if (!sameSize) this.#motions.clear();
    this.#frame = result.frame;
    const seen = new Set();
    result.faces.forEach((face, index) => {
      const key = keyOf(face, index);
      seen.add(key);
      const known = this.#motions.get(key);
      if (known) known.update(face, capturedMs, nowMs);
      else this.#motions.set(key, new Motion(face, capturedMs, nowMs));
    });
    for (const [key, motion] of this.#motions) {
      if (!seen.has(key) && motion.lostMs === null) motion.lostMs = nowMs;
    }
  }

  clear() {
    this.#motions.clear();
    this.#frame = null;
  }

  /** Size in pixels of the frame that the boxes refer to, or null. */
  get frame() {
    return this.#frame;
  }

  /**
   * What to draw at `nowMs`: [{key, face, box, opacity}], opacity in (0, 1]. Boxes that have
   * faded out are forgotten, so that none is ever drawn where no face was seen lately.
   */
  at(nowMs) {
    // On a slow line results are always a little old; fading then starts later, within reason.
    const fadeFrom = Math.min(1500, Math.max(MOTION.fadeFromMs, 2.5 * this.#typicalAgeMs));
    const drawn = [];
    for (const [key, motion] of this.#motions) {
      const stale = 1 - (nowMs - motion.capturedMs - fadeFrom) / MOTION.fadeMs;
      const goneMs = this.#reduced ? 1 : MOTION.goneMs;
      const gone = motion.lostMs === null ? 1 : 1 - (nowMs - motion.lostMs) / goneMs;
      const opacity = Math.min(1, stale, gone);
      if (opacity <= 0) {
        this.#motions.delete(key);
        continue;
      }
      const box = this.#reduced ? [...motion.face.box] : motion.boxAt(nowMs);
      drawn.push({ key, face: motion.face, box, opacity });
    }
    return drawn;
  }
}

/** The key of a face between results: its track, or its place in the list where none is given. */
export function keyOf(face, index) {
  return face.track === null ? `#${index}` : String(face.track);
}
