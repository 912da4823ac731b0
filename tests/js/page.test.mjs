import assert from "node:assert/strict";
import { test } from "node:test";
import { reasonOf, SourceError } from "../../static/js/live/camera.js";
import { fit } from "../../static/js/live/capture.js";
import { CHOICE, FaceChoice } from "../../static/js/live/choice.js";
import { describe, EMOTIONS, shapeOf, topTwo } from "../../static/js/lib/emotions.js";
import { contain, iou, toView } from "../../static/js/lib/geometry.js";
import { Notice, RateMeter, Throttled } from "../../static/js/live/pace.js";
import { parseResult } from "../../static/js/lib/protocol.js";
import { recoveryText, spokenText, statusText, troubleText } from "../../static/js/lib/words.js";
import { wireFace, wireResult } from "./support.mjs";

const faces = (...list) => parseResult(wireResult(1, list.map(wireFace))).faces;

test("doubt is shown as doubt and advice instead of a label", () => {
  const [sure, doubt, advice] = faces(
    { label: "happy", confidence: 0.83 },
    { label: "uncertain", confidence: 0.3 },
    { label: "angry", confidence: 0.9, quality: { ok: false, advice: "Come closer: the face is too small." } },
  );
  assert.deepEqual([describe(sure).title, describe(sure).short], ["Happy", "Happy  83 %"]);
  assert.equal(describe(sure).detail, "83 % likely.");
  const certain = { ...sure, scores: sure.scores.map((_, i) => (i === 3 ? 1 : 0)) };
  assert.deepEqual(
    [describe(certain).short, describe(certain).detail],
    ["Happy  over 99 %", "over 99 % likely."],
  );
  const changing = { ...sure, label: "angry" };
  assert.equal(describe(changing).detail, "3 % likely, happy 83 %.");
  assert.equal(describe(doubt).tone, "doubt");
  assert.match(describe(doubt).detail, /^Perhaps sad/);
  const said = JSON.stringify(describe(advice));
  assert.match(said, /Come closer/);
  assert.doesNotMatch(said, /angry/i);
});

test("every expression has a shape of its own", () => {
  assert.equal(new Set([...EMOTIONS, "uncertain"].map(shapeOf)).size, 8);
});

test("the two most probable, also when the first in order leads", () => {
  assert.deepEqual(topTwo([0.5, 0.1, 0, 0.3, 0, 0, 0.1]).map((t) => t.emotion), ["angry", "happy"]);
  assert.deepEqual(topTwo([0, 0.1, 0, 0.3, 0, 0, 0.6]).map((t) => t.emotion), ["neutral", "happy"]);
});

test("a box is placed on the letterboxed picture, and mirrored with it", () => {
  const frame = { width: 640, height: 480 };
  const placed = contain(frame, { width: 1000, height: 480 });
  assert.deepEqual([placed.left, placed.top, placed.scale], [180, 0, 1]);
  assert.deepEqual(toView([10, 20, 110, 220], frame, placed, false), [190, 20, 290, 220]);
  assert.deepEqual(toView([10, 20, 110, 220], frame, placed, true), [710, 20, 810, 220]);
  assert.equal(iou([0, 0, 10, 10], [5, 0, 15, 10]), 1 / 3);
  assert.equal(iou([0, 0, 10, 10], [10, 0, 20, 10]), 0);
});

test("frames keep their shape, fit into 640 x 480 and are never enlarged", () => {
  assert.deepEqual(fit(1280, 720), { width: 640, height: 360 });
  assert.deepEqual(fit(720, 1280), { width: 270, height: 480 });
  assert.deepEqual(fit(320, 240), { width: 320, height: 240 });
  assert.deepEqual(fit(1280, 960, 0.5), { width: 320, height: 240 });
});

test("the largest face is shown until another is chosen; a choice holds", () => {
  const choice = new FaceChoice();
  const small = { track: 1, box: [0, 0, 80, 80] };
  const large = { track: 2, box: [100, 0, 220, 120] };
  assert.equal(choice.update(faces(small, large), 0), "2");
  choice.choose("1");
  assert.equal(choice.update(faces(small, large), 100), "1");
  assert.equal(choice.update(faces(large), 200), "1", "away for a moment");
  assert.equal(choice.update(faces(large), 200 + CHOICE.keepMs), "2", "away for good");
  assert.equal(choice.update([], 5000), null);
});

