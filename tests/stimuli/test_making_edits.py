"""Edits by instruction, each checked against the same change made by hand."""

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from maieutic.errors import UsageError
from maieutic.stimuli.base import Stimulus
from maieutic.stimuli.edit_clauses import FORMS, WHOLE_FORMS
from maieutic.stimuli.edit_compositor import SceneEditor
from maieutic.stimuli.effects import edited
from maieutic.stimuli.imagine_patterns import pattern_key
from maieutic.stimuli.library import Library
from maieutic.stimuli.making import Made, made_picture, made_scene, note_of
from maieutic.stimuli.scenes import Background, Placement, Scene

SQUARE = Placement(stamp="stamp:shapes/square", x=0.3, y=0.5, scale=0.3)
BAR = Placement(stamp="stamp:shapes/bar", x=0.75, y=0.5, scale=0.35)
ANIMAL = Placement(stamp="stamp:animals/animal3", x=0.5, y=0.5, scale=0.5)


@pytest.fixture
def scene(library: Library) -> Scene:
    """A red square on the left and a blue bar on the right, on white."""
    return Scene(background=Background(kind="plain", key="#ffffff"), placements=(SQUARE, BAR), library=library)


@pytest.fixture
def base(scene: Scene) -> Made:
    return made_scene(scene, made_by={"tool": "test"})


def edit(stimulus: Stimulus, instruction: str, seed: int = 0) -> Scene:
    made = SceneEditor()(stimulus, instruction, seed=seed)
    assert isinstance(made, Made) and made.group == stimulus.group and made.split == stimulus.split
    assert made.made_by["of"] == stimulus.id
    assert made.scene is None or np.array_equal(np.asarray(made.content), np.asarray(made.scene.render()))
    return made.scene


EXACT = {
    "remove the red square": lambda s: s.without(0),
    "delete the bar": lambda s: s.without(1),
    "get rid of the rectangles": lambda s: s.without(0).without(0),
    "put it on a red background": lambda s: s.on("#c8281e"),
    "on #123456": lambda s: s.on("#123456"),
    "make the background black": lambda s: s.on("#101010"),
    "remove the background": lambda s: s.on("#808080"),
    "remove the square and the bar from the picture": lambda s: s.without(0).without(0),
    "remove everything except the bar": lambda s: s.without(0),
    "keep the bar": lambda s: s.without(0),
    "swap the square and the bar": lambda s: s.moved(0.75, 0.5, 0).moved(0.3, 0.5, 1),
    "hide the bar": lambda s: s.occluded((0, 0, 1, 1), 1, colour="#808080"),
    "remove the top half of the bar": lambda s: s.occluded((0, 0, 1, 0.5), 1),
    "cover the square's head": lambda s: s.occluded((0, 0, 1, 0.334), 0, colour="#808080"),
    "cut off the square's head": lambda s: s.occluded((0, 0, 1, 0.334), 0),
    "make the bar green instead of blue, keeping the background the same": lambda s: s.recoloured(-120.0, 1),
    "replace the white background with a black one": lambda s: s.on("#101010"),
    # "it" is what the step before was about
    "make the square smaller and move it right": lambda s: s.scaled(0.5, 0).moved(0.55, 0.5, 0),
    "only the bar": lambda s: s.only(1),
    "isolate the red square": lambda s: s.only(0),
    "make it grey": lambda s: s.grey(),
    "convert the image to greyscale": lambda s: s.grey(),
    "remove the colours": lambda s: s.grey(),
    "blur the image": lambda s: s.blurred(),
    "turn it upside down": lambda s: s.upside_down(),
    "rotate the image by 30 degrees": lambda s: replace(s, effects=(("turn", 30.0),)),
    "mirror the image": lambda s: replace(s, effects=(("mirror", 0.0),)),
    "mirror the bar": lambda s: s.flipped(1),
    "make the bar a silhouette": lambda s: s.silhouette(1),
    "turn it into a silhouette": lambda s: s.silhouette(0).silhouette(1),
    "fill the square with stripes": lambda s: replace(
        s, placements=(replace(SQUARE, fill=pattern_key("stripes")), BAR)
    ),
    "make the bar out of red dots": lambda s: replace(
        s, placements=(SQUARE, replace(BAR, fill=pattern_key("dots", ink="#c8281e")))
    ),
    "hide the top half": lambda s: s.occluded((0, 0, 1, 0.5), 0).occluded((0, 0, 1, 0.5), 1),
    "hide the left half of the bar": lambda s: s.occluded((0, 0, 0.5, 1), 1),
    "cover the left half of the bar": lambda s: s.occluded((0, 0, 0.5, 1), 1, colour="#808080"),
    "cover the top third of the square with a black box": lambda s: s.occluded((0, 0, 1, 0.334), 0, colour="#101010"),
    "cover the bottom half of the image": lambda s: replace(s, covers=(((0, 0.5, 1, 1), "#808080"),)),
    "move the square right": lambda s: s.moved(0.55, 0.5, 0),
    "move the bar up": lambda s: s.moved(0.75, 0.25, 1),
    "put the square at the bottom right": lambda s: s.moved(0.78, 0.78, 0),
    "make the square smaller": lambda s: s.scaled(0.5, 0),
    "make the square half as large": lambda s: s.scaled(0.5, 0),
    "make the square larger": lambda s: s.scaled(1.6, 0),
    "shift the hue of the square by 90 degrees": lambda s: s.recoloured(90.0, 0),
    "recolour the bar": lambda s: s.recoloured(120.0, 1),
    # blue (240°) to green (120°), and red (0°) to 220°, the short way round
    "make the bar green": lambda s: s.recoloured(-120.0, 1),
    "change the colour of the square to blue": lambda s: s.recoloured(-140.0, 0),
    "remove the bar, then make it grey and blur it": lambda s: s.without(1).grey().blurred(),
}  # fmt: skip


