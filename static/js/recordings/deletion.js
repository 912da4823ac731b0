// The question before recordings are deleted, on every page that can.

import { confirmed } from "../lib/confirm.js";
import { t, tn } from "../lib/i18n.js";

/** Asks whether `count` recordings are to be deleted. */
export function deletionConfirmed(count = 1) {
  return confirmed({
    title: tn("Delete the recording?", "Delete all {count} recordings?", count),
    text: t("What was not exported is lost."), yes: t("Delete"), danger: true,
  });
}
