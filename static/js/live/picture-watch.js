// Whether the picture still moves on. A camera can stop without any event: its track is muted, the
// system took it, or it sends nothing any more. What was read before is then no reading of now.

export const WATCH = Object.freeze({
  pictureMs: 2000, // no new picture for as long: it stands still
  mutedMs: 1000, // a muted track may be muted for a moment at the start
});

export class PictureWatch {
  #pictureMs = 0; #mutedMs = null;

  /** The source was opened, or the page came back: the wait begins now. */
  restart(nowMs) {
    this.#pictureMs = nowMs;
    this.#mutedMs = null;
  }

  /** A new picture was shown. */
  picture(nowMs) {
    this.#pictureMs = nowMs;
  }

  /** Whether the picture stands still at `nowMs`; `muted`: the source says that it sends none. */
  frozen(nowMs, muted = false) {
    if (!muted) this.#mutedMs = null;
    else this.#mutedMs ??= nowMs;
    const silent = nowMs - this.#pictureMs >= WATCH.pictureMs;
    return silent || (muted && nowMs - this.#mutedMs >= WATCH.mutedMs);
  }
}
