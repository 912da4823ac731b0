// The receipt of a consent: what was agreed to, when, and the code that takes it back.

import { t } from "../lib/i18n.js";

/**
 * The receipt as plain text, to keep. `at` is a Date; `notice` is {text, version, sha256}; `page` the
 * address where the code is entered.
 */
export function receiptText({ name, contact, at, notice, code, page }) {
  return [
    t("Consent to take part in the study “{name}”", { name }),
    "",
    t("Given: {time}", { time: at.toISOString().replace("T", " ").slice(0, 19) + " UTC" }),
    t("Responsible: {contact}", { contact }),
    t("Notice, version {version}, SHA-256 {hash}", { version: notice.version, hash: notice.sha256 }),
    "",
    t("Withdrawal code: {code}", { code }),
    t("Enter it at {page} to have everything deleted that was recorded from you, at any time and without giving a reason.", { page }),
    "",
    t("The notice you agreed to:"),
    "",
    notice.text,
    "",
  ].join("\n");
}

/** Offers `text` as a file. */
export function download(text, name) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}

/** Copies `text`; returns whether the browser let it. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
