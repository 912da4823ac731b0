// Times, names and files of recordings as people read them.

import { innerNameOf, nameOf } from "../lib/emotions.js";
import { decimalMark, number, t } from "../lib/i18n.js";

/** Milliseconds as "1:02:03.4", "02:03.4" or, without tenths, "02:03". */
export function clock(ms, { tenths = false } = {}) {
  const total = Math.max(0, tenths ? Math.floor(ms / 100) : Math.floor(ms / 1000) * 10);
  const two = (value) => String(value).padStart(2, "0");
  const seconds = Math.floor(total / 10);
  const hours = Math.floor(seconds / 3600);
  const text = `${hours ? `${hours}:` : ""}${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return tenths ? `${text}${decimalMark}${total % 10}` : text;
}

/** A length of time in words: "4.2 s", "3 min 5 s", "1 h 2 min". */
export function span(ms) {
  if (ms < 59_950) return `${number(ms / 1000, 1)} s`;
  const seconds = Math.round(ms / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours ? t("{hours} h {minutes} min", { hours, minutes }) : t("{minutes} min {seconds} s", { minutes, seconds: seconds % 60 });
}

/** A state's name: an emotion, "uncertain", or one of the two below. */
export function stateName(state) {
  return { unreadable: t("Hard to read"), nobody: t("No face") }[state] ?? nameOf(state);
}

/** The same within a sentence. */
export function innerStateName(state) {
  return { unreadable: t("hard to read"), nobody: t("no face") }[state] ?? innerNameOf(state);
}

/** A valence with its sign: "+0.42". */
export function signed(value, digits = 2) {
  if (value === null || !Number.isFinite(value)) return "–";
  const text = number(Math.abs(value), digits);
  if (Number(Math.abs(value).toFixed(digits)) === 0) return text;
  return `${value < 0 ? "−" : "+"}${text}`;
}

const EVENT_WORDS = Object.freeze({
  started: t("Recording started"),
  paused: t("Paused"),
  resumed: t("Resumed"),
  stopped: t("Recording ended"),
  full: t("The recording was full and ended"),
  interrupted: t("Interrupted: the page was closed or reloaded here"),
  settings_changed: t("Settings changed"),
  connection_lost: t("Connection lost"),
  connection_back: t("Connection back"),
  camera_started: t("Camera or video started"),
  camera_ended: t("Camera or video changed"),
  camera_lost: t("Camera lost"),
  tab_hidden: t("Tab hidden: nothing was read"),
  tab_shown: t("Tab shown again"),
});

export function eventText({ kind, detail }) {
  if (kind === "model_changed") return t("Model changed from {from} to {to}", { from: detail?.from, to: detail?.to });
  return EVENT_WORDS[kind] ?? kind;
}

const SIZES = { small: t("small picture"), normal: t("normal picture"), large: t("large picture") };
const STEADINESS = { quick: t("quick labels"), balanced: t("balanced labels"), calm: t("calm labels") };
const SETTING_WORDS = {
  target_fps: (value) => t("at most {count} readings a second", { count: value }),
  mirror: (value) => (value ? t("mirrored") : t("not mirrored")),
  resolution: (value) => SIZES[value],
  steadiness: (value) => STEADINESS[value],
};

/** A setting of a recording in words; those of other versions as they are named. */
export function settingText(name, value) {
  return (Object.hasOwn(SETTING_WORDS, name) && SETTING_WORDS[name](value)) || `${name.replaceAll("_", " ")} ${value}`;
}

/** "mien-20261123-213005.csv", in local time, safe on every file system. */
export function fileName(startedAt, extension) {
  const d = new Date(startedAt);
  const two = (value) => String(value).padStart(2, "0");
  const day = `${d.getFullYear()}${two(d.getMonth() + 1)}${two(d.getDate())}`;
  return `mien-${day}-${two(d.getHours())}${two(d.getMinutes())}${two(d.getSeconds())}.${extension}`;
}
