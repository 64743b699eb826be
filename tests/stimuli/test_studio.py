import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.errors import UsageError
from maieutic.stimuli.base import SPLITS, Thing
from maieutic.stimuli.library import Library
from maieutic.stimuli.scenes import Scene
from maieutic.stimuli.studio import Studio, all_studios, place


def test_a_studio_never_leaves_its_split(library: Library) -> None:
    studios = all_studios(library)
    keys = {split: {p.key for p in (*s.stamps(), *s.photos(), *s.textures())} for split, s in studios.items()}
    assert sum(map(len, keys.values())) == len(library.pictures)
    assert all(keys[split] for split in SPLITS)
    other = next(iter(sorted(keys["test"])))
    with pytest.raises(UsageError, match="belongs to the test split"):
        studios["discover"].paste(library.pictures[other])
    grounds = {split: {b.key for b in s.backgrounds()} for split, s in studios.items()}
    assert not grounds["discover"] & grounds["test"]


def test_stamps_are_found_by_concept_name_and_thing(library: Library) -> None:
    studio = Studio(split=None, library=library)
    assert {p.key for p in studio.stamps("Rectangles")} == {"stamp:shapes/square", "stamp:shapes/bar"}
    assert studio.find("blue bar")[0].key == "stamp:shapes/bar"
    assert studio.find(Thing(name="green half", concepts=("green half",)))[0].key == "stamp:shapes/half"
    assert studio.concepts(at_least=12) == {"animal": 24, "bird": 12, "mammal": 12}
    with pytest.raises(UsageError, match=r"no stamp shows 'birdd' \(did you mean 'bird'\?\)"):
        studio.find("birdd")


def test_pasting_is_repeatable_and_seeded(library: Library) -> None:
    studio = Studio(split=None, library=library)
    scene = studio.paste("square", "#ffffff", x=0.3, scale=0.2)
    assert (np.asarray(scene.render())[5, 5] == 255).all() and scene.things()[0].name == "red square"
    assert studio.paste("square") == studio.paste("square")
    assert len({Studio(split=None, library=library, seed=s).paste("square").background for s in range(6)}) > 1
    assert studio.empty("#ffffff").placements == ()
    both = studio.add(scene, "bar", x=0.8, y=0.5, scale=0.1)
    assert [t.name for t in both.things()] == ["red square", "blue bar"]
    assert studio.paste("square", "stripes").background.key == "texture:made/stripes"


@settings(max_examples=60, deadline=None)
@given(x=st.floats(0, 1), y=st.floats(0, 1), scale=st.floats(0.05, 1.5))
def test_placed_objects_are_whole(library: Library, x: float, y: float, scale: float) -> None:
    bar = library.pictures["stamp:shapes/bar"]
    placement = place(bar, x=x, y=y, scale=scale)
    # 100 px wide and 50 high: at most 2.5 times as large, that is 250 of 256 px
    assert placement.scale <= 250 / 256 + 1e-4
    assert placement.scale / 2 - 1e-3 <= placement.x <= 1 - placement.scale / 2 + 1e-3
    assert placement.scale / 4 - 1e-3 <= placement.y <= 1 - placement.scale / 4 + 1e-3
    alone = Scene(
        background=Studio(split=None, library=library).background("#ffffff"), placements=(placement,), library=library
    )
    longest = round(placement.scale * 256)
    assert alone.mask().any(axis=0).sum() >= longest - 2
