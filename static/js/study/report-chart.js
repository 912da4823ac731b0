// Curves over the time of a stimulus with uPlot: lines with bands, a line at the moment on screen.

import uPlot from "../../vendor/uPlot.esm.js";
import { clock } from "./report-data.js";

export class TimeChart {
  #root; #height; #plot = null; #content = null; #playheadMs = null; #onPoint; #size;

  /** onPoint(ms, pressed) while the pointer is over the plot. */
  constructor(root, { height = 260, onPoint }) {
    this.#root = root;
    this.#height = height;
    this.#onPoint = onPoint;
    this.#size = new ResizeObserver(() => this.#resize());
    this.#size.observe(root);
  }

  /**
   * Shows {t_ms, lastMs, lines: [{name, colour, values, low, high, dash}]}; values are shares, null where
   * nothing is known; `top` is the highest share of the axis.
   */
  show(content) {
    this.#content = content;
    this.rebuild();
  }

  /** Reads the colours again, for example after the theme changed. */
  rebuild() {
    if (!this.#content || this.#root.clientWidth === 0) return;
    this.#plot?.destroy();
    const { t_ms, lastMs, lines, top = 1 } = this.#content;
    const style = getComputedStyle(this.#root);
    const colour = (name) => style.getPropertyValue(name).trim();
    const data = [t_ms.map((ms) => ms / 1000)];
    const series = [{}];
    const bands = [];
    for (const line of lines) {
      const stroke = colour(line.colour);
      data.push(line.values);
      series.push({ label: line.name, stroke, width: 2, dash: line.dash, points: { show: false }, spanGaps: false });
      if (!line.low) continue;
      for (const edge of [line.high, line.low]) {
        data.push(edge);
        series.push({ stroke: "transparent", width: 0, points: { show: false }, spanGaps: false });
      }
      bands.push({ series: [data.length - 2, data.length - 1], fill: `color-mix(in srgb, ${stroke} 18%, transparent)` });
    }
    const axis = {
      stroke: colour("--ink-soft"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { stroke: colour("--line"), width: 1 },
      font: `12px ${style.fontFamily}`,
    };
    this.#plot = new uPlot({
      width: Math.max(200, this.#root.clientWidth),
      height: this.#height,
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { show: false }, x: true, y: false },
      scales: { x: { time: false, range: () => [0, lastMs / 1000] }, y: { range: [0, top] } },
      axes: [
        { ...axis, values: (_, ticks) => ticks.map((s) => clock(1000 * s).replace(/\D0$/, "")), space: 70 },
        { ...axis, size: 54, space: 36, values: (_, ticks) => ticks.map((v) => `${Math.round(100 * v)} %`) },
      ],
      series,
      bands,
      hooks: { draw: [(plot) => this.#line(plot, colour("--ink"))] },
    }, data, this.#root);
    this.#listen();
  }

  set playheadMs(ms) {
    this.#playheadMs = ms;
    this.#plot?.redraw(false);
  }

  #listen() {
    const { over } = this.#plot;
    const point = (event, pressed) => {
      const { left } = over.getBoundingClientRect();
      const ms = 1000 * this.#plot.posToVal(event.clientX - left, "x");
      this.#onPoint(Math.max(0, Math.min(this.#content.lastMs, ms)), pressed);
    };
    over.addEventListener("pointermove", (event) => point(event, event.buttons > 0));
    over.addEventListener("click", (event) => point(event, true));
  }

  #line(plot, stroke) {
    if (this.#playheadMs === null) return;
    const { ctx, bbox } = plot;
    const x = Math.round(plot.valToPos(this.#playheadMs / 1000, "x", true)) + 0.5;
    ctx.save();
    ctx.strokeStyle = stroke;
    ctx.setLineDash([]);
    ctx.lineWidth = 2 * devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  }

  #resize() {
    const width = Math.max(200, this.#root.clientWidth);
    if (!this.#plot) this.rebuild();
    else if (this.#plot.width !== width) this.#plot.setSize({ width, height: this.#height });
  }
}
