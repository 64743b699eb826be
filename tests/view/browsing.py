"""A server in a thread and one Chromium for a whole file of tests; pages that note everything a page must not do."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page

from maieutic.view import create_app

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]


@contextmanager
def serving(folders: Sequence[Path], **more: Any) -> Iterator[str]:
    """An app on a free port of the loopback; gives its address."""
    app = create_app(list(folders), **more)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)


@dataclass
class Seen:
    """What pages did that they must not do: errors, dialogs, requests to other hosts."""

    host: str
    wrong: list[str] = field(default_factory=list)
    #: answers that a test asked for, as in ``404``
    allowed: tuple[str, ...] = ()

    def watch(self, page: Page) -> None:
        page.on("console", lambda m: self.note("console", m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: self.note("error", str(e)))
        page.on("dialog", lambda d: (self.note("dialog", d.message), d.dismiss()))
        page.on("request", lambda r: self._request(r.url))

    def note(self, kind: str, what: str) -> None:
        if not any(a in what for a in self.allowed):
            self.wrong.append(f"{kind}: {what}")

    def _request(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "about") and parts.netloc != self.host:
            self.note("request", url)


@contextmanager
def looking(browser: Browser, address: str, **more: Any) -> Iterator[tuple[Page, Seen]]:
    """A page of a fresh browser profile; what it did wrong fails the test when it is closed."""
    context: BrowserContext = browser.new_context(base_url=address, **more)
    context.set_default_timeout(15_000)
    seen = Seen(host=urlsplit(address).netloc)
    page = context.new_page()
    seen.watch(page)
    try:
        yield page, seen
        planted = page.evaluate("() => window.hacked") if more.get("java_script_enabled", True) else None
        assert planted is None, "a planted script ran"
        assert seen.wrong == []
    finally:
        context.close()


#: what a page lacks for people who do not see it, use a keyboard, or have a narrow screen; a line each
CHECKS = """() => {
  const wrong = [];
  const say = (what, e) => wrong.push(`${what}: ${e.outerHTML.slice(0, 120)}`);
  const named = (e) => (e.getAttribute("aria-label") || e.textContent || e.title || "").trim()
    || e.querySelector("img[alt]:not([alt=''])");
  const shown = (e) => e.getClientRects().length > 0;
  if (!document.documentElement.lang) wrong.push("no language");
  if (!document.title.trim()) wrong.push("no title");
  if (document.querySelectorAll("h1").length !== 1) wrong.push(`${document.querySelectorAll("h1").length} h1`);
  if (document.querySelectorAll("main").length !== 1) wrong.push("not one main");
  let level = 0;
  for (const h of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    const own = Number(h.tagName[1]);
    if (own > level + 1) say("a heading skips a level", h);
    level = own;
    if (!named(h)) say("an empty heading", h);
  }
  for (const e of document.querySelectorAll("img")) if (!e.hasAttribute("alt")) say("no alt", e);
  for (const e of document.querySelectorAll("svg")) {
    if (e.closest("[aria-hidden=true]")) continue;
    if (e.getAttribute("role") !== "img" || !e.getAttribute("aria-label")) say("a chart without words", e);
  }
  for (const e of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    if (!e.labels.length && !e.getAttribute("aria-label")) say("no label", e);
  }
  for (const e of document.querySelectorAll("a[href], button")) if (shown(e) && !named(e) && !e.closest("svg")) say("no name", e);
  for (const e of document.querySelectorAll("th")) if (!e.scope) say("no scope", e);
  for (const e of document.querySelectorAll("nav")) if (!e.getAttribute("aria-label")) say("no name", e);
  const ids = new Set();
  for (const e of document.querySelectorAll("[id]")) {
    if (ids.has(e.id)) say("an id twice", e);
    ids.add(e.id);
  }
  for (const e of document.querySelectorAll("[tabindex]")) if (e.tabIndex > 0) say("tab order", e);
  const light = (c) => {
    const [r, g, b] = c.map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const colour = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const behind = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const [r, g, b, a = 1] = colour(getComputedStyle(at).backgroundColor);
      if (a > 0.99) return [r, g, b];
      if (a > 0.01) return null;
    }
    return [255, 255, 255];
  };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const poor = new Set();
  for (let n = walk.nextNode(); n; n = walk.nextNode()) {
    const e = n.parentElement;
    if (!n.textContent.trim() || !shown(e) || e.closest("svg, script, style, option")) continue;
    const back = behind(e), [r, g, b] = colour(getComputedStyle(e).color);
    if (!back) continue;
    const [x, y] = [light([r, g, b]), light(back)];
    const ratio = (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
    if (ratio < 4.3) poor.add(`contrast ${ratio.toFixed(1)}: ${e.tagName} ${e.className}`);
  }
  wrong.push(...[...poor].slice(0, 5));
  const far = document.documentElement.scrollWidth - innerWidth;
  if (far > 1) {
    const wide = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1);
    wrong.push(`${far} px wider than the screen`, ...wide.slice(-3).map((e) => e.outerHTML.slice(0, 100)));
  }
  return wrong;
}"""
