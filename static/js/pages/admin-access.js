// The access page: people and tokens. What is shown once stays until the page is left.

import { call, press } from "../admin/api.js";
import { confirmed } from "../admin/confirm.js";
import { page } from "../lib/http.js";

const find = (name, root = document) => root.querySelector(`[data-${name}]`);
const peopleError = find("people-error");
const tokensError = find("tokens-error");

/** Shows what cannot be shown again, with a button that copies it. */
function showOnce(box, place, text) {
  place.textContent = text;
  box.hidden = false;
  const copy = find("copy", box);
  copy.textContent = "Copy";
  copy.hidden = !navigator.clipboard;
  copy.onclick = async () => {
    await navigator.clipboard.writeText(text);
    copy.textContent = "Copied";
  };
  box.scrollIntoView({ block: "nearest" });
}

function showLink({ name, link }) {
  find("link-for").textContent = `Link for ${name}.`;
  showOnce(find("link-once"), find("link"), link);
}

/** Fetches this page again and puts its tables in place of ours; forms and secrets stay. */
async function refreshTables() {
  const fresh = await page(location.pathname);
  for (const name of ["people", "tokens"]) {
    const now = document.querySelector(`[data-table="${name}"]`);
    const next = fresh.querySelector(`[data-table="${name}"]`);
    if (now && next) now.replaceWith(next);
    else if (next) find("no-tokens")?.replaceWith(next);
  }
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

find("new-token").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  const data = new FormData(form);
  const days = data.get("days");
  const made = await press(form.querySelector("button"), tokensError, () =>
    call("POST", "/admin/api/tokens", {
      name: data.get("name"), scopes: data.getAll("scopes"), days: days ? Number(days) : null,
    }));
  if (!made) return;
  form.reset();
  showOnce(find("token-once"), find("token-text"), made.token);
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
      title: `Log ${name} out?`, text: "Every browser of this account is logged out.", yes: "Log out",
    });
    if (yes) {
      await press(button, peopleError, () =>
        call("POST", `/admin/api/accounts/${person}/sessions/end`));
    }
  },
  "[data-remove]": async (button, { person, name }) => {
    const yes = await confirmed({
      title: `Remove ${name}?`, text: "The account and its tokens stop working at once.", yes: "Remove",
    });
    if (!yes) return;
    await press(button, peopleError, async () => {
      await call("DELETE", `/admin/api/accounts/${person}`);
      await refreshTables();
    });
  },
  "[data-revoke]": async (button, { token, name }) => {
    const yes = await confirmed({
      title: `Revoke “${name}”?`, text: "Programs that use this token are refused at once.",
      yes: "Revoke",
    });
    if (!yes) return;
    await press(button, tokensError, async () => {
      await call("DELETE", `/admin/api/tokens/${token}`);
      await refreshTables();
    });
  },
};

document.querySelector("main").addEventListener("click", (event) => {
  for (const [selector, act] of Object.entries(actions)) {
    const button = event.target.closest(selector);
    if (button) act(button, button.closest("tr").dataset);
  }
});

document.documentElement.dataset.ready = "yes";
