// What a recording adds up to. A reading counts until the next one, unless that is more than
// GAP_MS away or the recording was paused between: then nothing is known of the time between and
// it counts for nobody. Changes are counted within stretches without such a gap.

import { EMOTIONS } from "../lib/emotions.js";
import { t } from "../lib/i18n.js";
import { NO_FACE } from "./readings.js";

export const GAP_MS = 1000;
export const UNREADABLE = "unreadable";
const BRIEF_MS = 1000; // faces seen for less are counted, not listed

/** What row `i` shows: an emotion, "uncertain", or "unreadable" where the picture was too bad. */
export function stateOf(readings, i) {
  return readings.advice(i) === 0 ? readings.label(i) : UNREADABLE;
}

export const faceKey = (readings, i) => `${readings.part(i)}.${readings.track(i)}`;

/**
 * The recording as intervals: calls `visit({fromMs, toMs, rows: [first, end), joined})` for every
 * result that counts, in time; `joined` says that it follows the one before without a gap.
 */
export function eachInterval({ readings, events }, visit) {
  const breaks = events.filter(({ kind }) => kind === "paused").map(({ t_ms }) => t_ms);
  const results = [];
  readings.eachResult((first, end) => results.push(first, end));
  let nextBreak = 0;
  let joined = false;
  for (let k = 0; k < results.length; k += 2) {
    const [first, end] = [results[k], results[k + 1]];
    const fromMs = readings.time(first);
    const toMs = k + 2 < results.length ? readings.time(results[k + 2]) : fromMs;
    while (nextBreak < breaks.length && breaks[nextBreak] < fromMs) nextBreak += 1;
    const paused = nextBreak < breaks.length && breaks[nextBreak] < toMs;
    const gap = paused || toMs - fromMs > GAP_MS || k + 2 >= results.length;
    visit({ fromMs, toMs: gap ? fromMs : toMs, first, end, joined });
    joined = !gap;
  }
}

/** The faces in the order of their first reading: [{key, number, name, part, track, fromMs, ms}]. */
function facesOf(recording) {
  const faces = new Map();
  const { readings } = recording;
  eachInterval(recording, ({ fromMs, toMs, first, end }) => {
    for (let i = first; i < end; i += 1) {
      if (readings.track(i) === NO_FACE) continue;
      const key = faceKey(readings, i);
      let entry = faces.get(key);
      if (!entry) {
        const number = faces.size + 1;
        faces.set(key, (entry = {
          key, number, name: t("Face {number}", { number }), part: readings.part(i), track: readings.track(i), fromMs, ms: 0,
        }));
      }
      entry.ms += toMs - fromMs;
    }
  });
  return [...faces.values()];
}

/** For each face its runs of one state: Map key -> [{state, fromMs, toMs, changed}]. */
function runsOf(recording) {
  const runs = new Map();
  const { readings } = recording;
  let open = new Map();
  eachInterval(recording, ({ fromMs, toMs, first, end, joined }) => {
    const present = new Map();
    for (let i = first; i < end; i += 1) {
      if (readings.track(i) === NO_FACE) continue;
      const key = faceKey(readings, i);
      const state = stateOf(readings, i);
      const before = joined ? open.get(key) : null;
      let run = before;
      if (!before || before.state !== state) {
        run = { state, fromMs, toMs: fromMs, changed: Boolean(before) };
        if (!runs.has(key)) runs.set(key, []);
        runs.get(key).push(run);
      }
      run.toMs = toMs;
      present.set(key, run);
    }
    open = present;
  });
  return runs;
}

/** Times at which any face changed: [{t_ms, key, from, to}], in time. */
function changesOf(runs) {
  const changes = [];
  for (const [key, list] of runs) {
    list.forEach((run, i) => {
      if (run.changed) changes.push({ t_ms: run.fromMs, key, from: list[i - 1].state, to: run.state });
    });
  }
  return changes.sort((a, b) => a.t_ms - b.t_ms);
}

function emptyTotals() {
  return {
    observedMs: 0, // time with results
    nobodyMs: 0, // of it, without a face
    faceMs: 0, // face time: two faces for a second are two seconds
    states: Object.fromEntries([...EMOTIONS, "uncertain", UNREADABLE].map((name) => [name, 0])),
    changes: 0,
    valenceMs: 0,
    valenceSum: 0,
  };
}

function add(totals, state, ms, valence) {
  totals.faceMs += ms;
  totals.states[state] += ms;
  if (valence !== null && state !== UNREADABLE) {
    totals.valenceMs += ms;
    totals.valenceSum += ms * valence;
  }
}

/** Mean valence over the readable time, or null. */
export const meanValence = ({ valenceMs, valenceSum }) => (valenceMs > 0 ? valenceSum / valenceMs : null);

/** The stretches between markers: [{name, fromMs, toMs}]; one when there is no marker. */
export function segmentsOf({ markers, durationMs }) {
  const edges = [{ t_ms: 0, name: markers.length ? t("Before the first marker") : t("Whole recording") }, ...markers];
  return edges
    .map(({ t_ms, name }, i) => ({ name, fromMs: t_ms, toMs: edges[i + 1]?.t_ms ?? durationMs }))
    .filter(({ fromMs, toMs }, i) => i > 0 || toMs > fromMs);
}

/** {whole, faces: [{face, totals}], brief, segments: [{segment, totals}], runs, changes}. */
export function summarise(recording) {
  const { readings } = recording;
  const known = facesOf(recording);
  const byKey = new Map(known.map((face) => [face.key, { face, totals: emptyTotals() }]));
  const whole = emptyTotals();
  const segments = segmentsOf(recording).map((segment) => ({ segment, totals: emptyTotals() }));
  let at = 0;
  eachInterval(recording, ({ fromMs, toMs, first, end }) => {
    while (at < segments.length - 1 && segments[at].segment.toMs <= fromMs) at += 1;
    // an interval that a marker lies in is shared out between both sides
    /** @type {[ReturnType<typeof emptyTotals>, number][]} */
    const pieces = [[whole, toMs - fromMs]];
    for (let k = at; k < segments.length && segments[k].segment.fromMs <= toMs; k += 1) {
      const { segment, totals } = segments[k];
      const ms = Math.min(toMs, segment.toMs) - Math.max(fromMs, segment.fromMs);
      if (ms > 0) pieces.push([totals, ms]);
    }
    const nobody = readings.track(first) === NO_FACE;
    for (const [totals, ms] of pieces) {
      totals.observedMs += ms;
      if (nobody) totals.nobodyMs += ms;
    }
    if (nobody) return;
    for (let i = first; i < end; i += 1) {
      const [state, valence] = [stateOf(readings, i), readings.valence(i)];
      for (const [totals, ms] of pieces) add(totals, state, ms, valence);
      add(byKey.get(faceKey(readings, i)).totals, state, toMs - fromMs, valence);
    }
  });
  const runs = runsOf(recording);
  const changes = changesOf(runs);
  for (const { t_ms, key } of changes) {
    whole.changes += 1;
    byKey.get(key).totals.changes += 1;
    segments.findLast(({ segment }) => segment.fromMs <= t_ms).totals.changes += 1;
  }
  const faces = [...byKey.values()].filter(({ face }) => face.ms >= BRIEF_MS);
  return { whole, faces, brief: known.length - faces.length, segments, runs, changes };
}
