// Recordings in this browser's own database, so that a reload or a crash loses two seconds at
// most. Nothing here leaves the browser. A recording is its description (one row) and chunks of
// readings; a lock tells a recording that is still being made from one that was interrupted.

import { Readings } from "./readings.js";

const NAME = "mien-recordings";
const VERSION = 1;

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function finished(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
    transaction.onerror = () => reject(transaction.error);
  });
}

const lockName = (id) => `mien-recording-${id}`;
const chunksOf = (id) => IDBKeyRange.bound([id, 0], [id, Number.MAX_SAFE_INTEGER]);

export class RecordStore {
  #db;

  constructor(db) {
    this.#db = db;
  }

  /** Opens the database. Rejects where the browser has none (some private windows). */
  static async open() {
    if (!globalThis.indexedDB) throw new Error("This browser keeps no database.");
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("recordings", { keyPath: "id" });
      request.result.createObjectStore("chunks");
    };
    const db = await done(request);
    db.onversionchange = () => db.close(); // another tab runs a newer Mien
    return new RecordStore(db);
  }

  /** Writes the description and, when there is one, chunk `number`, both or neither. */
  async save(recording, number = null, columns = null) {
    const transaction = this.#db.transaction(["recordings", "chunks"], "readwrite");
    const { readings, ...meta } = recording;
    transaction.objectStore("recordings").put({ ...meta, count: readings.length });
    if (columns) transaction.objectStore("chunks").put(columns, [recording.id, number]);
    await finished(transaction);
  }

  /** The descriptions, newest first, with `live` where a tab is still recording. */
  async list() {
    const rows = await done(this.#db.transaction("recordings").objectStore("recordings").getAll());
    const held = await heldLocks();
    return rows
      .map((row) => ({ ...row, live: held.has(lockName(row.id)) }))
      .sort((a, b) => b.startedAt - a.startedAt);
  }

  /** A whole recording, or null where there is none. Throws where its rows are damaged. */
  async load(id) {
    const transaction = this.#db.transaction(["recordings", "chunks"]);
    const [meta, chunks] = await Promise.all([
      done(transaction.objectStore("recordings").get(id)),
      done(transaction.objectStore("chunks").getAll(chunksOf(id))),
    ]);
    if (!meta) return null;
    const { count, ...recording } = meta;
    const readings = new Readings();
    for (const columns of chunks) readings.append(columns);
    recording.readings = readings;
    if (!recording.complete) {
      const last = readings.length ? readings.time(readings.length - 1) : 0;
      const others = [...recording.events, ...recording.markers].map(({ t_ms }) => t_ms);
      recording.durationMs = Math.max(last, ...others);
      recording.events = [
        ...recording.events,
        { t_ms: recording.durationMs, kind: "interrupted", detail: null },
      ];
    }
    return recording;
  }

  async remove(id) {
    const transaction = this.#db.transaction(["recordings", "chunks"], "readwrite");
    transaction.objectStore("recordings").delete(id);
    transaction.objectStore("chunks").delete(chunksOf(id));
    await finished(transaction);
  }

  close() {
    this.#db.close();
  }
}

async function heldLocks() {
  if (!navigator.locks) return new Set();
  const { held } = await navigator.locks.query();
  return new Set(held.map(({ name }) => name));
}

/** Says to other tabs that this recording is under way; returns what ends that. */
function holdLock(id) {
  /** @type {(value?: any) => void} */
  let release = () => {};
  const ended = new Promise((resolve) => (release = resolve));
  navigator.locks?.request(lockName(id), () => ended).catch(() => {});
  return release;
}

/** Writes a recording that is under way to the store every so often. */
export class RecordKeeper {
  #store; #recording; #chunk = 0; #saved = 0; #busy = Promise.resolve(); #release; #onTrouble;

  /**
   * onTrouble(error) when nothing could be written; the recording itself goes on in memory.
   * @param {any} store @param {any} recording
   * @param {{onTrouble?: (error: any) => void, lock?: (id: string) => () => void}} [options]
   */
  constructor(store, recording, { onTrouble = () => {}, lock = holdLock } = {}) {
    this.#store = store;
    this.#recording = recording;
    this.#onTrouble = onTrouble;
    this.#release = lock(recording.id);
  }

  /** Writes what is new. Calls do not overtake each other; never rejects. */
  flush() {
    this.#busy = this.#busy.then(() => this.#write()).catch((error) => this.#onTrouble(error));
    return this.#busy;
  }

  /** Writes the rest and lets other tabs open the recording. */
  async close() {
    await this.flush();
    this.#release();
  }

  async #write() {
    const { readings } = this.#recording;
    const end = readings.length;
    const fresh = end > this.#saved ? readings.slice(this.#saved, end) : null;
    await this.#store.save(this.#recording, this.#chunk, fresh);
    if (fresh) this.#chunk += 1;
    this.#saved = end;
  }
}
