// Exports as files in the browser's downloads.

import { csvParts, jsonParts } from "./export.js";
import { fileName } from "./words.js";

const GIVE_WAY_MS = 30; // a long export gives way to the page after so long

/** Texts from a generator, without blocking the page for long. */
export async function collect(parts) {
  const texts = [];
  let since = performance.now();
  for (const part of parts) {
    texts.push(part);
    if (performance.now() - since < GIVE_WAY_MS) continue;
    await new Promise((resolve) => setTimeout(resolve));
    since = performance.now();
  }
  return texts;
}

export async function exportAs(kind, recording) {
  const csv = kind === "csv";
  const parts = await collect(csv ? csvParts(recording) : jsonParts(recording));
  const type = csv ? "text/csv;charset=utf-8" : "application/json";
  download(fileName(recording.startedAt, kind), type, parts);
}

/** Hands a file to the browser's downloads. `parts` are texts. */
export function download(name, type, parts) {
  const url = URL.createObjectURL(new Blob(parts, { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
