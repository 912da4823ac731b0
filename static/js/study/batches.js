// Carries samples to the server: in numbered batches, each sent until the server says that it is
// written. What is not acknowledged survives a reload of the page.

export const BATCHES = Object.freeze({
  everyMs: 1000,
  samples: 200, // the server takes no more in one
  backoffFirstMs: 500,
  backoffMostMs: 5000,
});

export class BatchQueue {
  #send; #keep; #onGone; #setTimer; #clearTimer;
  #next; #waiting; #open = null; #timer = null; #sending = false; #failures = 0; #gone = false; #idle = [];
  #wake = () => {};

  /**
   * send(batch) -> Promise<{acknowledged}>; a batch is {seq, stimulus, model, samples}. An error with status
   * 409 and detail.expected names the number that the server waits for; one that is `passing` is tried
   * again; after any other nothing more is sent, and onGone(error) is called.
   * keep(state) stores what `kept` gives back after a reload.
   * @param {{send: (batch: any) => Promise<any>, keep?: (state: any) => void, kept?: any,
   *   acknowledged?: number, onGone?: (error: any) => void,
   *   setTimer?: (call: () => void, ms: number) => any, clearTimer?: (id: any) => void}} parts
   */
  constructor({
    send, keep = () => {}, kept = null, acknowledged = 0, onGone = () => {},
    setTimer = (call, ms) => setTimeout(call, ms), clearTimer = (id) => clearTimeout(id),
  }) {
    this.#send = send;
    this.#keep = keep;
    this.#onGone = onGone;
    this.#setTimer = setTimer;
    this.#clearTimer = clearTimer;
    this.#waiting = (kept?.waiting ?? []).filter((batch) => batch.seq > acknowledged);
    this.#waiting.forEach((batch, i) => { batch.seq = acknowledged + 1 + i; });
    this.#next = acknowledged + this.#waiting.length + 1;
    if (this.#waiting.length > 0) this.#advance();
  }

  /** How many samples are not acknowledged yet. */
  get pending() {
    return this.#waiting.reduce((sum, batch) => sum + batch.samples.length, this.#open?.samples.length ?? 0);
  }

  /** A sample of `stimulus` that the version `model` read. */
  add(stimulus, sample, model = "") {
    if (this.#gone) return;
    if (this.#open && (this.#open.stimulus !== stimulus || this.#open.model !== model)) this.cut();
    this.#open ??= { stimulus, model, samples: [] };
    this.#open.samples.push(sample);
    if (this.#open.samples.length >= BATCHES.samples) this.cut();
    else this.#timer ??= this.#setTimer(() => this.cut(), BATCHES.everyMs);
  }

  /** Closes the batch that is being filled; it gets its number, is kept and sent. */
  cut() {
    if (this.#timer !== null) this.#clearTimer(this.#timer);
    this.#timer = null;
    if (!this.#open) return;
    this.#waiting.push({ seq: this.#next, ...this.#open });
    this.#next += 1;
    this.#open = null;
    this.#store();
    this.#advance();
  }

  /** Resolves once everything is acknowledged, or once nothing can be sent any more. */
  settled() {
    this.cut();
    if (this.#gone || this.#waiting.length === 0) return Promise.resolve();
    return new Promise((resolve) => { this.#idle.push(resolve); });
  }

  /** The line is back: no need to wait out a back-off. */
  hurry() {
    this.#failures = 0;
    this.#wake();
    this.#advance();
  }

  #store() {
    this.#keep({ waiting: this.#waiting });
  }

  async #advance() {
    if (this.#sending || this.#gone) return;
    this.#sending = true;
    while (this.#waiting.length > 0 && !this.#gone) {
      try {
        const { acknowledged } = await this.#send(this.#waiting[0]);
        this.#failures = 0;
        this.#written(acknowledged);
      } catch (error) {
        if (error.status === 409 && Number.isInteger(error.detail?.expected)) {
          this.#expected(error.detail.expected);
          this.#failures += 1;
        } else if (error.passing) this.#failures += 1;
        else this.#end(error);
        if (!this.#gone) await this.#pause();
      }
    }
    this.#sending = false;
    this.#idle.splice(0).forEach((resolve) => resolve());
  }

  #written(acknowledged) {
    this.#waiting = this.#waiting.filter((batch) => batch.seq > acknowledged);
    this.#store();
  }

  /** The server waits for number `expected`: what lies before it is written, the rest follows on. */
  #expected(expected) {
    this.#waiting = this.#waiting.filter((batch) => batch.seq >= expected);
    this.#waiting.forEach((batch, i) => { batch.seq = expected + i; });
    this.#next = expected + this.#waiting.length;
    this.#store();
  }

  #end(error) {
    this.#gone = true;
    this.#waiting = [];
    this.#open = null;
    this.#store();
    this.#onGone(error);
  }

  #pause() {
    const ms = Math.min(BATCHES.backoffMostMs, BATCHES.backoffFirstMs * 2 ** Math.min(this.#failures - 1, 10));
    return new Promise((resolve) => {
      this.#wake = () => resolve(undefined);
      this.#setTimer(this.#wake, ms);
    });
  }
}
