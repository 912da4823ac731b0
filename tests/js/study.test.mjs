import assert from "node:assert/strict";
import { test } from "node:test";
import { EMOTIONS } from "../../static/js/lib/emotions.js";
import { ApiError } from "../../static/js/lib/http.js";
import { parseResult } from "../../static/js/lib/protocol.js";
import { BatchQueue, BATCHES } from "../../static/js/study/batches.js";
import { advice, CameraCheck, CHECK, points } from "../../static/js/study/checks.js";
import { StimulusClock, takenMs } from "../../static/js/study/clock.js";
import { nextStep, secondsOf } from "../../static/js/study/flow.js";
import { linesOf } from "../../static/js/study/question-editor.js";
import { receiptText } from "../../static/js/study/receipt.js";
import { clock, differenceText, interval, momentText, partLabel, partValue, stepAt, strongest } from "../../static/js/study/report-data.js";
import { FakeClock, settle, wireFace, wireResult } from "./support.mjs";

// --- the time of the stimulus

test("a camera picture belongs to the film picture that was on screen when it was taken", () => {
  const film = new StimulusClock();
  film.shown(1000, 0);
  film.shown(1040, 40);
  film.shown(1080, 80);
  assert.equal(film.at(990), null, "before the first");
  assert.equal(film.at(1000), 0);
  assert.equal(film.at(1059), 59);
  assert.equal(film.at(1100), 100);
});

test("a film that waits for the line does not run on", () => {
  const film = new StimulusClock();
  film.shown(1000, 0);
  film.shown(1040, 40);
  film.halt(1060); // "waiting"
  assert.equal(film.at(1050), 50);
  assert.equal(film.at(1070), null);
  film.shown(3000, 80);
  assert.equal(film.at(2990), null);
  assert.equal(film.at(3010), 90);
});

test("a late picture holds the time of the one before back", () => {
  const film = new StimulusClock();
  film.shown(1000, 0);
  film.shown(1500, 40); // it stuttered: for half a second the first picture stayed
  assert.equal(film.at(1020), 20);
  assert.equal(film.at(1400), 40, "never past the picture that came next");
});

test("nothing is guessed long after the last known picture of a film; a still picture runs on", () => {
  const film = new StimulusClock();
  film.shown(1000, 0);
  assert.equal(film.at(2001), null);
  const picture = new StimulusClock({ mostMs: Infinity });
  picture.shown(1000, 0);
  assert.equal(picture.at(6000), 5000);
  picture.halt(6000);
  picture.halt(6500);
  assert.equal(picture.at(7000), null);
  picture.shown(9000, 5000);
  assert.equal(picture.at(9100), 5100);
});

test("going back in the film is followed", () => {
  const film = new StimulusClock();
  film.shown(1000, 5000);
  film.halt(1100);
  film.shown(2000, 0);
  assert.equal(film.at(1050), 5050);
  assert.equal(film.at(2020), 20);
});

test("old marks are dropped, and later ones stay right", () => {
  const film = new StimulusClock();
  for (let ms = 0; ms <= 60_000; ms += 40) film.shown(ms, ms);
  assert.equal(film.at(59_999), 59_999);
  assert.equal(film.at(55_010), 55_010);
  assert.equal(film.at(10), null);
});

test("the camera's own time is believed where it can be true", () => {
  assert.equal(takenMs(1000, 930), 930);
  assert.equal(takenMs(1000, undefined), 1000);
  assert.equal(takenMs(1000, 1001), 1000, "in the future");
  assert.equal(takenMs(10_000, 3), 10_000, "another clock");
});

// --- batches

function queueRig(answers, more = {}) {
  const time = new FakeClock();
  const it = { time, sent: [], kept: [], gone: [] };
  it.queue = new BatchQueue({
    setTimer: time.setTimer,
    clearTimer: time.clearTimer,
    send: async (batch) => {
      it.sent.push({ seq: batch.seq, stimulus: batch.stimulus, samples: batch.samples.map((sample) => sample.t_ms) });
      const answer = answers.shift() ?? { acknowledged: batch.seq };
      if (answer instanceof Error) throw answer;
      return answer;
    },
    keep: (state) => it.kept.push(structuredClone(state)),
    onGone: (error) => it.gone.push(error.status),
    ...more,
  });
  return it;
}

const away = () => new ApiError("away");

test("samples of a second make one batch, and each stimulus has its own", async () => {
  const it = queueRig([]);
  for (const t_ms of [0, 100, 200]) it.queue.add("a", { t_ms });
  assert.equal(it.queue.pending, 3);
  assert.deepEqual(it.sent, []);
  await it.time.advance(BATCHES.everyMs);
  assert.deepEqual(it.sent, [{ seq: 1, stimulus: "a", samples: [0, 100, 200] }]);
  it.queue.add("a", { t_ms: 300 });
  it.queue.add("b", { t_ms: 0 });
  await it.queue.settled();
  assert.deepEqual(it.sent.slice(1).map(({ seq, stimulus }) => [seq, stimulus]), [[2, "a"], [3, "b"]]);
  assert.equal(it.queue.pending, 0);
});

