"""What a subject is: sites, units, and one way to read and to intervene.

A subject takes *raw* stimuli only (``str`` or ``PIL.Image.Image``, or anything with a ``content`` property that gives
one): it knows nothing of corpora, splits or runs. Readings are float32 in raw model units, on the CPU.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UsageError, UserError, did_you_mean

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from maieutic.subjects.lenses.base import Lens

    Raw = str | Image

Modality = Literal["text", "image"]
Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A hook point.

    Attributes:
        name: short stable name (``layers.15.mlp``, ``blocks.14.expand``).
        module: dotted path inside the network; empty for the whole network (what it returns) or a black box.
        io: whether the module's output or its (first) input is read.
        width: number of neurons or channels; ``None`` when only a forward pass would tell.
        positions: ``token`` (one value per token), ``spatial`` (a map, reduced to its mean), ``none`` (one value).
        what: one line for people.
        lens: what turns the module's values into units of another kind; ``width`` counts those.
        names: of the units, where they have names (the words of logits, the names of directions).
        channels_last: whether a four-dimensional tensor counts units along its last axis, not its second.
    """

    name: str
    module: str = ""
    io: Literal["out", "in"] = "out"
    width: int | None = None
    positions: Literal["token", "spatial", "none"] = "none"
    what: str = ""
    lens: Lens | None = field(default=None, compare=False, repr=False)
    names: tuple[str, ...] = field(default=(), compare=False, repr=False)
    channels_last: bool = False

    @property
    def about(self) -> str:
        """``what``, and what the units are called where they are few."""
        named = ", ".join(n.strip() for n in self.names) if len(self.names) <= 12 else ""
        return f"{self.what} ({named})" if named else self.what

    def to_json(self) -> dict[str, Any]:
        """What can be told of it in plain values; names of units only where there are few."""
        plain = {"name": self.name, "module": self.module, "io": self.io, "width": self.width}
        named = {"names": list(self.names)} if 0 < len(self.names) <= 1000 else {}
        return {**plain, "positions": self.positions, "what": self.what, **named}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One scalar read-out at a site: a neuron or channel (``index``), or a direction (``vector``).

    The reading is ``sign * raw[index]`` or ``sign * (raw @ vector + offset)``. A neuron whose two tails mean
    different things is two units, with sign +1 and -1. Its ``key`` names it inside a run:
    ``layers.15.mlp/812``, ``layers.15.mlp/812-`` (negative tail), ``layers.15.mlp/d:random-3`` (a direction).
    """

    site: str
    index: int | None = None
    sign: int = 1
    name: str = ""
    vector: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    offset: float = 0.0

    def __post_init__(self) -> None:
        assert (self.index is None) != (self.vector is None), "a unit is an index or a vector"
        assert self.sign in (1, -1)

    @property
    def key(self) -> str:
        middle = str(self.index) if self.index is not None else f"d:{self.name}"
        return f"{self.site}/{middle}{'-' if self.sign < 0 else ''}"


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """A token as the subject sees it: its text and where it stands in the string (character offsets)."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Activations of one forward pass.

    Attributes:
        values: per site a float tensor: text ``[stimulus, position, unit]`` (padded), image ``[stimulus, unit]``
            (spatial mean), or ``[stimulus, unit, height, width]`` when maps were asked for.
        lengths: text: number of real positions of each stimulus; image: all ones.
        moved: per intervention the largest absolute change it made in this batch. 0 is no error here (one batch may
            hold only stimuli that leave the unit silent); `read_units` raises when it is 0 in every batch.
    """

    values: Mapping[str, torch.Tensor]
    lengths: NDArray[np.int64]
    moved: tuple[float, ...] = ()


class Take(Protocol):
    """What `Subject.stream` calls in the middle of a pass, once a site and group of stimuli."""

    def __call__(self, site: str, values: torch.Tensor, places: Sequence[int], lengths: Sequence[int], /) -> None:
        """Reduce what stands at a site.

        Args:
            site: its name.
            values: ``[stimulus, position, unit]``, padded on the right, on the subject's device and in its own dtype; later
                layers may write into it, so nothing of it may be kept without a copy.
            places: where the stimuli stand in the batch that was given.
            lengths: real positions of each of them.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervention:
    """A change made at a site during the forward pass, for one unit.

    ``ablate_zero`` and ``ablate_mean`` (``value`` = the mean) and ``set`` replace the unit's activation; ``add`` adds
    ``value`` times the unit's direction. The hook asserts that the activation really changed.

    ``at``: texts only: the one position that changes, counted as in readings (-1: the last of each text); ``None``: all.
    """

    unit: Unit
    kind: Literal["ablate_zero", "ablate_mean", "set", "add"]
    value: float = 0.0
    at: int | None = None


