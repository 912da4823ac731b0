// The list of surveys: finds by name or tag while one types.

import { t } from "../lib/i18n.js";

const field = document.querySelector("[data-search]");
const rows = [...document.querySelectorAll("[data-words]")];

function search() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const row of rows) {
    row.hidden = !words.every((word) => row.dataset.words.includes(word));
    if (!row.hidden) found += 1;
  }
  document.querySelector("[data-found]").textContent =
    words.length > 0 ? t("{part} of {whole} surveys", { part: found, whole: rows.length }) : "";
}

field?.addEventListener("input", search);
document.querySelectorAll("[data-tag]").forEach((button) => {
  button.addEventListener("click", () => {
    field.value = button.dataset.tag;
    search();
  });
});
