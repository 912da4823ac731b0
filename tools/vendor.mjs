// Copies the browser libraries from node_modules to static/vendor, so that the pages work offline
// and under a content security policy of 'self', and the face detector's weights to
// webapp/vision/weights, where no browser reaches them. `npm ci` has already checked every package
// against the integrity hash in package-lock.json; here only the installed versions are compared,
// so that a stale node_modules is noticed instead of shipped.
import { copyFile, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const LIBRARIES = path.join(ROOT, "static", "vendor");
const WEIGHTS = path.join(ROOT, "webapp", "vision", "weights");

const LIBRARY_FILES = Object.freeze([
  ["socket.io-client", "dist/socket.io.esm.min.js", "socket.io.esm.min.js"],
  ["socket.io-client", "LICENSE", "socket.io.LICENSE"],
  ["uplot", "dist/uPlot.esm.js", "uPlot.esm.js"],
  ["uplot", "dist/uPlot.min.css", "uPlot.min.css"],
  ["uplot", "LICENSE", "uPlot.LICENSE"],
  ["echarts", "dist/echarts.min.js", "echarts.min.js"],
  ["echarts", "LICENSE", "echarts.LICENSE"],
]);

const FACES = "@mediapipe/face_detection";
const WEIGHT_FILES = Object.freeze([
  [FACES, "face_detection_short_range.tflite", "face_detection_short_range.tflite"],
  [FACES, "face_detection_full_range_sparse.tflite", "face_detection_full_range_sparse.tflite"],
  [FACES, "README.md", "README.md"],
]);

async function readJson(...parts) {
  return JSON.parse(await readFile(path.join(ROOT, ...parts), "utf8"));
}

async function checkVersion(name, lock) {
  const expected = lock.packages?.[`node_modules/${name}`];
  if (!expected?.integrity) {
    throw new Error(`package-lock.json: expected an integrity hash for ${name}.`);
  }
  let received;
  try {
    received = (await readJson("node_modules", name, "package.json")).version;
  } catch {
    throw new Error(`node_modules/${name} is missing. Run "npm ci" first.`);
  }
  if (received !== expected.version) {
    throw new Error(
      `node_modules/${name}: expected ${expected.version}, received ${received}. Run "npm ci".`,
    );
  }
  return received;
}

const lock = await readJson("package-lock.json");

// Built beside the target and renamed, so that an interrupted copy is never half a folder.
async function copyAll(files, target) {
  const versions = {};
  for (const name of new Set(files.map(([name]) => name))) {
    versions[name] = await checkVersion(name, lock);
  }
  const staging = `${target}.new`;
  await rm(staging, { recursive: true, force: true });
  await mkdir(staging, { recursive: true });
  for (const [name, from, to] of files) {
    await copyFile(path.join(ROOT, "node_modules", name, from), path.join(staging, to));
  }
  await writeFile(path.join(staging, "versions.json"), `${JSON.stringify(versions, null, 2)}\n`);
  await rm(target, { recursive: true, force: true });
  await rename(staging, target);
  const named = Object.entries(versions).map((v) => v.join(" ")).join(", ");
  console.log(`${path.relative(ROOT, target)}: ${named}`);
}

await copyAll(LIBRARY_FILES, LIBRARIES);
await copyAll(WEIGHT_FILES, WEIGHTS);
