import assert from "node:assert/strict";
import { test } from "node:test";
import { Sender, SENDER, TransmitError } from "../../static/js/live/sender.js";
import { FakeClock, settle, wireResult } from "./support.mjs";

/** A sender whose frames are answered by hand: rig.answer(ack) or rig.reject(error). */
function rig({ sizes = () => 20_000, connected = true } = {}) {
  const clock = new FakeClock();
  const it = { clock, connected, sent: [], captures: [], results: [], errors: [], recoveries: [], waiting: [] };
  it.sender = new Sender({
    ...clock,
    capture: async (wanted) => {
      it.captures.push(wanted);
      return { bytes: new ArrayBuffer(sizes(wanted)), width: 640, height: 480, capturedMs: clock.ms, epochMs: 1e12 + clock.ms };
    },
    transmit: (meta, bytes) => {
      it.sent.push({ ...meta, size: bytes.byteLength, atMs: clock.ms });
      return new Promise((resolve, reject) => it.waiting.push({ resolve, reject }));
    },
    ready: () => it.connected,
    onResult: (result, { capturedMs }) => it.results.push({ seq: result.seq, capturedMs }),
    onError: (error) => it.errors.push(error.code),
    onRecover: (how) => it.recoveries.push(how),
  });
  it.answer = async (ack) => {
    it.waiting.shift().resolve(ack ?? wireResult(it.sent.at(-1).seq));
    await settle();
  };
  it.fail = async (code, detail = {}) => it.answer({ error: { code, message: code, detail } });
  it.reject = async (code) => {
    it.waiting.shift().reject(new TransmitError(code, code));
    await settle();
  };
  it.frame = async () => {
    it.sender.frameAvailable();
    await settle();
  };
  it.sender.start();
  return it;
}

test("one frame is under way at a time, and the newest picture follows the answer", async () => {
  const it = rig();
  await it.frame();
  assert.equal(it.sent.length, 1);
  for (const ms of [50, 50, 50]) {
    await it.clock.advance(ms);
    await it.frame();
  }
  assert.equal(it.sent.length, 1, "nothing is sent while a frame is under way");
  await it.answer();
  assert.equal(it.sent.length, 2, "the newest is sent at once");
  assert.equal(it.sent[1].captured_ms - 1e12, 150);
  assert.deepEqual(it.sent.map(({ seq }) => seq), [1, 2]);
  assert.equal(it.sender.stats.dropped, 2, "two older pictures were replaced");
  assert.deepEqual(it.results, [{ seq: 1, capturedMs: 0 }]);
});

test("frames are sent at the target rate and not faster", async () => {
  const it = rig();
  for (let ms = 0; ms < 1000; ms += 1000 / 60) {
    await it.frame();
    while (it.waiting.length) await it.answer();
    await it.clock.advance(1000 / 60);
  }
  assert.ok(it.sent.length >= 28 && it.sent.length <= 32, `${it.sent.length} frames in a second`);
  assert.equal(it.sender.stats.dropped, 0, "leaving out frames above the rate is no loss");
});

test("the server's limits lower the rate", async () => {
  const it = rig();
  it.sender.setLimits({ maxFrameBytes: 900_000, maxFps: 10 });
  assert.ok(it.sender.fps < 10);
});

test("frames above the byte limit are encoded again with less quality, then smaller", async () => {
  const it = rig({ sizes: ({ quality, scale }) => 100_000 * quality * scale * scale });
  it.sender.setLimits({ maxFrameBytes: 20_000, maxFps: 40 });
  await it.frame();
  assert.equal(it.sent.length, 1);
  assert.ok(it.sent[0].size <= 20_000);
  assert.equal(it.captures.at(-1).quality, SENDER.qualityLeast);
  assert.ok(it.captures.at(-1).scale < 1);
});

test("a limit that no frame can meet is an error in words, not an endless loop", async () => {
  const it = rig();
  it.sender.setLimits({ maxFrameBytes: 10, maxFps: 40 });
  await it.frame();
  assert.deepEqual(it.errors, ["payload_too_large"]);
  assert.equal(it.sent.length, 0);
});

test("errors are retried with growing pauses that stay below two seconds", async () => {
  const it = rig();
  await it.frame();
  for (let i = 0; i < 7; i += 1) {
    await it.fail("inference_unavailable");
    await it.frame();
    await it.clock.advance(SENDER.backoffMostMs);
  }
  const waits = it.sent.slice(1).map(({ atMs }, i) => atMs - it.sent[i].atMs);
  assert.ok(waits[0] >= SENDER.backoffFirstMs);
  assert.ok(Math.max(...waits) < 2000);
  await it.answer();
  assert.equal(it.recoveries.length, 1);
  assert.equal(it.recoveries[0].failures, 7);
});

test("an answer that does not come, or a lost connection, is not the end", async () => {
  const it = rig();
  await it.frame();
  await it.reject("ack_timeout");
  assert.deepEqual(it.errors, ["ack_timeout"]);
  it.connected = false;
  await it.frame();
  await it.clock.advance(5000);
  assert.equal(it.sent.length, 1, "nothing is sent without a connection");
  it.connected = true;
  it.sender.reconnected();
  await settle();
  assert.equal(it.sent.length, 2);
});

test("answers of another frame or shape are protocol errors", async () => {
  const it = rig();
  await it.frame();
  await it.answer(wireResult(99));
  await it.frame();
  await it.clock.advance(1000);
  await it.answer({ seq: 2, faces: "many" });
  assert.deepEqual(it.errors, ["protocol", "protocol"]);
  assert.deepEqual(it.results, []);
});

test("a server that asks for fewer frames gets fewer", async () => {
  const it = rig();
  const before = it.sender.fps;
  await it.frame();
  await it.fail("rate_limited", { retry_after_ms: 700 });
  await it.frame();
  await it.clock.advance(690);
  assert.equal(it.sent.length, 1);
  await it.clock.advance(20);
  assert.equal(it.sent.length, 2);
  assert.ok(it.sender.fps < before);
});

test("after stop a late answer is ignored and nothing more is sent", async () => {
  const it = rig();
  await it.frame();
  it.sender.stop();
  await it.answer();
  await it.frame();
  await it.clock.advance(1000);
  assert.deepEqual(it.results, []);
  assert.equal(it.sent.length, 1);
  it.sender.start();
  await it.frame();
  assert.equal(it.sent.length, 2);
  assert.equal(it.sent[1].seq, 2, "numbers go on, as the server demands");
});
