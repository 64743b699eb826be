"""Named directions at a site as units: probes, principal components, differences of means, steering vectors of one's own.

A file of directions is safetensors: a tensor ``SITE.NAME`` of shape ``[direction, hidden]`` or ``[hidden]`` makes a site of
that name, whose units are its rows. A tensor ``offsets:SITE.NAME`` (``[direction]``) is added to the readings. The header's
``note`` may give names of units and how they were made; files of other programs need none.

What this module does not do: find directions (see `fitting`, and ``maieutic directions``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from maieutic.errors import StoreError, UserError
from maieutic.store import read_tensors, write_tensors
from maieutic.subjects.base import Intervention, Site, Subject, Unit
from maieutic.subjects.lenses.base import step
from maieutic.subjects.networks import NetworkSubject

_OFFSETS = "offsets:"


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionSet:
    """Directions at one site.

    Attributes:
        site: where they stand. name: of the set: its units are at ``site.name``.
        vectors: float32 ``[direction, hidden]``. offsets: float32 ``[direction]``; a reading is ``raw @ vector + offset``.
        names: of the directions.
        made: how, for people (plain JSON values).
    """

    site: str
    name: str
    vectors: NDArray[np.float32]
    offsets: NDArray[np.float32]
    names: tuple[str, ...]
    made: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.vectors.ndim == 2
        assert len(self.vectors) == len(self.offsets) == len(self.names)


class DirectionsLens:
    """Readings along vectors of the module's own space."""

    def __init__(self, vectors: NDArray[np.float32], offsets: NDArray[np.float32] | None = None) -> None:
        """Look along vectors.

        Args:
            vectors: ``[direction, hidden]``, none of length 0.
            offsets: ``[direction]``; 0 otherwise.
        """
        self.vectors = torch.from_numpy(np.array(vectors, dtype=np.float32))
        shifts = np.zeros(len(vectors), np.float32) if offsets is None else np.array(offsets, dtype=np.float32)
        self.offsets = torch.from_numpy(shifts)

    @property
    def width(self) -> int:
        """Number of directions."""
        return len(self.vectors)

    @property
    def fingerprint(self) -> str:
        """Digest of vectors and offsets."""
        digest = blake2b(str(tuple(self.vectors.shape)).encode(), digest_size=8)
        digest.update(self.vectors.numpy().tobytes())
        digest.update(self.offsets.numpy().tobytes())
        return f"directions/1:{digest.hexdigest()}"

    def read(self, raw: Tensor) -> Tensor:
        """``raw @ vector + offset`` for each direction."""
        return raw.float() @ self.vectors.to(raw.device).T + self.offsets.to(raw.device)

    def change(self, raw: Tensor, change: Intervention, where: Tensor) -> Tensor:
        """The least movement that gives the reading its value; all that is orthogonal to the direction stays.

        ``add`` raises the reading by ``value``, as for a neuron; for a direction of length 1 that is a step of this length.
        """
        moved = step(change, self.read(raw), where)
        if change.unit.vector is not None:
            # `step` counts along the combination's own vector
            moved = moved * float(np.square(change.unit.vector).sum())
        return raw + (moved[..., None] * self._along(change.unit).to(raw.device)).to(raw.dtype)

    def along(self, unit: Unit) -> Tensor | None:
        """The direction divided by its squared length."""
        return self._along(unit)

    def _along(self, unit: Unit) -> Tensor:
        if unit.index is not None:
            vector = self.vectors[unit.index]
        else:
            vector = torch.as_tensor(unit.vector, dtype=torch.float32) @ self.vectors
        return vector / vector.square().sum().clamp_min(1e-30)

    def fresh(self, seed: int, module: nn.Module) -> DirectionsLens:
        """Random directions of the same lengths and offsets: what was found in a trained network is not in a fresh one."""
        del module
        drawn = np.random.default_rng([seed, 17]).standard_normal(tuple(self.vectors.shape))
        drawn *= self.vectors.norm(dim=1, keepdim=True).numpy() / np.linalg.norm(drawn, axis=1, keepdims=True)
        return DirectionsLens(drawn.astype(np.float32), self.offsets.numpy())


def write_directions(file: str | Path, sets: Sequence[DirectionSet]) -> None:
    """Write sets of directions into one file."""
    arrays: dict[str, NDArray[Any]] = {}
    note: dict[str, dict[str, Any]] = {}
    for found in sets:
        key = f"{found.site}.{found.name}"
        arrays[key], arrays[f"{_OFFSETS}{key}"] = found.vectors, found.offsets
        note[key] = {"site": found.site, "names": list(found.names), "made": dict(found.made)}
    write_tensors(Path(file), arrays, note={"directions": note})


