"""Screenshots of the local web app over real runs, small enough to keep in the repository, and a page that shows them.

    python scripts/gallery.py runs/one runs/other dossier-folder --out docs/gallery

Every page is taken from what the folders hold; a page that a folder has nothing for is left out. Needs the extras ``view`` and
``dev`` (Playwright with the system's Chromium, pillow). The page beside the folder (``docs/gallery.md``) is written anew.
"""

from __future__ import annotations

import argparse
import io
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from maieutic.view.opening import Opened, Viewed

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
WIDE, TALL, NARROW = (1280, 860), (1280, 1800), (390, 844)
#: bytes that a picture may have
MOST = 150_000
#: seconds that a model may take to load, so that a unit's evidence is there
PATIENCE = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """A picture of a page.

    Attributes:
        name: of the file. title, caption, alt: on the gallery's page.
        address: on the server.
        size: of the window. dark: colours. wait: for what, before it is taken; ``below``: scroll to that.
    """

    name: str
    title: str
    caption: str
    alt: str
    address: str
    size: tuple[int, int] = WIDE
    dark: bool = False
    wait: str = "main"
    below: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the pictures and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="run folders, and folders of dossiers, cards, studies")
    parser.add_argument("--out", type=Path, default=Path("docs/gallery"), help="folder of the pictures")
    given = parser.parse_args(arguments)
    chromium = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
    if chromium is None:
        print("no chromium: run  apt-get install chromium", file=sys.stderr)
        return 1
    from playwright.sync_api import sync_playwright

    with serving(given.folders) as (address, viewed), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        taken = [s for s in shots(viewed) if take(browser, address, s, given.out)]
        browser.close()
    page = given.out.with_suffix(".md")
    page.write_text(gallery(taken, given.out.name), encoding="utf-8")
    print(f"{len(taken)} pictures, {page}")
    return 0


@contextmanager
def serving(folders: Sequence[Path]) -> Iterator[tuple[str, Viewed]]:
    """The app over the folders on a free port."""
    import torch
    import uvicorn

    from maieutic.view import create_app

    torch.set_num_threads(1)
    app = create_app(folders, writable=True)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    viewed: Viewed = app.state.viewed
    for opened in viewed.runs.values():
        opened.run(wait=PATIENCE)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", viewed
    finally:
        server.should_exit = True
        thread.join(timeout=10)


def shots(viewed: Viewed) -> Iterator[Shot]:
    """What is photographed, in the order of the page."""
    for number, opened in enumerate(viewed.runs.values()):
        yield from of_run(opened, first=number == 0, several=len(viewed.runs) > 1)
    yield from of_files(viewed)


def of_run(opened: Opened, *, first: bool, several: bool) -> Iterator[Shot]:
    """Pages of a run; of the second and further ones the unit's page alone."""
    records = opened.records()
    row = records.harvest
    subject, kind = row["subject"], row["modality"]
    unit = best_unit(opened)
    at = f"unit-{kind}"
    if first:
        yield Shot(
            name="overview", title="A run at a glance", address=f"{opened.url}/", size=TALL,
            caption=f"How many labels of {subject} beat every control, and their scores beside the controls’.",
            alt="Headline with the number of labels that beat every control, charts of score distributions with controls.",
        )  # fmt: skip
        yield Shot(
            name="units", title="All units", address=f"{opened.url}/units",
            caption="Searched by words or by meaning, filtered and sorted; with every control that a label beats.",
            alt="A table of units with labels, average precision with intervals, and ticks for each control beaten.",
        )  # fmt: skip
    if unit is not None:
        yield Shot(
            name=at, title=f"A unit of {'an image' if kind == 'image' else 'a language'} model", address=opened.unit_url(unit),
            caption="Its label, what the label predicts, and its scores beside controls.",
            alt="A unit’s page: label, predicate, and scores with intervals beside controls.",
        )  # fmt: skip
    if unit is not None and kind == "text":  # photographs are others', under licences of their own: none is shown
        yield Shot(
            name=f"{at}-exemplars", title="What it responds to", address=opened.unit_url(unit), size=TALL, below="#exemplars",
            wait="#exemplars", caption="Stimuli over the whole range of activation, with heat where the unit is active.",
            alt="Stimuli from the strongest to the weakest with their activations, and heat over the active parts.",
        )  # fmt: skip
        yield Shot(
            name=f"{at}-experiments", title="Every experiment", address=opened.unit_url(unit), below=".experiments",
            caption="What was tested, what was predicted before measuring, and what was measured.",
            alt="A table of experiments by hypothesis with predicted and measured activations.",
        )  # fmt: skip
    if first and unit is not None:
        yield Shot(
            name="phone-dark", title="On a phone, at night", address=opened.unit_url(unit), size=NARROW, dark=True,
            caption="The same page, narrow and dark.", alt="A unit’s page on a narrow dark screen.",
        )  # fmt: skip
        yield from of_work(opened, unit)


