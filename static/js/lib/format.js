// Numbers and times as an administrator reads them.

import { language, number } from "./i18n.js";

/** 1234567 -> "1.2 MB"; powers of 1000, as disks are sold. */
export function bytes(count) {
  if (count === null || count === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${number(value, value >= 100 || unit === 0 ? 0 : 1)} ${units[unit]}`;
}

/** 93784 s -> "1 d 2 h"; the two largest parts. */
export function duration(seconds) {
  /** @type {[number, string][]} */
  const parts = [
    [Math.floor(seconds / 86400), "d"], [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"], [Math.floor(seconds) % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return "0 s";
  return parts.slice(first, first + 2).filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`).join(" ");
}

export function ms(value) {
  if (value === null || value === undefined) return "–";
  return `${number(value, value >= 10 ? 0 : 1)} ms`;
}

export function rate(value) {
  return number(value, value >= 10 ? 0 : 1);
}

/** "2026-11-23T20:15:04+00:00" -> local "20:15:04", with the day where it is not today. */
export function clock(text, now = new Date()) {
  const at = new Date(text);
  const place = language === "en" ? "en-GB" : language;
  const time = at.toLocaleTimeString(place);
  return at.toDateString() === now.toDateString()
    ? time : `${at.toLocaleDateString(place, { day: "numeric", month: "short" })} ${time}`;
}
