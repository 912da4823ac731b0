// Questions of a study while they are written: choices, scales and text, before or after.

import { el } from "../lib/dom.js";
import { t } from "../lib/i18n.js";

const NEW = {
  choice: { text: "", options: ["", ""], required: true },
  scale: { text: "", min: 1, max: 7, min_label: "", max_label: "", required: true },
  text: { text: "", required: false },
};

const kinds = () => ({ choice: t("Choice"), scale: t("Scale"), text: t("Text") });

/** Wires one list; `questions` as the API has them. Returns {value()}: the questions as they are now. */
export function questionEditor(root, questions, { draft, onChange }) {
  const list = root.querySelector("[data-list]");

  function field(name, label, value, more = {}) {
    const input = el(more.rows ? "textarea" : "input", { class: "input", "data-field": name, disabled: !draft, ...more });
    input.value = value;
    return el("label", { class: "row" }, el("span", {}, label), input);
  }

  function card(question) {
    const parts = [field("text", t("Question"), question.text, { required: true })];
    if (question.kind === "choice") {
      const options = field("options", t("Answers, one a line"), question.options.join("\n"), { rows: 3 });
      const input = options.querySelector("textarea");
      const check = () => input.setCustomValidity(linesOf(input.value).length < 2 ? t("Please give at least two answers, each on a line of its own.") : "");
      input.addEventListener("input", check);
      check();
      parts.push(options);
    }
    if (question.kind === "scale") {
      parts.push(el("div", { class: "question-card__pair" },
        field("min", t("From"), String(question.min), { type: "number", min: 0, max: 99, required: true }),
        field("max", t("To"), String(question.max), { type: "number", min: 1, max: 100, required: true }),
        field("min_label", t("Word at the low end"), question.min_label ?? ""),
        field("max_label", t("Word at the high end"), question.max_label ?? "")));
    }
    const required = el("input", { type: "checkbox", "data-field": "required", checked: question.required, disabled: !draft });
    const remove = el("button", { class: "button button--icon", type: "button", "aria-label": t("Remove this question"), title: t("Remove this question") }, "✕");
    const made = el("li", { class: "question-card", "data-id": question.id, "data-kind": question.kind },
      el("p", { class: "question-card__head" }, el("strong", {}, kinds()[question.kind]), draft ? remove : null),
      ...parts,
      el("label", { class: "choice" }, required, el("span", {}, t("An answer is needed to go on"))));
    remove.addEventListener("click", () => {
      made.remove();
      root.querySelector("[data-add]").focus();
      onChange();
    });
    return made;
  }

  list.replaceChildren(...questions.map(card));
  root.querySelectorAll("[data-add]").forEach((button) => button.addEventListener("click", () => {
    const kind = button.dataset.add;
    const made = card({ id: `q${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`, kind, ...NEW[kind] });
    list.append(made);
    made.querySelector(".input").focus();
    onChange();
  }));

  return {
    value: () => [...list.children].map((item) => {
      const of = (name) => item.querySelector(`[data-field="${name}"]`);
      const { id, kind } = item.dataset;
      const common = { id, kind, text: of("text").value.trim(), required: of("required").checked };
      if (kind === "choice") return { ...common, options: linesOf(of("options").value) };
      if (kind === "scale") {
        return {
          ...common, min: Number(of("min").value), max: Number(of("max").value),
          min_label: of("min_label").value.trim(), max_label: of("max_label").value.trim(),
        };
      }
      return common;
    }),
  };
}

/** The lines of a text that hold something. */
export function linesOf(text) {
  return text.split("\n").map((line) => line.trim()).filter(Boolean);
}
