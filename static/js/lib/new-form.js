// The form for a new survey or study: refuses purposes that may not be, sends JSON, says what is wrong.

import { call } from "./http.js";

/**
 * Wires the form of the page. What `entered(value)` returns, where value(name) is a field's value, goes
 * to `url`, and `page(made)` is shown next. `adapt()` is called whenever something was chosen.
 * @param {{url: string, entered: (value: (name: string) => string) => object,
 *   page: (made: {id: string}) => string, adapt?: () => void}} options
 */
export function newForm({ url, entered, page, adapt = () => {} }) {
  const form = document.querySelector("[data-form]");
  const find = (name) => form.querySelector(`[data-${name}]`);
  const error = find("error");
  const submit = form.querySelector("button[type=submit]");

  function chosen() {
    const purpose = form.querySelector("[name=purpose]:checked");
    const reason = purpose?.dataset.refusal ?? "";
    find("refused").hidden = !reason;
    find("refused").textContent = reason;
    submit.disabled = Boolean(reason);
    find("describe").hidden = purpose?.value !== "other";
    adapt();
  }

  form.addEventListener("change", chosen);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    error.hidden = true;
    form.querySelectorAll("[aria-invalid]").forEach((one) => one.removeAttribute("aria-invalid"));
    submit.disabled = true;
    try {
      location.assign(page(await call("POST", url, entered((name) => form.elements[name].value))));
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
  chosen();
}
