import assert from "node:assert/strict";
import { test } from "node:test";
import { iou } from "../../static/js/lib/geometry.js";
import { MOTION, MotionField } from "../../static/js/lib/face-motion.js";
import { parseResult } from "../../static/js/lib/protocol.js";
import { wireFace, wireResult } from "./support.mjs";

const LATENCY = 60;

function result(x, { track = 1, y = 100, side = 100 } = {}) {
  return parseResult(wireResult(1, [wireFace({ track, box: [x, y, x + side, y + side] })]));
}

/** Feeds a face moving at `speed` px/ms every `step` ms; returns the field and the time. */
function follow(speed, { step = 50, count = 40, field = new MotionField() } = {}) {
  let now = 0;
  for (let i = 0; i < count; i += 1) {
    now = i * step + LATENCY;
    field.update(result(50 + speed * i * step), i * step, now);
  }
  return { field, now };
}

test("a box runs ahead of its result by its own speed", () => {
  const speed = 0.15;
  const { field, now } = follow(speed);
  const later = now + 25;
  const truth = 50 + speed * later;
  const [{ box }] = field.at(later);
  assert.ok(Math.abs(box[0] - truth) < 3, `drawn at ${box[0]}, the face is at ${truth}`);
  const behind = speed * (LATENCY + 25);
  assert.ok(behind > 10, "without running ahead it would be this far behind");
});

test("nothing jumps when a result arrives", () => {
  const { field, now } = follow(0.15);
  const at = now + 40;
  const [before] = field.at(at);
  field.update(result(before.box[0] - 22), at - LATENCY, at);
  const [after] = field.at(at);
  assert.ok(Math.abs(after.box[0] - before.box[0]) < 0.5);
  const [settled] = field.at(at + 250);
  assert.ok(Math.abs(settled.box[0] - before.box[0]) > 5, "but it does move on to the new place");
});

test("a face that stands still does not tremble on", () => {
  const { field, now } = follow(0);
  const places = [0, 10, 20, 30].map((ms) => field.at(now + ms)[0].box[0]);
  assert.ok(Math.max(...places) - Math.min(...places) < 0.01);
});

test("a box never runs away when results stop", () => {
  const { field, now } = follow(0.5);
  const [{ box }] = field.at(now + 400);
  const last = 50 + 0.5 * 39 * 50;
  assert.ok(box[0] - last <= 0.55 * MOTION.leadMostMs, `${box[0] - last} px ahead`);
});

test("a face that the newest result lacks is gone at once: no ghost box", () => {
  const { field, now } = follow(0);
  field.update(parseResult(wireResult(9, [])), now, now + 50);
  assert.equal(field.at(now + 50 + MOTION.goneMs).length, 0);
});

test("boxes fade when results stop, and stay away", () => {
  const { field, now } = follow(0);
  assert.equal(field.at(now)[0].opacity, 1);
  const fading = field.at(now - LATENCY + MOTION.fadeFromMs + MOTION.fadeMs / 2);
  assert.ok(fading[0].opacity > 0.3 && fading[0].opacity < 0.7);
  assert.equal(field.at(now + MOTION.fadeFromMs + MOTION.fadeMs).length, 0);
  assert.equal(field.at(now).length, 0, "what was forgotten does not come back");
});

test("a track that turns up elsewhere is drawn there, not flown across", () => {
  const { field, now } = follow(0);
  field.update(result(400), now, now + 50);
  assert.ok(iou(field.at(now + 50)[0].box, [400, 100, 500, 200]) > 0.95);
});

test("tracks keep apart, and another frame size starts afresh", () => {
  const field = new MotionField();
  const two = [wireFace({ track: 1 }), wireFace({ track: 7, box: [300, 100, 380, 180] })];
  field.update(parseResult(wireResult(1, two)), 0, 50);
  assert.deepEqual(field.at(50).map(({ key }) => key), ["1", "7"]);
  field.update(parseResult(wireResult(2, [], { width: 480, height: 640 })), 50, 100);
  assert.equal(field.at(100).length, 0);
  assert.deepEqual({ ...field.frame }, { width: 480, height: 640 });
});

test("with reduced motion boxes step from result to result", () => {
  const { field, now } = follow(0.3, { field: new MotionField({ reduced: true }) });
  assert.deepEqual(field.at(now + 10)[0].box, field.at(now + 60)[0].box);
});
