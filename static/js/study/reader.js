// Reads the participant's face: camera pictures out, results in, each with the time at which its
// picture was taken. Nothing is drawn here.

import { onEachFrame, makeCapture } from "../live/capture.js";
import { connect } from "../live/connection.js";
import { RateMeter } from "../live/pace.js";
import { watchLight } from "../live/picture-light.js";
import { PictureWatch } from "../live/picture-watch.js";
import { Sender } from "../live/sender.js";
import { takenMs } from "./clock.js";

const RESULTS_PER_S = 10; // more tell no more about a face, and cost the line of who takes part
const LOOK_EVERY_MS = 250;
const SILENT_MS = 4000; // no answer for as long: the line is down, whatever it says
const BATCH_MS = 8000; // a batch that is not acknowledged by then goes another way
const ASK_MS = 1500; // a frame waits for its turn for as long: ask whether the line is up

export class Reader {
  #video; #config; #onResult; #onLine; #onEnded; #connection = null; #sender; #endFrames = () => {};
  #taken = new Map(); #pictureTakenMs = null; #isDark; #watch = new PictureWatch(); #source = null;
  #rate = new RateMeter(); #answeredMs = 0; #timer = null; #line = null; #state = "off"; #full = false;
  #asking = false; #failing = false;

  /**
   * `video` shows the camera; config is {namespace, ackTimeoutMs, code()}.
   * onResult(result, {takenMs, rate, dark}); onLine(trouble): null, "connection", "full" (of people) or "camera", when it changes;
   * onEnded("replaced" | "ended") when the server ends this connection for good.
   */
  constructor({ video, config, onResult, onLine, onEnded }) {
    this.#video = video;
    this.#config = config;
    this.#onResult = onResult;
    this.#onLine = onLine;
    this.#onEnded = onEnded;
    this.#isDark = watchLight(video);
    const capture = makeCapture(video);
    this.#sender = new Sender({
      targetFps: RESULTS_PER_S,
      capture: async (wanted) => {
        const pictureMs = this.#pictureTakenMs;
        const frame = await capture(wanted);
        if (frame) this.#taken.set(frame.capturedMs, takenMs(frame.capturedMs, pictureMs));
        return frame;
      },
      transmit: (meta, bytes) => this.#connection.sendFrame(meta, bytes),
      ready: () => this.#connection?.connected ?? false,
      onResult: (result, { capturedMs }) => this.#answered(result, capturedMs),
      onError: () => { this.#failing = true; },
    });
  }

  /** Frames go out from now on. `source` is what openCamera gave. */
  start(source) {
    this.stop();
    this.#source = source;
    const now = performance.now();
    this.#watch.restart(now);
    this.#answeredMs = now;
    this.#connection = connect({
      namespace: this.#config.namespace,
      auth: { code: this.#config.code() },
      ackTimeoutMs: this.#config.ackTimeoutMs,
      onState: (state, reason, error) => {
        this.#state = state;
        this.#full = error?.code === "too_many_sessions" && "limit" in (error.detail ?? {});
        if (state === "connected") this.#sender.reconnected();
        this.#look();
      },
      onHello: ({ limits }) => this.#sender.setLimits(limits),
      onStatus: ({ reason }) => {
        if (reason === "replaced" || reason === "ended") this.#onEnded(reason);
      },
      onProtocolError: (error) => console.warn(error.message),
    });
    this.#sender.start();
    this.#endFrames = onEachFrame(this.#video, (nowMs, picture) => {
      this.#pictureTakenMs = picture?.captureTime ?? null;
      this.#watch.picture(performance.now());
      this.#sender.frameAvailable();
    });
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  /** The page was out of sight and is back: what was missed meanwhile is nobody's fault. */
  restartWatch() {
    this.#watch.restart(performance.now());
    this.#answeredMs = performance.now();
  }

  /** Stops reading and lets the camera go. */
  stop() {
    clearInterval(this.#timer);
    this.#endFrames();
    this.#sender.stop();
    this.#connection?.close();
    this.#connection = null;
    this.#source?.stop();
    this.#source = null;
    this.#taken.clear();
    this.#rate.clear();
    this.#line = null;
    this.#full = false;
    this.#failing = false;
  }

  get stats() {
    return this.#sender.stats;
  }

  /** Sends a batch over this connection; resolves once it is written, rejects where that fails. */
  async sendBatch(batch) {
    const answer = await this.#connection?.request("batch", batch, BATCH_MS);
    if (!Number.isInteger(answer?.acknowledged)) throw new Error("The batch was not acknowledged.");
    return answer;
  }

  #answered(result, capturedMs) {
    const now = performance.now();
    this.#answeredMs = now;
    this.#failing = false;
    this.#rate.mark(now);
    const taken = this.#taken.get(capturedMs) ?? capturedMs;
    for (const key of this.#taken.keys()) if (key <= capturedMs) this.#taken.delete(key);
    this.#look();
    this.#onResult(result, {
      takenMs: taken, rate: Math.round(10 * this.#rate.rate(now)) / 10, dark: this.#isDark(now),
    });
  }

  /** Tells when the line or the camera went away or came back. */
  #look() {
    const now = performance.now();
    const silentMs = now - this.#answeredMs;
    const cut = this.#state !== "connected" || silentMs >= SILENT_MS;
    const frozen = this.#watch.frozen(now, this.#source?.muted ?? false);
    if (silentMs >= ASK_MS && !this.#failing && this.#sender.inFlight) this.#ask();
    const line = frozen ? "camera" : this.#full ? "full" : cut ? "connection" : null;
    if (line === this.#line) return;
    this.#line = line;
    this.#onLine(line);
  }

  /** A frame waits: where many take part that is its turn, and where the line is down nothing answers. */
  async #ask() {
    if (this.#asking || !this.#connection?.connected) return;
    this.#asking = true;
    try {
      const answer = await this.#connection.request("here", null, SILENT_MS);
      if (answer?.workers?.ready > 0) this.#answeredMs = Math.max(this.#answeredMs, performance.now());
    } catch {
      // the line is down; SILENT_MS notices it
    } finally {
      this.#asking = false;
    }
  }
}
