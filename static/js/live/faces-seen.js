// Every face of the last minute: its number for people, and what it showed. A face that left keeps
// both until its minute has passed, so that a number never means two faces on one screen.

import { History, HISTORY } from "./history.js";
import { keyOf } from "../lib/face-motion.js";

export const SEEN = Object.freeze({
  keepMs: HISTORY.spanMs,
  briefMs: 1000, // a face seen for less may have been none: it gets no lane,
  briefKeepMs: 1500, // and its number is free again soon
  awayMs: 1000, // missing from results for as long: away
  mostLanes: 8,
});

export class FacesSeen {
  #byKey = new Map(); #latestMs = -Infinity; #retired = 0;

  /** Takes the faces of a result whose frame was taken at `capturedMs`. */
  update(faces, capturedMs) {
    const beforeMs = this.#latestMs;
    this.#latestMs = capturedMs;
    faces.forEach((face, index) => {
      const key = keyOf(face, index);
      let entry = this.#byKey.get(key);
      if (!entry) {
        entry = { number: this.#freeNumber(), history: new History(), firstMs: capturedMs };
        this.#byKey.set(key, entry);
      }
      entry.history.add(face, capturedMs, entry.lastMs === beforeMs);
      entry.lastMs = capturedMs;
    });
    this.#drop(capturedMs);
  }

  has(key) {
    return this.#byKey.has(key);
  }

  /** The number of a face for people, from 1; 0 for a face that is not known (any more). */
  numberOf(key) {
    return this.#byKey.get(key)?.number ?? 0;
  }

  /** The last minute of a face, or null. */
  historyOf(key) {
    return this.#byKey.get(key)?.history ?? null;
  }

  /**
   * The faces seen for more than a moment, by number: [{key, number, present, history}]. Where
   * there are too many, those in view come first, then those seen last.
   */
  lanes(nowMs) {
    this.#drop(nowMs);
    const lanes = [];
    for (const [key, entry] of this.#byKey) {
      if (isBrief(entry)) continue;
      entry.history.prune(nowMs);
      const { number, history, lastMs } = entry;
      lanes.push({ key, number, history, lastMs, present: this.#latestMs - lastMs <= SEEN.awayMs });
    }
    return lanes
      .sort((a, b) => Number(b.present) - Number(a.present) || (a.present ? 0 : b.lastMs - a.lastMs) || a.number - b.number)
      .slice(0, SEEN.mostLanes)
      .sort((a, b) => a.number - b.number)
      .map(({ key, number, present, history }) => ({ key, number, present, history }));
  }

  /**
   * Keeps what is known under names that no new face can have: a new connection counts its faces
   * from 1 again, and its first need not be the first of the one before.
   */
  retire() {
    this.#retired += 1;
    this.#byKey = new Map(
      [...this.#byKey].map(([key, entry]) => [`${this.#retired}:${key}`, entry]),
    );
  }

  clear() {
    this.#byKey.clear();
    this.#latestMs = -Infinity;
  }

  #drop(nowMs) {
    for (const [key, entry] of this.#byKey) {
      // Only results tell that a face was there for a moment only; on a slow line they come late.
      const over = isBrief(entry)
        ? this.#latestMs - entry.lastMs > SEEN.briefKeepMs
        : nowMs - entry.lastMs > SEEN.keepMs;
      if (over) this.#byKey.delete(key);
    }
  }

  #freeNumber() {
    const used = new Set([...this.#byKey.values()].map(({ number }) => number));
    let number = 1;
    while (used.has(number)) number += 1;
    return number;
  }
}

function isBrief({ firstMs, lastMs }) {
  return lastMs - firstMs < SEEN.briefMs;
}
