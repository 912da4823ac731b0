// The model pages: measure, keep notes, go back, delete.

import { call, press } from "../admin/api.js";
import { confirmed } from "../lib/confirm.js";
import { number, t } from "../lib/i18n.js";

const error = document.querySelector("[data-error]");
const done = document.querySelector("[data-done]");

function versionOf(button) {
  return button.dataset.version ?? button.closest("[data-version]").dataset.version;
}

/** Says what was done and shows the page as it is now, or another one. @param {string} [page] */
function shown(text, page) {
  sessionStorage.setItem("admin-done", text);
  if (page) location.assign(page);
  else location.reload();
}

async function measure(button) {
  const version = versionOf(button);
  const found = await press(button, error, () =>
    call("POST", `/admin/api/models/${encodeURIComponent(version)}/measure`));
  if (!found) return;
  shown(found.error ? t("{version} cannot be used: {error}", { version, error: found.error })
    : t("{version} takes {time} ms for a face here; its files are whole.", { version, time: number(found.cpu_ms, 2) }));
}

async function saveNotes(form) {
  const { tags, note } = form.elements;
  const kept = await press(form.querySelector("[type=submit]"), error, () => call(
    "PUT", `/admin/api/models/${encodeURIComponent(form.dataset.notes)}/notes`,
    { tags: tags.value.split(",").map((tag) => tag.trim()).filter(Boolean), note: note.value },
  ));
  if (kept) shown(t("Tags and note are saved."));
}

async function rollback(button) {
  const version = versionOf(button);
  const yes = await confirmed({
    title: t("Go back to {version}?", { version }), text: t("Every worker changes between two frames."), yes: t("Go back"),
  });
  if (!yes) return;
  const state = await press(button, error, () => 
    call("POST", "/admin/api/models/rollback", { why: "" }));
  if (state !== undefined) shown(t("{version} serves again.", { version }));
}

async function remove(button) {
  const version = versionOf(button);
  const yes = await confirmed({
    title: t("Delete {version}?", { version }),
    text: t("Its files are deleted for good. Reports that were made with it stay as they are."),
    yes: t("Delete"), danger: true,
  });
  if (!yes) return;
  const gone = await press(button, error, async () => {
    await call("DELETE", `/api/v1/models/${encodeURIComponent(version)}`);
    return true;
  });
  if (gone) shown(t("{version} is deleted.", { version }), button.dataset.then);
}

document.addEventListener("click", (event) => {
  const button = /** @type {Element} */ (event.target).closest("[data-measure], [data-rollback], [data-delete]");
  if (!button) return;
  if ("measure" in button.dataset) measure(button);
  else if ("delete" in button.dataset) remove(button);
  else rollback(button);
});

document.querySelector("[data-notes]")?.addEventListener("submit", (event) => {
  event.preventDefault();
  saveNotes(event.target);
});

const said = sessionStorage.getItem("admin-done");
if (said) {
  sessionStorage.removeItem("admin-done");
  done.textContent = said;
  done.hidden = false;
}
document.documentElement.dataset.ready = "yes";
