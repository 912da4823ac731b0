// Tables that become cards on a phone (.data--stack): each cell learns the name of its column, which
// the style sheet then shows before the value. Rows that scripts add later are named as well.

function name(table) {
  const heads = [...table.querySelectorAll("thead th")].map((head) =>
    (head.querySelector(".visually-hidden") ? "" : head.textContent.trim()));
  for (const row of table.querySelectorAll("tbody tr")) {
    [...row.children].forEach((cell, column) => {
      if (cell.tagName === "TD" && heads[column] && cell.dataset.label !== heads[column]) {
        cell.dataset.label = heads[column];
      }
    });
  }
}

const all = () => document.querySelectorAll(".data--stack").forEach(name);
all();
new MutationObserver(all).observe(document.getElementById("main"), { childList: true, subtree: true });