test("a batch is sent again until it is acknowledged, and none overtakes it", async () => {
  const it = queueRig([away(), away(), { acknowledged: 1 }]);
  it.queue.add("a", { t_ms: 0 });
  await it.time.advance(1000);
  it.queue.add("a", { t_ms: 1000 });
  await it.time.advance(60_000);
  assert.deepEqual(it.sent.map(({ seq }) => seq), [1, 1, 1, 2]);
  assert.equal(it.queue.pending, 0);
});

test("a line that is back does not wait out a back-off", async () => {
  const it = queueRig([away()]);
  it.queue.add("a", { t_ms: 0 });
  it.queue.cut();
  await settle();
  assert.equal(it.sent.length, 1);
  it.queue.hurry();
  await settle();
  assert.equal(it.queue.pending, 0);
});

test("what was not acknowledged survives a reload, and what was does not come twice", async () => {
  const before = queueRig([away(), away(), away()]);
  before.queue.add("a", { t_ms: 0 });
  before.queue.cut();
  before.queue.add("a", { t_ms: 1000 });
  before.queue.cut();
  await settle();
  const kept = before.kept.at(-1);
  assert.deepEqual(kept.waiting.map(({ seq }) => seq), [1, 2]);
  // the first had arrived all the same: the answer was lost on the way
  const after = queueRig([], { kept, acknowledged: 1 });
  await after.queue.settled();
  assert.deepEqual(after.sent, [{ seq: 2, stimulus: "a", samples: [1000] }]);
});

test("a gap is closed as the server says", async () => {
  const gap = new ApiError("gap", { status: 409, detail: { expected: 5 } });
  const it = queueRig([gap]);
  it.queue.add("a", { t_ms: 7 });
  it.queue.cut();
  await settle();
  await it.time.advance(60_000);
  assert.deepEqual(it.sent.map(({ seq }) => seq), [1], "what lies before it is written already");
  it.queue.add("a", { t_ms: 8 });
  it.queue.cut();
  await settle();
  assert.deepEqual(it.sent.at(-1), { seq: 5, stimulus: "a", samples: [8] });
});

test("after a withdrawal nothing more is sent or kept", async () => {
  const it = queueRig([new ApiError("gone", { status: 401 })]);
  it.queue.add("a", { t_ms: 0 });
  it.queue.cut();
  await settle();
  assert.deepEqual(it.gone, [401]);
  it.queue.add("a", { t_ms: 1 });
  await it.queue.settled();
  assert.equal(it.sent.length, 1);
  assert.deepEqual(it.kept.at(-1), { waiting: [] });
});

test("no batch is larger than the server takes", async () => {
  const it = queueRig([]);
  for (let i = 0; i < BATCHES.samples + 5; i += 1) it.queue.add("a", { t_ms: i });
  await it.queue.settled();
  assert.deepEqual(it.sent.map(({ samples }) => samples.length), [BATCHES.samples, 5]);
});

// --- the way through

const order = (...shown) => shown.map((done, i) => ({ id: `s${i}`, kind: "video", duration_ms: 10_000, show_ms: null, shown: done }));
const question = (id) => ({ id, kind: "text", text: id, required: true });

test("questions, stimuli, questions, end", () => {
  const questions = { before: [question("a")], after: [question("b")] };
  const state = { state: "started", questions, answers: {}, order: order(false, false) };
  assert.deepEqual(nextStep(state, {}), { step: "before" });
  state.answers = { a: "x" };
  assert.deepEqual(nextStep(state, {}), { step: "watch", index: 0 });
  state.order[0].shown = true;
  assert.deepEqual(nextStep(state, {}), { step: "watch", index: 1 });
  state.order[1].shown = true;
  assert.deepEqual(nextStep(state, {}), { step: "after" });
  assert.deepEqual(nextStep(state, { after: true }), { step: "finish" }, "answers that are not needed were left out");
  assert.deepEqual(nextStep({ ...state, state: "finished" }, {}), { step: "end" });
});

test("who watched already is not asked what comes before", () => {
  const state = { state: "started", questions: { before: [question("a")], after: [] }, answers: {}, order: order(true, false) };
  assert.deepEqual(nextStep(state, {}), { step: "watch", index: 1 });
  assert.equal(secondsOf(state.order, 1000), 22);
});

// --- the camera check

