// The form for a new survey: shows what depends on a choice, sends JSON, says what is wrong.

import { call } from "../lib/http.js";

const form = document.querySelector("[data-form]");
const find = (name) => form.querySelector(`[data-${name}]`);
const error = find("error");
const refused = find("refused");
const submit = form.querySelector("button[type=submit]");
const until = form.elements.keep_until;

const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
until.min = tomorrow;
until.value = new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10);

function adapt() {
  const purpose = form.querySelector("[name=purpose]:checked");
  const reason = purpose?.dataset.refusal ?? "";
  refused.hidden = !reason;
  refused.textContent = reason;
  submit.disabled = Boolean(reason);
  find("describe").hidden = purpose?.value !== "other";
  const rule = form.elements.respondent_rule.value;
  form.querySelectorAll("[data-pattern]").forEach((part) => { part.hidden = rule !== "pattern"; });
  find("until").hidden = form.elements.keep.value !== "yes";
}

function entered() {
  const value = (name) => form.elements[name].value;
  return {
    name: value("name"),
    purpose: value("purpose"),
    purpose_text: value("purpose_text"),
    groups: value("groups").split("\n").map((line) => line.trim()).filter(Boolean),
    primary_outcome: value("primary_outcome"),
    tags: value("tags").split(",").map((tag) => tag.trim()).filter(Boolean),
    respondent_rule: value("respondent_rule"),
    respondent_pattern: value("respondent_pattern"),
    several_faces: value("several_faces"),
    video_fps: Number(value("video_fps")),
    keep_until: value("keep") === "yes" ? value("keep_until") : null,
    consent: form.elements.consent.checked,
  };
}

form.addEventListener("change", adapt);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  error.hidden = true;
  form.querySelectorAll("[aria-invalid]").forEach((one) => one.removeAttribute("aria-invalid"));
  submit.disabled = true;
  try {
    const made = await call("POST", "/api/v1/surveys", entered());
    location.assign(`/surveys/${made.id}`);
  } catch (trouble) {
    submit.disabled = false;
    error.textContent = trouble.message;
    error.hidden = false;
    const field = form.elements[trouble.detail?.field];
    if (field instanceof HTMLElement) {
      field.setAttribute("aria-invalid", "true");
      field.focus();
    }
  }
});
adapt();
