"""Exams: sensitive canary units with benign twins as hard as they are, among ordinary units and units that mean nothing.

All stand in one subject that goes by plain names and was harvested once; their order is drawn by the seed, so neither
name nor place tells a test from work. Kinds of rules, words and companions of a sensitive unit and its twin are drawn
alike, over texts written for the exam (pictures: composed for it), so an honest explainer finds both equally often. What
this module does not do: ask anybody (``exam.sit``) or mark (``marking``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from maieutic.audit.canary_draw import Drawn, drawn
from maieutic.audit.canary_kinds import KINDS
from maieutic.audit.canary_pictures import Shown, pictured, shown
from maieutic.audit.canary_texts import written
from maieutic.audit.exam import NULLS, Exam, Item, Role
from maieutic.audit.material_nulls import Shuffled, Untrained
from maieutic.audit.material_nulls_image import ShuffledPicture, UntrainedPicture
from maieutic.errors import UsageError
from maieutic.explain.registry import viewer_of
from maieutic.harvest import harvest
from maieutic.score.against_truth_images import fresh_images
from maieutic.score.against_truth_texts import fresh_texts
from maieutic.stimuli.base import Corpus, Stimulus
from maieutic.stimuli.texts import text_stimulus
from maieutic.subjects.base import Modality
from maieutic.subjects.planted import Nothing, Planted, PlantedSubject, PlantedUnit, Rule, TextRule, annotated, seen

#: what the subject and its site are called
NAME, SITE = "model", "layers.6.mlp"
#: standard deviation of the noise of every unit that fires, in units of a full activation
NOISE = 0.04
#: texts that shuffled units take their values from
_POOL = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A unit before it has its place: what it is, and its rule."""

    role: Role
    rule: Rule
    concept: str = ""
    pair: int = -1
    kind: str = ""
    involved: tuple[str, ...] = ()
    neighbour: tuple[str, ...] = ()

    def planted(self, place: int) -> Planted:
        """The rule under a name that says nothing of it."""
        kind = self.role if self.role in NULLS else self.kind
        about = self.rule.say() if isinstance(self.rule, TextRule) else " ".join((kind, *self.involved))
        noise = {"dead": 0.0, "noise": 1.0}.get(self.role, NOISE)
        return Planted(
            name=f"u{place}", kind=kind, rule=self.rule, about=about, noise=noise, involved=self.involved,
        )  # fmt: skip


def make_exam(
    *, modality: Modality, seed: int, pairs: int = 12, ordinary: int = 12, nulls: int = 8, quick: bool = False
) -> Exam:
    """An exam drawn by a seed.

    Args:
        modality: text or image. Neither needs a download: texts are written for the exam, pictures drawn.
        seed: another seed, other concepts, words, texts and order.
        pairs: sensitive units, each with its twin.
        ordinary: units about neither.
        nulls: units that mean nothing, of every sort in turn.
        quick: at most five pairs, three ordinary units and four that mean nothing.

    Raises:
        UsageError: another modality, a negative number, or more units than there are words for.

    Cost: about 4 s for texts, 10 s for pictures, at the default size on one core.
    """
    if modality not in ("text", "image") or min(pairs, ordinary, nulls) < 0 or pairs + ordinary == 0:
        raise UsageError(
            "an exam is of 'text' or 'image' and has at least one unit that means something: ask for pairs"
        )
    if quick:
        pairs, ordinary, nulls = min(pairs, 5), min(ordinary, 3), min(nulls, 4)
    make = _text_exam if modality == "text" else _image_exam
    return make(seed=seed, pairs=pairs, ordinary=ordinary, nulls=nulls)


def _text_exam(*, seed: int, pairs: int, ordinary: int, nulls: int) -> Exam:
    rng = np.random.default_rng([seed, 41])
    told = drawn(pairs=pairs, ordinary=ordinary, rng=rng)
    corpus = written([d.told for d in told], rng)
    made = [_made(d) for d in told]
    made += _nulls(nulls, _TextNulls([m.rule for m in made], corpus, rng))
    return assembled(made, corpus, modality="text", seed=seed, rng=rng)


def _image_exam(*, seed: int, pairs: int, ordinary: int, nulls: int) -> Exam:
    rng = np.random.default_rng([seed, 43])
    units = shown(pairs=pairs, ordinary=ordinary, rng=rng)
    corpus = pictured(units, rng)
    made = [_made_shown(u) for u in units]
    made += _nulls(nulls, _ImageNulls([m.rule for m in made], corpus, rng))
    return assembled(made, annotated(corpus), modality="image", seed=seed, rng=rng)


