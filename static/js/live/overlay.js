// Draws boxes and labels over the picture at display rate. The picture may be mirrored; text and
// shapes never are. Colours come from the stage's CSS, so that they suit pictures, not pages.

import { describe, EMOTIONS, shapeOf, UNCERTAIN } from "../lib/emotions.js";
import { FACE_COLOURS, faceColour } from "../lib/face-tag.js";
import { area, contain, contains, iou, toView } from "../lib/geometry.js";
import { FaceBlur } from "./blur.js";

const LABEL_EVERY_MS = 250; // a percentage that changes faster cannot be read
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";
const EDGE = 8; // room between a label and the edge of the stage, CSS px

export class Overlay {
  #canvas; #context; #field; #colours = {}; #paths = new Map(); #labels = new Map();
  #handle = null; #observer; #view = { width: 0, height: 0, dpr: 1 };
  #mirror = false; #chosen = null; #drawn = []; #several = false; #numberOf; #video; #blurred;

  /** Whether boxes and labels are drawn. */
  boxes = true;
  /** Whether faces are covered; while no reading is `fresh`, the whole picture is. */
  blur = false;
  fresh = false;

  /**
   * `canvas` covers the stage with its `video`; `field` is the MotionField that holds the boxes;
   * numberOf(key) is the face's number for people.
   */
  constructor(canvas, field, { numberOf, video }) {
    this.#numberOf = numberOf;
    this.#video = video;
    this.#blurred = new FaceBlur(video);
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    this.#field = field;
    for (const label of [...EMOTIONS, UNCERTAIN]) {
      this.#paths.set(label, new Path2D(shapeOf(label)));
    }
    this.#observer = new ResizeObserver(() => this.#resize());
    this.#observer.observe(canvas);
    this.readColours();
  }

  /** What was drawn last: [{key, face, box (CSS pixels of the stage), opacity}]. */
  get drawn() {
    return this.#drawn;
  }

  set mirror(value) {
    this.#mirror = value;
  }

  set chosen(key) {
    this.#chosen = key;
  }

  /** Whether there are several faces to tell apart: then each label begins with its number. */
  set several(value) {
    this.#several = value;
  }

  get several() {
    return this.#several;
  }

