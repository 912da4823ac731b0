// The stimuli on the whole screen: fixation, one after the other, and why it stops in between. The
// line or the camera go away and come back by themselves; whoever left the screen presses Go on.

import { setText } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { StimulusError } from "./player.js";

const HOLD_MS = 800; // a line that is away for less is no reason to stop
const POSITION_EVERY_MS = 500;
const ATTEMPTS = 3; // to show one stimulus
const AGAIN_MS = 1500; // longer than a cut line takes to be noticed

/** Title and text of a reason to stop. */
function words(reason) {
  switch (reason) {
    case "connection":
      return [t("The connection was lost"), t("Everything waits. It goes on by itself as soon as the connection is back.")];
    case "full":
      return [t("Many people are taking part just now"), t("There is no place for you yet. It goes on by itself as soon as one is free: please keep this page open.")];
    case "camera":
      return [t("The camera sends no picture"), t("Everything waits. Open the lens cover, or close the other program that uses the camera.")];
    case "sound":
      return [t("Your browser waits for you"), t("It plays sound only after a click.")];
    case "left":
      return [t("Paused"), t("You left the full screen. Go on where you were.")];
    default:
      return [t("Paused"), t("You were away for a moment. Go on where you were.")];
  }
}

const BY_ITSELF = new Set(["connection", "full", "camera"]);

export class Watching {
  #room; #player; #keepPosition; #onShown; #reasons = new Set(); #timers = new Map(); #active = false;
  #stimulus = null; #wasFull = false; #lock = null; #started = false; #runs = 0; #keeping = null;

