// How often and how long the page says something, and how fast results come.

/** Passes a changing text on at most every `everyMs`, and only when it really changed. */
export class Throttled {
  #say; #everyMs; #pending = null; #said = null; #saidMs = -Infinity;

  constructor(say, everyMs) {
    this.#say = say;
    this.#everyMs = everyMs;
  }

  offer(text, nowMs) {
    this.#pending = text;
    this.tick(nowMs);
  }

  tick(nowMs) {
    if (this.#pending === null || this.#pending === this.#said) return;
    if (nowMs - this.#saidMs < this.#everyMs) return;
    this.#said = this.#pending;
    this.#saidMs = nowMs;
    this.#say(this.#said);
  }

  reset() {
    this.#pending = null;
    this.#said = null;
  }
}

/**
 * The one line of notice on the stage. A lasting notice stays until it is settled or cleared; a
 * passing one is shown for `holdMs`, after the lasting one if there is one.
 */
export class Notice {
  #show; #lasting = null; #passing = null; #shown = null;

  constructor(show) {
    this.#show = show;
  }

  /** What is on show: {text, tone} or null. */
  get shown() {
    return this.#shown;
  }

  lasting(text, tone = "warn") {
    this.#lasting = { text, tone };
    this.#render();
  }

  /** The trouble is over, and this is what it was. */
  settle(text, nowMs) {
    this.#lasting = null;
    this.passing(text, nowMs, { tone: "good" });
  }

  passing(text, nowMs, { tone = "info", holdMs = 6000 } = {}) {
    this.#passing = { text, tone, untilMs: nowMs + holdMs };
    this.#render();
  }

  clear() {
    this.#lasting = null;
    this.#passing = null;
    this.#render();
  }

  tick(nowMs) {
    if (this.#passing && nowMs >= this.#passing.untilMs) {
      this.#passing = null;
      this.#render();
    }
  }

  #render() {
    const next = this.#lasting ?? this.#passing;
    if (next?.text === this.#shown?.text && next?.tone === this.#shown?.tone) return;
    this.#shown = next ? { text: next.text, tone: next.tone } : null;
    this.#show(this.#shown);
  }
}

/** Events per second over the last `windowMs`. */
export class RateMeter {
  #times = []; #windowMs;

  constructor(windowMs = 2000) {
    this.#windowMs = windowMs;
  }

  mark(nowMs) {
    this.#times.push(nowMs);
  }

  rate(nowMs) {
    while (this.#times.length && nowMs - this.#times[0] > this.#windowMs) this.#times.shift();
    if (this.#times.length < 2) return 0;
    // until the window is full, over the time there is
    const span = Math.max(nowMs - this.#times[0], 250);
    return (1000 * this.#times.length) / span;
  }

  clear() {
    this.#times = [];
  }
}

/** A chore that runs at most once in `everyMs()`. */
export function chore(everyMs, call) {
  let last = -Infinity;
  return (nowMs) => {
    if (nowMs - last < everyMs()) return;
    last = nowMs;
    call(nowMs);
  };
}
