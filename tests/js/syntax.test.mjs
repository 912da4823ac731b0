import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../../static/js/", import.meta.url));

for (const name of readdirSync(folder, { recursive: true }).filter((file) => file.endsWith(".js"))) {
  test(`${name} can be parsed as a module`, () => {
    const { status, stderr } = spawnSync(process.execPath, ["--check", folder + name], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
  });
}

test("requests are sent by lib/http.js alone", () => {
  const asking = readdirSync(folder, { recursive: true })
    .filter((file) => file.endsWith(".js"))
    .filter((file) => /\bfetch\s*\(|XMLHttpRequest|sendBeacon|new EventSource/.test(readFileSync(folder + file, "utf8")));
  assert.deepEqual(asking, ["lib/http.js"]);
});
