// One stimulus of the report: what was shown beside the curves of everybody who saw it. Hovering the
// curves, playing the film and choosing a moment all move the same point in time.

import { el, setText } from "../lib/dom.js";
import { EMOTIONS, nameOf, percent } from "../lib/emotions.js";
import { number, t, tn } from "../lib/i18n.js";
import { icon } from "../lib/shape-icon.js";
import { onEachFrame } from "../live/capture.js";
import { TimeChart } from "./report-chart.js";
import { clock, interval, momentText, stepAt, strongest } from "./report-data.js";

const MEASURES = ["mean", "share"];

export class StimulusReport {
  #shown; #measure = "mean"; #chosen; #film = null; #chart; #watching; #now; #moments = []; #ms = 0; #segment = "";

  /** Draws `shown` (a stimulus of the report) into a new element, `element`. */
  constructor(shown, place) {
    this.#shown = shown;
    this.#chosen = new Set(strongest(shown.curves, "mean"));
    this.element = this.#build(place);
  }

  /** Draws the charts once the element is in the page. */
  draw() {
    this.#lines();
    this.#attention();
    this.#to(this.#shown.moments[0]?.t_ms ?? 0, { seek: false });
  }

  rebuild() {
    this.#chart.rebuild();
    this.#watching.rebuild();
  }

