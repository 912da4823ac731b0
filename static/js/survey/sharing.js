// The dialog that says who sees a survey: invites by name, and takes invitations back.

import { el, showError } from "../lib/dom.js";
import { call } from "../lib/http.js";
import { t } from "../lib/i18n.js";

/** What is said of whose a survey is. @param {string|null} owner @param {string} me */
function ownerWords(owner, me) {
  if (!owner) return t("It belongs to nobody; only administrators see it without an invitation.");
  return owner === me ? t("It is yours.") : t("It belongs to {owner}.", { owner });
}

/**
 * Wires `dialog` to the survey at `api`; `button` opens it. `sharing` is {owner, guests, may_share}
 * as the server tells it, `me` the name of who is logged in. Calls left() when one has left.
 */
export function sharingDialog({ dialog, button, api, me, sharing, left }) {
  const find = (name) => dialog.querySelector(`[data-share-${name}]`);
  const form = find("form");
  const field = form.elements.namedItem("name");
  let shown = sharing;

  function show() {
    find("owner").textContent = ownerWords(shown.owner, me);
    form.hidden = !shown.may_share;
    find("nobody").hidden = shown.guests.length > 0;
    find("guests").replaceChildren(...shown.guests.map(({ name }) => {
      const own = name === me;
      const act = own ? t("Leave") : t("Remove");
      return el("li", {}, el("span", {}, own ? t("{name} (you)", { name }) : name),
        own || shown.may_share
          ? el("button", { class: "button button--quiet", type: "button", "data-name": name,
            "aria-label": own ? t("Leave this survey") : t("Remove {name}", { name }) }, act)
          : null);
    }));
  }

  async function attempt(work) {
    const place = find("error");
    place.hidden = true;
    try {
      await work();
    } catch (trouble) {
      showError(place, trouble.message);
    }
  }

  button.addEventListener("click", () => {
    show();
    dialog.showModal();
    attempt(async () => {
      shown = await call("GET", `${api}/shares`);
      show();
    });
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(async () => {
      shown = await call("PUT", `${api}/shares/${encodeURIComponent(field.value.trim())}`);
      form.reset();
      show();
      field.focus();
    });
  });
  find("guests").addEventListener("click", (event) => {
    const name = event.target.closest("[data-name]")?.dataset.name;
    if (!name) return;
    attempt(async () => {
      await call("DELETE", `${api}/shares/${encodeURIComponent(name)}`);
      if (name === me) {
        left();
        return;
      }
      shown = { ...shown, guests: shown.guests.filter((guest) => guest.name !== name) };
      show();
      find("close").focus();
    });
  });
}
