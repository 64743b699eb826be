"""What all judged scorers share: a label is judged on a unit, and so is every control, on the same items.

A *task* says which items are asked, in which words, how answers are read and what is made of them. Prompts of one label are
sent at once; what is asked twice in a run (null units, labels lent to others) is asked once. Controls that cost a label each
are held to ``SHUFFLED`` and ``NULLS``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

import numpy as np

from maieutic.explain.explanation import Explanation
from maieutic.explain.one_shot_windows import marked, pair_for
from maieutic.harvest import Atlas
from maieutic.llm import Answer, Prompt
from maieutic.readings import RESAMPLES, Estimate, Reading
from maieutic.score.controls import Controls, NullUnit, beside, without_controls
from maieutic.score.judged.asking import Asked, asked
from maieutic.score.judged.material import Material, material_of
from maieutic.score.judged.options import OPTIONS, Judge, check, judge_of
from maieutic.score.judged.sampling import Item, batches, draw
from maieutic.score.recent import Recent
from maieutic.score.registry import Request
from maieutic.subjects.base import Subject, Unit

#: labels of other units, and null units, that are judged as controls: each costs as much as the label itself
SHUFFLED, NULLS = 2, 2
#: labels whose verdicts are remembered: those of null units are needed again with every unit
_REMEMBERED = 64


class Task(Protocol):
    """One way to test a label by a judge.

    Attributes:
        name: of the scorer and its headline.
        per_prompt: items a prompt.
        blank: whether a blank label is asked for the control ``constant``; else that is 0, by definition.
        kinds: of the items behind the headline.
        beside: names of the columns beside the headline.
    """

    name: ClassVar[str]
    blank: ClassVar[bool]

    @property
    def per_prompt(self) -> int: ...
    @property
    def kinds(self) -> tuple[str, ...]: ...
    @property
    def beside(self) -> tuple[str, ...]: ...
    def parse(self, answer: Answer, n: int, /) -> tuple[list[Any], list[float | None]]:
        """Verdicts and probabilities of an answer about ``n`` items; ``ValueError`` when it gives none."""
        ...

    def items(self, material: Material, *, seed: int) -> Sequence[Item] | str:
        """What is asked, the same for every label; or why nothing can be."""
        ...

    def prompt(self, label: str, items: Sequence[Item], *, seed: int) -> Prompt:
        """One question."""
        ...

    def estimate(self, got: Asked, *, groups: int, seed: int) -> Estimate | str:
        """The headline, or why there is none."""
        ...

    def columns(self, got: Asked, *, groups: int, seed: int, details: Mapping[str, Any]) -> dict[str, Reading]:
        """The headline and what stands beside it, without controls."""
        ...


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A scorer that asks a judge: ``Request -> readings``."""

    task: Task
    options: tuple[str, ...] = OPTIONS

    def check(self, **options: Any) -> None:
        """``UserError`` when no judge can be had."""
        check(**options)

    def __call__(self, request: Request, /) -> dict[str, Reading]:
        """Headline, columns beside it, every control and every paired difference."""
        return _Scoring(task=self.task, request=request, judge=judge_of(request)).readings()


