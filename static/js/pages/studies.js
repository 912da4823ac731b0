// The list of studies: makes the demo study.

import { showError } from "../lib/dom.js";
import { call } from "../lib/http.js";

const error = document.querySelector("[data-error]");
document.querySelector("[data-demo]").addEventListener("click", async (event) => {
  const button = event.currentTarget;
  button.disabled = true;
  error.hidden = true;
  try {
    const made = await call("POST", "/api/v1/studies/demo", {});
    location.assign(`/studies/${made.id}`);
  } catch (trouble) {
    button.disabled = false;
    showError(error, trouble.message);
  }
});
