// Reads an exported recording back, trusting nothing: every value is checked against the schema
// (docs/recording.schema.json), and what does not fit is named by its place in the file.

import { EMOTIONS } from "../lib/emotions.js";
import { t } from "../lib/i18n.js";
import { FORMAT, SCHEMA } from "./export.js";
import { LABELS, MAX_READINGS, Readings } from "./readings.js";
import { EVENTS, RECORDER } from "./recorder.js";

export const MAX_FILE_BYTES = 300_000_000;
const MAX_MS = 7 * 24 * 3600 * 1000;
const MAX_TEXT = 500;

/** The file is no recording that can be shown; the message says why, for people. */
export class RecordingError extends Error {
  constructor(message) {
    super(message);
    this.name = "RecordingError";
  }
}

function bad(path, expected, received) {
  const shown = typeof received === "object" && received !== null
    ? (Array.isArray(received) ? t("a list") : t("an object"))
    : String(JSON.stringify(received)).slice(0, 60);
  throw new RecordingError(t("{path}: expected {expected}, found {shown}.", { path, expected, shown }));
}

function object(value, path, keys, optional = []) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) bad(path, t("an object"), value);
  for (const key of keys) if (!Object.hasOwn(value, key)) bad(`${path}.${key}`, t("a value"), undefined);
  for (const key of Object.keys(value)) {
    if (!keys.includes(key) && !optional.includes(key)) {
      throw new RecordingError(t("{path}: \"{key}\" is not part of a recording.", { path, key: key.slice(0, 40) }));
    }
  }
  return value;
}

function list(value, path, most) {
  if (!Array.isArray(value)) bad(path, "a list", value);
  if (value.length > most) bad(path, t("at most {most} entries", { most }), value.length);
  return value;
}

function number(value, path, low, high) {
  if (typeof value !== "number" || !(value >= low && value <= high)) {
    bad(path, t("a number from {low} to {high}", { low, high }), value);
  }
  return value;
}

function whole(value, path, low, high) {
  if (!Number.isInteger(value)) bad(path, t("a whole number"), value);
  return number(value, path, low, high);
}

function text(value, path, most = MAX_TEXT) {
  if (typeof value !== "string" || value.length > most) bad(path, t("a text of at most {most} characters", { most }), value);
  return value;
}

function flag(value, path) {
  if (typeof value !== "boolean") bad(path, t("true or false"), value);
  return value;
}

function oneOf(value, path, choices) {
  if (!choices.includes(value)) bad(path, t("one of {choices}", { choices: choices.join(", ") }), value);
  return value;
}

function moment(value, path) {
  const ms = Date.parse(text(value, path, 40));
  if (!Number.isFinite(ms) || !/^\d{4}-\d\d-\d\dT.*Z$/.test(value)) bad(path, t("a time such as 2026-01-31T12:00:00.000Z"), value);
  return ms;
}

/** Entries in time, each {t_ms, time, ...}; `more` reads the rest. */
function entries(value, path, most, keys, more) {
  let last = 0;
  return list(value, path, most).map((entry, i) => {
    const place = `${path}[${i}]`;
    object(entry, place, ["t_ms", "time", ...keys]);
    const t = number(entry.t_ms, `${place}.t_ms`, last, MAX_MS);
    last = t;
    moment(entry.time, `${place}.time`);
    return { t_ms: t, ...more(entry, place) };
  });
}

/** Settings: names with plain values. */
function plain(value, path) {
  const pairs = Object.entries(object(value, path, [], Object.keys(value ?? {})));
  if (pairs.length > 50) bad(path, t("at most 50 settings"), pairs.length);
  return Object.fromEntries(pairs.map(([name, given]) => {
    if (given !== null && !["string", "number", "boolean"].includes(typeof given)) {
      bad(`${path}.${name.slice(0, 40)}`, t("a text, a number, true, false or null"), given);
    }
    return [name.slice(0, 60), typeof given === "string" ? given.slice(0, MAX_TEXT) : given];
  }));
}

function detail(value, path) {
  return value === null ? null : plain(value, path);
}

function seven(value, path) {
  if (list(value, path, EMOTIONS.length).length !== EMOTIONS.length) bad(path, t("seven numbers"), value.length);
  value.forEach((score, k) => number(score, `${path}[${k}]`, 0, 1.01));
  return value;
}

