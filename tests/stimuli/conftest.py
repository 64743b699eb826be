"""A small picture library made here, a small WordNet written here, and the rule for tests on the real packages."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maieutic.stimuli.library import Library, Picture
from maieutic.stimuli.packages import PACKAGES, locate


@pytest.fixture
def packaged_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """The data packages, from the cache only; skips (or fails where they are demanded) when one is not there."""
    monkeypatch.setenv("MAIEUTIC_OFFLINE", "1")
    missing = [p.name for p in PACKAGES if locate(p) is None]
    if missing:
        line = f"not fetched: {', '.join(missing)}; run  maieutic fetch"
        demanded = (
            os.environ.get("CI", "").lower() in ("1", "true") or os.environ.get("MAIEUTIC_REQUIRE_PACKAGED") == "1"
        )
        (pytest.fail if demanded else pytest.skip)(line)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("MAIEUTIC_CACHE", str(folder))
    monkeypatch.delenv("MAIEUTIC_OFFLINE", raising=False)
    return folder


def picture(key: str, *, concepts: tuple[str, ...], size: tuple[int, int], group: str | None = None) -> Picture:
    kind, _, name = key.partition(":")
    folders = tuple(name.split("/")[:-1])
    return Picture(
        key=key,
        kind=kind,  # pyright: ignore[reportArgumentType]
        name=concepts[0],
        concepts=concepts,
        folders=folders,
        group=group or key,
        source="made here",
        file=f"{kind}-{name.replace('/', '-')}.png",
        size=size,
        hash=key,
    )


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Opaque one-colour stamps (so that every pixel of a scene can be worked out), a striped texture, a grey photo.

    square: red, 80 x 80. bar: blue, 100 wide and 50 high. half: green, left half opaque, right half transparent.
    Further named stamps fill the three splits.
    """
    folder = tmp_path_factory.mktemp("library")
    images: dict[str, Image.Image] = {
        "stamp:shapes/square": Image.new("RGBA", (80, 80), (255, 0, 0, 255)),
        "stamp:shapes/bar": Image.new("RGBA", (100, 50), (0, 0, 255, 255)),
    }
    half = np.zeros((80, 80, 4), dtype=np.uint8)
    half[:, :40] = (0, 160, 0, 255)
    images["stamp:shapes/half"] = Image.fromarray(half)
    stripes = np.zeros((16, 16, 3), dtype=np.uint8)
    stripes[:, :8] = 255
    images["texture:made/stripes"] = Image.fromarray(stripes)
    images["photo:town/view"] = Image.new("RGB", (200, 120), (90, 90, 90))
    concepts = {
        "stamp:shapes/square": ("red square", "square", "rectangle", "shape"),
        "stamp:shapes/bar": ("blue bar", "bar", "rectangle", "shape"),
        "stamp:shapes/half": ("green half", "shape"),
        "texture:made/stripes": ("stripes", "texture"),
        "photo:town/view": ("view", "landscape"),
    }
    for i in range(24):
        key = f"stamp:animals/animal{i}"
        shade = 10 * i
        images[key] = Image.new("RGBA", (60 + i, 60), (shade, 255 - shade, 128, 255))
        concepts[key] = (f"animal{i}", "bird" if i % 2 else "mammal", "animal")
    for key, image in images.items():
        image.save(folder / f"{key.replace(':', '-').replace('/', '-')}.png")
    pictures = {k: picture(k, concepts=concepts[k], size=images[k].size) for k in sorted(images)}
    return Library(folder=folder, pictures=pictures, attribution={"made here": "made here"}, fingerprint="test")


WORDNET_NOUNS = """\
entity 0 - | that which exists
organism 0 entity | a living thing
animal 0 organism | a living organism that can move
bird 0 animal | has feathers
mammal 0 animal | has hair
seal 1 mammal | a marine mammal
owl 0 bird | a bird of prey
artifact 6 entity | a made thing
seal 0 artifact | a stamp
goose 0 bird | a water bird
"""


@pytest.fixture(scope="session")
def wordnet_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """WordNet's file format around ten nouns and two verbs of our own; ``seal`` has the stamp as its first sense."""
    folder = tmp_path_factory.mktemp("wordnet")
    categories = {"animal": 5, "bird": 5, "mammal": 5, "seal1": 5, "owl": 5, "goose": 5, "artifact": 6, "seal0": 6}
    names: list[tuple[str, str, str, str]] = []
    for line in WORDNET_NOUNS.splitlines():
        head, _, gloss = line.partition(" | ")
        lemma, number, parent = head.split()
        names.append((lemma + (number if lemma == "seal" else ""), lemma, parent, gloss))
    offsets: dict[str, int] = {}
    # every line has the same length whatever the offsets are, so places can be worked out first
    position = len("  1 a notice\n")
    lines: list[str] = []
    for name, lemma, parent, gloss in names:
        offsets[name] = position
        pointers = "000" if parent == "-" else "001 @ {:08d} n 0000"
        category = categories.get(name, 3)
        line = f"{position:08d} {category:02d} n 01 {lemma} 0 {pointers} | {gloss}  \n"
        lines.append(line)
        position += len(line.format(0) if "{" in line else line)
    data = "  1 a notice\n" + "".join(
        line.format(offsets[parent]) if "{" in line else line
        for line, (_, _, parent, _) in zip(lines, names, strict=True)
    )
    (folder / "data.noun").write_text(data, encoding="utf-8")
    index: dict[str, list[int]] = {}
    for name in ("seal0", "seal1", *(n for n, *_ in names if not n.startswith("seal"))):
        index.setdefault(name.rstrip("01"), []).append(offsets[name])
    rows = [f"{w} n {len(o)} 1 @ {len(o)} 0 {' '.join(f'{x:08d}' for x in o)}  \n" for w, o in sorted(index.items())]
    (folder / "index.noun").write_text("  1 a notice\n" + "".join(rows), encoding="utf-8")
    run = "00000013 38 v 02 run 0 race 0 000 01 + 02 00 | move fast  \n"
    (folder / "data.verb").write_text("  1 a notice\n" + run, encoding="utf-8")
    (folder / "index.verb").write_text("  1 a notice\nrun v 1 0 1 1 00000013  \n", encoding="utf-8")
    for part in ("adj", "adv"):
        (folder / f"data.{part}").write_text("  1 a notice\n", encoding="utf-8")
        (folder / f"index.{part}").write_text("  1 a notice\n", encoding="utf-8")
    (folder / "noun.exc").write_text("geese goose\n", encoding="utf-8")
    (folder / "verb.exc").write_text("ran run\n", encoding="utf-8")
    # the animal is tagged five times, the stamp once
    (folder / "cntlist.rev").write_text("seal%1:05:00:: 2 5\nseal%1:06:00:: 1 1\n", encoding="utf-8")
    return folder
