"""Which units of a layer are set beside each other: latents, neurons, components, random directions, random latents.

The rule, fixed before anything is explained: a unit is *live* if at ``LIVE`` texts of the discover split or more it is above its
lowest value (a latent: active there), and ``n`` live units of each kind are drawn with the seed, evenly; of components the first
``n`` are taken, by variance, which is the kindest choice. Each unit is read at the tail that reaches further from its mean, as
in every run. What this module does not do: explain or score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from maieutic.campaign.run import oriented
from maieutic.errors import UserError
from maieutic.harvest import Atlas, SiteSummary, harvest
from maieutic.progress import Report, silent
from maieutic.score import random_directions
from maieutic.stimuli import Corpus
from maieutic.studies.sae.activations import gather
from maieutic.studies.sae.metrics import BASIS, principal
from maieutic.subjects import Subject, Unit
from maieutic.subjects.lenses.sae_sites import lens_of, with_latents

#: texts of the discover split at which a live unit is above its lowest value
LIVE = 10
#: in this order everywhere; the first is compared with each of the others
KINDS: dict[str, str] = {
    "latents": "latents of the SAE",
    "neurons": "neurons of the MLP in the same block",
    "components": "principal components of the same activations, the first by variance",
    "directions": "random directions of the same activations, z-scored",
    "random latents": "latents of an SAE with random weights",
}
RANDOM = "random"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Units of one kind.

    Attributes:
        name, what: which. site: where they are read.
        units: those that were drawn. live: how many could have been. of: how many there are.
    """

    name: str
    what: str
    site: str
    units: tuple[Unit, ...]
    live: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bases:
    """A subject that can be read in every basis, and the units that were drawn."""

    subject: Subject
    kinds: tuple[Kind, ...]

    @property
    def sites(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(k.site for k in self.kinds))

    @property
    def units(self) -> tuple[Unit, ...]:
        return tuple(u for k in self.kinds for u in k.units)


def draw_bases(
    subject: Subject, corpus: Corpus, latents: str, *, n: int, seed: int = 0, report: Report = silent
) -> Bases:
    """Draw the units.

    Args:
        subject: with an SAE. corpus: texts; the discover split decides who is live.
        latents: the site of the SAE, as in ``layers.7.resid.sae``.
        n: units of each kind. seed: of draws and random weights.
        report: called with progress.

    Cost: the discover split passes once up to the site.

    Raises:
        UserError: no SAE stands there, or a kind has no live unit.
    """
    sae, base = lens_of(subject, latents).sae, latents.rpartition(".")[0]
    rows = gather(subject, corpus, base, tokens=BASIS, chunk=BASIS, seed=seed).rows(0, report=report)
    mean, components = principal(rows)
    import torch

    null = sae.random(seed, centre=torch.from_numpy(mean))
    seen = with_latents(subject, null, site=base, name=RANDOM)
    neurons = _neurons(subject, base)
    random = f"{base}.{RANDOM}"
    sites = [latents, base, random, *([neurons] if neurons else [])]
    pilot = replace(corpus, name=f"{corpus.name} (pilot)", stimuli=corpus.split("discover"))
    with report("harvest", "discover split") as step:
        atlas = harvest(seen, pilot, sites, keep=(), progress=step)
    pca = [
        seen.direction(base, c, f"component-{i}", offset=-float(mean @ c)) for i, c in enumerate(components[:n])
    ]  # fmt: skip
    turned = random_directions(atlas, base, n, seed=seed)
    drawn = {
        "latents": _drawn(seen, atlas, latents, n, seed),
        "neurons": _drawn(seen, atlas, neurons, n, seed) if neurons else None,
        "components": _all(atlas, base, pca, len(components)),
        "directions": _all(atlas, base, turned, len(turned)),
        "random latents": _drawn(seen, atlas, random, n, seed),
    }
    kinds = tuple(replace(k, name=name, what=KINDS[name]) for name, k in drawn.items() if k is not None)
    empty = next((k for k in kinds if not k.units), None)
    if empty is not None:
        raise UserError(f"none of the {empty.of} {empty.what} is live on {corpus.name}: give a larger corpus")
    return Bases(subject=seen, kinds=kinds)


def _neurons(subject: Subject, base: str) -> str:
    """The MLP neurons of the block of a site; empty where there are none."""
    name = f"{'.'.join(base.split('.')[:2])}.mlp"
    return name if name != base and any(s.name == name for s in subject.sites()) else ""


def live_units(summary: SiteSummary) -> np.ndarray:
    """Which units of a site are live, bool ``[unit]``."""
    strongest = summary.top_value[:, LIVE - 1]  # one value a text, the highest first; -inf where there are fewer
    return np.asarray(strongest > summary.minimum)


def _drawn(subject: Subject, atlas: Atlas, site: str, n: int, seed: int) -> Kind:
    live = np.flatnonzero(live_units(atlas.sites[site]))
    picks = np.sort(np.random.default_rng([seed, 21]).permutation(live)[:n])
    units = tuple(oriented(atlas, subject.unit(site, int(i)), subject.modality) for i in picks)
    return Kind(name="", what="", site=site, units=units, live=len(live), of=atlas.sites[site].units)


def _all(atlas: Atlas, site: str, units: Sequence[Unit], of: int) -> Kind:
    return Kind(name="", what="", site=site, units=tuple(_tail(atlas, u) for u in units), live=of, of=of)


def _tail(atlas: Atlas, unit: Unit) -> Unit:
    """A direction, turned so that the tail that reaches further from its mean is above."""
    values = np.sort(atlas.sample(unit))
    reach = max(len(values) // 100, 1)
    mean = float(values.mean())
    if float(values[-reach:].mean()) - mean >= mean - float(values[:reach].mean()):
        return unit
    assert unit.vector is not None
    return replace(unit, vector=-unit.vector, offset=-unit.offset)