  get #lastMs() {
    const { duration_ms, t_ms, step_ms } = this.#shown;
    return duration_ms ?? (t_ms.at(-1) ?? 0) + step_ms;
  }

  #build(place) {
    const { name, people, rate } = this.#shown;
    const id = `stimulus-${place}`;
    this.#now = el("dl", { class: "now-list" });
    const chart = el("div", { class: "time-chart" });
    const watching = el("div", { class: "time-chart time-chart--low" });
    const point = { onPoint: (ms, pressed) => this.#pointed(ms, pressed) };
    this.#chart = new TimeChart(chart, point);
    this.#watching = new TimeChart(watching, { ...point, height: 110 });
    return el("section", { class: "block stimulus-report", "aria-labelledby": id },
      el("h2", { id }, `${place}. ${name}`),
      el("p", { class: "note" }, tn(
        "One person, {rate} readings a second", "{count} people, {rate} readings a second each", people,
        { rate: rate === null ? "–" : number(rate, 1) },
      )),
      el("div", { class: "beside" },
        el("div", { class: "beside__shown" }, this.#media(), this.#now),
        el("div", { class: "beside__curves" },
          this.#choices(), chart,
          el("p", { class: "note" }, t("Mean of everybody with a 95 % band over people. Move over the curves, or play the film.")),
          el("h3", {}, t("Watching and facing the screen")), watching,
          el("p", { class: "legend-line" },
            el("span", { class: "key key--solid" }, t("Still watching")), el("span", { class: "key key--dash" }, t("Facing the screen")))),
        el("div", { class: "beside__moments" }, el("h3", {}, t("Peaks and drops")), this.#momentList())));
  }

  #media() {
    const { kind, url, name } = this.#shown;
    if (kind === "picture") return el("img", { class: "shown", src: url, alt: name });
    this.#film = el("video", { class: "shown", src: url, controls: true, playsinline: true, preload: "auto", "aria-label": name });
    onEachFrame(this.#film, (_, picture) => {
      if (!this.#film.paused) this.#to(1000 * (picture?.mediaTime ?? this.#film.currentTime), { seek: false });
    });
    this.#film.addEventListener("seeked", () => {
      if (this.#wanted !== null) this.#seek();
      else if (!this.#film.paused) return;
    });
    return this.#film;
  }

  #choices() {
    const legend = el("div", { class: "emotion-keys", role: "group", "aria-label": t("Expressions shown") });
    for (const emotion of EMOTIONS) {
      if (!this.#shown.curves[emotion]) continue;
      const button = el("button", { class: `emotion-key emotion-key--${emotion}`, type: "button", "aria-pressed": String(this.#chosen.has(emotion)) },
        icon(emotion), el("span", {}, nameOf(emotion)));
      button.addEventListener("click", () => {
        if (!this.#chosen.delete(emotion)) this.#chosen.add(emotion);
        button.setAttribute("aria-pressed", String(this.#chosen.has(emotion)));
        this.#lines();
      });
      legend.append(button);
    }
    const words = { mean: t("Mean score"), share: t("Share of people showing it") };
    const measure = el("select", { class: "select", "aria-label": t("Measure") },
      ...MEASURES.map((name) => el("option", { value: name }, words[name])));
    measure.addEventListener("change", () => {
      this.#measure = measure.value;
      this.#lines();
      this.#tell();
    });
    return el("div", { class: "curve-tools" }, legend, measure);
  }

  #momentList() {
    const { moments } = this.#shown;
    if (moments.length === 0) return el("p", { class: "note" }, t("None stands out from chance with this many people."));
    return el("ul", { class: "moments" }, ...moments.map((moment) => {
      const button = el("button", { class: "moment", type: "button", "aria-pressed": "false" },
        icon(moment.emotion),
        el("span", {}, el("strong", {}, momentText(moment)),
          el("small", {}, t("between {from} and {to}, {interval}", {
            from: clock(moment.from_ms), to: clock(moment.to_ms), interval: interval(moment.low, moment.high),
          }))));
      button.addEventListener("click", () => this.#select(moment, button));
      this.#moments.push({ moment, button });
      return el("li", {}, button);
    }));
  }

  #select(moment, button) {
    this.#film?.pause();
    if (!this.#chosen.has(moment.emotion)) {
      this.#chosen.add(moment.emotion);
      this.element.querySelector(`.emotion-key--${moment.emotion}`)?.setAttribute("aria-pressed", "true");
      this.#lines();
    }
    this.#to(moment.t_ms, { seek: true });
    for (const one of this.#moments) one.button.setAttribute("aria-pressed", String(one.button === button));
  }

  #pointed(ms, pressed) {
    if (this.#film && !this.#film.paused && !pressed) return; // it plays: only a click takes it elsewhere
    this.#to(ms, { seek: true });
  }

  #wanted = null;

  #seek() {
    const { duration } = this.#film;
    const wantedS = Math.min(this.#wanted / 1000, Number.isFinite(duration) ? duration - 0.001 : Infinity);
    this.#wanted = null;
    this.#film.currentTime = wantedS;
  }

  #to(ms, { seek }) {
    this.#ms = ms;
    this.#chart.playheadMs = ms;
    this.#watching.playheadMs = ms;
    for (const { button } of this.#moments) button.setAttribute("aria-pressed", "false");
    if (seek && this.#film) {
      this.#wanted = ms;
      if (!this.#film.seeking) this.#seek();
    }
    this.#tell();
  }

  /** The moment in figures, beside the film. */
  #tell() {
    const { t_ms, curves, people_at } = this.#shown;
    const i = stepAt(t_ms, this.#ms);
    const row = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
    const figures = EMOTIONS.filter((emotion) => curves[emotion]).map((emotion) => {
      const curve = curves[emotion];
      const value = curve[this.#measure]?.[i];
      return { emotion, value, text: value === null || value === undefined ? "–" : percent(value) };
    });
    this.#now.replaceChildren(
      row(t("Time"), clock(this.#ms)), row(t("People"), String(people_at[i] ?? 0)),
      ...figures.map(({ emotion, text }) => row(nameOf(emotion), text)));
    this.element.dataset.ms = String(Math.round(this.#ms));
  }

  #lines() {
    const { t_ms, curves } = this.#shown;
    const share = this.#measure === "share";
    const lines = [...this.#chosen].map((emotion) => {
      const curve = curves[emotion];
      return {
        name: nameOf(emotion), colour: `--emotion-${emotion}`, values: curve[this.#measure],
        low: share ? curve.share_low : curve.low, high: share ? curve.share_high : curve.high,
      };
    }).filter(({ values }) => values);
    this.#chart.show({ t_ms, lastMs: this.#lastMs, lines });
  }

  #attention() {
    const { t_ms, watching, attention } = this.#shown;
    this.#watching.show({
      t_ms, lastMs: this.#lastMs,
      lines: [
        { name: t("Still watching"), colour: "--ink", values: watching },
        { name: t("Facing the screen"), colour: "--ink-soft", values: attention, dash: [6, 4] },
      ],
    });
  }
}
