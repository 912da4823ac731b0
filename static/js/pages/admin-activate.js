// The page that puts a version into service: one button, one answer.

import { call, press } from "../admin/api.js";
import { t } from "../lib/i18n.js";

const config = JSON.parse(document.getElementById("config").textContent);
const form = document.querySelector("[data-form]");

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("[type=submit]");
  button.textContent = t("Verifying and loading…");
  const done = await press(button, document.querySelector("[data-error]"), () => call(
    "POST", `${config.api}/models/${encodeURIComponent(config.version)}/activate`,
    { why: form.elements.why.value },
  ));
  button.textContent = t("Put into service");
  if (done) globalThis.location.assign(config.done);
});
// until here a click would send the form the browser's own way, which does nothing
if (form) form.querySelector("[type=submit]").disabled = false;
