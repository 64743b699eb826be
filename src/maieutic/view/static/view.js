// Pieces of pages that come later, and keys. Without this script every page says the same, with links instead.
"use strict";

// What is still being measured is asked for until it is there; its place on the page was kept free.
const bring = async (place, address, wait = 400) => {
  try {
    const answer = await fetch(address, { headers: { "x-piece": "1" } });
    const text = await answer.text();
    if (answer.status === 202) {
      setTimeout(() => bring(place, address, Math.min(wait * 1.5, 4000)), wait);
      return;
    }
    const page = new DOMParser().parseFromString(text, "text/html");
    const main = page.querySelector("main") ?? page.body;
    if (!answer.ok) throw new Error(page.querySelector(".headline")?.textContent ?? `the answer was ${answer.status}`);
    place.replaceWith(...main.childNodes);
    dispatchEvent(new Event("maieutic:came"));
  } catch (error) {
    place.removeAttribute("aria-busy");
    const note = document.createElement("p");
    note.className = "standing no";
    note.textContent = `This cannot be shown: ${error.message}`;
    place.append(note);
  }
};
for (const place of document.querySelectorAll(".later[data-src]")) bring(place, place.dataset.src);

// What costs something is made when somebody asks, in its place on the page.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-into]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const place = document.getElementById(link.dataset.into);
  place.setAttribute("aria-busy", "true");
  link.textContent = "Working …";
  link.classList.add("muted");
  bring(place, link.href);
});

// A search by meaning that has not read every label looks again.
const again = document.querySelector("[data-again]");
if (again && !document.hidden) setTimeout(() => {
  if (document.activeElement?.tagName !== "INPUT") location.reload();
}, 1000 * Number(again.dataset.again));
