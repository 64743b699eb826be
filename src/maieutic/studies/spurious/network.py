"""The classifier of the study: a packaged network up to a block, frozen, and a new last block and head, trained.

The last block is a 3 by 3 convolution with ReLU; its spatial means are the units, and the head is linear in them, so
"which units does the head use" has an exact answer. What this module does not do: decide what units are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from maieutic.progress import Step, nothing
from maieutic.store import read_tensors, write_tensors
from maieutic.studies.spurious.config import SpuriousConfig
from maieutic.studies.spurious.material import Example, labels_of
from maieutic.subjects.base import Site
from maieutic.subjects.efficientnet_lite import folded, load
from maieutic.subjects.vision import ImageSubject, scaled

#: hook point of the last layer's units
UNITS = "units"
_BATCH, _RATE, _DECAY = 32, 2e-3, 1e-4


class Classifier(nn.Module):
    """``[image, 3, side, side]`` to class logits; ``block`` and ``head`` are trained, ``trunk`` is not."""

    def __init__(self, trunk: nn.Module, *, channels: int, units: int, classes: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.block = nn.Conv2d(channels, units, 3, padding=1)
        self.act = nn.ReLU()
        self.head = nn.Linear(units, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[image, class]``."""
        return self.behind(self.trunk(x))

    def behind(self, maps: Tensor) -> Tensor:
        """Logits of what the trunk gave."""
        return self.head(self.act(self.block(maps)).mean(dim=(2, 3)))


def untrained(config: SpuriousConfig, seed: int, *, classes: int) -> Classifier:
    """The classifier before training: the packaged trunk, and a last block drawn from the seed."""
    parts = cast("Any", folded(load("efficientnet-lite0").module))
    trunk = nn.Sequential(parts._conv_stem, parts._bn0, parts.act0, *list(parts._blocks)[: config.block + 1])
    channels = int(parts._blocks[config.block].outputs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Classifier(trunk.eval().requires_grad_(False), channels=channels, units=config.units, classes=classes)


def as_subject(model: Classifier, config: SpuriousConfig) -> ImageSubject:
    """The classifier as a subject with the sites ``units`` and ``logits``."""
    width, classes = config.units, model.head.out_features
    sites = (
        Site(name=UNITS, module="act", width=width, positions="spatial", what="last layer's units after ReLU"),
        Site(name="logits", module="head", width=classes, what="class logits"),
    )
    return ImageSubject(model, scaled(config.side), name="spurious-classifier", sites=sites, channels_last=True)


def train(
    config: SpuriousConfig, seed: int, examples: Sequence[Example], *, classes: int, step: Step = nothing
) -> tuple[Classifier, list[float]]:
    """Train by empirical risk minimisation (Adam, cross-entropy), and give the loss of each epoch.

    The trunk sees each picture once; what it gives is kept and mirrored half of the time. Cost: one pass of the trunk over
    the pictures, and about 2 ms a picture and epoch.
    """
    model = untrained(config, seed, classes=classes)
    maps = trunk_maps(model, config, examples, step=step)
    labels = torch.from_numpy(labels_of(examples))
    trained = [*model.block.parameters(), *model.head.parameters()]
    optimiser = torch.optim.Adam(trained, lr=_RATE, weight_decay=_DECAY)
    draw = torch.Generator().manual_seed(seed)
    curve: list[float] = []
    for epoch in range(config.epochs):
        total = 0.0
        for chosen in torch.randperm(len(maps), generator=draw).split(_BATCH):
            batch = maps[chosen]
            mirrored = torch.rand(len(chosen), generator=draw) < 0.5
            batch = torch.where(mirrored[:, None, None, None], batch.flip(3), batch)
            loss = F.cross_entropy(model.behind(batch), labels[chosen])
            optimiser.zero_grad()
            loss.backward()  # pyright: ignore[reportUnknownMemberType]
            optimiser.step()  # pyright: ignore[reportUnknownMemberType]
            total += float(loss.detach()) * len(chosen)
        curve.append(total / len(maps))
        step(epoch + 1, config.epochs, note=f"loss {curve[-1]:.3f}")
    return model.eval().requires_grad_(False), curve


@torch.inference_mode()
def trunk_maps(
    model: Classifier, config: SpuriousConfig, examples: Sequence[Example], *, step: Step = nothing
) -> Tensor:
    """What the trunk gives for each picture, ``[picture, channel, height, width]``."""
    prepare = scaled(config.side)
    rows: list[Tensor] = []
    for i, e in enumerate(examples):
        rows.append(model.trunk(prepare(e.stimulus.content)[None]))
        step(i + 1, len(examples), note="reading pictures")
    return torch.cat(rows).clone()


def keep(model: Classifier, path: Path, *, curve: Sequence[float]) -> None:
    """Write what was trained; the trunk is packaged."""
    arrays = {
        f"{n}.{k}": v.detach().numpy() for n in ("block", "head") for k, v in getattr(model, n).state_dict().items()
    }
    write_tensors(path, arrays, note={"curve": [round(c, 6) for c in curve]})


def reopen(path: Path, config: SpuriousConfig, seed: int) -> tuple[Classifier, list[float]]:
    """What ``keep`` wrote, on the packaged trunk."""
    arrays, note = read_tensors(path)
    model = untrained(config, seed, classes=len(arrays["head.bias"]))
    for name in ("block", "head"):
        part = {k.partition(".")[2]: torch.from_numpy(v) for k, v in arrays.items() if k.startswith(f"{name}.")}
        getattr(model, name).load_state_dict(part)
    return model.eval().requires_grad_(False), list(note["curve"])


def head_says(model: Classifier, features: NDArray[np.float64]) -> NDArray[np.int64]:
    """The class that the trained head gives for units' values ``[picture, unit]``."""
    weight = model.head.weight.detach().double().numpy()
    return (features @ weight.T + model.head.bias.detach().double().numpy()).argmax(axis=1).astype(np.int64)
