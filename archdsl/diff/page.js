"use strict";
// Rows that open, and steps that are the same, shown on demand.
const rows = [...document.querySelectorAll(".steps tbody tr")];
const same = document.getElementById("same");

function arrange() {
  const open = [];  // for each depth, whether the row above that is open
  for (const row of rows) {
    const depth = Number(row.dataset.depth);
    row.hidden = depth > 1 && !open[depth - 1] || row.classList.contains("same") && !same.checked;
    open[depth] = (depth === 1 || open[depth - 1]) && row.hasAttribute("data-open");
  }
}

document.querySelector(".steps tbody").addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-folds]");
  if (row) { row.toggleAttribute("data-open"); arrange(); }
});
same.addEventListener("change", arrange);
arrange();
