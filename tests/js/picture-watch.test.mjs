import assert from "node:assert/strict";
import { test } from "node:test";
import { PictureWatch, WATCH } from "../../static/js/live/picture-watch.js";
import { SESSION } from "../../static/js/live/session.js";

const LIMIT_MS = 3000; // the longest that an old reading may stay, chores of 100 ms included

test("a picture that does not change is told within three seconds", () => {
  const watch = new PictureWatch();
  watch.restart(0);
  for (let ms = 0; ms <= 1000; ms += 33) watch.picture(ms);
  assert.equal(watch.frozen(1000 + WATCH.pictureMs - 50), false);
  assert.equal(watch.frozen(1000 + LIMIT_MS - 100), true);
  assert.ok(SESSION.freshMs <= LIMIT_MS - 100);
});

test("a muted camera is told even while it sends black pictures", () => {
  const watch = new PictureWatch();
  watch.restart(0);
  const at = (ms, muted) => {
    watch.picture(ms);
    return watch.frozen(ms, muted);
  };
  assert.equal(at(100, true), false, "at its start a track may be muted for a moment");
  assert.equal(at(600, false), false);
  assert.equal(at(700, true), false);
  assert.equal(at(700 + WATCH.mutedMs, true), true);
  assert.equal(at(800 + WATCH.mutedMs, false), false, "and it goes on by itself");
});

test("time in a hidden tab does not count", () => {
  const watch = new PictureWatch();
  watch.restart(0);
  watch.restart(60_000);
  assert.equal(watch.frozen(60_000 + WATCH.pictureMs - 1), false);
  assert.equal(watch.frozen(60_000 + WATCH.pictureMs), true);
});
