"""The compositor's pictures of phrases, over one-colour stamps, so that every pixel can be worked out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.errors import UsageError
from maieutic.stimuli.base import Corpus
from maieutic.stimuli.imagine import Compositor
from maieutic.stimuli.imagine_find import Finder, Tint, hue_shift
from maieutic.stimuli.imagine_patterns import pattern_key, pattern_tile
from maieutic.stimuli.imagine_phrase import read_phrase
from maieutic.stimuli.imagine_words import COLOURS, EFFECTS, GROUNDS, NUMBERS, PLACES, RELATIONS, SIZES
from maieutic.stimuli.library import Library
from maieutic.stimuli.making import GROUPS, Made, Tools, load_tools, note_of, tool_names
from maieutic.stimuli.scenes import Scene, image_id
from maieutic.stimuli.studio import Studio
from maieutic.stimuli.user import from_texts
from maieutic.stimuli.wordnet import Wordnet


def compositor(library: Library, split: str | None = None) -> Compositor:
    return Compositor(_finder=Finder(Studio(split=split, library=library), words=None))  # pyright: ignore


@pytest.fixture
def imagine(library: Library) -> Compositor:
    return compositor(library)


def one(imagine: Compositor, prompt: str, seed: int = 0) -> Made:
    made = imagine(prompt, n=1, seed=seed)[0]
    assert isinstance(made, Made)
    return made


def pixels(made: Made) -> np.ndarray:
    return np.asarray(made.content)


def names(made: Made) -> list[str]:
    return [t.name for t in made.things]


# --- objects and grounds -----------------------------------------------------------------------------------------


def test_an_object_on_a_ground(imagine: Compositor) -> None:
    made = one(imagine, "a red square on a white background")
    assert names(made) == ["red square"] and made.scene.background.key == "#ffffff"
    mask = made.mask()
    assert mask is not None
    assert (pixels(made)[mask] == (255, 0, 0)).all() and (pixels(made)[~mask] == 255).all()
    assert made.tags == ("scene", "background:plain", "background:#ffffff")
    assert made.id == image_id(made.content) and made.split == "discover"
    assert made.understood == ("red square", "on plain white") and made.ignored == ()


def test_numbers_and_plurals(imagine: Compositor) -> None:
    assert names(one(imagine, "three red squares")) == ["red square"] * 3
    assert len(names(one(imagine, "a pair of birds"))) == 2
    assert len(names(one(imagine, "5 blue bars"))) == 5
    assert len(names(one(imagine, "birds"))) == 2
    assert sorted(names(one(imagine, "two red squares and a blue bar"))) == ["blue bar", "red square", "red square"]
    with pytest.raises(UsageError, match="more than 9 objects"):
        imagine("20 birds")


def test_several_objects_do_not_cover_each_other(imagine: Compositor) -> None:
    # nine 60 px stamps: three rows of three, each at most 0.92 / 3 of the frame
    scene: Scene = one(imagine, "nine birds").scene
    seen = [scene.mask(i).sum() for i in range(9)]
    alone = [Scene(background=scene.background, placements=(p,), library=scene.library).mask().sum()
             for p in scene.placements]  # fmt: skip
    assert seen == alone


@pytest.mark.parametrize(("phrase", "lower"), [("to the left of", 0), ("to the right of", 1)])
def test_sides_are_kept(imagine: Compositor, phrase: str, lower: int) -> None:
    for seed in range(8):
        square, bar = one(imagine, f"a red square {phrase} a blue bar", seed).scene.placements
        assert (square.x < bar.x) == (lower == 0)


def test_beside_says_nothing_of_sides(imagine: Compositor) -> None:
    sides = set()
    for seed in range(12):
        square, bar = one(imagine, "a red square beside a blue bar", seed).scene.placements
        sides.add(square.x < bar.x)
    assert sides == {True, False}


def test_above_below_and_in_front(imagine: Compositor) -> None:
    square, bar = one(imagine, "a red square above a blue bar").scene.placements
    assert square.y < bar.y
    square, bar = one(imagine, "a red square below a blue bar").scene.placements
    assert square.y > bar.y
    scene: Scene = one(imagine, "a red square in front of a blue bar").scene
    # later placements are drawn in front
    assert scene.library.pictures[scene.placements[-1].stamp].name == "red square"
    assert scene.mask(0).sum() < scene.placements[0].scale ** 2 * 256**2 / 2, "nothing of the bar is hidden"


def test_places_and_sizes(imagine: Compositor) -> None:
    def box(prompt: str) -> tuple[float, float, float, float]:
        return one(imagine, prompt).things[0].box

    left, top, right, bottom = box("a small red square at the top left")
    assert (left + right) / 2 == pytest.approx(0.22, abs=0.01) and (top + bottom) / 2 == pytest.approx(0.22, abs=0.01)
    assert box("a red square on the right")[2] > 0.9
    wide = [b[2] - b[0] for b in map(box, ("a tiny red square", "a red square", "a huge red square"))]
    # 80 px stamps are enlarged at most 2.5 times, to 200 of 256 px
    assert wide[0] < 0.2 < 0.6 < wide[1] < wide[2] == pytest.approx(200 / 256, abs=0.01)


def test_no_background_is_a_plain_one(imagine: Compositor) -> None:
    for prompt in ("a bird, no background", "a bird without a background"):
        assert one(imagine, prompt).scene.background.key == "#b4b4b4"


def test_grounds_by_texture_place_and_photo(imagine: Compositor) -> None:
    assert one(imagine, "a bird on stripes").scene.background.key.startswith("pattern:stripes")
    grass = one(imagine, "a bird on grass")
    assert grass.scene.background.key == GROUNDS["grass"][2]
    assert "on grass as a plain ground of its colour" in note_of(grass)
    # the library's one photo shows a landscape
    photo = one(imagine, "a bird in front of a landscape").scene.background
    assert (photo.kind, photo.key) == ("photo", "photo:town/view") and photo.blur > 0


def test_only_a_ground(imagine: Compositor) -> None:
    blue = one(imagine, "a plain blue image")
    assert blue.things == () and (pixels(blue) == (0x28, 0x5A, 0xC8)).all()
    striped = pixels(one(imagine, "a striped texture"))
    assert {tuple(c) for c in striped.reshape(-1, 3).tolist()} >= {(16, 16, 16), (244, 244, 244)}
    assert (striped == striped[:1]).all(), "stripes run from top to bottom"
    assert len({s.id for s in imagine("a plain blue image", n=3)}) == 3


def test_patterns_in_two_colours() -> None:
    tile = np.asarray(pattern_tile(pattern_key("checks", ink="#ff0000", paper="#0000ff")))
    # squares of 24 px a side: one step away the other colour, two steps away the same
    assert {tuple(tile[5, 5]), tuple(tile[5, 29])} == {(255, 0, 0), (0, 0, 255)}
    assert (tile[5, 5] == tile[29, 29]).all() and (tile[5, 5] == tile[5, 53]).all()
    assert (tile[..., 0] == 255).mean() == 0.5
    with pytest.raises(UsageError, match="no pattern 'check'"):
        pattern_key("check")


# --- colours, fillings, effects ----------------------------------------------------------------------------------


def test_a_colour_turns_the_hues(imagine: Compositor) -> None:
    green = one(imagine, "a green bar on a white background")
    mask = green.mask()
    assert mask is not None and names(green) == ["blue bar"]
    red, lime, blue = pixels(green)[mask].mean(axis=0)
    # blue (240°) turned to green (120°)
    assert lime > 250 and red < 8 and blue < 8 and "green" in green.understood


def test_a_colour_that_hues_cannot_give_is_said(imagine: Compositor) -> None:
    made = one(imagine, "a white bar")
    assert "white (turning its hues does not give it)" in made.ignored and "white" not in made.understood


@pytest.mark.parametrize(("tint", "colour", "shift"), [
    (Tint(hue=240, saturation=0.9, light=0.3), "green", -120.0),
    (Tint(hue=350, saturation=0.9, light=0.3), "orange", 38.0),  # the short way round: 28 - 350 + 360
    (Tint(hue=10, saturation=0.9, light=0.3), "red", 0.0),
    (Tint(hue=10, saturation=0.05, light=0.3), "red", None),
    (Tint(hue=10, saturation=0.05, light=0.5), "grey", 0.0),
    (Tint(hue=10, saturation=0.05, light=0.9), "grey", None),
    (Tint(hue=10, saturation=0.05, light=0.9), "white", 0.0),
])  # fmt: skip
def test_hue_shifts(tint: Tint, colour: str, shift: float | None) -> None:
    assert hue_shift(tint, colour) == shift


def test_shapes_filled(imagine: Compositor) -> None:
    black = one(imagine, "a silhouette of a red square on a white background")
    mask = black.mask()
    assert mask is not None and (pixels(black)[mask] == 0).all()
    for prompt in ("a striped red square on a red background", "a red square with stripes on a red background"):
        striped = one(imagine, prompt)
        assert striped.scene.background.key == COLOURS["red"]
    assert striped.scene.placements[0].fill.startswith("pattern:stripes")
    assert one(imagine, "a red square filled with black and white dots").scene.placements[0].fill == pattern_key(
        "dots", ink=COLOURS["black"], paper=COLOURS["white"]
    )


def test_effects_over_the_picture(imagine: Compositor) -> None:
    grey = pixels(one(imagine, "a red square, grey"))
    assert (grey[..., 0] == grey[..., 1]).all() and (grey[..., 1] == grey[..., 2]).all()
    upright = one(imagine, "a red square at the top on white").scene
    turned = one(imagine, "a red square at the top on white, upside down").scene
    assert np.array_equal(np.asarray(turned.render()), np.asarray(upright.render())[::-1, ::-1])
    assert one(imagine, "a red square, rotated 45 degrees").scene.effects == (("turn", 45.0),)
    assert [e[0] for e in one(imagine, "a blurred bird in black and white").scene.effects] == ["blur", "grey"]


# --- drawn shapes ------------------------------------------------------------------------------------------------


def test_a_drawn_shape_has_its_area_colour_and_box(imagine: Compositor) -> None:
    made = one(imagine, "a red circle on a white background")
    share = (pixels(made) == (0xC8, 0x28, 0x1E)).all(axis=-1).mean()
    # a circle of 0.74 of the frame: π/4 · 0.74² = 0.430 (its edge is mixed with the ground)
    assert share == pytest.approx(0.430, abs=0.01)
    thing = made.things[0]
    assert (thing.name, thing.concepts) == ("circle", ("circle", "shape"))
    left, top, right, bottom = thing.box
    assert right - left == pytest.approx(0.74) == bottom - top
    assert made.scene is None and made.tags == ("background:plain", "background:#ffffff")
    assert made.understood == ("circle", "on plain white", "red")


def test_rings_have_holes_and_lines_are_flat(imagine: Compositor) -> None:
    ring = one(imagine, "a black ring in the centre on a white background")
    assert (pixels(ring)[128, 128] == 255).all() and (pixels(ring)[128, 128 + 80] == 16).all()
    # π/4 · 0.74² · (1 - 0.62²) = 0.265
    assert (pixels(ring) == 16).all(axis=-1).mean() == pytest.approx(0.265, abs=0.01)
    line = one(imagine, "a black line in the centre on a white background")
    # 0.74 wide and 0.08 of that high: 0.0438
    assert (pixels(line) == 16).all(axis=-1).mean() == pytest.approx(0.0438, abs=0.005)


def test_several_shapes_do_not_touch(imagine: Compositor) -> None:
    made = one(imagine, "a yellow hexagon to the left of a green cross on a black background")
    assert [t.name for t in made.things] == ["hexagon", "cross"]
    assert made.things[0].box[2] < made.things[1].box[0]
    assert len(one(imagine, "three stars").things) == 3


def test_shapes_take_patterns_and_effects_and_stand_by_themselves(imagine: Compositor) -> None:
    striped = pixels(one(imagine, "a circle with stripes in the centre on a red background"))
    assert len({int(v) for v in striped[128, 60:196, 0]}) > 1
    assert (striped[128, 60:196, 0] == striped[128, 60:196, 2]).all(), "black and white only"
    turned = one(imagine, "a red triangle at the top on white, upside down")
    upright = one(imagine, "a red triangle at the top on white")
    assert np.array_equal(pixels(turned), pixels(upright)[::-1, ::-1]) and turned.things == ()
    both = one(imagine, "a bird and a circle")
    assert len(both.things) == 1 and "circle (drawn shapes stand by themselves)" in both.ignored


def test_the_library_goes_before_drawn_shapes(imagine: Compositor) -> None:
    # a stamp of this library falls under "square"
    assert one(imagine, "a square").scene is not None


# --- what is not there -------------------------------------------------------------------------------------------


def test_what_is_not_understood_is_said(imagine: Compositor) -> None:
    made = one(imagine, "a furious red square wearing spectacles")
    assert names(made) == ["red square"] and made.ignored == ("furious", "wearing", "spectacles")
    assert "ignored: furious" in note_of(made)


@pytest.mark.parametrize("left_out", ["without birds", "no other birds", "without any mammals", "with no bird in it"])
def test_what_is_absent_is_absent(imagine: Compositor, left_out: str) -> None:
    made = one(imagine, f"a red square, {left_out}")
    assert (
        names(made) == ["red square"]
        and f"without {left_out.split()[2] if 'in it' in left_out else left_out.split()[-1]}" in made.understood
    )
    assert names(one(imagine, "a picture with nothing in it")) == []


def test_what_cannot_be_left_out_is_not_put_in(imagine: Compositor) -> None:
    made = one(imagine, "a red square without its spectacles")
    assert names(made) == ["red square"] and made.ignored == ("without spectacles",)


def test_nothing_to_show_is_an_error_that_names_what_is_near(imagine: Compositor) -> None:
    with pytest.raises(UsageError, match=r"shows nothing of squere \(near: square\).*diffusers:<model>"):
        imagine("a squere")
    with pytest.raises(UsageError, match="nothing of unicorn"):
        imagine("a unicorn on grass")  # not grass alone
    with pytest.raises(UsageError, match="nothing of ''"):
        imagine("")
    with pytest.raises(UsageError, match="0 pictures"):
        imagine("a bird", n=0)


def test_a_whole_photo_where_no_cutout_shows_it(imagine: Compositor) -> None:
    made = imagine("a landscape on grass", n=3)
    assert all(s.scene is None and s.things[0].name == "view" and s.tags[0] == "photo" for s in made)
    assert "a whole photo keeps its own ground" in note_of(made[0])


def test_kinds_of_wordnet_are_near(library: Library, wordnet_folder: object) -> None:
    finder = Finder(Studio(split=None, library=library), words=Wordnet(wordnet_folder))  # pyright: ignore
    # an owl is a bird; that is too wide a kind to stand for it, but near
    assert finder.resolve("owl") is None and set(finder.near("owl")) <= {f"animal{i}" for i in range(1, 24, 2)}
    geese = finder.resolve("animal4")
    assert geese is not None and geese.exact


def test_a_phrase_is_no_essay(imagine: Compositor) -> None:
    with pytest.raises(UsageError, match="has 401 characters: say it in at most 400"):
        imagine("a" * 401)


# --- seeds and splits --------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_pixels(library: Library) -> None:
    first, second = compositor(library), compositor(library)
    ids = [s.id for s in first("two birds and a red square", n=4, seed=3)]
    assert len(set(ids)) == 4 and ids == [s.id for s in second("two birds and a red square", n=4, seed=3)]
    assert not set(ids) & {s.id for s in first("two birds and a red square", n=4, seed=4)}


def test_variations_show_different_stamps(imagine: Compositor) -> None:
    shown = [names(s)[0] for s in imagine("a bird", n=12)]  # pyright: ignore
    assert len(set(shown)) == 12


def test_phrases_with_one_seed_share_their_grounds(imagine: Compositor) -> None:
    grounds = [[s.scene.background for s in imagine(p, n=4, seed=2)] for p in ("a red square", "a blue bar")]
    assert grounds[0] == grounds[1] and len(set(grounds[0])) > 1


VOCABULARY = sorted({"bird", "red square", "bars", "view", "stripes", ",", "background", "silhouette", "of", "grue", "no",
                     *COLOURS, *EFFECTS, *GROUNDS, *NUMBERS, *PLACES, *RELATIONS, *SIZES})  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(words=st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=9), seed=st.integers(0, 5))
def test_any_phrase_is_a_discover_picture_or_an_error_in_one_line(
    library: Library, words: list[str], seed: int
) -> None:
    imagine = compositor(library, "discover")
    try:
        made = imagine(" ".join(words), n=2, seed=seed)
    except UsageError as error:
        assert "\n" not in str(error)
        return
    for stimulus in made:
        assert stimulus.split == "discover" and isinstance(stimulus, Made)
        used = [p.stamp for p in stimulus.scene.placements] if stimulus.scene is not None else []
        used += [stimulus.scene.background.key] if stimulus.scene is not None else []
        assert all(library.pictures[k].split == "discover" for k in used if k in library.pictures)


def test_reading_counts_every_word_once() -> None:
    phrase = read_phrase(
        "xyzzy plugh", Finder(Studio(split=None, library=Library(folder=None, pictures={})), words=None)
    )  # pyright: ignore
    assert phrase.ignored == ["xyzzy", "plugh"] and not phrase.understood


# --- tools by name -----------------------------------------------------------------------------------------------


@pytest.fixture
def pictures(library: Library) -> Corpus:
    studio = Studio(split="discover", library=library)
    scenes = [studio.paste(p, "#ffffff").stimulus() for p in studio.stamps()]
    return Corpus(name="made", modality="image", stimuli=scenes)


def test_tools_of_a_corpus(pictures: Corpus) -> None:
    tools = load_tools(pictures)
    assert tools.names == {"imagine": "compositor", "edit": "compositor", "describe": "embedded:efficientnet-lite2"}
    assert tools.imagine is not None
    made = tools.imagine("a bird", n=1)[0]
    # the library is the corpus' own
    assert made.scene.library == pictures[0].scene.library
    assert load_tools(pictures, imagine="none", edit="none", describe="none") == Tools()
    texts = from_texts(["It rains today in the north."])
    assert load_tools(texts).names == {"write": "corpus"}
    assert set(load_tools([pictures, texts]).names) == {"imagine", "edit", "describe", "write"}


def test_tools_that_do_not_fit_or_do_not_exist(pictures: Corpus) -> None:
    with pytest.raises(UsageError, match="write 'corpus' is for text units, made holds images: leave --write out"):
        load_tools(pictures, write="corpus")
    with pytest.raises(UsageError, match=r"no imagine tool 'compositer' \(did you mean 'compositor'\?\)"):
        load_tools(pictures, imagine="compositer")
    with pytest.raises(UsageError, match="takes no argument"):
        load_tools(pictures, imagine="compositor:big")
    with pytest.raises(UsageError, match="no network 'resnet'"):
        load_tools(pictures, describe="embedded:resnet")


def test_model_names_and_ready_tools(pictures: Corpus, imagine: Compositor) -> None:
    named = load_tools(pictures, describe="openai-api/local/my:model")
    assert named.names["describe"] == "openai-api/local/my:model"
    assert load_tools(pictures, imagine=imagine).imagine is imagine


def test_every_built_in_name_is_there() -> None:
    from importlib import import_module

    for kind, (_, built_in) in GROUPS.items():
        assert set(built_in) <= set(tool_names(kind))
        for path in built_in.values():
            module, _, attribute = path.partition(":")
            assert callable(getattr(import_module(module), attribute))


# --- the packaged library ----------------------------------------------------------------------------------------


@pytest.mark.packaged
@pytest.mark.parametrize(("prompt", "shown", "note"), [
    ("two gorillas on a beach", ["gorilla"] * 2, "on beach"),
    ("a red automobile on grass", ["sports car"], "automobile as car"),
    ("a poodle", ["dog"], "poodle as dog"),
    ("a gorilla beside a bus, grey, upside down", ["gorilla"], "ignored: bus (near: airplane, dumper truck, fire truck)"),
    ("an orange on a wooden table", ["orange"], "on texture wood"),
    ("a spotted horse", ["horse"], "its shape filled with spotted"),
])  # fmt: skip
def test_phrases_over_the_packaged_library(packaged_data: None, prompt: str, shown: list[str], note: str) -> None:
    made = Compositor()(prompt, n=1)[0]
    assert isinstance(made, Made) and names(made) == shown and note in note_of(made)
