// The page that deletes everything of the person whose withdrawal code is entered.

import { formErrors } from "../lib/form-error.js";
import { withdraw } from "../study/api.js";

const form = document.querySelector("[data-form]");
const errors = formErrors(form);
const field = form.elements.code;

// a link of the receipt carries the code behind #, which no server sees
field.value = new URLSearchParams(`code=${location.hash.slice(1)}`).get("code");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!errors.complete()) return;
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    await withdraw(field.value.trim());
    document.querySelectorAll("[data-before]").forEach((part) => { part.hidden = true; });
    document.querySelector("[data-done]").hidden = false;
    document.querySelector("[data-done] h2").focus();
    history.replaceState(null, "", location.pathname);
  } catch (trouble) {
    errors.tell(trouble.message, field);
  } finally {
    button.disabled = false;
  }
});
