"""Planted units: their truth by hand, and what they are planted on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from maieutic.errors import UserError
from maieutic.stimuli.base import Corpus, Stimulus, Thing
from maieutic.subjects.planted import (
    LEAST,
    SITE,
    SNR,
    Colour,
    First,
    Follows,
    Nothing,
    Planted,
    PlantedSubject,
    Shows,
    ShowsAt,
    Size,
    WordNear,
    Words,
    annotated,
    plant,
    seen,
    words_of,
)

TEXT = "The old mill stood. A new mill, by the old bridge!"
# words: the old mill stood . a new mill , by the old bridge !


@pytest.mark.parametrize(
    ("rule", "at"),
    [
        (Words((("mill", 1.0),)), {2: 1.0, 7: 1.0}),
        (Words((("mill", 1.0), ("new", 0.5))), {2: 1.0, 6: 0.5, 7: 1.0}),
        (WordNear("mill", "old", 3), {2: 1.0}),  # "old" is one token before the first mill, six before the second
        (WordNear("mill", "old", 6), {2: 1.0, 7: 1.0}),
        (WordNear("mill", "old", 3, absent=True), {7: 1.0}),
        (Follows("old"), {2: 1.0, 12: 1.0}),
        (First(2), {0: 1.0, 1: 1.0}),
        (Nothing(), {}),
    ],
)
def test_text_rules_by_hand(rule: Any, at: dict[int, float]) -> None:
    expected = np.zeros(14)
    expected[list(at)] = list(at.values())
    assert rule.truth(words_of(TEXT)).tolist() == expected.tolist()


def picture(*things: tuple[str, tuple[float, float, float, float]], colour: str = "#000000") -> Stimulus:
    image = Image.new("RGB", (20, 20), colour)
    return Stimulus(
        id="x",
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


def test_noise_has_the_promised_strength_and_never_changes() -> None:
    rule = Planted(name="n", kind="noisy", rule=Words((("mill", 1.0),)), about="mill", noise=1 / SNR)
    subject = PlantedSubject([rule], modality="text", seed=1)
    texts = [f"{TEXT} {i}" for i in range(300)]
    values = np.concatenate([v[:, 0] for v in subject.read(texts, [subject.unit()])])
    truth = np.concatenate(subject.units()[0].truth(texts))
    assert (values - truth).std() == pytest.approx(1 / SNR, rel=0.05)
    again = np.concatenate([v[:, 0] for v in subject.read(texts[::-1], [subject.unit()])[::-1]])
    assert np.array_equal(again, values)


@pytest.mark.parametrize("modality", ["text", "image"])
def test_forward_and_read_agree(corpora: dict[str, Corpus], modality: str) -> None:
    corpus = annotated(corpora[modality]) if modality == "image" else corpora[modality]
    units = plant(corpus, seed=0)
    subject, some = units[0].subject, corpus.stimuli[:7]
    batch = subject.forward([s.content for s in some], [SITE])
    rows = subject.read(some, [u.unit for u in units])
    for i, row in enumerate(rows):
        value = batch.values[SITE][i].numpy()
        value = value[: batch.lengths[i]] if modality == "text" else value[None]
        np.testing.assert_array_equal(value, row)
        assert len(row) == (len(subject.tokens(some[i].content)) if modality == "text" else 1)


@pytest.mark.parametrize("modality", ["text", "image"])
def test_planting_is_seeded_and_can_be_found_in_every_split(corpora: dict[str, Corpus], modality: str) -> None:
    corpus = corpora[modality]
    units = plant(corpus, seed=0)
    assert [u.about for u in plant(corpus, seed=0)] == [u.about for u in units]
    assert plant(corpus, seed=0)[0].subject.fingerprint == units[0].subject.fingerprint
    assert [u.about for u in plant(corpus, seed=1)] != [u.about for u in units]
    assert len(units) == 15
    assert len({u.name for u in units}) == 15
    wanted = {"single", "or", "and", "and_not", "positional", "graded", "noisy", "spurious", "dead", "noise"}
    assert {u.kind for u in units} == wanted | ({"context"} if modality == "text" else set())
    for unit in units:
        for split, least in LEAST.items():
            active = int(sum((t >= 0.5).sum() for t in unit.truth(corpus.split(split))))  # pyright: ignore[reportArgumentType]
            if unit.explainable:
                assert active >= least, (unit.name, unit.about, split)
            else:
                assert active == 0


def test_too_small_a_corpus_says_so(make_text: Any) -> None:
    with pytest.raises(UserError, match="give it more"):
        plant(make_text(documents=12))


def test_planted_subjects_have_no_insides() -> None:
    subject = PlantedSubject([Planted(name="d", kind="dead", rule=Nothing(), about="")], modality="text")
    with pytest.raises(UserError, match="untrained"):
        subject.untrained()
    with pytest.raises(UserError, match="outputs"):
        subject.outputs(["x"])