@pytest.mark.parametrize("instruction", EXACT)
def test_edits_are_the_ones_made_by_hand(base: Made, scene: Scene, instruction: str) -> None:
    made, by_hand = edit(base, instruction), EXACT[instruction](scene)
    assert replace(made, placements=rounded(made)) == replace(by_hand, placements=rounded(by_hand))


def rounded(scene: Scene) -> tuple[Placement, ...]:
    return tuple(replace(p, x=round(p.x, 3), y=round(p.y, 3), scale=round(p.scale, 3)) for p in scene.placements)


def test_replacing_keeps_place_and_size(base: Made) -> None:
    made = edit(base, "replace the red square with a green half")
    assert [t.name for t in made.things()] == ["green half", "blue bar"]
    new = made.placements[0]
    # stamps of one size: the centre and the longest side stay
    assert (new.x, new.y, new.scale) == (0.3, 0.5, 0.3)
    assert made.placements[1] == BAR and made.background == base.scene.background
    assert [t.name for t in edit(base, "turn the bar into a green half").things()] == ["red square", "green half"]


def test_adding_keeps_what_is_there(base: Made) -> None:
    made = edit(base, "add a green half at the top left")
    assert made.placements[:2] == (SQUARE, BAR)
    assert made.things()[2].name == "green half" and (made.placements[2].x, made.placements[2].y) == (0.22, 0.22)
    beside = edit(base, "add a green half above the bar").placements[2]
    assert beside.x == BAR.x and beside.y < BAR.y - 0.2
    # without a place it stands where the others are not
    free = edit(base, "add a green half").placements[2]
    assert min(abs(free.x - p.x) + abs(free.y - p.y) for p in (SQUARE, BAR)) > 0.2


def test_a_choice_among_stamps_follows_the_seed(base: Made) -> None:
    birds = {edit(base, "replace the bar with a bird", seed).things()[1].name for seed in range(12)}
    assert len(birds) > 3 and birds == {
        edit(base, "replace the bar with a bird", seed).things()[1].name for seed in range(12)
    }


def test_concepts_name_objects_too(base: Made, library: Library) -> None:
    animal = made_scene(replace(base.scene, placements=(SQUARE, ANIMAL)), made_by={})
    assert [t.name for t in edit(animal, "remove the bird").things()] == ["red square"]
    assert edit(animal, "remove all objects").placements == ()


def test_crops_know_no_objects_any_more(base: Made) -> None:
    made = SceneEditor()(base, "crop to the left half")
    assert made.scene is None and made.things == ()
    assert (np.asarray(made.content)[128, 128] == (255, 0, 0)).all()
    zoomed = SceneEditor()(base, "zoom in on the bar")
    # the bar is twice as wide as high: 1/1.1 of the width, half of that of the height
    assert (np.asarray(zoomed.content) == (0, 0, 255)).all(axis=-1).mean() == pytest.approx(0.5 / 1.21, abs=0.02)


