// What a face showed in the last 60 seconds, in bins of 200 ms, for the timeline.

import { EMOTIONS, UNCERTAIN } from "../lib/emotions.js";

export const HISTORY = Object.freeze({
  spanMs: 60_000,
  binMs: 200,
  gapMs: 1200, // longer without the face is a gap,
  joinedGapMs: 4000, // as is longer without any result
});

// From unpleasant at the bottom to pleasant at the top, so that the height of a colour means something.
export const STACK = Object.freeze(["angry", "disgust", "fear", "sad", "neutral", "surprise", "happy"]);

export class History {
  #bins = [];

  /**
   * Adds one reading of `face` at `ms`; readings must not go back in time. `joined`: the result
   * before had this face too, so that the time between them is no gap, however slow the line.
   */
  add(face, ms, joined = false) {
    const start = Math.floor(ms / HISTORY.binMs) * HISTORY.binMs;
    let bin = this.#bins.at(-1);
    if (!bin || bin.ms !== start) {
      const sums = new Float64Array(EMOTIONS.length);
      bin = { ms: start, joined, count: 0, sums, labels: new Map() };
      this.#bins.push(bin);
    }
    bin.count += 1;
    face.scores.forEach((score, i) => (bin.sums[i] += score));
    const label = face.quality.ok ? face.label : UNCERTAIN;
    bin.labels.set(label, (bin.labels.get(label) ?? 0) + 1);
    this.prune(ms);
  }

  prune(nowMs) {
    const oldest = nowMs - HISTORY.spanMs - HISTORY.binMs;
    let drop = 0;
    while (drop < this.#bins.length && this.#bins[drop].ms < oldest) drop += 1;
    if (drop) this.#bins.splice(0, drop);
  }

  get empty() {
    return this.#bins.length === 0;
  }

  /**
   * Columns for a stacked chart: [x, y1, ..., y7], x in seconds before now (-60 to 0), y the
   * running sums in the order of STACK, so that the last is 1. Nulls mark gaps without a face.
   */
  columns(nowMs) {
    const columns = Array.from({ length: STACK.length + 1 }, () => []);
    let last = null;
    for (const bin of this.#bins) {
      const x = (bin.ms + HISTORY.binMs / 2 - nowMs) / 1000;
      if (last !== null && !continues(bin, last)) {
        columns[0].push(x - 0.001);
        for (let i = 1; i < columns.length; i += 1) columns[i].push(null);
      }
      last = bin.ms;
      columns[0].push(x);
      let sum = 0;
      STACK.forEach((emotion, i) => {
        sum += bin.sums[EMOTIONS.indexOf(emotion)] / bin.count;
        columns[i + 1].push(Math.min(1, sum));
      });
    }
    return columns;
  }

  /**
   * Runs of one label: [{label, fromMs, toMs}], the label that most readings of a bin had. A run
   * lasts until the next one begins, unless the face was not seen in between.
   */
  runs() {
    const runs = [];
    for (const bin of this.#bins) {
      const label = [...bin.labels].reduce((a, b) => (b[1] > a[1] ? b : a))[0];
      const run = runs.at(-1);
      const seen = run && continues(bin, run.toMs - HISTORY.binMs);
      if (seen) run.toMs = bin.ms;
      if (seen && run.label === label) run.toMs = bin.ms + HISTORY.binMs;
      else runs.push({ label, fromMs: bin.ms, toMs: bin.ms + HISTORY.binMs });
    }
    return runs;
  }

  /** Share of the recorded time by label, largest first: [{label, share}]; sums to 1. */
  shares() {
    const counts = new Map();
    let total = 0;
    for (const bin of this.#bins) {
      for (const [label, count] of bin.labels) {
        counts.set(label, (counts.get(label) ?? 0) + count / bin.count);
      }
      total += 1;
    }
    return [...counts]
      .map(([label, count]) => ({ label, share: count / total }))
      .sort((a, b) => b.share - a.share);
  }
}

/** Whether the face was in view from the bin at `lastMs` to `bin`. */
function continues(bin, lastMs) {
  return bin.ms - lastMs <= (bin.joined ? HISTORY.joinedGapMs : HISTORY.gapMs);
}
