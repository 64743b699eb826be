"""Exact edits, on one-colour stamps so that every pixel can be worked out."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.errors import UsageError
from maieutic.stimuli.effects import edited
from maieutic.stimuli.library import Library
from maieutic.stimuli.scenes import Background, Placement, Scene, image_id

WHITE = Background(kind="plain", key="#ffffff")
SQUARE = Placement(stamp="stamp:shapes/square", x=0.5, y=0.5, scale=0.5)


@pytest.fixture
def scene(library: Library) -> Scene:
    """A red square of 0.5 * 200 = 100 px in the middle of 200 px of white: rows and columns 50 to 149."""
    return Scene(background=WHITE, placements=(SQUARE,), size=200, library=library)


def pixels(scene: Scene) -> np.ndarray:
    return np.asarray(scene.render())


def test_the_mask_is_the_object(scene: Scene) -> None:
    expected = np.zeros((200, 200), dtype=bool)
    expected[50:150, 50:150] = True
    assert np.array_equal(scene.mask(), expected)
    assert np.array_equal((pixels(scene) == (255, 0, 0)).all(axis=-1), expected)
    assert scene.things()[0].box == (0.25, 0.25, 0.75, 0.75)
    assert scene.things()[0].concepts == ("red square", "square", "rectangle", "shape")


def test_removing_leaves_the_background(scene: Scene) -> None:
    assert (pixels(scene.without(0)) == 255).all()
    assert not scene.without(0).mask().any()


def test_silhouette_isolate_and_background_swap(scene: Scene, library: Library) -> None:
    dark = pixels(scene.silhouette(0, "#102030"))
    assert (dark[100, 100] == (16, 32, 48)).all() and (dark[10, 10] == 255).all()
    striped = scene.on(Background(kind="texture", key="texture:made/stripes", zoom=0.08))
    assert set(pixels(striped)[5, :, 0].tolist()) == {0, 255}
    assert np.array_equal(striped.mask(), scene.mask())
    alone = pixels(striped.only(0, "#808080"))
    assert (alone[10, 10] == 128).all() and (alone[100, 100] == (255, 0, 0)).all()
    assert (pixels(scene.on("#00ff00"))[0, 0] == (0, 255, 0)).all()


def test_moving_scaling_flipping(scene: Scene) -> None:
    moved = scene.moved(0.25, 0.25).mask()
    assert moved[:100, :100].all() and moved.sum() == 100 * 100
    assert scene.scaled(0.5).mask().sum() == 50 * 50
    half = Scene(
        background=WHITE, placements=(Placement(stamp="stamp:shapes/half", scale=0.4),), size=200, library=scene.library
    )
    assert half.mask()[:, :100].sum() == half.mask().sum() > 0
    assert half.flipped().mask()[:, 100:].sum() == half.flipped().mask().sum() > 0
    assert half.flipped().flipped() == half


def test_occlusion_takes_the_part_it_names(scene: Scene) -> None:
    without_top = scene.occluded((0, 0, 1, 0.5))
    assert without_top.mask().sum() == 100 * 50 and not without_top.mask()[:100].any()
    assert (pixels(without_top)[75, 100] == 255).all()
    covered = scene.occluded((0, 0.5, 1, 1), colour="#0000ff")
    assert (pixels(covered)[120, 100] == (0, 0, 255)).all() and (pixels(covered)[75, 100] == (255, 0, 0)).all()


def test_textures_fill_the_shape_only(scene: Scene) -> None:
    picture = pixels(scene.textured("stripes"))
    assert set(np.unique(picture[100, 50:150])) >= {0, 255}
    assert (picture[:50] == 255).all()
    with pytest.raises(UsageError, match="no texture 'plaid': choose one of stripes"):
        scene.textured("plaid")


def test_colour_edits(scene: Scene) -> None:
    grey = pixels(scene.grey())
    assert (grey[..., 0] == grey[..., 1]).all() and (grey[..., 1] == grey[..., 2]).all()
    turned = pixels(scene.recoloured(120))[100, 100]
    # red turned by 120 degrees is green (to the 256 steps of an 8-bit hue)
    assert turned[1] > 250 and turned[0] < 8 and turned[2] < 8
    assert (pixels(scene.recoloured(120))[0, 0] == 255).all()
    blurred = pixels(scene.blurred(3))
    assert 0 < blurred[100, 50, 1] < 255


def test_later_objects_lie_in_front(library: Library) -> None:
    bar = Placement(stamp="stamp:shapes/bar", x=0.5, y=0.5, scale=0.25)
    scene = Scene(background=WHITE, placements=(SQUARE, bar), size=200, library=library)
    assert (pixels(scene)[100, 100] == (0, 0, 255)).all()
    assert scene.mask(1).sum() == 50 * 25
    assert scene.mask(0).sum() == 100 * 100 - 50 * 25
    assert (scene.mask(0) | scene.mask(1)).sum() == scene.mask().sum()
    assert (pixels(scene.without(1))[100, 100] == (255, 0, 0)).all()
    with pytest.raises(UsageError, match="has 2 objects, no object 2"):
        scene.without(2)


@settings(max_examples=30, deadline=None)
@given(x=st.floats(-0.2, 1.2), y=st.floats(-0.2, 1.2), scale=st.floats(0.05, 1.3), flip=st.booleans())
def test_every_recipe_renders_and_survives_json(library: Library, x: float, y: float, scale: float, flip: bool) -> None:
    placement = Placement(stamp="stamp:shapes/bar", x=x, y=y, scale=scale, flip=flip)
    scene = Scene(background=WHITE, placements=(placement,), size=64, library=library).blurred(1.0).grey()
    scene = scene.occluded((0, 0, 0.5, 1)).occluded((0.5, 0, 1, 1), colour="#123456")
    again = Scene.from_json(json.loads(json.dumps(scene.to_json())), library)
    assert again == scene
    assert image_id(again.render()) == image_id(scene.render())


def test_a_scene_is_a_stimulus_of_its_stamp(scene: Scene) -> None:
    stimulus = scene.stimulus(tags=("made",))
    assert stimulus.id == image_id(stimulus.content)
    assert stimulus.group == "stamp:shapes/square" and stimulus.tags == ("made",)
    mask = stimulus.mask()
    assert mask is not None and mask.sum() == 100 * 100
    assert scene.silhouette().stimulus().id != stimulus.id


def test_pictures_without_a_scene_take_plain_edits(scene: Scene) -> None:
    stimulus = scene.stimulus()
    zoomed = edited(stimulus, crop=(0.25, 0.25, 0.75, 0.75))
    assert (np.asarray(zoomed.content)[5, 5] == (255, 0, 0)).all() and zoomed.things == () and zoomed.scene is None
    covered = edited(stimulus, ("grey", 0.0), cover=(0, 0, 1, 0.5))
    assert (np.asarray(covered.content)[:100] == 128).all() and covered.things == stimulus.things
    assert covered.group == stimulus.group and covered.id != stimulus.id
    with pytest.raises(UsageError, match="is empty"):
        edited(stimulus, crop=(0.5, 0.5, 0.5, 0.9))
