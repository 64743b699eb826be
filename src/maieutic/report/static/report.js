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
    if (!header.dataset.sort) return; // a server sorts, all pages at once
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

// The heat switch; pictures that come later have one too.
const unfold = () => { for (const tools of document.querySelectorAll(".gallery-tools")) tools.hidden = false; };
document.addEventListener("change", (event) => {
  if (event.target.matches(".heat-switch")) document.body.classList.toggle("no-heat", !event.target.checked);
});
addEventListener("maieutic:came", unfold);
unfold();

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

// Keys: j and k to the next and the one before, u up, / to search, ? for this list. Links say where they lead.
const help = [["j", "next"], ["k", "the one before"], ["u", "up"], ["/", "search"], ["h", "heat on and off"], ["?", "these keys"]];
const keys = () => {
  let box = document.querySelector("dialog.keys");
  if (!box) {
    box = document.createElement("dialog");
    box.className = "keys";
    const title = document.createElement("h2");
    title.textContent = "Keys";
    const list = document.createElement("dl");
    for (const [key, what] of help) {
      const name = document.createElement("dt");
      const cap = document.createElement("kbd");
      cap.textContent = key;
      name.append(cap);
      const said = document.createElement("dd");
      said.textContent = what;
      list.append(name, said);
    }
    const form = document.createElement("form");
    form.method = "dialog";
    const close = document.createElement("button");
    close.className = "button";
    close.textContent = "Close";
    form.append(close);
    box.append(title, list, form);
    document.body.append(box);
  }
  if (box.open) box.close(); else box.showModal();
};
const follow = (rel) => document.querySelector(`a[rel="${rel}"]`)?.click();
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, [contenteditable]")) return;
  const search = document.querySelector('#search, .search input, .filter');
  if (event.key === "j") follow("next");
  else if (event.key === "k") follow("prev");
  else if (event.key === "u") follow("up");
  else if (event.key === "h") document.querySelector(".heat-switch")?.click();
  else if (event.key === "?") keys();
  else if (event.key === "/" && search && search.getClientRects().length) { event.preventDefault(); search.focus(); }
});
