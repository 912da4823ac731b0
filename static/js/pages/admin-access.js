// The access page: people and tokens. What is shown once stays until the page is left.

import { call, press } from "../admin/api.js";
import { confirmed } from "../lib/confirm.js";
import { refreshTables, showOnce, wireTokens } from "../admin/tokens.js";
import { t } from "../lib/i18n.js";

const find = (name, root = document) => root.querySelector(`[data-${name}]`);
const peopleError = find("people-error");

function done(text) {
  find("people-done").textContent = text;
  find("people-done").hidden = !text;
}

function showLink({ name, link }) {
  done("");
  find("link-once").dataset.name = name;
  find("link-for").textContent = t("Link for {name}.", { name });
  showOnce(find("link-once"), find("link"), link);
}

find("invite").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  const body = Object.fromEntries(new FormData(form));
  const made = await press(form.querySelector("button"), peopleError, () =>
    call("POST", "/admin/api/accounts", body));
  if (!made) return;
  form.reset();
  showLink(made);
  await refreshTables();
});

const actions = {
  "[data-new-link]": async (button, { person }) => {
    const made = await press(button, peopleError, () =>
      call("POST", `/admin/api/accounts/${person}/link`));
    if (made) showLink(made);
  },
  "[data-end-sessions]": async (button, { person, name }) => {
    const yes = await confirmed({
      title: t("Log {name} out?", { name }), text: t("Every browser of this account is logged out."), yes: t("Log out"),
    });
    if (!yes) return;
    done("");
    await press(button, peopleError, async () => {
      await call("POST", `/admin/api/accounts/${person}/sessions/end`);
      done(t("{name} is logged out everywhere.", { name }));
    });
  },
  "[data-remove]": async (button, { person, name }) => {
    const yes = await confirmed({
      title: t("Remove {name}?", { name }), text: t("The account and its tokens stop working at once."), yes: t("Remove"), danger: true,
    });
    if (!yes) return;
    done("");
    await press(button, peopleError, async () => {
      await call("DELETE", `/admin/api/accounts/${person}`);
      if (find("link-once").dataset.name === name) find("link-once").hidden = true;
      await refreshTables(button);
      done(t("{name} is removed.", { name }));
    });
  },
};

document.querySelector("main").addEventListener("click", (event) => {
  for (const [selector, act] of Object.entries(actions)) {
    const button = event.target.closest(selector);
    if (button) act(button, button.closest("tr").dataset);
  }
});

wireTokens("/admin/api/tokens");
document.documentElement.dataset.ready = "yes";
