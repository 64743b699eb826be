"""Networks that learned nothing get no confident labels; a unit that does mean something gets one, so the test is not empty.

Units of an untrained network do answer to something (a random embedding to some words, a random convolution to brightness), and
labels that say so are true as far as they go. What they must not be is confident: long lists and vague tones.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn

import maieutic as mt
from maieutic.explain import Explanation
from maieutic.stimuli.base import Corpus
from maieutic.subjects.vision import scaled

CONFIDENT = 0.8
WORDS = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnrst"]  # 150 invented words


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def texts() -> Corpus:
    rng = np.random.default_rng(0)
    share = 1 / np.arange(3, len(WORDS) + 3)
    rows = [" ".join(rng.choice(WORDS, size=60, p=share / share.sum())) + "." for _ in range(120)]
    return Corpus.from_texts(rows)


@pytest.fixture(scope="module")
def pictures() -> Corpus:
    """Discs and boxes of any colour on grounds of any colour."""
    rng = np.random.default_rng(0)
    images: list[Image.Image] = []
    tags: list[str] = []
    for i in range(240):
        ground, colour = (tuple(int(v) for v in rng.integers(0, 256, 3)) for _ in range(2))
        picture = Image.new("RGB", (32, 32), ground)
        x, y, w = (int(v) for v in (*rng.integers(0, 16, 2), rng.integers(6, 16)))
        draw = ImageDraw.Draw(picture)
        (draw.ellipse if i % 2 else draw.rectangle)((x, y, x + w, y + w), fill=colour)
        images.append(picture)
        tags.append("disc" if i % 2 else "box")
    return Corpus.from_images(images, tags=tags)


class LanguageModel(nn.Module):
    """Words, a recurrent layer, a hidden layer and its non-linearity, words."""

    def __init__(self, words: int, width: int = 24) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.mix = nn.GRU(width, width, batch_first=True)
        self.up, self.act, self.out = nn.Linear(width, 32), nn.GELU(), nn.Linear(32, words)

    def forward(self, ids: Tensor) -> Tensor:
        return self.out(self.act(self.up(self.mix(self.embed(ids))[0])))


def encode(text: str) -> list[tuple[int, int, int]]:
    """Known words by number; anything else is one unknown word."""
    number = {w: i + 1 for i, w in enumerate(WORDS)}
    return [(number.get(m.group().lower(), 0), m.start(), m.end()) for m in re.finditer(r"\w+|[^\w\s]", text)]


def explained(subject: mt.Subject, site: str, units: int, corpus: Corpus) -> list[Explanation]:
    chosen = [subject.unit(site, i) for i in range(units)]
    atlas = mt.harvest(subject, corpus, [site], keep=chosen)
    return [mt.explain(mt.Lab(subject, u, atlas), budget=mt.Budget(measurements=60)) for u in chosen]


def confident(found: list[Explanation]) -> list[str]:
    return [f"{e.label} ({e.confidence})" for e in found if not e.abstained and e.confidence > CONFIDENT]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_units_of_a_random_language_model_get_no_confident_label(seed: int, texts: Corpus) -> None:
    torch.manual_seed(seed)
    subject = mt.module_subject(LanguageModel(len(WORDS) + 1), tokenizer=encode, name=f"random-lm-{seed}")
    assert confident(explained(subject, "act", 5, texts)) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_units_of_a_random_convolution_get_no_confident_label(seed: int, pictures: Corpus) -> None:
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, 12, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(12, 24, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(24, 5),
    )  # fmt: skip
    subject = mt.module_subject(network, scaled(32), name=f"random-conv-{seed}")
    assert confident(explained(subject, "4", 5, pictures)) == []


def test_a_unit_that_means_something_gets_a_confident_label(texts: Corpus) -> None:
    target = ("bel", "fim")
    subject = mt.function_subject(
        lambda batch: [[float(w in target) for w in re.findall(r"\w+|[^\w\s]", t)] for t in batch], name="two words"
    )
    (found,) = explained(subject, "output", 1, texts)
    assert not found.abstained
    assert found.confidence > CONFIDENT
    assert all(w in found.label for w in target)


def test_pure_noise_is_left_unexplained(texts: Corpus) -> None:
    """A value drawn from a text's own characters, with no rule a reader could find."""

    def noise(batch: list[str]) -> list[list[float]]:
        rows: list[list[float]] = []
        for text in batch:
            rng = np.random.default_rng(sum(ord(c) * (i + 1) for i, c in enumerate(text)))
            rows.append(rng.normal(size=len(re.findall(r"\w+|[^\w\s]", text))).tolist())
        return rows

    (found,) = explained(mt.function_subject(noise, name="noise"), "output", 1, texts)
    assert found.abstained
    assert found.reason