def _made(d: Drawn) -> Made:
    words, companions = d.told.words, d.told.companions
    return Made(
        role=d.role, concept=d.concept, pair=d.pair, kind=d.told.kind, rule=KINDS[d.told.kind].rule(words, companions),
        involved=(*words, *companions), neighbour=companions,
    )  # fmt: skip


def _made_shown(u: Shown) -> Made:
    return Made(
        role=u.role, concept=u.thing.concept, pair=u.pair, kind=u.kind, rule=u.rule(),
        involved=(u.thing.name, u.companion.name), neighbour=(u.companion.name,),
    )  # fmt: skip


class _Nulls(Protocol):
    """Makes rules that mean nothing."""

    def untrained(self, i: int) -> Rule: ...
    def shuffled(self, i: int) -> Rule: ...


class _TextNulls:
    def __init__(self, rules: Sequence[Rule], corpus: Corpus, rng: np.random.Generator) -> None:
        self._rules, self._rng, self._network = rules, rng, int(rng.integers(2**31))
        self._pool = tuple(str(corpus[i].content) for i in rng.permutation(len(corpus))[:_POOL].tolist())

    def untrained(self, i: int) -> Rule:
        return Untrained(seed=self._network, unit=i)

    def shuffled(self, i: int) -> Rule:
        part = self._rules[int(self._rng.integers(len(self._rules)))] if self._rules else Nothing()
        return Shuffled(part=part, pool=self._pool, seed=i) if isinstance(part, TextRule) else part


class _ImageNulls:
    def __init__(self, rules: Sequence[Rule], corpus: Corpus, rng: np.random.Generator) -> None:
        self._rules, self._rng, self._network = rules, rng, int(rng.integers(2**31))
        self._corpus = corpus

    def untrained(self, i: int) -> Rule:
        return UntrainedPicture(seed=self._network, unit=i)

    def shuffled(self, i: int) -> Rule:
        part = self._rules[int(self._rng.integers(len(self._rules)))] if self._rules else Nothing()
        return ShuffledPicture(values=tuple(float(part.truth(seen(s))[0]) for s in self._corpus), seed=i)


def _nulls(n: int, nulls: _Nulls) -> list[Made]:
    """So many units that mean nothing, the sorts taking turns."""
    out: list[Made] = []
    for i in range(n):
        role = NULLS[i % len(NULLS)]
        make = {"untrained": nulls.untrained, "shuffled": nulls.shuffled}.get(role)
        out.append(Made(role=role, rule=Nothing() if make is None else make(i)))
    return out


def assembled(made: Sequence[Made], corpus: Corpus, *, modality: Modality, seed: int, rng: np.random.Generator) -> Exam:
    """The units in a drawn order, in one subject, harvested once."""
    order: list[int] = rng.permutation(len(made)).tolist()
    mixed = [made[i] for i in order]
    rules = [m.planted(i) for i, m in enumerate(mixed)]
    subject = PlantedSubject(rules, modality=modality, seed=seed, name=f"{NAME}-{modality}", site=SITE)
    planted = subject.units()
    atlas = harvest(subject, corpus, [SITE], keep=[p.unit for p in planted])
    test = corpus.split("test")
    items = tuple(
        Item(
            id=f"u{i:02d}", role=m.role, unit=p.unit, subject=subject, atlas=atlas, concept=m.concept, pair=m.pair,
            kind=m.kind, neighbour=m.neighbour, planted=None if m.role in ("untrained", "shuffled") else p,
        )
        for i, (m, p) in enumerate(zip(mixed, planted, strict=True))
    )  # fmt: skip
    edited = {i.id: _edits(i.planted, test, seed) for i in items if i.planted is not None and i.planted.explainable}
    return Exam(
        modality=modality, seed=seed, items=items, natural=test, edited=edited, viewer=viewer_of(subject, corpus)
    )  # fmt: skip


def _edits(unit: PlantedUnit, test: Sequence[Stimulus], seed: int) -> list[Stimulus]:
    """Edits of held-out stimuli that take causes and companions apart."""
    if test[0].modality == "image":
        return fresh_images(unit, test, seed=seed)[1]
    _, edited = fresh_texts(unit, test, seed=seed)
    return [replace(text_stimulus(t), split="test") for t in edited]
