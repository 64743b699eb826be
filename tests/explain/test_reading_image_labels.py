"""Labels of image units as predicates: what English phrases mean on annotated pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from maieutic.explain.reading_image_labels import read_image_label
from maieutic.explain.views_image import ImageViewer
from maieutic.stimuli.base import Corpus, Stimulus, Thing

ANIMALS = {"gorilla": ("ape", "mammal", "animal"), "dog": ("mammal", "animal"), "bird": ("animal",)}
ANIMALS |= {"bird of prey": ("bird", "animal"), "bus": ("vehicle",), "mouse": ("mammal", "animal")}


def thing(name: str, box: tuple[float, float, float, float] = (0.1, 0.1, 0.4, 0.4)) -> Thing:
    return Thing(name=name, concepts=(name, *ANIMALS[name]), box=box)


def picture(*things: Thing, tags: tuple[str, ...] = (), colour: tuple[int, int, int] = (128, 128, 128)) -> Stimulus:
    image = np.full((64, 64, 3), (128, 128, 128), dtype=np.uint8)
    for t in things:
        a, b, c, d = (round(64 * v) for v in t.box)
        image[b:d, a:c] = colour
    name = ",".join([*(f"{t.name}{t.box}" for t in things), *tags, str(colour)])
    return Stimulus(
        id=name, modality="image", load=lambda: Image.fromarray(image), group=name, things=tuple(things), tags=tags
    )


PICTURES = {
    "dog": picture(thing("dog")),
    "dog low": picture(thing("dog", (0.1, 0.6, 0.4, 0.95))),
    "red dog": picture(thing("dog"), colour=(220, 20, 20)),
    "gorilla": picture(thing("gorilla")),
    "bird": picture(thing("bird")),
    "hawk": picture(thing("bird of prey")),
    "bus": picture(thing("bus")),
    "dog, bus": picture(thing("dog", (0.0, 0.3, 0.3, 0.6)), thing("bus", (0.6, 0.3, 0.9, 0.6))),
    "bus, dog": picture(thing("bus", (0.0, 0.3, 0.3, 0.6)), thing("dog", (0.6, 0.3, 0.9, 0.6))),
    "three dogs": picture(*(thing("dog", (x, 0.1, x + 0.2, 0.3)) for x in (0.0, 0.3, 0.6))),
    "texture": picture(thing("mouse"), tags=("background:texture",)),
}
CORPUS = Corpus(name="zoo", modality="image", stimuli=list(PICTURES.values()))


def predicted(label: str) -> dict[str, float]:
    """What the label predicts of every picture."""
    reading = read_image_label(label, CORPUS)
    assert reading.predicate is not None, label
    viewer = ImageViewer(None, CORPUS)
    return {name: float(reading.predicate.evaluate(viewer(s))[0]) for name, s in PICTURES.items()}


def highest(label: str) -> set[str]:
    """The pictures with the largest prediction."""
    values = predicted(label)
    top = max(values.values())
    assert top > 0.5
    return {name for name, v in values.items() if v > top - 1e-6}


DOGS = {"dog", "dog low", "red dog", "dog, bus", "bus, dog", "three dogs"}


@pytest.mark.parametrize(
    ("label", "pictures"),
    [
        ("dogs", DOGS),
        ("This neuron fires for images of dogs.", DOGS),
        ("a dog", DOGS),
        ("mice", {"texture"}),
        ("birds of prey", {"hawk"}),
        ("birds", {"bird", "hawk"}),
        ("gorillas or birds", {"gorilla", "bird", "hawk"}),
        ("animals except dogs", {"gorilla", "bird", "hawk", "texture"}),
        ("vehicles but not dogs", {"bus"}),
        ("red dogs", {"red dog"}),
        ("dogs with buses", {"dog, bus", "bus, dog"}),
        ("dogs left of a bus", {"dog, bus"}),
        ("dogs to the right of a bus", {"bus, dog"}),
        ("dogs at the bottom of the image", {"dog low"}),
        ("many dogs", {"three dogs"}),
        ("animals on textured backgrounds", {"texture"}),
        ("red things", {"red dog"}),
    ],
)
def test_labels_pick_the_pictures_they_speak_of(label: str, pictures: set[str]) -> None:
    assert highest(label) == pictures


def test_conditions_that_do_not_hold_leave_a_third() -> None:
    values = predicted("dogs left of a bus")
    assert values["dog, bus"] == 1.0
    assert values["dog"] == values["bus, dog"] == pytest.approx(0.3)
    assert values["bird"] == 0.0


def test_what_is_not_read_is_named_and_nothing_read_is_no_predicate() -> None:
    assert read_image_label("a sense of wistful melancholy", CORPUS).predicate is None
    found = read_image_label("wistful dogs", CORPUS)
    assert "wistful" in found.ignored
    assert "dogs" in found.understood
    for empty in ("", "and or ,", "the thing on the thing"):
        assert read_image_label(empty, CORPUS).predicate is None


def test_looks_without_things() -> None:
    def share(label: str, pixels: Any) -> float:
        s = Stimulus(id=label, modality="image", load=lambda: Image.fromarray(pixels), tags=("x",))
        predicate = read_image_label(label, CORPUS).predicate
        assert predicate is not None
        return float(predicate.evaluate(ImageViewer(None)(s))[0])

    rows = np.zeros((64, 64, 3), dtype=np.uint8)
    rows[::8] = rows[1::8] = rows[2::8] = rows[3::8] = 255
    assert share("horizontal stripes", rows) > share("horizontal stripes", rows.transpose(1, 0, 2)) + 0.2
    assert share("dark pictures", np.zeros((64, 64, 3), np.uint8)) == 1.0
    assert share("dark pictures", np.full((64, 64, 3), 250, np.uint8)) == 0.0
    half = np.zeros((64, 64, 3), dtype=np.uint8)
    half[:32] = (20, 40, 220)
    assert share("blue at the top", half) > 0.9 > 0.1 > share("blue at the bottom", half)


@pytest.mark.parametrize(
    "label", ["dogs", "dogs left of a bus", "animals except dogs", "red things at the top, or birds"]
)
def test_reading_is_deterministic_and_survives_storage(label: str) -> None:
    from maieutic.explain.predicates import from_json

    first, again = (read_image_label(label, CORPUS) for _ in range(2))
    assert first == again
    assert first.predicate is not None
    assert from_json(first.predicate.to_json()) == first.predicate
