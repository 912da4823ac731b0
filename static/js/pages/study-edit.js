// Sets up a study: films are kept at once, everything else with Save.

import { setText } from "../lib/dom.js";
import { formErrors } from "../lib/form-error.js";
import { call } from "../lib/http.js";
import { t } from "../lib/i18n.js";
import { filmList } from "../study/films.js";
import { linesOf, questionEditor } from "../study/question-editor.js";

const config = JSON.parse(document.getElementById("config").textContent);
let { study } = config;
const draft = study.state === "draft";
/** @type {any} */
const form = document.querySelector("[data-form]");
const find = (name) => form.querySelector(`[data-${name}]`);
const errors = formErrors(form);
let changed = false;

function touched() {
  changed = true;
  setText(find("saved"), t("Not saved yet"));
}

filmList({ api: config.api, films: study.stimuli, draft });
const editors = Object.fromEntries(["before", "after"].map((when) => [
  when,
  questionEditor(form.querySelector(`[data-questions="${when}"]`), study.questions[when], { draft, onChange: touched }),
]));

const { elements } = form;
for (const name of ["name", "contact", "notice_language", "notice_text", "keep_days"]) elements[name].value = study[name];
elements.presentation.value = study.presentation;
elements.fixation_s.value = study.fixation_ms / 1000;
elements.target.value = study.target ?? "";
elements.ends_at.value = study.ends_at?.slice(0, 10) ?? "";
elements.ends_at.min = new Date().toISOString().slice(0, 10);
elements.return_hosts.value = study.return_hosts.join("\n");
let proposed = "";
propose();
version();

/** Puts in the usual notice of the language where nobody wrote another. */
function propose() {
  const text = elements.notice_text.value.trim();
  if (text !== "" && text !== proposed.trim()) return;
  proposed = config.notices[elements.notice_language.value] ?? config.notices.en;
  elements.notice_text.value = proposed;
}

function version() {
  setText(find("notice-version"), t("This is version {number}.", { number: study.notice_version }));
}

function entered() {
  const value = (name) => elements[name].value.trim();
  const whole = {
    name: value("name"), contact: value("contact"), notice_language: value("notice_language"),
    notice_text: value("notice_text"), keep_days: Number(value("keep_days")),
    target: value("target") === "" ? null : Number(value("target")),
    ends_at: value("ends_at") || null, return_hosts: linesOf(value("return_hosts")),
  };
  if (!draft) return whole;
  return {
    ...whole,
    presentation: elements.presentation.value,
    fixation_ms: Math.round(1000 * Number(value("fixation_s"))),
    questions: { before: editors.before.value(), after: editors.after.value() },
  };
}

async function save() {
  if (!errors.complete()) {
    setText(find("saved"), t("Not saved"));
    return false;
  }
  try {
    study = await call("PATCH", config.api, entered());
    changed = false;
    setText(find("saved"), t("Saved"));
    version();
    return true;
  } catch (trouble) {
    errors.refused(trouble);
    setText(find("saved"), t("Not saved"));
    return false;
  }
}

form.addEventListener("input", (event) => {
  if (!event.target.closest("[data-films], [data-drop]")) touched();
});
elements.notice_language.addEventListener("change", propose);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  save();
});
find("done").addEventListener("click", async (event) => {
  if (!changed && study.notice_text !== "") return;
  event.preventDefault();
  if (await save()) location.assign(event.target.href);
});
addEventListener("beforeunload", (event) => {
  if (changed) event.preventDefault();
});
document.documentElement.dataset.ready = "yes";
