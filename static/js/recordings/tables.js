// Fills the lists and tables of the page of recordings: what is kept, what happened, the summary.

import { setText } from "../lib/dom.js";
import { language, t } from "../lib/i18n.js";
import { aboutText, CAUTION, faceTable, figures, leadText, segmentTable } from "./summary.js";
import { clock, eventText, span, stateName } from "./words.js";

const MOST_RUNS = 500;

const $ = (name) => document.querySelector(`[data-${name}]`);

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function fillTable(table, { caption, head, rows }) {
  const headRow = document.createElement("tr");
  headRow.append(...head.map((text) => element("th", text, { scope: "col" })));
  const thead = document.createElement("thead");
  thead.append(headRow);
  const body = document.createElement("tbody");
  for (const [first, ...rest] of rows) {
    const row = document.createElement("tr");
    row.append(element("th", first, { scope: "row" }), ...rest.map((text) => element("td", text)));
    body.append(row);
  }
  table.replaceChildren(element("caption", caption), thead, body);
}

export function showSummary(recording, summary) {
  setText($("about"), aboutText(recording));
  setText($("lead"), leadText(recording, summary));
  setText($("caution"), CAUTION);
  $("figures").replaceChildren(...figures(summary).map(([name, value]) => {
    const box = document.createElement("div");
    box.append(element("dt", name), element("dd", value));
    return box;
  }));
  fillTable($("by-face"), faceTable(summary));
  $("segments-box").hidden = recording.markers.length === 0;
  fillTable($("segments"), segmentTable(summary));
}

/** The rows of what this browser keeps; `live` ones are being recorded and stay untouched. */
export function showKept(rows, { onOpen, onDelete }) {
  $("kept").hidden = rows.length === 0;
  $("kept-rows").replaceChildren(...rows.map(({ id, startedAt, count, markers, complete, live }) => {
    const row = document.createElement("tr");
    const when = new Date(startedAt).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
    const actions = document.createElement("td");
    if (!live) {
      const open = element("button", t("Open"), { type: "button", class: "button button--small", "aria-label": t("Open the recording of {when}", { when }) });
      open.addEventListener("click", () => onOpen(id));
      const gone = element("button", t("Delete"), { type: "button", class: "button button--small button--quiet", "aria-label": t("Delete the recording of {when}", { when }) });
      gone.addEventListener("click", () => onDelete(id));
      actions.append(open, gone);
    }
    const state = live ? t("Being recorded") : complete ? t("Whole") : t("Interrupted");
    row.append(
      element("th", when, { scope: "row" }), element("td", String(count), { class: "wide" }),
      element("td", String(markers.length), { class: "wide" }), element("td", state, { class: "wide" }), actions,
    );
    return row;
  }));
}

function jump(ms, onJump) {
  const button = element("button", clock(ms, { tenths: true }), { type: "button", class: "jump" });
  button.addEventListener("click", () => onJump(ms));
  return button;
}

/** Markers and events in time; onJump(ms) when one was chosen. */
export function showHappened({ markers, events }, onJump) {
  const all = [
    ...markers.map(({ t_ms, key, name }) => ({ t_ms, text: t("Marker {key}: {name}", { key, name }), marker: true })),
    ...events.map((event) => ({ t_ms: event.t_ms, text: eventText(event), marker: false })),
  ].sort((a, b) => a.t_ms - b.t_ms);
  $("happened").replaceChildren(...all.map(({ t_ms, text, marker }) => {
    const item = element("li", "", { class: marker ? "happened__marker" : "" });
    item.append(jump(t_ms, onJump), text);
    return item;
  }));
}

/** The runs of the listed faces as a table, in time. */
export function showRuns(runs, faces, onJump) {
  const rows = faces
    .flatMap(({ key, name }) => (runs.get(key) ?? []).map((run) => ({ ...run, name })))
    .sort((a, b) => a.fromMs - b.fromMs);
  const more = rows.length > MOST_RUNS;
  setText($("runs-note"), more ? t("The first {shown} of {all}; the CSV export has every reading.", { shown: MOST_RUNS, all: rows.length }) : "");
  $("runs").replaceChildren(...rows.slice(0, MOST_RUNS).map(({ fromMs, toMs, name, state }) => {
    const row = document.createElement("tr");
    const from = element("th", "", { scope: "row" });
    from.append(jump(fromMs, onJump));
    row.append(from, ...[span(toMs - fromMs), name, stateName(state)].map((text) => element("td", text)));
    return row;
  }));
}