test("a face chosen after it left is shown until it is released", () => {
  const choice = new FaceChoice();
  choice.update(faces({ track: 1 }), 0);
  choice.choose("2", { away: true });
  assert.equal(choice.update(faces({ track: 1 }), 100 + CHOICE.keepMs), "2");
  assert.equal(choice.away, true);
  choice.release();
  assert.equal(choice.update(faces({ track: 1 }), 200 + CHOICE.keepMs), "1");
  choice.choose("2", { away: true });
  assert.equal(choice.update(faces({ track: 1 }, { track: 2 }), 9000), "2", "it came back");
  assert.equal(choice.away, false);
});

test("every failure of a camera has words that say what to do", () => {
  const reasons = {
    NotAllowedError: "denied", NotFoundError: "none", NotReadableError: "busy",
    OverconstrainedError: "none", AbortError: "busy", SecurityError: "insecure", TypeError: "unknown",
  };
  for (const [name, reason] of Object.entries(reasons)) {
    assert.equal(reasonOf({ name }), reason, name);
    const error = new SourceError(reason);
    assert.ok(error.title && error.text && error.hint, reason);
  }
  assert.equal(reasonOf({ name: "OverconstrainedError" }, { chosen: true }), "gone");
  for (const reason of ["unplugged", "blank", "file", "unsupported"]) {
    assert.equal(new SourceError(reason).reason, reason);
  }
});

test("trouble, its end and the state of the workers are said in words", () => {
  assert.match(troubleText({ code: "worker_crashed" }), /stopped.*starting again/);
  assert.equal(troubleText({ code: "new_code", message: "The disk is full." }), "The disk is full.");
  assert.match(recoveryText("worker_crashed", 840), /started again. Reading again after 0.8 s/);
  assert.equal(recoveryText("rate_limited", 500), null);
  assert.equal(recoveryText("disconnected", null), "The connection is back.");
  assert.match(statusText({ reason: "workers_lost", workers: { ready: 1, total: 2 } }), /others go on/);
  assert.doesNotMatch(statusText({ reason: "workers_lost", workers: { ready: 0, total: 1 } }), /others/);
  assert.equal(statusText({ reason: null }), null);
});

test("the picture in one sentence", () => {
  const [happy, doubt] = faces({ label: "happy" }, { label: "uncertain", track: 2 });
  assert.equal(spokenText([], null), "No face in the picture.");
  assert.equal(spokenText([happy], happy), "One face. Happy.");
  assert.match(spokenText([], null, { dark: true }), /dark: more light/);
  assert.match(spokenText([happy, doubt], null), /^2 faces. The chosen one is not in view/);
  assert.match(spokenText([happy, doubt], doubt), /^2 faces. The chosen one: Unclear. Perhaps/);
});

test("the screen reader is told changes only, at most every three seconds, the last one always", () => {
  const said = [];
  const throttled = new Throttled((text) => said.push(text), 3000);
  throttled.offer("a", 0);
  throttled.offer("b", 500);
  throttled.offer("c", 1000);
  throttled.tick(2900);
  assert.deepEqual(said, ["a"]);
  throttled.tick(3000);
  throttled.offer("c", 9000);
  assert.deepEqual(said, ["a", "c"]);
});

test("a lasting notice stays, its settling is shown long enough to be read", () => {
  const shown = [];
  const notice = new Notice((next) => shown.push(next?.text ?? null));
  notice.lasting("broken");
  notice.passing("aside", 0);
  notice.tick(60_000);
  assert.equal(notice.shown.text, "broken");
  notice.settle("mended", 60_000);
  notice.tick(65_000);
  assert.equal(notice.shown.text, "mended");
  notice.tick(66_000);
  assert.deepEqual(shown, ["broken", "mended", null]);
});

test("the rate is that of the last seconds", () => {
  const meter = new RateMeter(2000);
  for (let ms = 0; ms <= 4000; ms += 50) meter.mark(ms);
  assert.ok(Math.abs(meter.rate(4000) - 20) < 1);
  assert.equal(meter.rate(9000), 0);
});
