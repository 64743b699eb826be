"""Planted subjects: units whose truth is known exactly, so that an explainer can be marked right or wrong.

A planted subject computes each unit from a rule over the words of a text, or over the annotations and pixels of an
image. It is read like any network (one site, one unit per rule), and every rule also gives its noiseless truth on any
stimulus, edited ones included. Which words and concepts the rules are about is chosen from a corpus in
``maieutic.subjects.planting``. What this module does not do: it does not imitate how networks fail (polysemantic
units, superposition), and an easy planted unit says nothing about a hard real one.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UserError
from maieutic.subjects.base import (
    Batch,
    Intervention,
    Modality,
    Site,
    Subject,
    TokenSpan,
    Unit,
    Values,
    raw,
)

if TYPE_CHECKING:
    from PIL.Image import Image

    from maieutic.subjects.base import Raw

Truth = NDArray[np.float64]
SITE = "planted"
#: key of ``Image.info`` under which annotations travel with the pixels
_NOTE = "maieutic.things"
_TOKEN = re.compile(r"[A-Za-z]+|\d+|[^\sA-Za-z\d]")
Box = tuple[float, float, float, float]


def words_of(text: str) -> list[str]:
    """The words, numbers and marks of a text, lower case."""
    return [m.group().lower() for m in _TOKEN.finditer(text)]


# --- what an image is to a rule ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """An image as rules see it: concept -> boxes (left, top, right, bottom; 0 to 1), and the picture."""

    boxes: Mapping[str, Sequence[Box]]
    picture: Callable[[], Image]


def seen(stimulus: Any) -> Seen:
    """Annotations and pixels of a ``Stimulus``, or of an image that carries them (``annotated``).

    Raises:
        UserError: a bare image, of which nothing is known.
    """
    things = getattr(stimulus, "things", None)
    tags: Sequence[str] = getattr(stimulus, "tags", ())
    if things is None:
        things, tags = getattr(stimulus, "info", {}).get(_NOTE, (None, ()))
    if things is None:
        raise UserError(
            "a planted image subject reads annotations: give it Stimulus objects, or harvest annotated(corpus)"
        )
    # tags say what a picture is about where nobody annotated things; beside things they may be about its making
    boxes: dict[str, list[Box]] = {} if things else {tag: [(0.0, 0.0, 1.0, 1.0)] for tag in tags}
    for thing in things:
        for concept in dict.fromkeys((thing.name, *thing.concepts)):
            boxes.setdefault(concept, []).append(thing.box)
    return Seen(boxes, lambda: cast("Image", raw(stimulus)))


def annotated(corpus: Any) -> Any:
    """The same corpus, with each picture carrying its annotations, so that planted subjects can read bare pictures."""

    def loader(stimulus: Any) -> Callable[[], Any]:
        def load() -> Any:
            picture = stimulus.content.copy()
            picture.info[_NOTE] = (stimulus.things, stimulus.tags)
            return picture

        return load

    return replace(corpus, stimuli=tuple(replace(s, load=loader(s)) for s in corpus.stimuli))


# --- rules ---------------------------------------------------------------------------------------------------------


class Rule(ABC):
    """What a planted unit computes: truth in [0, 1] at every position, without noise."""

    @abstractmethod
    def truth(self, view: Any) -> Truth:
        """``[position]``; ``view`` is the list of words of a text, or the ``Seen`` of an image (one position)."""


@dataclass(frozen=True)
class Nothing(Rule):
    """Never fires (a dead unit; also the truth of pure noise)."""

    def truth(self, view: Any) -> Truth:
        return np.zeros(len(view) if isinstance(view, list) else 1)


@dataclass(frozen=True)
class Words(Rule):
    """Fires on words, each with its strength."""

    strengths: tuple[tuple[str, float], ...]

    def truth(self, view: list[str]) -> Truth:
        table = dict(self.strengths)
        return np.array([table.get(word, 0.0) for word in view])


@dataclass(frozen=True)
class WordNear(Rule):
    """Fires on a word that has ``before`` among the ``within`` tokens before it; ``absent``: that has it not."""

    word: str
    before: str
    within: int
    absent: bool = False

    def truth(self, view: list[str]) -> Truth:
        hits = [
            word == self.word and (self.before in view[max(0, i - self.within) : i]) != self.absent
            for i, word in enumerate(view)
        ]
        return np.array(hits, dtype=np.float64)


@dataclass(frozen=True)
class Follows(Rule):
    """Fires on whatever token comes right after a word."""

    before: str

    def truth(self, view: list[str]) -> Truth:
        return np.array([i > 0 and view[i - 1] == self.before for i in range(len(view))], dtype=np.float64)


@dataclass(frozen=True)
class First(Rule):
    """Fires on the first tokens of a text."""

    n: int

    def truth(self, view: list[str]) -> Truth:
        return (np.arange(len(view)) < self.n).astype(np.float64)


@dataclass(frozen=True)
class Shows(Rule):
    """Fires when any of ``any_of`` is in the picture, and all of ``and_also``, and none of ``and_not``."""

    any_of: tuple[str, ...]
    and_also: tuple[str, ...] = ()
    and_not: tuple[str, ...] = ()

    def truth(self, view: Seen) -> Truth:
        here = view.boxes
        on = (
            any(c in here for c in self.any_of)
            and all(c in here for c in self.and_also)
            and not any(c in here for c in self.and_not)
        )
        return np.array([float(on)])


@dataclass(frozen=True)
class ShowsAt(Rule):
    """Fires when the middle of a thing lies in one half of the picture."""

    concept: str
    half: str  # left, right, top, bottom

    def truth(self, view: Seen) -> Truth:
        on = False
        for left, top, right, bottom in view.boxes.get(self.concept, ()):
            x, y = (left + right) / 2, (top + bottom) / 2
            on = on or {"left": x < 0.5, "right": x > 0.5, "top": y < 0.5, "bottom": y > 0.5}[self.half]
        return np.array([float(on)])


@dataclass(frozen=True)
class Size(Rule):
    """Grows with the share of the picture that the largest such thing covers; 1 at ``full`` and above."""

    concept: str
    full: float

    def truth(self, view: Seen) -> Truth:
        areas = [(r - x) * (b - y) for x, y, r, b in view.boxes.get(self.concept, ())]
        return np.array([min(max(areas, default=0.0) / self.full, 1.0)])


@dataclass(frozen=True)
class Colour(Rule):
    """Grows with the share of pixels of a colour; 0 up to ``start``, 1 from ``full``."""

    colour: str  # red, green, blue
    start: float
    full: float

    def truth(self, view: Seen) -> Truth:
        share = colour_share(view.picture(), self.colour)
        return np.array([float(np.clip((share - self.start) / (self.full - self.start), 0.0, 1.0))])


def colour_share(picture: Image, colour: str) -> float:
    """Share of pixels in which one channel clearly leads the other two, on a 64 x 64 copy."""
    pixels = np.asarray(picture.convert("RGB").resize((64, 64)), dtype=np.float64)
    i = ("red", "green", "blue").index(colour)
    other = np.maximum(pixels[..., (i + 1) % 3], pixels[..., (i + 2) % 3])
    return float(((pixels[..., i] > 1.25 * other) & (pixels[..., i] > 60)).mean())


# --- the subject ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A rule with its name, its class, the noise of its measurements, and what it is about in words.

    Attributes:
        kind: class (``single``, ``or``, ``and``, ``and_not``, ``context``, ``positional``, ``graded``, ``noisy``,
            ``spurious``, ``dead``, ``noise``).
        noise: standard deviation of what is added to the truth of every measurement, in units of a full activation.
        involved: words or concepts that an edit should touch to test the rule.
    """

    name: str
    kind: str
    rule: Rule
    about: str
    noise: float = 0.0
    involved: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PlantedUnit:
    """A unit of a planted subject and its exact truth.

    Attributes:
        explainable: false for dead and noise units: the only right answer is an abstention.
        truth: stimuli -> true activation without noise, ``[position]`` each (images: one position).
    """

    name: str
    kind: str
    about: str
    subject: Subject
    unit: Unit
    explainable: bool
    involved: tuple[str, ...]
    truth: Callable[[Sequence[Any]], list[Truth]] = field(repr=False)


