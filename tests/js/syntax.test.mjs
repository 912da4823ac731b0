import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../../static/js/", import.meta.url));

for (const name of readdirSync(folder, { recursive: true }).filter((file) => file.endsWith(".js"))) {
  test(`${name} can be parsed as a module`, () => {
    const { status, stderr } = spawnSync(process.execPath, ["--check", folder + name], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
  });
}
