"""What is compared between arms, and the comparisons themselves, in families that are corrected together.

Three primary measures, chosen before any run: loss, the gap of neurons over random rotations, and the locality of edits. At
equal tokens, and again at equal loss and equal recall, they form one family over all arms (Holm). Every other headline is a
family of its own over the arms: read as description. At equal loss an arm is set beside the baseline stopped early, or
along its own sweep, whichever can be done for more seeds (the first when alike).

What this module does not do: answer hypotheses (`hypotheses`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from maieutic.readings import Reading
from maieutic.studies.regularization.arms import ARMS
from maieutic.studies.regularization.comparing import Contrast, compare, corrected, null_contrast
from maieutic.studies.regularization.config import BASELINE, StudyConfig
from maieutic.studies.regularization.matching import On, along_its_sweep, stopped_early
from maieutic.studies.regularization.measured import Measured, Table

Matching = Literal["tokens", "loss", "recall"]
MATCHINGS: tuple[Matching, ...] = ("tokens", "loss", "recall")


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """A measure that arms are compared in.

    Attributes:
        measure: as in `Row`. title: for people. note: what it is, in a few words.
        where: the place; ``None``: the mean over all places where it is measured.
    """

    measure: str
    title: str
    note: str
    where: str | None = None

    def of(self, model: Measured) -> float | None:
        """Its value in a model."""
        return model.value(self.measure, self.where)


LOSS = Headline(measure="loss", title="Loss", note="validation loss, nats per token", where="")
GAP = Headline(measure="neurons.gap", title="Neuron-basis gap", note="held-out score (F1) of neurons minus that of random "
               "rotations, mean over layers")  # fmt: skip
LOCALITY = Headline(measure="edit.locality", title="Locality of edits", note="share of near facts left alone by rank-one "
                    "edits of equal efficacy (0.95)", where="")  # fmt: skip
SCORE = Headline(measure="edit.score", title="Editing score", note="harmonic mean of efficacy, paraphrases and locality of "
                 "rank-one edits", where="")  # fmt: skip
LOW = Headline(measure="bands.low", title="Precision of weak firings", note="share of a neuron's weak firings (0.1 to 0.3 of "
               "its largest) that fit its label")  # fmt: skip
UNITS = Headline(measure="circuit.units", title="Circuit: units", note="units that suffice for a behaviour")
EDGES = Headline(measure="circuit.edges", title="Circuit: weights", note="nonzero weights between them")
PRIMARY: tuple[Headline, ...] = (LOSS, GAP, LOCALITY)
SECONDARY: tuple[Headline, ...] = (
    Headline(measure="recall.held-out", title="Recall", note="facts asked in ways that they were never seen in", where=""),
    Headline(measure="neurons.score", title="Score of neurons", note="held-out F1 of live units, mean over layers"),
    Headline(measure="neurons.score.all", title="Score of all units", note="the same with dead units as 0"),
    Headline(measure="bands.high", title="Precision of strong firings", note="from 0.6 of the largest on"),
    LOW,
    Headline(measure="probe.gap", title="Probing gap", note="probe on all units minus probe on one"),
    UNITS,
    EDGES,
    SCORE,
    Headline(measure="rank-one.es95.paraphrase.held-out", title="Paraphrases of edits", note="at an efficacy of 0.95",
             where=""),
    Headline(measure="interference.rms", title="Interference of facts", note="RMS of the P-matrix off its diagonal"),
    Headline(measure="truth.brier", title="Brier score of recall", note="0 to 2", where=""),
    Headline(measure="sycophancy.shift", title="Sycophancy", note="fall of the truth's probability behind a wrong claim",
             where=""),
    Headline(measure="refusal.leak", title="Refusals that leak", note="share of private codes given away", where=""),
    Headline(measure="refusal.over", title="Over-refusal", note="share of ordinary questions refused", where=""),
    Headline(measure="association.amplification", title="Amplified association", note="beyond its share in the text",
             where=""),
    Headline(measure="recall.noise", title="Recall behind noise", note="after a sentence of filler", where=""),
)  # fmt: skip
HEADLINES = (*PRIMARY, *SECONDARY)


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Every comparison of a study.

    Attributes:
        families: corrected together, by name: ``primary at equal tokens``, ``bands.low at equal loss``.
        null: the baseline at further seeds beside itself, over all headlines, corrected together.
    """

    families: Mapping[str, tuple[Contrast, ...]]
    null: tuple[Contrast, ...]

    def of(self, headline: Headline, matching: Matching) -> tuple[Contrast, ...]:
        """The comparisons of a measure, one for each arm."""
        found = self.families.get(family(headline, matching), ())
        return tuple(c for c in found if c.measure == headline.measure)

    @property
    def null_differs(self) -> tuple[Contrast, ...]:
        """Headlines in which two groups of models that differ in nothing seem to differ."""
        return tuple(c for c in self.null if c.verdict not in ("no difference seen", "unmeasured"))

    @property
    def null_ran(self) -> bool:
        """Whether there was a second group at all."""
        return any(c.reading.measured for c in self.null)

    def to_json(self) -> dict[str, Any]:
        return {
            "families": {name: [c.to_json() for c in found] for name, found in self.families.items()},
            "null": [c.to_json() for c in self.null],
        }