  readColours() {
    const style = getComputedStyle(this.#canvas);
    for (const label of [...EMOTIONS, UNCERTAIN]) {
      this.#colours[label] = style.getPropertyValue(`--emotion-${label}`).trim() || "#fff";
    }
    for (let number = 1; number <= FACE_COLOURS; number += 1) {
      const name = faceColour(number);
      this.#colours[name] = style.getPropertyValue(name).trim() || "#fff";
    }
  }

  start() {
    if (this.#handle !== null) return;
    const frame = () => {
      this.#handle = requestAnimationFrame(frame);
      this.draw(performance.now());
    };
    this.#handle = requestAnimationFrame(frame);
  }

  stop() {
    cancelAnimationFrame(this.#handle);
    this.#handle = null;
    this.#drawn = [];
    this.#labels.clear();
    this.#blurred.clear();
    this.#context.setTransform(1, 0, 0, 1, 0, 0);
    this.#context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  close() {
    this.stop();
    this.#observer.disconnect();
  }

  /** The key of the smallest drawn box at a point of the stage (CSS pixels), or null. */
  hit(x, y) {
    const hits = this.#drawn.filter(({ box }) => contains(box, x, y, 6));
    hits.sort((a, b) => area(a.box) - area(b.box));
    return hits[0]?.key ?? null;
  }

  #resize() {
    const dpr = Math.min(3, window.devicePixelRatio || 1);
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    this.#view = { width, height, dpr };
    this.#canvas.width = Math.max(1, Math.round(width * dpr));
    this.#canvas.height = Math.max(1, Math.round(height * dpr));
  }

  /**
   * Draws with or without boxes and hands {canvas, placed, dpr} to use(), before the next drawing:
   * `placed` is where the picture lies, in CSS pixels.
   */
  layer(boxes, use) {
    this.draw(performance.now(), boxes);
    use({ canvas: this.#canvas, placed: this.#placed(), dpr: this.#view.dpr });
    this.draw(performance.now());
  }

  #placed() {
    const { videoWidth: width, videoHeight: height } = this.#video;
    return contain({ width: width || 4, height: height || 3 }, this.#view);
  }

  draw(nowMs, boxes = this.boxes) {
    if ((window.devicePixelRatio || 1) !== this.#view.dpr) this.#resize();
    const context = this.#context;
    const { width, height, dpr } = this.#view;
    context.setTransform(dpr, 0, 0, dpr, 0, 0);
    context.clearRect(0, 0, width, height);
    const frame = this.#field.frame;
    const shown = frame ? this.#field.at(nowMs) : [];
    const placed = this.#placed();
    const scaled = frame && { ...placed, scale: placed.width / frame.width };
    this.#drawn = shown.map(({ key, face, box, opacity }) => ({
      key,
      face,
      opacity,
      box: toView(box, frame, scaled, this.#mirror),
    }));
    if (this.blur) {
      const { fresh } = this;
      this.#blurred.paint(context, this.#drawn, { placed, mirror: this.#mirror, fresh, nowMs });
    }
    if (boxes) this.#boxes(context, nowMs);
    for (const key of this.#labels.keys()) {
      if (!this.#drawn.some((item) => item.key === key)) this.#labels.delete(key);
    }
  }

  #boxes(context, nowMs) {
    // The chosen face first, so that its label takes the best place; painted last, on top.
    const order = [...this.#drawn].sort((a, b) => Number(b.key === this.#chosen) - Number(a.key === this.#chosen));
    const taken = [];
    const labels = order.map((item) => this.#place(item, nowMs, taken));
    for (let i = order.length - 1; i >= 0; i -= 1) {
      context.globalAlpha = order[i].opacity;
      this.#box(order[i], order[i].key === this.#chosen || order.length === 1);
    }
    for (let i = order.length - 1; i >= 0; i -= 1) {
      context.globalAlpha = order[i].opacity;
      this.#label(labels[i]);
    }
    context.globalAlpha = 1;
  }

  /** The outline has the face's own colour: whose it is. What it shows is said in the label. */
  #box({ key, box: [x1, y1, x2, y2], face }, strong) {
    const context = this.#context;
    const said = describe(face);
    const width = x2 - x1;
    const height = y2 - y1;
    const radius = Math.min(14, width / 6, height / 6);
    const outline = new Path2D();
    outline.roundRect(x1, y1, width, height, radius);
    context.lineJoin = "round";
    context.setLineDash([]);
    context.strokeStyle = "rgb(0 0 0 / 0.55)"; // a dark rim keeps any colour visible on any picture
    context.lineWidth = strong ? 6.5 : 4.75;
    context.stroke(outline);
    context.strokeStyle = this.#colours[faceColour(this.#numberOf(key))];
    context.lineWidth = strong ? 3.5 : 2.25;
    if (said.tone !== "sure") context.setLineDash([7, 6]);
    context.stroke(outline);
    context.setLineDash([]);
  }

  /** Where a face's label goes: above its box, else below, else inside, clear of `taken` ones. */
  #place({ key, box: [x1, y1, x2, y2], face }, nowMs, taken) {
    const context = this.#context;
    const { width: viewWidth, height: viewHeight } = this.#view;
    const { icon, text } = this.#words(key, face, nowMs);
    const size = viewWidth < 480 ? 13 : 15;
    const pad = size * 0.6;
    const height = size * 1.9;
    context.font = `600 ${size}px ${FONT}`;
    const number = this.#several ? String(this.#numberOf(key)) : "";
    const tag = number && Math.max(size * 1.35, context.measureText(number).width + size * 0.7);
    const before = number ? size * 0.28 + tag + 6 : pad; // of the shape
    const indent = before + size + 6; // of the text, behind the shape
    const said = ellipsis(context, text, viewWidth - 2 * EDGE - pad - indent);
    const width = context.measureText(said).width + pad + indent;
    const left = clamp((x1 + x2 - width) / 2, EDGE, viewWidth - EDGE - width);
    const tops = [y1 - height - 8, y2 + 8, y1 + 8].filter(
      (top) => top >= EDGE && top + height <= viewHeight - EDGE,
    );
    const rectangle = (top) => [left, top, left + width, top + height];
    const clear = (top) => taken.every((other) => iou(other, rectangle(top)) === 0);
    const top = tops.find(clear) ?? tops[0] ?? EDGE;
    taken.push(rectangle(top));
    const colour = this.#colours[faceColour(this.#numberOf(key))];
    return { icon, said, left, top, width, height, before, size, indent, number, tag, colour };
  }

  #label({ icon, said, left, top, width, height, before, size, indent, number, tag, colour }) {
    const context = this.#context;
    const pill = new Path2D();
    pill.roundRect(left, top, width, height, number ? size * 0.6 : height / 2);
    context.fillStyle = "rgb(9 13 12 / 0.86)";
    context.fill(pill);
    const middle = top + height / 2;
    const iconSize = size - 1;
    context.font = `600 ${size}px ${FONT}`;
    context.textBaseline = "middle";
    if (number) {
      const square = new Path2D();
      const edge = (height - size * 1.35) / 2;
      square.roundRect(left + edge, top + edge, tag, height - 2 * edge, size * 0.35);
      context.fillStyle = colour;
      context.fill(square);
      context.fillStyle = "#0b0e0d";
      context.textAlign = "center";
      context.fillText(number, left + edge + tag / 2, middle + size * 0.06);
      context.textAlign = "start";
    }
    context.save();
    context.translate(left + before, middle - iconSize / 2);
    context.scale(iconSize / 24, iconSize / 24);
    context.fillStyle = this.#colours[icon];
    context.fill(this.#paths.get(icon), "evenodd");
    context.restore();
    context.fillStyle = "#fff";
    context.fillText(said, left + indent, middle + size * 0.06);
  }

  #words(key, face, nowMs) {
    const known = this.#labels.get(key);
    const said = describe(face);
    const same = known && known.tone === said.tone && known.icon === said.icon;
    if (same && nowMs - known.sinceMs < LABEL_EVERY_MS) return known;
    const words = { tone: said.tone, icon: said.icon, text: said.short, sinceMs: nowMs };
    this.#labels.set(key, words);
    return words;
  }
}

function clamp(value, low, high) {
  return Math.max(low, Math.min(high, value));
}

function ellipsis(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let end = text.length;
  while (end > 1 && context.measureText(`${text.slice(0, end)}…`).width > width) end -= 1;
  return `${text.slice(0, end).trimEnd()}…`;
}
