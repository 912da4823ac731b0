// The columns of the playback's chart, and what was read at one moment. No element of the page.

import { EMOTIONS, nameOf } from "../lib/emotions.js";
import { t } from "../lib/i18n.js";
import { eachInterval, faceKey, GAP_MS, stateOf, UNREADABLE } from "./analysis.js";
import { NO_FACE } from "./readings.js";

/** The curves to choose from: [{id, name, low, high}]. */
export const MEASURES = Object.freeze([
  { id: "valence", name: t("Valence"), low: -1, high: 1 },
  { id: "confidence", name: t("Confidence of the label"), low: 0, high: 1 },
  { id: "all", name: t("All seven expressions"), low: 0, high: 1 },
  ...EMOTIONS.map((name) => ({ id: `score:${name}`, name: t("{name} (settled)", { name: nameOf(name) }), low: 0, high: 1 })),
  ...EMOTIONS.map((name) => ({ id: `raw:${name}`, name: t("{name} (raw)", { name: nameOf(name) }), low: 0, high: 1 })),
]);

function reader(id, readings) {
  if (id === "valence") return (i) => readings.valence(i);
  if (id === "confidence") return (i) => readings.confidence(i);
  const [kind, name] = id.split(":");
  const k = EMOTIONS.indexOf(name);
  return kind === "raw" ? (i) => readings.rawScore(i, k) : (i) => readings.score(i, k);
}

/**
 * [x, y1, y2, ...]: x in seconds; one y for each of `curves` ({key of a face, measure id}), null
 * where the face was away, could not be read, or nothing was read at all.
 */
export function columnsOf(recording, curves) {
  const { readings } = recording;
  const read = curves.map(({ measure }) => reader(measure, readings));
  const columns = [[], ...curves.map(() => [])];
  const add = (t, values) => {
    columns[0].push(t / 1000);
    values.forEach((value, c) => columns[c + 1].push(value));
  };
  let lastMs = 0;
  eachInterval(recording, ({ fromMs, first, end, joined }) => {
    if (!joined && columns[0].length) add((lastMs + fromMs) / 2, curves.map(() => null));
    lastMs = fromMs;
    const values = curves.map(() => null);
    for (let i = first; i < end; i += 1) {
      if (readings.track(i) === NO_FACE || stateOf(readings, i) === UNREADABLE) continue;
      const key = faceKey(readings, i);
      curves.forEach((curve, c) => {
        if (curve.key === key) values[c] = read[c](i);
      });
    }
    add(fromMs, values);
  });
  return columns;
}

/** Index of the last row at or before `ms`, or -1. */
export function rowAt(readings, ms) {
  let [low, high] = [0, readings.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (readings.time(middle) <= ms) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** What was read at `ms`: [{key, state, confidence, valence}], or null in a gap. */
export function readAt({ readings }, ms) {
  const last = rowAt(readings, ms);
  if (last < 0 || ms - readings.time(last) > GAP_MS) return null;
  const faces = [];
  for (let i = last; i >= 0 && readings.result(i) === readings.result(last); i -= 1) {
    if (readings.track(i) === NO_FACE) continue;
    faces.unshift({
      key: faceKey(readings, i),
      state: stateOf(readings, i),
      confidence: readings.confidence(i),
      valence: readings.valence(i),
    });
  }
  return faces;
}

/** The change after (`way` 1) or before (-1) `ms`, or null. */
export function nextChange(changes, ms, way) {
  if (way > 0) return changes.find(({ t_ms }) => t_ms > ms + 1) ?? null;
  return changes.findLast(({ t_ms }) => t_ms < ms - 1) ?? null;
}

/** A range of `factor` times the width around `centre`, within [0, whole]; never below 0.5 s. */
export function zoomed({ from, to }, factor, centre, whole) {
  const width = Math.min(whole, Math.max(0.5, (to - from) * factor));
  const share = to > from ? (centre - from) / (to - from) : 0.5;
  const inside = share >= 0 && share <= 1 ? share : 0.5;
  const start = Math.min(Math.max(0, centre - inside * width), Math.max(0, whole - width));
  return { from: start, to: start + width };
}
