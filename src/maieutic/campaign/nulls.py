"""The nulls of a run: units of an untrained copy, and random directions in z-scored activation space.

Both are explained by the same explainer under the same budget as real units. Rotating raw activations would be a broken
control (a few large neurons dominate every direction), hence the z-scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from maieutic.harvest import Atlas, harvest, slug
from maieutic.score.controls import random_directions
from maieutic.stimuli import Corpus
from maieutic.store import read_tensors, write_tensors
from maieutic.subjects import Site, Subject, Unit

#: stimuli that mean and spread of each neuron are estimated from, for the z-scores
PILOT = 32
#: units of a lens below which its random directions are little but those very units
FEW = 8


@dataclass(frozen=True, kw_only=True)
class Nulls:
    """What stands in for "a unit that means nothing".

    Attributes:
        subject, atlas: the untrained copy and its harvest; ``None`` when there is none.
        untrained: its units. directions: random directions of the trained subject.
        reason: why there are none.
    """

    subject: Subject | None = None
    atlas: Atlas | None = None
    untrained: tuple[Unit, ...] = ()
    directions: tuple[Unit, ...] = ()
    reason: str | None = None


def mixable(site: Site) -> bool:
    """Whether random directions at a site are a null: not of one unit, nor of the few that somebody chose to look at."""
    return site.width not in (None, 1) and (site.lens is None or (site.width or 0) >= FEW)


def lensed(subject: Subject, sites: Sequence[str]) -> bool:
    """Whether any of the sites is seen through a lens, which only networks have: they have an untrained copy."""
    return any(subject.site(s).lens is not None for s in sites)


def null_directions(
    subject: Subject, corpus: Corpus, sites: Sequence[str], *, n: int, seed: int
) -> dict[str, tuple[Unit, ...]]:
    """``n`` random directions of each site, z-scored by a pilot harvest of the first discover stimuli (by id)."""
    pilot = sorted(corpus.split("discover"), key=lambda s: s.id)[:PILOT]
    atlas = harvest(subject, replace(corpus, name=f"{corpus.name} (pilot)", stimuli=pilot), sites, keep=())
    return {site: tuple(random_directions(atlas, site, n=n, seed=seed)) for site in sites}


def write_directions(folder: Path, site: str, units: tuple[Unit, ...]) -> None:
    vectors = np.stack([u.vector for u in units if u.vector is not None])
    offsets = np.array([u.offset for u in units])
    names = [u.name for u in units]
    write_tensors(_file(folder, site), {"vectors": vectors, "offsets": offsets}, note={"names": names, "site": site})


def read_directions(folder: Path, sites: Sequence[str]) -> tuple[Unit, ...]:
    """The run's directions, site by site; empty when it has none."""
    found: list[Unit] = []
    for site in sites:
        if _file(folder, site).exists():
            arrays, note = read_tensors(_file(folder, site))
            rows = zip(note["names"], arrays["vectors"], arrays["offsets"].tolist(), strict=True)
            found += [Unit(site=site, name=name, vector=vector, offset=offset) for name, vector, offset in rows]
    return tuple(found)


def _file(folder: Path, site: str) -> Path:
    return folder / "directions" / f"{slug(site)}.safetensors"
