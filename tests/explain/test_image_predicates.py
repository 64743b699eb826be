"""Image predicates and visual features on pictures whose pixels are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from maieutic.errors import UserError
from maieutic.explain.predicates.base import And, Not, Predicate, from_json
from maieutic.explain.predicates.image import Blend, Colour, Count, Formed, Placed, Relation, Shows, Texture, plural
from maieutic.explain.predicates.image_pixels import COLOURS, INDEX, NAMES, SIDE, pixel_features
from maieutic.explain.views_image import ImageView, ImageViewer
from maieutic.stimuli.base import Corpus, Stimulus, Thing
from maieutic.stimuli.scenes import image_id


def view(*things: tuple[str, tuple[float, float, float, float]], tags: tuple[str, ...] = ()) -> ImageView:
    """A grey picture with the named things at the boxes; ``bird`` comes with its hypernym ``animal``."""
    picture = Image.new("RGB", (64, 64), (128, 128, 128))
    kinds = {"bird": ("bird", "animal"), "car": ("car", "vehicle")}
    made = tuple(Thing(name=n, concepts=kinds[n], box=b) for n, b in things)
    return ImageViewer()(stimulus(picture, things=made, tags=tags))


def stimulus(picture: Image.Image, **more: object) -> Stimulus:
    return Stimulus(id=image_id(picture), modality="image", load=lambda: picture, **more)  # pyright: ignore[reportArgumentType]


def feature(picture: Image.Image, name: str, things: np.ndarray | None = None) -> float:
    return float(pixel_features(picture, things)[INDEX[name]])


def halves(left: str, right: str) -> Image.Image:
    picture = Image.new("RGB", (128, 128), left)
    picture.paste(right, (64, 0, 128, 128))
    return picture


# --- pixels --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((0, 0, 0), "black"),
        ((255, 255, 255), "white"),
        ((128, 128, 128), "grey"),
        ((220, 20, 20), "red"),
        ((255, 140, 0), "orange"),
        ((250, 230, 20), "yellow"),
        ((40, 160, 60), "green"),
        ((40, 80, 220), "blue"),
        ((140, 40, 200), "purple"),
        ((255, 170, 190), "pink"),
        ((120, 70, 30), "brown"),
    ],
)
def test_each_basic_colour_is_named(rgb: tuple[int, int, int], name: str) -> None:
    picture = Image.new("RGB", (32, 32), rgb)
    shares = {c: feature(picture, f"{c}@whole") for c in COLOURS}
    assert shares[name] == pytest.approx(1.0)
    assert sum(shares.values()) == pytest.approx(1.0)


def test_colour_is_counted_where_it_is() -> None:
    picture = halves("#dc1414", "#2850dc")  # red left, blue right
    assert feature(picture, "red@whole") == pytest.approx(0.5, abs=0.02)
    assert feature(picture, "red@left") == pytest.approx(1.0)
    assert feature(picture, "red@right") == 0.0
    inside = np.zeros((SIDE, SIDE), dtype=bool)
    inside[:, :32] = True  # the thing is the left half
    assert feature(picture, "red@things", inside) == pytest.approx(1.0, abs=0.04)
    assert feature(picture, "blue@ground", inside) == pytest.approx(1.0, abs=0.04)
    assert feature(picture, "size", inside) == 0.5


def test_lines_have_their_direction() -> None:
    rows = np.zeros((64, 64, 3), dtype=np.uint8)
    rows[(np.arange(64) // 4) % 2 == 0] = 255  # stripes that run from left to right, period 8
    picture = Image.fromarray(rows)
    assert feature(picture, "horizontal@whole") > 0.3
    assert feature(picture, "vertical@whole") < 0.01
    assert feature(picture.rotate(90), "vertical@whole") > 0.3
    assert feature(picture, "regular") > 0.8
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    assert feature(noise, "regular") < 0.3


def test_contrast_is_twice_the_standard_deviation_of_brightness() -> None:
    # half black, half white: brightness 0 or 1, standard deviation 0.5
    assert feature(halves("black", "white"), "contrast@whole") == pytest.approx(1.0, abs=0.03)
    assert feature(Image.new("RGB", (20, 20), "white"), "contrast@whole") == 0.0


@given(st.integers(0, 2**32 - 1), st.integers(2, 90), st.integers(2, 90))
def test_features_lie_between_0_and_1(seed: int, width: int, height: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    values = pixel_features(Image.fromarray(pixels), None)
    assert values.shape == (len(NAMES),)
    assert np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1


# --- predicates ----------------------------------------------------------------------------------------------------
def test_shows_reads_concepts_and_their_kinds() -> None:
    seen = view(("bird", (0.0, 0.0, 0.5, 0.4)))  # area 0.5 x 0.4 = 0.2
    assert Shows(concept="bird").evaluate(seen)[0] == 1.0
    assert Shows(concept="animal").evaluate(seen)[0] == 1.0
    assert Shows(concept="vehicle").evaluate(seen)[0] == 0.0
    assert Shows(concept="bird", full=0.8).evaluate(seen)[0] == pytest.approx(0.2 / 0.8)


def test_place_and_relation() -> None:
    seen = view(("bird", (0.0, 0.0, 0.3, 0.3)), ("car", (0.6, 0.6, 1.0, 1.0)))
    assert Placed(concept="bird", where="left").evaluate(seen)[0] == 1.0
    assert Placed(concept="bird", where="bottom").evaluate(seen)[0] == 0.0
    assert Relation(a="bird", relation="above", b="car").evaluate(seen)[0] == 1.0
    assert Relation(a="car", relation="left of", b="bird").evaluate(seen)[0] == 0.0
    assert Relation(a="bird", relation="overlapping", b="car").evaluate(seen)[0] == 0.0


def test_ramps_rise_and_fall() -> None:
    seen = ImageViewer()(halves("#dc1414", "#2850dc"))  # half red
    assert Colour(name="red", low=0.0, high=1.0).evaluate(seen)[0] == pytest.approx(0.5, abs=0.02)
    assert Colour(name="red", low=1.0, high=0.0).evaluate(seen)[0] == pytest.approx(0.5, abs=0.02)
    assert Colour(name="red", low=0.0, high=0.25).evaluate(seen)[0] == 1.0
    assert Texture(feature="brightness", low=0.9, high=0.8).evaluate(seen)[0] == 1.0  # dark enough


def test_blend_adds_and_is_clipped() -> None:
    seen = view(("bird", (0.0, 0.0, 0.5, 0.4)))
    bird, car = Shows(concept="bird"), Shows(concept="car")
    assert Blend(parts=(bird, car), strengths=(0.6, 0.9), base=0.1).evaluate(seen)[0] == pytest.approx(0.7)
    assert Blend(parts=(bird, bird), strengths=(0.6, 0.9)).evaluate(seen)[0] == 1.0
    assert Blend(parts=(bird,), strengths=(-0.6,), base=0.2).evaluate(seen)[0] == 0.0
    with pytest.raises(UserError, match="as many strengths"):
        Blend(parts=(bird,), strengths=())


EXAMPLES: tuple[Predicate, ...] = (
    Shows(concept="bird", full=0.3),
    Colour(name="red", where="things", low=0.1, high=0.4),
    Texture(feature="edges", where="ground", low=0.6, high=0.2),
    Placed(concept="bird", where="top"),
    Relation(a="bird", relation="left of", b="car"),
    Blend(parts=(Shows(concept="bird"), Not(part=Shows(concept="car"))), strengths=(0.5, 0.25), base=0.125),
    And(parts=(Shows(concept="bird"), Colour(name="blue"))),
)


@pytest.mark.parametrize("predicate", EXAMPLES, ids=lambda p: p.op)
def test_predicates_survive_json_and_predict_the_same(predicate: Predicate) -> None:
    again = from_json(json.loads(json.dumps(predicate.to_json())))
    seen = view(("bird", (0.1, 0.0, 0.5, 0.4)), ("car", (0.5, 0.5, 0.9, 0.9)))
    assert again == predicate
    assert again.evaluate(seen) == predicate.evaluate(seen)
    assert 0.0 <= predicate.evaluate(seen)[0] <= 1.0


def test_descriptions_are_english() -> None:
    assert Shows(concept="bird").describe() == "birds"
    assert Shows(concept="background:texture").describe() == "textured backgrounds"
    assert Colour(name="red", where="things").describe() == "red on the object"
    assert Texture(feature="edges", where="ground", low=0.6, high=0.2).describe() == "few edges in the background"
    assert Placed(concept="canary", where="left").describe() == "canaries on the left"
    blend = Blend(parts=(Shows(concept="car"), Shows(concept="bird"), Shows(concept="cat")), strengths=(0.2, 0.9, -0.3))
    assert blend.describe() == "birds, cars, less with cats"


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("fox", "foxes"),
        ("wheeled vehicle", "wheeled vehicles"),
        ("fireman", "firemen"),
        ("bony fish", "bony fish"),
        ("canary", "canaries"),
        ("monkey", "monkeys"),
        ("goose", "geese"),
        ("tableware", "tableware"),
        ("bird of prey", "birds of prey"),
    ],
)
def test_plurals(one: str, many: str) -> None:
    assert plural(one) == many


def test_wrong_names_are_errors_that_say_what_to_use() -> None:
    with pytest.raises(UserError, match="use one of black, white"):
        Colour(name="mauve")
    with pytest.raises(UserError, match="no place"):
        Placed(concept="bird", where="behind")
    with pytest.raises(UserError, match="no relation"):
        Relation(a="bird", relation="near", b="car")
    with pytest.raises(UserError, match="give low and high different values"):
        Texture(feature="edges", low=0.5, high=0.5)


# --- views ---------------------------------------------------------------------------------------------------------
def test_a_plain_picture_is_recognised_by_its_pixels() -> None:
    picture = halves("red", "blue")
    known = stimulus(picture, things=(Thing(name="flag", concepts=("flag", "cloth")),))
    viewer = ImageViewer(corpus=Corpus(name="c", modality="image", stimuli=[known]))
    assert viewer(picture.copy()).share("cloth") == 1.0
    with pytest.raises(UserError, match="pass Stimulus objects"):
        viewer(halves("blue", "red")).share("cloth")


def test_a_reader_names_what_nobody_annotated() -> None:
    viewer = ImageViewer(reader=lambda image: {"bird": 0.7})
    assert Shows(concept="bird", full=1.0).evaluate(viewer(halves("red", "blue")))[0] == pytest.approx(0.7)


def test_colours_need_no_annotation() -> None:
    assert Colour(name="red", where="left", low=0.0, high=0.9).evaluate(ImageViewer()(halves("red", "blue")))[0] == 1.0


def test_folder_tags_count_only_where_nothing_is_annotated() -> None:
    assert view(tags=("animals",)).share("animals") == 1.0
    beside = view(("bird", (0.0, 0.0, 0.5, 0.5)), tags=("animals", "photo"))
    assert beside.share("animals") == 0.0
    assert beside.share("photo") == 1.0


TALL, WIDE = (0.1, 0.0, 0.3, 0.8), (0.4, 0.5, 1.0, 0.8)


@pytest.mark.parametrize(
    ("predicate", "value", "words"),
    [
        # 0.8 / 0.2 = 4 times: 2 octaves; 0.6 / 0.3 = 2 times: 1 octave
        (Formed(concept="bird", form="tall", low=0.0, high=4.0), 0.5, "tall birds"),
        (Formed(concept="bird", form="wide", low=0.0, high=4.0), 0.0, "wide birds"),
        (Formed(concept="", form="wide", low=0.0, high=4.0), 0.25, "wide things"),
        (Formed(concept="vehicle", form="wide", low=0.5, high=1.5), 0.5, "wide vehicles"),
        (Formed(concept="fish", form="wide"), 0.0, "wide fish"),
        (Count(concept="bird", full=4), 0.25, "many birds"),
        (Count(concept="", full=2), 1.0, "many things"),
    ],
)
def test_forms_and_numbers(predicate: Predicate, value: float, words: str) -> None:
    seen = view(("bird", TALL), ("car", WIDE))
    assert predicate.evaluate(seen) == pytest.approx([value])
    assert predicate.describe() == words
    assert from_json(json.loads(json.dumps(predicate.to_json()))) == predicate


def test_forms_and_numbers_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UserError, match="tall or wide"):
        Formed(concept="bird", form="flat")
    with pytest.raises(UserError, match="different values"):
        Formed(concept="bird", form="tall", low=1.0, high=1.0)
    with pytest.raises(UserError, match="1 or more"):
        Count(concept="bird", full=0)
