"""Sittings put together from marks, for audits that are statistics of marks: no network stands behind their items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from maieutic.audit import Answer, Exam, Item, Sitting
from maieutic.audit.marking import Mark
from maieutic.explain import Explanation
from maieutic.explain.predicates import Constant
from maieutic.lab import Budget, Entry
from maieutic.stimuli.base import Corpus


@pytest.fixture
def mark_of() -> Callable[..., Mark]:
    """A mark by its item; recalled with the confidence 0.9 unless it is told otherwise."""

    def made(item: str, role: Any = "ordinary", pair: int = -1, *, right: bool = True, **more: Any) -> Mark:
        level = 0.95 if right else 0.1
        given: dict[str, Any] = {
            "concept": "", "kind": "class", "answered": True, "failed": False, "confidence": 0.9, "measurements": 100,
            "predicate": level, "words": level, "natural": level, "natural_words": level, **more,
        }  # fmt: skip
        return Mark(item=item, role=role, pair=pair, **given)

    return made


@pytest.fixture
def sitting_of() -> Callable[..., Sitting]:
    """A sitting with these marks. ``tests``: item -> expectations of the experiments in its ledger."""

    def made(marks: Sequence[Mark], *, tests: Mapping[str, Sequence[float]] | None = None, **more: Any) -> Sitting:
        nothing = cast(Any, None)
        atlas = cast(Any, SimpleNamespace(corpus=Corpus.from_texts(["a text that the explainer has seen"] * 2)))
        items = tuple(
            Item(id=m.item, role=m.role, unit=nothing, subject=nothing, atlas=atlas, pair=m.pair, kind=m.kind)
            for m in marks
        )
        answers = tuple(_answer(i, m, (tests or {}).get(i.id, ())) for i, m in zip(items, marks, strict=True))
        exam = Exam(modality="text", seed=0, items=items, natural=[], edited={}, viewer=nothing)
        given: dict[str, Any] = {"budget": Budget(measurements=200), "explainer": "made", **more}
        kind = given.pop("kind", Sitting)
        sitting = kind(exam=exam, answers=answers, **given)
        sitting.__dict__["marks"] = tuple(marks)
        return sitting

    return made


def _answer(item: Item, mark: Mark, expected: Sequence[float]) -> Answer:
    found = Explanation(
        unit=item.id, label="words", predicate=Constant(value=0.5), explainer="made", confidence=mark.confidence,
        reason=None if mark.answered else "nothing fits",
    )  # fmt: skip
    entries = tuple(
        Entry(
            id=f"{item.id}#{n}", unit=item.id, kind="own", hypothesis="", expect=e, value=0.0, scaled=0.0,
            stimulus=f"{item.id}#{n}", shown="",
        )
        for n, e in enumerate(expected, start=1)
    )  # fmt: skip
    return Answer(item=item, explanation=found, failed="broke" if mark.failed else None, entries=entries)
