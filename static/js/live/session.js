// One run from Start to Stop: sends frames, keeps what came back, and says what goes wrong.
// It touches no element of the page; live.js shows what is kept here.

import { t } from "../lib/i18n.js";
import { FaceChoice } from "./choice.js";
import { connect } from "./connection.js";
import { FacesSeen } from "./faces-seen.js";
import { keyOf, MOTION, MotionField } from "../lib/face-motion.js";
import { Sender, SENDER, TransmitError } from "./sender.js";
import { Notice, RateMeter, Throttled } from "./pace.js";
import { recoveryText, spokenText, statusText, troubleText } from "../lib/words.js";

export const SESSION = Object.freeze({
  speakEveryMs: 3000,
  holdFaceMs: 400, // a face missed for a moment does not blank the panel
  freshMs: 2500, // an older picture tells nothing of now
});

export class LiveSession {
  #config; #capture; #connection = null; #onConnection;
  #model; #latest = null; #face = null; #firstTrouble = null; #active = false; #lastKey = null;
  #field; #notice; #speaker;
  #choice = new FaceChoice();
  #seen = new FacesSeen();
  #rate = new RateMeter();
  #sender; #tap; #isDark;

  /**
   * config: the page's JSON block; capture: as the Sender takes it; field: the MotionField that
   * the overlay draws. onConnection(state), onNotice({text, tone} | null), onSpeak(text).
   * tap: what else on the page listens: {hello(hello), connection(state), result(result,
   * capturedMs), sharing(news)}, each of them called after the session itself is done.
   * isDark(nowMs): whether the picture is too dark for a face to be found in it.
   * @param {{config: any, capture: any, field: any, onConnection: any, onNotice: any, onSpeak: any,
   *   tap?: Record<string, (...given: any[]) => void>, isDark?: (nowMs: number) => boolean}} parts
   */
  constructor({ config, capture, field, onConnection, onNotice, onSpeak, tap = {}, isDark = () => false }) {
    this.#isDark = isDark;
    this.#tap = tap;
    this.#config = config;
    this.#capture = capture;
    this.#field = field;
    this.#onConnection = onConnection;
    this.#model = config.model ?? null;
    this.#notice = new Notice(onNotice);
    this.#speaker = new Throttled(onSpeak, SESSION.speakEveryMs);
    this.#sender = this.#newSender();
  }

  get model() {
    return this.#model;
  }

  /** The newest answer: {result, capturedMs, arrivedMs} on performance.now()'s clock, or null. */
  get latest() {
    return this.#latest;
  }

  /** What a recording notes beside the results; plain values by name. */
  get settings() {
    return { target_fps: this.#config.target_fps ?? SENDER.targetFps };
  }

  /** Whether frames are being sent. */
  get active() {
    return this.#active;
  }

  get notice() {
    return this.#notice.shown;
  }

  get chosenKey() {
    return this.#choice.key;
  }

  /** The number of a face that is not in view and was chosen all the same, or null. */
  get chosenAway() {
    return this.#choice.away ? this.#seen.numberOf(this.#choice.key) : null;
  }

  /** The face whose last minute is shown: the chosen one, or the one that was chosen last. */
  get shownKey() {
    return this.#lastKey;
  }

  /** Its last minute; null before any. */
  get shownHistory() {
    return this.#seen.historyOf(this.#lastKey);
  }

  /** Every face of the last minute, as FacesSeen gives them. */
  lanes(nowMs) {
    return this.#seen.lanes(nowMs);
  }

  /** Whether there are faces to tell apart: in view together, or within the last minute. */
  several(nowMs) {
    return this.faces.length > 1 || this.#seen.lanes(nowMs).length > 1;
  }

  numberOf(key) {
    return this.#seen.numberOf(key);
  }

  get stats() {
    return this.#sender.stats;
  }

  /** The faces of the newest result by number: [{key, number, face}]. */
  get faces() {
    const faces = (this.#latest?.result.faces ?? []).map((face, i) => {
      const key = keyOf(face, i);
      return { key, number: this.#seen.numberOf(key), face };
    });
    return faces.sort((a, b) => a.number - b.number);
  }

  /** Whether the newest result is of a picture that may still be taken for the present. */
  fresh(nowMs) {
    return this.#latest !== null && nowMs - this.#latest.capturedMs <= SESSION.freshMs;
  }

  /** The chosen face: {face, stale}, or null when there is none to show. */
  chosen(nowMs) {
    if (!this.#face || !this.fresh(nowMs)) return null;
    const { face, capturedMs, seenMs } = this.#face;
    const answered = this.#latest.arrivedMs > seenMs;
    if (answered && nowMs - seenMs > SESSION.holdFaceMs) return null;
    return { face, stale: nowMs - capturedMs > MOTION.fadeFromMs + MOTION.fadeMs };
  }

  /** {rate in results per second, ageMs of the newest result or null, dropped frames}. */
  meters(nowMs) {
    return {
      rate: this.#rate.rate(nowMs),
      ageMs: this.#latest ? nowMs - this.#latest.capturedMs : null,
      dropped: this.#sender.stats.dropped,
    };
  }

  /** Opens the connection; frames are sent after begin(). */
  open() {
    this.#connection ??= connect({
      namespace: this.#config.namespace,
      path: this.#config.socket_path,
      ackTimeoutMs: this.#config.ack_timeout_ms ?? SENDER.ackTimeoutMs,
      onState: (state, reason) => this.#connectionState(state, reason),
      onHello: (hello) => this.#hello(hello),
      onStatus: (status) => this.#status(status),
      onSharing: (news) => this.#tap.sharing?.(news),
      onProtocolError: (error) => {
        console.error(error);
        this.#notice.lasting(troubleText({ code: "protocol" }));
      },
    });
  }

