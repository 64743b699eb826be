"""How much a unit matters: moments and ablations worked out by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import maieutic as mt
from maieutic.errors import UserError
from maieutic.lab.effects import activation_mass, output_effect


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


def colours(seed: int = 0) -> tuple[mt.Subject, mt.Atlas]:
    """Pictures of one plain colour each: channel i reads colour i / 255; logits are (4 red, 0)."""
    rng = np.random.default_rng(seed)
    pictures = [Image.new("RGB", (4, 4), tuple(int(v) for v in rng.integers(0, 256, 3))) for _ in range(60)]
    subject = mt.module_subject(Colours(), pixels, name="colours", sites={"units": "units"})
    return subject, mt.harvest(subject, mt.Corpus.from_images(pictures), sites=["units"])


def shades(atlas: mt.Atlas, channel: int) -> list[float]:
    """What the channel reads on each discover picture: its colour."""
    return [s.content.getpixel((0, 0))[channel] / 255 for s in atlas.corpus.split("discover")]


def kl(a: float, b: float) -> float:
    """KL of softmax(a, 0) from softmax(b, 0), from the logistic function alone."""
    p, q = 1 / (1 + math.exp(-a)), 1 / (1 + math.exp(-b))
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


def test_mass_is_the_root_mean_square_over_discover() -> None:
    subject, atlas = colours()
    mass = activation_mass(atlas, [subject.unit("units", i) for i in range(3)])
    wanted = [math.sqrt(sum(v * v for v in shades(atlas, i)) / len(shades(atlas, i))) for i in range(3)]
    assert mass == pytest.approx(wanted, rel=1e-5)


def test_both_tails_of_a_neuron_have_one_mass_and_a_direction_has_that_of_its_reading() -> None:
    subject, atlas = colours()
    sum_of_two = subject.direction("units", [1.0, 1.0, 0.0], "red and green", offset=-0.5)
    both = [a + b - 0.5 for a, b in zip(shades(atlas, 0), shades(atlas, 1), strict=True)]
    up, down, mass = activation_mass(atlas, [subject.unit("units", 1), subject.unit("units", 1, sign=-1), sum_of_two])
    assert up == down
    assert mass == pytest.approx(math.sqrt(sum(v * v for v in both) / len(both)), rel=1e-5)


def test_the_effect_on_outputs_is_the_divergence_at_the_strongest_pictures() -> None:
    subject, atlas = colours()
    values = shades(atlas, 0)
    mean, top = sum(values) / len(values), sorted(values, reverse=True)[:4]
    red, green, blue = output_effect(subject, atlas, [subject.unit("units", i) for i in range(3)])
    assert red == pytest.approx(sum(kl(4 * v, 4 * mean) for v in top) / 4, rel=1e-4)
    assert red > 0.01
    # the outputs do not look at green and blue
    assert (green, blue) == pytest.approx((0.0, 0.0), abs=1e-12)


def test_the_lower_tail_is_ablated_where_it_is_strongest() -> None:
    subject, atlas = colours()
    values = shades(atlas, 0)
    mean, low = sum(values) / len(values), sorted(values)[:2]
    (found,) = output_effect(subject, atlas, [subject.unit("units", 0, sign=-1)], exemplars=2)
    assert found == pytest.approx(sum(kl(4 * v, 4 * mean) for v in low) / 2, rel=1e-4)


def test_a_direction_is_ablated_where_its_sample_is_strongest() -> None:
    subject, atlas = colours()
    values = shades(atlas, 0)
    mean, top = sum(values) / len(values), sorted(values, reverse=True)[:3]
    way = subject.direction("units", [2.0, 0.0, 0.0], "twice red", offset=0.25)
    (found,) = output_effect(subject, atlas, [way], exemplars=3)
    assert found == pytest.approx(sum(kl(4 * v, 4 * mean) for v in top) / 3, rel=1e-4)


class Letters(nn.Module):
    """One-hot over four letters, then logits (3 x letter 1, 0, 0): the next token depends on the last letter only."""

    def __init__(self) -> None:
        super().__init__()
        self.units = nn.Embedding(4, 4)
        self.units.weight.data = torch.eye(4)
        self.head = nn.Linear(4, 3, bias=False)
        self.head.weight.data = torch.zeros(3, 4)
        self.head.weight.data[0, 1] = 3.0

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.units(ids))


def letters(texts: Sequence[str]) -> tuple[mt.Subject, mt.Atlas]:
    encode: Callable[[str], Any] = lambda t: [(max("abcd".find(c), 0), i, i + 1) for i, c in enumerate(t)]  # noqa: E731
    subject = mt.module_subject(Letters(), tokenizer=encode, name="letters", sites={"units": "units"})
    return subject, mt.harvest(subject, mt.Corpus.from_texts(texts), sites=["units"])


def test_a_text_is_cut_after_the_place_where_the_unit_is_strongest() -> None:
    texts = ["".join(np.random.default_rng(i).choice(list("abcd"), size=12)) for i in range(40)]
    subject, atlas = letters(texts)
    seen = "".join(str(s.content) for s in atlas.corpus.split("discover"))
    mean = seen.count("b") / len(seen)
    a, b, c = output_effect(subject, atlas, [subject.unit("units", i) for i in range(3)])

    # at a "b" the logits are (3, 0, 0); with the unit at its mean they are (3 mean, 0, 0)
    def softmax(x: float) -> list[float]:
        total = math.exp(x) + 2
        return [math.exp(x) / total, 1 / total, 1 / total]

    wanted = sum(p * math.log(p / q) for p, q in zip(softmax(3.0), softmax(3.0 * mean), strict=True))
    assert b == pytest.approx(wanted, rel=1e-4)
    assert (a, c) == pytest.approx((0.0, 0.0), abs=1e-12)


def test_a_unit_that_rests_at_its_mean_has_no_effect() -> None:
    subject, atlas = letters(["".join(p) for p in itertools.permutations("abc")])
    assert output_effect(subject, atlas, [subject.unit("units", 3)]).tolist() == [0.0]


def test_what_does_not_fit_in_memory_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, atlas = colours()
    units = [subject.unit("units", i % 3, sign=1 - 2 * (i // 3)) for i in range(6)]
    whole = output_effect(subject, atlas, units)
    monkeypatch.setattr("maieutic.lab.effects._TOGETHER", 2)
    monkeypatch.setattr("maieutic.lab.effects._CLEAN_BYTES", 1)
    assert output_effect(subject, atlas, units).tolist() == whole.tolist()


def test_a_black_box_cannot_be_changed_inside(texts: list[str]) -> None:
    subject = mt.function_subject(lambda ts: [float(len(t)) for t in ts], modality="text", name="length")
    atlas = mt.harvest(subject, mt.Corpus.from_texts(texts[:20]), sites=["output"])
    with pytest.raises(UserError, match="cannot be changed"):
        output_effect(subject, atlas, [subject.unit()])
