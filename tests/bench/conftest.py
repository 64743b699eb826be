"""Small invented corpora to plant in: documents with bound pairs of words, pictures with annotated things."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from maieutic.bench.bindings import bound
from maieutic.stimuli.base import Corpus, Stimulus, Thing, split_of

WORDS = [f"{a}{b}{c}{d}" for a in "bdfgk" for b in "aeiou" for c in "lmnrst" for d in "aeo"]  # 450 invented words
NAMES = ("cat", "dog", "cup", "car", "oak", "sun", "key", "hat", "pie")
KINDS = {f"{k}{i}": (f"{k}{i}", k) for k in NAMES for i in range(4)}


def text_corpus(documents: int = 300, seed: int = 0) -> Corpus:
    """Sentences of invented words with topics, numbers, marks and brackets; every third document is lines of code."""
    rng = np.random.default_rng(seed)
    share = np.arange(4, len(WORDS) + 4) ** -1.3
    topics = [rng.permutation(len(WORDS)) for _ in range(3)]
    rows: list[str] = []
    for number in range(documents):
        order = topics[int(rng.integers(len(topics)))]
        words = [WORDS[order[i]] for i in rng.choice(len(WORDS), size=60, p=share / share.sum())]
        rows.append(_code(words, rng) if number % 3 == 2 else _prose(words, rng))
    stimuli = [
        Stimulus(id=f"{i:03d}", modality="text", load=lambda t=t: t, group=f"doc{i}", split=split_of(f"doc{i}"))
        for i, t in enumerate(rows)
    ]
    return Corpus(
        name="invented",
        modality="text",
        stimuli=bound(Corpus(name="plain", modality="text", stimuli=stimuli), 8, seed=seed).stimuli,
    )


def _prose(words: list[str], rng: np.random.Generator) -> str:
    pieces: list[str] = []
    start = True
    for word in words:
        pieces.append(word.capitalize() if start else word)
        start = rng.random() < 0.1
        draw = float(rng.random())
        if start:
            pieces[-1] += "."
        elif draw < 0.12:
            pieces[-1] += ","
        elif draw < 0.18:
            pieces[-1] += f" {int(rng.integers(1, 3000))}"
        elif draw < 0.22:
            pieces[-1] = f"({pieces[-1]})" if rng.random() < 0.5 else f"({pieces[-1]} {words[0]})"
    return " ".join(pieces) + "."


def _code(words: list[str], rng: np.random.Generator) -> str:
    lines: list[str] = []
    for i in range(0, len(words) - 6, 6):
        a, b, c, d, e, f = words[i : i + 6]
        lines.append(f"def {a}({b}, {c}):")
        lines.append(f"    {d} = {b}[{int(rng.integers(100))}]  # {e}")
        lines.append(f"        return {f}" if rng.random() < 0.5 else f"    return {d}")
    return "\n".join(lines)


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
