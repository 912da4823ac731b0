// The tables of a study's report: stimuli at a glance, differences, answers, and who was left out.

import { el, row } from "../lib/dom.js";
import { EMOTIONS, nameOf, percent } from "../lib/emotions.js";
import { mark, number, t, tn } from "../lib/i18n.js";
import { differenceText, interval, measureName, reasonText, signed, valueText } from "./report-data.js";

// what the server says of an effect (webapp/survey/report/compare.py)
const EFFECTS = [mark("very small"), mark("small"), mark("medium"), mark("large")];

const points = (value) => signed(100 * value, 1);
const pText = (p) => (p === null || p === undefined ? "–" : p < 0.001 ? `< ${number(0.001, 3)}` : number(p, 3));
const NAMED = 5; // differences that are named above the table

function table(label, head, rows, caption = null) {
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    el("table", { class: "data" }, caption ? el("caption", {}, caption) : null,
      el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, ...rows)));
}

function block(id, title, ...children) {
  return el("section", { class: "block stimulus-report", "aria-labelledby": id }, el("h2", { id }, title), ...children);
}

/** Mean scores of every stimulus side by side. */
export function overview(report) {
  const cell = (one) => [el("span", {}, percent(one.mean), el("small", {}, interval(one.low, one.high))), null];
  const rows = report.stimuli.filter((one) => one.summary).map((one) => row([
    one.name, String(one.people), ...EMOTIONS.map((emotion) => cell(one.summary[emotion])), signed(one.summary.valence.mean),
  ]));
  return block("overview-title", t("At a glance"),
    table(t("Mean scores"), [t("Shown"), t("People"), ...EMOTIONS.map(nameOf), t("Valence")], rows, t("Mean score over the whole time, each person counting once")));
}

/** The tests between stimuli, or null where there is nothing to compare. */
export function comparison(report) {
  const found = report.comparison;
  if (!found || found.rows.length === 0) return null;
  const clear = found.rows.filter((one) => one.significant);
  const rows = found.rows.map((one) => {
    const share = one.measure !== "valence";
    const band = one.interval && one.interval.map((value) => (share ? points(value) : signed(value))).join(" … ");
    const verdict = one.untested ? t("Not tested") : one.significant ? t("Differs") : t("No clear difference");
    return row([
      `${one.groups[0]} − ${one.groups[1]}`, measureName(one.measure), valueText(one.measure, one.first), valueText(one.measure, one.second),
      share ? points(one.difference) : signed(one.difference), band || "–", pText(one.p_holm),
      EFFECTS.includes(one.effect_word) ? t(one.effect_word) : "–", [verdict, "words"],
    ], { class: one.significant ? "marked" : null });
  });
  return block("comparison-title", t("What was shown, compared"),
    el("p", {}, clear.length === 0
      ? t("No difference between the stimuli is clear.")
      : tn("One difference is clear:", "{count} differences are clear:", clear.length)),
    el("ul", { class: "texts", hidden: clear.length === 0 }, ...clear.slice(0, NAMED).map((one) => el("li", {}, differenceText(one))),
      clear.length > NAMED ? el("li", {}, t("and others, marked in the table")) : null),
    el("details", { class: "more", open: found.rows.length <= 24 }, el("summary", {}, t("Table of differences")),
      table(t("Differences"), [t("Stimuli"), t("Measure"), t("First"), t("Second"), t("Difference"), t("Interval"), t("p (corrected)"), t("Effect size"), t("Finding")], rows,
        t("First minus second; shares in points. Tests count each person once and are corrected together (Holm)."))));
}

/** Answers beside faces. */
export function answers(report) {
  if (report.answers.length === 0) return null;
  const names = new Map(report.stimuli.map((one) => [one.id, one.name]));
  return block("answers-title", t("Answers beside faces"), ...report.answers.map((one) => answer(one, names)));
}

function answer(one, names) {
  const part = el("div", { class: "answer" }, el("h3", {}, one.text),
    el("p", { class: "note" }, tn("One answer", "{count} answers", one.people),
      one.mean === null ? "" : ` · ${t("mean {mean}", { mean: number(one.mean, 1) })}`,
      one.low === null ? "" : ` (${number(one.low, 1)}–${number(one.high, 1)})`));
  if (one.kind === "text") {
    part.append(el("ul", { class: "texts" }, ...one.texts.map((text) => el("li", {}, text))));
    return part;
  }
  const rows = one.values.flatMap((value) => value.stimuli.map((beside) => row([
    `${value.value} (${value.people})`, names.get(beside.stimulus) ?? "",
    ...EMOTIONS.map((emotion) => percent(beside.emotions[emotion].mean)), signed(beside.valence.mean),
  ])));
  part.append(table(one.text, [t("Answer"), t("Shown"), ...EMOTIONS.map(nameOf), t("Valence")], rows));
  const related = one.relations.filter((relation) => relation.significant);
  if (related.length > 0) {
    part.append(el("ul", { class: "texts" }, ...related.map((relation) => el("li", {}, t(
      "{measure} during {name} goes along with the answer: rank correlation {rho} ({low} to {high}), p = {p}", {
        measure: measureName(relation.measure), name: names.get(relation.stimulus) ?? "", rho: signed(relation.rho),
        low: signed(relation.low), high: signed(relation.high), p: pText(relation.p_holm),
      })))));
  }
  return part;
}

/** Who was left out, and how the figures were made. */
export function people(report) {
  const { begun, running, finished, left, withdrawn, used } = report.people;
  const facts = [
    [t("Took part"), String(begun)], [t("Finished"), String(finished)], [t("Under way"), String(running)],
    [t("Left early"), String(left)], [t("Withdrawn, and deleted"), String(withdrawn)], [t("Counted in the report"), String(used)],
    ...report.left_out.map((one) => [t("Left out: {why}", { why: reasonText(one.reason) }), String(one.people)]),
  ];
  const method = [
    [t("Intervals"), t("95 %, over people drawn anew; none for fewer than {people} people", { people: report.method.min_people })],
    [t("Showing an expression"), t("a score of at least {threshold}", { threshold: percent(report.method.threshold) })],
    [t("Peaks and drops"), t("where the mean leaves what chance gives when each person's curve is moved in time on its own")],
    [t("Model"), Object.entries(report.method.models).map(([version, count]) => `${version} (${count})`).join(", ")],
  ];
  const list = (rows) => el("dl", { class: "facts" }, ...rows.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  return block("people-title", t("Who is counted, and how"), list(facts), list(method));
}
