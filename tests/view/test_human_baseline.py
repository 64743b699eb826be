"""Labels that people wrote, scored by the scorers that score machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from maieutic.cli.main import run as command
from maieutic.errors import StoreError, UserError
from maieutic.report.human import labels_of, score_people
from maieutic.report.said import PERSON, Said, append_said
from maieutic.store import Store, explanations, scores, units


def said(unit: str, text: str, *, verdict: str = "correct", person: str = "Ada") -> Said:
    return Said.model_validate(
        {
            "unit": unit,
            "verdict": verdict,
            "text": text,
            "person": person,
            "blind": verdict == "label",
            "explainer": "search",
        }
    )


def keys(folder: Path) -> list[str]:
    with Store.open(folder) as store:
        return [r["key"] for r in store.rows(units, role="main")]


def test_a_label_written_blind_comes_before_a_correction() -> None:
    spoken = [
        said("a/1", "blind", verdict="label"),
        said("a/1", "later correction"),
        said("a/2", "first", person="Bo"),
        said("a/2", "second"),
        said("a/3", "Bo's", person="Bo"),
    ]
    assert {u: s.text for u, s in labels_of(spoken).items()} == {"a/1": "blind", "a/2": "second", "a/3": "Bo's"}
    assert {u: s.text for u, s in labels_of(spoken, person="bo").items()} == {"a/2": "first", "a/3": "Bo's"}


@pytest.mark.slow
def test_people_and_machine_stand_side_by_side(own_run: Path) -> None:
    with Store.open(own_run) as store:
        ids = {r["key"]: r["id"] for r in store.rows(units, role="main")}
        marks = {r["unit"]: r["value"] for r in store.rows(scores, explainer="search", name="predictive")}
        # units that can be scored first
        first, second, third, fourth = sorted(ids, key=lambda k: (marks[ids[k]] is None, ids[k]))[:4]
        same = store.rows(explanations, unit=ids[first], explainer="search")[0]["label"]
    append_said(own_run, said(first, 'the word "river"', verdict="label"))
    append_said(own_run, said(second, 'the words "cat" and "dog"', verdict="label"))
    append_said(own_run, said(third, 'the word "moon"'))
    append_said(own_run, said(fourth, "..."))  # nothing of it can be executed
    found = score_people(own_run, machine="search")
    assert (found.blind, found.corrected) == (2, 2)
    assert [u for u, _ in found.unreadable] == [fourth]
    with Store.open(own_run) as store:
        stored = {r["unit"]: r for r in store.rows(explanations, explainer=PERSON)}
        values = {r["unit"]: r["value"] for r in store.rows(scores, explainer=PERSON, name="predictive")}
    assert stored[ids[first]]["label"] == 'the word "river"'
    assert stored[ids[fourth]]["reason"] is not None
    assert values[ids[fourth]] is None  # not a number for what could not be read
    # by hand: the mean of the differences of those units that both have a score for
    both = [u for u in (ids[first], ids[second], ids[third]) if values[u] is not None and marks[u] is not None]
    expected = sum(values[u] - marks[u] for u in both) / len(both)
    assert found.beside.difference.value == pytest.approx(expected)
    # of eight units people labelled four, one of them in words that say nothing; the machine has a score for three
    assert dict(found.beside.left_out) == {"not in A": 4, "no label in A": 1, "no score in B": 5}
    assert any("chose which units" in n for n in found.beside.notes)
    assert same  # the machine's own label is untouched
    assert command(["people", str(own_run), "--json"]) == 0


def test_nobody_and_a_busy_run_are_told_in_a_line(own_run: Path) -> None:
    with pytest.raises(UserError, match="nobody wrote a label"):
        score_people(own_run)
    append_said(own_run, said("layers.9.mlp/1", "x"))
    with Store.open(own_run, write=True), pytest.raises(StoreError, match="another process"):
        score_people(own_run)
    with pytest.raises(UserError, match=r"layers.9.mlp/1 is not a unit"):
        score_people(own_run)
