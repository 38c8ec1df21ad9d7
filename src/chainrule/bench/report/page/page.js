"use strict";
// Sorting: times and rates by what they are worth, not by their letters.
const PREFIXES = { T: 1e12, G: 1e9, M: 1e6, k: 1e3, m: 1e-3, "µ": 1e-6, n: 1e-9 };
function worth(text) {
  const found = /^(-?[\d.]+)\s*([TGMkmµn]?)/.exec(text);
  if (!found) return null;
  return Number(found[1]) * (found[2] ? PREFIXES[found[2]] : 1);
}
function compare(one, other, isNumber) {
  if (!isNumber) return one.localeCompare(other, "en", { numeric: true });
  return worth(one) - worth(other);
}
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, place) => {
    head.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      const isNumber = head.classList.contains("n");
      const text = (row) => row.cells[place].textContent;
      const rows = [...body.rows];
      // What has no figure stays below, whichever way it is sorted.
      const empty = isNumber ? rows.filter((row) => worth(text(row)) === null) : [];
      const full = rows.filter((row) => !empty.includes(row));
      full.sort((a, b) => compare(text(a), text(b), isNumber) * (down ? -1 : 1));
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      body.append(...full, ...empty);
    });
  });
}
const button = document.getElementById("download");
if (button) button.hidden = false; // a run too large for a page has none
button?.addEventListener("click", () => {
  const text = document.getElementById("data").textContent;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = "chainrule-bench.json";
  link.click();
  URL.revokeObjectURL(link.href);
});
// On paper nothing can be opened.
window.addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
