"""Two small worlds whose values are worked out by hand, and the prelude run in this process over a strict wire.

Tests here may import ``banking``.
"""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import maieutic as mt
from maieutic.lab import prelude
from maieutic.lab.workbench import Workbench
from maieutic.stimuli.base import Stimulus
from maieutic.stimuli.making import Tools, made_picture
from maieutic.stimuli.texts import text_stimulus

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.append(HERE)


def crossed(value: Any) -> Any:
    """A value after the wire: plain data and pictures by value, nothing else."""
    if isinstance(value, Image.Image):
        data = BytesIO()
        value.save(data, format="PNG")
        return Image.open(BytesIO(data.getvalue())).copy()
    if isinstance(value, dict):
        assert all(isinstance(k, str) for k in value), value
        return {k: crossed(v) for k, v in value.items()}
    if type(value) is list:
        return [crossed(v) for v in value]
    assert type(value) in (str, int, float, bool, type(None)), type(value)
    return json.loads(json.dumps(value))


def inside(bench: Workbench) -> SimpleNamespace:
    """``lab`` and ``P`` as a program in the jail has them."""
    calls = bench.calls()

    def call(name: str, *args: Any, **kwargs: Any) -> Any:
        sent = [crossed(a) for a in args], {k: crossed(v) for k, v in kwargs.items()}
        return crossed(calls[name](*sent[0], **sent[1]))

    names = runpy.run_path(prelude.__file__, init_globals={"call": call})
    return SimpleNamespace(lab=names["lab"], P=names["P"], call=call)


@dataclass(frozen=True)
class Words:
    """Writes the instruction itself, numbered by the seed; remembers the seeds it was given."""

    seeds: list[int]
    name: str = "words"

    def __call__(self, instruction: str, *, n: int = 1, seed: int = 0) -> list[Stimulus]:
        self.seeds.append(seed)
        return [text_stimulus(f"{instruction} {seed} {i}") for i in range(n)]


@dataclass(frozen=True)
class Painter:
    """``imagine("red")`` is a red picture; ``edit(x, "blue")`` paints it over; ``describe`` names the corner pixel."""

    name: str = "painter"

    def __call__(self, prompt: str, *, n: int = 1, seed: int = 0) -> list[Stimulus]:
        return [made_picture(Image.new("RGB", (8 + i, 8), prompt), made_by={"seed": seed}) for i in range(n)]

    def edit(self, stimulus: Stimulus, instruction: str, *, seed: int = 0) -> Stimulus:
        picture = Image.new("RGB", stimulus.content.size, instruction)
        return made_picture(picture, made_by={"seed": seed}, like=stimulus, understood=(f"painted {instruction}",))

    def describe(self, stimuli: Any) -> list[str]:
        return [str(s.content.getpixel((0, 0))) for s in stimuli]


def cats(texts: list[str]) -> list[list[float]]:
    """2 at every word ``cat``, 1 at ``dog``, else 0: one value a word."""
    return [[{"cat": 2.0, "dog": 1.0}.get(w, 0.0) for w in t.split()] for t in texts]


@dataclass(frozen=True)
class World:
    """A workbench, what its programs see, and its makers."""

    bench: Workbench
    lab: Any
    P: Any
    call: Callable[..., Any]
    words: Words

    def ledger(self, number: int = 0) -> list[Any]:
        return list(self.bench.labs.values())[number].ledger.entries


def _build(labs: list[mt.Lab], **more: Any) -> World:
    words, painter = Words(seeds=[]), Painter()
    tools = Tools(imagine=painter, edit=Tool(painter.edit), describe=Tool(painter.describe),
                  write=words)  # fmt: skip
    bench = Workbench(labs, tools=more.pop("tools", tools), **more)
    names = inside(bench)
    return World(bench, names.lab, names.P, names.call, words)


@dataclass(frozen=True)
class Tool:
    """A function as a named tool."""

    run: Callable[..., Any]
    name: str = "painter"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(*args, **kwargs)


@pytest.fixture
def text_lab(texts: list[str]) -> mt.Lab:
    """``cats`` on texts of sixteen words: zero is 0 (most words), one is 2."""
    subject = mt.function_subject(cats, modality="text", name="cats")
    corpus = mt.Corpus.from_texts(texts)
    atlas = mt.harvest(subject, corpus, sites=["output"])
    return mt.Lab(subject, subject.unit(), atlas, budget=mt.Budget(measurements=20))


@pytest.fixture
def text_world(text_lab: mt.Lab) -> World:
    return _build([text_lab], kinds={"word_in": "words=[...]: one of the words", "and": "parts=[...]: all of them"})


class Colours(nn.Module):
    """Channel i is the mean of colour i; logits are (4 red, 0): only red matters to what it says."""

    def __init__(self) -> None:
        super().__init__()
        self.units = nn.Conv2d(3, 3, 1, bias=False)
        self.units.weight.data = torch.eye(3)[:, :, None, None].clone()
        self.head = nn.Linear(3, 2, bias=False)
        self.head.weight.data = torch.tensor([[4.0, 0.0, 0.0], [0.0, 0.0, 0.0]])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.units(x).mean((2, 3)))


def pixels(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(image, dtype=np.float32) / 255).permute(2, 0, 1)


@pytest.fixture
def image_labs() -> list[mt.Lab]:
    """Red, green and blue of one network over sixty pictures of one noisy colour each."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, size=(60, 3))
    pictures = [
        Image.fromarray(np.clip(c + rng.integers(-40, 40, size=(12, 12, 3)), 0, 255).astype(np.uint8)) for c in colours
    ]
    subject = mt.module_subject(Colours(), pixels, name="colours", sites={"units": "units"})
    corpus = mt.Corpus.from_images(pictures)
    atlas = mt.harvest(subject, corpus, sites=["units"])
    return [mt.Lab(subject, subject.unit("units", i), atlas, budget=mt.Budget(measurements=20)) for i in range(3)]


@pytest.fixture
def image_world(image_labs: list[mt.Lab]) -> World:
    return _build(image_labs)


@pytest.fixture
def build() -> Callable[..., World]:
    """Makes a world of labs; keyword arguments go to the workbench."""
    return _build
