// Questions of a study as a form, and the answers that were given in it.

import { el } from "../lib/dom.js";
import { t } from "../lib/i18n.js";

/** Fields for `questions`, with what was answered before. */
export function questionFields(questions, answers = {}) {
  return questions.map((question) => {
    const mark = question.required ? null : el("span", { class: "note" }, ` ${t("(optional)")}`);
    const given = String(answers[question.id] ?? "");
    if (question.kind === "text") return textField(question, mark, given);
    return question.kind === "scale" ? scaleField(question, mark, given) : choiceField(question, mark, given);
  });
}

const nameOf = (question) => `q-${question.id}`;

function radio(question, value, given, more = {}) {
  return el("input", {
    type: "radio", name: nameOf(question), value, checked: value === given, required: question.required, ...more,
  });
}

function textField(question, mark, given) {
  const id = nameOf(question);
  const field = el("textarea", { class: "input", id, name: id, rows: 4, required: question.required });
  field.value = given;
  return el("div", { class: "question", "data-question": question.id },
    el("label", { class: "question__text", for: id }, question.text, mark), field);
}

function choiceField(question, mark, given) {
  return el("fieldset", { class: "question", "data-question": question.id },
    el("legend", { class: "question__text" }, question.text, mark),
    ...question.options.map((value) => el("label", { class: "choice" }, radio(question, value, given), el("span", {}, value))));
}

function scaleField(question, mark, given) {
  const values = Array.from({ length: question.max - question.min + 1 }, (_, i) => String(question.min + i));
  const ends = [question.min_label ?? "", question.max_label ?? ""];
  const spoken = (value) => {
    if (value === values[0] && ends[0]) return `${value}: ${ends[0]}`;
    return value === values.at(-1) && ends[1] ? `${value}: ${ends[1]}` : value;
  };
  return el("fieldset", { class: "question", "data-question": question.id },
    el("legend", { class: "question__text" }, question.text, mark),
    el("div", { class: `scale${values.length > 7 ? " scale--long" : ""}` }, ...values.map((value) => el("label", { class: "scale__point" },
      radio(question, value, given, { "aria-label": spoken(value) }), el("span", { "aria-hidden": "true" }, value)))),
    ends.some(Boolean)
      ? el("p", { class: "scale__ends", "aria-hidden": "true" }, ...ends.map((text) => el("span", {}, text)))
      : null);
}

/** {answers, missing}: what `form` holds for `questions`, and the first required one without an answer. */
export function answersOf(form, questions) {
  const given = new FormData(form);
  const answers = {};
  let missing = null;
  for (const question of questions) {
    const value = String(given.get(nameOf(question)) ?? "").trim();
    if (value !== "") answers[question.id] = question.kind === "scale" ? Number(value) : value;
    else if (question.required) missing ??= question;
  }
  return { answers, missing };
}
