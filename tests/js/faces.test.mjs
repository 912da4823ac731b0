// Several people: numbers, colours and lanes of their own.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FACE_COLOURS, faceColour } from "../../static/js/lib/face-tag.js";
import { FacesSeen, SEEN } from "../../static/js/live/faces-seen.js";
import { HISTORY } from "../../static/js/live/history.js";
import { LIGHT, meanLight, watchLight } from "../../static/js/live/picture-light.js";
import { parseResult } from "../../static/js/lib/protocol.js";
import { laneWords } from "../../static/js/lib/words.js";
import { wireFace, wireResult } from "./support.mjs";

const faces = (...list) => parseResult(wireResult(1, list.map(wireFace))).faces;

/** Shows the faces of `tracks` from `fromMs` to `toMs`, ten times a second. */
function show(seen, tracks, fromMs, toMs, label = "happy") {
  for (let ms = fromMs; ms <= toMs; ms += 100) {
    seen.update(faces(...tracks.map((track) => ({ track, label }))), ms);
  }
}

const lanesOf = (seen, nowMs) => seen.lanes(nowMs).map(({ key, number, present }) => [key, number, present]);

test("faces have numbers and a last minute of their own", () => {
  const seen = new FacesSeen();
  show(seen, [14, 15], 0, 2000);
  assert.deepEqual(["14", "15", "16"].map((key) => seen.numberOf(key)), [1, 2, 0]);
  assert.deepEqual(lanesOf(seen, 2000), [["14", 1, true], ["15", 2, true]]);
  assert.equal(seen.historyOf("15").shares()[0].label, "happy");
  assert.equal(seen.historyOf("16"), null);
});

test("a face that left keeps lane and number until its minute has passed", () => {
  const seen = new FacesSeen();
  show(seen, [14, 15], 0, 2000);
  show(seen, [15], 2100, 30_000);
  show(seen, [15, 21], 30_100, 32_000);
  assert.deepEqual(lanesOf(seen, 32_000), [["14", 1, false], ["15", 2, true], ["21", 3, true]]);
  show(seen, [15, 21], 32_100, 2000 + SEEN.keepMs + 100);
  assert.deepEqual(lanesOf(seen, 2100 + SEEN.keepMs), [["15", 2, true], ["21", 3, true]]);
  show(seen, [15, 21, 22], 62_200, 64_000);
  assert.equal(seen.numberOf("22"), 1, "a number that is free is used again");
});

test("everybody's minute passes also while nobody is seen", () => {
  const seen = new FacesSeen();
  show(seen, [1, 2], 0, 2000);
  assert.equal(seen.lanes(40_000).length, 2);
  assert.deepEqual(seen.lanes(2001 + SEEN.keepMs), []);
});

test("what was there for a moment gets no lane, and its number is soon free", () => {
  const seen = new FacesSeen();
  show(seen, [1], 0, 2000);
  show(seen, [1, 2], 2100, 2500);
  show(seen, [1], 2600, 4200);
  assert.deepEqual(lanesOf(seen, 4200), [["1", 1, true]]);
  show(seen, [1, 3], 4300, 6000);
  assert.deepEqual(lanesOf(seen, 6000), [["1", 1, true], ["3", 2, true]]);
});

test("results that come late and far apart lose no face", () => {
  const seen = new FacesSeen();
  seen.update(faces({ track: 1 }, { track: 2 }), 0);
  assert.deepEqual(seen.lanes(2500), []);
  assert.deepEqual(["1", "2"].map((key) => seen.numberOf(key)), [1, 2]);
  seen.update(faces({ track: 2 }, { track: 1 }), 2600);
  assert.deepEqual(lanesOf(seen, 5000), [["1", 1, true], ["2", 2, true]]);
  assert.equal(seen.historyOf("1").runs().length, 1, "no gap where no result said so");
  seen.update(faces({ track: 1 }), 5000);
  seen.update(faces({ track: 1 }, { track: 2 }), 7600);
  assert.deepEqual(["1", "2"].map((key) => seen.historyOf(key).runs().length), [1, 2]);
});

test("a face missing from one result is not away yet", () => {
  const seen = new FacesSeen();
  show(seen, [1, 2], 0, 2000);
  show(seen, [1], 2100, 2500);
  assert.deepEqual(lanesOf(seen, 2500).map(([, , present]) => present), [true, true]);
});

test("of too many faces those in view have lanes first, then those seen last", () => {
  const seen = new FacesSeen();
  show(seen, [1], 0, 1000);
  show(seen, [2], 1100, 3000);
  const crowd = Array.from({ length: SEEN.mostLanes - 1 }, (_, i) => 10 + i);
  show(seen, crowd, 3100, 6000);
  const lanes = lanesOf(seen, 6000);
  assert.equal(lanes.length, SEEN.mostLanes);
  assert.deepEqual(lanes[0], ["2", 2, false]);
  assert.ok(lanes.slice(1).every(([, , present]) => present));
});

test("a new connection's first face is not taken for the first of the one before", () => {
  const seen = new FacesSeen();
  show(seen, [1, 2], 0, 2000);
  seen.retire();
  show(seen, [1], 4000, 6000);
  assert.deepEqual(lanesOf(seen, 6000).map(([, ...rest]) => rest), [[1, false], [2, false], [3, true]]);
  assert.equal(seen.numberOf("1"), 3);
});

test("eight colours, in turn", () => {
  const names = Array.from({ length: FACE_COLOURS }, (_, i) => faceColour(i + 1));
  assert.equal(new Set(names).size, FACE_COLOURS);
  assert.equal(faceColour(FACE_COLOURS + 1), faceColour(1));
  assert.equal(faceColour(0), faceColour(1));
});

test("a lane in words, gaps included and moments left out", () => {
  const run = (label, from, to) => ({ label, fromMs: 1000 * from, toMs: 1000 * to });
  const runs = [run("neutral", 0, 12), run("angry", 12, 12.4), run("neutral", 12.4, 14), run("happy", 20, 40)];
  assert.equal(laneWords(runs, 40_000), "Neutral 14 s, not seen 6 s, happy 20 s.");
  assert.equal(laneWords([run("happy", 0, 5)], 15_000), "Happy 5 s, not seen 10 s.");
  assert.equal(laneWords([run("sad", 0, 20)], 10_000 + HISTORY.spanMs), "Sad 10 s, not seen 50 s.");
  assert.equal(laneWords([run("sad", 0, 0.4)], 500), "Seen for a moment.");
});

test("the picture's light is looked at once a second", () => {
  assert.equal(meanLight([]), 0);
  assert.ok(Math.abs(meanLight([10, 20, 30, 255, 10, 20, 30, 255]) - 18.15) < 1e-9);
  const isDark = watchLight({ readyState: 0, videoWidth: 0 });
  assert.equal(isDark(0), false, "no picture is not a dark one");
  let level = 20;
  let looked = 0;
  globalThis.document = {
    createElement: () => ({
      getContext: () => ({
        drawImage: () => (looked += 1),
        getImageData: () => ({ data: [level, level, level, 255] }),
      }),
    }),
  };
  try {
    const watched = watchLight({ readyState: 4, videoWidth: 640 });
    assert.equal(watched(0), true);
    level = LIGHT.darkBelow + 1;
    assert.equal(watched(LIGHT.everyMs - 1), true);
    assert.equal(looked, 1);
    assert.equal(watched(LIGHT.everyMs), false);
  } finally {
    delete globalThis.document;
  }
});
