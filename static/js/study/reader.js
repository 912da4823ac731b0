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

export class Reader {
  #video; #config; #onResult; #onLine; #onEnded; #connection = null; #sender; #endFrames = () => {};
  #taken = new Map(); #pictureTakenMs = null; #isDark; #watch = new PictureWatch(); #source = null;
  #rate = new RateMeter(); #answeredMs = 0; #timer = null; #line = null; #state = "off";

  /**
   * `video` shows the camera; config is {namespace, ackTimeoutMs, code()}.
   * onResult(result, {takenMs, rate, dark}); onLine(trouble): null, "connection" or "camera", when it changes;
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
      onState: (state) => {
        this.#state = state;
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
  }

  get stats() {
    return this.#sender.stats;
  }

  #answered(result, capturedMs) {
    const now = performance.now();
    this.#answeredMs = now;
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
    const cut = this.#state !== "connected" || now - this.#answeredMs >= SILENT_MS;
    const frozen = this.#watch.frozen(now, this.#source?.muted ?? false);
    const line = frozen ? "camera" : cut ? "connection" : null;
    if (line === this.#line) return;
    this.#line = line;
    this.#onLine(line);
  }
}