  /**
   * `room` becomes the whole screen; keepPosition({id, ms}) is called as it plays;
   * onShown(stimulus, ended) resolves once the server knows that a stimulus was shown.
   */
  constructor({ room, player, keepPosition, onShown }) {
    this.#room = room;
    this.#player = player;
    this.#keepPosition = keepPosition;
    this.#onShown = onShown;
    document.addEventListener("fullscreenchange", () => this.#fullscreenChanged());
    document.addEventListener("visibilitychange", () => document.hidden && this.#stop("away"));
    this.#find("go-on").addEventListener("click", () => this.#goOn());
  }

  #find(name) {
    return this.#room.querySelector(`[data-${name}]`);
  }

  /** The stimulus that is on screen, or null. */
  get stimulus() {
    return this.#active ? this.#stimulus : null;
  }

  /** Goes to full screen where the browser can; call it in the handler of a click. */
  async enter() {
    try {
      await this.#room.requestFullscreen?.({ navigationUI: "hide" });
    } catch {
      // phones without it show the stimulus over the whole page
    }
    this.#wasFull = document.fullscreenElement === this.#room;
    this.#lock = await navigator.wakeLock?.request("screen").catch(() => null) ?? null;
  }

  async leave() {
    this.#wasFull = false;
    await this.#lock?.release().catch(() => {});
    if (document.fullscreenElement) await document.exitFullscreen().catch(() => {});
  }

  /** Shows what of `order` was not shown, the first from `from.ms` on where `from.id` is its id. */
  async run(order, fixationMs, from = null) {
    this.abort();
    const run = this.#runs;
    this.#active = true;
    this.#keeping = setInterval(() => this.#position(), POSITION_EVERY_MS);
    try {
      for (const [index, stimulus] of order.entries()) {
        if (stimulus.shown) continue;
        await this.#one(run, stimulus, index, order.length, fixationMs, from?.id === stimulus.id ? from.ms : 0);
        stimulus.shown = true;
      }
    } finally {
      if (run === this.#runs) this.abort();
    }
  }

  /** Stops showing; a run() that is under way never resolves. */
  abort() {
    this.#runs += 1;
    clearInterval(this.#keeping);
    this.#active = false;
    this.#started = false;
    this.#player.clear();
    this.#reasons.clear();
    this.#render();
  }

  async #one(run, stimulus, index, count, fixationMs, fromMs) {
    const aborted = () => (run === this.#runs ? Promise.resolve() : new Promise(() => {}));
    this.#stimulus = stimulus;
    this.#started = false;
    let placeMs = fromMs;
    setText(this.#find("watch-progress"), t("{number} of {count}", { number: index + 1, count }));
    this.#find("watch-bar").value = index / count;
    this.#find("fixation").hidden = false;
    const fixated = new Promise((resolve) => { setTimeout(resolve, fromMs > 0 ? 0 : fixationMs); });
    let ended = false;
    for (let attempt = 0; attempt < ATTEMPTS && !ended; attempt += 1) {
      try {
        await this.#player.load(stimulus, placeMs);
        await fixated;
        await this.#free();
        await aborted();
        this.#find("fixation").hidden = true;
        this.#started = true;
        const playing = this.#player.play();
        this.#blockedSound();
        ended = await playing;
      } catch (error) {
        if (!(error instanceof StimulusError)) throw error;
      }
      await aborted();
      this.#find("fixation").hidden = false;
      if (ended) break;
      // it broke, perhaps because the line did: once that is back it goes on where it was
      placeMs = Math.max(placeMs, this.#player.positionMs);
      await new Promise((resolve) => { setTimeout(resolve, AGAIN_MS); });
      await this.#free();
    }
    // what cannot be shown here is left out: the study goes on, and the report says so
    await this.#onShown(stimulus, ended);
  }

  async #blockedSound() {
    await Promise.resolve();
    setTimeout(() => {
      if (this.#started && this.#reasons.size === 0 && !this.#player.running) this.#stop("sound");
    }, 300);
  }

  /** Resolves once there is no reason to stop. */
  #free() {
    return new Promise((resolve) => {
      const look = () => (this.#reasons.size === 0 ? resolve(undefined) : setTimeout(look, 50));
      look();
    });
  }

  /** `trouble` of the reader: "connection", "full", "camera" or null. */
  line(trouble) {
    for (const reason of BY_ITSELF) if (reason !== trouble) this.#over(reason);
    if (trouble && !this.#timers.has(trouble)) {
      this.#timers.set(trouble, setTimeout(() => this.#stop(trouble), HOLD_MS));
    }
  }

  #stop(reason) {
    if (!this.#active) return;
    this.#reasons.add(reason);
    this.#player.pause();
    this.#position();
    this.#render();
  }

  #over(reason) {
    clearTimeout(this.#timers.get(reason));
    this.#timers.delete(reason);
    if (!this.#reasons.delete(reason)) return;
    this.#render();
    this.#resumeWhereFree();
  }

  async #goOn() {
    // within the click itself: some browsers play sound at no other moment
    if (this.#reasons.delete("sound")) this.#resumeWhereFree();
    await this.enter();
    for (const reason of ["left", "away"]) this.#reasons.delete(reason);
    this.#render();
    this.#resumeWhereFree();
  }

  #resumeWhereFree() {
    if (this.#active && this.#started && this.#reasons.size === 0) this.#player.resume();
  }

  #fullscreenChanged() {
    const full = document.fullscreenElement === this.#room;
    if (this.#wasFull && !full) this.#stop("left");
    this.#wasFull = full;
  }

  #position() {
    if (this.#started && this.#stimulus) {
      this.#keepPosition({ id: this.#stimulus.id, ms: this.#player.positionMs });
    }
  }

  #render() {
    const [first] = [...this.#reasons].sort((a, b) => Number(BY_ITSELF.has(b)) - Number(BY_ITSELF.has(a)));
    this.#find("pause").hidden = first === undefined;
    this.#room.dataset.paused = first === undefined ? "no" : "yes";
    if (first === undefined) return;
    const [title, text] = words(first);
    setText(this.#find("pause-title"), title);
    setText(this.#find("pause-text"), text);
    const byHand = !BY_ITSELF.has(first);
    this.#find("go-on").hidden = !byHand;
    if (byHand) this.#find("go-on").focus();
  }
}
