// Which time of the stimulus was on screen at a moment of performance.now(). A film's own clock says
// so (requestVideoFrameCallback), not the wall clock: a film that stutters, waits for the line or is
// paused stands still here too.

const KEPT_MS = 10_000; // an answer never comes later than this after its picture was taken

export class StimulusClock {
  #marks = []; // {atMs, stimulusMs}; stimulusMs is null from a moment on at which nothing runs
  #mostMs;

  /** `mostMs`: how long after its last known picture the stimulus is taken to run on. */
  constructor({ mostMs = 1000 } = {}) {
    this.#mostMs = mostMs;
  }

  /** The picture of `stimulusMs` came on screen at `atMs`. */
  shown(atMs, stimulusMs) {
    this.#add({ atMs, stimulusMs });
  }

  /** From `atMs` on nothing runs: paused, waiting for the line, ended. */
  halt(atMs) {
    if (this.#marks.length > 0 && this.#marks.at(-1).stimulusMs !== null) {
      this.#add({ atMs, stimulusMs: null });
    }
  }

  /** Milliseconds of the stimulus at `ms`, a whole number; null where nothing of it was running. */
  at(ms) {
    let i = this.#marks.length - 1;
    while (i >= 0 && this.#marks[i].atMs > ms) i -= 1;
    const mark = this.#marks[i];
    if (!mark || mark.stimulusMs === null) return null;
    const sinceMs = ms - mark.atMs;
    const next = this.#marks[i + 1];
    if (next && next.stimulusMs !== null) {
      // the picture stays until the next comes, and time does not run past that one
      return Math.round(Math.min(mark.stimulusMs + sinceMs, Math.max(mark.stimulusMs, next.stimulusMs)));
    }
    return sinceMs <= this.#mostMs ? Math.round(mark.stimulusMs + sinceMs) : null;
  }

  #add(mark) {
    const last = this.#marks.at(-1);
    // two clocks of the browser may disagree by a little: marks stay in order
    if (last && mark.atMs < last.atMs) mark.atMs = last.atMs;
    this.#marks.push(mark);
    const oldestMs = mark.atMs - KEPT_MS;
    while (this.#marks.length > 2 && this.#marks[1].atMs < oldestMs) this.#marks.shift();
  }
}

/**
 * When a camera's picture was taken, on performance.now()'s clock. Browsers that tell it
 * (`captureTime`) are believed where it can be true; otherwise it is when the picture was drawn.
 */
export function takenMs(drawnMs, captureTimeMs) {
  const known = Number.isFinite(captureTimeMs) && captureTimeMs <= drawnMs && drawnMs - captureTimeMs < 1000;
  return known ? captureTimeMs : drawnMs;
}
