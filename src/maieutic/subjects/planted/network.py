"""Planted networks: small real torch networks, trained so that chosen units carry known concepts and decide known outputs.

They are read, harvested, ablated and steered through the same code as any model, and unlike any model their truth is
known: what each planted unit carries on any stimulus, and which outputs it raises. One more unit carries a concept and
is connected to nothing. What this module does not do: it makes no corpus (`maieutic.stimuli.planted_corpus`), and the
units that are not planted have no known truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UsageError
from maieutic.subjects.base import Modality, Subject, Unit, raw
from maieutic.subjects.planted.network_language import Language, language
from maieutic.subjects.planted.network_pictures import Gallery, gallery


@dataclass(frozen=True, kw_only=True)
class NetworkUnit:
    """A planted unit of a network, with its exact truth and what it decides.

    Attributes:
        name, kind, about: the concept; kinds are ``single``, ``or``, ``and_not``, ``context``, ``class``, ``graded``,
            ``positional``, and ``idle`` (carried, but connected to nothing).
        unit: where it is.
        involved: words or concepts that the condition names.
        raises: columns of ``subject.outputs`` that it raises when active; empty for an idle unit.
        raised: what they stand for: words, or class names.
        truth: stimuli -> true strength of the concept, ``[position]`` each, 0 to 1 (images: one position; they must be
            stimuli with annotations).
    """

    name: str
    kind: str
    about: str
    unit: Unit
    involved: tuple[str, ...]
    raises: tuple[int, ...]
    raised: tuple[str, ...]
    truth: Callable[[Sequence[Any]], list[NDArray[np.float64]]] = field(repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class PlantedNetwork:
    """A trained network with its planted units.

    Attributes:
        subject: an ordinary subject.
        site: where the planted units are.
        units: planted units, in order; unit ``i`` is index ``i`` of ``site``.
        outputs: names of the columns of ``subject.outputs``.
        material: what stimuli are drawn from: a ``Language`` or a ``Gallery``.
        seed: of concepts, weights and training.
    """

    subject: Subject
    site: str
    units: tuple[NetworkUnit, ...]
    outputs: tuple[str, ...]
    material: Language | Gallery
    seed: int

    @property
    def modality(self) -> Modality:
        """``text`` or ``image``."""
        return self.subject.modality

    def named(self, name: str) -> NetworkUnit:
        """The planted unit of a name, as in ``word-0``."""
        return next(u for u in self.units if u.name == name)

    @property
    def ordinary(self) -> tuple[Unit, ...]:
        """The other units of the site, which carry nothing on purpose."""
        width = self.subject.site(self.site).width or 0
        return tuple(self.subject.unit(self.site, i) for i in range(len(self.units), width))


def planted_network(modality: Modality, seed: int = 0) -> PlantedNetwork:
    """The planted network of a modality and seed, trained at the first call and kept in the user cache.

    Cost: about 10 s on one core, once a machine. The same seed gives the same weights on one machine.

    Raises:
        UsageError: the modality is neither ``text`` nor ``image``.
    """
    return _trained(modality, seed)


@lru_cache(maxsize=4)
def _trained(modality: Modality, seed: int) -> PlantedNetwork:
    if modality == "text":
        from maieutic.subjects.planted.network_text import SITE, text_subject

        words = language(seed)
        return _network(text_subject(words, seed=seed), SITE, words, words.words, words.followers, _text_truth, seed)
    if modality == "image":
        from maieutic.subjects.planted.network_image import SITE, image_subject

        shown = gallery(seed)
        return _network(image_subject(shown, seed=seed), SITE, shown, shown.classes, shown.raises, _image_truth, seed)
    raise UsageError(f"planted networks read 'text' or 'image', not {modality!r}: choose one of those")


def load(name: str) -> Subject:
    """The subject ``planted:<name>``, where the name is ``text`` or ``image``, or one of them with a seed (``text-3``).

    Raises:
        UsageError: another name.
    """
    modality, _, seed = name.partition("-")
    if modality not in ("text", "image") or (seed and not seed.isdigit()):
        raise UsageError(f"no planted network is called {name!r}: write  planted:text, planted:image or planted:text-3")
    return planted_network(modality, int(seed or 0)).subject


def _network(
    subject: Subject,
    site: str,
    material: Language | Gallery,
    outputs: tuple[str, ...],
    raises: tuple[tuple[int, ...], ...],
    truth: Callable[..., list[NDArray[np.float64]]],
    seed: int,
) -> PlantedNetwork:
    units = tuple(
        NetworkUnit(
            name=c.name, kind=c.kind, about=c.about, unit=subject.unit(site, i), involved=c.involved, raises=raises[i],
            raised=tuple(outputs[o] for o in raises[i]), truth=partial(truth, material, i),
        )
        for i, c in enumerate(material.concepts)
    )  # fmt: skip
    return PlantedNetwork(subject=subject, site=site, units=units, outputs=outputs, material=material, seed=seed)


def _text_truth(material: Language, i: int, stimuli: Sequence[Any]) -> list[NDArray[np.float64]]:
    return [material.truth(str(raw(s)))[:, i] for s in stimuli]


def _image_truth(material: Gallery, i: int, stimuli: Sequence[Any]) -> list[NDArray[np.float64]]:
    return [np.array([material.concepts[i].truth(s.things)]) for s in stimuli]
