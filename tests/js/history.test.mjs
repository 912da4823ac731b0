import assert from "node:assert/strict";
import { test } from "node:test";
import { EMOTIONS } from "../../static/js/lib/emotions.js";
import { History, HISTORY, STACK } from "../../static/js/live/history.js";
import { parseResult } from "../../static/js/lib/protocol.js";
import { summary } from "../../static/js/lib/words.js";
import { wireFace, wireResult } from "./support.mjs";

const face = (options) => parseResult(wireResult(1, [wireFace(options)])).faces[0];

function recorded(parts, step = 100) {
  const history = new History();
  let ms = 0;
  for (const [options, duration] of parts) {
    for (let end = ms + duration; ms < end; ms += step) if (options) history.add(face(options), ms);
  }
  return { history, ms };
}

test("the stack holds every emotion once", () => {
  assert.deepEqual([...STACK].sort(), [...EMOTIONS].sort());
});

test("columns are running sums that end at 1, in seconds before now", () => {
  const { history, ms } = recorded([[{ label: "happy", confidence: 0.7 }, 2000]]);
  const columns = history.columns(ms);
  assert.equal(columns.length, 8);
  assert.ok(columns[0].every((x) => x <= 0 && x >= -2.1));
  columns[7].forEach((sum) => assert.ok(Math.abs(sum - 1) < 1e-6));
  columns[6].forEach((sum) => assert.ok(Math.abs(sum - 0.3) < 1e-6, "happy is on top"));
});

test("time without a face is a gap, not a line across it", () => {
  const { history, ms } = recorded([[{}, 1000], [null, 3000], [{}, 1000]]);
  assert.equal(history.columns(ms)[1].filter((y) => y === null).length, 1);
  const short = recorded([[{}, 1000], [null, HISTORY.gapMs / 2], [{}, 1000]]);
  assert.equal(short.history.columns(short.ms)[1].includes(null), false);
});

test("a run lasts until the next one begins, also on a slow line, and a long silence is a gap", () => {
  const history = new History();
  history.add(face({ label: "happy" }), 0);
  history.add(face({ label: "sad" }), 2000, true);
  history.add(face({ label: "sad" }), 4000, true);
  history.add(face({ label: "sad" }), 4000 + HISTORY.joinedGapMs + 200, true);
  assert.deepEqual(history.runs().map(({ label, fromMs, toMs }) => [label, fromMs, toMs]), [
    ["happy", 0, 2000], ["sad", 2000, 4200], ["sad", 8200, 8400],
  ]);
  assert.equal(history.columns(9000)[1].filter((y) => y === null).length, 1);
});

test("only the last minute is kept, in a bounded number of bins", () => {
  const { history, ms } = recorded([[{}, 90_000]], 20);
  const [x] = history.columns(ms);
  assert.ok(x[0] >= -61);
  assert.ok(x.length <= HISTORY.spanMs / HISTORY.binMs + 2);
});

test("shares of time by label, doubt and bad pictures as unclear", () => {
  const { history } = recorded([
    [{ label: "happy" }, 6000],
    [{ label: "uncertain", confidence: 0.3 }, 2000],
    [{ label: "angry", quality: { ok: false, advice: "Come closer." } }, 2000],
  ]);
  const shares = history.shares();
  assert.deepEqual(shares.map(({ label }) => label), ["happy", "uncertain"]);
  assert.ok(Math.abs(shares[0].share - 0.6) < 1e-9);
  assert.equal(summary(shares), "Happy 60 %, unclear 40 %");
  assert.equal(summary([]), "");
});

test("runs of one label", () => {
  const { history } = recorded([[{ label: "happy" }, 5000], [{ label: "sad" }, 1000]]);
  assert.deepEqual(history.runs(), [
    { label: "happy", fromMs: 0, toMs: 5000 },
    { label: "sad", fromMs: 5000, toMs: 6000 },
  ]);
});
