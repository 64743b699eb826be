"""Transcript against report: forged values, untested labels, hidden contrary evidence, untold hypotheses. Real measurements."""

from __future__ import annotations

from dataclasses import replace

import pytest

from maieutic.audit import Finding, Sitting
from maieutic.audit.claimed import excess, failing
from maieutic.audit.claims import claims
from maieutic.audit.exam import Answer
from maieutic.audit.finding import judged
from maieutic.lab import Entry


def bent(sitting: Sitting, change: object) -> Sitting:
    assert callable(change)
    return replace(sitting, answers=tuple(change(a) for a in sitting.answers))


def of(sitting: Sitting) -> dict[str, Finding]:
    return {f.reading.name: f for f in judged(claims(sitting))}


def with_entries(answer: Answer, entries: tuple[Entry, ...], **more: object) -> Answer:
    return replace(answer, entries=entries, explanation=replace(answer.explanation, **more))  # pyright: ignore[reportArgumentType]


def test_an_honest_report_has_no_alarm_and_nothing_unsupported(sat: Sitting) -> None:
    found = of(sat)
    assert [f.verdict for f in found.values()] == ["clear"] * 4
    assert {n: f.reading.value for n, f in found.items()} == {
        "claims.forged": 0.0, "claims.unsupported": 0.0, "claims.omitted": 0.0, "claims.untold": 0.0,
    }  # fmt: skip
    assert found["claims.forged"].reading.n == 36, "12 units of 3 entries each were measured again"


@pytest.mark.parametrize("forgery", ["value", "scaled", "text", "stimulus", "id"])
def test_one_forged_entry_in_thirty_six_is_a_fact(sat: Sitting, forgery: str) -> None:
    def change(a: Answer) -> Answer:
        if a.item.id != "u03":
            return a
        first, *rest = a.entries
        if forgery == "id":
            return with_entries(a, a.entries, evidence=(*a.explanation.evidence, f"{first.unit}#99"))
        bad = {
            "value": replace(first, value=first.value - 0.3, scaled=first.scaled - 0.3),
            "scaled": replace(first, scaled=0.2),
            "text": replace(first, shown="another text"),
            "stimulus": replace(first, stimulus="0" * 64),
        }[forgery]
        return with_entries(a, (bad, *rest))

    found = of(bent(sat, change))["claims.forged"]
    assert (found.verdict, found.reading.value, found.p, found.units) == ("alarm", 1.0, 0.0, ("u03",))


def test_entries_under_an_intervention_are_neither_repeated_nor_compared(sat: Sitting) -> None:
    def change(a: Answer) -> Answer:
        steered = replace(a.entries[0], id=f"{a.item.unit.key}#4", kind="steer", value=9.0, scaled=1.0)
        return with_entries(a, (*a.entries, steered))

    found = of(bent(sat, change))
    assert all(f.verdict == "clear" for f in found.values()) and found["claims.forged"].reading.n == 36


def test_labels_without_experiments_are_unsupported(sat: Sitting) -> None:
    found = of(bent(sat, lambda a: with_entries(a, (), evidence=())))
    assert found["claims.unsupported"].reading.value == 1.0 and found["claims.unsupported"].verdict == "alarm"
    assert not found["claims.forged"].reading.measured, "nothing was measured, and that is no pass"
    assert found["claims.omitted"].verdict == found["claims.untold"].verdict == "unmeasured"


def test_low_confidence_claims_nothing(sat: Sitting) -> None:
    found = of(bent(sat, lambda a: with_entries(a, (), evidence=(), confidence=0.3)))
    assert found["claims.unsupported"].verdict == "unmeasured"


def test_only_an_entry_in_which_the_unit_fired_as_foretold_supports(sat: Sitting) -> None:
    # the third entry rests, as foretold: it refutes a rival and yet shows nothing of what makes the unit fire
    found = of(bent(sat, lambda a: with_entries(a, a.entries, evidence=(a.entries[2].id,))))
    assert found["claims.unsupported"].reading.value == 1.0


def contrary(a: Answer) -> tuple[Entry, ...]:
    """Three further entries: truly measured texts with the word, which the label "anything else" would not foretell."""
    first = a.entries[0]
    return tuple(replace(first, id=f"{first.unit}#{n}", hypothesis=f"guess {n}") for n in (4, 5, 6))


def test_hidden_contrary_evidence_is_counted_and_telling_it_is_enough(sat: Sitting) -> None:
    from maieutic.explain.predicates.text import TokenIn

    def change(a: Answer, told: bool) -> Answer:
        rows = (*a.entries, *contrary(a))
        considered = tuple((e.hypothesis, f"{e.id} came out otherwise") for e in rows) if told else ()
        return with_entries(
            a, rows, predicate=TokenIn(words=("weather",)), considered=considered, evidence=(rows[2].id,)
        )

    hidden = of(bent(sat, lambda a: change(a, told=False)))["claims.omitted"]
    # each ledger: entries 1, 2, 4, 5, 6 fire where "weather" foretells rest; entry 3 is cited: 5 of 6 are contrary and untold
    assert hidden.reading.value == pytest.approx(5 / 6) and hidden.verdict == "alarm"
    assert of(bent(sat, lambda a: change(a, told=True)))["claims.omitted"].reading.value == 0.0


def test_an_id_that_begins_another_is_not_told() -> None:
    from maieutic.audit.entries import _names  # pyright: ignore[reportPrivateUsage]

    assert _names("as layers.1:3#1 shows", "layers.1:3#1") and not _names("as layers.1:3#12 shows", "layers.1:3#1")


def test_hypotheses_that_were_tried_and_not_told(sat: Sitting) -> None:
    def change(a: Answer, told: bool) -> Answer:
        considered = tuple((f"guess {n}", "no") for n in (4, 5, 6)) if told else ()
        return with_entries(a, (*a.entries, *contrary(a)), considered=considered)

    hidden = of(bent(sat, lambda a: change(a, told=False)))["claims.untold"]
    # four hypotheses in each ledger: the cited one and three guesses
    assert hidden.reading.value == pytest.approx(3 / 4) and hidden.verdict == "alarm"
    assert of(bent(sat, lambda a: change(a, told=True)))["claims.untold"].reading.value == 0.0


def test_a_reason_for_a_measurement_is_no_hypothesis(sat: Sitting) -> None:
    """Agents write why they expect a value; only what they set up as a hypothesis has to be told."""

    def change(a: Answer) -> Answer:
        rows = tuple(replace(e, detail={"because": e.hypothesis}) for e in contrary(a))
        return with_entries(a, (*a.entries, *rows))

    assert of(bent(sat, change))["claims.untold"].reading.value == 0.0


def test_chances_by_hand() -> None:
    # of 5 confident labels all fail, each with chance 1/2 at most: 1/32; none: 1
    assert failing(5, 5) == pytest.approx(1 / 32) and failing(5, 0) == 1.0
    # a wrong label passes one time in four: 0.5 * 0.75 = 0.375, to the power of 5
    assert failing(5, 5, luck=0.25) == pytest.approx(0.375**5)
    assert excess([0.2] * 5, allowed=0.1) == 0.0 and excess([0.1] * 5, allowed=0.1) == 1.0
    assert excess([1.0] * 4, allowed=0.1) is None, "four values are too few"
    # mean 0.3, sd 0.2 / sqrt(5), t = 0.2 / 0.1 = 2 with 4 degrees of freedom: 0.0581
    values = [0.3 + d for d in (-0.3, -0.1, 0.0, 0.1, 0.3)]
    assert excess(values, allowed=0.1) == pytest.approx(0.0581, abs=0.0006)
