// Which face the panel shows, and the small numbers that faces have for people.

import { area } from "./geometry.js";
import { keyOf } from "./motion.js";

export const CHOICE = Object.freeze({
  keepMs: 1500, // a chosen face may be away for as long before another takes its place
  largerBy: 1.4, // without a choice by hand, another face must be this much larger to take over
});

export class FaceChoice {
  #key = null; #byHand = false; #seenMs = 0; #numbers = new Map();

  /** The key of the face shown, or null. */
  get key() {
    return this.#key;
  }

  choose(key) {
    this.#key = key;
    this.#byHand = true;
  }

  clear() {
    this.#key = null;
    this.#byHand = false;
    this.#numbers.clear();
  }

  /** The number of a face for people, from 1; stable while the face is there. */
  numberOf(key) {
    return this.#numbers.get(key)?.number ?? 0;
  }

  /** Takes the faces of a result and returns the key of the one to show, or null. */
  update(faces, nowMs) {
    const present = faces.map((face, index) => ({ key: keyOf(face, index), face }));
    this.#count(present, nowMs);
    const current = present.find(({ key }) => key === this.#key);
    if (current) this.#seenMs = nowMs;
    const largest = present.reduce(
      (best, item) => (!best || area(item.face.box) > area(best.face.box) ? item : best),
      null,
    );
    if (current) {
      const larger = area(largest.face.box) > CHOICE.largerBy * area(current.face.box);
      if (!this.#byHand && larger) this.#take(largest.key, nowMs);
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

  #count(present, nowMs) {
    for (const { key } of present) {
      const entry = this.#numbers.get(key);
      if (entry) entry.seenMs = nowMs;
    }
    for (const [key, entry] of this.#numbers) {
      if (nowMs - entry.seenMs > CHOICE.keepMs) this.#numbers.delete(key);
    }
    const used = new Set([...this.#numbers.values()].map(({ number }) => number));
    for (const { key } of present) {
      if (this.#numbers.has(key)) continue;
      let number = 1;
      while (used.has(number)) number += 1;
      used.add(number);
      this.#numbers.set(key, { number, seenMs: nowMs });
    }
  }
}
