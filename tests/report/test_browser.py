"""The pages in a real browser: nothing wider than the screen, nothing injected, filter and sorting work."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from maieutic.report import ReportRun, pages, write_report

pytestmark = [pytest.mark.browser, pytest.mark.slow]

#: runs after the page's own script and tells the window around it what it found
PROBE = """<script>addEventListener("load", () => setTimeout(() => {
const beyond = e => e.getBoundingClientRect().right > innerWidth + 1 && getComputedStyle(e).position !== "absolute";
const wide = [...document.querySelectorAll("main *, header *")].filter(e => beyond(e) && !e.closest("thead"));
const found = {width: innerWidth, scroll: document.documentElement.scrollWidth, title: document.title};
found.wide = wide.slice(0, 5).map(e => e.outerHTML.slice(0, 90));
const rows = [...document.querySelectorAll("table.units tbody")[0]?.rows ?? []];
if (rows.length) {
  const words = document.querySelector(".filter");
  words.value = "kind 2"; words.dispatchEvent(new Event("input"));
  found.filtered = rows.filter(r => r.getClientRects().length).map(r => r.cells[1].innerText);
  words.value = ""; words.dispatchEvent(new Event("input"));
  document.querySelectorAll("table.units thead button")[0].click();
  found.sorted = [...document.querySelector("table.units tbody").rows].map(r => r.cells[0].innerText);
}
parent.postMessage(found, "*");
}, 50));</script>"""
#: a window as narrow as a phone's, which the browser itself does not open
FRAME = """<!doctype html><script>
addEventListener("message", e => { document.querySelector("pre").textContent = JSON.stringify(e.data); });
</script><pre></pre><iframe src="probe.html" style="border:0; width:%dpx; height:1200px"></iframe>"""
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]


def probe(chromium: str, page: Path, tmp_path: Path, width: int, *, with_probe: bool = True) -> dict[str, Any]:
    html = page.read_text(encoding="utf-8").replace("</body>", (PROBE if with_probe else "") + "</body>")
    page.with_name("probe.html").write_text(html, encoding="utf-8")
    frame = page.with_name("frame.html")
    frame.write_text(FRAME % width, encoding="utf-8")
    own = [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000", "--dump-dom", frame.as_uri()]
    done = subprocess.run([chromium, *FLAGS, *own], capture_output=True, text=True, timeout=90, check=True)
    found = re.search(r"<pre>(.+?)</pre>", done.stdout, re.DOTALL)
    assert found, done.stderr
    return json.loads(unescape(found.group(1)))


@pytest.fixture
def report(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "report"))


@pytest.mark.parametrize("width", [400, 940, 1300])
@pytest.mark.parametrize(
    "page", ["index.html", "units/2-layers.15.mlp-20.html", "units/1-blocks.14.expand-20.html", "hostile"]
)
def test_nothing_is_wider_than_the_screen_and_nothing_injected_runs(
    chromium: str, report: Path, tmp_path: Path, page: str, width: int
) -> None:
    path = next(report.glob("units/*script*")) if page == "hostile" else report / page
    found = probe(chromium, path, tmp_path, width)
    assert found["width"] == width
    assert found["wide"] == []
    assert found["scroll"] <= width
    assert found["title"] != "hacked"


def test_the_probe_sees_what_is_too_wide(chromium: str, report: Path, tmp_path: Path) -> None:
    page = report / "index.html"
    html = page.read_text(encoding="utf-8").replace("</main>", '<p style="width: 700px">wide</p></main>')
    page.write_text(html, encoding="utf-8")
    found = probe(chromium, page, tmp_path, 400)
    assert found["wide"] == ['<p style="width: 700px">wide</p>']
    assert found["scroll"] > 400


def test_the_table_filters_and_sorts(chromium: str, report: Path, tmp_path: Path) -> None:
    found = probe(chromium, report / "index.html", tmp_path, 1300)
    assert found["filtered"] == ["round things, kind 2"]
    numbers = [int(re.sub(r"\D", "", key.rpartition("/")[2])) for key in found["sorted"]]
    assert numbers == sorted(numbers) == [3, 20, 37, 54, 71, 88]  # 17 i + 3


def test_the_search_finds_units_of_every_page(
    chromium: str, run: ReportRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE", 2)
    folder = write_report(run, tmp_path / "report").parent
    page = folder / "index.html"
    script = """<script>addEventListener("load", () => {
    const box = document.querySelectorAll(".search")[0], words = box.querySelector("input");
    words.value = "kind 4"; words.dispatchEvent(new Event("input"));
    setTimeout(() => {
      const links = [...box.querySelectorAll("a")].map(a => a.getAttribute("href"));
      parent.postMessage({said: [...box.querySelectorAll("bdi")].map(b => b.innerText), links,
                          count: box.querySelector(".count").innerText, title: document.title}, "*");
    }, 300);
    });</script>"""
    html = page.read_text(encoding="utf-8").replace("</body>", script + "</body>")
    page.write_text(html, encoding="utf-8")
    found = probe(chromium, page, tmp_path, 940, with_probe=False)
    assert found["said"] == ["round things, kind 4"]
    assert found["count"] == "1 found"
    assert [(folder / link).is_file() for link in found["links"]] == [True]
    assert found["title"] != "hacked"
