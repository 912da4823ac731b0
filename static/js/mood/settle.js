// Turns many readings a second into one state that holds; the browser's twin of
// webapp/mood/settle.py. Both are held to tests/support/mood_cases.json.

import { area } from "../lib/geometry.js";

export const SETTLE = Object.freeze({
  windowS: 2,
  majority: 0.6, // share of the window that a state needs
  covered: 0.9, // share of the window that must be known before anything settles
  gapS: 1, // a longer step than this starts the window afresh
  largerBy: 1.4, // another face must be this much larger to become the leading one
  pausedAfterS: 3,
});

/** Picks the face the mood is read from: the largest, kept while it is there. */
export class Leader {
  #track = null;

  /** {state, faces} of one result as protocol.js gives it. */
  read({ faces }) {
    if (!faces.length) return { state: "nobody", faces: 0 };
    const largest = faces.reduce((a, b) => (area(b.box) > area(a.box) ? b : a));
    let current = faces.find(({ track }) => track === this.#track) ?? largest;
    if (area(largest.box) > SETTLE.largerBy * area(current.box)) current = largest;
    this.#track = current.track;
    return { state: current.quality.ok ? current.label : "uncertain", faces: faces.length };
  }
}

function heaviest(spans, valueOf) {
  const sums = new Map();
  for (const span of spans) sums.set(valueOf(span), (sums.get(valueOf(span)) ?? 0) + span.end - span.start);
  return [...sums].reduce((best, entry) => (entry[1] > best[1] ? entry : best));
}

export class Settler {
  #windowS; #spans = []; #open = null; #undecidedS = null; #settled = null;

  constructor(windowS = SETTLE.windowS) {
    this.#windowS = windowS;
  }

  /** {state, sinceS, faces}, or null before anything has settled. */
  get settled() {
    return this.#settled;
  }

  /** Takes a reading {state, faces} at `nowS`; the new settled state when it changed, else null. */
  update(nowS, reading) {
    this.#extend(nowS);
    this.#open = { start: nowS, reading };
    const known = this.#spans.reduce((sum, { start, end }) => sum + end - start, 0);
    if (known < SETTLE.covered * this.#windowS) return null;
    const decided = this.#decide(nowS, known);
    if (!decided) return null;
    const faces = this.#faces(known);
    const before = this.#settled;
    if (before?.state === decided.state && before.faces === faces) return null;
    const sinceS = before?.state === decided.state ? before.sinceS : decided.sinceS;
    this.#settled = { state: decided.state, sinceS, faces };
    return this.#settled;
  }

  /** No readings come any more; the new state, or null when it was paused already. */
  pause(nowS) {
    this.#spans = [];
    this.#open = null;
    this.#undecidedS = null;
    if (this.#settled?.state === "paused") return null;
    this.#settled = { state: "paused", sinceS: nowS, faces: 0 };
    return this.#settled;
  }

  #extend(nowS) {
    if (this.#open) {
      const { start, reading } = this.#open;
      if (nowS >= start && nowS - start <= SETTLE.gapS) this.#spans.push({ start, end: nowS, reading });
      else {
        this.#spans = [];
        this.#undecidedS = null;
      }
    }
    while (this.#spans.length && this.#spans[0].end <= nowS - this.#windowS) this.#spans.shift();
    if (this.#spans.length) this.#spans[0].start = Math.max(this.#spans[0].start, nowS - this.#windowS);
  }

  #decide(nowS, known) {
    const [state, held] = heaviest(this.#spans, ({ reading }) => reading.state);
    if (held >= SETTLE.majority * known) {
      this.#undecidedS = null;
      return { state, sinceS: this.#spans.find(({ reading }) => reading.state === state).start };
    }
    this.#undecidedS ??= nowS;
    return nowS - this.#undecidedS < this.#windowS ? null : { state: "uncertain", sinceS: this.#undecidedS };
  }

  #faces(known) {
    const [faces, held] = heaviest(this.#spans, ({ reading }) => reading.faces);
    const kept = this.#settled && this.#settled.state !== "paused";
    return held < SETTLE.majority * known && kept ? this.#settled.faces : faces;
  }
}
