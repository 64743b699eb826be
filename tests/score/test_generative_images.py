"""Pictures made from a label alone: planted units over the packaged scenes, and corpora that cannot be edited."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from maieutic.explain.explanation import Explanation
from maieutic.explain.predicates.base import And, Not, Predicate
from maieutic.explain.predicates.image import Colour, Placed, Shows
from maieutic.score import Controls, score
from maieutic.stimuli.base import Corpus
from maieutic.subjects.planted import SITE, Planted, PlantedSubject
from maieutic.subjects.planted import Shows as ShowsRule
from maieutic.subjects.planted import ShowsAt as ShowsAtRule


@pytest.fixture(scope="module")
def photos() -> Any:
    from maieutic.stimuli import load_corpus

    return load_corpus("photos")


def subject(*rules: Any) -> PlantedSubject:
    planted = [Planted(name=str(i), kind="single", rule=r, about="") for i, r in enumerate(rules)]
    return PlantedSubject(planted, modality="image")


def run(corpus: Corpus, on: PlantedSubject, predicate: Predicate) -> dict[str, Any]:
    found = Explanation(unit=f"{SITE}/0", label="", predicate=predicate, explainer="t", confidence=1.0)
    return score(found, on, on.unit(SITE, 0), corpus, ["generative"], controls=Controls())


@pytest.mark.packaged
def test_an_oracle_scores_one_and_another_concept_chance(photos: Corpus) -> None:
    on = subject(ShowsRule(("bird",)))
    right = run(photos, on, Shows(concept="bird"))
    assert right["generative"].value == right["generative.effect"].value == 1.0
    head = right["generative"]
    assert (head.details["positives"], head.details["near_misses"], head.details["neutrals"]) == (16, 20, 16)
    assert {"taken out", "a sibling in its place"} <= set(head.details["edits"])
    assert head.cost.images == head.n <= 60
    assert right["generative.control.constant"].value == pytest.approx(head.details["base_rate"])
    wrong = run(photos, on, Shows(concept="vehicle"))["generative"]
    assert wrong.value < wrong.details["base_rate"] + 0.12
    # too wide: every second animal is no bird
    wide = run(photos, on, Shows(concept="animal"))["generative"]
    assert wide.value < 0.85


@pytest.mark.packaged
def test_near_misses_break_the_condition_at_hand(photos: Corpus) -> None:
    on = subject(ShowsAtRule("animal", "left"))
    placed = run(photos, on, Placed(concept="animal", where="left"))["generative"]
    assert placed.value == 1.0
    assert placed.details["edits"]["elsewhere in the picture"] >= 3
    # the same thing on the other side is what a label without the place cannot know
    assert run(photos, on, Shows(concept="animal"))["generative"].value < 0.9


@pytest.mark.packaged
def test_labels_about_what_is_absent_and_about_colour(photos: Corpus) -> None:
    on = subject(ShowsRule(("animal",), and_not=("bird",)))
    both = And(parts=(Shows(concept="animal"), Not(part=Shows(concept="bird"))))
    assert run(photos, on, both)["generative"].value == 1.0
    green = run(photos, on, Colour(name="green", low=0.0, high=0.4))["generative"]
    assert green.measured
    assert set(green.details["edits"]) & {"on another ground", "recoloured", "without colour", "taken out"}


@pytest.mark.packaged
def test_only_held_out_material_is_used(photos: Corpus) -> None:
    from maieutic.score.image_sources import pictures
    from maieutic.score.make_images import make_images

    gallery = pictures(photos, seed=0)
    assert not isinstance(gallery, str)
    from maieutic.explain.views_image import ImageViewer

    found = Explanation(
        unit="u", label="", predicate=Shows(concept="animal"), explainer="t", confidence=1.0, viewer=ImageViewer()
    )
    made = make_images(found, gallery)
    assert not isinstance(made, str)
    library = gallery.library.pictures
    for item in made.items:
        assert item.stimulus.split == "test"
        assert {library[p.stamp].split for p in item.stimulus.scene.placements} <= {"test"}
        predicted = found.predict([item.stimulus])[0]
        assert predicted == item.predicted
        assert (predicted >= made.levels.high) == (item.sort == "positive")
    # seeded: the same twice, others with another seed
    assert [m.stimulus.id for m in make_images(found, gallery).items] == [m.stimulus.id for m in made.items]  # type: ignore[union-attr]
    assert [m.stimulus.id for m in make_images(found, gallery, seed=1).items] != [m.stimulus.id for m in made.items]  # type: ignore[union-attr]


def test_pictures_that_are_no_scenes_cannot_be_edited() -> None:
    pictures = [Image.new("RGB", (32, 32), (i * 5 % 256, i * 31 % 256, 90)) for i in range(40)]
    corpus = Corpus.from_images(pictures, tags=[["red"] if i % 3 else ["blue"] for i in range(40)])
    readings = run(corpus, subject(ShowsRule(("red",))), Shows(concept="red"))
    assert "no composed scenes" in str(readings["generative"].reason)
    assert "no composed scenes" in str(readings["generative.beats.shuffled"].reason)
