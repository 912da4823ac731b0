// One <dialog data-confirm> on a page asks before something that cannot be undone.

/** Shows the dialog and resolves to whether the answer was yes; Escape is no. */
export function confirmed({ title, text, yes }, dialog = document.querySelector("[data-confirm]")) {
  dialog.querySelector("[data-confirm-title]").textContent = title;
  dialog.querySelector("[data-confirm-text]").textContent = text;
  dialog.querySelector("[data-confirm-yes]").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
