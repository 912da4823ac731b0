// The shadow page: start a trial, follow it, and read what it found.

import { call, press } from "../admin/api.js";
import { el, row } from "../lib/dom.js";
import { clock, ms } from "../lib/format.js";
import { showFace } from "./survey-report.js";

const config = JSON.parse(document.getElementById("config").textContent);
const find = (name) => document.querySelector(`[data-${name}]`);
const form = find("form");
const EVERY_MS = 1500;
const WORDS = {
  starting: "starting its worker", running: "running", done: "ended", stopped: "stopped", failed: "failed",
};
const percent = (value, digits = 1) => (value === null || value === undefined ? "–" : `${(100 * value).toFixed(digits)} %`);
let chosen = null;
let drawn = "";

const place = (trial) => (trial.source === "live"
  ? `${Math.round(100 * trial.share)} % of the live frames` : `the pictures of ${trial.survey_name}`);

function matrix(trial) {
  const head = el("tr", {}, el("th", { scope: "col" }), ...config.emotions.map((name) => el("th", { scope: "col" }, name)));
  const body = trial.matrix.map((line, i) => row([config.emotions[i], ...line.map((count, j) => [
    String(count), i === j ? "same" : count ? "differs" : null])]));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Disagreement matrix" },
    el("table", { class: "data data--matrix" },
      el("caption", {}, `Rows: what ${trial.active} says. Columns: what ${trial.candidate} says about the same face.`),
      el("thead", {}, head), el("tbody", {}, ...body)));
}

function shifts(trial) {
  const signed = (value) => `${value >= 0 ? "+" : "−"}${Math.abs(100 * value).toFixed(1)}`;
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Shift of each expression" },
    el("table", { class: "data" },
      el("caption", {}, "Mean probability of each expression; the shift is in percentage points."),
      el("thead", {}, el("tr", {}, ...["", trial.active, trial.candidate, "Shift"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, ...trial.shift.map((one) => row([
        el("span", {}, el("span", { class: `dot dot--${one.emotion}` }), one.emotion),
        percent(one.active), percent(one.candidate), signed(one.candidate - one.active),
      ])))));
}

function examples(trial) {
  if (!trial.examples.length) return [];
  const tiles = trial.examples.map((one) => {
    const tile = el("div", { class: "face" });
    showFace(tile, `${config.surveys}/${trial.survey}`, one);
    return el("li", {}, tile, el("span", {}, `${one.active} → ${one.candidate}`));
  });
  return [el("h3", {}, "Where they differ most"), el("ul", { class: "faces" }, ...tiles)];
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
  find("trial-title").textContent = `${trial.candidate} beside ${trial.active}`;
  const left = trial.state === "running" && trial.total ? `, ${trial.frames} of ${trial.total} pictures` : "";
  find("trial-state").textContent = `On ${place(trial)}: ${WORDS[trial.state] ?? trial.state}${left}. `
    + `Started ${clock(trial.began)} by ${trial.by}.${trial.reason ? ` ${trial.reason}` : ""}`;
  find("stop").hidden = !running;
  const go = find("go");
  go.hidden = running || !trial.faces;
  go.href = `/admin/models/${encodeURIComponent(trial.candidate)}/activate`;
  const body = find("trial-body");
  if (!trial.faces) {
    body.replaceChildren(el("p", {}, trial.state === "running"
      ? "No face was compared yet. Open the live page and start the camera." : "No face was compared."));
    return;
  }
  body.replaceChildren(
    el("dl", { class: "figures" },
      figure("Agreement", percent(trial.agreement)),
      figure("Faces compared", trial.faces.toLocaleString("en")),
      figure("Per face", `${ms(trial.ms_active)} → ${ms(trial.ms_candidate)}`),
      figure("Uncertain", `${percent(trial.uncertain_active, 0)} → ${percent(trial.uncertain_candidate, 0)}`),
      figure("Left out, too busy", String(trial.dropped)),
      figure("Errors", String(trial.errors))),
    el("p", { class: "note" }, "The candidate gives way to everything else, so its time per face is longer on a busy machine than it would be in service."),
    matrix(trial), shifts(trial), ...examples(trial),
  );
}

function drawResults(results) {
  find("results-block").hidden = results.length === 0;
  find("results").replaceChildren(...results.map((one) => {
    const button = el("button", { class: "button button--quiet", type: "button" }, "Show");
    button.addEventListener("click", () => {
      chosen = one;
      drawTrial(one, false);
      find("trial").scrollIntoView({ block: "start" });
    });
    return row([one.candidate, one.active, [place(one), "wide"], one.faces.toLocaleString("en"), percent(one.agreement), button]);
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
