// The suggestions: from the person's own list, for the mood that has settled. They change with it
// and not with every flicker; doubt, an empty picture and pauses leave them as they are.

import { t, tn } from "../lib/i18n.js";
import { Leader, Settler, SETTLE } from "./settle.js";
import { remember, remembered } from "../lib/memory.js";
import { setText } from "../lib/dom.js";
import { icon } from "../lib/shape-icon.js";
import { innerStateName, stateName } from "../recordings/words.js";
import { CATALOGUE, CatalogueError, keptEntries, parseCatalogue, readCatalogue } from "./suggest-catalogue.js";
import { choose, isMood, RULES } from "./suggest-choose.js";
import { EXAMPLE } from "./suggest-example.js";

const LIST_AT = "mien.catalogue";
const MODE_AT = "mien.suggest";
const SHOW_EVERY_MS = 1000;

export function startSuggestions() {
  const root = document.querySelector("[data-suggest]");
  const $ = (name) => root.querySelector(`[data-${name}]`);

  let list = keptEntries(remembered(LIST_AT, null)); // {name, entries}
  let mode = remembered(MODE_AT, "match") === "lift" ? "lift" : "match";
  let leader = new Leader();
  let settler = new Settler();
  let mood = null; // the last settled state that is an expression
  let turn = 0;
  let phase = "idle";
  let resultMs = 0;
  let shownMs = 0;

  function problems(found) {
    const shown = found.slice(0, CATALOGUE.shownProblems);
    $("suggest-problems").hidden = found.length === 0;
    const items = shown.map(({ row, text }) => {
      const item = document.createElement("li");
      item.textContent = t("Row {row}: {text}.", { row, text });
      return item;
    });
    if (found.length > shown.length) {
      const item = document.createElement("li");
      item.textContent = t("and {count} more", { count: found.length - shown.length });
      items.push(item);
    }
    $("suggest-problem-rows").replaceChildren(...items);
    setText($("suggest-problem-count"), tn("One row was left out", "{count} rows were left out", found.length));
  }

  const say = (text, tone = "info") => {
    $("suggest-status").dataset.tone = tone;
    setText($("suggest-status"), text);
  };

  async function load(file) {
    problems([]);
    try {
      const read = parseCatalogue(await readCatalogue(file));
      list = { name: file.name.slice(0, 120), entries: read.entries };
      turn = 0;
      const kept = remember(LIST_AT, list);
      say(kept ? "" : t("This browser has no room to keep the list: it is gone after a reload."));
      problems(read.problems);
    } catch (error) {
      if (!(error instanceof CatalogueError)) console.error(error);
      say(error instanceof CatalogueError ? error.message : t("The file could not be read."), "bad");
    }
    show();
  }

  function show() {
    $("suggest-with").hidden = !list;
    $("suggest-forget").hidden = !list;
    setText($("suggest-load"), list ? t("Load another list") : t("Load a list (CSV)"));
    setText($("suggest-rule"), RULES[mode]);
    for (const input of root.querySelectorAll("[name=suggest-mode]")) input.checked = input.value === mode;
    if (!list) return;
    const count = tn("{count} entry", "{count} entries", list.entries.length);
    setText($("suggest-name"), t("{count} from {name}, kept in this browser only.", { count, name: list.name }));
    showMood();
    const found = mood ? choose(list.entries, mood, mode, turn) : [];
    $("suggest-others").hidden = !mood || choose(list.entries, mood, mode, turn + 1)[0] === found[0];
    $("suggest-list").replaceChildren(...found.map(row));
    $("suggest-none").hidden = !mood || found.length > 0;
  }

  function row({ title, kind, link }) {
    const item = document.createElement("li");
    const name = document.createElement(link ? "a" : "span");
    if (name instanceof HTMLAnchorElement) {
      name.href = link; // http or https, as suggest-catalogue.js checked
      name.target = "_blank";
      name.rel = "noopener noreferrer";
    }
    name.className = "suggestion__title";
    name.textContent = title;
    const what = document.createElement("span");
    what.className = "suggestion__kind";
    what.textContent = kind;
    item.append(name, what);
    return item;
  }

  function showMood() {
    const now = settler.settled;
    let text = t("Waiting for a mood to settle.");
    if (phase !== "running" && !mood) text = t("Start the camera: suggestions follow the mood that settles.");
    else if (mood && now && now.state === mood) {
      const held = Math.floor(performance.now() / 1000 - now.sinceS);
      text = t("Settled: {mood}, for {time}.", { mood: stateName(mood), time: `${Math.round(held)} s` });
    } else if (mood) {
      const why = { nobody: t("No face now"), paused: t("Paused now") }[now?.state] ?? t("Unclear now");
      text = t("{why}: still for the last settled mood, {mood}.", { why, mood: innerStateName(mood) });
    }
    setText($("suggest-mood-text"), text);
    const shape = $("suggest-mood-icon");
    if (shape.dataset.shown !== (mood ?? "")) {
      shape.replaceChildren(...(mood ? [icon(mood)] : []));
      shape.dataset.shown = mood ?? "";
    }
  }

  function settle(settled) {
    if (!settled || !isMood(settled.state) || settled.state === mood) return;
    mood = settled.state;
    turn = 0;
    show();
  }

  $("suggest-load").addEventListener("click", () => $("suggest-file").click());
  $("suggest-file").addEventListener("change", (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (file) load(file);
  });
  $("suggest-example").addEventListener("click", () => load(new File([EXAMPLE], t("Example list.csv"), { type: "text/csv" })));
  $("suggest-forget").addEventListener("click", () => {
    list = null;
    remember(LIST_AT, null);
    problems([]);
    say(t("The list is forgotten."));
    show();
    $("suggest-load").focus({ preventScroll: true });
  });
  $("suggest-others").addEventListener("click", () => {
    turn += 1;
    show();
  });
  for (const input of root.querySelectorAll("[name=suggest-mode]")) {
    input.addEventListener("change", () => {
      mode = input.value;
      turn = 0;
      remember(MODE_AT, mode);
      show();
    });
  }
  show();

  return {
    hello() {
      leader = new Leader(); // tracks are numbered anew
    },
    result(result, capturedMs) {
      resultMs = capturedMs;
      settle(settler.update(capturedMs / 1000, leader.read(result)));
    },
    phase(name) {
      phase = name;
      if (name === "idle" || name === "starting") {
        settler = new Settler();
        mood = null;
      }
      show();
    },
    tick(nowMs) {
      if (nowMs - shownMs < SHOW_EVERY_MS) return;
      shownMs = nowMs;
      if (phase !== "idle" && settler.settled && nowMs - resultMs > SETTLE.pausedAfterS * 1000) settler.pause(nowMs / 1000);
      if (list) showMood();
    },
  };
}
