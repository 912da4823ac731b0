// One lane for each face of the last minute: its settled label over time, in the expression's
// colour and shape, with gaps where it was not seen. A lane is a radio button, so that keyboard and
// screen reader know it; the drawing is said in words beside it.

import { EMOTIONS, shapeOf, UNCERTAIN } from "../lib/emotions.js";
import { faceTag } from "../lib/face-tag.js";
import { t } from "../lib/i18n.js";
import { HISTORY } from "./history.js";
import { setText } from "../lib/dom.js";
import { laneWords } from "../lib/words.js";

const SHAPE = 10; // CSS px
const SHAPE_ROOM = 8; // free on its sides, together, or the shape is left out
const HATCH = 5; // between the strokes of "unclear"

export class Lanes {
  #root; #box; #heading; #onChoose; #rows = new Map(); #colours = null; #paths = new Map();

  /** `root` is the timeline's place with data-lanes in it; onChoose(key) when one was chosen. */
  constructor(root, { onChoose }) {
    this.#root = root;
    this.#box = root.querySelector("[data-lanes]");
    this.#heading = root.querySelector("h3");
    this.#onChoose = onChoose;
    for (const label of [...EMOTIONS, UNCERTAIN]) this.#paths.set(label, new Path2D(shapeOf(label)));
  }

  /**
   * Shows [{key, number, present, history}] over the minute before `nowMs`; `shown` is the key of
   * the face in the timeline above. One face alone needs no lane.
   */
  update(list, shown, nowMs) {
    const several = list.length > 1;
    this.#root.classList.toggle("timeline--several", several);
    this.#keep(new Set(several ? list.map(({ key }) => key) : []));
    this.#box.hidden = !several;
    if (!several) return;
    list.forEach((lane, index) => {
      const row = this.#rows.get(lane.key) ?? this.#add(lane);
      if (this.#box.children[index] !== row.root) this.#box.insertBefore(row.root, this.#box.children[index] ?? null);
      const runs = lane.history.runs();
      row.root.classList.toggle("lane--away", !lane.present);
      setText(row.word, lane.present ? t("Face") : t("Away"));
      const name = lane.present
        ? t("Face {number}, in view", lane)
        : t("Face {number}, away", lane);
      if (row.input.getAttribute("aria-label") !== name) row.input.setAttribute("aria-label", name);
      setText(row.said, laneWords(runs, nowMs));
      if (row.input.checked !== (lane.key === shown)) row.input.checked = lane.key === shown;
      this.#draw(row.canvas, runs, nowMs);
    });
  }

  /** Reads the colours again, for example after the theme changed. */
  recolour() {
    this.#colours = null;
  }

  /** Takes away the rows of all other faces, and keeps the keyboard's place. */
  #keep(keys) {
    let focusLost = false;
    for (const [key, { root, input }] of this.#rows) {
      if (keys.has(key)) continue;
      focusLost ||= document.activeElement === input;
      root.remove();
      this.#rows.delete(key);
    }
    if (!focusLost) return;
    const left = [...this.#rows.values()].map(({ input }) => input);
    (left.find((input) => input.checked) ?? left[0] ?? this.#heading).focus({ preventScroll: true });
  }

  #add({ key, number }) {
    const root = document.createElement("label");
    root.className = "lane";
    const input = document.createElement("input");
    input.type = "radio";
    input.name = "lane";
    input.className = "lane__input";
    input.addEventListener("change", () => this.#onChoose(key));
    const name = document.createElement("span");
    name.className = "lane__name";
    const word = document.createElement("span");
    name.append(word, faceTag(number));
    const canvas = document.createElement("canvas");
    canvas.className = "lane__runs";
    canvas.setAttribute("aria-hidden", "true");
    const said = document.createElement("span");
    said.className = "visually-hidden";
    said.id = `lane-${number}`;
    input.setAttribute("aria-describedby", said.id);
    root.append(input, name, canvas, said);
    const row = { root, input, word, canvas, said };
    this.#rows.set(key, row);
    return row;
  }

  #draw(canvas, runs, nowMs) {
    const { clientWidth: width, clientHeight: height } = canvas;
    const ratio = Math.min(3, devicePixelRatio || 1);
    canvas.width = Math.max(1, Math.round(width * ratio));
    canvas.height = Math.max(1, Math.round(height * ratio));
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    this.#colours ??= this.#readColours();
    const x = (ms) => width * (1 - (nowMs - ms) / HISTORY.spanMs);
    runs.forEach(({ label, fromMs, toMs }, i) => {
      // the last bin reaches beyond now; a seam keeps neighbours apart for every eye
      const seam = runs[i + 1]?.fromMs === toMs ? 1 : 0;
      const left = Math.max(0, x(fromMs));
      const right = Math.min(width, x(toMs)) - seam;
      if (right <= left) return;
      if (label === UNCERTAIN) hatch(context, left, right - left, height, this.#colours[label]);
      else {
        context.fillStyle = this.#colours[label];
        context.fillRect(left, 0, right - left, height);
      }
      if (right - left < SHAPE + SHAPE_ROOM || label === UNCERTAIN) return;
      context.save();
      context.translate((left + right - SHAPE) / 2, (height - SHAPE) / 2);
      context.scale(SHAPE / 24, SHAPE / 24);
      context.fillStyle = this.#colours.surface;
      context.fill(this.#paths.get(label), "evenodd");
      context.restore();
    });
  }

  #readColours() {
    const style = getComputedStyle(this.#box);
    const colour = (name) => style.getPropertyValue(name).trim();
    const colours = { surface: colour("--surface") };
    for (const label of this.#paths.keys()) colours[label] = colour(`--emotion-${label}`);
    return colours;
  }
}

/** Doubt is no colour among others: strokes with the ground between them. */
function hatch(context, left, width, height, stroke) {
  context.save();
  context.beginPath();
  context.rect(left, 0, width, height);
  context.clip();
  context.strokeStyle = stroke;
  context.lineWidth = 1.25;
  context.beginPath();
  const first = Math.floor((left - height) / HATCH) * HATCH;
  for (let px = first; px < left + width; px += HATCH) {
    context.moveTo(px, height);
    context.lineTo(px + height, 0);
  }
  context.stroke();
  context.restore();
}
