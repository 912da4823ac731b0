// What is wrong in a form: said beside the field that it is about, else where the template has its place.

import { setText } from "./dom.js";
import { number, t } from "./i18n.js";

const limit = (text) => number(Number(text), text.split(".")[1]?.length ?? 0);

/** What a field lacks before the server is asked, or "". @param {any} field */
function lackOf(field) {
  const { validity } = field;
  if (field.disabled || field.closest("[hidden]") || !validity) return "";
  if (validity.customError) return field.validationMessage;
  if (validity.badInput || validity.rangeUnderflow || validity.rangeOverflow) {
    return field.type === "number"
      ? t("Please enter a number from {low} to {high}.", { low: limit(field.min), high: limit(field.max) })
      : "";
  }
  return field.required && field.value.trim() === "" ? t("Please fill this in.") : "";
}

/** The errors of `form`, whose [data-error] shows one at a time. @param {any} form */
export function formErrors(form) {
  const place = form.querySelector("[data-error]");
  const { parentNode: home, nextSibling: next } = place;
  place.id = "form-error";

  function clear() {
    place.hidden = true;
    home.insertBefore(place, next);
    form.querySelectorAll("[aria-invalid]").forEach((one) => {
      one.removeAttribute("aria-invalid");
      one.removeAttribute("aria-errormessage");
    });
  }

  /** @param {string} message @param {any} [field] */
  function tell(message, field) {
    clear();
    setText(place, message);
    if (field) {
      const block = field.closest(".row-block");
      if (block) block.append(place);
      else field.closest(field.type === "radio" ? "fieldset" : ".row, .choice")?.after(place);
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-errormessage", place.id);
      field.focus();
    }
    place.hidden = false;
    if (!field) place.scrollIntoView({ block: "nearest" });
  }

  // what is being mended is no longer told
  form.addEventListener("input", ({ target }) => target.hasAttribute("aria-invalid") && clear());

  return {
    /** Says what the first field lacks that lacks something; returns whether none does. */
    complete() {
      clear();
      for (const field of form.elements) {
        const lack = lackOf(field);
        if (lack === "") continue;
        tell(lack, field);
        return false;
      }
      return true;
    },
    tell,
    /** Shows what a request was refused with. */
    refused(trouble) {
      const named = form.elements[trouble.detail?.field];
      const field = named instanceof RadioNodeList ? named[0] : named;
      tell(trouble.message, field instanceof HTMLElement && !field.closest("[hidden]") ? field : null);
    },
  };
}
