// One study: copies its link, opens and closes it, and shows how many people there are.

import { confirmed } from "../lib/confirm.js";
import { setText, showError } from "../lib/dom.js";
import { call } from "../lib/http.js";
import { t } from "../lib/i18n.js";
import { copy } from "../study/receipt.js";

const POLL_MS = 5000;
const config = JSON.parse(document.getElementById("config").textContent);
/** @type {(name: string) => any} */
const $ = (name) => document.querySelector(`[data-${name}]`);

/** What each button does: method, path, and what is asked before. */
const ACTS = {
  open: () => ["POST", "/open"],
  close: () => ["POST", "/close", {
    title: t("Close the study?"), text: t("Nobody new can take part. It can be opened again."), yes: t("Close"),
  }],
  "new-link": () => ["POST", "/link", {
    title: t("Make a new link?"), text: t("The old link and its QR code lead nowhere from then on."), yes: t("Make a new link"),
  }],
  revoke: () => ["DELETE", "/link", {
    title: t("Revoke the link?"), text: t("It leads nowhere from then on. A new one can be made."), yes: t("Revoke"), danger: true,
  }],
  delete: () => ["DELETE", "", {
    title: t("Delete the study?"), text: t("Films, readings and answers are deleted for good."), yes: t("Delete"), danger: true,
  }],
};

async function act(name) {
  const [method, path, question] = ACTS[name]();
  if (question && !(await confirmed(question))) return;
  const error = $("error");
  error.hidden = true;
  try {
    await call(method, config.api + path, method === "POST" ? {} : undefined);
    if (name === "delete") location.assign("/studies");
    else location.reload();
  } catch (trouble) {
    showError(error, trouble.message);
  }
}

document.querySelectorAll("[data-act]").forEach((button) => {
  button.addEventListener("click", () => act(button.dataset.act));
});
$("copy")?.addEventListener("click", async (event) => {
  $("link").select();
  setText(event.currentTarget, (await copy($("link").value)) ? t("Copied") : t("Press Ctrl+C to copy"));
});

async function look() {
  if (!document.hidden) {
    try {
      const { people } = await call("GET", config.api);
      for (const place of document.querySelectorAll("[data-people]")) {
        setText(place, String(people[place.dataset.people] ?? 0));
      }
      if ($("target-bar")) $("target-bar").value = people.finished;
    } catch {
      // the next look may go well
    }
  }
  setTimeout(look, POLL_MS);
}
if (config.state !== "draft") setTimeout(look, POLL_MS);
document.documentElement.dataset.ready = "yes";
