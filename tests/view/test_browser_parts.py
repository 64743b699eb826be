"""Progress, people, comparisons and files in a real browser: they work, with and without a script, and run nothing planted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_stores import SITE, asked, explained, make_store, write

pytestmark = [pytest.mark.browser, pytest.mark.slow]
pytest.importorskip("playwright.sync_api")

from browsing import CHECKS, FLAGS, looking, serving  # noqa: E402
from playwright.sync_api import Browser, expect, sync_playwright  # noqa: E402

from maieutic.report.said import Said, append_said, read_said  # noqa: E402

#: every way in that a planted string may try; each leaves a mark that `looking` sees
EVIL = (
    "<script>window.hacked=1</script><img src=x onerror='window.hacked=2'>\"'><svg onload=alert(1)>"
    "</textarea><script>alert(2)</script>{{7*7}}javascript:alert(3)"
)
PAGES = ("", "units", "live", "people", "blind", "compare", "files", f"unit/{SITE}/0")
TEN_THOUSAND = 10_000


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield found
        found.close()


def _planted(folder: Path) -> Path:
    """A run whose labels, reasons, errors, texts and corrections all try to break out."""
    store = make_store(folder, units_of=6)
    for n, who in ((1, "search"), (1, "other"), (2, "search"), (2, "other"), (3, "search"), (3, "other")):
        explained(
            store, n, f"{EVIL} {n}", explainer=who, value=0.9 - 0.2 * n + 0.1 * (who == "other"), controls=(0.1, 0.2)
        )
        asked(store, n, EVIL, explainer=who)
    explained(store, 4, "", reason=EVIL)
    explained(store, 5, "", failed=EVIL)
    store.close()
    for verdict in ("correct", "comment"):
        append_said(
            folder,
            Said.model_validate(
                {"unit": f"{SITE}/0", "explainer": "search", "label": EVIL, "verdict": verdict, "person": EVIL[:80],
                 "text": EVIL if verdict == "correct" else "", "comment": EVIL}
            ),
        )  # fmt: skip
    card = {
        "format": "maieutic-trust-card", "conclusion": EVIL, "explainer": EVIL, "model": EVIL, "findings": [],
        "skill": {"name": "x", "value": None, "reason": EVIL, "cost": {}}, "exam": {"modality": EVIL, "seed": 0},
    }  # fmt: skip
    (folder / "card.json").write_text(json.dumps(card))
    (folder / "card.html").write_text(
        f'<!doctype html><meta name="generator" content="maieutic"><title>{EVIL}</title><h1>card</h1>{EVIL}'
        "<script>document.querySelector('h1').textContent = 'ran'</script><form action='/x'><input name=a></form>"
    )
    answers = [{"run": 1, "answer": EVIL, "confidence": 0.5, "reason": None, "evidence": [EVIL]}]
    entry = {"id": EVIL, "kind": EVIL, "hypothesis": EVIL, "expect": None, "scaled": 0.1, "shown": EVIL}
    answer = {"question": EVIL, "units": [EVIL], "model": EVIL, "answers": answers, "experiments": [entry]}
    (folder / "answers").mkdir()
    (folder / "answers" / "a.answer.json").write_text(json.dumps(answer))
    return folder


def _many(folder: Path) -> Path:
    store = make_store(folder, units_of=TEN_THOUSAND)
    for who, shift in (("search", 0.0), ("other", 0.05)):
        scored = ((n, min(n % 89 / 89 + shift, 1.0)) for n in range(1, TEN_THOUSAND + 1))
        rows = [(n, f"things of sort {n % 97}", value, None, n % 3000, None) for n, value in scored]
        write(store, rows, explainer=who, controls=(0.1, 0.12))
    store.close()
    for n in range(400):
        append_said(folder, Said(unit=f"{SITE}/{n}", explainer="search", verdict="confirm", browser=f"b{n % 3}"))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("served")
    moving = make_store(root / "moving", units_of=5)
    explained(moving, 1, "the first label", second=1)
    moving.close()
    return {"planted": _planted(root / "planted"), "many": _many(root / "many"), "moving": root / "moving"}


@pytest.fixture(scope="module")
def address(folders: dict[str, Path]) -> Iterator[str]:
    with serving(list(folders.values())) as found:
        yield found


def test_progress_comes_by_itself(browser: Browser, address: str, folders: dict[str, Path]) -> None:
    from maieutic.store import Store

    with looking(browser, address) as (page, _):
        page.goto("/runs/moving/live")
        expect(page.get_by_text("the first label")).to_be_visible()
        page.evaluate("() => { window.kept = 1; }")
        with Store.open(folders["moving"], write=True) as store:
            explained(store, 2, "the second label", second=9)
        expect(page.get_by_text("the second label")).to_be_visible(timeout=40_000)
        expect(page.get_by_role("status")).to_contain_text("2 of 5 units explained by search")
        assert page.evaluate("() => window.kept") == 1  # the page was not loaded anew


def test_progress_works_without_a_script(browser: Browser, address: str) -> None:
    with looking(browser, address, java_script_enabled=False) as (page, _):
        page.goto("/runs/moving/live")
        assert page.locator('meta[http-equiv="refresh"]').count() == 1
        expect(page.get_by_text("the first label")).to_be_visible()


@pytest.mark.parametrize("script", [True, False])
def test_a_label_is_corrected_and_seen(browser: Browser, address: str, folders: dict[str, Path], script: bool) -> None:
    with looking(browser, address, java_script_enabled=script) as (page, _):
        page.goto(f"/runs/moving/unit/{SITE}/0")
        form = page.locator("form.say")
        form.get_by_label("a better label", exact=False).first.check()
        form.get_by_label("A better label (where").fill(f"years, script {script}")
        form.get_by_label("Your name").fill("Ada")
        form.get_by_role("button", name="Say it").click()
        page.wait_for_url("**#people")
        expect(page.locator("#people").get_by_text(f"years, script {script}")).to_be_visible()
        page.goto("/runs/moving/people")
        expect(page.get_by_text(f"years, script {script}")).to_be_visible()
    assert read_said(folders["moving"]).said[-1].text == f"years, script {script}"


def test_labelling_blind_hides_the_machine_and_then_shows_it(browser: Browser, address: str) -> None:
    with looking(browser, address) as (page, _):
        page.goto("/runs/moving/blind")
        assert "the first label" not in page.content() and "the second label" not in page.content()
        page.get_by_label("Your label").fill("what I see")
        page.get_by_role("button", name="Keep it").click()
        page.wait_for_url("**/unit/**")
        expect(page.get_by_text("what I see")).to_be_visible()
        assert " label" in page.locator("h1").inner_text()


def test_from_the_overview_to_units_and_on_by_keys(browser: Browser, address: str) -> None:
    with looking(browser, address) as (page, _):
        page.goto("/runs/many/")
        page.get_by_role("navigation").get_by_role("link", name="Units", exact=True).first.click()
        page.get_by_label("Words").fill("of sort 13")
        page.get_by_role("button", name="Show").click()
        # labels are "things of sort N" with N = unit modulo 97; units 1 to 10,000 have 13 at 13, 110, ... 9,907: 103 of them
        expect(page.get_by_role("status")).to_contain_text("103 units")
        page.locator("table.units tbody th a").first.click()
        page.wait_for_url("**/unit/**")  # and until its scripts have run: a key pressed before is nobody's
        expect(page.get_by_role("heading", level=1)).to_have_text("things of sort 13")
        first = page.url
        page.keyboard.press("j")
        page.wait_for_url(lambda url: "/unit/" in url and url != first)
        expect(page.get_by_role("heading", level=1)).to_have_text("things of sort 13")
        page.keyboard.press("k")
        page.wait_for_url(first)
        page.keyboard.press("u")
        page.wait_for_url("**/units?q=*")
        page.keyboard.press("/")
        expect(page.get_by_label("Words")).to_be_focused()


def test_comparing_leads_to_units(browser: Browser, address: str) -> None:
    with looking(browser, address, viewport={"width": 1280, "height": 900}) as (page, _):
        page.goto("/runs/many/compare?a=search&b=other")
        expect(page.locator("svg .square").first).to_be_visible()
        page.get_by_role("link", name="A better, most first").click()
        expect(page.get_by_text("No unit.")).to_be_visible()  # the other is better everywhere
        page.get_by_role("link", name="B better, most first").click()
        page.get_by_role("link", name="after →").click()
        expect(page.get_by_text("page 2 of")).to_be_visible()
        page.locator("table.pairs th a").first.click()
        page.wait_for_url("**/unit/**")


def test_a_page_of_a_file_is_shown_dead(browser: Browser, address: str) -> None:
    with looking(browser, address) as (page, seen):
        # the browser says that it blocked what is planted: that is the proof, not a fault
        seen.allowed = ("Content Security Policy", "sandboxed", "Blocked script", "Refused", "violates")
        page.goto("/runs/planted/files")
        page.locator("a[href$='/show/card.json']").click()
        page.get_by_role("link", name="Open the page").click()
        expect(page.locator("h1")).to_have_text("card")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_planted_strings_do_nothing_and_pages_can_be_used_by_all(
    browser: Browser, address: str, width: int, dark: bool
) -> None:
    more = {"viewport": {"width": width, "height": 900}, "color_scheme": "dark" if dark else "light"}
    with looking(browser, address, **more) as (page, _):
        for run in ("planted", "moving"):
            for name in PAGES:
                page.goto(f"/runs/{run}/{name}")
                assert page.evaluate(CHECKS) == [], f"/runs/{run}/{name}"
        for one in ("card.json", "answers/a.answer.json"):
            page.goto(f"/runs/planted/files/show/{one}")
            assert page.evaluate(CHECKS) == [], one


def test_pages_of_ten_thousand_units_come_within_a_second(browser: Browser, address: str) -> None:
    with looking(browser, address) as (page, _):
        for name in ("", "units", "live", "people", "compare?a=search&b=other", "blind", f"unit/{SITE}/77"):
            took = []
            for _ in range(3):  # the first fills what is kept; a busy machine is no fault of the page
                page.goto(f"/runs/many/{name}", wait_until="load")
                took.append(page.evaluate("() => performance.getEntriesByType('navigation')[0].loadEventEnd"))
            assert min(took) < 1000, f"{name}: {took}"
