// The form for a new study: refuses what may not be, and goes on to the films.

import { call } from "../lib/http.js";

const form = document.querySelector("[data-form]");
const find = (name) => form.querySelector(`[data-${name}]`);
const error = find("error");
const submit = form.querySelector("button[type=submit]");

function adapt() {
  const purpose = form.querySelector("[name=purpose]:checked");
  const reason = purpose?.dataset.refusal ?? "";
  find("refused").hidden = !reason;
  find("refused").textContent = reason;
  submit.disabled = Boolean(reason);
  find("describe").hidden = purpose?.value !== "other";
}

form.addEventListener("change", adapt);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  error.hidden = true;
  form.querySelectorAll("[aria-invalid]").forEach((one) => one.removeAttribute("aria-invalid"));
  submit.disabled = true;
  const value = (name) => form.elements[name].value;
  try {
    const made = await call("POST", "/api/v1/studies", {
      name: value("name"), purpose: value("purpose"), purpose_text: value("purpose_text"), contact: value("contact"),
    });
    location.assign(`/studies/${made.id}/edit`);
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
