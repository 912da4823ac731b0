// Large files in parts: cut, announced, resumed, and never a byte sent twice.
import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError } from "../../static/js/lib/http.js";
import { announcementOf, cutInParts, hashesOf, sendInParts } from "../../static/js/survey/parts.js";
import { UploadQueue } from "../../static/js/survey/queue.js";

const blob = (size) => new File([Uint8Array.from({ length: size }, (_, i) => i % 251)], "set.zip",
  { lastModified: 7 });
const item = (size) => ({ file: blob(size), path: "set.zip", group: "A" });

/** A server in memory: `have` survives what a page forgets. */
function makeServer({ count, drop = () => false } = {}) {
  const server = { have: new Map(), puts: [], finished: 0, announced: [] };
  server.options = {
    partBytes: 4,
    announce: async (said) => {
      server.announced.push(said);
      return { upload: "u", have: [...server.have.keys()], receipt: server.receipt ?? null };
    },
    put: async (_upload, number, part) => {
      server.puts.push(number);
      if (drop(number, server.puts.length)) throw new ApiError("gone");
      server.have.set(number, await part.text());
      return { have: server.have.size };
    },
    finish: async () => {
      server.finished += 1;
      if (count !== undefined && server.have.size < count) {
        throw new ApiError("missing", { status: 409, detail: { have: [...server.have.keys()] } });
      }
      server.receipt = { status: "unpacked" };
      return server.receipt;
    },
    persistently: (action) => action(),
  };
  return server;
}

test("the last part is what is left", () => {
  assert.deepEqual(cutInParts(10, 4), [
    { start: 0, end: 4 }, { start: 4, end: 8 }, { start: 8, end: 10 },
  ]);
  assert.deepEqual(cutInParts(8, 4).length, 2);
});

test("parts are hashed one by one, or not at all without a secure origin", async () => {
  const seen = [];
  const hashes = await hashesOf(new File(["abcabc"], "x"), 3, { onHashed: (n) => seen.push(n) });
  assert.deepEqual(new Set(hashes), new Set([
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  ]));
  assert.deepEqual(seen, [3, 6]);
  const without = await announcementOf(item(10), 4, { subtle: null });
  assert.equal(without.hashes, null);
  assert.equal(without.modified, "7");
  assert.equal(without.head, "00010203040506070809");
});

test("an interrupted upload goes on with what is missing", async () => {
  const first = makeServer({ drop: (number) => number === 2 });
  await assert.rejects(sendInParts(item(18), first.options), { message: "gone" });
  assert.deepEqual([...first.have.keys()], [0, 1]);
  const again = makeServer();
  again.have = first.have;
  const told = [];
  const receipt = await sendInParts(item(18), {
    ...again.options, onBytes: (arrived, already) => told.push([arrived, already]),
  });
  assert.deepEqual(again.puts, [2, 3, 4]);
  assert.deepEqual(told, [[8, 8], [12, 8], [16, 8], [18, 8]]);
  assert.equal(receipt.status, "unpacked");
  assert.deepEqual(again.announced[0].hashes, first.announced[0].hashes);
});

test("a file that is there whole is not sent", async () => {
  const server = makeServer();
  await sendInParts(item(9), server.options);
  const told = [];
  await sendInParts(item(9), { ...server.options, onBytes: (...bytes) => told.push(bytes) });
  assert.deepEqual(server.puts, [0, 1, 2]);
  assert.deepEqual(told, [[9, 9]]);
});

test("parts that the server lost are sent again", async () => {
  const server = makeServer({ count: 3 });
  const put = server.options.put;
  let lost = false;
  server.options.put = async (upload, number, part) => {
    await put(upload, number, part);
    if (number === 2 && !lost) { lost = true; server.have.delete(0); }
  };
  assert.equal((await sendInParts(item(10), server.options)).status, "unpacked");
  assert.deepEqual(server.puts, [0, 1, 2, 0]);
});

test("the queue counts bytes, waits between parts while paused, and tries a part again", async () => {
  let tries = 0;
  const server = makeServer({ drop: (number) => number === 1 && (tries += 1) < 3 });
  let state;
  const ended = new Promise((resolve) => {
    const queue = new UploadQueue({
      check: async () => { throw new Error("large files are not checked"); },
      send: async () => { throw new Error("large files go in parts"); },
      sendLarge: (one, to) => sendInParts(one, {
        ...server.options,
        persistently: (action) => to.persistently(action),
        onBytes: (arrived, already) => {
          to.arrived(one, arrived, already);
          if (arrived === 4) { to.pause(); setTimeout(() => to.resume(), 5); }
        },
      }),
      large: () => true,
      passing: (error) => error instanceof ApiError && error.passing,
      waitMs: () => 0,
      onChange: (now) => { state = now; if (!now.busy) resolve(); },
    });
    queue.add([item(10)]);
  });
  await ended;
  assert.deepEqual(server.puts, [0, 1, 1, 1, 2]);
  assert.deepEqual(
    [state.done, state.doneBytes, state.totalBytes, state.bytes, state.knownBytes, state.failed],
    [1, 10, 10, 10, 0, 0],
  );
});
