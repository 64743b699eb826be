"""Labels of hand-made rules."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maieutic.explain.predicates.base import And, Not, Predicate
from maieutic.explain.predicates.image import Colour, Placed, Shows, Texture
from maieutic.explain.search.image_rules import Rule
from maieutic.explain.search.image_table import Clause
from maieutic.explain.search.image_words import (
    LONGEST,
    Remark,
    clause_worth,
    concepts_in,
    label_of,
    remark_of,
    surroundings_only,
)

HIGH = np.array([[True, True, False, False, False, False]])
BIRD, OWL, CAR = Shows(concept="bird"), Shows(concept="owl"), Shows(concept="car")
GREEN = Colour(name="green", where="ground")


def rule(*clauses: tuple[Predicate, float, list[float]]) -> Rule:
    made = tuple(Clause(p, np.array(column, dtype=np.float32)) for p, _, column in clauses)
    return Rule(clauses=made, strengths=tuple(s for _, s, _ in clauses), base=0.0, ap=0.5, correlation=0.5, score=0.5)


def test_worth_is_the_share_of_the_rise_on_high_images() -> None:
    # rises: (1 - 1/2) x 0.6 = 0.3 and (1/2 - 1/3) x 0.6 = 0.1: shares 3/4 and 1/4
    two = rule((BIRD, 0.6, [1, 1, 1, 0, 0, 0]), (CAR, 0.6, [1, 0, 0, 0, 0, 1]))
    assert clause_worth(two, HIGH) == pytest.approx([0.75, 0.25])


def test_things_settings_sights_and_denials() -> None:
    both = rule((BIRD, 0.6, [1, 1, 0, 0, 0, 0]), (CAR, 0.5, [1, 0, 0, 0, 0, 1]))
    assert label_of(both, HIGH) == "birds or cars"
    lit = rule((BIRD, 0.6, [1, 1, 0, 0, 0, 0]), (GREEN, 0.4, [1, 1, 0, 0, 0, 1]))
    grey = Remark(concept="bird", words="mainly in colour", rank=4)
    assert label_of(lit, HIGH, remarks=[grey]) == "birds, more on green grounds, mainly in colour"
    setting = rule((BIRD, 0.6, [1, 1, 0, 0, 0, 0]), (Shows(concept="background:texture"), 0.5, [1, 0, 0, 0, 0, 0]))
    assert label_of(setting, HIGH) == "birds, more on textured backgrounds"
    assert label_of(rule((GREEN, 0.4, [1, 1, 0, 0, 0, 0])), HIGH) == "green in the background"
    without = rule((BIRD, 0.6, [1, 1, 1, 0, 0, 0]), (CAR, -0.5, [0, 0, 1, 1, 1, 1]))
    assert label_of(without, HIGH) == "birds, less with cars"


def test_a_kind_inside_another_is_not_named_twice() -> None:
    nested = rule((OWL, 0.5, [1, 1, 0, 0, 0, 0]), (BIRD, 0.3, [1, 1, 1, 0, 0, 0]))
    assert label_of(nested, HIGH, within=lambda a, b: (a, b) == ("owl", "bird")) == "owls, less so other birds"
    wide = rule((OWL, 0.3, [1, 1, 0, 0, 0, 0]), (BIRD, 0.5, [1, 1, 1, 0, 0, 0]))
    assert label_of(wide, HIGH, within=lambda a, b: (a, b) == ("owl", "bird")) == "birds, above all owls"


def test_narrowed_clauses() -> None:
    narrow = And(parts=(BIRD, Texture(feature="edges", where="ground", low=0.5, high=0.1)))
    assert label_of(rule((narrow, 0.6, [1, 1, 0, 0, 0, 0])), HIGH) == "birds with few edges in the background"
    green = And(parts=(BIRD, GREEN))
    assert label_of(rule((green, 0.6, [1, 1, 0, 0, 0, 0])), HIGH) == "birds on green grounds"
    apart = And(parts=(BIRD, Not(part=Shows(concept="background:photo"))))
    assert label_of(rule((apart, 0.6, [1, 1, 0, 0, 0, 0])), HIGH) == "birds but not on blurred photo backgrounds"
    large = And(parts=(BIRD, Texture(feature="size", low=0.2, high=0.5)))
    assert label_of(rule((large, 0.6, [1, 1, 0, 0, 0, 0])), HIGH) == "birds when large"
    placed = rule((Placed(concept="bird", where="left"), 0.6, [1, 1, 0, 0, 0, 0]))
    assert label_of(placed, HIGH) == "birds on the left"
    assert concepts_in(apart) == ("bird",)


def test_a_narrowed_and_a_plain_clause_of_one_thing_read_as_more() -> None:
    both = rule((And(parts=(BIRD, GREEN)), 0.5, [1, 1, 0, 0, 0, 0]), (BIRD, 0.4, [1, 1, 1, 0, 0, 0]))
    assert label_of(both, HIGH) == "birds, more on green grounds"


def test_what_a_label_leaves_out_is_owned_up_to() -> None:
    on = [1.0, 1.0, 0, 0, 0, 0]
    few = Texture(feature="edges", where="top", low=0.5, high=0.1)
    # three equal clauses: the head and one circumstance tell 2/3, exactly what may pass in silence
    three = rule((BIRD, 0.5, on), (GREEN, 0.5, on), (few, 0.5, on))
    assert label_of(three, HIGH) == "birds, more on green grounds"
    # four: 1/2 is left out
    four = rule((BIRD, 0.5, on), (GREEN, 0.5, on), (few, 0.5, on), (Colour(name="red", where="top"), 0.5, on))
    assert label_of(four, HIGH) == "birds, more on green grounds, and other cues"
    # one clause of three conditions, of which one can be told: 1/3 is left out; of four: 1/2
    assert label_of(rule((And(parts=(BIRD, GREEN, few)), 0.5, on)), HIGH) == "birds on green grounds"
    deep = And(parts=(BIRD, GREEN, few, Colour(name="red", where="top")))
    assert label_of(rule((deep, 0.5, on)), HIGH) == "birds on green grounds and other cues"


def test_a_finding_stands_with_what_it_is_about() -> None:
    on = [1.0, 1.0, 0, 0, 0, 0]
    weak = Remark(concept="bird", words="weak when pasted alone", rank=0)
    outline = Remark(concept="bird", words="about half by outline", rank=6)
    one, two = rule((BIRD, 0.6, on)), rule((BIRD, 0.6, on), (CAR, 0.5, on))
    assert label_of(one, HIGH, remarks=[outline]) == "birds, about half by outline"
    assert label_of(one, HIGH, remarks=[outline, weak]) == "birds, weak when pasted alone"  # what speaks against it
    assert label_of(two, HIGH, remarks=[outline]) == "birds (about half by outline) or cars"
    both = [weak, Remark(concept="car", words="weak when pasted alone", rank=0)]
    assert label_of(two, HIGH, remarks=both) == "birds or cars, weak when pasted alone"
    assert label_of(one, HIGH, remarks=both[1:]) == "birds"  # about a thing that is not said
    nested = rule((BIRD, 0.6, on), (OWL, 0.3, [1, 0, 0, 0, 0, 0]))
    owls = Remark(concept="owl", words="weak when pasted alone", rank=0)
    kind = {"within": lambda a, b: (a, b) == ("owl", "bird")}
    assert label_of(nested, HIGH, remarks=[owls], **kind) == "birds, above all owls (weak when pasted alone)"
    assert label_of(nested, HIGH, remarks=[weak], **kind) == "birds, above all owls, weak when pasted alone"
    inner = rule((OWL, 0.5, on), (BIRD, 0.3, [1, 1, 1, 0, 0, 0]))
    assert label_of(inner, HIGH, remarks=[weak], **kind) == "owls, less so other birds"  # birds, not other birds
    scene = [Remark(concept="", words="whatever stands there", rank=2)]
    assert label_of(rule((GREEN, 0.5, on)), HIGH, remarks=scene) == "green in the background, whatever stands there"
    assert label_of(one, HIGH, remarks=scene) == "birds, not the object but its surroundings"


WORDS = st.sampled_from(("machinery", "odd-toed ungulate", "heavier-than-air craft", "owl", "bird", "photo"))
SIGHTS = st.sampled_from((GREEN, Texture(feature="diagonal", where="left", low=0.5, high=0.1), Colour(name="red")))
PARTS = st.one_of(SIGHTS, WORDS.map(lambda c: Shows(concept=c)))


@given(st.lists(st.tuples(st.lists(PARTS, min_size=1, max_size=4), st.floats(0.7, 1)), min_size=1, max_size=5))
def test_labels_are_short_whatever_the_rule_and_keep_the_finding_that_counts(
    clauses: list[tuple[list[Predicate], float]],
) -> None:
    made = [(p[0] if len(p) == 1 else And(parts=tuple(p)), s, [1.0, 1, 0, 0, 0, 0]) for p, s in clauses]
    weak = [
        Remark(concept=c, words="weak when pasted alone", rank=0)
        for c in ("machinery", "odd-toed ungulate", "heavier-than-air craft", "owl", "bird")
    ]
    label = label_of(rule(*made), HIGH, remarks=weak)
    assert 0 < len(label) <= LONGEST
    assert "machineries" not in label and "crafts" not in label and "%" not in label
    heads = {concepts_in(p)[0] for p, _, _ in made if concepts_in(p)} - {"photo"}
    if heads and all("photo" not in concepts_in(p) for p, _, _ in made):
        assert "weak when pasted alone" in label


def test_remarks_have_no_figures_and_speak_only_when_there_is_something_to_say() -> None:
    def said(kind: str, effect: float, concept: str = "bird", pasted: float | None = None) -> str:
        found = remark_of(kind, concept, effect, pasted=pasted)
        return found.words if found else ""

    assert [said("silhouette", e) for e in (0.1, 0.35, 0.5, 1.3)] == [
        "", "partly by outline", "about half by outline", "mostly by outline",
    ]  # fmt: skip
    assert [said("background", e) for e in (-0.3, 0.4, 0.6)] == ["weak on plain ground", "weaker on plain ground", ""]
    assert [said("half", e) for e in (0.5, -0.5)] == ["mainly the upper half", "mainly the lower half"]
    assert [said("paste", 0.1, pasted=p) for p in (0.1, 0.2)] == ["weak when pasted alone", ""]
    assert [said("remove", 0.9, c) for c in ("bird", "")] == ["strong even when removed", "whatever stands there"]
    assert said("grey", 0.2) == "mainly in colour"
    assert said("silhouette", 0.5, "") == said("replace", 0.9) == ""


def test_kept_without_the_thing_and_lost_elsewhere_is_the_surroundings() -> None:
    made = [remark_of("remove", "bird", 0.9), remark_of("background", "bird", 0.1), remark_of("remove", "car", 0.9)]
    words = {r.concept: r.words for r in surroundings_only([r for r in made if r])}
    assert words == {"bird": "not the object but its surroundings", "car": "strong even when removed"}
