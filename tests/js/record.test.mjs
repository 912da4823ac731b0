import assert from "node:assert/strict";
import { test } from "node:test";
import { GAP_MS, meanValence, segmentsOf, summarise } from "../../static/js/recordings/analysis.js";
import { CSV_COLUMNS, csvParts, jsonParts } from "../../static/js/recordings/export.js";
import { parseRecording, RecordingError } from "../../static/js/recordings/file.js";
import { NO_FACE, Readings } from "../../static/js/recordings/readings.js";
import { RecordKeeper } from "../../static/js/recordings/store.js";
import { clock, eventText, fileName, settingText, signed, span } from "../../static/js/recordings/words.js";
import { cleanName, EVENTS, Recorder } from "../../static/js/recordings/recorder.js";
import { parseResult } from "../../static/js/lib/protocol.js";
import { wireFace, wireResult } from "./support.mjs";

const EPOCH = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const result = (faces, model = "test-1") => parseResult({ ...wireResult(1, faces.map(wireFace)), model });

function started(options = {}) {
  const recorder = new Recorder(options);
  recorder.start({
    nowMs: 5000, epochMs: EPOCH, id: "r1", software: { name: "Mien", version: "0.1.0" },
    source: "camera", settings: { smoothing: true }, limit: options.limit,
  });
  return recorder;
}

/** Results every 100 ms from `from` to `to` (ms since the start, the last one left out). */
function feed(recorder, from, to, faces, model) {
  for (let t = from; t < to; t += 100) recorder.result(result(faces, model), 5000 + t);
}

const text = (parts) => [...parts].join("");

/** A small CSV reader of its own, so that the writer is not checked with itself. */
function csvRows(source) {
  const rows = [[""]];
  let quoted = false;
  for (let i = source.charCodeAt(0) === 0xfeff ? 1 : 0; i < source.length; i += 1) {
    const c = source[i];
    if (quoted && c === '"' && source[i + 1] === '"') rows.at(-1)[rows.at(-1).length - 1] += source[(i += 1)];
    else if (c === '"') quoted = !quoted;
    else if (!quoted && c === ",") rows.at(-1).push("");
    else if (!quoted && c === "\r" && source[i + 1] === "\n") { rows.push([""]); i += 1; }
    else rows.at(-1)[rows.at(-1).length - 1] += c;
  }
  rows.pop();
  const [head, ...body] = rows;
  return body.map((row) => Object.fromEntries(head.map((name, i) => [name, row[i]])));
}

test("what was read is kept to the server's four digits, and a result without a face too", () => {
  const recorder = started();
  recorder.result(result([{ label: "happy", confidence: 0.8312 }]), 5040);
  recorder.result(result([]), 5080);
  const { readings } = recorder.stop(5100);
  assert.equal(readings.length, 2);
  assert.deepEqual([readings.time(0), readings.track(0), readings.label(0)], [40, 1, "happy"]);
  assert.deepEqual([readings.confidence(0), readings.valence(0), readings.score(0, 3)], [0.8312, 0.1, 0.8312]);
  assert.deepEqual([readings.track(1), readings.result(1)], [NO_FACE, 1]);
});

test("a result of before the start, of a pause, or that goes back in time is not kept", () => {
  const recorder = started();
  recorder.result(result([{}]), 4990);
  recorder.result(result([{}]), 5100);
  recorder.result(result([{}]), 5050);
  recorder.pause(5200);
  recorder.result(result([{}]), 5300);
  recorder.resume(5400);
  recorder.result(result([{}]), 5390);
  recorder.result(result([{}]), 5500);
  const { readings, events } = recorder.stop(5600);
  assert.deepEqual([0, 1].map((i) => readings.time(i)), [100, 500]);
  assert.equal(readings.length, 2);
  assert.deepEqual(events.map(({ kind }) => kind), ["started", "paused", "resumed", "stopped"]);
});

test("memory is bounded: a full recording ends by itself and says so", () => {
  let full = 0;
  const recorder = started({ limit: 50, onFull: () => (full += 1) });
  feed(recorder, 0, 20_000, [{ track: 1 }, { track: 2 }]);
  assert.equal(recorder.state, "done");
  assert.equal(full, 1);
  assert.equal(recorder.recording.readings.length, 50);
  assert.deepEqual(recorder.recording.events.map(({ kind }) => kind).slice(-2), ["full", "stopped"]);
  assert.throws(() => new Readings(1).append(recorder.recording.readings.slice(0, 2)), RangeError);
});

