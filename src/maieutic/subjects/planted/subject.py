"""The planted subject: reads like any network (one site, one unit per rule) and gives each unit's exact truth."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from maieutic.errors import UserError
from maieutic.subjects.base import Batch, Intervention, Modality, Site, Subject, TokenSpan, Unit, Values, raw
from maieutic.subjects.planted.image_rules import seen
from maieutic.subjects.planted.rule import Rule, Truth
from maieutic.subjects.planted.text_view import TextView, tokens_of

if TYPE_CHECKING:
    from maieutic.subjects.base import Raw

SITE = "planted"
#: sets of texts whose views a subject keeps
_KEEP = 16


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A rule with its name, its class, the noise of its measurements, and what it is about in words.

    Attributes:
        kind: class (``single``, ``or``, ``and``, ``and_not``, ``context``, ``positional``, ``graded``, ``rare``,
            ``noisy``, ``polysemantic``, ``spurious``, ``dead``, ``noise``).
        noise: standard deviation of what is added to the truth of every measurement, in units of a full activation.
        involved: words or concepts that an edit should touch to test the rule.
        family: what sort of thing the rule is about (``word``, ``word class``, ``topic``, ``number``, ``punctuation``,
            ``code``, ``place``; ``object``, ``colour``, ``texture``, ``shape``, ``place``, ``conjunction``).
    """

    name: str
    kind: str
    rule: Rule
    about: str
    noise: float = 0.0
    involved: tuple[str, ...] = ()
    family: str = ""


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
    family: str
    truth: Callable[[Sequence[Any]], list[Truth]] = field(repr=False)


class PlantedSubject(Subject):
    """A subject with one site and one unit per rule. Deterministic: noise depends on content, unit and seed only."""

    def __init__(
        self, rules: Sequence[Planted], *, modality: Modality, seed: int = 0, name: str = "", site: str = SITE
    ) -> None:
        """A subject of these rules; ``name`` and ``site`` are what it goes by, where nobody is to know that it is planted."""
        self.name, self.modality, self.seed = name or f"planted-{modality}", modality, seed
        self._at = site
        self.batch_size = 64
        self.rules = tuple(rules)
        self._views: OrderedDict[tuple[str, ...], TextView] = OrderedDict()

    def sites(self) -> tuple[Site, ...]:
        positions = "token" if self.modality == "text" else "none"
        what = "units with known truth" if self._at == SITE else ""
        return (Site(name=self._at, width=len(self.rules), positions=positions, what=what),)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(repr((self.modality, self.seed, self.rules)).encode()).hexdigest()[:16]

    def units(self) -> tuple[PlantedUnit, ...]:
        """Every unit with its truth, in order."""
        return tuple(
            PlantedUnit(
                name=p.name, kind=p.kind, about=p.about, subject=self, unit=self.unit(self._at, i), involved=p.involved,
                explainable=p.kind not in ("dead", "noise"), family=p.family,
                truth=self._truth(p.rule),
            )
            for i, p in enumerate(self.rules)
        )  # fmt: skip

    def _truth(self, rule: Rule) -> Callable[[Sequence[Any]], list[Truth]]:
        if self.modality == "image":
            return lambda stimuli: [rule.truth(seen(s)) for s in stimuli]

        def truth(stimuli: Sequence[Any]) -> list[Truth]:
            view = self._texts(tuple(str(raw(s)) for s in stimuli))
            return view.split(rule.truth(view))

        return truth

    def _texts(self, texts: tuple[str, ...]) -> TextView:
        """The texts as rules see them; the last few sets are kept, as many units are read on the same texts."""
        found = self._views.get(texts)
        if found is None:
            found = self._views[texts] = TextView(texts)
            if len(self._views) > _KEEP:
                self._views.popitem(last=False)
        return found

    def tokens(self, text: str) -> list[TokenSpan]:
        return tokens_of(text)

    def _values(self, stimuli: Sequence[Any], wanted: Sequence[int]) -> list[Values]:
        """Measured activations ``[position, unit]`` of the wanted rules, truth plus noise, for each stimulus."""
        if self.modality == "text":
            view = self._texts(tuple(str(raw(s)) for s in stimuli))
            columns = {i: view.split(self.rules[i].rule.truth(view)) for i in dict.fromkeys(wanted)}
        else:
            pictures = [seen(s) for s in stimuli]
            columns = {i: [self.rules[i].rule.truth(p) for p in pictures] for i in dict.fromkeys(wanted)}
        for i, column in columns.items():
            if self.rules[i].noise > 0:
                columns[i] = [c + self._noise(i, s, len(c)) for c, s in zip(column, stimuli, strict=True)]
        return [np.stack([columns[i][k] for i in wanted], axis=1).astype(np.float32) for k in range(len(stimuli))]

    def _noise(self, rule: int, stimulus: Any, n: int) -> Truth:
        content = raw(stimulus)
        key = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content.convert("RGB").tobytes()
        digest = hashlib.sha256(f"{self.seed}:{rule}:".encode() + key).digest()
        draws = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        return self.rules[rule].noise * draws.standard_normal(n)

    def read(
        self, stimuli: Sequence[Any], units: Sequence[Unit], *, interventions: Sequence[Intervention] = ()
    ) -> list[Values]:
        """As every subject; annotations of ``Stimulus`` objects are used. Only the rules asked for are computed."""
        _no(interventions)
        if not stimuli or not units:
            lengths = [len(tokens_of(str(raw(s)))) if self.modality == "text" else 1 for s in stimuli]
            return [np.zeros((n, len(units)), dtype=np.float32) for n in lengths]
        indexed = [u.index for u in units]
        if None not in indexed:
            rows = self._values(stimuli, [i for i in indexed if i is not None])
            return [v * np.array([u.sign for u in units], dtype=np.float32) for v in rows]
        rows = self._values(stimuli, range(len(self.rules)))
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
        rows = self._values(stimuli, range(len(self.rules)))
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
        raise UserError("units of this subject cannot be intervened on: nothing stands behind them")


def _column(values: Values, unit: Unit) -> Values:
    if unit.index is not None:
        return unit.sign * values[:, unit.index]
    assert unit.vector is not None
    return (unit.sign * (values @ unit.vector + unit.offset)).astype(np.float32)
