// The marker keys: M for the next number, 1 to 9 for a name that the person gave. Each is a button
// too, for phones and for everybody who has switched the keys off.

import { t } from "../lib/i18n.js";
import { remember, remembered } from "../lib/memory.js";
import { cleanName } from "./recorder.js";

const NAMES_AT = "mien.markers";
const DIGITS = Object.freeze([..."123456789"]);

/** The key that a key press stands for: "M", "1" to "9", or null where it means something else. */
export function keyOfPress(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || event.defaultPrevented) return null;
  const { target } = event;
  if (target?.isContentEditable || /^(input|select|textarea)$/i.test(target?.tagName ?? "")) {
    // A switch or a choice takes no letters, and the focus often rests on one.
    if (!/^(checkbox|radio)$/i.test(target.type ?? "")) return null;
  }
  const key = String(event.key).toUpperCase();
  return key === "M" || DIGITS.includes(key) ? key : null;
}

/** Names as kept, whatever somebody else put there: a text for each digit. */
export function cleanNames(kept) {
  return Object.fromEntries(DIGITS.map((digit) => {
    const name = typeof kept?.[digit] === "string" ? kept[digit] : "";
    return [digit, cleanName(name, t("Marker {digit}", { digit }))];
  }));
}

export function markerKeys({ keys, names, enabled, onMark }) {
  const named = cleanNames(remembered(NAMES_AT, {}));
  const shown = new Map();

  function addKey(key, name) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "marker-key";
    const kbd = document.createElement("kbd");
    kbd.textContent = key;
    const text = document.createElement("span");
    text.textContent = name;
    button.append(kbd, text);
    button.addEventListener("click", () => mark(key));
    keys.append(button);
    shown.set(key, text);
  }

  function addName(digit) {
    const label = document.createElement("label");
    const text = document.createElement("span");
    text.textContent = digit;
    const input = document.createElement("input");
    input.className = "input";
    input.maxLength = 80;
    input.value = named[digit];
    input.setAttribute("aria-label", t("Name of marker {digit}", { digit }));
    input.addEventListener("change", () => {
      named[digit] = cleanName(input.value, t("Marker {digit}", { digit }));
      input.value = named[digit];
      shown.get(digit).textContent = named[digit];
      remember(NAMES_AT, named);
    });
    label.append(text, input);
    names.append(label);
  }

  const mark = (key) => onMark(key, key === "M" ? null : named[key]);
  addKey("M", t("Marker"));
  for (const digit of DIGITS) {
    addKey(digit, named[digit]);
    addName(digit);
  }
  return {
    onKey(event) {
      const key = enabled() ? keyOfPress(event) : null;
      if (!key) return;
      event.preventDefault();
      mark(key);
    },
  };
}
