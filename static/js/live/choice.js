// Which face the panel shows.

import { area } from "../lib/geometry.js";
import { keyOf } from "../lib/face-motion.js";

export const CHOICE = Object.freeze({
  keepMs: 1500, // a chosen face may be away for as long before another takes its place
  largerBy: 1.4, // without a choice by hand, another face must be this much larger to take over
});

export class FaceChoice {
  #key = null; #byHand = false; #away = false; #seenMs = 0;

  /** The key of the face shown, or null. */
  get key() {
    return this.#key;
  }

  /** Whether a face that is not in view was chosen, to look at its last minute. */
  get away() {
    return this.#away;
  }

  /** Takes a choice by hand; that of a face which is `away` holds until release(). */
  choose(key, { away = false } = {}) {
    this.#key = key;
    this.#byHand = true;
    this.#away = away;
  }

  /** Ends a choice by hand: the next update() takes the largest face. */
  release() {
    this.#byHand = false;
    this.#away = false;
  }

  clear() {
    this.#key = null;
    this.release();
  }

  /** Takes the faces of a result and returns the key of the one to show, or null. */
  update(faces, nowMs) {
    const present = faces.map((face, index) => ({ key: keyOf(face, index), face }));
    const current = present.find(({ key }) => key === this.#key);
    if (current) {
      this.#seenMs = nowMs;
      this.#away = false;
    }
    const largest = present.reduce(
      (best, item) => (!best || area(item.face.box) > area(best.face.box) ? item : best),
      null,
    );
    if (current) {
      const larger = area(largest.face.box) > CHOICE.largerBy * area(current.face.box);
      if (!this.#byHand && larger) this.#take(largest.key, nowMs);
    } else if (this.#away) {
      return this.#key;
    } else if (this.#key === null || nowMs - this.#seenMs > CHOICE.keepMs || !this.#byHand) {
      this.#take(largest?.key ?? null, nowMs);
    }
    return this.#key;
  }

  #take(key, nowMs) {
    this.#key = key;
    this.#byHand = false;
    this.#seenMs = nowMs;
  }

}
