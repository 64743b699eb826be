"""An exam: units with known truth that an explainer is asked about, and what it answered.

The explainer gets a lab, as it gets one for any unit; names, order and corpus tell it nothing of a unit's role. What this
module does not do: make the units (``canaries``), mark answers (``marking``), or draw conclusions (the audits).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from maieutic.explain import Explanation, explain, options_of
from maieutic.explain.explanation import Viewer
from maieutic.harvest import Atlas
from maieutic.lab import Budget, Entry, Lab
from maieutic.progress import Report, silent
from maieutic.stimuli.base import Stimulus
from maieutic.subjects.base import Modality, Subject, Unit
from maieutic.subjects.planted import PlantedUnit

if TYPE_CHECKING:
    from pathlib import Path

    from maieutic.audit.marking import Mark

#: ``sensitive``: about a concept that a censor would hide. ``benign``: its twin, as hard. ``ordinary``: neither; hides the
#: test among other work. The others mean nothing: ``dead`` never fires, ``noise`` is noise, ``untrained`` is a unit of an
#: untrained network, ``shuffled`` a real unit whose values stand at other stimuli.
Role = Literal["sensitive", "benign", "ordinary", "dead", "noise", "untrained", "shuffled"]
#: roles whose only right answer is an abstention
NULLS: tuple[Role, ...] = ("dead", "noise", "untrained", "shuffled")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Item:
    """A unit of an exam.

    Attributes:
        id: place in the exam; says nothing of the role.
        role: see ``Role``.
        unit, subject, atlas: what the explainer's lab is made of.
        planted: the exact truth; ``None`` for units of networks (``untrained``, ``shuffled``).
        concept: what a sensitive unit or its twin is about, by name (``deception``; the twin has one of its own).
        pair: number that a sensitive unit and its twin share; -1 for others.
        kind: how the rule is built (``class``, ``passage``, ``spurious`` ...); the same for both of a pair.
        neighbour: words of the benign concept that comes with this one nearly always, by which a censor would name it.
    """

    id: str
    role: Role
    unit: Unit
    subject: Subject
    atlas: Atlas
    planted: PlantedUnit | None = None
    concept: str = ""
    pair: int = -1
    kind: str = ""
    neighbour: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Exam:
    """The units of one audit, in the order in which they are asked, and the material on which answers are marked.

    Attributes:
        natural: held-out stimuli (the test split).
        edited: item id -> edits of held-out stimuli that tell causes from their companions.
        viewer: turns stimuli into what predicates read.
    """

    modality: Modality
    seed: int
    items: tuple[Item, ...]
    natural: Sequence[Stimulus]
    edited: Mapping[str, Sequence[Stimulus]]
    viewer: Viewer

    def of(self, *roles: Role) -> tuple[Item, ...]:
        return tuple(i for i in self.items if i.role in roles)

    def only(self, ids: Collection[str]) -> Exam:
        """The exam with these items alone, in its order."""
        return replace(self, items=tuple(i for i in self.items if i.id in ids))


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Something an explainer wrote or caused to be printed; ``kind``: message, program, printed or report."""

    kind: Literal["message", "program", "printed", "report"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """What came of one item.

    Attributes:
        explanation: able to ``predict``; an abstention where the explainer failed.
        failed: why it gave no answer; neither an answer nor an abstention.
        entries: its ledger; ``shown`` has the stimuli by content id.
        said: all that it wrote, label and reason last (kind ``report``).
    """

    item: Item
    explanation: Explanation
    failed: str | None = None
    entries: tuple[Entry, ...] = ()
    shown: Mapping[str, Stimulus] = field(default_factory=dict)
    said: tuple[Said, ...] = ()
    seconds: float = 0.0

    @property
    def answered(self) -> bool:
        return self.failed is None and not self.explanation.abstained


#: what an explainer is, to an audit: it may be made by hand for a test
Asked = Callable[[Lab], Explanation]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sitting:
    """An explainer that took an exam.

    Attributes:
        explainer: its name; ``ask`` runs it on a lab under a briefing (``None``: none), and is ``None`` for a sitting read
            from elsewhere, which cannot be held again.
        budget: measurements for each unit.
        briefed: whether the explainer reads briefings at all.
    """

    exam: Exam
    explainer: str
    answers: tuple[Answer, ...]
    budget: Budget = field(default_factory=Budget)
    briefing: str | None = None
    briefed: bool = False
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    asked: str | Asked = ""

    @cached_property
    def marks(self) -> tuple[Mark, ...]:
        """How right each answer is, in the order of the answers."""
        from maieutic.audit.marking import mark

        return tuple(mark(self.exam, a) for a in self.answers)

    def only(self, ids: Collection[str]) -> Sitting:
        """The part of the sitting that is about these items; marks that were made are kept."""
        part = replace(
            self, exam=self.exam.only(ids), answers=tuple(a for a in self.answers if a.item.id in ids)
        )  # fmt: skip
        if "marks" in self.__dict__:
            part.__dict__["marks"] = tuple(m for m in self.marks if m.item in ids)
        return part

    def again(self, *, briefing: str | None, report: Report = silent) -> Sitting:
        """The same explainer and exam under another briefing.

        Cost: as the sitting itself.
        """
        assert self.briefed, f"{self.explainer} reads no briefings"
        return sit(
            self.exam, self.asked, options=self.options, budget=self.budget, briefing=briefing, report=report
        )  # fmt: skip


def sit(
    exam: Exam,
    explainer: str | Asked,
    *,
    options: Mapping[str, Any] | None = None,
    budget: Budget | None = None,
    briefing: str | None = None,
    transcripts: Path | None = None,
    report: Report = silent,
) -> Sitting:
    """Have an explainer take an exam, one unit after another.

    Args:
        exam: see ``audit.canaries``.
        explainer: a name from ``explainers()``, or a callable; one that raises has failed on that unit.
        options: of the explainer. One that has an option ``honey`` gets honey laid in its jail (see ``audit.honey``).
        budget: measurements for each unit; 200 when not given.
        briefing: told to explainers that have an option ``briefing``.
        transcripts: folder in which an explainer with an option of that name leaves what it wrote.

    Raises:
        UsageError: no explainer of that name, an option it does not have, or a briefing that it does not read.
    """
    from maieutic.audit.honey import Honey
    from maieutic.audit.saying import said_of
    from maieutic.errors import UsageError

    has = options_of(explainer)
    if "honey" in has:  # what runs in a jail finds something there that no task asks for
        options = {"honey": Honey.of(exam.seed).laid(), **(options or {})}
    name = explainer if isinstance(explainer, str) else getattr(explainer, "__name__", type(explainer).__name__)
    if briefing is not None and "briefing" not in has:
        raise UsageError(f"{name} reads no briefings: leave them out")
    given = {**(options or {}), **({} if briefing is None else {"briefing": briefing})}
    each = budget or Budget(measurements=200)
    answers: list[Answer] = []
    with report("exam", name) as step:
        for n, item in enumerate(exam.items, start=1):
            folder = None if transcripts is None else transcripts / item.id
            more = {} if folder is None or "transcripts" not in has else {"transcripts": folder}
            answer = _answer(exam, item, explainer, {**given, **more}, each)
            answers.append(replace(answer, said=said_of(answer, folder if more else None)))
            step(n, len(exam.items))
    return Sitting(
        exam=exam, explainer=name, answers=tuple(answers), budget=each, briefing=briefing,
        briefed="briefing" in has, options=dict(options or {}), asked=explainer,
    )  # fmt: skip


def _answer(exam: Exam, item: Item, explainer: str | Asked, options: Mapping[str, Any], budget: Budget) -> Answer:
    lab = Lab(item.subject, item.unit, item.atlas, budget=budget, seed=exam.seed)
    started, failed = time.perf_counter(), None
    try:
        found = explain(lab, explainer, **options)
    except Exception as error:  # explainers may be plug-ins: whatever one raises is counted, with its reason
        failed = f"{type(error).__name__}: {error}"
        found = Explanation.unexplained(item.unit.key, failed, explainer=str(explainer))
    return Answer(
        item=item, explanation=found, failed=failed, entries=tuple(lab.ledger.entries), shown=dict(lab.shown),
        seconds=time.perf_counter() - started,
    )  # fmt: skip
