"""Small subjects that count their passes, and what the tests of banks compare with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

import maieutic as mt
from maieutic.stimuli.base import Stimulus
from maieutic.stimuli.texts import text_stimulus
from maieutic.subjects.base import Subject, Unit, Values

WORDS = ["the", "cat", "dog", "sat", "on", "mat", "river", "moon"]


def encode(text: str) -> list[tuple[int, int, int]]:
    """A token a character."""
    return [(ord(c) % 32, i, i + 1) for i, c in enumerate(text)]


class Layers(nn.Module):
    """Embeddings, two linear maps and a readout with random weights, wide enough for sums to round."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embed = nn.Embedding(32, 24)
        self.low = nn.Linear(24, 33)
        self.high = nn.Linear(33, 17)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.high(torch.tanh(self.low(self.embed(ids))))


class Eyes(nn.Module):
    """Two convolutions with random weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 19, 3)
        self.second = nn.Conv2d(19, 23, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(x))).mean((2, 3))


class Watched(Subject):
    """A real subject whose passes are counted and can be made to fail; ``before`` is called with what is shown."""

    def __init__(self, inner: Subject, before: Callable[[list[str]], None] = lambda shown: None) -> None:
        self.inner, self.before = inner, before
        self.name, self.modality, self.batch_size = inner.name, inner.modality, inner.batch_size
        self.passes: list[list[str]] = []

    def forward(self, stimuli: Any, sites: Any, **more: Any) -> Any:
        shown = [str(s.content) for s in stimuli]
        self.passes.append(shown)
        self.before(shown)
        return self.inner.forward(stimuli, sites, **more)

    def sites(self) -> Any:
        return self.inner.sites()

    @property
    def fingerprint(self) -> str:
        return self.inner.fingerprint

    def tokens(self, text: str) -> Any:
        return self.inner.tokens(text)

    def outputs(self, stimuli: Any, **more: Any) -> Any:
        return self.inner.outputs(stimuli, **more)

    def untrained(self, seed: int = 0) -> Subject:
        return self.inner.untrained(seed)


def text_subject(seed: int = 0) -> Subject:
    sites = {"low": "low", "high": "high"}
    return mt.module_subject(Layers(seed), tokenizer=encode, name="layers", sites=sites)


def image_subject() -> Subject:
    def prepare(image: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.asarray(image, dtype=np.float32) / 255).permute(2, 0, 1)

    return mt.module_subject(Eyes(), prepare, name="eyes", sites={"first": "first", "second": "second"})


def said(*texts: str) -> list[Stimulus]:
    return [text_stimulus(t) for t in texts]


def units_of(subject: Subject, seed: int = 0) -> list[Unit]:
    """Both tails of neurons of every site, and directions with offsets of either sign."""
    rng, found = np.random.default_rng(seed), list[Unit]()
    for site in subject.sites():
        assert site.width is not None
        found += [
            Unit(site=site.name, index=int(i), sign=sign) for i in rng.integers(0, site.width, 2) for sign in (1, -1)
        ]
        vector = rng.standard_normal(site.width).astype(np.float32)
        way = subject.direction(site.name, vector, "way", offset=float(rng.standard_normal()))
        found += [way, Unit(site=site.name, vector=vector, name="back", offset=0.3, sign=-1)]
    return found


def alone(subject: Subject, stimuli: Sequence[Stimulus], units: Sequence[Unit]) -> list[Values]:
    return [subject.read([s], units)[0] for s in stimuli]


def same(found: Sequence[Values], wanted: Sequence[Values]) -> bool:
    """To the bit, zeros with their signs too."""
    return all(
        f.dtype == w.dtype == np.float32 and f.shape == w.shape and f.tobytes() == w.tobytes()
        for f, w in zip(found, wanted, strict=True)
    )


TEXT, IMAGE = text_subject(), image_subject()