test("a changed model, a lost connection and settings are noted, and tracks begin anew", () => {
  const recorder = started();
  feed(recorder, 0, 300, [{}], "one-1");
  recorder.connection("reconnecting", 5400);
  recorder.connection("refused", 5450);
  recorder.connection("connecting", 5460);
  recorder.connection("connected", 5500);
  feed(recorder, 600, 700, [{}], "two-2");
  recorder.settings({ smoothing: true }, 5700);
  recorder.settings({ smoothing: false }, 5750);
  const { readings, events, models, settings } = recorder.stop(5800);
  assert.deepEqual(events.map(({ kind }) => kind), [
    "started", "connection_lost", "connection_back", "model_changed", "settings_changed", "stopped",
  ]);
  assert.deepEqual(events[3].detail, { from: "one-1", to: "two-2" });
  assert.ok(events.every(({ t_ms }, i) => i === 0 || t_ms >= events[i - 1].t_ms));
  assert.ok(events.every(({ kind }) => EVENTS.includes(kind)));
  assert.deepEqual([readings.part(0), readings.part(3)], [0, 1]);
  assert.deepEqual(models, ["one-1", "two-2"]);
  assert.deepEqual(settings.map(({ t_ms, values }) => [t_ms, values.smoothing]), [[0, true], [750, false]]);
});

test("markers have names, in one line, and are limited", () => {
  const recorder = started();
  assert.equal(recorder.mark("M", null, 5100).name, "Marker 1");
  assert.equal(recorder.mark("1", " Advert\n A ", 5200).name, "Advert  A");
  assert.equal(recorder.mark("2", "", 5200).name, "Marker 3");
  assert.equal(cleanName("x".repeat(500), "y").length, 80);
  for (let i = 0; i < 2000; i += 1) recorder.mark("M", null, 5300);
  assert.equal(recorder.recording.markers.length, 1000);
  assert.equal(new Recorder().mark("M", null, 0), null);
});

function sample() {
  const recorder = started();
  feed(recorder, 0, 2000, [{ track: 1, label: "happy", confidence: 0.8 }]);
  recorder.mark("1", '=Advert "A", one', 7000);
  feed(recorder, 2000, 4000, [{ track: 1, label: "sad", confidence: 0.6 }, { track: 2, label: "neutral" }]);
  feed(recorder, 4000, 5000, []);
  feed(recorder, 9000, 10_000, [{ track: 1, label: "uncertain", confidence: 0.3 }]);
  feed(recorder, 10_000, 11_000, [
    { track: 1, label: "angry", quality: { ok: false, advice: "Come closer: the face is small." } },
  ]);
  return recorder.stop(5000 + 11_000);
}

test("CSV: one row per face and result, both clocks, every column, nothing run as a formula", () => {
  const source = text(csvParts(sample()));
  assert.equal(source.charCodeAt(0), 0xfeff);
  const rows = csvRows(source);
  assert.equal(rows.length, 20 + 2 * 20 + 10 + 10 + 10);
  assert.deepEqual(Object.keys(rows[0]), [...CSV_COLUMNS]);
  const at = (t, track) => rows.find((row) => row.t_ms === String(t) && row.track === track);
  assert.equal(at(1900, "1").marker, "");
  assert.equal(at(1900, "1").time, new Date(EPOCH + 1900).toISOString());
  assert.equal(at(2000, "1").marker, `'=Advert "A", one`);
  assert.deepEqual([at(2000, "1").label, at(2000, "1").score_sad, at(2000, "1").raw_sad], ["sad", "0.6", "0.6"]);
  assert.equal(at(2000, "1").model, "test-1");
  assert.equal(at(2000, "1").settings, "smoothing=true");
  const empty = at(4500, "");
  assert.deepEqual([empty.label, empty.confidence, empty.score_happy], ["", "", ""]);
  const bad = at(10_500, "1");
  assert.deepEqual([bad.quality_ok, bad.advice], ["false", "Come closer: the face is small."]);
});

