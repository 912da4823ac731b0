// A recording as CSV and as JSON, in parts, so that a long one is never one enormous text.
// The formats are described in docs/recording.md and docs/recording.schema.json.

import { EMOTIONS } from "../lib/emotions.js";
import { NO_FACE } from "./readings.js";

export const FORMAT = "mien-recording";
export const SCHEMA = 1;
const ROWS_A_PART = 2000;

export const CSV_COLUMNS = Object.freeze([
  "time", "t_ms", "result", "part", "track", "label", "confidence", "valence", "quality_ok",
  "advice", ...EMOTIONS.map((name) => `score_${name}`), ...EMOTIONS.map((name) => `raw_${name}`),
  "model", "marker", "settings",
]);

const round = (value, digits) => Number(value.toFixed(digits));
const iso = (recording, ms) => new Date(recording.startedAt + ms).toISOString();

/** The words of row `i`'s advice, or null. */
export function adviceOf(recording, i) {
  const code = recording.readings.advice(i);
  return code >= 2 ? recording.advice[code - 2] : null;
}

/** Walks markers or settings beside rising times: the newest entry at or before `t`, or null. */
export function follower(entries) {
  let next = 0;
  return (t) => {
    while (next < entries.length && entries[next].t_ms <= t) next += 1;
    return next ? entries[next - 1] : null;
  };
}

function csvField(value) {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const FORMULA =
  /(^|[;,\t|\r\n])(?=[\s"\u200b-\u200f\u2060\ufeff\u00ad]*[=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b])/g;

/**
 * A text that a spreadsheet would run as a formula gets an apostrophe before it; also behind what
 * separates cells where the file is opened in another country (webapp/survey/report/exports).
 */
function safeText(text) {
  if (text === null) return text;
  const safe = text.replace(FORMULA, "$1'");
  return /^[\t\r\n]/.test(safe) ? `'${safe}` : safe;
}

/** The parts of the CSV: UTF-8 with a byte order mark, lines end with CR LF. */
export function* csvParts(recording) {
  yield `\ufeff${CSV_COLUMNS.join(",")}\r\n`;
  const { readings: r, models } = recording;
  const marker = follower(recording.markers);
  const settings = follower(recording.settings);
  let lines = [];
  for (let i = 0; i < r.length; i += 1) {
    const t = r.time(i);
    const face = r.track(i) !== NO_FACE;
    const own = face
      ? [
          r.track(i), r.label(i), r.confidence(i), r.valence(i), r.advice(i) === 0,
          safeText(adviceOf(recording, i)),
          ...EMOTIONS.map((_, k) => r.score(i, k)), ...EMOTIONS.map((_, k) => r.rawScore(i, k)),
        ]
      : Array(6 + 2 * EMOTIONS.length).fill(null);
    const words = Object.entries(settings(t)?.values ?? {}).map(([name, value]) => `${name}=${value}`);
    const row = [
      iso(recording, t), round(t, 1), r.result(i), r.part(i), ...own,
      models[r.model(i)], safeText(marker(t)?.name ?? null), words.join(" "),
    ];
    lines.push(row.map(csvField).join(","));
    if (lines.length === ROWS_A_PART) {
      yield `${lines.join("\r\n")}\r\n`;
      lines = [];
    }
  }
  if (lines.length) yield `${lines.join("\r\n")}\r\n`;
}

/** The parts of the JSON; together one document of the schema. */
export function* jsonParts(recording) {
  const { readings: r } = recording;
  const at = ({ t_ms }) => ({ t_ms, time: iso(recording, t_ms) });
  const head = {
    format: FORMAT,
    schema: SCHEMA,
    id: recording.id,
    software: recording.software,
    source: recording.source,
    started_at: iso(recording, 0),
    ended_at: iso(recording, recording.durationMs),
    duration_ms: round(recording.durationMs, 1),
    complete: recording.complete,
    emotions: EMOTIONS,
    models: recording.models,
    settings: recording.settings.map((entry) => ({ ...at(entry), values: entry.values })),
    markers: recording.markers.map((entry) => ({ ...at(entry), key: entry.key, name: entry.name })),
    events: recording.events.map((entry) => ({ ...at(entry), kind: entry.kind, detail: entry.detail })),
  };
  yield `${JSON.stringify(head, null, 1).slice(0, -2)},\n "results": [`;
  let lines = [];
  let first = true;
  const texts = function* () {
    if (lines.length) yield `${first ? "\n" : ",\n"}${lines.join(",\n")}`;
    if (lines.length) first = false;
    lines = [];
  };
  const spans = [];
  r.eachResult((from, end) => spans.push(from, end));
  for (let i = 0; i < spans.length; i += 2) {
    lines.push(`  ${JSON.stringify(resultOf(recording, spans[i], spans[i + 1]))}`);
    if (lines.length === ROWS_A_PART) yield* texts();
  }
  yield* texts();
  yield "\n ]\n}\n";
}

function resultOf(recording, first, end) {
  const { readings: r, models } = recording;
  const faces = [];
  for (let i = first; i < end; i += 1) {
    if (r.track(i) === NO_FACE) continue;
    faces.push({
      track: r.track(i),
      label: r.label(i),
      confidence: r.confidence(i),
      valence: r.valence(i),
      quality_ok: r.advice(i) === 0,
      advice: adviceOf(recording, i),
      scores: EMOTIONS.map((_, k) => r.score(i, k)),
      raw: EMOTIONS.map((_, k) => r.rawScore(i, k)),
    });
  }
  return { t_ms: round(r.time(first), 1), part: r.part(first), model: models[r.model(first)], faces };
}