def of_work(opened: Opened, unit: str) -> Iterator[Shot]:
    """Comparisons, progress, people."""
    yield Shot(
        name="compare", title="Two explainers side by side", address=f"{opened.url}/compare", wait="table.pairs",
        caption="The same units under two explainers: whose labels score better, where they part most.",
        alt="A scatter chart of scores of two explainers, a table of means with controls, and units with both labels.",
    )  # fmt: skip
    yield Shot(
        name="progress", title="Progress", address=f"{opened.url}/live", wait="[data-live]",
        caption="What is done, failed and left, how fast, what was spent, and the latest labels; it keeps itself up to date.",
        alt="Bars of finished units for each step, figures of cost, and a list of the latest labels.",
    )  # fmt: skip
    yield Shot(
        name="people", title="People can disagree", address=opened.unit_url(unit), below="#people", wait="#people",
        caption="Confirm, correct or comment; kept apart from what machines wrote, and scored like it.",
        alt="A form under a unit: the label is right, a better label, the label is wrong, cannot tell, a comment.",
    )  # fmt: skip


def best_unit(opened: Opened) -> str | None:
    """The unit whose label has the best score."""
    columns = opened.index.of(opened.records().usual())
    scored = [(v, k) for v, k in zip(columns.numbers["ap"].tolist(), columns.keys, strict=True) if v == v]
    return max(scored)[1] if scored else None


#: of other files: what their page shows
_FILES = {
    "dossier": ("Why a model acted", "A dossier: the cause in the transcript, and the rungs of the evidence ladder."),
    "trust card": ("Is this interpreter to be trusted?", "A trust card: audits of an explainer with their power."),
    "study": ("A study of regularisation", "Arms beside each other, with claims written before."),
    "comparison": ("Two models side by side", "Interpretability of two runs, never without their controls."),
    "page": ("A page of another command", "Made by another command, and listed with the rest."),
}


def of_files(viewed: Viewed) -> Iterator[Shot]:
    """The first of each kind that has a page."""
    from maieutic.report.artifacts import find_artifacts
    from maieutic.report.links import quoted

    places = [(n, o.folder) for n, o in viewed.runs.items()] + list(viewed.shelves.items())
    done: set[str] = set()
    for name, folder in places:
        for found in find_artifacts(folder):
            if found.page is not None and found.kind not in done:
                done.add(found.kind)
                title, caption = _FILES[found.kind]
                address = f"/runs/{quoted(name)}/files/page/{quoted(found.id)}"
                slug = found.kind.replace(" ", "-")
                yield Shot(name=slug, title=title, caption=caption, alt=caption, address=address, wait="body")


def take(browser: Browser, address: str, shot: Shot, folder: Path) -> bool:
    """Take a picture; whether there was something to take."""
    width, height = shot.size
    context = browser.new_context(
        base_url=address, viewport={"width": width, "height": height}, color_scheme="dark" if shot.dark else "light",
        device_scale_factor=1, reduced_motion="reduce",
    )  # fmt: skip
    page = context.new_page()
    page.goto(shot.address, wait_until="load")
    there = _settled(page, shot)
    if there:
        write(page.screenshot(), folder / f"{shot.name}.png")
    else:
        print(f"left out: {shot.name} ({shot.address})", file=sys.stderr)
    context.close()
    return there


def _settled(page: Page, shot: Shot) -> bool:
    """Everything that the page asks for has come, and the part that is shown is there."""
    page.wait_for_load_state("networkidle")
    for wanted in (shot.wait, shot.below):
        if wanted and page.locator(wanted).count() == 0:
            return False
    if shot.below:
        page.locator(shot.below).first.evaluate(
            "e => e.closest('section, details')?.scrollIntoView() ?? e.scrollIntoView()"
        )
        page.wait_for_load_state("networkidle")
    return True


def write(data: bytes, file: Path) -> None:
    """A picture as PNG with as many colours as fit into `MOST` bytes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    tries: list[Callable[[], Image.Image]] = [
        lambda n=n: picture.quantize(n, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        for n in (256, 128, 64, 32)
    ]
    for make in tries:
        out = io.BytesIO()
        make().save(out, format="PNG", optimize=True)
        if out.tell() < MOST:
            break
    file.write_bytes(out.getvalue())


def gallery(taken: Sequence[Shot], folder: str) -> str:
    """The page."""
    parts = [
        "# Gallery",
        "What `maieutic view RUN` shows, on real runs. `python scripts/gallery.py RUN… --out docs/gallery` makes the pictures; "
        "[how to use the app](view.md). Pages of image units show the packaged photographs as well; these are left out here, as "
        "they belong to others.",
    ]
    for shot in taken:
        parts += [f"## {shot.title}", shot.caption, f"![{shot.alt}]({folder}/{shot.name}.png)"]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
