import assert from "node:assert/strict";
import { test } from "node:test";
import { describeBaseline } from "../../static/js/live/baseline.js";
import { parseResult } from "../../static/js/lib/protocol.js";
import { scores, wireFace, wireResult } from "./support.mjs";

const at = (state, more) => describeBaseline({ state, progress: 0, remainingS: 0, trouble: null, ...more });

test("the count, its troubles and its end are told in words", () => {
  assert.match(at("measuring", { remainingS: 6.2 }).text, /7 s to go/);
  assert.equal(at("measuring").action, "cancel");
  assert.match(at("measuring", { trouble: "several_faces" }).text, /Only one person/);
  assert.match(at("measuring", { trouble: "no_face" }).text, /No face/);
  assert.match(at("measuring", { trouble: "hard_to_read" }).text, /light/);
  assert.match(at("failed", { trouble: "left" }).text, /left the picture/);
  assert.equal(at("active").action, "reset");
  assert.deepEqual([at("none").text, at("none").action], ["", "start"]);
});

test("a result carries the baseline and the scores without it", () => {
  const face = { ...wireFace(), unadjusted: scores("sad", 0.6) };
  const baseline = { state: "active", progress: 1, remaining_s: 0, trouble: null, track: 1 };
  const result = parseResult({ ...wireResult(1, [face]), baseline });
  assert.equal(result.baseline.state, "active");
  assert.equal(result.faces[0].unadjusted[4], 0.6);
  assert.equal(parseResult(wireResult(2)).baseline, null);
  assert.throws(() => parseResult({ ...wireResult(3), baseline: { state: 4 } }), /baseline.state/);
});
