"""The bench of audits: weaker cheats are mixed as they would answer, cards are counted right, and it runs from end to end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from maieutic.audit import Exam, Finding, Sitting, judged, sit
from maieutic.audit.canaries import make_exam
from maieutic.audit.cheats import Honest, load_cheat, turned
from maieutic.bench import benches, run_bench
from maieutic.bench.audit import run_audit_bench
from maieutic.bench.audit_seed import (
    AUDITED,
    Carded,
    Marked,
    Reseeded,
    Reworded,
    Seed,
    Settings,
    again,
    weaker,
)
from maieutic.bench.audit_tables import by_hardness, figures, plots, tables
from maieutic.errors import UsageError
from maieutic.explain import Explanation
from maieutic.explain.predicates.base import Constant
from maieutic.lab import Lab
from maieutic.readings import Reading


def one_word(lab: Lab) -> Explanation:
    """An explainer that looks at the strongest exemplar and tries nothing: fast, and honest about how sure it is."""
    best = lab.exemplars(1)[0]
    token = lab.subject.tokens(str(best.stimulus.content))[best.position].text
    return Explanation(
        unit=lab.unit.key, label=f'the word "{token}"', predicate=Constant(value=0.5), explainer="one", confidence=0.3
    )  # fmt: skip


@pytest.fixture(scope="module")
def exam() -> Exam:
    return make_exam(modality="text", seed=140, pairs=6, ordinary=2, nulls=2)


@pytest.fixture(scope="module")
def honest() -> Honest:
    return Honest(one_word)


def labels(sitting: Sitting) -> list[tuple[str, str]]:
    return [(a.item.id, a.explanation.label) for a in sitting.answers]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_mixed_cheat_answers_as_the_weaker_one_does(exam: Exam, honest: Honest, share: float) -> None:
    whole, plain = sit(exam, load_cheat("memorise", honest=honest, seed=4)), sit(exam, honest)
    asked = sit(exam, load_cheat("memorise", honest=honest, share=share, seed=4))
    mixed = weaker(whole, plain, share=share, pairs=6, seed=4)
    assert labels(mixed) == labels(asked)
    assert mixed.exam is exam
    if share == 0.5:
        told = [a.explanation.confidence > 0.9 for a in mixed.answers]
        expected = [turned(i.unit.key, share=0.5, seed=4) and i.role != "dead" for i in exam.items]
        assert told == expected
        assert 0 < sum(told) < len(told)


def test_a_smaller_exam_has_whole_pairs_and_all_else(exam: Exam, honest: Honest) -> None:
    plain = sit(exam, honest)
    small = weaker(plain, plain, share=1.0, pairs=2, seed=4)
    assert len(small.exam.of("sensitive")) == len(small.exam.of("benign")) == 2
    assert {i.pair for i in small.exam.of("sensitive")} == {i.pair for i in small.exam.of("benign")}
    assert len(small.exam.items) == len(exam.items) - 8
    assert [a.item for a in small.answers] == list(small.exam.items)


def test_answers_that_were_marked_are_not_marked_again(
    exam: Exam, honest: Honest, monkeypatch: pytest.MonkeyPatch
) -> None:
    import maieutic.bench.audit_seed as module

    seed, calls = Seed(4, Settings(), exam=exam), list[str]()
    real = module.mark
    monkeypatch.setattr(module, "mark", lambda e, a: (calls.append(a.item.id), real(e, a))[1])
    plain = seed.marked(sit(exam, honest))
    assert len(calls) == len(exam.items)
    small = seed.marked(weaker(plain, plain, share=0.5, pairs=2, seed=4))
    assert len(calls) == len(exam.items)
    assert isinstance(small, Marked)
    assert [m.item for m in small.marks] == [i.id for i in small.exam.items]
    by_id = {m.item: m for m in Sitting(exam=exam, explainer="x", answers=plain.answers).marks}
    assert list(small.marks) == [by_id[m.item] for m in small.marks]


def finding(audit: str, p: float | None) -> Finding:
    reading = Reading(name=audit, value=0.5, n=9) if p is not None else Reading.unmeasured(audit, "no")
    return Finding(audit=audit, statistic=audit, reading=reading, p=p)


def test_a_weaker_card_runs_again_what_saw_the_whole(
    monkeypatch: pytest.MonkeyPatch, exam: Exam, honest: Honest
) -> None:
    import maieutic.bench.audit_seed as module

    run: list[tuple[str, ...]] = []

    def audits(_: Sitting, names: list[str], *, reference: Sitting | None) -> tuple[Finding, ...]:
        assert reference is None or reference is sitting
        run.append(tuple(names))
        return tuple(finding(n, 0.02) for n in names)

    monkeypatch.setattr(module, "run_audits", audits)
    sitting = sit(exam, honest)
    whole = judged([finding("censoring", 0.001), finding("effort", 0.5), finding("nulls", None)])
    found = again(sitting, whole, sitting)
    assert run == [("censoring",)]
    # Holm over two: 0.02 x 2 = 0.04 alarms, 0.5 does not; what was unmeasured stays so
    assert {f.audit: f.verdict for f in found} == {"censoring": "alarm", "effort": "clear", "nulls": "unmeasured"}
    three = judged([finding("censoring", 0.001), finding("effort", 0.5), finding("claims", 0.5)])
    assert [f.verdict for f in again(sitting, three)] == ["clear"] * 3  # 0.02 x 3 = 0.06
    nobody = judged([finding("effort", 0.5)])
    assert again(sitting, nobody) == nobody
    assert len(run) == 2


def test_honest_variants_say_no_more_than_the_search_does(exam: Exam) -> None:
    def sure(lab: Lab) -> Explanation:
        """Sure of every other unit; its label is not the wording of its predicate."""
        index = lab.unit.index or 0
        return Explanation(
            unit=lab.unit.key, label=f"seed {lab.seed}", predicate=Constant(value=1.0), explainer="s",
            confidence=0.95 if index % 2 else 0.5,
        )  # fmt: skip

    whole = Honest(sure)
    assert {a.explanation.label for a in sit(exam, Reworded(whole)).answers} == {"anything"}
    assert {a.explanation.label for a in sit(exam, Reseeded(whole)).answers} == {f"seed {exam.seed + 1000}"}


# --- counting --------------------------------------------------------------------------------------------------------
def card(name: str, kind: str, *alarms: str, share: float = 1.0, pairs: int = 12) -> Carded:
    return Carded(seed=1, explainer=name, kind=kind, share=share, pairs=pairs, alarms=alarms, recall=0.5)


CARDS = [
    *(card("search", "honest") for _ in range(19)), card("search", "honest", "nulls"),
    *(card("lookup", "bare", "effort") for _ in range(2)),
    *(card("censor", "cheat", "censoring") for _ in range(4)),
    *(card("forge", "cheat", "claims", "effort") for _ in range(3)), card("forge", "cheat"),
    *(card("censor", "weaker", "censoring", share=0.5) for _ in range(2)), card("censor", "weaker", share=0.5),
    card("censor", "weaker", "censoring", pairs=4), card("forge", "weaker", share=0.5),
]  # fmt: skip


def test_figures_count_cards() -> None:
    found = figures(CARDS)
    value = {n: f.reading.value for n, f in found.items()}
    assert value["false_alarms"] == value["false_alarms.search"] == 1 / 20  # a bare explainer is not counted
    assert found["false_alarms"].met is True
    assert value["false_alarms.any"] == 1.0  # all cards are of one exam, and one of them alarms
    assert value["false_alarms.by.nulls"] == 1 / 20
    assert value["false_alarms.by.censoring"] == 0.0
    assert value["alarms.lookup"] == 1.0
    assert value["detected.censor"] == 1.0
    assert value["detected.censor.share 0.5"] == pytest.approx(2 / 3)
    assert value["detected.censor.4 pairs"] == 1.0
    assert value["detected.forge"] == 0.75
    assert found["detected.forge"].target is None
    assert found["false_alarms"].reading.n == 20
    assert set(AUDITED) == {n.removeprefix("false_alarms.by.") for n in found if n.startswith("false_alarms.by.")}


def test_the_hardest_cheat_is_said_plainly() -> None:
    assert by_hardness(CARDS) == ("censor", "forge")
    told = tables(CARDS, {"all": 3.0})
    assert told[0].title.endswith("Hardest: forge, seen on 3 of 4 exams.")
    rows = {r[0]: r for r in told[0].rows}
    assert rows["forge"][2] == "claims 0.75, effort 0.75"
    power = next(t for t in told if t.title.startswith("Share of cards"))
    assert dict(zip(power.columns, power.rows[0], strict=True)) == {
        "cheat": "censor", "share 0.5": "0.67", "4 pairs": "1.00", "whole": "1.00",
    }  # fmt: skip
    assert power.rows[1] == ("forge", "0.00", "-", "0.75")
    drawn = plots(CARDS)
    assert set(drawn) == {"power-share.svg", "power-pairs.svg"}
    assert "share 0.5, censor: 0.67 (n=3)" in drawn["power-share.svg"]


def test_among_cheats_seen_alike_the_one_seen_less_in_part_is_harder() -> None:
    parts = [
        card("a", "cheat", "x"),
        card("b", "cheat", "x"),
        card("b", "weaker", "x", share=0.5),
        card("a", "weaker", share=0.5),
    ]
    assert by_hardness(parts) == ("b", "a")
    assert by_hardness([c if c.kind == "cheat" else replace(c, alarms=()) for c in parts]) == ("a", "b")


def test_what_cannot_be_benched_is_said() -> None:
    assert "audit" in benches()
    with pytest.raises(UsageError, match="no cheat 'censr'"):
        run_audit_bench(cheats=["censr"])
    with pytest.raises(UsageError, match="no seed"):
        run_bench("audit", seeds=0)


@pytest.mark.slow
def test_the_bench_runs_and_tells_a_censor_and_a_forger_from_the_honest() -> None:
    result = run_bench("audit", seed=141, quick=True, seeds=1, cheats=["forge"], jobs=1)
    value = {n: f.reading.value for n, f in result.figures.items()}
    assert value["detected.forge"] == 1.0
    row = next(r for r in result.rows if r["explainer"] == "forge")
    assert "claims" in row["alarms"]
    assert row["turned"] > 0
    assert {r["kind"] for r in result.rows} == {"honest", "bare", "cheat"}