class Subject(ABC):
    """A model under study: run stimuli, read units, intervene."""

    name: str
    modality: Modality
    batch_size: int = 8

    # --- what there is -------------------------------------------------------------------------------------------
    @abstractmethod
    def sites(self) -> tuple[Site, ...]:
        """All sites, in the order of the forward pass."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Hex digest that changes when the weights or the preprocessing change."""

    def site(self, name: str) -> Site:
        """The site of that name; ``UsageError`` with the nearest name otherwise."""
        known = {s.name: s for s in self.sites()}
        if name not in known:
            raise UsageError(
                f"{self.name} has no site {name!r}{did_you_mean(name, known)}: run  maieutic models {self.name}"
            )
        return known[name]

    def unit(self, site: str | None = None, index: int = 0, *, sign: int = 1) -> Unit:
        """A neuron or channel. With no arguments: the only unit of a subject that has one."""
        chosen = self.sites()[0] if site is None else self.site(site)
        if site is None and len(self.sites()) > 1:
            count = len(self.sites())
            raise UsageError(f"{self.name} has {count} sites: name one, as in  subject.unit('{chosen.name}', 0)")
        if index < 0 or (chosen.width is not None and index >= chosen.width):
            last = "?" if chosen.width is None else chosen.width - 1
            raise UsageError(f"{chosen.name} has units 0 to {last}, not {index}: choose one of those")
        return Unit(site=chosen.name, index=index, sign=sign)

    def direction(self, site: str, vector: Any, name: str, *, offset: float = 0.0) -> Unit:
        """Any direction at a site (a probe, a steering vector): reads ``raw @ vector + offset``."""
        array = np.asarray(vector, dtype=np.float32)
        width = self.site(site).width
        if array.ndim != 1 or (width is not None and array.shape[0] != width):
            raise UsageError(f"a direction at {site} is a vector of length {width}, not of shape {array.shape}")
        return Unit(site=site, vector=array, name=name, offset=offset)

    def with_lens(self, *, site: str, name: str, lens: Lens, names: Sequence[str] = (), what: str = "") -> Subject:
        """This subject with one more site, ``site.name``: what stands at ``site``, seen through a lens.

        Args:
            site: where the lens stands.
            name: of the new site, behind that of ``site``.
            lens: see `maieutic.subjects.lenses.Lens`.
            names: of its units, where they have names.
            what: one line for people.

        Raises:
            UserError: unknown site, the new site exists already, or a black box.
        """
        at = self.site(site)
        whole = f"{site}.{name}"
        seen = replace(
            at, name=whole, width=lens.width, lens=lens, names=tuple(names), what=what or f"{name} at {site}"
        )
        return self.with_sites([seen], called=name)

    def with_sites(self, sites: Sequence[Site], *, called: str, instead: bool = False) -> Subject:
        """This subject with more sites, its name followed by ``+called``. The network is shared.

        Args:
            sites: the new ones.
            called: what is added to the name; what ``load_subject`` takes, where it can be opened by name.
            instead: take the place of sites of the same name rather than raise.

        Raises:
            UserError: a site exists already, or a black box.
        """
        raise UserError(f"{self.name} has no inside that could be seen otherwise: use a network, or its own units")

    def latents(self, sae: Any, *, site: str | None = None, name: str | None = None) -> Subject:
        """This subject with one more site, ``SITE.sae``, whose units are latents of a sparse autoencoder.

        Args:
            sae: a folder or hub id of SAELens or sparsify, or what ``maieutic sae train`` wrote.
            site: where it stands; what its file says otherwise. name: of the units behind the site, ``sae`` by default.

        Raises:
            UserError: it cannot be read, does not say where it belongs, or belongs to a model of another width.
        """
        from maieutic.subjects.lenses.sae_sites import with_latents

        return with_latents(self, sae, site=site, name=name)

    def parse_unit(self, key: str) -> Unit:
        """The unit of a key such as ``layers.15.mlp/812`` or ``layers.15.mlp/812-``."""
        site, slash, tail = key.rpartition("/")
        sign = -1 if tail.endswith("-") else 1
        if not slash or not tail.rstrip("-").isdigit():
            raise UsageError(f"{key!r} is not a unit: write SITE/INDEX, as in  {self.sites()[0].name}/0")
        return self.unit(site, int(tail.rstrip("-")), sign=sign)

    # --- reading -------------------------------------------------------------------------------------------------
    @abstractmethod
    def tokens(self, text: str) -> list[TokenSpan]:
        """The tokens of a text, one per measured position (text subjects only)."""

    @abstractmethod
    def forward(
        self,
        stimuli: Sequence[Raw],
        sites: Sequence[str],
        *,
        interventions: Sequence[Intervention] = (),
        maps: bool = False,
    ) -> Batch:
        """One forward pass over one batch, stopped after the last site needed. Callers split into batches."""

    @property
    def per_pass(self) -> int:
        """Stimuli of one pass of a harvest: ``batch_size``; networks on the CPU say 1.

        There nothing is won by a batch, and a stimulus alone has the same values whatever stands beside it.
        """
        return self.batch_size

    def stream(self, stimuli: Sequence[Raw], sites: Sequence[str], take: Take) -> None:
        """One forward pass over one batch that keeps nothing: ``take`` reduces each site in the middle of the pass.

        Stopped after the last site needed. A stimulus without positions need not be taken. Subjects that are no networks
        make all values first and hand them over.
        """
        done = self.forward(stimuli, sites)
        lengths = done.lengths.tolist()
        for site in sites:
            values = done.values[site]
            take(site, values if values.ndim == 3 else values[:, None, :], range(len(lengths)), lengths)

    @abstractmethod
    def outputs(self, stimuli: Sequence[Raw], *, interventions: Sequence[Intervention] = ()) -> Values:
        """What the network finally says: ``[stimulus, class]`` logits; text: next-token logits after the text."""

    def outputs_each(
        self, stimuli: Sequence[Raw], changes: Sequence[Sequence[Intervention | None]]
    ) -> Iterator[Values]:
        """What the network says of each stimulus under each of its own changes, one change at a time.

        Args:
            stimuli: images, or texts.
            changes: for each stimulus what is to be changed; ``None``: nothing. An intervention may occur many times.

        Yields:
            For each stimulus ``[change, class]``, float32, as `outputs` gives.

        Cost: one full pass for each change of each stimulus. Causal language models whose changes are all at the last token
        (``at=-1``) read each text once, and then one token for each change.

        Raises:
            InterventionDidNothing: an intervention changed no activation of any stimulus that has it.
        """
        wanted: dict[int, tuple[Intervention | None, list[tuple[int, int]]]] = {}
        for i, given in enumerate(changes):
            for j, change in enumerate(given):
                wanted.setdefault(id(change), (change, []))[1].append((i, j))
        found: list[list[Values]] = [[np.zeros(0, np.float32)] * len(given) for given in changes]
        for change, places in wanted.values():
            said = self.outputs([stimuli[i] for i, _ in places], interventions=[] if change is None else [change])
            for (i, j), row in zip(places, said, strict=True):
                found[i][j] = row
        yield from (np.stack(rows) if rows else np.zeros((0, 0), np.float32) for rows in found)

    @abstractmethod
    def untrained(self, seed: int = 0) -> Subject:
        """The same architecture with fresh random weights: the null that every score stands beside.

        Raises ``UserError`` for a black box.
        """

    def read(
        self, stimuli: Sequence[Any], units: Sequence[Unit], *, interventions: Sequence[Intervention] = ()
    ) -> list[Values]:
        """Measure several units in one pass: per stimulus a float32 array ``[position, unit]`` (image: 1 position).

        Stimuli of one call are batched in the order of their length so that padding is small; results come back in
        the order given. Cost: one forward pass over the stimuli whatever the number of units.
        """
        from maieutic.subjects.reading import read_units

        return read_units(self, stimuli, units, interventions=interventions)

    def measure(self, stimuli: Sequence[Any], unit: Unit, *, interventions: Sequence[Intervention] = ()) -> Any:
        """Measured activation of one unit: an array per text (value per token), or one array with a value per image."""
        columns = [v[:, 0] for v in self.read(stimuli, [unit], interventions=interventions)]
        return np.array([c[0] for c in columns], dtype=np.float32) if self.modality == "image" else columns


def raw(stimulus: Any) -> Raw:
    """The string or image inside a stimulus; strings and images are themselves."""
    return getattr(stimulus, "content", stimulus)
