// The readings of a recording as columns of numbers: 60 bytes a row instead of some 1,000 as
// objects, so that hours fit into memory. One row is one face in one result; a result without a
// face is one row too, with track NO_FACE.

import { EMOTIONS, UNCERTAIN } from "../lib/emotions.js";

// 2 h 45 min of one face at 30 results a second: 17 MB here, 81 MB as JSON.
export const MAX_READINGS = 300_000;
export const NO_FACE = -1;
export const LABELS = Object.freeze([...EMOTIONS, UNCERTAIN]);

const SEVEN = EMOTIONS.length;
const UNIT = 10_000; // the server sends four digits
const NO_VALENCE = -32_768;
const FIRST_CAPACITY = 1024;

/**
 * name -> [type, numbers a row]
 * @type {Readonly<Record<string, [any, number]>>}
 */
const FIELDS = Object.freeze({
  t: [Float64Array, 1], // ms since the recording's start
  result: [Uint32Array, 1], // counts results from 0
  part: [Uint16Array, 1], // tracks are numbered anew in each part
  model: [Uint16Array, 1], // index into the recording's models
  track: [Int32Array, 1],
  label: [Uint8Array, 1], // index into LABELS
  confidence: [Uint16Array, 1],
  valence: [Int16Array, 1],
  advice: [Uint16Array, 1], // 0: quality is good; 1: bad, without words; n: words n - 2
  scores: [Uint16Array, SEVEN],
  raw: [Uint16Array, SEVEN],
});
const NAMES = Object.freeze(Object.keys(FIELDS));

const packed = (value) => Math.min(65_535, Math.max(0, Math.round(value * UNIT)));

export class Readings {
  #columns = {}; #capacity = 0; #length = 0; #limit;

  constructor(limit = MAX_READINGS) {
    this.#limit = limit;
    this.#grow(Math.min(FIRST_CAPACITY, limit));
  }

  get length() {
    return this.#length;
  }

  /** Whether `count` more rows have room. */
  hasRoom(count = 1) {
    return this.#length + count <= this.#limit;
  }

  /**
   * Adds one row; `face` null for a result without a face, otherwise {track, label, confidence,
   * valence, scores, raw} with `advice` as in FIELDS. Throws RangeError when it is full.
   */
  push({ t, result, part, model, face = null, advice = 0 }) {
    this.#reserve(this.#length + 1);
    const c = this.#columns;
    const i = this.#length;
    c.t[i] = t;
    c.result[i] = result;
    c.part[i] = part;
    c.model[i] = model;
    c.track[i] = face ? face.track : NO_FACE;
    if (face) {
      c.label[i] = LABELS.indexOf(face.label);
      c.confidence[i] = packed(face.confidence);
      c.valence[i] = face.valence === null ? NO_VALENCE : Math.round(face.valence * UNIT);
      c.advice[i] = advice;
      for (let k = 0; k < SEVEN; k += 1) {
        c.scores[i * SEVEN + k] = packed(face.scores[k]);
        c.raw[i * SEVEN + k] = packed(face.raw[k]);
      }
    }
    this.#length += 1;
  }

  time(i) {
    return this.#columns.t[i];
  }

  result(i) {
    return this.#columns.result[i];
  }

  part(i) {
    return this.#columns.part[i];
  }

  model(i) {
    return this.#columns.model[i];
  }

  track(i) {
    return this.#columns.track[i];
  }

  label(i) {
    return LABELS[this.#columns.label[i]];
  }

  confidence(i) {
    return this.#columns.confidence[i] / UNIT;
  }

  /** Between -1 and 1, or null where the server sent none. */
  valence(i) {
    const value = this.#columns.valence[i];
    return value === NO_VALENCE ? null : value / UNIT;
  }

  advice(i) {
    return this.#columns.advice[i];
  }

  score(i, emotion) {
    return this.#columns.scores[i * SEVEN + emotion] / UNIT;
  }

  rawScore(i, emotion) {
    return this.#columns.raw[i * SEVEN + emotion] / UNIT;
  }

  /** Rows [from, to) as plain columns, fit for IndexedDB. */
  slice(from, to = this.#length) {
    return Object.fromEntries(
      NAMES.map((name) => {
        const width = FIELDS[name][1];
        return [name, this.#columns[name].slice(from * width, to * width)];
      }),
    );
  }

  /** Adds what slice() gave. Throws TypeError for columns that do not belong together. */
  append(columns) {
    const count = columns.t?.length;
    for (const name of NAMES) {
      const [type, width] = FIELDS[name];
      if (!(columns[name] instanceof type) || columns[name].length !== count * width) {
        throw new TypeError(`The stored column ${name} is damaged.`);
      }
    }
    this.#reserve(this.#length + count);
    for (const name of NAMES) {
      this.#columns[name].set(columns[name], this.#length * FIELDS[name][1]);
    }
    this.#length += count;
  }

  /** Calls `visit(first, end)` for each result: its rows are [first, end). */
  eachResult(visit) {
    for (let first = 0; first < this.#length; ) {
      let end = first + 1;
      while (end < this.#length && this.result(end) === this.result(first)) end += 1;
      visit(first, end);
      first = end;
    }
  }

  #reserve(wanted) {
    if (wanted > this.#limit) {
      throw new RangeError(`Expected at most ${this.#limit} readings. Received one more.`);
    }
    if (wanted > this.#capacity) {
      this.#grow(Math.min(this.#limit, Math.max(wanted, this.#capacity * 2)));
    }
  }

  #grow(capacity) {
    for (const [name, [Type, width]] of Object.entries(FIELDS)) {
      const grown = new Type(capacity * width);
      if (this.#columns[name]) grown.set(this.#columns[name]);
      this.#columns[name] = grown;
    }
    this.#capacity = capacity;
  }
}
