// The reading beside the picture: the headline, seven bars, the choice of a face, the timeline.

import { describe, EMOTIONS, likelihood, nameOf } from "../lib/emotions.js";
import { faceTag, showTag } from "../lib/face-tag.js";
import { setText } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { icon } from "../lib/shape-icon.js";
import { Timeline } from "./timeline.js";
import { summary } from "../lib/words.js";

const MARK_FROM = 0.01; // a smaller effect of the baseline cannot be seen
export class Panel {
  #root; #find; #bars = new Map(); #timeline; #onChoose; #icon = null; #chips = new Map();

  /** `root` is the section with the data-* places; onChoose(key) when a face was chosen. */
  constructor(root, { onChoose }) {
    this.#root = root;
    this.#find = (name) => root.querySelector(`[data-${name}]`);
    this.#onChoose = onChoose;
    this.#timeline = new Timeline(this.#find("timeline"));
    for (const emotion of EMOTIONS) this.#addBar(emotion);
  }

  /** Nothing to show, and why. */
  blank(title, detail) {
    this.#root.dataset.hasFace = "no";
    this.#headline("none", "uncertain", title, detail);
    this.#setBars(null, null);
    this.#setMarks(null);
  }

  /** Shows one face; `stale` dims it, as its result is old. */
  face(face, { stale = false } = {}) {
    const said = describe(face);
    this.#root.dataset.hasFace = stale ? "stale" : "yes";
    this.#headline(said.tone, said.icon, said.title, said.detail);
    // Scores of a picture that cannot be read would be read as an answer.
    this.#setBars(said.tone === "advice" ? null : face.scores, said.tone === "sure" ? face.label : null);
    this.#setMarks(said.tone === "advice" ? null : face.unadjusted, face.scores);
  }

  /** The faces to choose from: [{key, number, face}]; hidden when there is only one. */
  faces(list, chosen) {
    const box = this.#find("faces");
    box.hidden = list.length < 2;
    const present = new Set(list.map(({ key }) => key));
    for (const [key, chip] of this.#chips) {
      if (present.has(key)) continue;
      chip.root.remove();
      this.#chips.delete(key);
    }
    list.forEach(({ key, number, face }, index) => {
      const chip = this.#chips.get(key) ?? this.#addChip(key);
      const place = box.children[index] ?? null;
      if (place !== chip.root) box.insertBefore(chip.root, place);
      const said = describe(face);
      if (chip.icon !== said.icon) {
        chip.shape.replaceChildren(icon(said.icon));
        chip.icon = said.icon;
      }
      showTag(chip.tag, number);
      chip.input.setAttribute("aria-label", t("Face {number}: {title}", { number, title: said.title }));
      if (chip.input.checked !== (key === chosen)) chip.input.checked = key === chosen;
    });
  }

  /** The number of the face that is shown, where there are several; null: one face needs none. */
  tag(number) {
    for (const name of ["reading-tag", "timeline-tag"]) showTag(this.#find(name), number || null);
  }

  /** Draws the last minute of the chosen face. */
  timeline(history, nowMs) {
    this.#timeline.update(history, nowMs);
    const shares = history?.shares() ?? [];
    setText(this.#find("summary"), summary(shares));
    setText(this.#find("timeline-text"), `${summary(shares, 7) || t("Nothing recorded yet")}.`);
  }

  recolour() {
    this.#timeline.rebuild();
  }

  #headline(tone, shape, title, detail) {
    const head = this.#find("headline");
    head.dataset.tone = tone;
    if (this.#icon !== shape) {
      this.#find("headline-icon").replaceChildren(icon(shape));
      this.#icon = shape;
    }
    setText(this.#find("headline-text"), title);
    setText(this.#find("subline"), detail);
  }

  #addBar(emotion) {
    const row = document.createElement("li");
    row.className = `bar bar--${emotion}`;
    const name = document.createElement("span");
    name.className = "bar__name";
    name.textContent = nameOf(emotion);
    const track = document.createElement("span");
    track.className = "bar__track";
    const fill = document.createElement("span");
    fill.className = "bar__fill";
    const mark = document.createElement("span");
    mark.className = "bar__mark";
    mark.hidden = true;
    track.append(fill, mark);
    const value = document.createElement("span");
    value.className = "bar__value";
    row.append(icon(emotion), name, track, value);
    this.#find("bars").append(row);
    this.#bars.set(emotion, { row, fill, mark, value });
  }

  #setBars(scores, leading) {
    EMOTIONS.forEach((emotion, i) => {
      const { row, fill, value } = this.#bars.get(emotion);
      const score = scores ? scores[i] : 0;
      fill.style.transform = `scaleX(${score.toFixed(3)})`;
      setText(value, scores ? likelihood(score) : "–");
      row.classList.toggle("bar--leading", emotion === leading);
    });
  }

  /** Where each bar would end without the resting face's baseline; null: no marks. */
  #setMarks(scores, shown) {
    EMOTIONS.forEach((emotion, i) => {
      const { mark } = this.#bars.get(emotion);
      mark.hidden = !scores || Math.abs(scores[i] - shown[i]) < MARK_FROM;
      if (scores) mark.style.left = `${(100 * scores[i]).toFixed(1)}%`;
    });
  }

  #addChip(key) {
    const root = document.createElement("label");
    root.className = "chip";
    const input = document.createElement("input");
    input.type = "radio";
    input.name = "face";
    input.className = "chip__input";
    input.addEventListener("change", () => this.#onChoose(key));
    const shape = document.createElement("span");
    shape.className = "chip__shape";
    const tag = faceTag(1);
    root.append(input, t("Face"), tag, shape);
    const chip = { root, input, shape, tag, icon: null };
    this.#chips.set(key, chip);
    return chip;
  }
}