@pytest.mark.parametrize(("instruction", "message"), [
    ("teach it to dance", "'teach it to dance' is not understood: ask for  remove the X"),
    ("make it grey, then sing", "'sing' is not understood"),
    ("remove the zebra", "no zebra is in the picture: it shows red square, blue bar"),
    ("replace the bar with a unicorn", "no cut-out shows unicorn"),
    ("add a landscape", "no cut-out shows"),
    ("add a bird on grass", "adding an object does not change the ground"),
    ("add a bird next to the green half", "no green half is in the picture"),
    ("make it night", "'night' fills no shape"),
    ("make the bar white", "turning hues cannot make the blue bar white"),
    ("fill the bar with joy", "'joy' fills no shape"),
    ("put it on the sun", "there is no ground"),
    ("turn the bar upside down", "one object alone cannot be turned"),
    ("", "'' is not understood"),
])  # fmt: skip
def test_what_cannot_be_done_is_refused_whole(base: Made, instruction: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        SceneEditor()(base, instruction)
    assert message in str(raised.value) and "\n" not in str(raised.value)


def test_an_edit_that_changes_nothing_says_so(base: Made) -> None:
    assert "it changes nothing in this picture" in note_of(SceneEditor()(base, "make the background white"))


def test_empty_scenes_and_foreign_stimuli(base: Made) -> None:
    empty = SceneEditor()(base, "remove everything")
    with pytest.raises(UsageError, match="shows no object: add one first"):
        SceneEditor()(empty, "make it smaller")
    assert len(edit(empty, "add a bird").placements) == 1
    with pytest.raises(UsageError, match="test split"):
        SceneEditor()(replace(base, split="test"), "make it grey")
    with pytest.raises(UsageError, match="only pictures"):
        SceneEditor()(Stimulus(id="t", modality="text", load=lambda: "it"), "make it grey")


# --- photos ------------------------------------------------------------------------------------------------------


@pytest.fixture
def photo() -> Stimulus:
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    return made_picture(Image.fromarray(pixels), made_by={})


WHOLE = {
    "make the image grey": lambda s: edited(s, ("grey", 0.0)),
    "blur it": lambda s: edited(s, ("blur", 4.0)),
    "turn it upside down": lambda s: edited(s, ("turn", 180.0)),
    "flip it": lambda s: edited(s, ("mirror", 0.0)),
    "cover the top half": lambda s: edited(s, cover=(0, 0, 1, 0.5)),
    "crop to the left half": lambda s: edited(s, crop=(0, 0, 0.5, 1)),
    "shift its hue by 90 degrees": lambda s: edited(s, ("hue", 90.0)),
    "blur it, then mirror it": lambda s: edited(s, ("blur", 4.0), ("mirror", 0.0)),
}  # fmt: skip


@pytest.mark.parametrize("instruction", WHOLE)
def test_photos_take_edits_of_the_whole(photo: Stimulus, instruction: str) -> None:
    assert SceneEditor()(photo, instruction).id == WHOLE[instruction](photo).id != photo.id


def test_photos_take_nothing_else(photo: Stimulus) -> None:
    for instruction in ("remove the dog", "put it on grass", "make it smaller", "add a dog"):
        with pytest.raises(UsageError, match="a photo without a recipe takes edits of the whole picture only"):
            SceneEditor()(photo, instruction)


# --- the forms that are offered ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_every_form_that_is_offered_is_followed(base: Made, form: str) -> None:
    instruction = form.replace("X", "bar").replace("a Y", "a green half")
    assert SceneEditor()(base, instruction).id


@pytest.mark.parametrize("form", WHOLE_FORMS)
def test_every_form_offered_for_photos_is_followed(photo: Stimulus, form: str) -> None:
    assert SceneEditor()(photo, form).id != photo.id


@settings(max_examples=100, deadline=None)
@given(
    words=st.lists(
        st.sampled_from(["make", "remove", "the", "bar", "red", "it", "on", "left", ",", "then", "half", "background",
                         "smaller", "with", "stripes", "to", "top", "hide", "put", "add", "a", "twice", "as", "large"]),
        max_size=8,
    )
)  # fmt: skip
def test_any_instruction_is_followed_or_refused_in_one_line(library: Library, words: list[str]) -> None:
    scene = Scene(background=Background(kind="plain", key="#ffffff"), placements=(SQUARE, BAR), library=library)
    instruction = " ".join(words)
    try:
        SceneEditor()(made_scene(scene, made_by={}), instruction)
    except UsageError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("text", ["make " + "a " * 190, "remove " + "the and " * 48, "x, " * 130, "keep " * 79])
def test_long_instructions_do_not_hang(base: Made, text: str) -> None:
    started = time.process_time()
    with pytest.raises(UsageError):
        SceneEditor()(base, text)
    assert time.process_time() - started < 1.0
    with pytest.raises(UsageError, match="at most 400"):
        SceneEditor()(base, "a" * 401)
