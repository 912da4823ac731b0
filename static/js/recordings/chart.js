// The playback's curves with uPlot: zoom by dragging, a line at the playhead, lines at markers.

import uPlot from "../../vendor/uPlot.esm.js";
import { number } from "../lib/i18n.js";
import { clock } from "./words.js";

const HEIGHT = 260;
const CLICK_PX = 4; // a pointer that moved less did not drag

export class PlaybackChart {
  #root; #plot = null; #content = null; #range = { from: 0, to: 1 }; #playhead = 0;
  #onRange; #onSeek; #observer;

  /** onRange({from, to} in s) after a zoom by hand; onSeek(ms) after a click. */
  constructor(root, { onRange, onSeek }) {
    this.#root = root;
    this.#onRange = onRange;
    this.#onSeek = onSeek;
    this.#observer = new ResizeObserver(() => this.#resize());
    this.#observer.observe(root);
  }

  /** Left edge and width of the plot in CSS pixels, for what is drawn below it. */
  get area() {
    const { left, width } = this.#plot?.bbox ?? { left: 0, width: this.#root.clientWidth * devicePixelRatio };
    return { left: left / devicePixelRatio, width: width / devicePixelRatio };
  }

  /** Shows {columns, series: [{name, colour, dash}], low, high, markers: [{t_ms}]}. */
  show(content, range) {
    this.#content = content;
    this.#range = range;
    this.rebuild();
  }

  set range(range) {
    this.#range = range;
    this.#plot?.setScale("x", { min: range.from, max: range.to });
  }

  set playhead(ms) {
    this.#playhead = ms;
    this.#plot?.redraw(false);
  }

  /** Reads the colours again, for example after the theme changed. */
  rebuild() {
    this.#plot?.destroy();
    const { columns, series, low, high } = this.#content;
    const style = getComputedStyle(this.#root);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: colour("--ink-soft"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { stroke: colour("--line"), width: 1 },
      font: `12px ${style.fontFamily}`,
    };
    this.#plot = new uPlot(
      {
        width: Math.max(200, this.#root.clientWidth),
        height: HEIGHT,
        legend: { show: false },
        cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false }, y: false },
        scales: { x: { time: false, range: () => [this.#range.from, this.#range.to] }, y: { range: [low, high] } },
        axes: [
          { ...axis, values: (_, ticks) => ticks.map((s) => clock(s * 1000, { tenths: this.#range.to - this.#range.from < 20 })), space: 80 },
          { ...axis, size: 58, values: (_, ticks) => ticks.map((v) => (low < 0 ? number(v, 1) : `${Math.round(v * 100)} %`)) },
        ],
        series: [
          {},
          ...series.map(({ name, colour: own, dash }) => ({
            label: name, stroke: colour(own), width: 1.75, dash, points: { show: false }, spanGaps: false,
          })),
        ],
        hooks: {
          setSelect: [(plot) => this.#selected(plot)],
          draw: [(plot) => this.#lines(plot, colour)],
        },
      },
      columns,
      this.#root,
    );
    this.#listen();
  }

  #listen() {
    let downX = null;
    this.#plot.over.addEventListener("pointerdown", (event) => (downX = event.clientX));
    this.#plot.over.addEventListener("click", (event) => {
      if (downX === null || Math.abs(event.clientX - downX) > CLICK_PX) return;
      const { left } = this.#plot.over.getBoundingClientRect();
      this.#onSeek(1000 * this.#plot.posToVal(event.clientX - left, "x"));
    });
  }

  #selected(plot) {
    const { left, width } = plot.select;
    if (width <= CLICK_PX) return;
    const range = { from: plot.posToVal(left, "x"), to: plot.posToVal(left + width, "x") };
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.#onRange(range);
  }

  #lines(plot, colour) {
    const { ctx, bbox } = plot;
    const line = (s, stroke, dash) => {
      if (s < this.#range.from || s > this.#range.to) return;
      const x = Math.round(plot.valToPos(s, "x", true)) + 0.5;
      ctx.strokeStyle = stroke;
      ctx.setLineDash(dash);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    };
    ctx.save();
    ctx.lineWidth = devicePixelRatio;
    for (const { t_ms } of this.#content.markers) line(t_ms / 1000, colour("--ink-soft"), [4, 4]);
    ctx.lineWidth = 2 * devicePixelRatio;
    line(this.#playhead / 1000, colour("--ink"), []);
    ctx.restore();
  }

  #resize() {
    const width = Math.max(200, this.#root.clientWidth);
    if (this.#plot && this.#plot.width !== width) this.#plot.setSize({ width, height: HEIGHT });
    this.#onRange(this.#range);
  }
}
