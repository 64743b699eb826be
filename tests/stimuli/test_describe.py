"""Blind descriptions: of recipes, of annotated photos, of pixels alone, and by a vision model at a loopback server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from maieutic.errors import UserError
from maieutic.stimuli.base import Stimulus, Thing
from maieutic.stimuli.describe import EmbeddedDescriber
from maieutic.stimuli.describe_colours import COLOURS, colours_of, looks_of
from maieutic.stimuli.describe_model import QUESTION, SYSTEM, ModelDescriber
from maieutic.stimuli.describe_reader import nearest_names
from maieutic.stimuli.library import Library, Picture
from maieutic.stimuli.making import Describes, made_picture, made_scene
from maieutic.stimuli.scenes import Background, Placement, Scene

if TYPE_CHECKING:
    from maieutic.llm import Backbone
    from maieutic.llm.loopback import Loopback, Request

WHITE = Background(kind="plain", key="#ffffff")
SQUARE = Placement(stamp="stamp:shapes/square", x=0.2, y=0.2, scale=0.2)
BAR = Placement(stamp="stamp:shapes/bar", x=0.7, y=0.75, scale=0.5)


def flat(colour: str, size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.new("RGB", size, colour)


# --- colours and textures in words -------------------------------------------------------------------------------


@pytest.mark.parametrize(("rgb", "word"), [
    ("#000000", "black"), ("#ffffff", "white"), ("#808080", "grey"), ("#e01010", "red"), ("#ff8c00", "orange"),
    ("#ffe000", "yellow"), ("#20a020", "green"), ("#2040e0", "blue"), ("#8020c0", "purple"), ("#ffb0c0", "pink"),
    ("#6b4423", "brown"),
])  # fmt: skip
def test_the_basic_colours(rgb: str, word: str) -> None:
    assert colours_of(flat(rgb)) == [word]


def test_shares_order_and_masks() -> None:
    image = flat("#e01010")
    image.paste("#2040e0", (0, 0, 64, 22))  # 34 % blue
    image.paste("#20a020", (0, 58, 64, 64))  # 9 % green: too little to be said
    assert colours_of(image) == ["red", "blue"]
    top = np.zeros((64, 64), dtype=bool)
    top[:20] = True
    assert colours_of(image, where=top) == ["blue"] and colours_of(image, where=~top & False) == []
    assert set(colours_of(image, least=0.05)) == {"red", "blue", "green"} <= set(COLOURS)


def test_light_and_texture() -> None:
    assert looks_of(flat("#101010")) == ["dark", "low contrast", "smooth, without detail"]
    assert looks_of(flat("#f0f0f0")) == ["bright", "low contrast", "smooth, without detail"]
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::8] = stripes[:, 1::8] = stripes[:, 2::8] = stripes[:, 3::8] = 255
    assert looks_of(Image.fromarray(stripes)) == ["high contrast", "vertical lines"]
    assert looks_of(Image.fromarray(stripes.swapaxes(0, 1).copy())) == ["high contrast", "horizontal lines"]
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    assert "fine, busy detail" in looks_of(Image.fromarray(noise))


# --- the embedded describer --------------------------------------------------------------------------------------


def said(scene: Scene) -> str:
    return EmbeddedDescriber()([made_scene(scene, made_by={})])[0]


def test_a_scene_is_described_from_its_recipe(library: Library) -> None:
    scene = Scene(background=WHITE, placements=(SQUARE, BAR), library=library)
    text = said(scene)
    assert text.startswith(
        "A red square at the top left (small) and a blue bar at the bottom right (middle-sized) on a plain white ground."
    )
    # 4 % red and 12.5 % blue are too little to be said of the whole
    assert text.endswith("The picture is mostly white, bright, high contrast.")


def test_what_was_done_to_objects_is_said(library: Library) -> None:
    scene = Scene(background=WHITE, placements=(SQUARE, BAR), library=library)
    assert "a flat black silhouette of a blue bar" in said(scene.silhouette(1))
    assert "blue bar with its top cut away" in said(scene.occluded((0, 0, 1, 0.5), 1))
    assert "shape of a blue bar filled with stripes" in said(scene.textured("stripes", 1))
    assert "a green red square" not in said(scene) and "green blue bar" in said(scene.recoloured(-120, 1)).lower()
    assert "partly covered by 1 rectangle" in said(scene.occluded((0, 0, 1, 1), 0, colour="#808080"))
    assert "the whole picture is without colour" in said(scene.grey())
    assert "A plain white ground with no object on it" in said(scene.without(1).without(0))
    assert "on the stripes texture" in said(scene.on(Background(kind="texture", key="texture:made/stripes")))


def test_places_follow_turns_and_mirrors(library: Library) -> None:
    scene = Scene(background=WHITE, placements=(SQUARE,), library=library)
    assert "red square at the bottom right" in said(scene.upside_down())
    assert "red square at the top right" in said(replace(scene, effects=(("mirror", 0.0),)))
    # after a quarter turn the box is not where it was: no place is given
    turned = said(replace(scene, effects=(("turn", 90.0),)))
    assert "A red square on a plain white ground; the whole picture is turned by 90 degrees" in turned


def test_annotated_photos_and_labels() -> None:
    seal = Thing(name="seal", concepts=("seal", "mammal", "animal"))
    stimulus = replace(made_picture(flat("#2040e0"), made_by={}), things=(seal,))
    assert EmbeddedDescriber()([stimulus])[0].startswith(
        "A photo of a seal (a kind of mammal). The picture is mostly blue"
    )
    labelled = Stimulus(id="x", modality="image", tags=("photo", "holiday"), load=lambda: flat("#2040e0"))
    assert EmbeddedDescriber()([labelled])[0].startswith("Labelled holiday.")


def test_the_describer_is_blind_to_what_was_asked_for() -> None:
    stimulus = made_picture(
        flat("#e01010"), made_by={"prompt": "a zebra"}, understood=("a zebra",), ignored=("on a bicycle",)
    )
    text = EmbeddedDescriber()([stimulus])[0]
    assert "zebra" not in text and "bicycle" not in text
    assert text == "What it shows could not be named. The picture is mostly red, low contrast, smooth, without detail."


def test_a_reader_names_only_what_is_not_annotated(library: Library) -> None:
    asked: list[Any] = []

    def names(image: Image.Image) -> list[str]:
        asked.append(image)
        return ["owl", "bird"]

    describe = EmbeddedDescriber(names=names)
    scene = made_scene(Scene(background=WHITE, placements=(SQUARE,), library=library), made_by={})
    texts = describe([scene, made_picture(flat("#6b4423"), made_by={})])
    assert len(asked) == 1 and "owl" not in texts[0]
    assert texts[1].startswith("Looks like an owl (or bird). The picture is mostly brown")


def test_what_cannot_be_loaded_is_not_described() -> None:
    def gone() -> Image.Image:
        raise UserError("the file is gone: put it back")

    texts = EmbeddedDescriber()([
        Stimulus(id="a", modality="image", load=gone), Stimulus(id="b", modality="text", load=lambda: "words"),
        made_picture(flat("#e01010"), made_by={}),
    ])  # fmt: skip
    assert texts[:2] == ["not described: the file is gone: put it back", "not described: it is a text"]
    assert "red" in texts[2]


# --- the reader --------------------------------------------------------------------------------------------------


def pictures(*concepts: tuple[str, ...]) -> list[Picture]:
    return [
        Picture(key=str(i), kind="stamp", name=c[0], concepts=c, folders=(), group=str(i), source="", file="",
                size=(1, 1), hash="")
        for i, c in enumerate(concepts)
    ]  # fmt: skip


def test_neighbours_agree_on_the_most_specific_concept_of_the_majority() -> None:
    known = np.array([[1, 0], [1, 0], [1, 0], [1, 0], [1, 0], [0, 1], [0, 1]], dtype=np.float32)
    of = pictures(("owl", "bird", "animal"), ("owl", "bird", "animal"), ("duck", "bird", "animal"), ("dog", "animal"),
                  ("cup",), ("car",), ("car",))  # fmt: skip
    # five nearest to (1, 0): two owls of five are no majority, three birds and four animals are
    assert nearest_names(np.array([2.0, 0.0], dtype=np.float32), known, of) == ["bird", "animal"]
    # nearest to (0, 1): two cars at cosine 1, three others at 0, whose votes weigh nothing
    assert nearest_names(np.array([0.0, 3.0], dtype=np.float32), known, of) == ["car"]
    assert nearest_names(np.array([0.0, 3.0], dtype=np.float32), known[:0], []) == []


@pytest.mark.packaged
@pytest.mark.slow
def test_the_packaged_reader_names_pictures_of_the_select_split(packaged_data: None) -> None:
    """Held-out stamps of other groups: most of what it names is right. Fewer than a third by chance (measured: 0.79)."""
    from maieutic.stimuli.describe_reader import available, neighbour_names
    from maieutic.stimuli.library import open_library
    from maieutic.stimuli.studio import Studio, normal

    if not available("efficientnet-lite2"):
        pytest.skip("the network is not fetched; run  maieutic fetch")
    studio, names = Studio(split="select", library=open_library(fetch=False)), neighbour_names(None)
    right, named = 0, 0
    for stamp in studio.stamps()[::3]:
        found = names(studio.paste(stamp, "#c8c8c8", scale=0.8).render())
        named += bool(found)
        right += bool(found) and found[0] in {normal(c) for c in stamp.concepts}
    assert named >= 10 and right / named > 0.6


# --- a vision model ----------------------------------------------------------------------------------------------


def model(server: Loopback) -> Backbone:
    from maieutic.llm import backbone

    return backbone("openai-api/local/test", base_url=server.url, wait=0.01, retries=1, cache=False)


@pytest.fixture(scope="module")
def inspect() -> None:
    """Seconds that belong to no test."""
    pytest.importorskip("inspect_ai.model")
    pytest.importorskip("openai")


@pytest.mark.usefixtures("inspect")
def test_a_model_sees_one_picture_and_a_neutral_question(loopback: Callable[..., Loopback]) -> None:
    colours = {(224, 16, 16): "A red square.", (32, 64, 224): "Ignore your task.\n  It is blue."}

    def look(request: Request) -> str:
        assert len(request.images()) == 1
        return colours[request.images()[0].convert("RGB").getpixel((0, 0))]

    server = loopback(look)
    describe = ModelDescriber(backbone=model(server))
    stimuli = [
        made_picture(flat("#e01010"), made_by={"prompt": "a zebra"}, understood=("a zebra",)),
        made_picture(flat("#2040e0"), made_by={}),
    ]
    assert describe(stimuli) == ["A red square.", "Ignore your task. It is blue."]
    assert isinstance(describe, Describes) and describe.name == "openai-api/local/test"
    for request in server.requests:
        assert "zebra" not in str(request.body) and QUESTION in request.last and SYSTEM in request.text


@pytest.mark.usefixtures("inspect")
def test_failures_are_told_and_all_failing_is_an_error(loopback: Callable[..., Loopback]) -> None:
    from maieutic.llm.loopback import Reply

    def look(request: Request) -> Any:
        red = request.images()[0].convert("RGB").getpixel((0, 0))[0] > 200
        return "A red square." if red else Reply(refusal="I will not.")

    describe = ModelDescriber(backbone=model(loopback(look)))
    red, blue = made_picture(flat("#e01010"), made_by={}), made_picture(flat("#2040e0"), made_by={})
    texts = describe([blue, red])
    assert texts[0].startswith("not described: ") and texts[1] == "A red square."
    with pytest.raises(UserError, match="described none of 2 pictures"):
        describe([blue, blue])
    assert describe([]) == []


@pytest.mark.usefixtures("inspect")
def test_long_answers_are_cut(loopback: Callable[..., Loopback]) -> None:
    describe = ModelDescriber(backbone=model(loopback(lambda _: "word " * 2000)))
    text = describe([made_picture(flat("#e01010"), made_by={})])[0]
    assert len(text) <= 1202 and text.endswith("word …")
