// A video file can be paused and sought; a camera cannot, and shows no player.

import { setText } from "../lib/dom.js";
import { t } from "../lib/i18n.js";

/** Seconds as "1:05". */
export function minutes(seconds) {
  const whole = Math.floor(Math.max(0, seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Plays, pauses and seeks `video` from the elements below `root` ([data-player]). */
export class Player {
  #root; #video; #play; #seek; #seeking = false;

  constructor(root, video) {
    this.#root = root;
    this.#video = video;
    this.#play = root.querySelector("[data-play]");
    this.#seek = root.querySelector("[data-seek]");
    this.#play.addEventListener("click", () => {
      if (video.paused) video.play().catch(() => {}); // a file that cannot go on says so by itself
      else video.pause();
    });
    this.#seek.addEventListener("input", () => {
      this.#seeking = true;
      video.currentTime = Number(this.#seek.value);
      this.#show();
    });
    this.#seek.addEventListener("change", () => (this.#seeking = false));
    for (const event of ["play", "pause", "timeupdate", "durationchange", "seeked"]) {
      video.addEventListener(event, () => this.#show());
    }
  }

  /** Shows the player for a file and hides it for a camera. */
  show(isFile) {
    this.#root.hidden = !isFile;
    if (isFile) this.#show();
  }

  #show() {
    if (this.#root.hidden) return;
    const { paused, currentTime, duration } = this.#video;
    const known = Number.isFinite(duration); // recordings of browsers say it only after one run
    this.#play.dataset.paused = String(paused);
    setText(this.#play.querySelector("[data-play-name]"), paused ? t("Play") : t("Pause"));
    this.#seek.disabled = !known;
    this.#seek.max = known ? String(duration) : "0";
    if (!this.#seeking) this.#seek.value = String(currentTime);
    this.#seek.style.setProperty("--done", known && duration > 0 ? String(currentTime / duration) : "0");
    const said = known ? `${minutes(currentTime)} / ${minutes(duration)}` : minutes(currentTime);
    setText(this.#root.querySelector("[data-time]"), said);
    this.#seek.setAttribute("aria-valuetext", said);
  }
}
