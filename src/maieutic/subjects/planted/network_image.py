"""The planted image network: a small CNN whose chosen channels carry known concepts and decide the classes.

It is an ``ImageSubject`` like any other; see `network_training` for how it is trained. Channels that are not planted are
ordinary. What this module does not do: it knows no corpora.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from maieutic.subjects.modules import module_subject
from maieutic.subjects.planted.network_pictures import SIDE, Gallery
from maieutic.subjects.planted.network_training import (
    DETECTORS,
    Swap,
    TensorLaw,
    cut_off,
    detector_loss,
    repeatable,
    settings,
    tensor,
    trained,
)
from maieutic.subjects.vision import ImageSubject, scaled

#: where the planted channels are: the last map before the classes
SITE = "units"
CHANNELS = 24
STEPS, BATCH, SAMPLED = 600, 32, 2000
RATE = 8e-3


class PictureNet(nn.Module):
    """Three convolutions, a look at the whole picture, the planted map, and classes from its mean."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        # two channels say where a pixel is: a convolution alone cannot tell the top from the bottom
        self.first = nn.Conv2d(5, 16, 3, stride=2, padding=1)
        self.second = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.third = nn.Conv2d(32, 48, 3, padding=1)
        self.whole = nn.Linear(48, 48)
        self.mixed = nn.Conv2d(48, CHANNELS, 1)
        nn.init.constant_(cast(Tensor, self.mixed.bias), 0.2)  # a channel that starts silent would stay so
        self.units = nn.ReLU()
        self.head = nn.Linear(CHANNELS, 32)
        self.classes = nn.Linear(32, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits ``[image, class]`` of ``[image, 3, height, width]``."""
        x = F.relu(self.first(torch.cat([pixels, _places(pixels)], dim=1)))
        x = F.relu(self.third(F.relu(self.second(x))))
        # what is shown elsewhere reaches every place, so that a channel can be silenced by it
        x = F.relu(x + self.whole(x.amax(dim=(2, 3)))[:, :, None, None])
        return self.classes(F.relu(self.head(self.units(self.mixed(x)).mean(dim=(2, 3)))))


def _places(pixels: Tensor) -> Tensor:
    """Two maps: from -1 at the top (left) to 1 at the bottom (right)."""
    n, _, height, width = pixels.shape
    rows = torch.linspace(-1, 1, height, dtype=pixels.dtype, device=pixels.device).view(1, 1, -1, 1)
    columns = torch.linspace(-1, 1, width, dtype=pixels.dtype, device=pixels.device).view(1, 1, 1, -1)
    return torch.cat([rows.expand(n, 1, height, width), columns.expand(n, 1, height, width)], dim=1)


def image_subject(gallery: Gallery, *, seed: int = 0) -> ImageSubject:
    """Train the network of a gallery. Planted channel ``i`` of ``SITE`` carries concept ``i``.

    Cost: about 9 s on one core the first time; then weights come from the cache. The same seed gives the
    same weights on one machine.
    """
    with repeatable(seed):
        network = PictureNet(len(gallery.classes))
        trained(network, f"image-{seed}", lambda: train(network, gallery, np.random.default_rng([seed, 17])))
    return cast(ImageSubject, module_subject(network, scaled(SIDE), name="planted:image", batch_size=64))


def train(network: PictureNet, gallery: Gallery, rng: np.random.Generator) -> None:
    """Train a fresh network in place."""
    pictures = gallery.sample(SAMPLED, rng, rare=0.1)
    prepare = scaled(SIDE)
    pixels = torch.stack([prepare(p.render(2 * SIDE)) for p in pictures])
    things = [p.things for p in pictures]
    truth, missed = tensor(gallery.strengths(things)), tensor(gallery.near_misses(things))
    count, law = len(gallery.concepts), TensorLaw(gallery.law)
    swap = Swap(count, axis=1)

    def at_units(_module: nn.Module, _args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return swap(output)

    used = torch.cat([law.used, torch.ones(CHANNELS - count, dtype=torch.bool)])
    hooks = [network.units.register_forward_hook(at_units), cut_off(network.head.weight, used)]
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=STEPS)
    network.train()
    for _ in range(STEPS):
        rows = torch.from_numpy(rng.choice(SAMPLED, size=BATCH, replace=False))
        where, set_to = settings(rng, (BATCH, count), on=0.2)
        swap.where, swap.set_to = where[..., None, None], set_to[..., None, None]
        logits = network(pixels[rows])
        wanted = law(torch.where(where, set_to, truth[rows]))
        outputs = -(wanted * F.log_softmax(logits, dim=-1)).sum(-1).mean()
        loss = outputs + DETECTORS * detector_loss(swap.values.mean(dim=(2, 3)), truth[rows], missed[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    for hook in hooks:
        hook.remove()
