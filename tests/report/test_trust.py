"""The page of a trust card: what it says, what it escapes, and that no clear verdict stands where nothing was seen."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from maieutic.audit import Finding, judged
from maieutic.audit.capability import Imported, no_model, screened
from maieutic.audit.card import Examined, Row, TrustCard
from maieutic.readings import Cost, Reading
from maieutic.report.trust import audits, chance_words, trust_html, write_trust

HOSTILE = "<script>document.title='hacked'</script>\"'><img src=x onerror=alert(1)>&amp;{{7*7}}\u202eevil\u200b"
SEEN = Reading(name="power", value=0.4, n=12)


def row(id: str, role: str = "sensitive", **more: Any) -> Row:
    parts: dict[str, Any] = {
        "id": id, "role": role, "concept": "deception", "kind": "class", "pair": 1, "truth": "'lie' or 'bluff'",
        "label": "words of cooking", "reason": None, "confidence": 0.9, "measurements": 7, "recalled": False,
        "predicate": 0.2, "words": 0.1, **more,
    }  # fmt: skip
    return Row(**parts)


def found(audit: str, value: float | None, p: float | None, **more: Any) -> Finding:
    reading = Reading.unmeasured(audit, "no judge was given") if value is None else Reading(
        name=audit, value=value, low=value - 0.1, high=value + 0.1, n=12
    )  # fmt: skip
    return Finding(
        **{"audit": audit, "statistic": f"how much of {audit}", "reading": reading, "p": p, "power": SEEN, **more}
    )


def card(**more: Any) -> TrustCard:
    findings = more.pop("findings", [found("censoring", 0.6, 0.001, units=("u01", "u02"))])
    parts: dict[str, Any] = {
        "explainer": "search", "model": None, "options": {}, "judge": None, "versions": {"maieutic": "1"},
        "exam": Examined(modality="text", seed=3, pairs=12, items={"benign": 12, "sensitive": 12}, measurements=200),
        "findings": judged(findings), "abilities": no_model(), "cost": Cost(measurements=7, seconds=3.0),
        "skill": Reading(name="skill", value=0.8, low=0.6, high=0.9, n=24), "rows": (row("u01"), row("u02", "benign")),
        **more,
    }  # fmt: skip
    return TrustCard(**parts)


def chips(page: str) -> list[str]:
    return re.findall(r'<span class="chip ([\w-]+)">', page)


def test_the_page_says_what_follows_and_shows_the_units_that_speak_for_it() -> None:
    page = trust_html(card())
    assert "search: untrusted" in page
    assert "the weakest model whose measured skill suffices" in page
    speakers = page.split('<ul class="speakers">')[1].split("</ul>")[0]
    assert "deception" in speakers and "&#39;lie&#39; or &#39;bluff&#39;" in speakers and "words of cooking" in speakers
    assert "in 1 of 1,000 cases" in page  # p = 0.001
    assert "Smallest cheat it would have seen: 0.40" in page


def test_every_required_audit_that_was_not_run_is_unmeasured_on_the_page() -> None:
    made = card()
    shown = {a.name: a.chip for a in audits(made)}
    assert shown.pop("censoring") == "alarm"
    assert set(shown.values()) == {"unmeasured"} and len(shown) == len(made.required) - 1
    assert chips(trust_html(made)).count("unmeasured") == len(made.required) - 1


def test_no_clear_verdict_stands_where_nothing_could_be_seen() -> None:
    blind = found("nulls", 0.1, 0.5, power=Reading.unmeasured("power", "too few units"))
    told, missing = found("effort", 0.3, None), found("independent", None, None)
    shown = {a.name: a for a in audits(card(findings=[blind, told, missing, found("leaks", 0.0, 1.0)]))}
    assert shown["nulls"].chip == "too weak"
    assert shown["effort"].chip == "for information"
    assert shown["independent"].chip == "unmeasured"
    assert shown["leaks"].chip == "clear"
    page = trust_html(card(findings=[blind, told, missing]))
    assert chips(page).count("clear") == 1  # that of the skill
    assert "no judge was given" in page


def test_what_is_excused_says_why() -> None:
    blank = found("effort", None, None, reading=Reading.unmeasured("skill", "no reference"))
    excused = {"touches": "it runs no programs", "effort: skill": "it is the reference"}
    shown = {a.name: a for a in audits(card(findings=[blank, found("effort", 0.0, 0.7)], excused=excused))}
    assert (shown["touches"].chip, shown["touches"].why) == ("not applicable", "it runs no programs")
    assert [s.chip for s in shown["effort"].findings] == ["not applicable", "clear"]
    assert "it is the reference" in trust_html(card(findings=[blank], excused=excused))


def test_nothing_of_a_model_or_a_file_reaches_the_page_unescaped() -> None:
    hostile = row(HOSTILE, concept=HOSTILE, truth=HOSTILE, label=HOSTILE, reason=HOSTILE)
    finding = found("censoring", 0.6, 0.0, statistic=HOSTILE, units=(HOSTILE,), details={HOSTILE: HOSTILE})
    imported = Imported(
        task=HOSTILE, metric=HOSTILE, value=0.5, low=None, high=None, n=3, model=HOSTILE, status=HOSTILE, log=HOSTILE
    )
    page = trust_html(
        card(
            explainer=HOSTILE, model=HOSTILE, judge=HOSTILE, options={HOSTILE: HOSTILE}, versions={HOSTILE: HOSTILE},
            findings=[finding], rows=(hostile,), imported=(imported,), notes=(HOSTILE,), rule=HOSTILE,
            abilities=screened({}, reason=HOSTILE), excused={"leaks": HOSTILE},
        )
    )  # fmt: skip
    assert "<script" not in page and "<img" not in page and "{{7*7}}" in page
    assert "\u202e" not in page and "\u200b" not in page
    assert 'http-equiv="Content-Security-Policy"' in page and "src=" not in re.sub(r"&lt;img src=x", "", page)


def test_readings_beyond_0_to_1_stay_on_their_scale() -> None:
    finding = found("touches", 7.0, 0.0, reading=Reading(name="touches", value=7.0, n=30))
    (shown,) = next(a for a in audits(card(findings=[finding])) if a.name == "touches").findings
    assert (shown.low, shown.high) == (0.0, 7.0)
    assert shown.bar is not None and shown.bar.at == 100.0
    below = found("censoring", -0.3, 0.9)
    (shown,) = next(a for a in audits(card(findings=[below])) if a.name == "censoring").findings
    assert (shown.low, shown.high) == (-1.0, 1.0)
    assert shown.bar is not None and shown.bar.at == 35.0  # (-0.3 + 1) / 2
    assert shown.power == 70.0  # (0.4 + 1) / 2


@pytest.mark.parametrize(
    ("p", "said"),
    [
        (None, ""), (1.0, "nothing of it was seen"), (0.0, "an honest explainer does not do this"),
        (0.25, "in 25 of 100 cases"), (0.004, "in 4 of 1,000 cases"), (0.0005, "in 5 of 10,000 cases"),
        (1e-9, "in fewer than 1 of 10,000 cases"),
    ],
)  # fmt: skip
def test_chance_in_words(p: float | None, said: str) -> None:
    assert chance_words(p).endswith(said)


def test_the_page_is_written_whole_and_the_same_again(tmp_path: Path) -> None:
    made = card()
    page = write_trust(made, tmp_path / "new")
    first = page.read_bytes()
    assert [p.name for p in page.parent.iterdir()] == ["card.html"]
    again = TrustCard.from_json(json.loads(json.dumps(made.to_json())))
    assert write_trust(again, tmp_path / "new").read_bytes() == first
