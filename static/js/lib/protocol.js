// What the server may say, checked where it enters the page. Everything behind this module can
// rely on the shapes below; anything else becomes a ProtocolError with the path of the bad value.

import { EMOTIONS, UNCERTAIN } from "./emotions.js";

export class ProtocolError extends Error {
  constructor(path, expected, received) {
    super(`${path}: expected ${expected}, received ${preview(received)}.`);
    this.name = "ProtocolError";
    this.path = path;
  }
}

function preview(value) {
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function object(value, path) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new ProtocolError(path, "an object", value);
  }
  return value;
}

function number(value, path, low = -Infinity, high = Infinity) {
  if (typeof value !== "number" || !Number.isFinite(value) || value < low || value > high) {
    throw new ProtocolError(path, `a number in [${low}, ${high}]`, value);
  }
  return value;
}

function text(value, path) {
  if (typeof value !== "string" || value === "") throw new ProtocolError(path, "a text", value);
  return value;
}

function scores(value, path) {
  const given = object(value, path);
  // a little room for the rounding to four digits on the way
  return Object.freeze(EMOTIONS.map((name) => number(given[name], `${path}.${name}`, -1e-3, 1.001)));
}

function box(value, path) {
  if (!Array.isArray(value) || value.length !== 4) {
    throw new ProtocolError(path, "[x1, y1, x2, y2]", value);
  }
  const [x1, y1, x2, y2] = value.map((v, i) => number(v, `${path}[${i}]`));
  if (x2 <= x1 || y2 <= y1) throw new ProtocolError(path, "x2 > x1 and y2 > y1", value);
  return Object.freeze([x1, y1, x2, y2]);
}

function face(value, path) {
  const given = object(value, path);
  const label = given.label;
  if (label !== UNCERTAIN && !EMOTIONS.includes(label)) {
    throw new ProtocolError(`${path}.label`, "an emotion or uncertain", label);
  }
  const quality = object(given.quality ?? { ok: true, advice: null }, `${path}.quality`);
  const track = given.track ?? null;
  return Object.freeze({
    track: track === null ? null : number(track, `${path}.track`),
    box: box(given.box, `${path}.box`),
    label,
    confidence: number(given.confidence, `${path}.confidence`, 0, 1.001),
    scores: scores(given.scores, `${path}.scores`),
    raw: scores(given.raw ?? given.scores, `${path}.raw`),
    valence: given.valence == null ? null : number(given.valence, `${path}.valence`, -1.001, 1.001),
    unadjusted: given.unadjusted ? scores(given.unadjusted, `${path}.unadjusted`) : null,
    quality: Object.freeze({
      ok: quality.ok !== false,
      advice: typeof quality.advice === "string" && quality.advice ? quality.advice : null,
    }),
  });
}

const FACES = ["one", "none", "several", "turned"];

/** What a study keeps of a frame: {face, quality, scores: [7] | null}. */
function sample(value, path) {
  const given = object(value, path);
  if (!FACES.includes(given.face)) throw new ProtocolError(`${path}.face`, FACES.join(), given.face);
  const scored = given.scores === null || (Array.isArray(given.scores) && given.scores.length === EMOTIONS.length);
  if (!scored) throw new ProtocolError(`${path}.scores`, `${EMOTIONS.length} numbers or null`, given.scores);
  return Object.freeze({
    face: given.face,
    quality: given.quality === true,
    scores: given.scores && Object.freeze(given.scores.map((v, i) => number(v, `${path}.scores[${i}]`, 0, 1))),
  });
}

function baseline(value, path) {
  const given = object(value, path);
  return Object.freeze({
    state: text(given.state, `${path}.state`),
    progress: number(given.progress, `${path}.progress`, 0, 1),
    remainingS: number(given.remaining_s, `${path}.remaining_s`, 0),
    trouble: given.trouble ? text(given.trouble, `${path}.trouble`) : null,
  });
}

/**
 * The `hello` event: {model, limits: {maxFrameBytes, maxFps}, session}.
 * Throws ProtocolError, also when the server's emotions are not the ones this page knows.
 */
export function parseHello(value) {
  const given = object(value, "hello");
  const limits = object(given.limits, "hello.limits");
  const emotions = given.emotions;
  if (!Array.isArray(emotions) || emotions.join() !== EMOTIONS.join()) {
    throw new ProtocolError("hello.emotions", EMOTIONS.join(), emotions);
  }
  return Object.freeze({
    model: given.model ? text(given.model, "hello.model") : null,
    session: given.session === undefined ? null : String(given.session),
    limits: Object.freeze({
      maxFrameBytes: number(limits.max_frame_bytes, "hello.limits.max_frame_bytes", 1),
      maxFps: number(limits.max_fps, "hello.limits.max_fps", 0.1),
    }),
  });
}

/** The `status` event: {reason, model, workers: {ready, total}|null, message}; null where absent. */
export function parseStatus(value) {
  const given = object(value, "status");
  const { workers } = given;
  return Object.freeze({
    reason: given.reason ? text(given.reason, "status.reason") : null,
    model: given.model ? text(given.model, "status.model") : null,
    message: given.message ? text(given.message, "status.message") : null,
    workers: Number.isInteger(workers?.ready) && Number.isInteger(workers?.total)
      ? Object.freeze({ ready: workers.ready, total: workers.total })
      : null,
  });
}

/** The `sharing` event: {mood: {state, since_ms}|null, listeners}. */
export function parseSharing(value) {
  const given = object(value, "sharing");
  const mood = given.mood === null ? null : object(given.mood, "sharing.mood");
  return Object.freeze({
    listeners: number(given.listeners, "sharing.listeners", 0),
    mood: mood && Object.freeze({
      state: text(mood.state, "sharing.mood.state"),
      since_ms: number(mood.since_ms, "sharing.mood.since_ms"),
    }),
  });
}

/** One result: {seq, frame: {width, height} in pixels, model, faces, timings}. */
export function parseResult(value) {
  const given = object(value, "result");
  const frame = object(given.frame, "result.frame");
  if (!Array.isArray(given.faces)) throw new ProtocolError("result.faces", "a list", given.faces);
  return Object.freeze({
    seq: number(given.seq, "result.seq", 0),
    model: text(given.model, "result.model"),
    frame: Object.freeze({
      width: number(frame.width, "result.frame.width", 1),
      height: number(frame.height, "result.frame.height", 1),
    }),
    faces: Object.freeze(given.faces.map((f, i) => face(f, `result.faces[${i}]`))),
    timings: Object.freeze({ ...object(given.timings_ms ?? {}, "result.timings_ms") }),
    baseline: given.baseline ? baseline(given.baseline, "result.baseline") : null,
    sample: given.sample ? sample(given.sample, "result.sample") : null,
  });
}

/**
 * The acknowledgement of a frame: {ok: true, result} or {ok: false, error: {code, message, detail}}.
 * Throws ProtocolError when it is neither.
 */
export function parseAck(value) {
  const given = object(value, "ack");
  if (given.error === undefined) return { ok: true, result: parseResult(given) };
  const error = object(given.error, "ack.error");
  return {
    ok: false,
    error: Object.freeze({
      code: text(error.code, "ack.error.code"),
      message: typeof error.message === "string" ? error.message : "",
      detail: Object.freeze({ ...(error.detail ?? {}) }),
    }),
  };
}
