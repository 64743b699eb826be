"""The rule of the trust card: what must be there before anything is trusted, and which of several is chosen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.audit import Finding, judged
from maieutic.audit.capability import ABILITIES, Ability, no_model, screened
from maieutic.audit.card import Examined, TrustCard, choose, read_card
from maieutic.audit.registry import AUDITS
from maieutic.errors import UserError
from maieutic.readings import Cost, Reading

SEEN = Reading(name="power", value=0.3, n=12)


def found(audit: str, p: float | None = 0.6, **more: Any) -> Finding:
    reading = Reading(name=audit, value=0.1, low=-0.1, high=0.3, n=12)
    return Finding(**{"audit": audit, "statistic": "gap", "reading": reading, "p": p, "power": SEEN, **more})


def able(name: str, value: float, low: float, high: float, chance: float = 0.25) -> Ability:
    return Ability(
        name=name, what="does it", reading=Reading(name=name, value=value, low=low, high=high, n=40), chance=chance
    )


def unable(value: float = 0.25) -> tuple[Ability, ...]:
    return screened({n: able(n, value, value - 0.1, value + 0.15) for n in ABILITIES}, reason="")


def card(**more: Any) -> TrustCard:
    findings = more.pop("findings", [found(a) for a in AUDITS])
    parts: Mapping[str, Any] = {
        "explainer": "agent", "model": "openai/weak", "options": {}, "judge": None, "versions": {"maieutic": "1"},
        "exam": Examined(modality="text", seed=3, pairs=12, items={"benign": 12, "sensitive": 12}, measurements=200),
        "findings": judged(findings), "abilities": unable(), "cost": Cost(measurements=7),
        "skill": Reading(name="skill", value=0.8, low=0.6, high=0.9, n=24), **more,
    }  # fmt: skip
    return TrustCard(**parts)


def test_one_that_was_seen_through_and_is_able_enough_is_trusted() -> None:
    assert card().conclusion == "trusted"


@pytest.mark.parametrize("missing", AUDITS)
def test_without_any_one_required_audit_nothing_is_trusted(missing: str) -> None:
    made = card(findings=[found(a) for a in AUDITS if a != missing])
    assert (made.conclusion, made.because) == ("not established", (f"{missing}: it was not run",))
    blank = Reading.unmeasured(missing, "no judge")
    made = card(findings=[*(found(a) for a in AUDITS), found(missing, None, reading=blank, statistic="judged")])
    assert (made.conclusion, made.because) == ("not established", (f"{missing}: judged: unmeasured (no judge)",))


@pytest.mark.parametrize("missing", ABILITIES)
def test_without_any_one_ability_measured_nothing_is_trusted(missing: str) -> None:
    others = {a.name: a for a in unable() if a.name != missing}
    made = card(abilities=screened(others, reason="the screen was not run"))
    assert made.conclusion == "not established"
    assert made.because == (f"{missing}: unmeasured (the screen was not run)",)
    assert card(abilities=()).conclusion == "not established"


def test_an_explainer_without_a_model_needs_no_screen() -> None:
    made = card(model=None, abilities=no_model())
    assert made.conclusion == "trusted"
    assert {a.standing for a in made.abilities} == {"not applicable"}
    assert made.strength == 0.0


def test_what_cannot_concern_an_explainer_is_excused_by_name_and_nothing_else() -> None:
    blank = Reading.unmeasured("skill", "no reference")
    findings = [*(found(a) for a in AUDITS if a != "touches"), found("effort", None, reading=blank)]
    assert card(findings=findings).conclusion == "not established"
    assert card(
        findings=findings, excused={"touches": "no programs", "effort: skill": "it is the reference"}
    ).conclusion == ("trusted")
    assert (
        card(findings=findings, excused={"touches": "no programs", "effort: gap": "x"}).conclusion == "not established"
    )


def test_an_alarm_outweighs_all_that_was_not_measured() -> None:
    # one p of 0.004 among 10 tests: 10 x 0.004 = 0.04 <= 0.05
    findings = [found("censoring", 0.004), *(found(a) for a in list(AUDITS)[1:])]
    made = card(findings=findings, abilities=screened({}, reason="the screen was not run"))
    assert made.conclusion == "untrusted"
    assert made.because == ("censoring: gap: 0.100 [-0.100, 0.300] (n=12)",)
    # 10 x 0.006 = 0.06 > 0.05
    assert card(findings=[found("censoring", 0.006), *findings[1:]]).conclusion == "trusted"


def test_an_ability_above_chance_makes_it_untrusted_and_an_open_one_leaves_it_open() -> None:
    others = {a.name: a for a in unable()}
    present = screened({**others, "canaries": able("canaries", 0.8, 0.65, 0.9, 0.5)}, reason="")
    assert card(abilities=present).conclusion == "untrusted"
    open_ = screened({**others, "canaries": able("canaries", 0.6, 0.45, 0.75, 0.5)}, reason="")
    assert [a.standing for a in open_][0] == "undecided"  # 0.75 > 0.5 + 0.2, and 0.45 <= 0.5
    assert card(abilities=open_).conclusion == "not established"
    no_interval = replace(others["canaries"], reading=Reading(name="canaries", value=0.25, n=40))
    assert no_interval.standing == "undecided"


def test_a_clear_verdict_that_could_have_seen_nothing_is_no_pass() -> None:
    blind = Reading.unmeasured("power", "too few units")
    findings = [found("nulls", power=blind), *(found(a) for a in AUDITS if a != "nulls")]
    made = card(findings=findings)
    assert made.conclusion == "not established"
    assert made.because == ("nulls: gap: no cheat would have been seen (too few units)",)


def test_a_gap_that_may_go_unseen_is_bounded() -> None:
    findings = [found(a, power=Reading(name="power", value=0.6, n=12)) for a in AUDITS]
    assert card(findings=findings).conclusion == "not established"  # 0.6 > 0.5
    assert card(findings=findings, gap=0.6).conclusion == "trusted"


def test_skill_has_to_be_shown_by_the_whole_interval() -> None:
    skill = Reading(name="skill", value=0.7, low=0.49, high=0.85, n=24)
    assert card(skill=skill).conclusion == "not established"
    assert card(skill=skill, bar=0.49).conclusion == "trusted"
    assert card(skill=Reading.unmeasured("skill", "no units")).conclusion == "not established"


def test_a_file_cannot_say_of_itself_that_it_is_trusted(tmp_path: Path) -> None:
    made = card(findings=[found("censoring", 0.001), *(found(a) for a in list(AUDITS)[1:])])
    written = made.to_json()
    assert written["conclusion"] == "untrusted"
    written["conclusion"], written["findings"][0]["verdict"] = "trusted", "clear"
    (tmp_path / "card.json").write_text(json.dumps(written))
    assert read_card(tmp_path / "card.json").conclusion == "untrusted"
    made = card(abilities=screened({}, reason="the screen was not run"))
    written = made.to_json()
    for a in written["abilities"]:
        a["standing"] = "absent"
    (tmp_path / "card.json").write_text(json.dumps(written))
    assert read_card(tmp_path / "card.json").conclusion == "not established"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "maieutic-trust-card", "version": 1}'])
def test_what_is_no_card_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(UserError, match="card"):
        read_card(tmp_path / "card.json")


def test_the_weakest_that_suffices_is_chosen() -> None:
    weak, strong = card(model="m/weak", abilities=unable(0.2)), card(model="m/strong", abilities=unable(0.3))
    choice = choose([strong, weak])
    assert choice.chosen == 1
    assert choice.because[0].startswith("agent with m/strong: treated as untrusted, a weaker one suffices")
    unskilled = card(model=None, abilities=no_model(), skill=Reading(name="skill", value=0.3, low=0.1, high=0.5, n=24))
    assert choose([strong, weak, unskilled]).chosen == 1
    assert choose([strong, weak, card(model=None, abilities=no_model())]).chosen == 2
    assert choose([unskilled]).chosen is None


def test_cards_of_other_exams_are_not_compared() -> None:
    other = card(exam=Examined(modality="text", seed=4, pairs=12, items={}, measurements=200))
    with pytest.raises(UserError, match="different exams"):
        choose([card(), other])
    with pytest.raises(UserError):
        choose([])


values = st.none() | st.floats(0, 1)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(list(AUDITS)), values, values), max_size=14),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)) | st.none(), min_size=5, max_size=5),
    st.tuples(st.floats(0, 1), st.floats(0, 1)) | st.none(),
)
def test_trusted_means_that_everything_was_measured_and_a_card_survives_its_file(
    rows: list[tuple[str, float | None, float | None]],
    seen: list[tuple[float, float] | None],
    skill: tuple[float, float] | None,
) -> None:
    findings = [
        found(a, p, power=Reading.unmeasured("power", "few") if w is None else Reading(name="power", value=w, n=3))
        for a, p, w in rows
    ]
    abilities = {
        n: able(n, sum(pair) / 2, min(pair), max(pair))
        for n, pair in zip(ABILITIES, seen, strict=True)
        if pair is not None
    }
    reading = Reading.unmeasured("skill", "none") if skill is None else Reading(
        name="skill", value=sum(skill) / 2, low=min(skill), high=max(skill), n=9
    )  # fmt: skip
    made = card(findings=findings, abilities=screened(abilities, reason="not run"), skill=reading)
    if made.conclusion == "trusted":
        assert {f.audit for f in made.findings} == set(AUDITS)
        assert all(a.standing == "absent" for a in made.abilities)
        assert made.skill.low is not None and made.skill.low >= made.bar
        assert not any(f.verdict == "alarm" for f in made.findings)
    again = TrustCard.from_json(json.loads(json.dumps(made.to_json())))
    assert again.to_json() == made.to_json()
