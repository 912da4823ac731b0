// Shows one stimulus after the other on the whole screen, and knows which moment of it is on screen.

import { t } from "../lib/i18n.js";
import { onEachFrame } from "../live/capture.js";
import { StimulusClock } from "./clock.js";

const LOAD_MS = 20_000;
const RESTING_MS = 1000;

/** A stimulus that cannot be shown here. */
export class StimulusError extends Error {}

export class Player {
  #root; #element = null; #stimulus = null; #clock = null; #running = false; #finish = null; #end = () => {};

  /** `root` is the element that the stimulus fills. */
  constructor(root) {
    this.#root = root;
  }

  /** Milliseconds of the stimulus that were on screen at `ms` of performance.now(), or null. */
  at(ms) {
    return this.#clock?.at(ms) ?? null;
  }

  get positionMs() {
    if (this.#element instanceof HTMLVideoElement) return Math.round(1000 * this.#element.currentTime);
    return Math.round(this.#clock?.elapsedMs?.() ?? 0);
  }

  /** Loads `stimulus` so far that it can run; it goes on from `fromMs`. Throws StimulusError. */
  async load(stimulus, fromMs = 0) {
    this.clear();
    this.#stimulus = stimulus;
    this.#element = stimulus.kind === "video" ? await loadVideo(stimulus, fromMs) : await loadPicture(stimulus);
    this.#element.className = "stimulus__content";
    this.#clock = stimulus.kind === "video" ? filmClock(this.#element) : pictureClock(fromMs);
    this.#element.hidden = true;
    this.#root.append(this.#element);
  }

  /** Shows it and runs; resolves with true at its end, false where it broke on the way. */
  async play() {
    this.#element.hidden = false;
    const ended = new Promise((resolve) => { this.#finish = resolve; });
    if (this.#element instanceof HTMLVideoElement) {
      const film = this.#element;
      const done = () => this.#finish(true);
      const broken = () => this.#finish(false);
      film.addEventListener("ended", done);
      film.addEventListener("error", broken);
      this.#end = () => {
        film.removeEventListener("ended", done);
        film.removeEventListener("error", broken);
      };
    } else {
      const left = setInterval(() => {
        if (this.#clock.elapsedMs() >= this.#stimulus.show_ms) this.#finish(true);
      }, 20);
      this.#end = () => clearInterval(left);
    }
    await this.resume();
    const whole = await ended;
    this.#clock?.halt(performance.now());
    this.#running = false;
    this.#end();
    return whole;
  }

  get running() {
    return this.#running;
  }

  pause() {
    if (!this.#running) return;
    this.#running = false;
    if (this.#element instanceof HTMLVideoElement) this.#element.pause();
    this.#clock?.halt(performance.now());
  }

  async resume() {
    if (this.#running || !this.#element) return;
    this.#running = true;
    if (this.#element instanceof HTMLVideoElement) {
      try {
        await this.#element.play();
      } catch (error) {
        // a pause() may come before play() is through; without a click a browser may refuse sound
        if (error.name === "NotAllowedError") this.#running = false;
        else if (error.name !== "AbortError") this.#finish?.(false);
      }
    } else this.#clock.run(performance.now());
  }

  /** Takes the stimulus off the screen. */
  clear() {
    this.#end();
    this.#clock?.close?.();
    if (this.#element instanceof HTMLVideoElement) {
      this.#element.pause();
      this.#element.removeAttribute("src");
      this.#element.load();
    }
    this.#element?.remove();
    this.#element = null;
    this.#clock = null;
    this.#running = false;
    this.#end = () => {};
  }
}

/** A film's own clock: each new picture says its time. */
function filmClock(film) {
  const clock = new StimulusClock();
  const endFrames = onEachFrame(film, (nowMs, picture) => {
    clock.shown(picture?.expectedDisplayTime ?? nowMs, 1000 * (picture?.mediaTime ?? film.currentTime));
  });
  const halt = () => clock.halt(performance.now());
  for (const name of ["waiting", "pause", "ended"]) film.addEventListener(name, halt);
  return {
    at: (ms) => clock.at(ms),
    halt: (ms) => clock.halt(ms),
    close: endFrames,
  };
}

/** A picture's clock: how long it has been on screen, pauses left out. */
function pictureClock(fromMs) {
  const clock = new StimulusClock({ mostMs: Infinity });
  let elapsed = fromMs;
  let since = null;
  return {
    at: (ms) => clock.at(ms),
    elapsedMs: () => elapsed + (since === null ? 0 : performance.now() - since),
    run(ms) {
      since = ms;
      clock.shown(ms, elapsed);
    },
    halt(ms) {
      if (since !== null) elapsed += ms - since;
      since = null;
      clock.halt(ms);
    },
  };
}

async function loadPicture({ id, url }) {
  const image = new Image();
  image.alt = t("The picture to look at");
  image.src = url;
  try {
    await image.decode();
  } catch (cause) {
    throw new StimulusError(id, { cause });
  }
  return image;
}

function loadVideo({ id, url }, fromMs) {
  const film = document.createElement("video");
  film.playsInline = true;
  film.preload = "auto";
  film.disablePictureInPicture = true;
  film.controls = false;
  film.src = url;
  return new Promise((resolve, reject) => {
    // a slow line never says that it can play through: what is there after a while is played
    const timer = setTimeout(() => (film.readyState >= 3 ? done() : broken()), LOAD_MS);
    const done = () => {
      clearTimeout(timer);
      film.removeEventListener("error", broken);
      film.removeEventListener("canplaythrough", done);
      resolve(film);
    };
    const broken = () => {
      clearTimeout(timer);
      reject(new StimulusError(id, { cause: film.error ?? undefined }));
    };
    // phones, and browsers that save data, load little or nothing before play() and say `suspend`
    film.addEventListener("suspend", () => {
      setTimeout(() => film.networkState === HTMLMediaElement.NETWORK_IDLE && done(), RESTING_MS);
    }, { once: true });
    film.addEventListener("error", broken, { once: true });
    film.addEventListener("canplaythrough", done, { once: true });
    if (fromMs > 0) film.addEventListener("loadedmetadata", () => { film.currentTime = fromMs / 1000; }, { once: true });
    film.load();
  });
}
