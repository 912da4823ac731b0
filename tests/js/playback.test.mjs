import assert from "node:assert/strict";
import { test } from "node:test";
import { columnsOf, MEASURES, nextChange, readAt, rowAt, zoomed } from "../../static/js/recordings/columns.js";
import { CAUTION, faceTable, figures, leadText, segmentTable, summaryText } from "../../static/js/recordings/summary.js";
import { summarise } from "../../static/js/recordings/analysis.js";
import { cleanNames, keyOfPress } from "../../static/js/recordings/markers.js";
import { Recorder } from "../../static/js/recordings/recorder.js";
import { parseResult } from "../../static/js/lib/protocol.js";
import { wireFace, wireResult } from "./support.mjs";

function recorded(parts, { marks = [] } = {}) {
  const recorder = new Recorder();
  recorder.start({ nowMs: 0, epochMs: Date.UTC(2026, 0, 1), id: "r", software: { name: "Mien", version: "1" }, source: "camera" });
  let last = 0;
  for (const [from, to, faces] of parts) {
    for (let t = from; t < to; t += 100) {
      recorder.result(parseResult(wireResult(1, faces.map(wireFace))), t);
      for (const mark of marks) if (mark === t) recorder.mark("1", "Advert", t);
    }
    last = to;
  }
  return recorder.stop(last);
}

const two = recorded([
  [0, 1000, [{ track: 1, label: "happy", confidence: 0.8 }]],
  [1000, 2100, [{ track: 1, label: "sad", confidence: 0.6 }, { track: 2, label: "neutral" }]],
  [5000, 6000, [{ track: 1, quality: { ok: false, advice: "More light." } }]],
  [6000, 6500, []],
], { marks: [1000] });

test("a curve has a value where the face could be read, and nothing across a gap", () => {
  const [xs, first, second] = columnsOf(two, [
    { key: "0.1", measure: "score:happy" }, { key: "0.2", measure: "confidence" },
  ]);
  assert.ok(xs.every((x, i) => i === 0 || x >= xs[i - 1]));
  assert.equal(first[xs.indexOf(0.5)], 0.8);
  assert.equal(second[xs.indexOf(0.5)], null);
  assert.equal(second[xs.indexOf(1.5)], 0.7);
  const inGap = xs.findIndex((x) => x > 2 && x < 5);
  assert.equal(first[inGap], null);
  assert.equal(first[xs.indexOf(5.5)], null, "a picture that cannot be read has no scores to show");
  for (const { id, low, high } of MEASURES.filter((m) => m.id !== "all")) {
    const [, ys] = columnsOf(two, [{ key: "0.1", measure: id }]);
    assert.ok(ys.some((y) => y !== null) && ys.every((y) => y === null || (y >= low && y <= high)), id);
  }
});

test("what was read at a moment, nobody and nothing are three different things", () => {
  assert.equal(rowAt(two.readings, -1), -1);
  assert.deepEqual(readAt(two, 1550).map(({ key, state }) => [key, state]), [["0.1", "sad"], ["0.2", "neutral"]]);
  assert.deepEqual(readAt(two, 6100), []);
  assert.equal(readAt(two, 4000), null);
  assert.equal(readAt(two, 5100)[0].state, "unreadable");
});

test("steps go to the next and the previous change and no farther", () => {
  const { changes } = summarise(two);
  assert.deepEqual(changes.map(({ t_ms }) => t_ms), [1000]);
  assert.equal(nextChange(changes, 0, 1).t_ms, 1000);
  assert.equal(nextChange(changes, 1000, 1), null);
  assert.equal(nextChange(changes, 6000, -1).t_ms, 1000);
});

test("zooming stays within the recording and around the playhead", () => {
  assert.deepEqual(zoomed({ from: 0, to: 100 }, 0.5, 50, 100), { from: 25, to: 75 });
  assert.deepEqual(zoomed({ from: 0, to: 50 }, 4, 10, 100), { from: 0, to: 100 });
  const near = zoomed({ from: 90, to: 100 }, 0.5, 100, 100);
  assert.deepEqual(near, { from: 95, to: 100 });
  assert.equal(zoomed({ from: 0, to: 1 }, 0.01, 0, 100).to, 0.5);
});

test("the summary in words and tables says what was counted and warns", () => {
  const summary = summarise(two);
  const text = summaryText("Title", two, summary);
  assert.match(leadText(two, summary), /6\.5 s recorded.*gaps.*Face 1 was in view.*Face 2 was in view for 1\.0 s and was read as neutral/);
  assert.match(text, /Before the first marker/);
  assert.match(text, /Advert/);
  assert.match(CAUTION, /not a measure of what anybody felt/);
  const names = figures(summary).map(([name]) => name);
  assert.deepEqual(names, ["Time with results", "Without a face", "Faces", "Changes", "Changes a minute", "Unclear", "Mean valence"]);
  const table = faceTable(summary);
  assert.deepEqual(table.head, ["Expression", "Face 1", "Face 2", "All faces"]);
  assert.ok(table.rows.every((row) => row.length === table.head.length));
  assert.equal(table.rows.find(([name]) => name === "Neutral")[2], "1.0 s (100 %)");
  const segments = segmentTable(summary);
  assert.ok(segments.rows.every((row) => row.length === segments.head.length));
  assert.equal(segments.rows[1][0], "Advert");
  const empty = recorded([]);
  assert.match(leadText(empty, summarise(empty)), /Nothing was read/);
});

test("marker keys mean markers only where nothing is typed", () => {
  const press = (key, more = {}) => keyOfPress({ key, target: { tagName: "BUTTON" }, ...more });
  assert.deepEqual(["m", "M", "1", "9", "0", "x", "Enter"].map((key) => press(key)), ["M", "M", "1", "9", null, null, null]);
  for (const tagName of ["INPUT", "TEXTAREA", "SELECT"]) assert.equal(press("m", { target: { tagName } }), null, tagName);
  assert.equal(press("m", { target: { tagName: "INPUT", type: "checkbox" } }), "M");
  assert.equal(press("m", { target: { isContentEditable: true } }), null);
  for (const held of ["ctrlKey", "altKey", "metaKey", "repeat"]) assert.equal(press("1", { [held]: true }), null, held);
  assert.equal(cleanNames({ 1: " A ", 2: 5, 3: "" })[1], "A");
  assert.deepEqual([cleanNames(null)[2], cleanNames({ 2: 5 })[2], cleanNames([])[9]], ["Marker 2", "Marker 2", "Marker 9"]);
});