class PlantedSubject(Subject):
    """A subject with one site and one unit per rule. Deterministic: noise depends on content, unit and seed only."""

    def __init__(self, rules: Sequence[Planted], *, modality: Modality, seed: int = 0) -> None:
        self.name, self.modality, self.seed = f"planted-{modality}", modality, seed
        self.batch_size = 64
        self.rules = tuple(rules)

    def sites(self) -> tuple[Site, ...]:
        positions = "token" if self.modality == "text" else "none"
        return (Site(name=SITE, width=len(self.rules), positions=positions, what="units with known truth"),)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(repr((self.modality, self.seed, self.rules)).encode()).hexdigest()[:16]

    def units(self) -> tuple[PlantedUnit, ...]:
        """Every unit with its truth, in order."""
        return tuple(
            PlantedUnit(
                name=p.name, kind=p.kind, about=p.about, subject=self, unit=self.unit(SITE, i), involved=p.involved,
                explainable=p.kind not in ("dead", "noise"), truth=self._truth(p.rule),
            )
            for i, p in enumerate(self.rules)
        )  # fmt: skip

    def _truth(self, rule: Rule) -> Callable[[Sequence[Any]], list[Truth]]:
        return lambda stimuli: [rule.truth(self._view(s)) for s in stimuli]

    def _view(self, stimulus: Any) -> Any:
        return words_of(str(raw(stimulus))) if self.modality == "text" else seen(stimulus)

    def tokens(self, text: str) -> list[TokenSpan]:
        return [TokenSpan(m.group(), m.start(), m.end()) for m in _TOKEN.finditer(text)]

    def _values(self, stimulus: Any) -> Values:
        """Measured activations ``[position, unit]``: truth plus noise."""
        view = self._view(stimulus)
        columns = [p.rule.truth(view) for p in self.rules]
        noisy = [i for i, p in enumerate(self.rules) if p.noise > 0]
        if noisy:
            content = raw(stimulus)
            key = content.encode() if isinstance(content, str) else content.convert("RGB").tobytes()
            digest = hashlib.sha256(str(self.seed).encode() + b":" + key).digest()
            draws = np.random.default_rng(int.from_bytes(digest[:8], "big"))
            for i in noisy:
                columns[i] = columns[i] + self.rules[i].noise * draws.standard_normal(len(columns[i]))
        return np.stack(columns, axis=1).astype(np.float32)

    def read(
        self, stimuli: Sequence[Any], units: Sequence[Unit], *, interventions: Sequence[Intervention] = ()
    ) -> list[Values]:
        """As every subject; annotations of ``Stimulus`` objects are used."""
        _no(interventions)
        rows = [self._values(s) for s in stimuli]
        return [np.stack([_column(v, u) for u in units], axis=1) for v in rows]

    def forward(
        self,
        stimuli: Sequence[Raw],
        sites: Sequence[str],
        *,
        interventions: Sequence[Intervention] = (),
        maps: bool = False,
    ) -> Batch:
        import torch

        _no(interventions)
        for site in sites:
            self.site(site)
        if maps:
            raise UserError(f"{self.name} has no maps: it gives one value an image")
        rows = [self._values(s) for s in stimuli]
        lengths = np.array([len(r) for r in rows], dtype=np.int64)
        if self.modality == "image":
            values = torch.from_numpy(np.concatenate(rows))
        else:
            padded = np.zeros((len(rows), max(int(lengths.max(initial=0)), 1), len(self.rules)), dtype=np.float32)
            for i, r in enumerate(rows):
                padded[i, : len(r)] = r
            values = torch.from_numpy(padded)
        return Batch(values=dict.fromkeys(sites, values), lengths=lengths)

    def outputs(self, stimuli: Sequence[Raw], *, interventions: Sequence[Intervention] = ()) -> Values:
        raise UserError(f"{self.name} has no outputs: it is units only")

    def untrained(self, seed: int = 0) -> Subject:
        raise UserError(f"{self.name} is not a network: there is no untrained copy of it")


def _no(interventions: Sequence[Intervention]) -> None:
    if interventions:
        raise UserError("planted units cannot be intervened on: nothing stands behind them")


def _column(values: Values, unit: Unit) -> Values:
    if unit.index is not None:
        return unit.sign * values[:, unit.index]
    assert unit.vector is not None
    return (unit.sign * (values @ unit.vector + unit.offset)).astype(np.float32)
