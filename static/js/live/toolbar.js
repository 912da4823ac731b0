// The buttons on the picture and what More opens: each says by aria-pressed whether it is on, and
// this browser remembers the choices.

import { t } from "../lib/i18n.js";
import { remember, remembered } from "../lib/memory.js";
import { Player } from "./player.js";
import { takeSnapshot } from "./snapshot.js";

const KEY = "mien.picture";
const DEFAULTS = Object.freeze({ boxes: true, blur: false, snapshotBoxes: true, resolution: "normal" });

/** What the camera is asked for, and the largest picture that is sent, in pixels. */
const RESOLUTIONS = Object.freeze({
  small: { camera: { width: 640, height: 480 }, sent: { width: 480, height: 360 } },
  normal: { camera: { width: 1280, height: 720 }, sent: { width: 640, height: 480 } },
  large: { camera: { width: 1920, height: 1080 }, sent: { width: 960, height: 720 } },
});

export class Toolbar {
  #stage; #video; #overlay; #player; #choices; #buttons = new Map(); #sheet; #more; #hooks; #canFlip = false;

  /** hooks: onMirror(on), onResolution(), onFlip(), onStop(), onFile(), onInform(text). */
  constructor({ stage, video, overlay, hooks }) {
    this.#stage = stage;
    this.#video = video;
    this.#overlay = overlay;
    this.#hooks = hooks;
    const stored = remembered(KEY, {});
    this.#choices = { ...DEFAULTS, ...stored };
    if (!(this.#choices.resolution in RESOLUTIONS)) this.#choices.resolution = DEFAULTS.resolution;
    this.#player = new Player(stage.querySelector("[data-player]"), video);
    for (const button of stage.querySelectorAll(".toolbar [data-action]")) {
      this.#buttons.set(button.dataset.action, button);
    }
    this.#wireButtons();
    this.#wireSheet();
    this.#apply();
  }

  get mirror() {
    return this.#pressed("mirror");
  }

  set mirror(on) {
    this.#press("mirror", on);
    this.#hooks.onMirror(on);
  }

  get resolution() {
    return RESOLUTIONS[this.#choices.resolution];
  }

  /** What a recording notes. */
  get settings() {
    return { mirror: this.mirror, resolution: this.#choices.resolution };
  }

  /** A source of this kind ("camera", "file" or none yet) is `on`; nothing stays open without. */
  source(kind, on) {
    this.#player.show(kind === "file");
    this.#buttons.get("flip").hidden = kind !== "camera" || !this.#canFlip;
    if (on) return;
    if (this.#sheet.matches(":popover-open")) this.#sheet.hidePopover();
    if (document.fullscreenElement) document.exitFullscreen();
  }

  /** How many cameras there are to choose from. */
  cameras(count, kind) {
    this.#canFlip = count > 1;
    this.#buttons.get("flip").hidden = kind !== "camera" || !this.#canFlip;
  }

  #wireButtons() {
    const on = (name, call) => this.#buttons.get(name).addEventListener("click", call);
    on("stop", () => this.#hooks.onStop());
    on("flip", () => this.#hooks.onFlip());
    on("mirror", () => (this.mirror = !this.mirror));
    for (const name of ["boxes", "blur"]) {
      on(name, () => this.#choose(name, !this.#choices[name]));
    }
    on("snapshot", () => this.#snapshot());
    on("full", () => {
      if (document.fullscreenElement) document.exitFullscreen();
      else this.#stage.requestFullscreen().catch(() => this.#hooks.onInform(t("This browser did not allow full screen.")));
    });
    this.#buttons.get("full").hidden = !document.fullscreenEnabled;
    document.addEventListener("fullscreenchange", () => this.#press("full", document.fullscreenElement === this.#stage));
  }

  #wireSheet() {
    this.#sheet = document.querySelector("[data-more]");
    this.#more = document.querySelector("[data-more-button]");
    const resolution = this.#sheet.querySelector("[data-resolution]");
    const snapshotBoxes = this.#sheet.querySelector("[data-snapshot-boxes]");
    resolution.value = this.#choices.resolution;
    snapshotBoxes.checked = this.#choices.snapshotBoxes;
    resolution.addEventListener("change", () => {
      this.#choose("resolution", resolution.value);
      this.#hooks.onResolution();
    });
    snapshotBoxes.addEventListener("change", () => this.#choose("snapshotBoxes", snapshotBoxes.checked));
    this.#more.addEventListener("click", () => this.#sheet.togglePopover());
    this.#sheet.addEventListener("toggle", (/** @type {ToggleEvent} */ event) => {
      const open = event.newState === "open";
      this.#more.setAttribute("aria-expanded", String(open));
      if (open) this.#place();
    });
    // a click on More while it is open closes it twice over: once as a click outside, and again
    this.#more.addEventListener("pointerdown", (event) => {
      if (this.#sheet.matches(":popover-open")) event.stopPropagation();
    });
  }

  /** Above the button where there is room, else as high as the window allows. */
  #place() {
    const button = this.#more.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.#sheet;
    const left = Math.min(Math.max(8, button.right - width), innerWidth - width - 8);
    this.#sheet.style.left = `${left}px`;
    this.#sheet.style.top = `${Math.max(8, button.top - height - 10)}px`;
    this.#sheet.querySelector("select:not(:disabled)")?.focus({ preventScroll: true });
  }

  async #snapshot() {
    if (!this.#video.videoWidth) return;
    const boxes = this.#choices.snapshotBoxes;
    await takeSnapshot({ video: this.#video, overlay: this.#overlay, mirror: this.mirror, boxes });
    this.#hooks.onInform(t("The snapshot is among your downloads. It was not sent anywhere."));
  }

  #choose(name, value) {
    this.#choices = { ...this.#choices, [name]: value };
    remember(KEY, this.#choices);
    this.#apply();
  }

  #apply() {
    const { boxes, blur } = this.#choices;
    this.#press("boxes", boxes);
    this.#press("blur", blur);
    this.#overlay.boxes = boxes;
    this.#overlay.blur = blur;
    this.#stage.dataset.blur = blur ? "on" : "off";
  }

  #pressed(name) {
    return this.#buttons.get(name).getAttribute("aria-pressed") === "true";
  }

  #press(name, on) {
    this.#buttons.get(name).setAttribute("aria-pressed", String(on));
  }
}