def read_directions(file: str | Path, sites: Sequence[str]) -> tuple[DirectionSet, ...]:
    """The sets of a file, in the order of their names.

    Args:
        file: see the module.
        sites: names of sites that sets can stand at; the longest that a set's name begins with is meant.

    Raises:
        UserError: no such file, no safetensors, or a set that stands nowhere, is no matrix, not finite or has a vector of 0.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise UserError(f"no file {path}: make one with  maieutic directions")
    try:
        arrays, note = read_tensors(path)
    except StoreError as error:
        raise UserError(f"{path} holds no directions ({error}): give a .safetensors file") from error
    told: Any = note.get("directions")
    notes = cast("Mapping[str, Any]", told) if isinstance(told, dict) else {}
    found = [
        _read_set(path, key, arrays, notes.get(key), sites) for key in sorted(arrays) if not key.startswith(_OFFSETS)
    ]
    if not found:
        raise UserError(f"{path} holds no tensors: give directions, as tensors called SITE.NAME")
    return tuple(found)


def _read_set(
    path: Path, key: str, arrays: Mapping[str, NDArray[Any]], note: Any, sites: Sequence[str]
) -> DirectionSet:
    at = max((s for s in sites if key.startswith(f"{s}.") and len(key) > len(s) + 1), key=len, default=None)
    if at is None:
        first = next(iter(sites), "SITE")
        raise UserError(f"{path}: {key} begins with no site of the model: call tensors SITE.NAME, as in  {first}.probe")
    vectors = np.atleast_2d(np.asarray(arrays[key], dtype=np.float32))
    offsets = np.asarray(arrays.get(f"{_OFFSETS}{key}", np.zeros(len(vectors))), dtype=np.float32).reshape(-1)
    if vectors.ndim != 2 or len(vectors) == 0 or len(offsets) != len(vectors):
        raise UserError(f"{path}: {key} is no matrix of directions with an offset each: write [direction, hidden]")
    if not (np.isfinite(vectors).all() and np.isfinite(offsets).all() and np.any(vectors, axis=1).all()):
        raise UserError(f"{path}: {key} has a direction of length 0 or not finite: leave it out")
    told = cast("dict[str, Any]", note) if isinstance(note, dict) else {}
    names: Any = told.get("names")
    good = isinstance(names, list) and len(cast("list[Any]", names)) == len(vectors)
    shown = tuple(str(n) for n in names) if good else tuple(str(i) for i in range(len(vectors)))
    made: Any = told.get("made")
    return DirectionSet(
        site=at, name=key[len(at) + 1 :], vectors=vectors, offsets=offsets, names=shown,
        made=cast("dict[str, Any]", made) if isinstance(made, dict) else {},
    )  # fmt: skip


def attach(subject: Subject, argument: str) -> Subject:
    """The subject with a site for each set of directions in a file.

    Args:
        subject: a network.
        argument: path of the file.

    Raises:
        UserError: a black box, or the file does not fit.
    """
    if not argument:
        raise UserError(
            "+directions needs a file: write  +directions:FILE.safetensors  (maieutic directions makes one)"
        )
    return with_directions(subject, read_directions(argument, _plain(subject)), called=f"directions:{argument}")


def with_directions(subject: Subject, sets: Sequence[DirectionSet], *, called: str = "directions") -> Subject:
    """The subject with a site for each set of directions.

    Raises:
        UserError: a black box, an unknown site, or vectors of another length than the site is wide.
    """
    if not isinstance(subject, NetworkSubject):
        raise UserError(f"{subject.name} is no network: only networks have directions inside")
    sites: list[Site] = []
    for found in sets:
        at = subject.site(found.site)
        if at.width is not None and at.width != found.vectors.shape[1]:
            raise UserError(
                f"{found.name}: directions of length {found.vectors.shape[1]} at {at.name}, which has {at.width} units: "
                "use the model that they were made on"
            )
        sites.append(
            Site(
                name=f"{at.name}.{found.name}",
                module=at.module,
                io=at.io,
                width=len(found.vectors),
                positions=at.positions,
                what=_told(found, subject),
                channels_last=at.channels_last,
                lens=DirectionsLens(found.vectors, found.offsets),
                names=found.names,
            )
        )
    return subject.with_sites(sites, called=called)


def _plain(subject: Subject) -> list[str]:
    return [s.name for s in subject.sites() if s.lens is None]


def _told(found: DirectionSet, subject: NetworkSubject) -> str:
    """One line for people: how many, of what kind, and whether they come from other weights."""
    kind = found.made.get("what") or "directions"
    weights = found.made.get("weights")
    other = "" if weights in (None, subject.weights) else ", made on other weights"
    return f"{len(found.vectors)} {kind} at {found.site}{other}"
