// Keeps what the live page read: scores, markers and events, never a picture. It lives in the
// browser alone. It knows no element of the page and no clock: every call says what time it is.

import { t } from "../lib/i18n.js";
import { Readings } from "./readings.js";

export const RECORDER = Object.freeze({
  maxMarkers: 1000,
  maxEvents: 5000,
  maxAdvice: 200,
  maxNameLength: 80,
});

/** What may happen while a recording runs, besides results. */
export const EVENTS = Object.freeze([
  "started", "paused", "resumed", "stopped", "full", "interrupted", "settings_changed",
  "model_changed", "connection_lost", "connection_back", "camera_started", "camera_ended",
  "camera_lost", "tab_hidden", "tab_shown",
]);

/** A marker's name as it is kept: one line, not too long. */
export function cleanName(text, instead) {
  const clean = String(text).replace(/\p{Cc}+/gu, " ").trim().slice(0, RECORDER.maxNameLength);
  return clean || instead;
}

export class Recorder {
  #state = "idle"; #recording = null; #zeroMs = 0; #fromMs = 0; #results = 0; #part = 0; #fresh = true;
  #marks = 0; #connection = "connected"; #onFull;

  /** onFull() is called once when no more readings fit. */
  constructor({ onFull = () => {} } = {}) {
    this.#onFull = onFull;
  }

  /** "idle", "recording", "paused" or "done". */
  get state() {
    return this.#state;
  }

  /** Whether a recording is under way, paused or not. */
  get active() {
    return this.#state === "recording" || this.#state === "paused";
  }

  /** What is being kept, or was kept last: see docs/recording.md; null before the first. */
  get recording() {
    return this.#recording;
  }

  /** Milliseconds since the start; stands still when it has ended. */
  elapsed(nowMs) {
    if (!this.#recording) return 0;
    return this.active ? Math.max(0, nowMs - this.#zeroMs) : this.#recording.durationMs;
  }

  /**
   * Begins. `nowMs` is on the clock that captured times are on, `epochMs` the same moment as Unix
   * time; software is {name, version}, source "camera" or "file".
   * @param {{nowMs: number, epochMs: number, id: string, software: object, source: string,
   *   settings?: object, limit?: number}} about
   */
  start({ nowMs, epochMs, id, software, source, settings = {}, limit }) {
    if (this.active) throw new Error("A recording is under way. Stop it first.");
    this.#recording = {
      id,
      software,
      source,
      startedAt: epochMs,
      durationMs: 0,
      complete: false,
      models: [],
      advice: [],
      settings: [{ t_ms: 0, values: { ...settings } }],
      markers: [],
      events: [],
      readings: new Readings(limit),
    };
    this.#zeroMs = nowMs;
    this.#fromMs = nowMs;
    this.#results = 0;
    this.#part = 0;
    this.#marks = 0;
    this.#fresh = false;
    this.#connection = "connected";
    this.#state = "recording";
    this.event("started", nowMs);
  }

  /** One result of the server, as protocol.js gives it. */
  result(result, capturedMs) {
    const t = capturedMs - this.#zeroMs;
    if (this.#state !== "recording" || capturedMs < this.#fromMs) return;
    const { readings } = this.#recording;
    if (readings.length && t < readings.time(readings.length - 1)) return; // never back in time
    if (!readings.hasRoom(Math.max(1, result.faces.length))) {
      this.event("full", capturedMs);
      this.stop(capturedMs);
      this.#onFull();
      return;
    }
    if (this.#fresh && readings.length) this.#part += 1;
    this.#fresh = false;
    const base = { t, result: this.#results, part: this.#part, model: this.#modelOf(result, capturedMs) };
    if (result.faces.length === 0) readings.push(base);
    for (const [index, face] of result.faces.entries()) {
      const track = face.track ?? index;
      readings.push({ ...base, face: { ...face, track }, advice: this.#adviceOf(face.quality) });
    }
    this.#results += 1;
  }

  /** Tracks will be numbered anew: another connection, camera or file. */
  newTracks() {
    this.#fresh = true;
  }

  /** The state of the connection, as connection.js names it; the changes are noted. */
  connection(state, nowMs) {
    if (!this.active || state === "connecting") return; // that is what every start begins with
    const up = state === "connected";
    if (up === (this.#connection === "connected")) return;
    this.#connection = state;
    this.event(up ? "connection_back" : "connection_lost", nowMs);
    if (!up) return;
    this.newTracks();
    this.#fromMs = nowMs; // what was captured while it was down belongs to the gap
  }

  settings(values, nowMs) {
    if (!this.active) return;
    const before = this.#recording.settings.at(-1).values;
    if (JSON.stringify(before) === JSON.stringify(values)) return;
    if (this.#recording.settings.length >= RECORDER.maxEvents) return;
    this.#recording.settings.push({ t_ms: this.#at(nowMs), values: { ...values } });
    this.event("settings_changed", nowMs);
  }

  event(kind, nowMs, detail = null) {
    if (!this.active || this.#recording.events.length >= RECORDER.maxEvents) return;
    this.#recording.events.push({ t_ms: this.#at(nowMs), kind, detail });
  }

  /**
   * Sets a marker: `key` is "M" or "1" to "9", `name` null for the next "Marker n". Returns it, or
   * null when there is no recording or no room for more.
   */
  mark(key, name, nowMs) {
    if (!this.active || this.#recording.markers.length >= RECORDER.maxMarkers) return null;
    this.#marks += 1;
    const marker = { t_ms: this.#at(nowMs), key, name: cleanName(name ?? "", t("Marker {digit}", { digit: this.#marks })) };
    this.#recording.markers.push(marker);
    return marker;
  }

  pause(nowMs) {
    if (this.#state !== "recording") return;
    this.event("paused", nowMs);
    this.#state = "paused";
  }

  resume(nowMs) {
    if (this.#state !== "paused") return;
    this.#state = "recording";
    this.#fromMs = nowMs; // a frame of the pause may still be under way
    this.event("resumed", nowMs);
  }

  /** Ends the recording and returns it, or null when there was none. */
  stop(nowMs) {
    if (!this.active) return null;
    this.event("stopped", nowMs);
    this.#recording.durationMs = this.#at(nowMs);
    this.#recording.complete = true;
    this.#state = "done";
    return this.#recording;
  }

  /** Forgets everything. */
  discard() {
    this.#recording = null;
    this.#state = "idle";
  }

  #at(nowMs) {
    const { readings, events, markers } = this.#recording;
    const last = Math.max(
      readings.length ? readings.time(readings.length - 1) : 0,
      events.at(-1)?.t_ms ?? 0,
      markers.at(-1)?.t_ms ?? 0,
    );
    // A result is dated by its capture, a little before it arrives; nothing may lie before it.
    return Math.max(last, Math.round((nowMs - this.#zeroMs) * 10) / 10);
  }

  #modelOf({ model }, nowMs) {
    const { models, readings } = this.#recording;
    let index = models.indexOf(model);
    if (index < 0) index = models.push(model) - 1;
    if (readings.length && readings.model(readings.length - 1) !== index) {
      const from = models[readings.model(readings.length - 1)];
      this.event("model_changed", nowMs, { from, to: model });
    }
    return index;
  }

  #adviceOf({ ok, advice }) {
    if (ok) return 0;
    if (!advice) return 1;
    const known = this.#recording.advice;
    const index = known.indexOf(advice);
    if (index >= 0) return index + 2;
    if (known.length >= RECORDER.maxAdvice) return 1;
    return known.push(advice) + 1;
  }
}
