// The account page: change the password, log out everywhere, a member's tokens.

import { call, press } from "../admin/api.js";
import { wireTokens } from "../admin/tokens.js";
import { t } from "../lib/i18n.js";

const form = document.querySelector("[data-password-form]");
const passwordError = document.querySelector("[data-password-error]");
const sessionsError = document.querySelector("[data-sessions-error]");
const endButton = document.querySelector("[data-end-sessions]");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { current, password, again } = Object.fromEntries(new FormData(/** @type {HTMLFormElement} */ (/** @type {unknown} */ (form))));
  const done = await press(form.querySelector("button"), passwordError, () => {
    if (password !== again) throw new Error(t("The two new passwords differ."));
    return call("POST", "/admin/api/account/password", { current, password });
  });
  // the page's security token belonged to the session that has just been replaced
  if (done) location.assign("/admin/account?saved=password");
});

endButton.addEventListener("click", async () => {
  const done = await press(endButton, sessionsError, () =>
    call("POST", "/admin/api/account/sessions/end"));
  if (done) location.assign("/admin/login");
});

if (document.querySelector("[data-new-token]")) wireTokens("/admin/api/account/tokens");

document.documentElement.dataset.ready = "yes";