function face(value, path) {
  object(value, path, ["track", "label", "confidence", "valence", "quality_ok", "advice", "scores", "raw"]);
  return {
    track: whole(value.track, `${path}.track`, 0, 2 ** 31 - 1),
    label: oneOf(value.label, `${path}.label`, LABELS),
    confidence: number(value.confidence, `${path}.confidence`, 0, 1.01),
    valence: value.valence === null ? null : number(value.valence, `${path}.valence`, -1.01, 1.01),
    quality: {
      ok: flag(value.quality_ok, `${path}.quality_ok`),
      advice: value.advice === null ? null : text(value.advice, `${path}.advice`),
    },
    scores: seven(value.scores, `${path}.scores`),
    raw: seven(value.raw, `${path}.raw`),
  };
}

function readResults(results, recording, limit) {
  const { readings, models, advice } = recording;
  let last = { t: 0, part: 0 };
  list(results, "results", limit).forEach((result, i) => {
    const place = `results[${i}]`;
    object(result, place, ["t_ms", "part", "model", "faces"]);
    const at = number(result.t_ms, `${place}.t_ms`, last.t, MAX_MS);
    const part = whole(result.part, `${place}.part`, last.part, 65_535);
    last = { t: at, part };
    const model = models.indexOf(result.model);
    if (model < 0) bad(`${place}.model`, t("one of the recording's models"), result.model);
    const faces = list(result.faces, `${place}.faces`, 100).map((one, k) => face(one, `${place}.faces[${k}]`));
    if (!readings.hasRoom(Math.max(1, faces.length))) {
      throw new RecordingError(t("The file holds more than {limit} readings, the most that can be shown.", { limit }));
    }
    if (!faces.length) readings.push({ t: at, result: i, part, model });
    for (const one of faces) readings.push({ t: at, result: i, part, model, face: one, advice: codeOf(one.quality, advice) });
  });
}

function codeOf({ ok, advice: words }, known) {
  if (ok) return 0;
  if (words === null) return 1;
  const index = known.indexOf(words);
  if (index >= 0) return index + 2;
  return known.length < RECORDER.maxAdvice ? known.push(words) + 1 : 1;
}

/**
 * The recording in an exported JSON text, in the shape of recorder.js.
 * Throws RecordingError with a message for people.
 */
export function parseRecording(source, limit = MAX_READINGS) {
  let given;
  try {
    given = JSON.parse(source);
  } catch {
    throw new RecordingError(t("This file is not JSON. Choose a recording that Mien exported as JSON."));
  }
  if (given?.format !== FORMAT) {
    throw new RecordingError(t("This JSON file is not a recording of Mien."));
  }
  if (given.schema !== SCHEMA) {
    throw new RecordingError(
      t("This recording has format version {schema}; this Mien reads version {SCHEMA}.", { schema: JSON.stringify(given.schema), SCHEMA }),
    );
  }
  object(given, "recording", [
    "format", "schema", "id", "software", "source", "started_at", "ended_at", "duration_ms",
    "complete", "emotions", "models", "settings", "markers", "events", "results",
  ]);
  if (list(given.emotions, "emotions", 20).join() !== EMOTIONS.join()) {
    bad("emotions", EMOTIONS.join(", "), given.emotions.join(", "));
  }
  object(given.software, "software", ["name", "version"]);
  const recording = {
    id: text(given.id, "id", 60),
    software: { name: text(given.software.name, "software.name"), version: text(given.software.version, "software.version") },
    source: oneOf(given.source, "source", ["camera", "file"]),
    startedAt: moment(given.started_at, "started_at"),
    durationMs: number(given.duration_ms, "duration_ms", 0, MAX_MS),
    complete: flag(given.complete, "complete"),
    models: list(given.models, "models", 1000).map((one, i) => text(one, `models[${i}]`)),
    advice: [],
    settings: entries(given.settings, "settings", RECORDER.maxEvents, ["values"], (entry, place) => ({
      values: plain(entry.values, `${place}.values`),
    })),
    markers: entries(given.markers, "markers", RECORDER.maxMarkers, ["key", "name"], (entry, place) => ({
      key: oneOf(entry.key, `${place}.key`, [..."M123456789"]),
      name: text(entry.name, `${place}.name`, RECORDER.maxNameLength),
    })),
    events: entries(given.events, "events", RECORDER.maxEvents + 1, ["kind", "detail"], (entry, place) => ({
      kind: oneOf(entry.kind, `${place}.kind`, EVENTS),
      detail: detail(entry.detail, `${place}.detail`),
    })),
    readings: new Readings(limit),
  };
  moment(given.ended_at, "ended_at");
  readResults(given.results, recording, limit);
  return recording;
}