@dataclass(kw_only=True)
class _Scoring:
    """One label judged on one unit.

    Attributes:
        sent: what was asked now, controls included, and not only looked up.
    """

    task: Task
    request: Request
    judge: Judge
    sent: list[Asked] = field(default_factory=list[Asked])

    def readings(self) -> dict[str, Reading]:
        started, name, request = time.perf_counter(), self.task.name, self.request
        own = self._own()
        if isinstance(own, str):
            names = (name, *(f"{name}.{c}" for c in (*self.task.beside, "answered")))
            told = {n: Reading.unmeasured(n, own, details=self.judge.told()) for n in names}
            return told | without_controls(name, own)
        details = self._details(own)
        readings = self.task.columns(own, groups=self._groups, seed=request.seed, details=details)
        readings[f"{name}.answered"] = answered(own, f"{name}.answered", self.task.kinds, details)
        headline = self.task.estimate(own, groups=self._groups, seed=request.seed)
        readings |= beside(
            name, headline, self._judged, fewer(request.controls), n=len(own.told), details=details
        )  # fmt: skip
        controls = [a for a in self.sent if a is not own]
        more = {
            "prompts_of_controls": sum(a.prompts for a in controls),
            "llm_tokens_of_controls": sum(a.cost.llm_tokens for a in controls),
            "examples": examples(own),
        }
        cost = replace(sum((a.cost for a in controls), own.cost), seconds=time.perf_counter() - started)
        readings[name] = replace(readings[name], cost=cost, details={**readings[name].details, **more})
        return readings

    @property
    def _groups(self) -> int:
        """Documents or image groups of the test split: the same for all units, so that resamples are paired."""
        return len({s.group or s.id for s in self.request.corpus.split("test")})

    def _own(self) -> Asked | str:
        request = self.request
        if request.found.abstained:
            return f"abstained: {request.found.reason}"
        return self._asked(request.found, request.subject, request.unit, request.atlas)

    def _judged(self, found: Explanation, null: NullUnit | None = None, /) -> Estimate | str:
        """The headline of a label on this unit, or of a null unit's on itself. A constant is a blank label."""
        request = self.request
        if found.abstained and not self.task.blank:
            return Estimate(value=0.0, replicates=np.zeros(RESAMPLES))
        if null is None:
            got = self._asked(found, request.subject, request.unit, request.atlas)
        elif null.subject is None or null.unit is None:
            return "the null unit came as evidence only: give its subject and unit too"
        else:
            got = self._asked(found, null.subject, null.unit, null.atlas)
        return got if isinstance(got, str) else self.task.estimate(got, groups=self._groups, seed=request.seed)

    def _asked(self, found: Explanation, subject: Subject, unit: Unit, atlas: Atlas | None) -> Asked | str:
        """The verdicts on a label, asked once as long as they are remembered."""
        request, label = self.request, "" if found.abstained else found.label
        key = (
            self.task.name, label, id(subject), unit.key, id(request.corpus), request.seed, id(self.judge),
        )  # fmt: skip

        def ask() -> Asked | str:
            got = self._ask(label, subject, unit, atlas)
            self.sent += [got] if isinstance(got, Asked) else []
            return got

        recent = request.shared.once("judged answers", lambda: Recent[Asked | str](_REMEMBERED))
        return recent.once(key, ask, holding=(subject, request.corpus, self.judge))

    def _ask(self, label: str, subject: Subject, unit: Unit, atlas: Atlas | None) -> Asked | str:
        material = material_of(self.request, subject, unit, atlas)
        if isinstance(material, str):
            return material
        seed, task = self.request.seed, self.task
        items = task.items(material, seed=seed)
        if isinstance(items, str):
            return items
        groups = batches(items, task.per_prompt, draw("order", task.name, unit.key, seed))
        return asked(self.judge, [task.prompt(label, group, seed=seed) for group in groups], groups, task.parse)

    def _details(self, got: Asked) -> dict[str, Any]:
        return {
            "split": "test", "comparison_only": True, **self.judge.told(), "prompts": got.prompts,
            "items_per_prompt": self.task.per_prompt, "asked": len(got.told), "asked_of": got.kinds(),
            "answered": sum(t.said is not None for t in got.told), "failures": dict(got.failures),
            "first_failure": got.first_failure,
            "llm_tokens": got.cost.llm_tokens, "dollars": got.cost.dollars, "seed": self.request.seed,
        }  # fmt: skip


def fewer(controls: Controls) -> Controls:
    """The controls, as many labels of each as are judged; null units with a label come before those without."""
    nulls = sorted(controls.random_direction, key=lambda u: u.abstained)
    return replace(controls, shuffled=controls.shuffled[:SHUFFLED], random_direction=nulls[:NULLS])


def answered(got: Asked, name: str, kinds: Sequence[str], details: Mapping[str, Any]) -> Reading:
    """Share of the headline's items that have a verdict, 0 to 1. A count, not an estimate: it has no interval."""
    n = got.count(*kinds)
    return Reading(name=name, value=len(got.among(*kinds)) / n, n=n, details=details)


#: verdicts written out for people
_EXAMPLES, _LONGEST = 6, 240


def examples(got: Asked) -> list[dict[str, Any]]:
    """A few answers for people, mistakes first: what was shown, what was said, the largest activation there."""
    known = [t for t in got.told if t.said is not None]
    ranked = sorted(known, key=lambda t: isinstance(t.said, bool) and t.said == t.item.truth)
    rows: list[dict[str, Any]] = []
    for told in ranked[:_EXAMPLES]:
        item = told.item
        said = ("yes" if told.said else "no") if isinstance(told.said, bool) else f"up to {float(max(told.said)):.1f}"
        pair = pair_for([item.window.text])
        shown = marked(item.window.text, item.window.spans, item.marks, pair) or item.window.stimulus.id[:12]
        rows.append({"sort": item.kind, "edit": f"judge: {said}", "shown": shown[:_LONGEST], "value": item.window.top})
    return rows
