// What people do with the reading: each part has a module, and app.js knows only this one.

import { startBaseline } from "./baseline.js";
import { startSharing } from "../mood/panel.js";
import { startRecording } from "../recordings/panel.js";
import { startSteadiness } from "./steadiness.js";
import { startSuggestions } from "../mood/suggest-panel.js";

/**
 * config: the page's JSON block; request(event, payload) -> Promise of the server's answer;
 * settings() -> what a recording notes. Returns {tap, phase(name, kind), tick(nowMs)}; `tap` is
 * what LiveSession takes.
 * @param {any} page
 */
export function startTools(page) {
  /** @type {any[]} */
  const tools = [];
  // a tool that has settings says so by its own settings(), and a recording notes them
  const settings = () => Object.assign({}, page.settings(), ...tools.map((tool) => tool.settings?.()));
  tools.push(startRecording({ ...page, settings }), startSharing(page), startSuggestions());
  tools.push(startSteadiness(page), startBaseline(page));
  const all = (name) => (...given) => tools.forEach((tool) => tool[name]?.(...given));
  return Object.freeze({
    tap: Object.freeze({
      hello: all("hello"),
      connection: all("connection"),
      result: all("result"),
      sharing: all("sharing"),
    }),
    phase: all("phase"),
    tick: all("tick"),
  });
}
