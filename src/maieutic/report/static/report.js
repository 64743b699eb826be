// Sorting, filtering and searching of units, and the heat switch. Without this script the pages say the same.
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

// Search over all pages of a section: its rows are loaded from a file beside the pages when somebody searches.
const loaded = new Map();
const searched = (number, rows) => loaded.get(number)(rows);
for (const box of document.querySelectorAll(".search")) {
  const words = box.querySelector("input");
  const count = box.querySelector(".count");
  const list = box.querySelector(".found");
  const most = 100;
  let rows = null;
  const show = () => {
    const wanted = words.value.trim().toLowerCase();
    const fits = wanted && rows ? rows.filter((r) => (r[0] + " " + r[1]).toLowerCase().includes(wanted)) : [];
    count.textContent = wanted && rows ? `${fits.length} found${fits.length > most ? `, the first ${most} shown` : ""}` : "";
    list.replaceChildren(...fits.slice(0, most).map(([key, label, state, score, , file]) => {
      const item = document.createElement("li");
      const link = document.createElement(file ? "a" : "span");
      if (file) link.href = file;
      link.textContent = key;
      const said = document.createElement("bdi");
      said.textContent = label;
      const value = document.createElement("span");
      value.className = "muted";
      value.textContent = score === null ? "" : score.toFixed(2) + (state === "beats" ? " ✓" : "");
      item.append(link, " ", said, " ", value);
      return item;
    }));
  };
  words.addEventListener("input", () => {
    if (!loaded.has(Number(box.dataset.number))) {
      loaded.set(Number(box.dataset.number), (found) => { rows = found; show(); });
      const script = document.createElement("script");
      script.src = box.dataset.file;
      document.head.append(script);
    }
    show();
  });
  box.hidden = false;
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
