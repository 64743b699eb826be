"""Planted subjects of both modalities, and image rules by hand (texts: ``test_planting_text``)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from maieutic.errors import UserError
from maieutic.stimuli.base import Corpus, Stimulus, Thing
from maieutic.subjects.planted import (
    SITE,
    Colour,
    Nothing,
    Planted,
    PlantedSubject,
    Shows,
    ShowsAt,
    Size,
    annotated,
    plant,
    seen,
)


def picture(*things: tuple[str, tuple[float, float, float, float]], colour: str = "#000000") -> Stimulus:
    image = Image.new("RGB", (20, 20), colour)
    return Stimulus(
        id=f"{things}{colour}",
        modality="image",
        load=lambda: image,
        things=tuple(Thing(name=n, concepts=(n, "animal"), box=box) for n, box in things),
    )


LEFT, RIGHT = (0.0, 0.1, 0.4, 0.6), (0.5, 0.5, 1.0, 1.0)


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (Shows(("owl",)), 1.0),
        (Shows(("cow",)), 0.0),
        (Shows(("cow", "animal")), 1.0),
        (Shows(("owl",), and_also=("fox",)), 1.0),
        (Shows(("owl",), and_not=("fox",)), 0.0),
        (ShowsAt("owl", "left"), 1.0),
        (ShowsAt("owl", "right"), 0.0),
        (ShowsAt("fox", "bottom"), 1.0),
        (Size("fox", 0.5), 0.5),  # 0.5 x 0.5 = 0.25 of the picture, half of 0.5
        (Size("cow", 0.5), 0.0),
        (Nothing(), 0.0),
    ],
)
def test_image_rules_by_hand(rule: Any, value: float) -> None:
    assert rule.truth(seen(picture(("owl", LEFT), ("fox", RIGHT)))).tolist() == [value]


def test_colour_by_hand() -> None:
    rule = Colour("red", 0.0, 1.0)
    assert rule.truth(seen(picture(("owl", LEFT), colour="#ff0000"))).tolist() == [1.0]
    assert rule.truth(seen(picture(("owl", LEFT), colour="#ffffff"))).tolist() == [0.0]


def test_a_bare_picture_is_refused_and_an_annotated_one_is_read() -> None:
    stimulus = picture(("owl", LEFT))
    with pytest.raises(UserError, match="annotated"):
        seen(stimulus.content)
    corpus = annotated(Corpus(name="c", modality="image", stimuli=(stimulus,)))
    assert seen(corpus[0].content).boxes["owl"] == [LEFT]
    assert not stimulus.content.info  # the original picture is left as it was


@pytest.mark.parametrize("modality", ["text", "image"])
def test_forward_and_read_agree(corpora: dict[str, Corpus], modality: str) -> None:
    corpus = annotated(corpora[modality]) if modality == "image" else corpora[modality]
    units = plant(corpus, seed=0, each={"single": 2, "graded": 2, "noisy": 1, "dead": 1})
    subject, some = units[0].subject, corpus.stimuli[:7]
    batch = subject.forward([s.content for s in some], [SITE])
    rows = subject.read(some, [u.unit for u in units])
    for i, row in enumerate(rows):
        value = batch.values[SITE][i].numpy()
        value = value[: batch.lengths[i]] if modality == "text" else value[None]
        np.testing.assert_array_equal(value, row)
        assert len(row) == (len(subject.tokens(some[i].content)) if modality == "text" else 1)


def test_planted_subjects_have_no_insides() -> None:
    subject = PlantedSubject([Planted(name="d", kind="dead", rule=Nothing(), about="")], modality="text")
    with pytest.raises(UserError, match="untrained"):
        subject.untrained()
    with pytest.raises(UserError, match="outputs"):
        subject.outputs(["x"])
