// What the report of a study says at a moment, and in words.

import { EMOTIONS, nameOf, percent } from "../lib/emotions.js";
import { number, t } from "../lib/i18n.js";

/** Index of the step of `times` (ms, rising) that `ms` lies in; the first or last beyond the ends. */
export function stepAt(times, ms) {
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (times[middle] <= ms) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** "0:07.5": minutes, seconds and tenths of `ms`. */
export function clock(ms) {
  const tenths = Math.round(ms / 100);
  const seconds = (tenths % 600) / 10;
  return `${Math.floor(tenths / 600)}:${seconds < 10 ? "0" : ""}${number(seconds, 1)}`;
}

/** "50 to 77 %", or nothing where there are too few people for an interval. */
export function interval(low, high) {
  return low === null || high === null || low === undefined || high === undefined
    ? "" : t("{low} to {high}", { low: percent(low), high: percent(high) });
}

/** A peak or drop in words: "Happy rises to 64 % at 0:13.0". */
export function momentText(moment) {
  const values = { emotion: nameOf(moment.emotion), value: percent(moment.value), time: clock(moment.t_ms) };
  return moment.kind === "drop"
    ? t("{emotion} falls to {value} at {time}", values)
    : t("{emotion} rises to {value} at {time}", values);
}

/** Why somebody's readings are not used, in words. */
export function reasonText(reason) {
  switch (reason) {
    case "nothing_read":
      return t("nothing was read");
    case "face_not_seen":
      return t("in more than half of the readings no single face in a good picture");
    case "too_slow":
      return t("less than one reading a second");
    default:
      return reason;
  }
}

/** What people are told apart by, as a heading says it: a question, a column of the link, or the device. */
export function partLabel({ key, label }) {
  return key === "column:device" ? t("Device") : label;
}

/** A value of such a part in words. */
export function partValue(key, value) {
  if (key === "column:device" && value === "phone") return t("Phone");
  return key === "column:device" && value === "desktop" ? t("Computer") : value;
}

/** The expressions whose curve rises above `least` anywhere, the strongest first; at least one. */
export function strongest(emotions, least = 0.15, most = 3) {
  const tops = EMOTIONS.filter((emotion) => emotion !== "neutral").map((emotion) => {
    const known = emotions[emotion].mean.filter((value) => value !== null);
    return { emotion, top: Math.max(0, ...known) };
  });
  tops.sort((a, b) => b.top - a.top);
  const chosen = tops.filter(({ top }) => top >= least).slice(0, most).map(({ emotion }) => emotion);
  return chosen.length > 0 ? chosen : [tops[0].emotion];
}

/** A value of `measure`, an emotion's share or the valence, in words. */
export function valueText(measure, value) {
  return measure === "valence" ? signed(value) : percent(value);
}

/** With its sign. */
export function signed(value, digits = 2) {
  return `${value > 0 ? "+" : value < 0 ? "−" : ""}${number(Math.abs(value), digits)}`;
}

export function measureName(measure) {
  return measure === "valence" ? t("Valence") : nameOf(measure);
}

/** What differs between two stimuli: a row of the report's comparison, as a line. */
export function differenceText({ measure, first, second, groups: [one, other] }) {
  return t("{measure}: {first} at {one}, {second} at {other}",
    { measure: measureName(measure), first: valueText(measure, first), second: valueText(measure, second), one, other });
}

/** The value of `curve` ({t_ms}, aligned `values`) at `ms`, or null. */
export function valueAt(times, values, ms) {
  return values?.[stepAt(times, ms)] ?? null;
}