test("JSON comes back as the same recording", () => {
  const recording = sample();
  const again = parseRecording(text(jsonParts(recording)));
  assert.equal(text(csvParts(again)), text(csvParts(recording)));
  for (const name of ["id", "startedAt", "durationMs", "complete", "models", "markers", "events", "settings", "source", "software"]) {
    assert.deepEqual(again[name], recording[name], name);
  }
  const empty = started().stop(5000);
  assert.equal(parseRecording(text(jsonParts(empty))).readings.length, 0);
});

test("garbage and every changed value get a message that names the place", () => {
  const good = JSON.parse(text(jsonParts(sample())));
  const broken = (change) => {
    const copy = structuredClone(good);
    change(copy);
    return JSON.stringify(copy);
  };
  const cases = [
    ["", /not JSON/], ["{", /not JSON/], ["null", /not a recording/], ["[]", /not a recording/], ["7", /not a recording/],
    ['{"format":"other"}', /not a recording/],
    [broken((c) => (c.schema = 2)), /format version 2/],
    [broken((c) => delete c.results), /recording.results/],
    [broken((c) => (c.extra = 1)), /"extra" is not part/],
    [broken((c) => (c.results = {})), /results: expected a list, found an object/],
    [broken((c) => (c.results[3].t_ms = 5)), /results\[3\].t_ms/],
    [broken((c) => (c.results[3].t_ms = "now")), /results\[3\].t_ms/],
    [broken((c) => (c.results[3].model = "other")), /results\[3\].model/],
    [broken((c) => (c.results[0].faces[0].label = "bored")), /faces\[0\].label/],
    [broken((c) => (c.results[0].faces[0].scores = [1, 2])), /scores/],
    [broken((c) => (c.results[0].faces[0].scores[2] = null)), /scores\[2\]/],
    [broken((c) => (c.results[0].faces[0].confidence = 3)), /confidence/],
    [broken((c) => (c.results[0].faces[0].track = 1.5)), /track/],
    [broken((c) => (c.emotions = ["a"])), /emotions/],
    [broken((c) => (c.started_at = "yesterday")), /started_at/],
    [broken((c) => (c.markers[0].key = "X")), /markers\[0\].key/],
    [broken((c) => (c.markers[0].name = 5)), /markers\[0\].name/],
    [broken((c) => (c.events[0].kind = "exploded")), /events\[0\].kind/],
    [broken((c) => (c.settings[0].values = { a: {} })), /settings\[0\].values.a/],
    [broken((c) => (c.duration_ms = -1)), /duration_ms/],
    [broken((c) => (c.software = null)), /software/],
  ];
  for (const [source, words] of cases) {
    assert.throws(() => parseRecording(source), (error) => error instanceof RecordingError && words.test(error.message), source.slice(0, 60));
  }
  assert.throws(() => parseRecording(JSON.stringify(good), 50), /more than 50|at most 50/);
});

test("the summary: time per emotion and face, changes, valence, time without a face or in a gap", () => {
  const { whole, faces, segments, changes, brief } = summarise(sample());
  // 0-2 s happy, 2-4 s sad and a second face, 4-5 s nobody, then a gap until 9 s that counts for
  // nobody, 9-10 s uncertain, 10-10.9 s unreadable (the last result has no successor)
  const near = (value, wanted) => assert.ok(Math.abs(value - wanted) < 1e-6, `${value} is not ${wanted}`);
  near(whole.observedMs, 4900 + 1900);
  near(whole.nobodyMs, 900);
  near(whole.states.happy, 2000);
  near(whole.states.sad, 2000);
  near(whole.states.neutral, 2000);
  near(whole.states.uncertain, 1000);
  near(whole.states.unreadable, 900);
  assert.equal(whole.states.angry, 0, "a face that cannot be read has no label");
  assert.deepEqual(changes.map(({ t_ms, from, to }) => [t_ms, from, to]), [
    [2000, "happy", "sad"], [10_000, "uncertain", "unreadable"],
  ]);
  assert.equal(whole.changes, 2);
  near(meanValence(whole), 0.1);
  assert.deepEqual(faces.map(({ face }) => face.name), ["Face 1", "Face 2"]);
  near(faces[1].totals.faceMs, 2000);
  assert.equal(brief, 0);
  assert.deepEqual(segments.map(({ segment }) => segment.name), ["Before the first marker", '=Advert "A", one']);
  near(segments[0].totals.states.happy, 2000);
  near(segments[1].totals.states.happy, 0);
  near(segments[0].totals.observedMs + segments[1].totals.observedMs, whole.observedMs);
  assert.deepEqual(segments.map(({ totals }) => totals.changes), [0, 2]);
});

