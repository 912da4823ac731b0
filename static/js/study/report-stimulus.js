// One stimulus of the report: what was shown beside the curves of everybody who saw it. Hovering the
// curves, playing the film and choosing a moment all move the same point in time.

import { el, setText } from "../lib/dom.js";
import { EMOTIONS, nameOf, percent } from "../lib/emotions.js";
import { number, t, tn } from "../lib/i18n.js";
import { icon } from "../lib/shape-icon.js";
import { onEachFrame } from "../live/capture.js";
import { TimeChart } from "./report-chart.js";
import { clock, interval, momentText, reasonText, strongest, valueAt } from "./report-data.js";

const MOST_SEGMENTS = 8; // as many as there are colours that tell things apart

/** The film of a report: it is sought one place at a time, the last that was asked for. */
class Film {
  #wantedMs = null;

  /** onTime(ms) while it plays. */
  constructor({ url, name }, onTime) {
    this.element = el("video", { class: "shown", src: url, controls: true, playsinline: true, preload: "auto", "aria-label": name });
    onEachFrame(this.element, (_, picture) => {
      if (!this.element.paused) onTime(1000 * (picture?.mediaTime ?? this.element.currentTime));
    });
    this.element.addEventListener("seeked", () => this.#next());
  }

  get playing() {
    return !this.element.paused && !this.element.ended;
  }

  seek(ms) {
    this.#wantedMs = ms;
    if (!this.element.seeking) this.#next();
  }

  #next() {
    if (this.#wantedMs === null) return;
    const { duration } = this.element;
    const lastS = Number.isFinite(duration) ? duration - 0.001 : Infinity;
    this.element.currentTime = Math.min(this.#wantedMs / 1000, lastS);
    this.#wantedMs = null;
  }
}

export class StimulusReport {
  #shown; #measure = "mean"; #chosen; #film = null; #curves; #attention; #now; #moments = []; #keys = new Map();

  /** Draws `shown` (a stimulus of the report) into a new element, `element`; `place` counts from 1. */
  constructor(shown, place) {
    this.#shown = shown;
    this.#chosen = new Set(shown.curve ? strongest(shown.curve.emotions) : []);
    if (this.#split) this.#chosen = new Set([...this.#chosen].slice(0, 1));
    this.element = this.#build(place);
  }

  get #split() {
    return this.#shown.segments.length > 0;
  }

  /** Draws the charts once the element is in the page, and again after the theme changed. */
  draw() {
    if (!this.#shown.curve) return;
    this.#drawCurves();
    this.#drawAttention();
  }

  #build(place) {
    const { name, curve } = this.#shown;
    const id = `stimulus-${place}`;
    const section = el("section", { class: "block stimulus-report", "aria-labelledby": id }, el("h2", { id }, `${place}. ${name}`), this.#facts());
    if (!curve) {
      section.append(el("p", { class: "note" }, t("Nobody's readings of it can be used yet.")));
      return section;
    }
    this.#now = el("dl", { class: "now-list", "aria-label": t("At this moment") });
    const [curves, attention] = [el("div", { class: "time-chart" }), el("div", { class: "time-chart time-chart--low" })];
    const onPoint = (ms, pressed) => this.#pointed(ms, pressed);
    this.#curves = new TimeChart(curves, { onPoint });
    this.#attention = new TimeChart(attention, { onPoint, height: 110 });
    section.append(this.#momentList(), el("div", { class: "beside" },
      el("div", { class: "beside__shown" }, this.#media(), this.#now),
      el("div", { class: "beside__curves" },
        this.#tools(), curves, this.#split ? this.#segmentKeys() : null,
        el("p", { class: "note" }, t("With 95 % bands where there are at least five people. Move over the curves, or play the film.")),
        el("h3", {}, t("Still there, and facing the screen")), attention,
        el("p", { class: "legend-line" },
          el("span", { class: "key" }, t("Still watching")), el("span", { class: "key key--dash" }, t("Facing the screen"))))));
    this.#to(0);
    return section;
  }

  #facts() {
    const { people, rate, left_out: leftOut } = this.#shown;
    const parts = [tn("One person", "{count} people", people)];
    if (rate) parts.push(t("{rate} readings a second each ({low} to {high})", { rate: number(rate.median, 1), low: number(rate.low, 1), high: number(rate.high, 1) }));
    parts.push(...leftOut.map((one) => tn("one left out: {why}", "{count} left out: {why}", one.people, { why: reasonText(one.reason) })));
    return el("p", { class: "note" }, parts.join(" · "));
  }

  #media() {
    const { kind, url, name } = this.#shown;
    if (kind === "picture") return el("img", { class: "shown", src: url, alt: name });
    this.#film = new Film(this.#shown, (ms) => this.#to(ms));
    return this.#film.element;
  }

  #tools() {
    const keys = el("div", { class: "emotion-keys", role: "group", "aria-label": t("Expressions shown") });
    for (const emotion of EMOTIONS) {
      const button = el("button", { class: "emotion-key", type: "button" }, icon(emotion), el("span", {}, nameOf(emotion)));
      button.addEventListener("click", () => this.#choose(emotion));
      this.#keys.set(emotion, button);
      keys.append(button);
    }
    this.#press();
    const measure = el("select", { class: "select", "aria-label": t("Measure") },
      el("option", { value: "mean" }, t("Mean score")), el("option", { value: "share" }, t("Share of people showing it")));
    measure.addEventListener("change", () => {
      this.#measure = measure.value;
      this.#drawCurves();
      this.#tell();
    });
    return el("div", { class: "curve-tools" }, keys, measure);
  }

  #choose(emotion) {
    if (this.#split) this.#chosen = new Set([emotion]);
    else if (!this.#chosen.delete(emotion)) this.#chosen.add(emotion);
    this.#press();
    this.#drawCurves();
  }

  #press() {
    for (const [emotion, button] of this.#keys) button.setAttribute("aria-pressed", String(this.#chosen.has(emotion)));
  }

  #segmentKeys() {
    return el("ul", { class: "legend-line" }, ...this.#shown.segments.slice(0, MOST_SEGMENTS).map(({ value, people }, i) =>
      el("li", { class: `key key--${i + 1}` }, `${value} (${people})`)));
  }

