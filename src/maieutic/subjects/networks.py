"""What subjects that are torch networks share: their hook points, further sites through lenses, and their digest.

What this module does not do: it runs nothing, and knows neither texts nor images.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Self, TypeVar

from torch import nn

from maieutic.errors import UsageError
from maieutic.subjects.base import Site, Subject
from maieutic.subjects.hooks import Tap, submodule, tap_at

Fresh = TypeVar("Fresh", bound="NetworkSubject")


class NetworkSubject(Subject):
    """A subject with a torch network inside. Subclasses set ``name``, and run passes over taps."""

    def __init__(self, *, name: str, sites: Sequence[Site]) -> None:
        self.name = name
        self._sites = tuple(sites)
        self._digest: str | None = None
        self._taps: dict[str, Tap] = {}

    @property
    @abstractmethod
    def network(self) -> nn.Module:
        """The network that runs: paths of sites begin here."""

    @abstractmethod
    def _own_digest(self) -> str:
        """Digest of weights and preprocessing, lenses left out."""

    def sites(self) -> tuple[Site, ...]:
        """Hook points in the order of the forward pass; one through a lens stands behind the site it looks at."""
        return self._sites

    @property
    def weights(self) -> str:
        """The fingerprint without lenses: the same whatever the network is seen through."""
        if self._digest is None:
            self._digest = self._own_digest()
        return self._digest

    @property
    def fingerprint(self) -> str:
        """Digest of weights, preprocessing and lenses; the weights' part is computed once (about 1 s for 500 MB)."""
        lenses = [f"{s.name}\t{s.module}\t{s.io}\t{s.lens.fingerprint}" for s in self._sites if s.lens is not None]
        if not lenses:
            return self.weights
        return blake2b("\n".join([self.weights, *lenses]).encode(), digest_size=8).hexdigest()

    def with_sites(self, sites: Sequence[Site], *, called: str, instead: bool = False) -> Self:
        """See `Subject.with_sites`: each stands behind the site it is named after, or before the first of its block."""
        seen = copy.copy(self)
        seen.name, seen._taps, seen._sites = f"{self.name}+{called}", {}, self._sites
        for site in sites:
            if not instead and any(s.name == site.name for s in seen._sites):
                raise UsageError(f"{self.name} has a site {site.name} already: give the new one another name")
            seen._sites = tuple(s for s in seen._sites if s.name != site.name)
            submodule(self.network, site.module, site.name)
            at = _place(site.name, [s.name for s in seen._sites])
            seen._sites = (*seen._sites[:at], site, *seen._sites[at:])
        return seen

    def _relensed(self, fresh: Fresh, seed: int) -> Fresh:
        """An untrained copy with this subject's sites, its lenses made anew."""
        fresh._sites = tuple(
            s if s.lens is None else replace(s, lens=s.lens.fresh(seed, submodule(fresh.network, s.module, s.name)))
            for s in self._sites
        )
        fresh._taps = {}
        return fresh

    def _tap(self, name: str) -> Tap:
        if name not in self._taps:
            self._taps[name] = tap_at(self.network, self.site(name))
        return self._taps[name]


def _place(name: str, others: Sequence[str]) -> int:
    """Where a new site goes: behind ``a.b`` and what follows from it for ``a.b.c``, else before the first of ``a.b``."""
    under = name.rpartition(".")[0]
    behind = [i for i, other in enumerate(others) if under and (other == under or other.startswith(f"{under}."))]
    if not behind:
        return len(others)
    return behind[-1] + 1 if under in others else behind[0]
