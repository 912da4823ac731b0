// The last minute of one face as a stacked area: each band's height is a probability.

import { shapeOf } from "../lib/emotions.js";
import { STACK } from "./history.js";

const MARK_FROM_MS = 4000; // a label that lasted as long gets its shape drawn into its band
const MARK_SIZE = 11;

/** uPlot and its style sheet, loaded when the first timeline is made: reading can begin without. */
function loadPlot() {
  const style = document.createElement("link");
  style.rel = "stylesheet";
  style.href = new URL("../../vendor/uPlot.min.css", import.meta.url).href;
  document.head.append(style);
  return import("../../vendor/uPlot.esm.js");
}

export class Timeline {
  #root; #plot = null; #observer; #history = null; #nowMs = 0; #paths; #uPlot = null; #closed = false;

  constructor(root) {
    this.#root = root;
    this.#paths = new Map(STACK.map((emotion) => [emotion, new Path2D(shapeOf(emotion))]));
    this.#observer = new ResizeObserver(() => this.#resize());
    this.#observer.observe(root);
    loadPlot().then(({ default: uPlot }) => {
      this.#uPlot = uPlot;
      if (!this.#closed) this.rebuild();
    }, console.error); // the reading goes on without the drawing; its summary is in words
  }

  /** Draws the minute before `nowMs` of `history` (null: none). */
  update(history, nowMs) {
    this.#history = history;
    this.#nowMs = nowMs;
    history?.prune(nowMs);
    this.#plot?.setData(history ? history.columns(nowMs) : this.#blank());
  }

  /** Reads the colours again, for example after the theme changed. */
  rebuild() {
    if (!this.#uPlot) return;
    this.#plot?.destroy();
    const style = getComputedStyle(this.#root);
    const colour = (name) => style.getPropertyValue(name).trim();
    const colours = STACK.map((emotion) => colour(`--emotion-${emotion}`));
    const seam = colour("--surface");
    this.#plot = new this.#uPlot(
      {
        ...this.#size(),
        padding: [0, 0, 0, 0],
        legend: { show: false },
        cursor: { show: false },
        scales: { x: { time: false, range: [-60, 0] }, y: { range: [0, 1] } },
        axes: [{ show: false }, { show: false }], // labelled in HTML, below
        series: [
          {},
          ...STACK.map((_, i) => ({
            stroke: seam,
            width: 1,
            fill: i === 0 ? colours[0] : undefined,
            points: { show: false },
          })),
        ],
        bands: STACK.slice(1).map((_, i) => ({ series: [i + 2, i + 1], fill: colours[i + 1] })),
        hooks: { draw: [(plot) => this.#marks(plot, seam)] },
      },
      this.#history ? this.#history.columns(this.#nowMs) : this.#blank(),
      this.#root,
    );
  }

  close() {
    this.#closed = true;
    this.#observer.disconnect();
    this.#plot?.destroy();
  }

  #blank() {
    return Array.from({ length: STACK.length + 1 }, () => []);
  }

  #size() {
    return {
      width: Math.max(120, this.#root.clientWidth),
      height: Math.max(80, this.#root.clientHeight),
    };
  }

  #resize() {
    if (!this.#plot) return;
    const size = this.#size();
    if (this.#plot.width !== size.width || this.#plot.height !== size.height) {
      this.#plot.setSize(size);
    }
  }

  #marks(plot, fill) {
    if (!this.#history) return;
    const context = plot.ctx;
    const size = MARK_SIZE * this.#uPlot.pxRatio;
    const [xs] = plot.data;
    for (const { label, fromMs, toMs } of this.#history.runs()) {
      const band = STACK.indexOf(label);
      if (band < 0 || toMs - fromMs < MARK_FROM_MS) continue;
      const middle = ((fromMs + toMs) / 2 - this.#nowMs) / 1000;
      const at = nearest(xs, middle);
      if (at < 0 || plot.data[band + 1][at] === null || middle < -59 || middle > -1) continue;
      const upper = plot.data[band + 1][at];
      const lower = band === 0 ? 0 : plot.data[band][at];
      const x = plot.valToPos(xs[at], "x", true);
      const y = plot.valToPos((upper + lower) / 2, "y", true);
      context.save();
      context.translate(x - size / 2, y - size / 2);
      context.scale(size / 24, size / 24);
      context.fillStyle = fill;
      context.fill(this.#paths.get(label), "evenodd");
      context.restore();
    }
  }
}

function nearest(xs, wanted) {
  let best = -1;
  for (let i = 0; i < xs.length; i += 1) {
    if (best < 0 || Math.abs(xs[i] - wanted) < Math.abs(xs[best] - wanted)) best = i;
  }
  return best;
}
