// Faces, results and clocks for the tests of the browser modules.
import { EMOTIONS } from "../../static/js/lib/emotions.js";

export function scores(label = "happy", confidence = 0.7) {
  const rest = (1 - confidence) / (EMOTIONS.length - 1);
  return Object.fromEntries(EMOTIONS.map((name) => [name, name === label ? confidence : rest]));
}

/** A face as the server sends it. */
export function wireFace({ track = 1, box = [100, 100, 200, 200], label = "happy", confidence = 0.7, quality } = {}) {
  const seven = scores(label === "uncertain" ? "sad" : label, confidence);
  return {
    track, box, detection: 1.2, label, confidence, scores: seven, raw: seven, valence: 0.1,
    quality: quality ?? { ok: true, advice: null },
  };
}

/** A result as the server sends it. */
export function wireResult(seq, faces = [wireFace()], frame = { width: 640, height: 480 }) {
  return { seq, frame, model: "test-1", faces, timings_ms: { total: 5 } };
}

/** A clock with timers that only moves when told. */
export class FakeClock {
  ms = 0;
  #timers = new Map();
  #next = 1;
  now = () => this.ms;
  setTimer = (call, delay) => {
    this.#timers.set(this.#next, { at: this.ms + delay, call });
    return this.#next++;
  };
  clearTimer = (id) => this.#timers.delete(id);
  /** Moves on, running due timers, and lets promises settle after each step. */
  async advance(ms) {
    const end = this.ms + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, t]) => t.at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (!due) break;
      this.#timers.delete(due[0]);
      this.ms = Math.max(this.ms, due[1].at);
      due[1].call();
      await settle();
    }
    this.ms = end;
    await settle();
  }
}

export async function settle() {
  for (let i = 0; i < 10; i += 1) await Promise.resolve();
}
