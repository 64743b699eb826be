"""Natural text with exact labels: the source of the running Python's own standard library.

Nothing is downloaded and nothing is copied: files are read where Python is installed, so the text differs between versions of
Python; ``fingerprint`` says which it was. Tests, tables of encodings, packages installed beside it and files that are not ASCII
are left out.

What this module does not do: ask for facts; editing and alignment need `facts`.
"""

from __future__ import annotations

import sysconfig
import tokenize
from pathlib import Path

from maieutic.studies.regularization.documents import Ids
from maieutic.studies.regularization.source_labels import NAMES, label_source
from maieutic.studies.regularization.source_windows import WindowsCorpus, ascii_files

_LEFT_OUT = frozenset(
    {
        "test",
        "tests",
        "idle_test",
        "site-packages",
        "dist-packages",
        "__pycache__",
        "lib2to3",
        "turtledemo",
        "encodings",
    }
)


class SourceCorpus(WindowsCorpus):
    """The standard library as documents of a byte-pair tokenizer.

    Args:
        context: tokens that a model reads. vocabulary: tokens. seed: of the order of files.
        root: where to read; the running Python's library by default.

    Raises:
        UserError: this Python came without the source of its library.
    """

    name = "source"

    def __init__(self, *, context: int = 32, vocabulary: int = 512, seed: int = 0, root: Path | None = None) -> None:
        place = root or Path(sysconfig.get_paths()["stdlib"])
        super().__init__(
            place,
            ascii_files(place, "*.py", left_out=_LEFT_OUT),
            label=_labelled,
            names=NAMES,
            context=context,
            vocabulary=vocabulary,
            seed=seed,
            one_in=4,
            per_file=12,
        )


def _labelled(text: str) -> dict[str, Ids] | None:
    try:
        return label_source(text)
    except (SyntaxError, tokenize.TokenError):
        return None
