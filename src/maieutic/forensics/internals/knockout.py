"""Attention knockout: how much less likely the act is when nothing that comes later can look at a part.

For each window of layers, every later position (the answer's too) is cut off from the part's positions; the drop of the
log-odds of the act says through which layers the part is read (Geva et al., arXiv 2304.14767). Cutting a part off in all
layers is not the same as deleting it: positions and lengths stay as they were.

What this module does not do: cut single heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.forensics.internals.inside import Inside
from maieutic.forensics.internals.patching import Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Knockout:
    """``drop``: log-odds of the act before minus after cutting; ``layers``: first and last layer of the window."""

    group: str
    layers: tuple[int, int]
    drop: float


def knockouts(
    inside: Inside, ids: Sequence[int], *, groups: Sequence[Group], window: int | None = None
) -> list[Knockout]:
    """Cut each group off, in all layers together and in each window of them.

    Args:
        inside: the network.
        ids: the prompt.
        groups: positions that later ones lose sight of.
        window: layers of a window, none overlapping; a third of the network otherwise.

    Cost: a pass for each group and window, and one.
    """
    count = len(inside.resid_sites())
    step = window or max(1, count // 3)
    windows = [(0, count - 1), *((at, min(at + step, count) - 1) for at in range(0, count, step))]
    resting = inside.score(ids)
    end = len(ids) + len(inside.said) - 1
    found: list[Knockout] = []
    for group in groups:
        if not group.at:
            continue
        later = range(max(group.at) + 1, end)
        for first, last in windows:
            after = inside.cut(ids, queries=later, keys=group.at, layers=range(first, last + 1))
            found.append(Knockout(group=group.name, layers=(first, last), drop=resting - after))
    return found
