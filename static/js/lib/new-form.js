// The form for a new survey or study: refuses purposes that may not be, sends JSON, says what is wrong.

import { formErrors } from "./form-error.js";
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
  const errors = formErrors(form);
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
    if (!errors.complete()) return;
    submit.disabled = true;
    try {
      location.assign(page(await call("POST", url, entered((name) => form.elements[name].value))));
    } catch (trouble) {
      submit.disabled = false;
      errors.refused(trouble);
    }
  });
  chosen();
}
