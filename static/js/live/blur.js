// Faces made unrecognisable on the screen and in snapshots. A face is drawn again from so few
// pixels that nothing is left of it; while no reading is fresh, nobody knows where faces are, and
// the whole picture is treated so.

const BLUR = Object.freeze({
  facePx: 6, // pixels across that are left of a face
  picturePx: 24, // and of the whole picture
  around: 0.3, // of the box's size, added on every side: boxes end at chin and brows
  holdMs: 1500, // a face that was missed for a moment stays covered
});

/** `box` [x1, y1, x2, y2] with room around it. */
export function widened([x1, y1, x2, y2], share = BLUR.around) {
  const x = (x2 - x1) * share;
  const y = (y2 - y1) * share;
  return [x1 - x, y1 - y, x2 + x, y2 + y];
}

export class FaceBlur {
  #video; #small = document.createElement("canvas"); #held = new Map();

  /** `video` shows the picture that lies under the canvas. */
  constructor(video) {
    this.#video = video;
  }

  /**
   * Covers `faces` [{key, box}] (CSS pixels of the view) and those seen a moment ago; all of the
   * picture unless `fresh`. `placed` is where the picture lies, as geometry.contain() gives it.
   */
  paint(context, faces, { placed, mirror, fresh, nowMs }) {
    for (const { key, box } of faces) this.#held.set(key, { box, seenMs: nowMs });
    if (!fresh) {
      const { left, top, width, height } = placed;
      this.#cover(context, [left, top, left + width, top + height], placed, mirror, BLUR.picturePx);
      return;
    }
    for (const [key, { box, seenMs }] of this.#held) {
      if (nowMs - seenMs > BLUR.holdMs) {
        this.#held.delete(key);
        continue;
      }
      const [x1, y1, x2, y2] = widened(box);
      context.save();
      context.beginPath();
      context.ellipse((x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / 2, (y2 - y1) / 2, 0, 0, 2 * Math.PI);
      context.clip();
      this.#cover(context, [x1, y1, x2, y2], placed, mirror, BLUR.facePx);
      context.restore();
    }
  }

  clear() {
    this.#held.clear();
  }

  #cover(context, [x1, y1, x2, y2], placed, mirror, pixels) {
    const video = this.#video;
    if (!video.videoWidth) return;
    const scale = video.videoWidth / placed.width;
    const left = mirror ? placed.left + placed.width - x2 + placed.left : x1;
    const small = this.#small;
    small.width = pixels;
    small.height = Math.max(1, Math.round((pixels * (y2 - y1)) / (x2 - x1)));
    const reduce = small.getContext("2d");
    reduce.imageSmoothingQuality = "high";
    reduce.drawImage(
      video,
      (left - placed.left) * scale, (y1 - placed.top) * scale, (x2 - x1) * scale, (y2 - y1) * scale,
      0, 0, small.width, small.height,
    );
    context.save();
    context.imageSmoothingQuality = "high";
    context.translate(mirror ? x2 : x1, y1);
    context.scale(mirror ? -1 : 1, 1);
    context.drawImage(small, 0, 0, x2 - x1, y2 - y1);
    context.restore();
  }
}
