// One study: copies its link, opens and closes it, and shows how many people there are.

import { setText } from "../lib/dom.js";
import { call } from "../lib/http.js";
import { t } from "../lib/i18n.js";
import { copy } from "../study/receipt.js";

const POLL_MS = 5000;
const config = JSON.parse(document.getElementById("config").textContent);
/** @type {(name: string) => any} */
const $ = (name) => document.querySelector(`[data-${name}]`);
const dialog = $("confirm");

/** What each button does: [method, path, title and text to confirm and the button's word, or none]. */
const ACTS = {
  open: () => ["POST", "/open"],
  close: () => ["POST", "/close", t("Close the study?"), t("Nobody new can take part. It can be opened again."), t("Close")],
  "new-link": () => ["POST", "/link", t("Make a new link?"), t("The old link and its QR code lead nowhere from then on."), t("Make a new link")],
  revoke: () => ["DELETE", "/link", t("Revoke the link?"), t("It leads nowhere from then on. A new one can be made."), t("Revoke")],
  delete: () => ["DELETE", "", t("Delete the study?"), t("Films, readings and answers are deleted for good."), t("Delete")],
};

/** Asks in the dialog; resolves with whether to go on. */
function confirmed(title, text, word) {
  setText($("confirm-title"), title);
  setText($("confirm-text"), text);
  setText($("confirm-yes"), word);
  dialog.showModal();
  return new Promise((resolve) => {
    const answer = (yes) => {
      dialog.close();
      resolve(yes);
    };
    $("confirm-yes").onclick = () => answer(true);
    $("confirm-no").onclick = () => answer(false);
    dialog.oncancel = () => resolve(false);
  });
}

async function act(name) {
  const [method, path, ...question] = ACTS[name]();
  if (question.length > 0 && !(await confirmed(...question))) return;
  const error = $("error");
  error.hidden = true;
  try {
    await call(method, config.api + path, method === "POST" ? {} : undefined);
    if (name === "delete") location.assign("/studies");
    else location.reload();
  } catch (trouble) {
    setText(error, trouble.message);
    error.hidden = false;
    error.scrollIntoView({ block: "nearest" });
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
