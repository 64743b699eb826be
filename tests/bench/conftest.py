"""Small invented corpora to plant in: documents with a bound pair of words, pictures with annotated things."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from maieutic.stimuli.base import Corpus, Stimulus, Thing, split_of

WORDS = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnrst"]  # 150 invented words
NAMES = ("cat", "dog", "cup", "car", "oak", "sun", "key", "hat", "pie")
KINDS = {f"{k}{i}": (f"{k}{i}", k) for k in NAMES for i in range(4)}


def text_corpus(documents: int = 400, length: int = 70, seed: int = 0) -> Corpus:
    """After ``tied`` comes ``knot``, nine times in ten; other words are drawn alone."""
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(3, len(WORDS) + 3)
    rows: list[str] = []
    for _ in range(documents):
        words = rng.choice(WORDS, size=length, p=share / share.sum()).tolist()
        if rng.random() < 0.4:
            at = int(rng.integers(length - 2))
            words[at] = "tied"
            words[at + 1] = "knot" if rng.random() < 0.9 else words[at + 1]
        rows.append(" ".join(words) + ".")
    stimuli = [
        Stimulus(id=f"{i:03d}", modality="text", load=lambda t=t: t, group=f"doc{i}", split=split_of(f"doc{i}"))
        for i, t in enumerate(rows)
    ]
    return Corpus(name="invented", modality="text", stimuli=stimuli)


def image_corpus(n: int = 700, seed: int = 0) -> Corpus:
    """Pictures of one to three things, left and right, on grounds of many colours."""
    rng = np.random.default_rng(seed)
    stimuli: list[Stimulus] = []
    for i in range(n):
        names = rng.choice(sorted(KINDS), size=int(rng.integers(1, 4)), replace=False)
        things = []
        for name in names:
            x, y, w = float(rng.uniform(0, 0.6)), float(rng.uniform(0, 0.6)), float(rng.uniform(0.1, 0.4))
            things.append(Thing(name=str(name), concepts=KINDS[str(name)], box=(x, y, x + w, y + w)))
        picture = Image.new("RGB", (32, 32), tuple(int(v) for v in rng.integers(0, 256, 3)))
        picture.paste(tuple(int(v) for v in rng.integers(0, 256, 3)), (0, 0, 16, 32))
        stimuli.append(
            Stimulus(
                id=f"{i:03d}",
                modality="image",
                load=lambda p=picture: p,
                group=f"p{i}",
                split=split_of(f"p{i}"),
                things=tuple(things),
            )  # fmt: skip
        )
    return Corpus(name="invented", modality="image", stimuli=stimuli)


@pytest.fixture(scope="session")
def corpora() -> dict[str, Corpus]:
    return {"text": text_corpus(), "image": image_corpus()}


@pytest.fixture(scope="session")
def make_text() -> Callable[..., Corpus]:
    return text_corpus
