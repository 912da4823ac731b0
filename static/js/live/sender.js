// Sends frames one at a time. There is no queue: while a frame is under way newer ones only
// replace each other, and when the answer comes the newest picture is taken.

import { parseAck, ProtocolError } from "../lib/protocol.js";

export const SENDER = Object.freeze({
  targetFps: 30,
  ackTimeoutMs: 6000,
  backoffFirstMs: 100,
  // Short, because a lost worker is back within two seconds and people wait for it.
  backoffMostMs: 1000,
  // For errors that a quick retry makes worse.
  backoffSlowMs: 3000,
  quality: 0.82,
  qualityLeast: 0.35,
  scaleLeast: 0.4,
  // A camera tick may come a little early; waiting for the next would halve the rate.
  paceTolerance: 0.85,
});

const SLOW_CODES = new Set(["too_many_sessions", "unauthorized", "forbidden", "rate_limited"]);

/** An answer that never came, or a connection that went away under it. */
export class TransmitError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "TransmitError";
    this.code = code;
  }
}

export class Sender {
  #capture; #transmit; #ready; #onResult; #onError; #onRecover; #now; #setTimer; #clearTimer;
  #minIntervalMs; #targetFps; #maxBytes = Infinity; #quality = Number(SENDER.quality); #scale = 1;
  #active = false; #fresh = false; #inFlight = false; #generation = 0; #timer = null;
  #seq = 0; #lastSentMs = -Infinity; #notBeforeMs = 0; #failures = 0; #firstFailureMs = 0;
  #stats = { sent: 0, answered: 0, dropped: 0, failed: 0 };

  /**
   * capture({quality, scale}) -> Promise<{bytes, width, height, capturedMs, epochMs} | null>
   * transmit(meta, bytes) -> Promise<ack>; rejects with TransmitError
   * ready() -> whether the connection can take a frame now
   * onResult(result, {capturedMs}), onError({code, message}), onRecover({failures, downMs})
   * @param {{capture: any, transmit: any, ready: any, onResult: any, onError?: (error: any) => void,
   *   onRecover?: (recovery: any) => void, targetFps?: number, now?: () => number,
   *   setTimer?: (call: () => void, ms: number) => any, clearTimer?: (id: any) => void}} parts
   */
  constructor({
    capture, transmit, ready, onResult, onError = () => {}, onRecover = () => {},
    targetFps = SENDER.targetFps, now = () => performance.now(),
    setTimer = (call, ms) => setTimeout(call, ms), clearTimer = (id) => clearTimeout(id),
  }) {
    this.#capture = capture;
    this.#transmit = transmit;
    this.#ready = ready;
    this.#onResult = onResult;
    this.#onError = onError;
    this.#onRecover = onRecover;
    this.#now = now;
    this.#setTimer = setTimer;
    this.#clearTimer = clearTimer;
    this.#targetFps = targetFps;
    this.#minIntervalMs = 1000 / targetFps;
  }

