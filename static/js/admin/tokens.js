// Tokens for programs: makes one, shows it this once, revokes.

import { t } from "../lib/i18n.js";
import { call, press } from "./api.js";
import { confirmed } from "../lib/confirm.js";
import { page } from "../lib/http.js";

const find = (name, root = document) => root.querySelector(`[data-${name}]`);

/** Shows what cannot be shown again, with a button that copies it. */
export function showOnce(box, place, text) {
  place.textContent = text;
  box.hidden = false;
  const copy = find("copy", box);
  copy.textContent = t("Copy");
  copy.hidden = !navigator.clipboard;
  copy.onclick = async () => {
    await navigator.clipboard.writeText(text);
    copy.textContent = t("Copied");
  };
  box.scrollIntoView({ block: "nearest" });
  copy.focus({ preventScroll: true });
}

/**
 * Fetches this page again and puts its tables in place of ours; forms and secrets stay.
 * @param {Element} [pressed] the button that did something in a table, which then has the focus
 */
export async function refreshTables(pressed) {
  const acted = pressed?.closest("[data-table]");
  const fresh = await page(location.pathname);
  for (const name of ["people", "tokens"]) {
    const now = document.querySelector(`[data-table="${name}"]`);
    const next = fresh.querySelector(`[data-table="${name}"]`);
    if (now && next) {
      now.replaceWith(next);
      if (now === acted) next.focus({ preventScroll: true });
    } else if (next) find("no-tokens")?.replaceWith(next);
  }
}

/** Wires the section of tokens to `api`, which takes POST and `DELETE api/ID`. */
export function wireTokens(api) {
  const error = find("tokens-error");
  find("new-token").addEventListener("submit", async (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    const data = new FormData(form);
    const days = data.get("days");
    const made = await press(form.querySelector("button"), error, () =>
      call("POST", api, {
        name: data.get("name"), scopes: data.getAll("scopes"), days: days ? Number(days) : null,
      }));
    if (!made) return;
    form.reset();
    showOnce(find("token-once"), find("token-text"), made.token);
    await refreshTables();
  });
  document.querySelector("main").addEventListener("click", async (event) => {
    const button = event.target.closest("[data-revoke]");
    if (!button) return;
    const { token, name } = button.closest("tr").dataset;
    const yes = await confirmed({
      title: t("Revoke “{name}”?", { name }), text: t("Programs that use this token are refused at once."),
      yes: t("Revoke"), danger: true,
    });
    if (!yes) return;
    await press(button, error, async () => {
      await call("DELETE", `${api}/${token}`);
      await refreshTables(button);
    });
  });
}