test("a marker between two results shares the time out; a pause is never counted", () => {
  const recorder = started();
  recorder.result(result([{}]), 5000);
  recorder.mark("M", null, 5300);
  recorder.result(result([{}]), 5800);
  recorder.pause(5850);
  recorder.resume(5900);
  recorder.result(result([{ label: "sad" }]), 6000);
  recorder.result(result([{ label: "sad" }]), 6100);
  const { whole, segments, changes } = summarise(recorder.stop(6200));
  assert.deepEqual(segments.map(({ totals }) => Math.round(totals.observedMs)), [300, 600]);
  assert.equal(Math.round(whole.observedMs), 900);
  assert.deepEqual(changes, [], "what was before a pause and after it is no change");
});

test("an empty recording and one of a single result add up to nothing", () => {
  const empty = started().stop(5000);
  assert.equal(summarise(empty).whole.observedMs, 0);
  const one = started();
  one.result(result([{}]), 5100);
  const { whole, faces } = summarise(one.stop(5200));
  assert.equal(whole.observedMs, 0);
  assert.equal(meanValence(whole), null);
  assert.deepEqual(faces, []);
  assert.equal(segmentsOf({ markers: [], durationMs: 10 })[0].name, "Whole recording");
});

test("the rule for gaps is the documented one", () => {
  assert.equal(GAP_MS, 1000);
});

test("what was stored in pieces comes back whole, and damage is noticed", () => {
  const { readings } = sample();
  const again = new Readings();
  again.append(readings.slice(0, 7));
  again.append(readings.slice(7));
  assert.deepEqual(again.slice(0), readings.slice(0));
  assert.throws(() => again.append({ ...readings.slice(0, 3), raw: new Uint16Array(2) }), TypeError);
  assert.throws(() => again.append({}), TypeError);
});

test("the keeper writes only what is new, one write after the other, and outlives a full disk", async () => {
  const recorder = started();
  const saved = [];
  let fail = false;
  const store = {
    async save(recording, number, columns) {
      if (fail) throw new Error("quota");
      saved.push([number, columns?.t.length ?? 0]);
    },
  };
  let released = 0;
  const troubles = [];
  const keeper = new RecordKeeper(store, recorder.recording, {
    onTrouble: ({ message }) => troubles.push(message), lock: () => () => (released += 1),
  });
  feed(recorder, 0, 500, [{}]);
  await Promise.all([keeper.flush(), keeper.flush()]);
  fail = true;
  feed(recorder, 500, 800, [{}]);
  await keeper.flush();
  fail = false;
  feed(recorder, 800, 1000, [{}]);
  await keeper.close();
  assert.deepEqual(saved, [[0, 5], [1, 0], [1, 5]]);
  assert.deepEqual(troubles, ["quota"]);
  assert.equal(released, 1);
});

test("times and names as people read them", () => {
  assert.deepEqual([clock(0), clock(61_999), clock(3_723_456, { tenths: true })], ["00:00", "01:01", "1:02:03.4"]);
  assert.deepEqual([span(4230), span(59_990), span(3_725_000)], ["4.2 s", "1 min 0 s", "1 h 2 min"]);
  assert.deepEqual([signed(0.421), signed(-0.3), signed(0.001), signed(null)], ["+0.42", "−0.30", "0.00", "–"]);
  const settings = { target_fps: 15, mirror: false, resolution: "large", steadiness: "calm", steadiness_x: 2, resolution_: "huge" };
  assert.deepEqual(Object.entries(settings).map(([name, value]) => settingText(name, value)),
    ["at most 15 readings a second", "not mirrored", "large picture", "calm labels", "steadiness x 2", "resolution  huge"]);
  assert.deepEqual([settingText("resolution", "huge"), settingText("toString", 1)], ["resolution huge", "toString 1"]);
  assert.match(fileName(EPOCH, "csv"), /^mien-20260\d0\d-\d{6}\.csv$/);
  for (const kind of EVENTS) assert.notEqual(eventText({ kind, detail: null }), kind);
});
