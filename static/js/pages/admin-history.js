// What serves now: kept fresh, with one click back.

import { call, press } from "../admin/api.js";
import { confirmed } from "../admin/confirm.js";

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
  find("rollback").textContent = `Roll back to ${state.previous ?? ""}`;
  find("rollback").hidden = !state.previous;
  say("notice", state.notice?.message);
  say("doing", state.doing && `${state.doing}…`);
  const { watch } = state;
  say("watch", watch && `${watch.version} serves and is being watched: ${watch.answered} frames `
    + `answered, ${watch.failed} failed, ${watch.seconds_left} s left. If too many fail, `
    + `${watch.previous} comes back by itself.`);
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
    title: `Roll back to ${shown.previous}?`,
    text: `${shown.serving} stops serving and ${shown.previous} answers every frame from then on. `
      + "No connection is interrupted.",
    yes: "Roll back",
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
    say("error", `${error.message} What is shown may be old.`);
  }
}, EVERY_MS);