  get stats() {
    return { ...this.#stats };
  }

  get inFlight() {
    return this.#inFlight;
  }

  get quality() {
    return this.#quality;
  }

  get fps() {
    return 1000 / this.#minIntervalMs;
  }

  /** Limits of the server's `hello`; a little below its rate, so that jitter is not refused. */
  setLimits({ maxFrameBytes, maxFps }) {
    this.#maxBytes = maxFrameBytes;
    this.#minIntervalMs = 1000 / Math.min(this.#targetFps, maxFps * 0.9);
  }

  start() {
    this.#active = true;
    this.#failures = 0;
    this.#notBeforeMs = 0;
  }

  /** Stops sending; an answer that is still under way is ignored. */
  stop() {
    this.#active = false;
    this.#fresh = false;
    this.#inFlight = false;
    this.#generation += 1;
    this.#cancelTimer();
  }

  /** The connection is there (again): send the newest picture without waiting out a back-off. */
  reconnected() {
    this.#notBeforeMs = 0;
    this.#advance();
  }

  /** The source shows a new picture. */
  frameAvailable() {
    if (!this.#active) return;
    const held = this.#inFlight || this.#now() < this.#notBeforeMs;
    if (this.#fresh && held) this.#stats.dropped += 1;
    this.#fresh = true;
    this.#advance();
  }

  #cancelTimer() {
    if (this.#timer !== null) this.#clearTimer(this.#timer);
    this.#timer = null;
  }

  #advance() {
    if (!this.#active || !this.#fresh || this.#inFlight || !this.#ready()) return;
    const now = this.#now();
    const pace = this.#lastSentMs + this.#minIntervalMs;
    const early = pace - now > this.#minIntervalMs * (1 - SENDER.paceTolerance);
    const due = Math.max(early ? pace : now, this.#notBeforeMs);
    if (due > now) {
      if (this.#timer === null) {
        this.#timer = this.#setTimer(() => {
          this.#timer = null;
          this.#advance();
        }, due - now);
      }
      return;
    }
    this.#cancelTimer();
    this.#send();
  }

  async #send() {
    const generation = this.#generation;
    this.#inFlight = true;
    this.#fresh = false;
    this.#lastSentMs = this.#now();
    try {
      const frame = await this.#captureWithinLimit();
      if (generation !== this.#generation || frame === null) return;
      this.#seq += 1;
      const meta = {
        seq: this.#seq,
        captured_ms: frame.epochMs,
        width: frame.width,
        height: frame.height,
      };
      this.#stats.sent += 1;
      const ack = parseAck(await this.#transmit(meta, frame.bytes));
      if (generation !== this.#generation) return;
      if (!ack.ok) this.#failed(ack.error);
      else if (ack.result.seq !== meta.seq) {
        this.#failed({ code: "protocol", message: `answer ${ack.result.seq} to frame ${meta.seq}` });
      } else this.#answered(ack.result, frame);
    } catch (error) {
      if (generation !== this.#generation) return;
      const code = error instanceof ProtocolError ? "protocol" : (error.code ?? "capture_failed");
      this.#failed({ code: String(code), message: error.message });
    } finally {
      if (generation === this.#generation) {
        this.#inFlight = false;
        this.#advance();
      }
    }
  }

  async #captureWithinLimit() {
    for (;;) {
      const frame = await this.#capture({ quality: this.#quality, scale: this.#scale });
      if (frame === null || frame.bytes.byteLength <= this.#maxBytes) return frame;
      if (!this.#shrink()) {
        throw new TransmitError(
          "payload_too_large",
          `A frame of ${frame.bytes.byteLength} bytes is above the limit of ${this.#maxBytes}.`,
        );
      }
    }
  }

  /** One step to smaller frames; false when there is none left. */
  #shrink() {
    if (this.#quality > SENDER.qualityLeast) {
      this.#quality = Math.max(SENDER.qualityLeast, this.#quality - 0.12);
      return true;
    }
    if (this.#scale > SENDER.scaleLeast) {
      this.#scale = Math.max(SENDER.scaleLeast, this.#scale * 0.8);
      return true;
    }
    return false;
  }

  #answered(result, frame) {
    this.#stats.answered += 1;
    const failures = this.#failures;
    this.#failures = 0;
    if (failures > 0) {
      this.#onRecover({ failures, downMs: this.#now() - this.#firstFailureMs });
    }
    this.#onResult(result, { capturedMs: frame.capturedMs });
  }

  #failed(error) {
    this.#stats.failed += 1;
    if (this.#failures === 0) this.#firstFailureMs = this.#now();
    this.#failures += 1;
    if (error.code === "payload_too_large") this.#shrink();
    if (error.code === "rate_limited") {
      this.#minIntervalMs = Math.min(1000, this.#minIntervalMs * 1.5);
    }
    const most = SLOW_CODES.has(error.code) ? SENDER.backoffSlowMs : SENDER.backoffMostMs;
    const doubled = SENDER.backoffFirstMs * 2 ** Math.min(this.#failures - 1, 10);
    const asked = Number(error.detail?.retry_after_ms) || 0;
    const wait = Math.min(most, Math.max(doubled, asked));
    this.#notBeforeMs = this.#now() + wait;
    this.#onError(error);
  }
}
