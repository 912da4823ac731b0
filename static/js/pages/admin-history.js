// What serves now: kept fresh, with one click back.

import { call, press } from "../admin/api.js";
import { confirmed } from "../lib/confirm.js";
import { t } from "../lib/i18n.js";

const config = JSON.parse(document.getElementById("config").textContent);
const find = (name) => document.querySelector(`[data-${name}]`);
const EVERY_MS = 1000;
let shown = config.state;

function say(name, text) {
  const place = find(name);
  place.textContent = text ?? "";
  place.hidden = !text;
}

function draw(state) {
  const changed = state.serving !== shown.serving;
  shown = state;
  find("serving").textContent = state.serving;
  find("rollback").textContent = t("Roll back to {previous}", { previous: state.previous ?? "" });
  find("rollback").hidden = !state.previous;
  say("notice", state.notice?.message);
  say("doing", state.doing && `${state.doing}…`);
  const { watch } = state;
  say("watch", watch && t("{version} serves and is being watched: {answered} frames answered, {failed} failed, "
    + "{seconds_left} s left. If too many fail, {previous} comes back by itself.", watch));
  for (const line of document.querySelectorAll("[data-version]")) {
    const serves = line.dataset.version === state.serving;
    line.querySelector("[data-now]").hidden = !serves;
    line.querySelector("[data-activate]").hidden = serves;
  }
  // the table of entries comes from the server
  if (changed) globalThis.location.reload();
}

find("rollback").addEventListener("click", async () => {
  const yes = await confirmed({
    title: t("Roll back to {previous}?", { previous: shown.previous }),
    text: t("{serving} stops serving and {previous} answers every frame from then on. No connection is interrupted.", shown),
    yes: t("Roll back"),
  });
  if (!yes) return;
  const state = await press(find("rollback"), find("error"), () => call("POST", `${config.api}/models/rollback`, {}));
  if (state) draw(state);
});

draw(config.state);
setInterval(async () => {
  if (document.hidden) return;
  try {
    draw(await call("GET", `${config.api}/models/serving`));
    if (find("error").dataset.lost) say("error", "");
    delete find("error").dataset.lost;
  } catch (error) {
    find("error").dataset.lost = "yes";
    say("error", t("{message} What is shown may be old.", { message: error.message }));
  }
}, EVERY_MS);
