"""The classifier of the study: a packaged network cut at a block's expansion units, fine-tuned there, with a new head.

Everything before is frozen. The last layer has those expansion units that vary most over the training pictures; their spatial
means are the units of the study, and the head is linear in them, so "which units does the head use" has an exact answer.
What this module does not do: decide what units are kept.
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
_BATCH, _RATE, _HEAD_RATE, _DECAY = 32, 1e-4, 1e-2, 1e-4


class Classifier(nn.Module):
    """``[image, 3, side, side]`` to class logits; ``block`` and ``head`` are trained, ``trunk`` is not."""

    def __init__(self, trunk: nn.Module, block: nn.Conv2d, *, classes: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.block = block
        self.act = nn.ReLU6()
        self.head = nn.Linear(block.out_channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[image, class]``."""
        return self.behind(self.trunk(x))

    def behind(self, maps: Tensor) -> Tensor:
        """Logits of what the trunk gave."""
        return self.head(self.units(maps))

    def units(self, maps: Tensor) -> Tensor:
        """The last layer's units of what the trunk gave, ``[image, unit]``."""
        return self.act(self.block(maps)).mean(dim=(2, 3))


def packaged(config: SpuriousConfig, seed: int, *, classes: int) -> Classifier:
    """The classifier before training, with all expansion units of the block; its head is drawn from the seed."""
    parts = cast("Any", folded(load("efficientnet-lite0").module))
    before = list(parts._blocks)[: config.block]
    trunk = nn.Sequential(parts._conv_stem, parts._bn0, parts.act0, *before).eval().requires_grad_(False)
    source = parts._blocks[config.block]._expand_conv
    block = nn.Conv2d(source.in_channels, source.out_channels, 1)
    with torch.no_grad():
        block.weight.copy_(source.weight)
        block.bias.copy_(source.bias)  # pyright: ignore[reportOptionalMemberAccess]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Classifier(trunk, block, classes=classes)


def narrowed(model: Classifier, units: Sequence[int], seed: int) -> Classifier:
    """The classifier with those units alone, and a head for them drawn from the seed."""
    chosen = list(units)
    block = nn.Conv2d(model.block.in_channels, len(chosen), 1)
    assert model.block.bias is not None and block.bias is not None
    with torch.no_grad():
        block.weight.copy_(model.block.weight[chosen])
        block.bias.copy_(model.block.bias[chosen])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Classifier(model.trunk, block, classes=model.head.out_features)


def as_subject(model: Classifier, config: SpuriousConfig) -> ImageSubject:
    """The classifier as a subject with the sites ``units`` and ``logits``."""
    width, classes = model.block.out_channels, model.head.out_features
    sites = (
        Site(name=UNITS, module="act", width=width, positions="spatial", what="last layer's units after ReLU6"),
        Site(name="logits", module="head", width=classes, what="class logits"),
    )
    return ImageSubject(model, scaled(config.side), name="spurious-classifier", sites=sites, channels_last=True)


def train(
    config: SpuriousConfig, seed: int, examples: Sequence[Example], *, classes: int, step: Step = nothing
) -> tuple[Classifier, list[float]]:
    """Fine-tune by empirical risk minimisation (Adam, cross-entropy), and give the loss of each epoch.

    The trunk sees each picture once; what it gives is kept and mirrored half of the time. The last layer's units are those
    that vary most over the pictures; no label is read for that. Cost: one pass of the trunk over the pictures.
    """
    whole = packaged(config, seed, classes=classes)
    maps = trunk_maps(whole, config, examples, step=step)
    with torch.no_grad():
        spread = whole.units(maps).std(dim=0).numpy()
    model = narrowed(whole, sorted(np.argsort(-spread, kind="stable")[: config.units].tolist()), seed)
    labels = torch.from_numpy(labels_of(examples))
    slow: dict[str, Any] = {"params": model.block.parameters(), "lr": _RATE}
    fast: dict[str, Any] = {"params": model.head.parameters(), "lr": _HEAD_RATE}
    optimiser = torch.optim.Adam([slow, fast], weight_decay=_DECAY)
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
    whole = packaged(config, seed, classes=len(arrays["head.bias"]))
    model = narrowed(whole, range(len(arrays["block.bias"])), seed)
    for name in ("block", "head"):
        part = {k.partition(".")[2]: torch.from_numpy(v) for k, v in arrays.items() if k.startswith(f"{name}.")}
        getattr(model, name).load_state_dict(part)
    return model.eval().requires_grad_(False), list(note["curve"])


def head_says(model: Classifier, features: NDArray[np.float64]) -> NDArray[np.int64]:
    """The class that the trained head gives for units' values ``[picture, unit]``."""
    weight = model.head.weight.detach().double().numpy()
    return (features @ weight.T + model.head.bias.detach().double().numpy()).argmax(axis=1).astype(np.int64)
