"""Other bases of the same activations: what the neurons' basis stands beside.

- rotated: z-scored activations of live units turned by a random orthogonal matrix. Raw activations turned are no control: a few
  units with a large spread leak into every direction, and all directions score as those do.
- principal components, as many as there are live units;
- a top-k sparse autoencoder with as many features as there are units.

Signs of rotated directions and components mean nothing: each is turned so that its skewness on discover is positive, which is
the side that rare features fire on. What this module does not do: score (`predicates`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from maieutic.studies.regularization.interpreting.predicates import Floats, live_units
from maieutic.studies.regularization.interpreting.truths import Truths

#: features that are on at a token, of a sparse autoencoder
SAE_ON = 16
_BATCH = 256
_RATE = 3e-3


def z_scored(values: Floats, truths: Truths) -> Floats:
    """Live units with mean 0 and standard deviation 1 on discover, ``[token, live unit]``."""
    kept = values[:, live_units(values, truths)]
    seen = kept[truths.places["discover"]]
    mean = seen.mean(axis=0, dtype=np.float64).astype(np.float32)
    spread = np.sqrt(np.square(seen - mean).mean(axis=0, dtype=np.float64))
    return (kept - mean) * (1 / np.maximum(spread, 1e-12)).astype(np.float32)


def turned(values: Floats, *, seed: int) -> Floats:
    """Turned by a random orthogonal matrix (Haar), ``[token, direction]``."""
    drawn = np.random.default_rng(seed).standard_normal((values.shape[1], values.shape[1]))
    q, r = np.linalg.qr(drawn)
    return values @ (q * np.sign(np.diag(r))).astype(np.float32)


def oriented(values: Floats, truths: Truths) -> Floats:
    """Each direction times the sign of its skewness on discover."""
    seen = values[truths.places["discover"]]
    centred = seen - seen.mean(axis=0)
    skewness = (centred * centred * centred).mean(axis=0, dtype=np.float64)
    return values * np.where(skewness < 0, np.float32(-1), np.float32(1))


def rotated(values: Floats, truths: Truths, *, seed: int) -> Floats:
    """Random directions in z-scored space, ``[token, direction]``: as many as there are live units."""
    return oriented(turned(z_scored(values, truths), seed=seed), truths)


def components(values: Floats, truths: Truths) -> Floats:
    """Principal components of the live units on discover, largest first, ``[token, component]``."""
    kept = values[:, live_units(values, truths)]
    centred = kept - kept[truths.places["discover"]].mean(axis=0)
    seen = centred[truths.places["discover"]].astype(np.float64)
    _, vectors = np.linalg.eigh(seen.T @ seen)
    return oriented(centred @ vectors[:, ::-1].astype(np.float32), truths)


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What a sparse autoencoder found.

    Attributes:
        values: ``[token, feature]``, 0 or more. explained: share of the variance of test tokens that it gives back.
    """

    values: Floats
    explained: float


def sae_features(values: Floats, truths: Truths, *, seed: int, steps: int, features: int | None = None) -> Features:
    """Train a top-k sparse autoencoder on discover and read its features everywhere.

    Encoder and decoder start tied, decoder rows keep length 1, activations are scaled by their common root mean square, loss is
    the mean square error (Gao et al. 2024, "Scaling and evaluating sparse autoencoders", without its auxiliary loss).

    Args:
        values: activations ``[token, unit]``. seed: of the start and of the batches. steps: of 256 tokens.
        features: as many as units by default.

    Cost: about 1 CPU second for 100 steps at 256 units on a busy machine.
    """
    seen = values[truths.places["discover"]]
    mean = seen.mean(axis=0)
    scale = np.sqrt(np.square(seen - mean).mean()) or 1.0
    data = torch.from_numpy(np.ascontiguousarray((values - mean) / scale, np.float32))
    train = data[torch.from_numpy(truths.places["discover"])]
    width = features or values.shape[1]
    drawn = torch.Generator().manual_seed(seed)
    decoder = F.normalize(torch.randn(width, values.shape[1], generator=drawn), dim=1).requires_grad_()
    encoder = decoder.detach().clone().requires_grad_()
    bias, centre = torch.zeros(width, requires_grad=True), torch.zeros(values.shape[1], requires_grad=True)
    optimiser = torch.optim.Adam([encoder, decoder, bias, centre], lr=_RATE)
    for _ in range(steps):
        batch = train[torch.randint(len(train), (_BATCH,), generator=drawn)]
        loss = (_encoded(batch, encoder, bias, centre) @ decoder + centre - batch).square().mean()
        optimiser.zero_grad()
        loss.backward()  # pyright: ignore[reportUnknownMemberType]
        optimiser.step()  # pyright: ignore[reportUnknownMemberType]
        with torch.no_grad():
            decoder.copy_(F.normalize(decoder, dim=1))
    with torch.no_grad():
        found = _encoded(data, encoder, bias, centre)
        test = torch.from_numpy(truths.places["test"])
        wanted = data[test]
        left = (found[test] @ decoder + centre - wanted).square().sum()
        whole = (wanted - wanted.mean(dim=0)).square().sum()
    return Features(values=found.numpy(), explained=1 - float(left / whole) if float(whole) else 0.0)


def _encoded(x: Tensor, encoder: Tensor, bias: Tensor, centre: Tensor) -> Tensor:
    """The largest features of each token, those below 0 left out."""
    every = F.relu((x - centre) @ encoder.T + bias)
    top = every.topk(min(SAE_ON, every.shape[1]), dim=1)
    return torch.zeros_like(every).scatter(1, top.indices, top.values)


def moved(truths: Truths, tokens: int, *, seed: int) -> NDArray[np.int64]:
    """Tokens in a random order within each split, ``[token]``: values read in it belong to other labels."""
    rng = np.random.default_rng(seed)
    order = np.arange(tokens)
    for places in truths.places.values():
        order[places] = rng.permutation(places)
    return order
