// The person's own list of things to suggest, read from a CSV file: title, kind, link, moods.
// Strict: a row that is not right is left out and reported by its number. Nothing is run.

import { EMOTIONS } from "../lib/emotions.js";
import { t } from "../lib/i18n.js";

export const CATALOGUE = Object.freeze({
  maxBytes: 1_000_000,
  maxRows: 2000,
  maxTitle: 200,
  maxKind: 60,
  maxLink: 2000,
  shownProblems: 8,
});
const COLUMNS = Object.freeze(["title", "kind", "link", "moods"]);
export const ANY = "any";

/** The whole file cannot be used; the message is for people. */
export class CatalogueError extends Error {
  constructor(message) {
    super(message);
    this.name = "CatalogueError";
  }
}

/**
 * The records of a CSV text (RFC 4180, also with semicolons or tabs): [{fields, problem|null}].
 * A quote within a bare field, or text behind a closing quote, makes a record bad.
 */
export function records(text, delimiter) {
  const list = [];
  let [fields, field, problem, quoted, closed] = [[], "", null, false, false];
  const endField = () => {
    fields.push(closed ? field : field.trim());
    field = "";
    closed = false;
  };
  const endRecord = () => {
    endField();
    if (fields.length > 1 || fields[0] !== "") list.push({ fields, problem });
    else list.push({ fields: [], problem: null }); // an empty line keeps the numbers right
    [fields, problem] = [[], null];
  };
  for (let i = 0; i < text.length; i += 1) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') field += c;
      else if (text[i + 1] === '"') {
        field += '"';
        i += 1;
      } else [quoted, closed] = [false, true];
    } else if (c === delimiter) endField();
    else if (c === "\n" || (c === "\r" && text[i + 1] !== "\n")) endRecord();
    else if (c === "\r") continue;
    else if (c === '"' && field.trim() === "" && !closed) [quoted, field] = [true, ""];
    else if (c === '"') problem ??= "a quotation mark stands in the middle of a field";
    else if (closed) {
      if (c.trim()) problem ??= t("text stands behind a closing quotation mark");
    } else field += c;
  }
  if (quoted) problem = t("a quotation mark is never closed");
  if (field !== "" || fields.length || closed || quoted) endRecord();
  return list;
}

function headOf(text) {
  const line = text.split(/\r\n|\r|\n/, 1)[0];
  for (const delimiter of [",", ";", "\t"]) {
    const [head] = records(line, delimiter);
    const names = (head?.fields ?? []).map((name) => name.toLowerCase());
    if (COLUMNS.every((name) => names.includes(name))) {
      return { delimiter, places: Object.fromEntries(COLUMNS.map((name) => [name, names.indexOf(name)])), width: names.length };
    }
  }
  throw new CatalogueError(
    t("The first line must name the columns title, kind, link and moods, separated by commas, semicolons or tabs."),
  );
}

/** The link as it is opened, "" for none; null where it is no http or https address. */
export function safeLink(text) {
  if (text === "") return "";
  let url;
  try {
    url = new URL(text);
  } catch {
    return null;
  }
  const usable = (url.protocol === "https:" || url.protocol === "http:") && url.hostname !== "" && !url.username && !url.password;
  return usable && text.length <= CATALOGUE.maxLink ? url.href : null;
}

/** One entry, or throws an Error that says what is wrong with it. */
function entryOf({ title, kind, link, moods }) {
  if (!title) throw new Error(t("the title is missing"));
  if (title.length > CATALOGUE.maxTitle) throw new Error(t("the title has more than {most} characters", { most: CATALOGUE.maxTitle }));
  if (kind.length > CATALOGUE.maxKind) throw new Error(t("the kind has more than {most} characters", { most: CATALOGUE.maxKind }));
  const address = safeLink(link);
  if (address === null) throw new Error(t("the link is not an http or https address"));
  const names = moods.toLowerCase().split(/[\s,;|/+]+/).filter(Boolean);
  if (!names.length) throw new Error(t("the moods are missing"));
  const unknown = names.find((name) => name !== ANY && !EMOTIONS.includes(name));
  if (unknown) throw new Error(t("“{word}” is not a mood", { word: unknown.slice(0, 30) }));
  return { title, kind, link: address, moods: [...new Set(names)] };
}

/**
 * {entries, problems: [{row, text}]} of a CSV text; rows are counted from 1, the line of the
 * column names included. Throws CatalogueError when nothing of it can be used.
 */
export function parseCatalogue(text) {
  const source = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  if (!source.trim()) throw new CatalogueError(t("The file is empty."));
  if (source.includes("\0")) throw new CatalogueError(t("This is not a text file."));
  const { delimiter, places, width } = headOf(source);
  const [, ...rows] = records(source, delimiter);
  const entries = [];
  const problems = [];
  for (const [index, { fields, problem }] of rows.entries()) {
    const row = index + 2;
    if (fields.length === 0 && !problem) continue;
    if (entries.length === CATALOGUE.maxRows) {
      problems.push({ row, text: t("only the first {maxRows} entries are used", { maxRows: CATALOGUE.maxRows }) });
      break;
    }
    try {
      if (problem) throw new Error(problem);
      if (fields.length !== width) throw new Error(t("it has {count} fields and not {width}", { count: fields.length, width }));
      entries.push(entryOf(/** @type {any} */ (Object.fromEntries(COLUMNS.map((name) => [name, fields[places[name]].trim()])))));
    } catch (error) {
      problems.push({ row, text: error.message });
    }
  }
  if (!entries.length) {
    const first = problems[0] ? ` ${t("Row {row}: {text}.", problems[0])}` : "";
    throw new CatalogueError(t("The file holds no entry that can be used.{first}", { first }));
  }
  return { entries, problems };
}

function encodingOf(bytes) {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return "utf-16le";
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return "utf-16be";
  return "utf-8";
}

/**
 * A file's text: UTF-8, UTF-16 with its mark, or what Excel writes in Western countries; without
 * Excel's line "sep=;". Rejects with CatalogueError for a large file.
 */
export async function readCatalogue(file) {
  if (file.size > CATALOGUE.maxBytes) {
    throw new CatalogueError(t("The file is larger than {size} MB.", { size: CATALOGUE.maxBytes / 1e6 }));
  }
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text;
  try {
    text = new TextDecoder(encodingOf(bytes), { fatal: true }).decode(bytes);
  } catch {
    text = new TextDecoder("windows-1252").decode(bytes);
  }
  return text.replace(/^sep=.\r?\n/i, "");
}

/** Entries as this browser kept them, checked again; null when they are not what was kept. */
export function keptEntries(kept) {
  try {
    const entries = kept.entries.slice(0, CATALOGUE.maxRows).map((entry) => entryOf({ ...entry, moods: entry.moods.join(" ") }));
    return entries.length ? { name: String(kept.name).slice(0, 120), entries } : null;
  } catch {
    return null;
  }
}