const read = (faces, sample) => parseResult({ ...wireResult(1, faces.map(wireFace)), sample: { face: "one", quality: true, scores: null, ...sample } });
const good = { box: [240, 140, 400, 320] };

test("the first thing to do is said first", () => {
  assert.equal(advice(read([good]), false), null);
  assert.match(advice(read([good]), true), /light/);
  assert.match(advice(read([]), false), /No face/);
  assert.match(advice(read([good, { box: [10, 10, 60, 60] }]), false), /More than one/);
  assert.match(advice(read([{ box: [300, 200, 340, 250] }]), false), /closer/);
  assert.match(advice(read([{ box: [100, 0, 540, 470] }]), false), /back/);
  assert.match(advice(read([{ box: [0, 140, 160, 320] }]), false), /middle/);
  assert.match(advice(read([good], { face: "turned" }), false), /Look at the screen/);
  const poor = { ...good, quality: { ok: false, advice: "More light from the front." } };
  assert.equal(advice(read([poor]), false), "More light from the front.");
});

test("what cannot be told without a face is not told", () => {
  assert.deepEqual(points(read([]), false), { light: true, face: false, size: null, facing: null });
  assert.deepEqual(points(read([good]), false), { light: true, face: true, size: true, facing: true });
});

test("good for a while passes and stays; after a minute one may go on", () => {
  const check = new CameraCheck();
  assert.equal(check.update(true, 0).passed, false);
  assert.equal(check.update(false, 1000).passed, false);
  assert.equal(check.update(true, 1200).mayGoOn, false);
  assert.equal(check.update(true, 1200 + CHECK.goodMs).passed, true);
  assert.equal(check.update(false, 9000).passed, true);
  const dark = new CameraCheck();
  dark.update(false, 0);
  assert.equal(dark.update(false, CHECK.mostMs - 1).mayGoOn, false);
  assert.deepEqual(dark.update(false, CHECK.mostMs), { passed: false, mayGoOn: true, seconds: 60 });
});

// --- receipt, form and report

test("a receipt says what was agreed to, when, and how to take it back", () => {
  const text = receiptText({
    name: "Film", contact: "Mira", at: new Date("2026-01-02T03:04:05Z"), code: "AAAA-BBBB",
    notice: { text: "The notice.", version: 3, sha256: "abc" }, page: "https://mien.example/withdraw",
  });
  for (const part of ["Film", "Mira", "2026-01-02 03:04:05 UTC", "version 3", "abc", "AAAA-BBBB", "https://mien.example/withdraw", "The notice."]) {
    assert.ok(text.includes(part), part);
  }
  assert.deepEqual(linesOf(" one \n\n two"), ["one", "two"]);
});

test("the step of a moment, and a moment in words", () => {
  assert.deepEqual([-5, 0, 249, 250, 600, 9000].map((ms) => stepAt([0, 250, 500], ms)), [0, 0, 0, 1, 2, 2]);
  assert.deepEqual([0, 7549, 59_960, 61_000].map(clock), ["0:00.0", "0:07.5", "1:00.0", "1:01.0"]);
  assert.equal(interval(0.5, 0.77), "50 % to 77 %");
  assert.equal(interval(null, null), "");
  const moment = { kind: "peak", emotion: "happy", t_ms: 13_000, value: 0.64 };
  assert.equal(momentText(moment), "Happy rises to 64 % at 0:13.0");
});

test("the expressions that say most are shown first", () => {
  const flat = (value) => ({ mean: [value, null, value] });
  const curves = (given) => Object.fromEntries(EMOTIONS.map((emotion) => [emotion, flat(given[emotion] ?? 0.01)]));
  assert.deepEqual(strongest(curves({ angry: 0.05, happy: 0.7, surprise: 0.3, neutral: 0.9 })), ["happy", "surprise"]);
  assert.deepEqual(strongest(curves({ angry: 0.05 })), ["angry"]);
});

test("a difference names its stimuli, its measure and both values", () => {
  const row = { measure: "happy", first: 0.31, second: 0.12, groups: ["Advert A", "Advert B"] };
  assert.equal(differenceText(row), "Happy: 31 % at Advert A, 12 % at Advert B");
  const valence = { ...row, measure: "valence", first: 0.2, second: -0.05 };
  assert.equal(differenceText(valence), "Valence: +0.20 at Advert A, −0.05 at Advert B");
});

test("the device has words, everything else is what the researcher or the panel wrote", () => {
  assert.equal(partLabel({ key: "column:device", label: "device" }), "Device");
  assert.equal(partLabel({ key: "device", label: "Which device?" }), "Which device?");
  assert.deepEqual(["phone", "desktop", "tv"].map((value) => partValue("column:device", value)), ["Phone", "Computer", "tv"]);
  assert.equal(partValue("column:market", "phone"), "phone");
});
