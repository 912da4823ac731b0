// One <dialog data-confirm> on a page (templates/_confirm.html) asks before something is done.

/**
 * Shows the dialog and resolves to whether the answer was yes; Escape is no.
 * @param {{title: string, text: string, yes: string, danger?: boolean}} question `yes` is the button's
 *   word; `danger` marks what cannot be taken back
 */
export function confirmed({ title, text, yes, danger = false }) {
  const dialog = /** @type {any} */ (document.querySelector("[data-confirm]"));
  dialog.querySelector("[data-confirm-title]").textContent = title;
  dialog.querySelector("[data-confirm-text]").textContent = text;
  const button = dialog.querySelector("[data-confirm-yes]");
  button.textContent = yes;
  button.className = `button button--${danger ? "danger" : "primary"}`;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
