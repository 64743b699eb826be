// The pieces of the progress page are asked for again and put in where they changed; without this script the page is loaded anew.
"use strict";

const live = document.querySelector("[data-live]");
const SOON = 2000, LATE = 15000, HIDDEN = 60000;
let wait = SOON;
let timer = 0;

const look = async () => {
  clearTimeout(timer);
  const lost = live.querySelector(".lost");
  try {
    const answer = await fetch(live.dataset.live);
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    let changed = false;
    for (const piece of page.querySelectorAll("[data-piece]")) {
      const old = live.querySelector(`[data-piece="${piece.dataset.piece}"]`);
      if (!old || old.innerHTML === piece.innerHTML) continue;
      old.replaceChildren(...piece.childNodes);
      changed = true;
    }
    wait = changed ? SOON : Math.min(wait * 1.4, LATE);
    lost.hidden = true;
  } catch {
    wait = Math.min(wait * 2, LATE);
    lost.hidden = false;
  }
  timer = setTimeout(look, document.hidden ? HIDDEN : wait);
};

if (live) {
  timer = setTimeout(look, wait);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
}
