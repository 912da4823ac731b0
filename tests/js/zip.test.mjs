// A folder packed in the browser must be a ZIP that others can read.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { crc32, zipOf } from "../../static/js/lib/zip.js";

test("the checksum is CRC-32", () => {
  assert.equal(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
  assert.equal(crc32(new Uint8Array()), 0);
});

test("Python reads what was packed", async () => {
  const files = [
    { path: "set/happy/é 1.png", file: new Blob([new Uint8Array([1, 2, 3])]) },
    { path: "set/sad/empty.png", file: new Blob([]) },
    { path: "set/sad/b.png", file: new Blob([new Uint8Array(70_000).fill(7)]) },
  ];
  const seen = [];
  const packed = await zipOf(files, (done, total) => seen.push(`${done}/${total}`));
  assert.deepEqual(seen, ["1/3", "2/3", "3/3"]);
  const folder = mkdtempSync(join(tmpdir(), "mien-zip-"));
  try {
    const path = join(folder, "x.zip");
    writeFileSync(path, new Uint8Array(await packed.arrayBuffer()));
    const code = "import sys, zipfile, json; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; "
      + "print(json.dumps([[i.filename, i.file_size] for i in z.infolist()]))";
    const said = execFileSync(process.env.PYTHON ?? "python3", ["-c", code, path], { encoding: "utf8" });
    assert.deepEqual(JSON.parse(said), [["set/happy/é 1.png", 3], ["set/sad/empty.png", 0], ["set/sad/b.png", 70_000]]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
