import assert from "node:assert/strict";
import { test } from "node:test";
import { EMOTIONS } from "../../static/js/lib/emotions.js";
import { parseAck, parseHello, parseResult, parseStatus, ProtocolError } from "../../static/js/lib/protocol.js";
import { wireFace, wireResult } from "./support.mjs";

const refuses = (call, path) =>
  assert.throws(call, (error) => error instanceof ProtocolError && error.path === path);

test("a result keeps boxes, labels and the seven scores in order", () => {
  const parsed = parseResult(wireResult(12, [wireFace({ box: [1, 2, 30, 40], label: "sad", confidence: 0.64 })]));
  assert.equal(parsed.seq, 12);
  assert.deepEqual(parsed.faces[0].box, [1, 2, 30, 40]);
  assert.equal(parsed.faces[0].scores[EMOTIONS.indexOf("sad")], 0.64);
  assert.equal(parsed.faces[0].scores.length, 7);
});

test("uncertain is a label, advice is kept, no face is a result", () => {
  const face = wireFace({ label: "uncertain", quality: { ok: false, advice: "Come closer." } });
  const parsed = parseResult(wireResult(1, [face]));
  assert.equal(parsed.faces[0].label, "uncertain");
  assert.deepEqual(parsed.faces[0].quality, { ok: false, advice: "Come closer." });
  assert.deepEqual(parseResult(wireResult(2, [])).faces, []);
});

test("what is not a result is refused with the path of the bad value", () => {
  refuses(() => parseResult(null), "result");
  refuses(() => parseResult({ ...wireResult(1), faces: "many" }), "result.faces");
  refuses(() => parseResult({ ...wireResult(1), seq: "1" }), "result.seq");
  refuses(() => parseResult(wireResult(1, [wireFace(), wireFace({ box: [5, 5, 5, 9] })])), "result.faces[1].box");
  refuses(() => parseResult(wireResult(1, [wireFace({ box: [0, 0, NaN, 9] })])), "result.faces[0].box[2]");
  refuses(() => parseResult(wireResult(1, [{ ...wireFace(), label: "bored" }])), "result.faces[0].label");
  const lacking = wireFace();
  delete lacking.scores.fear;
  refuses(() => parseResult(wireResult(1, [lacking])), "result.faces[0].scores.fear");
});

test("an acknowledgement is a result or an error in the one shape", () => {
  assert.equal(parseAck(wireResult(3)).result.seq, 3);
  const failed = parseAck({ error: { code: "worker_crashed", message: "gone", detail: { a: 1 } } });
  assert.deepEqual(failed, { ok: false, error: { code: "worker_crashed", message: "gone", detail: { a: 1 } } });
  refuses(() => parseAck({ error: "gone" }), "ack.error");
  refuses(() => parseAck(undefined), "ack");
});

test("hello gives the limits and refuses another set of emotions", () => {
  const hello = { model: "m", limits: { max_frame_bytes: 900000, max_fps: 40 }, emotions: [...EMOTIONS], session: "s" };
  assert.deepEqual(parseHello(hello).limits, { maxFrameBytes: 900000, maxFps: 40 });
  assert.equal(parseHello({ ...hello, model: "" }).model, null);
  refuses(() => parseHello({ ...hello, emotions: [...EMOTIONS].reverse() }), "hello.emotions");
  refuses(() => parseHello({ ...hello, limits: { max_fps: 40 } }), "hello.limits.max_frame_bytes");
});

test("a status tells the reason, the workers and the model", () => {
  const parsed = parseStatus({ reason: "workers_lost", model: "m", workers: { ready: 0, total: 1 } });
  assert.deepEqual(parsed, { reason: "workers_lost", model: "m", message: null, workers: { ready: 0, total: 1 } });
  assert.equal(parseStatus({ workers: 3 }).workers, null);
  refuses(() => parseStatus("lost"), "status");
});
