// The form for a new survey: shows what depends on a choice, and gathers what was entered.

import { newForm } from "../lib/new-form.js";

const form = document.querySelector("[data-form]");
const until = form.elements.keep_until;

const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
until.min = tomorrow;
until.value = new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10);

function adapt() {
  const rule = form.elements.respondent_rule.value;
  form.querySelectorAll("[data-pattern]").forEach((part) => { part.hidden = rule !== "pattern"; });
  form.querySelector("[data-until]").hidden = form.elements.keep.value !== "yes";
}

/** The parts of `text` between `mark`s, without what is empty. */
const parts = (text, mark) => text.split(mark).map((part) => part.trim()).filter(Boolean);

newForm({
  url: "/api/v1/surveys",
  entered: (value) => ({
    name: value("name"),
    purpose: value("purpose"),
    purpose_text: value("purpose_text"),
    groups: parts(value("groups"), "\n"),
    primary_outcome: value("primary_outcome"),
    tags: parts(value("tags"), ","),
    respondent_rule: value("respondent_rule"),
    respondent_pattern: value("respondent_pattern"),
    several_faces: value("several_faces"),
    video_fps: Number(value("video_fps")),
    keep_until: value("keep") === "yes" ? value("keep_until") : null,
    consent: form.elements.consent.checked,
  }),
  page: ({ id }) => `/surveys/${id}`,
  adapt,
});
