"""A small world: invented documents, a subject that fires on one of their words, labels about words."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest

from maieutic.explain.explanation import Explanation
from maieutic.explain.predicates.base import Predicate, Prediction
from maieutic.score import Evidence, Threshold
from maieutic.stimuli.base import Corpus, Stimulus, split_of
from maieutic.subjects.base import Subject, Unit
from maieutic.subjects.planted import SITE, Planted, PlantedSubject, Words

WORDS = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnrs"]  # 125 invented words


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf(Predicate):
    """1 at each of some words: what a label about words predicts."""

    op: ClassVar[str] = "test-one-of"
    words: tuple[str, ...]

    def evaluate(self, view: Any) -> Prediction:
        return np.array([float(t.text in self.words) for t in view.tokens])

    def describe(self) -> str:
        return " or ".join(self.words)


@dataclass(frozen=True)
class World:
    corpus: Corpus
    subject: Subject
    units: tuple[Unit, ...]

    def label(self, unit: Unit, *words: str, **more: Any) -> Explanation:
        return Explanation(
            unit=unit.key,
            label=" or ".join(words),
            predicate=OneOf(words=words),
            explainer="test",
            confidence=1.0,
            **more,
        )


def make_corpus(documents: int = 160, length: int = 90, seed: int = 0) -> Corpus:
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(4, len(WORDS) + 4)
    rows = [" ".join(rng.choice(WORDS, size=length, p=share / share.sum())) for _ in range(documents)]
    stimuli = [
        Stimulus(id=f"{i:03d}", modality="text", load=lambda t=t: t, group=f"doc{i}", split=split_of(f"doc{i}"))
        for i, t in enumerate(rows)
    ]
    return Corpus(name="invented", modality="text", stimuli=stimuli)


@pytest.fixture(scope="session")
def world() -> World:
    rules = [Planted(name=w, kind="single", rule=Words(((w, 1.0),)), about=w) for w in WORDS[20:27]]
    rules.append(Planted(name="dead", kind="dead", rule=Words(()), about="nothing"))
    subject = PlantedSubject(rules, modality="text")
    return World(make_corpus(), subject, tuple(subject.unit(SITE, i) for i in range(len(rules))))


def make_evidence(active: Sequence[bool], clusters: Sequence[int] | None = None, measured: Any = None) -> Evidence:
    on = np.asarray(active, dtype=np.float64)
    numbers = np.arange(len(on)) if clusters is None else np.asarray(clusters)
    return Evidence(
        measured=on if measured is None else np.asarray(measured, dtype=np.float64),
        clusters=numbers.astype(np.int64),
        groups=tuple(f"g{i}" for i in range(int(numbers.max()) + 1)),
        threshold=Threshold(value=0.5, inclusive=False, quantile=0.99),
    )


@pytest.fixture
def evidence() -> Any:
    """Builds evidence from who is active: ``evidence(active, clusters=None, measured=None)``."""
    return make_evidence


@pytest.fixture
def some_evidence() -> dict[str, Any]:
    """What a null unit is made of where its evidence does not matter."""
    return {"evidence": make_evidence([True, False]), "predictions": np.zeros(2)}


# --- judges whose answers are written by a function ----------------------------------------------------------------
_PART = re.compile(r"\[([0-9a-f]{12}) ([^\]\n]*)\]\n(.*?)\n\[/\1 \2\]", re.DOTALL)
_names = itertools.count()


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a judge was asked: the label (empty when none was given), the items by letter or number, the pictures."""

    label: str
    items: dict[str, str]
    system: str
    images: list[str]
    messages: list[Any]

    @classmethod
    def of(cls, messages: list[Any]) -> Question:
        text = messages[-1].text
        parts = {name: body for _, name, body in _PART.findall(text)}
        label = parts.pop("description")
        images = (
            [c.image for c in messages[-1].content if c.type == "image"]
            if isinstance(messages[-1].content, list)
            else []
        )
        items = {name.removeprefix("example "): body for name, body in parts.items()}
        blank = label.startswith("(no description")
        return cls(label="" if blank else label, items=items, system=messages[0].text, images=images, messages=messages)

    def words(self, item: str) -> list[str]:
        """The marked words of an item; all of them where nothing is marked."""
        found = re.findall(r"<<(.*?)>>", self.items[item])
        return (" ".join(found) if "<<" in self.system else self.items[item]).split()


@dataclass
class Judges:
    """Makes judges (backbones without a cache) and keeps what they were asked, all judges together."""

    asked: list[Question] = field(default_factory=list)

    def __call__(self, answer: Callable[[Question], Any]) -> Any:
        """A judge that gives ``answer(question)``: verdicts by letter, a list, or what a script may say."""
        from maieutic.llm import backbone
        from maieutic.llm.scripted import script

        def say(messages: Any, tools: Any, config: Any) -> Any:
            question = Question.of(messages)
            self.asked.append(question)
            said = answer(question)
            return json.dumps(said) if isinstance(said, (dict, list)) else said

        return backbone(script(f"judge-{next(_names)}", say), cache=False)

    def by_label(self) -> Any:
        """A judge that says yes where one of the label's words stands (marked, where marks are asked for)."""
        return self(lambda q: {i: int(any(w in q.words(i) for w in q.label.split(" or "))) for i in q.items})


@pytest.fixture
def judges() -> Judges:
    return Judges()
