// The survey modules that need no page: grouping, the upload queue, words and face placement.
import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError, read } from "../../static/js/lib/http.js";
import { isSystemFile, placed } from "../../static/js/survey/collect.js";
import { placement } from "../../static/js/pages/survey-report.js";
import { UploadQueue, hashOf } from "../../static/js/survey/queue.js";

const file = (name, size = 10) => ({ name, size, lastModified: 1 });
const items = (...paths) => paths.map((path) => ({ path, file: file(path), group: "A" }));

function settled(queue) {
  return new Promise((resolve) => {
    const before = queue.onChange;
    queue.onChange = (state) => {
      before(state);
      if (!state.busy) resolve(state);
    };
  });
}

function makeQueue(options = {}) {
  const sent = [];
  const queue = new UploadQueue({
    check: async (files) => files.map(() => false),
    send: async (item) => { sent.push(item.path); return { status: "stored" }; },
    hash: async () => "00",
    waitMs: () => 0,
    ...options,
  });
  return { queue, sent };
}

test("each file is sent once, also when it is added twice", async () => {
  const { queue, sent } = makeQueue();
  const end = settled(queue);
  await Promise.all([queue.add(items("a", "b")), queue.add(items("b", "c"))]);
  const state = await end;
  assert.deepEqual(sent.sort(), ["a", "b", "c"]);
  assert.equal(state.done, 3);
});

test("what the server has is not sent", async () => {
  const { queue, sent } = makeQueue({ check: async (files) => files.map((f) => f.path === "a") });
  const end = settled(queue);
  await queue.add(items("a", "b"));
  const state = await end;
  assert.deepEqual(sent, ["b"]);
  assert.deepEqual([state.done, state.known, state.sent], [2, 1, 1]);
});

test("no more than `parallel` are under way", async () => {
  let now = 0;
  let most = 0;
  const { queue } = makeQueue({
    parallel: 3,
    send: async () => {
      now += 1;
      most = Math.max(most, now);
      await new Promise((resolve) => setImmediate(resolve));
      now -= 1;
    },
  });
  const end = settled(queue);
  await queue.add(items(..."abcdefghij"));
  await end;
  assert.equal(most, 3);
});

test("passing trouble is tried again, lasting trouble is listed and can be retried", async () => {
  let tries = 0;
  let broken = true;
  const { queue } = makeQueue({
    passing: (error) => error.passing,
    send: async (item) => {
      tries += 1;
      if (item.path === "a" && tries < 3) throw new ApiError("away");
      if (item.path === "b" && broken) throw new ApiError("no", { status: 409 });
    },
  });
  const said = [];
  const note = queue.onChange;
  queue.onChange = (now) => {
    said.push(now.trouble?.message ?? null);
    note(now);
  };
  let end = settled(queue);
  await queue.add(items("a"));
  assert.equal((await end).done, 1);
  assert.equal(tries, 3);
  assert.ok(said.includes("away"), "it says what it waits for");
  assert.equal(said.at(-1), null);
  end = settled(queue);
  await queue.add(items("b"));
  let state = await end;
  assert.equal(state.failed, 1);
  broken = false;
  end = settled(queue);
  queue.retry();
  state = await end;
  assert.deepEqual([state.failed, state.done], [0, 2]);
});

test("a paused queue starts nothing until it goes on", async () => {
  const { queue, sent } = makeQueue();
  queue.pause();
  const adding = queue.add(items("a"));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(sent, []);
  const end = settled(queue);
  queue.resume();
  await adding;
  await end;
  assert.deepEqual(sent, ["a"]);
});

test("files are hashed as the server hashes them", async () => {
  const known = { size: 3, arrayBuffer: async () => new TextEncoder().encode("abc").buffer };
  assert.equal(
    await hashOf(known),
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
  assert.equal(await hashOf(known, null), null);
});

test("folders become groups", () => {
  const groups = (paths, known = [], chosen = "") =>
    placed(items(...paths), known, chosen).map((item) => item.group);
  assert.deepEqual(groups(["Set/A/1.jpg", "Set/B/2.jpg"]), ["A", "B"]);
  assert.deepEqual(groups(["A/1.jpg", "B/x/2.jpg"]), ["A", "B"]);
  assert.deepEqual(groups(["Set/x/A/1.jpg", "Set/B/2.jpg"], ["A", "B"]), ["A", "B"]);
  assert.deepEqual(groups(["1.jpg"]), ["All pictures"]);
  assert.deepEqual(groups(["Set/A/1.jpg", "Set/notes.TXT", "Set/B/2.jpg"]), ["A", "A", "B"]);
  assert.deepEqual(groups(["order.xlsx", "A/1.jpg", "B/2.jpg", "papers/x.pdf"]), ["A", "A", "B", "A"]);
  assert.deepEqual(groups(["notes.txt", "x/more.txt"]), ["All pictures", "x"]);
  assert.deepEqual(groups(["1.jpg"], ["A", "B"]), ["A"]);
  assert.deepEqual(groups(["all.zip", "1.jpg", "A/b.zip"], ["A", "B"]), ["", "A", "A"]);
  assert.deepEqual(groups(["Set/A/1.jpg"], ["A", "B"], "B"), ["B"]);
});

test("what operating systems leave behind is passed over", () => {
  assert.ok(isSystemFile("a/.DS_Store"));
  assert.ok(isSystemFile("__MACOSX/a.jpg"));
  assert.ok(isSystemFile("a/._b.jpg"));
  assert.ok(!isSystemFile("a/b.jpg"));
  for (const path of ["a/@eaDir/b.jpg/T.jpg", "a/.picasa.ini", "a/Thumbs.db", "Icon\r"]) {
    assert.ok(isSystemFile(path), path);
  }
});

test("a face fills its tile with a margin", () => {
  const at = placement([100, 100, 200, 200], 400, 300, 0.5);
  assert.deepEqual(at, { width: 2, height: 1.5, left: -0.25, top: -0.25 });
});

test("errors keep the server's words", async () => {
  const body = JSON.stringify({ error: { code: "conflict", message: "Busy.", detail: { a: 1 } } });
  const answer = (text, status) => ({ ok: false, status, text: async () => text });
  await assert.rejects(read(answer(body, 409)), { code: "conflict", message: "Busy.", passing: false });
  await assert.rejects(read(answer("<html>", 502)), { status: 502, passing: true });
});
