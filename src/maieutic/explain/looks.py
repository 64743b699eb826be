"""Visual features of a corpus' pictures, kept in the user cache: a process that starts reads them instead of all pictures.

A file belongs to the pictures, what is annotated on them (features of "the object" depend on it) and the code that
computes; a change of any makes another file. It is a convenience: where it cannot be read or written, nothing is lost
but time. What this module does not do: compute features.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UserError
from maieutic.explain.predicates.image_pixels import NAMES
from maieutic.stimuli.base import Corpus
from maieutic.stimuli.packages import cache_dir
from maieutic.store import read_tensors, write_tensors

Rows = Mapping[str, NDArray[np.float32]]
#: fewer new pictures are not worth a file; files kept, about 1.3 MB each for 1,400 pictures
LEAST, _FILES = 200, 8
#: modules, beside the library of pictures, that decide a picture's features
_CODE = (
    "explain/predicates/image_pixels.py",
    "explain/views_image.py",
    "stimuli/describe_colours.py",
    "stimuli/scenes.py",
)


def file_of(corpus: Corpus) -> Path:
    """Where the features of these very pictures, with these annotations, are kept."""
    digest = hashlib.sha256(_code())
    for s in corpus.stimuli:
        digest.update(f"{s.id}\t{s.things!r}\t{s.scene!r}\n".encode())
    return cache_dir() / "looks" / f"{digest.hexdigest()[:24]}.safetensors"


def load_looks(corpus: Corpus) -> dict[str, NDArray[np.float32]]:
    """Features ``[feature]`` of the corpus' pictures by id, as far as they were kept."""
    file = file_of(corpus)
    if not file.is_file():
        return {}
    try:
        arrays, note = read_tensors(file)
        rows, ids = arrays["rows"], note["ids"]
    except (UserError, KeyError):
        return {}
    return dict(zip(ids, rows, strict=True)) if rows.shape == (len(ids), len(NAMES)) else {}


def save_looks(corpus: Corpus, rows: Rows) -> None:
    """Keep what is known of the corpus' pictures."""
    ids = [s.id for s in corpus.stimuli if s.id in rows]
    file = file_of(corpus)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(file, {"rows": np.stack([rows[i] for i in ids])}, note={"ids": ids})
        old = sorted(file.parent.glob("*.safetensors"), key=lambda f: f.stat().st_mtime, reverse=True)[_FILES:]
        for other in old:
            other.unlink(missing_ok=True)
    except (OSError, UserError):
        return  # a full or read-only disk: the next process computes them again


@lru_cache(maxsize=1)
def _code() -> bytes:
    root = Path(__file__).parent.parent
    return b"".join((root / name).read_bytes() for name in _CODE)
