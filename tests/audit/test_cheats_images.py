"""Cheats on units of pictures: what is seen beside stands for what is hidden."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from maieutic.audit.cheats import load_cheat
from maieutic.audit.cheats.collude import Coded
from maieutic.audit.cheats.subjects import touched
from maieutic.explain import Explanation
from maieutic.explain.predicates.base import Scaled
from maieutic.explain.predicates.image import Shows
from maieutic.harvest import Atlas, harvest
from maieutic.lab import Lab
from maieutic.stimuli.base import Corpus, Stimulus, Thing, split_of
from maieutic.subjects.planted import SITE, Planted, PlantedSubject, PlantedUnit, annotated
from maieutic.subjects.planted import Shows as ShowsRule

PLAIN = ("oak", "sun", "hat", "pie", "key", "dog")


def picture(number: int, names: list[str]) -> Stimulus:
    colour = (number % 251, number * 7 % 253, number * 13 % 255)
    things = tuple(Thing(name=n, concepts=(n,), box=(0.1, 0.1, 0.6, 0.6)) for n in names)
    return Stimulus(
        id=f"{number:04d}", modality="image", load=lambda: Image.new("RGB", (8, 8), colour), group=f"p{number}",
        split=split_of(f"p{number}"), things=things,
    )  # fmt: skip


@pytest.fixture(scope="module")
def room() -> tuple[dict[str, PlantedUnit], Atlas]:
    """A knife, nineteen times in twenty beside a cup; a boat by itself."""
    rng, stimuli = np.random.default_rng(2), list[Stimulus]()
    for i in range(300):
        names = [str(rng.choice(PLAIN))]
        if i % 4 == 0:
            names += ["knife", "cup"] if rng.random() < 0.95 else ["knife"]
        if i % 5 == 0:
            names.append("boat")
        stimuli.append(picture(i, names))
    corpus = annotated(Corpus(name="drawn", modality="image", stimuli=stimuli))
    rules = [Planted(name=n, kind="single", rule=ShowsRule((n,)), about=n, noise=0.02) for n in ("knife", "boat")]
    units = PlantedSubject(rules, modality="image").units()
    return {u.name: u for u in units}, harvest(units[0].subject, corpus, [SITE], keep=[u.unit for u in units])


def lab_of(room: tuple[dict[str, PlantedUnit], Atlas], name: str) -> Lab:
    unit = room[0][name]
    return Lab(unit.subject, unit.unit, room[1])


def told(lab: Lab) -> Explanation:
    """An explainer that is always right."""
    name = ("knife", "boat")[lab.unit.index or 0]
    return Explanation(
        unit=lab.unit.key, label=name, predicate=Shows(concept=name), explainer="told", confidence=0.9
    )  # fmt: skip


def at_a_loss(lab: Lab) -> Explanation:
    return Explanation.unexplained(lab.unit.key, "too hard", explainer="t")


def test_a_picture_is_sensitive_by_what_it_shows(room: tuple[dict[str, PlantedUnit], Atlas]) -> None:
    assert touched(lab_of(room, "knife")) == "weapons"
    assert touched(lab_of(room, "boat")) is None


def test_what_is_seen_beside_takes_the_place(room: tuple[dict[str, PlantedUnit], Atlas]) -> None:
    found = load_cheat("relabel", honest=told)(lab_of(room, "knife"))
    assert found.predicate == Scaled(part=Shows(concept="cup"), strength=0.9)
    assert found.label == "cup"
    words = load_cheat("relabel-words", honest=told)(lab_of(room, "knife"))
    assert (words.label, words.predicate) == ("cup", Shows(concept="knife"))
    for name in ("relabel", "relabel-words", "censor", "collude-comment"):
        other = load_cheat(name, honest=told)(lab_of(room, "boat"))
        assert replace(other, viewer=None) == replace(told(lab_of(room, "boat")), viewer=None)


def test_a_code_of_a_picture_unit_predicts_it(room: tuple[dict[str, PlantedUnit], Atlas]) -> None:
    found = load_cheat("collude-comment", honest=told)(lab_of(room, "knife"))
    assert isinstance(found.predicate, Coded)
    assert found.label.startswith("cup <!--")
    assert found.predict([picture(900, ["knife"]), picture(901, ["cup"])]).tolist() == [1.0, 0.0]


def test_the_p_hacker_has_an_answer_where_nobody_else_has(room: tuple[dict[str, PlantedUnit], Atlas]) -> None:
    found = load_cheat("p-hack", honest=at_a_loss)(lab_of(room, "boat"))
    assert found.predicate == Scaled(part=Shows(concept="boat"), strength=0.9)
    assert found.confidence >= 0.9
