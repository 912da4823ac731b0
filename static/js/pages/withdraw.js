// The page that deletes everything of the person whose withdrawal code is entered.

import { setText } from "../lib/dom.js";
import { withdraw } from "../study/api.js";

const form = document.querySelector("[data-form]");
const error = document.querySelector("[data-error]");
const field = form.elements.code;

// a link of the receipt carries the code behind #, which no server sees
if (location.hash.length > 1) field.value = decodeURIComponent(location.hash.slice(1));

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  error.hidden = true;
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    await withdraw(field.value.trim());
    form.hidden = true;
    document.querySelector("[data-done]").hidden = false;
    document.querySelector("[data-done] h2").focus();
    history.replaceState(null, "", location.pathname);
  } catch (trouble) {
    setText(error, trouble.message);
    error.hidden = false;
    field.focus();
  } finally {
    button.disabled = false;
  }
});
