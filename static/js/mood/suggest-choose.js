// Which entries a settled mood brings up, and how that is said.

import { EMOTIONS } from "../lib/emotions.js";
import { t } from "../lib/i18n.js";
import { ANY } from "./suggest-catalogue.js";

export const SHOWN = 5;

// What "lift" looks for, best first.
const LIFT = Object.freeze({
  angry: ["neutral", "happy"],
  disgust: ["neutral", "happy"],
  fear: ["neutral", "happy"],
  sad: ["happy", "surprise"],
  surprise: ["happy"],
  neutral: ["happy", "surprise"],
  happy: ["happy"],
});

export const RULES = Object.freeze({
  match: t("Match shows entries for the mood that has settled, then entries for any mood."),
  lift:
    t("Lift shows entries for another mood: after angry, disgust or fear first neutral, then happy; "
    + "after sad or neutral first happy, then surprise; after surprise or happy entries for happy. "
    + "Entries for any mood come last."),
});

export const isMood = (state) => EMOTIONS.includes(state);

/** The moods that are looked for, best first. */
export function targets(state, mode) {
  return mode === "lift" ? LIFT[state] : [state];
}

/** At most SHOWN entries for a settled mood; `turn` counts how often others were asked for. */
export function choose(entries, state, mode, turn = 0) {
  const wanted = [...targets(state, mode), ANY];
  const ranked = wanted.flatMap((mood, rank) =>
    entries.filter(({ moods }) => moods.includes(mood) && !wanted.slice(0, rank).some((m) => moods.includes(m))));
  if (ranked.length <= SHOWN) return ranked;
  const start = (turn * SHOWN) % ranked.length;
  return [...ranked.slice(start), ...ranked.slice(0, start)].slice(0, SHOWN);
}
