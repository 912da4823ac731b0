// Sends files: a few at a time, never one twice, with pause, retry and back-off.
// Knows nothing of the page or of fetch: `check` asks what the server has, `send` sends one file
// and says meanwhile how many of its bytes have arrived.

const MAX_HASHED_BYTES = 64 * 1024 * 1024; // hashing needs the whole file in memory
const CHECKED_AT_ONCE = 200;

/** Hex SHA-256 of a file, or null where the browser cannot (no secure origin) or it is too large. */
export async function hashOf(file, subtle = globalThis.crypto?.subtle) {
  if (!subtle || file.size > MAX_HASHED_BYTES) return null;
  const digest = await subtle.digest("SHA-256", await file.arrayBuffer());
  return [...new Uint8Array(digest)].map((b) => b.toString(16).padStart(2, "0")).join("");
}

export class UploadQueue {
  /**
   * check([{path, group, size, sha256}]) -> [bool]; send(item) -> receipt; onChange(state) after
   * every change. `passing(error)` says whether to try again. Files that are `large` are neither
   * hashed nor checked ahead: sendLarge(item, queue) finds out how much of one is there, tries
   * again by itself and reports to queue.arrived().
   * @param {{check: any, send: any, sendLarge?: any, onChange?: (state: any) => void,
   *   hash?: (file: Blob) => Promise<string | null>, passing?: (error: any) => boolean,
   *   large?: (item: any) => boolean, parallel?: number, attempts?: number,
   *   waitMs?: (attempt: number) => number}} ways
   */
  constructor({
    check, send, sendLarge = send, onChange = () => {}, hash = hashOf, passing = () => true,
    large = () => false, parallel = 4, attempts = 8,
    waitMs = (attempt) => Math.min(15_000, 500 * 2 ** attempt),
  }) {
    this.check = check;
    this.send = send;
    this.sendLarge = sendLarge;
    this.onChange = onChange;
    this.hash = hash;
    this.passing = passing;
    this.large = large;
    this.parallel = parallel;
    this.attempts = attempts;
    this.waitMs = waitMs;
    this.waiting = [];
    this.failed = [];
    this.refused = [];
    this.seen = new Set();
    this.counts = {
      total: 0, done: 0, skipped: 0, known: 0, sent: 0,
      bytes: 0, totalBytes: 0, doneBytes: 0, knownBytes: 0,
    };
    this.paused = false;
    /** @type {Error | null} what an action waits for to pass */
    this.trouble = null;
    this.active = 0;
    this.preparing = 0;
    this.resumed = Promise.resolve();
    /** @type {(value?: any) => void} */
    this.release = () => {};
  }

  get busy() {
    return this.active > 0 || this.preparing > 0 || this.waiting.length > 0;
  }

  state() {
    return {
      ...this.counts, failed: this.failed.length, refused: this.refused.length,
      paused: this.paused, busy: this.busy, trouble: this.trouble,
    };
  }

  changed() {
    this.onChange(this.state());
  }

  /** Adds [{file, path, group}]; what was added before in this page is passed over. */
  async add(items) {
    const fresh = items.filter(({ file, path, group }) => {
      const key = `${group}\n${path}\n${file.size}\n${file.lastModified}`;
      return !this.seen.has(key) && this.seen.add(key);
    });
    this.counts.total += fresh.length;
    this.counts.totalBytes += fresh.reduce((sum, { file }) => sum + file.size, 0);
    this.preparing += 1;
    this.changed();
    try {
      for (let i = 0; i < fresh.length; i += CHECKED_AT_ONCE) {
        await this.resumed;
        await this.prepare(fresh.slice(i, i + CHECKED_AT_ONCE));
      }
    } finally {
      this.preparing -= 1;
      this.changed();
    }
  }

  async prepare(items) {
    const asked = [];
    for (const item of items) {
      item.arrived = 0;
      if (this.large(item.file)) {
        this.waiting.push(item);
        continue;
      }
      try {
        item.sha256 = await this.hash(item.file);
        asked.push(item);
      } catch (error) {
        this.fail(item, error); // the file went away or cannot be read
      }
    }
    let known = [];
    try {
      known = asked.length === 0 ? [] : await this.persistently(() =>
        this.check(
          asked.map(({ path, group, file, sha256 }) => ({ path, group, size: file.size, sha256 })),
        ),
      );
    } catch (error) {
      asked.forEach((item) => this.fail(item, error));
      return;
    }
    asked.forEach((item, i) => {
      if (known[i]) {
        this.counts.known += 1;
        this.counts.done += 1;
        this.arrived(item, item.file.size, item.file.size);
      } else {
        this.waiting.push(item);
      }
    });
    this.changed();
    this.fill();
  }

  /** Notes how many bytes of a file have arrived, and how many of them were there before. */
  arrived(item, bytes, already = 0) {
    this.counts.doneBytes += bytes - item.arrived;
    this.counts.knownBytes += already - (item.already ?? 0);
    this.counts.bytes += (bytes - already) - (item.arrived - (item.already ?? 0));
    item.arrived = bytes;
    item.already = already;
    this.changed();
  }

  fail(item, error) {
    this.failed.push({ item, error });
    this.changed();
  }

  fill() {
    while (!this.paused && this.active < this.parallel && this.waiting.length > 0) {
      this.active += 1;
      this.one(this.waiting.shift()).finally(() => {
        this.active -= 1;
        this.changed();
        this.fill();
      });
    }
  }

  async one(item) {
    try {
      const receipt = this.large(item.file)
        ? await this.sendLarge(item, this)
        : await this.persistently(() => this.send(item));
      this.counts.done += 1;
      if (item.already === item.file.size) this.counts.known += 1;
      else this.counts.sent += 1;
      this.arrived(item, item.file.size, item.already);
      this.counts.skipped += receipt?.skipped ?? 0;
      if (receipt?.status === "refused") this.refused.push({ item, reason: receipt.reason });
    } catch (error) {
      this.fail(item, error);
    }
  }

  /** Tries again with growing waits while the trouble may pass. */
  async persistently(action) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        await this.resumed;
        const result = await action();
        this.trouble = null;
        return result;
      } catch (error) {
        this.trouble = null;
        if (attempt + 1 >= this.attempts || !this.passing(error)) throw error;
        this.trouble = error;
        this.changed();
        await new Promise((resolve) => setTimeout(resolve, this.waitMs(attempt)));
      }
    }
  }

  pause() {
    if (this.paused) return;
    this.paused = true;
    this.resumed = new Promise((resolve) => { this.release = resolve; });
    this.changed();
  }

  resume() {
    this.paused = false;
    this.release();
    this.resumed = Promise.resolve();
    this.changed();
    this.fill();
  }

  /** Puts what failed into the queue again. */
  retry() {
    const again = this.failed.splice(0).map(({ item }) => item);
    this.waiting.push(...again);
    this.changed();
    this.fill();
  }
}
