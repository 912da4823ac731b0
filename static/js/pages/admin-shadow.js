// The shadow page: start a trial, follow it, and read what it found.

import { call, press } from "../admin/api.js";
import { el, row } from "../lib/dom.js";
import { nameOf } from "../lib/emotions.js";
import { clock, ms } from "../lib/format.js";
import { number, t } from "../lib/i18n.js";
import { showFace } from "./survey-report.js";

const config = JSON.parse(document.getElementById("config").textContent);
const find = (name) => document.querySelector(`[data-${name}]`);
const form = find("form");
const EVERY_MS = 1500;
const WORDS = {
  starting: t("starting its worker"), running: t("running"), done: t("ended"), stopped: t("stopped"), failed: t("failed"),
};
const percent = (value, digits = 1) => (value === null || value === undefined ? "–" : `${number(100 * value, digits)} %`);
let chosen = null;
let drawn = "";

const place = (trial) => (trial.source === "live"
  ? t("{share} % of the live frames", { share: Math.round(100 * trial.share) }) : t("the pictures of {name}", { name: trial.survey_name }));

function matrix(trial) {
  const head = el("tr", {}, el("th", { scope: "col" }, el("span", { class: "visually-hidden" }, trial.active)), ...config.emotions.map((name) => el("th", { scope: "col" }, nameOf(name))));
  const body = trial.matrix.map((line, i) => row([nameOf(config.emotions[i]), ...line.map((count, j) => [
    number(count), i === j ? "same" : count ? "differs" : null])]));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("Disagreement matrix") },
    el("table", { class: "data data--matrix" },
      el("caption", {}, t("Rows: what {active} says. Columns: what {candidate} says about the same face.", { active: trial.active, candidate: trial.candidate })),
      el("thead", {}, head), el("tbody", {}, ...body)));
}

function shifts(trial) {
  const signed = (value) => `${value >= 0 ? "+" : "−"}${number(Math.abs(100 * value), 1)}`;
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("Shift of each expression") },
    el("table", { class: "data" },
      el("caption", {}, t("Mean probability of each expression; the shift is in percentage points.")),
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, el("span", { class: "visually-hidden" }, t("Expression"))), ...[trial.active, trial.candidate, t("Shift")].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, ...trial.shift.map((one) => row([
        el("span", {}, el("span", { class: `dot dot--${one.emotion}` }), nameOf(one.emotion)),
        percent(one.active), percent(one.candidate), signed(one.candidate - one.active),
      ])))));
}

function examples(trial) {
  if (!trial.examples.length) return [];
  const tiles = trial.examples.map((one) => {
    const tile = el("div", { class: "face" });
    showFace(tile, `${config.surveys}/${trial.survey}`, one);
    return el("li", {}, tile, el("span", {}, `${nameOf(one.active)} → ${nameOf(one.candidate)}`));
  });
  return [el("h3", {}, t("Where they differ most")), el("ul", { class: "faces" }, ...tiles)];
}

function figure(label, value) {
  return el("div", {}, el("dt", {}, label), el("dd", {}, value));
}

function drawTrial(trial, running) {
  find("trial").hidden = !trial;
  if (!trial) return;
  const key = JSON.stringify([trial.id, trial.frames, trial.state, trial.dropped, trial.errors, running]);
  if (key === drawn) return;
  drawn = key;
  find("trial-title").textContent = t("{candidate} beside {active}", { candidate: trial.candidate, active: trial.active });
  const left = trial.state === "running" && trial.total ? `, ${t("{count} of {total} pictures", { count: trial.frames, total: trial.total })}` : "";
  find("trial-state").textContent = t("On {place}: {state}.", { place: place(trial), state: `${WORDS[trial.state] ?? trial.state}${left}` })
    + ` ${t("Started {time} by {name}.", { time: clock(trial.began), name: trial.by })}${trial.reason ? ` ${t(trial.reason)}` : ""}`;
  find("stop").hidden = !running;
  const go = find("go");
  go.hidden = running || !trial.faces;
  go.href = `/admin/models/${encodeURIComponent(trial.candidate)}/activate`;
  const body = find("trial-body");
  if (!trial.faces) {
    body.replaceChildren(el("p", {}, trial.state === "running"
      ? t("No face was compared yet. Open the live page and start the camera.") : t("No face was compared.")));
    return;
  }
  body.replaceChildren(
    el("dl", { class: "figures" },
      figure(t("Agreement"), percent(trial.agreement)),
      figure(t("Faces compared"), number(trial.faces)),
      figure(t("Per face"), `${ms(trial.ms_active)} → ${ms(trial.ms_candidate)}`),
      figure(t("Uncertain"), `${percent(trial.uncertain_active, 0)} → ${percent(trial.uncertain_candidate, 0)}`),
      figure(t("Left out, too busy"), number(trial.dropped)),
      figure(t("Errors"), number(trial.errors))),
    el("p", { class: "note" }, t("The candidate gives way to everything else, so its time per face is longer on a busy machine than it would be in service.")),
    matrix(trial), shifts(trial), ...examples(trial),
  );
}

function drawResults(results) {
  find("results-block").hidden = results.length === 0;
  find("results").replaceChildren(...results.map((one) => {
    const button = el("button", { class: "button button--quiet", type: "button" }, t("Show"));
    button.addEventListener("click", () => {
      chosen = one;
      drawTrial(one, false);
      find("trial").scrollIntoView({ block: "start" });
    });
    return row([one.candidate, one.active, [place(one), "wide"], number(one.faces), percent(one.agreement), button]);
  }));
}

function draw(now) {
  if (now.running) chosen = null;
  drawTrial(chosen ?? now.trial ?? now.results[0] ?? null, now.running);
  drawResults(now.results);
  if (form) form.hidden = now.running;
}

form?.elements.survey.addEventListener("change", () => {
  find("live-only").hidden = Boolean(form.elements.survey.value);
});
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = form.elements;
  const done = await press(form.querySelector("[type=submit]"), find("error"), () => call("POST", `${config.api}/shadow`, {
    candidate: fields.candidate.value, survey: fields.survey.value,
    share: Number(fields.share.value) / 100, minutes: Number(fields.minutes.value),
  }));
  if (done) draw(await call("GET", `${config.api}/shadow`));
});
find("stop").addEventListener("click", () => press(find("stop"), find("error"), () => call("DELETE", `${config.api}/shadow`)));

draw(config.now);
setInterval(async () => {
  if (document.hidden) return;
  try {
    draw(await call("GET", `${config.api}/shadow`));
  } catch (error) {
    find("error").textContent = error.message;
    find("error").hidden = false;
  }
}, EVERY_MS);
// until here a click would send the form the browser's own way, which does nothing
if (form) form.querySelector("[type=submit]").disabled = false;