  #momentList() {
    const neutralLast = (one) => Number(one.emotion === "neutral");
    const moments = [...this.#shown.moments].sort((a, b) => neutralLast(a) - neutralLast(b) || a.t_ms - b.t_ms);
    if (moments.length === 0) return el("p", {}, t("No peak or drop stands out from chance with as many people as there are."));
    return el("ul", { class: "moments", "aria-label": t("Peaks and drops") }, ...moments.map((moment) => {
      const button = el("button", { class: "moment", type: "button", "aria-pressed": "false" },
        icon(moment.emotion),
        el("span", {}, el("strong", {}, momentText(moment)),
          el("small", {}, [
            interval(moment.value_low, moment.value_high),
            t("otherwise {baseline}", { baseline: percent(moment.baseline) }),
            t("between {from} and {to}", { from: clock(moment.t_low_ms), to: clock(moment.t_high_ms) }),
          ].filter(Boolean).join(" · "))));
      button.addEventListener("click", () => this.#select(moment, button));
      this.#moments.push(button);
      return el("li", {}, button);
    }));
  }

  #select(moment, button) {
    this.#film?.element.pause();
    if (!this.#chosen.has(moment.emotion)) this.#choose(moment.emotion);
    this.#to(moment.t_ms);
    this.#film?.seek(moment.t_ms);
    button.setAttribute("aria-pressed", "true");
    this.element.querySelector(".shown").scrollIntoView({ block: "nearest" });
  }

  #pointed(ms, pressed) {
    if (this.#film?.playing && !pressed) return; // it plays: only a click takes it elsewhere
    this.#to(ms);
    this.#film?.seek(ms);
  }

  /** Moves the point in time that charts and figures show. */
  #to(ms) {
    this.element?.setAttribute("data-ms", String(Math.round(ms)));
    this.ms = ms;
    this.#curves.playheadMs = ms;
    this.#attention.playheadMs = ms;
    for (const button of this.#moments) button.setAttribute("aria-pressed", "false");
    this.#tell();
  }

  /** The moment in figures, below the film. */
  #tell() {
    const { t_ms: times, emotions, people } = this.#shown.curve;
    const rows = [
      [t("Time"), clock(this.ms)],
      [t("People"), String(valueAt(times, people, this.ms) ?? 0)],
      ...EMOTIONS.map((emotion) => {
        const value = valueAt(times, emotions[emotion][this.#measure], this.ms);
        return [nameOf(emotion), value === null ? "–" : percent(value)];
      }),
    ];
    if (this.#now.childElementCount === rows.length) {
      rows.forEach(([, value], i) => setText(this.#now.children[i].lastElementChild, value));
    } else {
      this.#now.replaceChildren(...rows.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
    }
  }

  #drawCurves() {
    const { curve, segments, duration_ms: lastMs } = this.#shown;
    const share = this.#measure === "share";
    const line = (of, emotion, name, colour) => ({
      name, colour, values: of.emotions[emotion][this.#measure],
      low: of.emotions[emotion][share ? "share_low" : "low"], high: of.emotions[emotion][share ? "share_high" : "high"],
    });
    const [only] = this.#chosen;
    const lines = this.#split
      ? segments.slice(0, MOST_SEGMENTS).map((one, i) => line(one.curve, only, one.value, `--face-${i + 1}`))
      : [...this.#chosen].map((emotion) => line(curve, emotion, nameOf(emotion), `--emotion-${emotion}`));
    this.#curves.show({ t_ms: curve.t_ms, lastMs, lines });
  }

  #drawAttention() {
    const { attention, retention, duration_ms: lastMs } = this.#shown;
    if (!attention || !retention) return;
    this.#attention.show({
      t_ms: retention.t_ms, lastMs,
      lines: [
        { name: t("Still watching"), colour: "--ink", values: retention.share },
        { name: t("Facing the screen"), colour: "--ink-soft", values: attention.looking, dash: [6, 4] },
      ],
    });
  }
}
