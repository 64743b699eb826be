"""Labels of hand-made rules."""

from __future__ import annotations

import numpy as np
import pytest

from maieutic.explain.predicates.base import And, Not, Predicate
from maieutic.explain.predicates.image import Colour, Shows, Texture
from maieutic.explain.search.image_edits import BACKGROUND, GREY, REMOVE, SILHOUETTE
from maieutic.explain.search.image_fit import Rule
from maieutic.explain.search.image_table import Clause
from maieutic.explain.search.image_words import clause_worth, concepts_in, label_of

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
    assert label_of(lit, HIGH, suffixes=["in colour (20% in grey)"]) == (
        "birds, more with green in the background, in colour (20% in grey)"
    )
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
    apart = And(parts=(BIRD, Not(part=Shows(concept="background:photo"))))
    assert label_of(rule((apart, 0.6, [1, 1, 0, 0, 0, 0])), HIGH) == "birds but not on blurred photo backgrounds"
    assert concepts_in(apart) == ("bird",)


def test_edits_speak_only_when_they_have_something_to_say() -> None:
    assert SILHOUETTE.words(0.5, 0.4, 0.6, named=True) == "about half carried by their outline (50% as silhouettes)"
    assert SILHOUETTE.words(0.1, 0.0, 0.2, named=True) == ""
    assert SILHOUETTE.words(0.5, 0.0, 0.9, named=True) == ""  # too uncertain
    assert GREY.words(0.2, 0.1, 0.3, named=False) == "in colour (20% in grey)"
    assert BACKGROUND.words(0.3, 0.2, 0.4, named=True) == "in their usual surroundings (30% on plain ground)"
    assert REMOVE.words(0.9, 0.8, 1.0, named=False) == "whatever stands there (90% with nothing)"
    assert REMOVE.words(0.9, 0.8, 1.0, named=True) == ""
