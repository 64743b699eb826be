"""A world of coloured squares on coloured grounds, and a classifier whose units are exactly detectors of one colour each."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from PIL import Image
from torch import nn

from maieutic.stimuli.base import Stimulus
from maieutic.stimuli.scenes import image_id
from maieutic.studies.spurious.config import SpuriousConfig
from maieutic.studies.spurious.material import Example, Mask, Material, check, training_split
from maieutic.subjects import ImageSubject, module_subject, scaled

SIDE = 32
CLASSES, GROUPS = ("ruby", "sapphire"), ("lawn", "sand")
OBJECTS = ((200, 30, 30), (30, 40, 200))
GROUNDS = ((40, 160, 60), (190, 170, 90))
#: which units see which colour: two objects, two grounds, and one that never fires
RED, BLUE, GREEN, SAND, DEAD = range(5)


def picture(label: int, group: int, draw: np.random.Generator) -> tuple[Image.Image, Mask]:
    """A square of the class's colour on noise of the group's colour, and where the square is."""
    pixels = np.array(GROUNDS[group], dtype=np.float64) + draw.normal(0, 6, size=(SIDE, SIDE, 3))
    side = int(draw.integers(12, 19))
    left, top = (int(v) for v in draw.integers(4, SIDE - side - 3, size=2))
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[top : top + side, left : left + side] = True
    pixels[mask] = np.array(OBJECTS[label]) + draw.normal(0, 6, size=(int(mask.sum()), 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), mask


def example(label: int, group: int, number: int, draw: np.random.Generator, side: str) -> Example:
    image, mask = picture(label, group, draw)
    name = f"{side}-{label}-{number}"
    stimulus = Stimulus(
        id=image_id(image),
        modality="image",
        load=lambda: image,
        group=name,
        split="test" if side == "test" else training_split(name),
        tags=(CLASSES[label], GROUPS[group]),
    )
    return Example(stimulus=stimulus, label=label, group=group, mask=lambda: mask)


def world(seed: int, *, per_class: int = 40, minority: int = 4) -> Material:
    """Training pictures on the class's own ground but for ``minority`` of each class; a crossed test; balanced pictures."""
    draw = np.random.default_rng(seed)
    train = [example(c, c if n >= minority else 1 - c, n, draw, "train") for c in range(2) for n in range(per_class)]
    balanced = [example(c, n % 2, n, draw, "balanced") for c in range(2) for n in range(12)]
    test = [example(c, n % 2, n, draw, "test") for c in range(2) for n in range(8)]
    return check(
        Material(
            name="squares", classes=CLASSES, groups=GROUPS, train=tuple(train), balanced=tuple(balanced),
            test=tuple(test), cut="mask",
        )
    )  # fmt: skip


class Detectors(nn.Module):
    """Units from colour differences of each pixel (inputs from -1 to 1), summed up by a head that trusts the ground."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Conv2d(3, 5, 1)
        self.act = nn.ReLU()
        self.head = nn.Linear(5, 2)
        # red R-G-0.5, blue B-R-0.5, green G-R-0.5, sand R+G-0.3, dead -1: each is above 0 for its own colour alone
        rows = [[1, -1, 0], [-1, 0, 1], [-1, 1, 0], [1, 1, 0], [0, 0, 0]]
        weight, bias = torch.tensor(rows, dtype=torch.float32), torch.tensor([-0.5, -0.5, -0.5, -0.3, -1.0])
        with torch.no_grad():
            self.block.weight.copy_(weight[:, :, None, None])
            cast("torch.Tensor", self.block.bias).copy_(bias)
            self.head.weight.copy_(torch.tensor([[1.0, 0, 2, 0, 0], [0, 1.0, 0, 2, 0]]))
            self.head.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.act(self.block(x)).mean(dim=(2, 3)))


def detectors() -> ImageSubject:
    found = module_subject(Detectors(), scaled(SIDE), name="detectors", sites={"units": "act", "logits": "head"})
    assert isinstance(found, ImageSubject)
    return found


def settings(**changes: object) -> SpuriousConfig:
    small: dict[str, object] = {
        "seeds": [0], "side": SIDE, "objects": 12, "backgrounds": 6, "draws": 20, "measurements": 10,
        "explainer": "search-no-experiments",
    }  # fmt: skip
    return SpuriousConfig.model_validate({**small, **changes})
