"""What a report shows, as plain data: a run of sections (one a model), each a list of units with their evidence.

Nothing here reads a store or a network; whoever has the run fills these. Every string may come from a model or a user:
pages escape all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from maieutic.readings import Cost, Reading

if TYPE_CHECKING:
    from PIL.Image import Image

    from maieutic.report.confusion import Confusion

#: what came of asking an explainer for a unit
Outcome = Literal["labelled", "abstained", "failed", "waiting"]
#: what tables filter by: labelled units by how their scores stand, the others by what came of them
State = Literal["beats", "short", "unscored", "abstained", "failed", "waiting"]
STATES: tuple[State, ...] = ("beats", "short", "unscored", "abstained", "failed", "waiting")
#: the same in words
STATE_NAMES: Mapping[State, str] = {
    "beats": "beats every control",
    "short": "does not beat every control",
    "unscored": "labelled, not scored",
    "abstained": "abstained",
    "failed": "failed",
    "waiting": "not explained yet",
}
#: A prediction counts as right when it lies within this of the measurement, on the unit's 0-1 scale.
TOLERANCE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportText:
    """A text as the subject saw it.

    Attributes:
        tokens: its tokens in order, as they stand in the text (with their spaces and line breaks).
        values: the unit's raw activation at each token, or empty when not measured.
        position: the token the row is about; -1 for the strongest one.
    """

    tokens: tuple[str, ...]
    values: tuple[float, ...] = ()
    position: int = -1

    def __post_init__(self) -> None:
        assert not self.values or len(self.values) == len(self.tokens), "one value a token"

    @property
    def focus(self) -> int | None:
        """Index of the token the row is about; ``None`` for a text without one."""
        if 0 <= self.position < len(self.tokens):
            return self.position
        return int(np.argmax(self.values)) if self.values else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportImage:
    """A picture, loaded when its page is written.

    Attributes:
        load: gives the RGB picture.
        heat: activation map ``[height, width]`` in raw units (times the unit's sign), any resolution, or ``None``.
        alt: what is seen, in words, for readers who do not see it.
        id: of its content; pictures with one id are loaded and stored once a report. Empty: this one is by itself.
    """

    load: Callable[[], Image] = field(compare=False, repr=False)
    heat: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    alt: str = ""
    id: str = ""


Shown = ReportText | ReportImage | str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportExemplar:
    """A stimulus of the corpus where the unit was read.

    Attributes:
        shown: the text or picture.
        value: raw activation at its position.
        quantile: share of all positions with a smaller value, 0 to 1.
        split: ``discover``, ``select`` or ``test``.
        source: where the stimulus comes from (a key of ``ReportSection.attribution``).
    """

    shown: Shown
    value: float
    quantile: float
    split: str
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportExperiment:
    """One row of the ledger.

    Attributes:
        id: ledger id.
        kind: what was done (``substitute``, ``paste`` ...).
        hypothesis: what it tests, in words.
        shown: what was shown.
        expect: activation predicted before measuring, 0 to 1, or ``None``.
        scaled: measured activation, 0 to 1 on the unit's scale.
        value: measured activation, raw.
        pair: id of the unedited original; the edit is highlighted against it when it is among the experiments.
        fresh: whether it was measured for this unit, or had been measured before for another and was read again.
    """

    id: str
    kind: str
    hypothesis: str
    shown: Shown
    expect: float | None
    scaled: float
    value: float
    pair: str | None = None
    fresh: bool = True

    @property
    def verdict(self) -> Literal["as predicted", "higher than predicted", "lower than predicted", "no prediction"]:
        """Prediction against measurement, within `TOLERANCE`."""
        if self.expect is None:
            return "no prediction"
        if abs(self.scaled - self.expect) <= TOLERANCE + 1e-9:
            return "as predicted"
        return "higher than predicted" if self.scaled > self.expect else "lower than predicted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportControl:
    """The same score for something that ought to be worse.

    Attributes:
        name: short, the same in every unit of the run (``constant``, ``another unit's label`` ...).
        reading: its score.
        difference: the label's score minus this one, paired, with its interval; ``None`` when not computed.
    """

    name: str
    reading: Reading
    difference: Reading | None = None

    @property
    def beaten(self) -> bool | None:
        """Whether the interval of the difference lies above 0; ``None`` when it was not measured."""
        if self.difference is None or self.difference.low is None:
            return None
        return self.difference.low > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTest:
    """A further scorer's headline with its controls, shown in one line.

    Attributes:
        name: short, the same in every unit of the run.
        what: what was done and what the number means, in a sentence.
        reading: the headline.
        chance: what a label that says nothing gets, or ``None`` where that is not known.
        controls: the same score for what ought to be worse.
        others: what the scorer measured beside it.
        examples: (sort, edit in words, text or things shown, raw value) of some stimuli it made.
    """

    name: str
    what: str
    reading: Reading
    chance: float | None = None
    controls: tuple[ReportControl, ...] = ()
    others: tuple[Reading, ...] = ()
    examples: tuple[tuple[str, str, str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportScores:
    """Scores of one explanation.

    Attributes:
        primary: average precision on the test split.
        pearson: correlation of predicted with measured activation there.
        controls: what stands beside the primary score.
        others: further readings (AUROC, mean gap ...), shown below.
        tests: further scorers, one line each.
    """

    primary: Reading
    pearson: Reading | None = None
    controls: tuple[ReportControl, ...] = ()
    others: tuple[Reading, ...] = ()
    tests: tuple[ReportTest, ...] = ()

    @property
    def beats_all(self) -> bool:
        """Every control was measured and beaten. A control that was not measured counts as not beaten."""
        return self.primary.measured and bool(self.controls) and all(c.beaten is True for c in self.controls)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportCode:
    """A program that a model wrote."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportMessage:
    """One message of a session: who said it (``system``, ``user``, ``assistant``, ``tool``), and what."""

    role: str
    parts: tuple[str | ReportCode | ReportImage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSession:
    """One run of an agent; ``outcome`` is its label, or why there is none."""

    name: str
    outcome: str
    messages: tuple[ReportMessage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTranscript:
    """What an agent and its lab said to each other about a unit.

    Attributes:
        model: who it was.
        sessions: its independent runs.
        log: the Inspect log with every detail; copied beside the pages.
    """

    model: str
    sessions: tuple[ReportSession, ...]
    log: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportNeighbour:
    """A unit near another.

    Attributes:
        key: of it; with a minus sign for its lower tail.
        r: how near: a correlation of activations, or a likeness of labels in meaning; -1 to 1.
        label: what it is called, or ``None`` where it has no label.
        known: whether it is among the units studied.
    """

    key: str
    r: float
    label: str | None = None
    known: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportUnit:
    """One unit with what was found about it.

    Attributes:
        key: ``site/index``.
        site: where it is read.
        label: the explanation in words.
        abstained: why there is no explanation, or ``None``.
        predicate: the label's executable form in words; ``predicate_json`` as stored.
        confidence: 0 to 1, the explainer's own.
        explainer: its name.
        scale: raw activations that count as 0 and as 1.
        scores: held-out scores, or ``None`` when not scored.
        exemplars: over the whole activation range, any order.
        histogram: bin edges ``[bins + 1]`` (raw) and counts ``[bins]`` of all positions.
        experiments: the ledger, in order.
        considered: (hypothesis, why it was dropped).
        evidence: ledger ids that support the label.
        measurements: stimuli shown in experiments.
        transcript: of the agent that explained it; ``None`` for other explainers.
        cost: what explaining and scoring took.
        seed: of this unit.
        tally: how many experiments had a prediction and how many of these came out as predicted; ``None``: by counting
            ``experiments``.
        standing: the score on the select split by which a sweep chose this explanation, or ``None``.
        importance: how much the unit matters, as a sweep ranked it: larger is more; ``None`` where nothing was ranked.
        why: why a sweep chose this explanation, in words; empty where there was no choice.
        answers: what each explainer answered, this one among them, without their evidence; empty where there is one alone.
        neighbours: the units of the site that fire in the same places most, nearest first, or why they cannot be told.
        confusion: its predicate against measurement, if somebody had it made; or why it cannot be made.
        effects: what the unit does to outputs (`maieutic.campaign.effects`), if that was measured.
        outcome: what came of asking; ``None``: labelled or abstained, as ``abstained`` says.
        name: what the model calls it (a class, a token, a named direction); empty where it has no name.
    """

    key: str
    site: str
    label: str
    abstained: str | None = None
    predicate: str = ""
    predicate_json: Mapping[str, Any] | None = None
    confidence: float = 0.0
    explainer: str = ""
    scale: tuple[float, float] = (0.0, 1.0)
    scores: ReportScores | None = None
    exemplars: tuple[ReportExemplar, ...] = ()
    histogram: tuple[tuple[float, ...], tuple[int, ...]] | None = None
    experiments: tuple[ReportExperiment, ...] = ()
    considered: tuple[tuple[str, str], ...] = ()
    evidence: tuple[str, ...] = ()
    measurements: int = 0
    transcript: ReportTranscript | None = None
    cost: Cost = field(default_factory=Cost)
    seed: int = 0
    tally: tuple[int, int] | None = None
    standing: float | None = None
    importance: float | None = None
    why: str = ""
    outcome: Outcome | None = None
    name: str = ""
    answers: tuple[ReportUnit, ...] = ()
    neighbours: tuple[ReportNeighbour, ...] | str = ()
    confusion: Confusion | str | None = field(default=None, compare=False)
    effects: Any = field(default=None, compare=False)

    @property
    def predictions(self) -> tuple[int, int]:
        """How many experiments had a prediction, and how many of those came out as predicted."""
        if self.tally is not None:
            return self.tally
        made = [e for e in self.experiments if e.expect is not None]
        return len(made), sum(e.verdict == "as predicted" for e in made)

    @property
    def beats_all(self) -> bool:
        """Explained, scored, and better than every control."""
        return self.abstained is None and self.scores is not None and self.scores.beats_all

    @property
    def state(self) -> State:
        """What tables filter by."""
        if self.outcome in ("failed", "waiting"):
            return self.outcome
        if self.abstained is not None:
            return "abstained"
        if self.scores is None or not self.scores.primary.measured:
            return "unscored"
        return "beats" if self.beats_all else "short"

    @property
    def ap(self) -> float | None:
        """The primary score, or ``None`` when there is none or it says nothing (abstained)."""
        return None if self.scores is None or self.abstained is not None else self.scores.primary.value


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSection:
    """One model of the run.

    Attributes:
        subject: name of the model.
        modality: ``text`` or ``image``.
        corpus: what it was shown, with its size in words.
        sites: the sites studied.
        units: all units chosen, explained or not.
        facts: further rows of the header (``fingerprint``, ``chosen how`` ...), in order.
        notes: sentences a reader must know (data that was missing, a control that could not be run).
        attribution: origin and licence of the stimuli by source key.
        full: gives a unit with its evidence (exemplars, experiments, histogram, transcript) when its page is written, so
            that no more than one is held at a time; ``None``: the units have theirs.
        nulls: kinds of units that were explained afresh though nothing is to be found: name, how many, and the scores of
            those that got a label.
        spend: what each explainer's explanations took.
    """

    subject: str
    modality: Literal["text", "image"]
    corpus: str
    sites: tuple[str, ...]
    units: tuple[ReportUnit, ...]
    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    attribution: Mapping[str, str] = field(default_factory=dict)
    full: Callable[[ReportUnit], ReportUnit] | None = field(default=None, compare=False, repr=False)
    nulls: tuple[tuple[str, int, tuple[float | None, ...]], ...] = ()
    spend: tuple[tuple[str, Cost], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRun:
    """A whole report.

    Attributes:
        title: a few words.
        sections: one a model.
        started: when, as text (the report itself reads no clock).
        seconds: how long the run took; ``None`` when unknown.
        seed: of the run.
        machine: in words.
        versions: of maieutic and what it stands on.
        command: what was typed, or empty.
    """

    title: str
    sections: tuple[ReportSection, ...]
    started: str = ""
    seconds: float | None = None
    seed: int = 0
    machine: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
