"""Activation patching and attribution patching, from a clean run (the act happens) into a corrupt one (it does not).

restored share = (f(patched) - f(corrupt)) / (f(clean) - f(corrupt)), f = log-odds of the act: 1 when giving these
positions their clean activations brings the whole act back, 0 when it changes nothing. Attribution patching (Nanda 2023;
Syed et al., arXiv 2310.10348) estimates all of them at once from a gradient, (a_clean - a_corrupt) . grad; it only
screens, the largest are confirmed by patching.

What this module does not do: choose the corrupt context; patch positions that have no counterpart (`align`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from maieutic.errors import UserError
from maieutic.forensics.internals.inside import Inside, Push

#: differences of log-odds below this are too small to take shares of
LEAST = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Positions that are patched together.

    Attributes:
        name: for people: a part of the transcript.
        at: token positions in the clean prompt.
    """

    name: str
    at: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One site and group.

    Attributes:
        site, group: which.
        screened: share that the gradient foretells.
        share: restored share, or ``None`` where it was not confirmed by patching.
    """

    site: str
    group: str
    screened: float
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchMap:
    """All sites and groups of one pair of contexts; ``clean`` and ``corrupt`` are the log-odds of the act."""

    clean: float
    corrupt: float
    cells: tuple[Cell, ...]

    def share(self, site: str, group: str) -> float | None:
        """The restored share there, or ``None`` when it was not patched."""
        return next((c.share for c in self.cells if (c.site, c.group) == (site, group)), None)


def align(clean: Sequence[int], corrupt: Sequence[int]) -> dict[int, int]:
    """Positions of the clean prompt by the position of the corrupt one that corresponds.

    What both begin with, what both end with, and, where what lies between has equal length, that too.
    """
    short = min(len(clean), len(corrupt))
    head = next((i for i in range(short) if clean[i] != corrupt[i]), short)
    tail = next((i for i in range(short - head) if clean[-1 - i] != corrupt[-1 - i]), short - head)
    if len(clean) == len(corrupt):
        return {i: i for i in range(len(clean))}
    shift = len(corrupt) - len(clean)
    same = {i: i for i in range(head)}
    return same | {i: i + shift for i in range(len(clean) - tail, len(clean))}


def patch_map(
    inside: Inside,
    clean: Sequence[int],
    corrupt: Sequence[int],
    *,
    groups: Sequence[Group],
    sites: Sequence[str] | None = None,
    confirm: int = 12,
) -> PatchMap:
    """Screen every site and group with one gradient, then patch those that come out largest.

    Args:
        inside: the network.
        clean, corrupt: token ids of the two prompts.
        groups: positions of the clean prompt; those without a counterpart are left out of a group.
        sites: where to patch; the residual stream after each block otherwise.
        confirm: how many of the largest are patched; ``-1``: all.

    Cost: 4 passes and one backward, and a pass for each that is confirmed.

    Raises:
        UserError: the act is no more likely in one context than in the other (less than 0.5 in log-odds).
    """
    sites = list(sites or inside.resid_sites())
    f_clean, f_corrupt = inside.score(clean), inside.score(corrupt)
    if abs(f_clean - f_corrupt) < LEAST:
        raise UserError(
            f"the act has log-odds {f_clean:.2f} and {f_corrupt:.2f} in the two contexts: "
            "there is nothing to restore; edit the cause"
        )
    places = align(clean, corrupt)
    moves = _moves(inside, clean, corrupt, sites, places)
    slopes = inside.gradients(corrupt, sites)
    span = f_clean - f_corrupt
    cells: list[Cell] = []
    for site in sites:
        foretold = (moves[site] * slopes[site]).sum(-1) / span
        cells += [Cell(site=site, group=g.name, screened=float(foretold[_at(g, places)].sum())) for g in groups]
    order = sorted(range(len(cells)), key=lambda i: -abs(cells[i].screened))
    by_name = {g.name: g for g in groups}
    for i in order if confirm < 0 else order[:confirm]:
        cell = cells[i]
        patched = _patched(inside, corrupt, cell.site, moves[cell.site], _at(by_name[cell.group], places), f_corrupt)
        share = (patched - f_corrupt) / span
        cells[i] = Cell(site=cell.site, group=cell.group, screened=cell.screened, share=share)
    return PatchMap(clean=f_clean, corrupt=f_corrupt, cells=tuple(cells))


def _at(group: Group, places: dict[int, int]) -> list[int]:
    """Positions of a group in the corrupt prompt."""
    return [places[i] for i in group.at if i in places]


def _moves(
    inside: Inside, clean: Sequence[int], corrupt: Sequence[int], sites: Sequence[str], places: dict[int, int]
) -> dict[str, Tensor]:
    """Clean minus corrupt activation at every position of the corrupt prompt, 0 without a counterpart."""
    one, other = inside.read(clean, sites), inside.read(corrupt, sites)
    found: dict[str, Tensor] = {}
    of, to = torch.tensor(list(places.keys())), torch.tensor(list(places.values()))
    for site in sites:
        found[site] = torch.zeros_like(other[site])
        found[site][to] = one[site][of] - other[site][to]
    return found


def _patched(
    inside: Inside, corrupt: Sequence[int], site: str, moves: Tensor, at: Sequence[int], resting: float
) -> float:
    """Log-odds with the clean activations at some positions; the resting value where they are the same already."""
    pushes = [
        Push(site=site, vector=moves[i], at=(i,), name=f"clean-{i}") for i in at if bool(moves[i].abs().max() > 0)
    ]
    return inside.score(corrupt, pushes) if pushes else resting