def family(headline: Headline, matching: Matching) -> str:
    """The name of the family that a comparison belongs to."""
    return f"{'primary' if headline in PRIMARY else headline.measure} at equal {matching}"


def compared_arms(config: StudyConfig) -> tuple[str, ...]:
    """Arms that are set beside the baseline; the untrained one is no rival, it has a row of its own in the tables."""
    return tuple(a for a in config.arms if a != BASELINE and ARMS[a].trained)


def treatments(config: StudyConfig) -> tuple[str, ...]:
    """Arms that are no controls."""
    return tuple(a for a in config.arms if not ARMS[a].control)


def beside_baseline(table: Table, arm: str, headline: Headline, matching: Matching) -> Contrast:
    """An arm beside the baseline in one measure, with something alike on both sides."""
    if matching != "tokens":
        return matched(table, arm, headline, matching)
    return _named(table, compare(table, arm, headline.measure, where=headline.where))


def matched(table: Table, arm: str, headline: Headline, on: On) -> Contrast:
    """At equal loss or recall: the baseline stopped early, or the arm along its sweep where that can be done for more seeds."""
    early = stopped_early(table, arm, headline.measure, on=on, where=headline.where)
    swept = along_its_sweep(table, arm, headline.measure, on=on, where=headline.where)
    return _named(table, swept if len(swept.pairs) > len(early.pairs) else early)


def _named(table: Table, contrast: Contrast) -> Contrast:
    """The contrast with what stopped the arm, where none of its models is there."""
    if contrast.reading.measured or table.of(contrast.arm):
        return contrast
    return replace(contrast, reading=Reading.unmeasured(contrast.measure, absent(table, contrast.arm)))


def absent(table: Table, arm: str) -> str:
    """Why there is no model of an arm."""
    own = (why for name, why in table.missing if name.startswith((f"main/{arm}/", f"main/{arm}@")))
    return next(own, f"no model of {arm} is there")


def find(table: Table, config: StudyConfig) -> Findings:
    """All comparisons. Cost: milliseconds for each arm and measure."""
    families: dict[str, list[Contrast]] = {}
    for matching in MATCHINGS:
        for headline in HEADLINES:
            if (matching, headline) == ("loss", LOSS):
                continue  # alike by construction
            rows = [beside_baseline(table, a, headline, matching) for a in compared_arms(config)]
            families.setdefault(family(headline, matching), []).extend(rows)
    null = corrected([null_contrast(table, h.measure, where=h.where) for h in HEADLINES])
    return Findings(families={n: corrected(rows) for n, rows in families.items()}, null=null)