  /** Sends an event over the open connection; resolves with its answer, rejects without one. */
  request(event, payload) {
    return this.#connection
      ? this.#connection.request(event, payload)
      : Promise.reject(new TransmitError("disconnected", t("There is no connection to the server.")));
  }

  begin() {
    this.#active = true;
    this.#sender.start();
  }

  /** Stops sending, forgets the reading and keeps the connection, for a tab that is hidden. */
  pause() {
    this.#active = false;
    this.#sender.stop();
    this.#latest = null;
    this.#face = null;
  }

  frameAvailable() {
    this.#sender.frameAvailable();
  }

  choose(key) {
    const chosen = this.faces.find((item) => item.key === key);
    this.#choice.choose(key, { away: !chosen });
    this.#lastKey = key;
    if (chosen) this.#keepFace(chosen.face);
    else this.#face = null;
  }

  /** Says in words that nothing is read, and why; the next reading follows. */
  say(text) {
    this.#speaker.offer(text, performance.now());
  }

  /** Shows a line about the page itself for some seconds. */
  inform(text) {
    this.#notice.passing(text, performance.now());
  }

  tick(nowMs) {
    this.#notice.tick(nowMs);
    this.#speaker.tick(nowMs);
  }

  /** Ends the run and forgets everything of it. */
  close() {
    this.#active = false;
    this.#sender.stop();
    this.#sender = this.#newSender();
    this.#connection?.close();
    this.#connection = null;
    this.#latest = null;
    this.#face = null;
    this.#lastKey = null;
    this.#firstTrouble = null;
    this.#field.clear();
    this.#choice.clear();
    this.#seen.clear();
    this.#rate.clear();
    this.#speaker.reset();
    this.#notice.clear();
    this.#onConnection("off");
  }

  #newSender() {
    return new Sender({
      capture: this.#capture,
      transmit: (meta, bytes) => this.#connection.sendFrame(meta, bytes),
      ready: () => this.#connection?.connected ?? false,
      targetFps: this.#config.target_fps ?? SENDER.targetFps,
      onResult: (result, { capturedMs }) => this.#result(result, capturedMs),
      onError: (error) => this.#trouble(error),
      onRecover: ({ downMs }) => {
        const text = recoveryText(this.#firstTrouble?.code, downMs);
        this.#firstTrouble = null;
        if (text) this.#notice.settle(text, performance.now());
        else this.#notice.clear();
      },
    });
  }

  #trouble(error) {
    this.#firstTrouble ??= error;
    this.#notice.lasting(troubleText(error));
  }

  #connectionState(state, reason) {
    this.#onConnection(state);
    if (state === "reconnecting") {
      // While frames are under way the sender reports the loss, and its end, by itself.
      if (!this.#firstTrouble) this.#trouble({ code: "disconnected" });
      else this.#notice.lasting(troubleText({ code: "disconnected" }));
    }
    if (state === "refused") this.#notice.lasting(t("{reason} Trying again every few seconds.", { reason }));
    this.#tap.connection?.(state);
  }

  #hello(hello) {
    this.#model = hello.model;
    this.#sender.setLimits(hello.limits);
    // One face before and one after are most likely the same; of several, nobody knows.
    if (this.#seen.lanes(performance.now()).length > 1) {
      this.#seen.retire();
      this.#choice.clear();
    }
    if (!this.#active) this.#notice.clear();
    this.#sender.reconnected();
    this.#tap.hello?.(hello);
  }

  #status(status) {
    if (status.model) this.#model = status.model;
    const text = statusText(status);
    if (text) this.#notice.passing(text, performance.now());
  }

  #result(result, capturedMs) {
    const arrivedMs = performance.now();
    this.#latest = { result, capturedMs, arrivedMs };
    this.#model = result.model;
    this.#rate.mark(arrivedMs);
    this.#field.update(result, capturedMs, arrivedMs);
    this.#seen.update(result.faces, capturedMs);
    if (!this.#seen.has(this.#choice.key)) this.#choice.release();
    const key = this.#choice.update(result.faces, arrivedMs);
    const face = result.faces.find((f, i) => keyOf(f, i) === key) ?? null;
    if (face) {
      this.#lastKey = key;
      this.#keepFace(face);
    }
    if (this.#firstTrouble) {
      // A connection that was lost between two frames: the sender had nothing to report.
      const text = recoveryText(this.#firstTrouble.code, null);
      this.#firstTrouble = null;
      if (text) this.#notice.settle(text, arrivedMs);
      else this.#notice.clear();
    }
    const dark = result.faces.length === 0 && this.#isDark(arrivedMs);
    this.#speaker.offer(spokenText(result.faces, face, { dark }), arrivedMs);
    this.#tap.result?.(result, capturedMs);
  }

  #keepFace(face) {
    this.#face = { face, capturedMs: this.#latest.capturedMs, seenMs: this.#latest.arrivedMs };
  }
}
