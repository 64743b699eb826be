"""Directions that tell contexts with the act from contexts without it: fitted, read along a transcript, and pushed.

A direction is the difference of mean activations just before the act. It is read at every token of a transcript (where
does it rise?), scored on contexts it was not fitted on, and added at the place of decision in growing doses. A dose of 1
is the natural difference. Beside it stand controls of equal length: random directions, and differences between contexts
that have nothing to do with the act; a network may be pushed off its way by anything that is large enough.

What this module does not do: calibrate (monitors do), or train a classifier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from maieutic.errors import UserError
from maieutic.forensics.internals.inside import Inside, Push
from maieutic.readings import Reading, cluster_weights, ranking

Ids = Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """``vector`` at a site, ``[unit]``, with the mean reading ``middle`` between the two groups it was fitted on."""

    site: str
    vector: Tensor
    middle: float

    def values(self, activations: Tensor) -> Tensor:
        """Readings of activations ``[..., unit]``: -1 at the mean without the act, +1 at the mean with it."""
        return 2 * (activations @ self.vector - self.middle) / self.vector.square().sum()


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Chances of the act, ``[dose][context]``, and mean fluency of the prompts, ``[dose]`` (log-probability of a token)."""

    name: str
    chances: tuple[tuple[float, ...], ...]
    fluency: tuple[float, ...]

    @property
    def means(self) -> list[float]:
        """Mean chance by dose."""
        return [float(np.mean(row)) for row in self.chances]

    @property
    def monotone(self) -> bool:
        """Whether the mean chance never falls by more than 0.02 as the dose grows."""
        return all(b >= a - 0.02 for a, b in zip(self.means, self.means[1:], strict=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseResponse:
    """Chances of the act under growing pushes.

    Attributes:
        site: where.
        doses: in natural differences.
        curve: of the direction; ``controls``: random and unrelated directions of the same length.
    """

    site: str
    doses: tuple[float, ...]
    curve: Curve
    controls: tuple[Curve, ...]


def difference_of_means(inside: Inside, acting: Sequence[Ids], resting: Sequence[Ids], site: str) -> Direction:
    """The direction from prompts without the act to prompts with it, at their last position. Cost: a pass a prompt.

    Raises:
        UserError: one side is empty, or both have the same mean.
    """
    if not acting or not resting:
        raise UserError("a direction needs contexts with the act and contexts without it: give both")
    one, other = (_last(inside, rows, site).mean(0) for rows in (acting, resting))
    vector = one - other
    if not bool(vector.abs().max() > 0):
        raise UserError(f"{site} is the same with and without the act: choose a later site")
    return Direction(site=site, vector=vector, middle=float(((one + other) / 2) @ vector))


def readout(inside: Inside, ids: Ids, direction: Direction) -> list[float]:
    """The direction's reading at every token of a prompt. Cost: one pass."""
    return direction.values(inside.read(ids, [direction.site])[direction.site]).tolist()


def probe_reading(inside: Inside, direction: Direction, acting: Sequence[Ids], resting: Sequence[Ids]) -> Reading:
    """AUROC of the direction just before the act, on prompts it was not fitted on; chance level 0.5."""
    if not acting or not resting:
        return Reading.unmeasured("internals.probe", "no fresh contexts with and without the act")
    values = torch.cat([direction.values(_last(inside, rows, direction.site)) for rows in (acting, resting)])
    active = np.arange(len(values)) < len(acting)
    weights = cluster_weights(len(values))
    found = ranking(active, values.double().numpy(), clusters=np.arange(len(values)), weights=weights).auroc
    return found.reading("internals.probe", n=len(values), details={"site": direction.site, "acting": len(acting)})


def random_like(vector: Tensor, count: int, *, seed: int) -> list[Tensor]:
    """Random directions of the same length."""
    drawn = torch.from_numpy(np.random.default_rng(seed).standard_normal((count, len(vector)))).float()
    return list(drawn / drawn.norm(dim=1, keepdim=True) * vector.norm())


def dose_response(
    inside: Inside,
    direction: Direction,
    contexts: Sequence[Ids],
    *,
    doses: Sequence[float] = (-1.0, -0.5, 0.5, 1.0, 1.5, 2.0),
    unrelated: Mapping[str, Tensor],
    randoms: int = 3,
    seed: int = 0,
) -> DoseResponse:
    """Push the direction, and controls of its length, at the last position of each prompt.

    Args:
        inside: the network.
        direction: what is pushed.
        contexts: prompts, all of one kind (without the act, say).
        doses: strengths in natural differences; 0 is always added.
        unrelated: other differences by name; they are brought to the same length.
        randoms: random directions.
        seed: of those.

    Cost: 2 passes for each direction, dose and context.

    Raises:
        InterventionDidNothing: a push changed no activation.
    """
    doses = tuple(sorted({0.0, *doses}))
    length = direction.vector.norm()
    others = {f"random {i + 1}": v for i, v in enumerate(random_like(direction.vector, randoms, seed=seed))}
    others |= {name: v / v.norm() * length for name, v in unrelated.items() if bool(v.norm() > 0)}
    curves = [_curve(inside, n, direction.site, v, contexts, doses) for n, v in others.items()]
    own = _curve(inside, "the act's direction", direction.site, direction.vector, contexts, doses)
    return DoseResponse(site=direction.site, doses=doses, curve=own, controls=tuple(curves))


def _curve(
    inside: Inside, name: str, site: str, vector: Tensor, contexts: Sequence[Ids], doses: Sequence[float]
) -> Curve:
    chances: list[tuple[float, ...]] = []
    fluency: list[float] = []
    for dose in doses:
        row: list[float] = []
        reads: list[float] = []
        for ids in contexts:
            # at the decision it moves the act; for fluency it is added everywhere, the harshest use of it
            here = [Push(site=site, vector=dose * vector, at=(len(ids) - 1,), name=name)] if dose else []
            all_over = [Push(site=site, vector=dose * vector, at=None, name=name)] if dose else []
            row.append(inside.chance(ids, here))
            reads.append(inside.fluency(ids, all_over))
        chances.append(tuple(row))
        fluency.append(float(np.mean(reads)))
    return Curve(name=name, chances=tuple(chances), fluency=tuple(fluency))


def _last(inside: Inside, rows: Sequence[Ids], site: str) -> Tensor:
    """Activations at the last position of each prompt, ``[prompt, unit]``."""
    return torch.stack([inside.read(ids, [site])[site][-1] for ids in rows])
