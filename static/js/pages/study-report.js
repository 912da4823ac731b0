// The report of a study: asks for the figures and draws them beside what was shown.

import { el, setText, showError } from "../lib/dom.js";
import { call } from "../lib/http.js";
import { tn, t } from "../lib/i18n.js";
import { partLabel, partValue } from "../study/report-data.js";
import { answers, comparison, overview, people } from "../study/report-tables.js";
import { StimulusReport } from "../study/report-stimulus.js";

const config = JSON.parse(document.getElementById("config").textContent);
/** @type {(name: string) => any} */
const $ = (name) => document.querySelector(`[data-${name}]`);
const parts = $("parts");
let shown = [];

function option(value, text) {
  return el("option", { value }, text);
}

function fillParts(report) {
  parts.hidden = report.parts.length === 0;
  parts.elements.by.replaceChildren(option("", t("nothing")), ...report.parts.map((part) => option(part.key, partLabel(part))));
  parts.elements.only.replaceChildren(option("", t("everybody")), ...report.parts.map((part) =>
    el("optgroup", { label: partLabel(part) }, ...part.values.map(({ value, people: count }) =>
      option(`${part.key}=${value}`, `${partValue(part.key, value)} (${count})`)))));
  parts.elements.by.value = report.by ?? "";
  parts.elements.only.value = report.only ? `${report.only.key}=${report.only.value}` : "";
}

function draw(report) {
  const { used, begun } = report.people;
  setText($("summary"), tn("One person of {begun} is counted.", "{count} people of {begun} are counted.", used, { begun }));
  fillParts(report);
  shown = report.stimuli.map((stimulus, i) => {
    const segments = stimulus.segments.map((one) => ({ ...one, value: partValue(report.by ?? "", one.value) }));
    return new StimulusReport({ ...stimulus, segments }, i + 1);
  });
  $("report").replaceChildren(...[
    ...shown.map(({ element }) => element), shown.length > 1 ? overview(report) : null, comparison(report), answers(report), people(report),
  ].filter((one) => one !== null));
  for (const one of shown) one.draw();
}

async function load() {
  const query = new URLSearchParams();
  for (const name of ["by", "only"]) {
    const value = new URLSearchParams(location.search).get(name);
    if (value) query.set(name, value);
  }
  $("error").hidden = true;
  $("report").setAttribute("aria-busy", "true");
  try {
    draw(await call("GET", `${config.api}/report?${query}`));
  } catch (trouble) {
    $("report").replaceChildren();
    if (trouble.status === 409) {
      setText($("summary"), t("Nobody's readings can be shown yet. Come back when somebody has taken part."));
    } else {
      setText($("summary"), "");
      showError($("error"), trouble.message);
    }
  } finally {
    $("report").setAttribute("aria-busy", "false");
    document.documentElement.dataset.ready = "yes";
  }
}

parts.addEventListener("change", () => {
  const query = new URLSearchParams();
  for (const name of ["by", "only"]) if (parts.elements[name].value) query.set(name, parts.elements[name].value);
  history.replaceState(null, "", query.size > 0 ? `?${query}` : location.pathname);
  load();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown.forEach((one) => one.draw()));
load();
