// The camera check: what is good already, what to do next, and when one may go on.

import { setText } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { advice, CameraCheck, points } from "./checks.js";

const $ = (name) => document.querySelector(`[data-${name}]`);

export class CheckScreen {
  #check = new CameraCheck(); #active = false; #last = null; #timer = null; #onDone; #trouble = null;

  /** onDone(found) when the participant goes on. */
  constructor({ onDone }) {
    this.#onDone = onDone;
    $("check-done").addEventListener("click", () => this.#finish());
  }

  begin() {
    this.#check = new CameraCheck();
    this.#active = true;
    this.#last = null;
    setText($("check-advice"), t("Looking for your face …"));
    this.#points({ light: null, face: null, size: null, facing: null });
    this.#state({ passed: false, mayGoOn: false, seconds: 0 });
    clearInterval(this.#timer);
    // also without any answer one may go on after a while
    this.#timer = setInterval(() => this.#state(this.#check.update(this.#good, performance.now())), 500);
  }

  get #good() {
    return this.#trouble === null && this.#last !== null && this.#last.advice === null;
  }

  /** One result of the reader. */
  look(result, dark) {
    if (!this.#active) return;
    const [face] = result.faces;
    this.#last = {
      advice: advice(result, dark),
      points: points(result, dark),
      face: result.sample?.face ?? "none",
      size: face ? Math.round((100 * (face.box[3] - face.box[1])) / result.frame.height) / 100 : 0,
    };
    this.#points(this.#last.points);
    const state = this.#check.update(this.#good, performance.now());
    setText($("check-advice"), this.#last.advice ?? (state.passed ? t("All good.") : t("Good. Hold still for a moment.")));
    this.#state(state);
  }

  line(trouble) {
    this.#trouble = trouble;
    if (!this.#active || trouble === null) return;
    setText($("check-advice"), words(trouble));
  }

  #points(points) {
    for (const [name, good] of Object.entries(points)) {
      const line = document.querySelector(`[data-point="${name}"]`);
      line.dataset.good = good === null ? "unknown" : good ? "yes" : "no";
      setText(line.querySelector("[data-point-state]"), good === null ? "" : good ? t("good") : t("not yet"));
    }
  }

  /** @param {{passed: boolean, mayGoOn: boolean, seconds: number}} state */
  #state({ passed, mayGoOn }) {
    const button = $("check-done");
    button.disabled = !mayGoOn;
    $("check-anyway").hidden = !mayGoOn || passed;
    $("room").dataset.check = passed ? "good" : "open";
  }

  #finish() {
    this.#active = false;
    clearInterval(this.#timer);
    const state = this.#check.update(this.#good, performance.now());
    this.#onDone({
      passed: state.passed,
      seconds: state.seconds,
      face: this.#last?.face ?? "none",
      size: this.#last?.size ?? 0,
      light: this.#last?.points.light ?? false,
    });
  }
}

/** What to say of a trouble of the reader. */
function words(trouble) {
  switch (trouble) {
    case "camera":
      return t("The camera sends no picture. Open the lens cover, or close the other program that uses it.");
    case "full":
      return t("Many people are taking part just now, and there is no place for you yet. It goes on by itself as soon as one is free: please keep this page open.");
    default:
      return t("The connection to the server is down. Trying again by itself.");
  }
}
