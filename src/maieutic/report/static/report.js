// Sorting and filtering of unit tables, and the heat switch. Without this script the pages say the same.
"use strict";

for (const table of document.querySelectorAll("table.units")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const tools = table.previousElementSibling;

  const text = (row, column) => row.cells[column].textContent.trim();
  const number = (row, column) => Number(row.cells[column].dataset.value);
  const sort = (header, column) => {
    const numeric = header.dataset.sort === "number";
    const up = header.ariaSort ? header.ariaSort === "descending" : !numeric;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", up ? "ascending" : "descending");
    const by = numeric
      ? (a, b) => number(a, column) - number(b, column)
      : (a, b) => text(a, column).localeCompare(text(b, column), undefined, { numeric: true });
    body.append(...[...rows].sort((a, b) => (up ? by(a, b) : by(b, a))));
  };
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    const button = document.createElement("button");
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => sort(header, column));
  });

  if (!tools || !tools.classList.contains("tools") || rows.length < 2) continue;
  const words = tools.querySelector(".filter");
  const state = tools.querySelector(".state");
  const count = tools.querySelector(".count");
  const filter = () => {
    const wanted = words.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const fits = (text(row, 0) + " " + text(row, 1)).toLowerCase().includes(wanted);
      row.hidden = !(fits && (!state.value || row.dataset.state === state.value));
      shown += !row.hidden;
    }
    count.textContent = shown === rows.length ? "" : `${shown} of ${rows.length}`;
  };
  words.addEventListener("input", filter);
  state.addEventListener("change", filter);
  tools.hidden = false;
}

for (const tools of document.querySelectorAll(".gallery-tools")) {
  tools.hidden = false;
  tools.querySelector(".heat-switch").addEventListener("change", (event) => {
    document.body.classList.toggle("no-heat", !event.target.checked);
  });
}

// An experiment that is folded away opens when something links to it.
const open = () => {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  const folded = target && target.closest("details");
  if (folded) {
    folded.open = true;
    target.scrollIntoView();
  }
};
addEventListener("hashchange", open);
open();
