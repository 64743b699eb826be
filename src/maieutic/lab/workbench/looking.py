"""Looking: which units there are, exemplars of the discover split, where in a picture a unit fires, tokens of a text.

Free of charge and not an experiment: nothing here measures a stimulus that was not harvested or measured before.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from maieutic.errors import UserError
from maieutic.harvest.atlas import Exemplar
from maieutic.lab.workbench.desk import Desk, Place
from maieutic.stimuli.base import Stimulus
from maieutic.subjects.reading import activation_maps

#: exemplars of one call at most
MOST = 50
#: brightness left outside the lit region of a highlighted picture
_DIM = 0.25


class Looking:
    """The calls that show what is known already."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def units(self) -> list[dict[str, Any]]:
        """Every unit: name, model, modality, what its 0-1 scale means in raw units, measurements left."""
        return [self._unit(place) for place in self._desk.places.values()]

    def _unit(self, place: Place) -> dict[str, Any]:
        lab = place.lab
        site = lab.subject.site(lab.unit.site)
        zero, one = lab.scale
        return {
            "name": place.name, "model": lab.subject.name, "modality": place.modality, "site": site.name,
            "what": site.what, "per": {"token": "token", "spatial": "region", "none": "stimulus"}[site.positions],
            "zero": zero, "one": one, "left": lab.remaining,
        }  # fmt: skip

    def exemplars(
        self, n: int = 10, *, where: Literal["top", "spectrum"] = "spectrum", unit: str | None = None
    ) -> list[dict[str, Any]]:
        """Exemplars of the discover split with their values, strongest first.

        Raises:
            UserError: more than 50 asked, or none.
        """
        if not 1 <= n <= MOST:
            raise UserError(f"exemplars come 1 to {MOST} at a time, not {n}: ask for fewer")
        place = self._desk.place(unit)
        return [self._exemplar(place, e.stimulus, e.position, e.value) for e in _distinct(place, n, where)]

    def _exemplar(self, place: Place, stimulus: Stimulus, position: int, value: float) -> dict[str, Any]:
        assert stimulus.split == "discover", "explainers see the discover split only"
        self._desk.material.remember(stimulus, "exemplar")
        values = place.harvested[stimulus.id]
        seen = place.seen(stimulus, values, raw=value)
        what = {"text": stimulus.content} if place.modality == "text" else {"image": stimulus.content}
        return {**seen, **what, "position": position if place.modality == "text" else None}

    def highlight(self, image: Any, *, unit: str | None = None) -> Any:
        """The picture with the region that drives the unit lit and the rest dimmed.

        Lit is where the unit's map reaches the middle between its median and its largest value.

        Raises:
            UserError: a picture that was neither an exemplar nor measured on this unit, or a text unit.
        """
        place = self._desk.place(unit)
        if place.modality == "text":
            raise UserError(f"{place.name} reads texts: the tokens of a result carry its values")
        name = self._desk.material.name(image)
        stimulus = self._desk.material.known.get(name)
        if stimulus is None or (name not in place.lab.shown and name not in place.harvested):
            raise UserError("only exemplars and measured pictures are highlighted: measure it first")
        return highlighted(stimulus.content, activation_maps(place.lab.subject, [stimulus], place.lab.unit)[0])

    def tokens(self, text: str, *, unit: str | None = None) -> list[list[Any]]:
        """The tokens of a text as the unit's model sees them: (text, start, end) in characters."""
        place = self._desk.place(unit)
        if place.modality == "image":
            raise UserError(f"{place.name} looks at pictures, which have no tokens: name a text unit")
        return [[s.text, s.start, s.end] for s in place.lab.subject.tokens(text)]


def _distinct(place: Place, n: int, where: Literal["top", "spectrum"]) -> list[Exemplar]:
    """Exemplars of ``n`` different stimuli, as far as there are: the two halves of a spectrum often share some.

    More are asked for until there are enough; then the strongest stays and those after it give way.
    """
    where = "top" if n == 1 else where
    found: list[Exemplar] = []
    for asked in range(n, 2 * n + 3):
        seen: dict[str, Exemplar] = {}
        for exemplar in place.lab.exemplars(asked, where=where):
            seen.setdefault(exemplar.stimulus.id, exemplar)
        found = list(seen.values())
        if len(found) >= n:
            break
    more = len(found) - n
    return found if more <= 0 else found[:n] if where == "top" else [found[0], *found[1 + more :]]


def highlighted(picture: Any, activation: Any) -> Any:
    """A picture dimmed outside the region where the map ``[height, width]`` passes half way from median to maximum."""
    from PIL import Image

    low, high = float(np.median(activation)), float(np.max(activation))
    if high <= low:
        return picture.copy()
    level = Image.fromarray(np.asarray((activation - low) / (high - low), dtype=np.float32), mode="F")
    lit = np.asarray(level.resize(picture.size, Image.Resampling.BILINEAR)) >= 0.5
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float32)
    return Image.fromarray(np.where(lit[..., None], pixels, _DIM * pixels).round().astype(np.uint8))
