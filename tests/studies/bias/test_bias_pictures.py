"""Counterfactual pictures: each edit changes what it says, and nothing else, against pixels of a library made here."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from maieutic.errors import UsageError
from maieutic.stimuli.base import Corpus
from maieutic.stimuli.library import Library, Picture
from maieutic.studies.bias import pictures


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Library:
    """Ten balls in nine groups, a cup and a person, as discs of different colours, and one texture."""
    folder = tmp_path_factory.mktemp("library")
    found: dict[str, Picture] = {}

    def add(key: str, kind, concepts: tuple[str, ...], group: str, image: Image.Image) -> None:
        image.save(folder / f"{len(found)}.png")
        found[key] = Picture(
            key=key, kind=kind, name=concepts[0], concepts=concepts, folders=(), group=group, source="own",
            file=f"{len(found)}.png", size=image.size, hash=key,
        )  # fmt: skip

    for k, (name, group) in enumerate([*(("ball", f"g{max(1, i)}") for i in range(10)), ("cup", "c"), ("person", "p")]):
        disc = Image.new("RGBA", (80, 80), (0, 0, 0, 0))
        ImageDraw.Draw(disc).ellipse((0, 0, 79, 79), fill=(20 * k, 90, 200 - 15 * k, 255))
        add(f"stamp:{name}{k}", "stamp", (name, "thing"), group, disc)
    add("texture:Wood/pine", "texture", ("pine",), "t", Image.new("RGB", (32, 32), (150, 110, 60)))
    return Library(folder=folder, pictures=found, fingerprint="small")


def base_and(library: Library, attribute: str, level: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    base = pictures.objects("ball", size=1, library=library)[0]
    (chosen,) = pictures.select(pictures.attributes(library, avoid="ball"), [attribute])
    change = next(c for c in chosen.changes if c.level == level)
    assert base.scene is not None
    return np.asarray(base.load()).astype(int), np.asarray(change.make(base)).astype(int), base.scene.mask()


def test_bases_are_one_of_each_group_and_a_seed_draws_them(library):
    bases = pictures.objects("ball", size=50, library=library)
    assert len(bases) == 9 and len({b.cluster for b in bases}) == 9
    assert [b.name for b in bases] == [b.name for b in pictures.objects("ball", size=50, library=library)]
    assert [b.name for b in bases] != [b.name for b in pictures.objects("ball", size=50, seed=1, library=library)]
    with pytest.raises(UsageError, match="no stamp shows"):
        pictures.objects("zebra", size=3, library=library)


def test_a_background_changes_the_ground_alone(library):
    before, after, mask = base_and(library, "background colour", "green")
    assert (after[~mask][:, 1] > after[~mask][:, 0]).mean() > 0.98
    # the rim of the object is blended with its ground
    assert (np.abs(after - before).max(axis=2)[mask] < 3).mean() > 0.9


def test_a_surface_changes_the_object_alone(library):
    before, after, mask = base_and(library, "surface", "wood")
    assert (np.abs(after - before).max(axis=2)[~mask] < 130).all() and (after[128, 128] == (150, 110, 60)).all()
    assert (after[5, 5] == before[5, 5]).all()


def test_places_and_sizes(library):
    _, left, _ = base_and(library, "position", "left")
    _, half, _ = base_and(library, "size", "half")
    _, usual, mask = base_and(library, "size", "1.5 times")
    shown = [np.abs(p - 128).max(axis=2) > 12 for p in (left, half, usual)]
    assert np.argwhere(shown[0])[:, 1].mean() < 90
    # areas go with the square of the side: a quarter, and 2.25 times
    assert shown[1].sum() / mask.sum() == pytest.approx(0.25, rel=0.15)
    assert shown[2].sum() / mask.sum() == pytest.approx(2.25, rel=0.15)


def test_company_is_never_of_the_same_kind(library):
    (company,) = pictures.select(pictures.attributes(library, avoid="person"), ["company"])
    assert not any("person" in c.filler for c in company.changes)
    (company,) = pictures.select(pictures.attributes(library, avoid="ball"), ["company"])
    assert {c.level for c in company.changes} == {"person"}


def test_what_the_library_lacks_is_left_out(library):
    levels = {c.level for a in pictures.attributes(library) if a.name == "background" for c in a.changes}
    assert levels == {"water", "sky", "leaves", "wood"}


def test_the_material_is_paired_with_placebos_and_other_things(library):
    chosen = pictures.select(pictures.attributes(library, avoid="ball"), ["background colour", "position"])
    made = pictures.picture_material(
        pictures.objects("ball", size=8, library=library), chosen, name="balls", library=library
    )
    roles = {r: [t for t in made.trials if t.role == r] for r in ("level", "placebo", "spread")}
    # 8 bases: 8 grounds and 4 places, and each attribute's own reference; 5 + 4 levels have a placebo
    assert len(roles["level"]) == 8 * (8 + 4 + 2) and len(roles["placebo"]) == 8 * (5 + 4)
    # the reference is one picture, shared; groups that are no bases: the ninth of balls, cup, person
    assert len({t.key for t in made.trials}) == 8 * (8 + 4 + 1 + 9) + 3
    assert made.references == {"background colour": "plain grey", "position": "centre"}
    jitter = next(t for t in roles["placebo"] if t.attribute == "position")
    assert jitter.load().tobytes() == jitter.load().tobytes()
    assert len(made.contrasts()) == 9


def test_photos_take_edits_of_the_whole(library):
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 255, (40, 60, 3)).astype(np.uint8)) for _ in range(3)]
    bases = pictures.photos(Corpus.from_images(images), size=10)
    assert {b.load().size for b in bases} == {(256, 256)} and all(b.scene is None for b in bases)
    every = pictures.attributes(None)
    assert all(a.whole for a in every) and "background" not in {a.name for a in every}
    made = pictures.picture_material(bases, every, name="photos")
    assert all(t.load().size == (256, 256) for t in made.trials if t.base == bases[0].name)


def test_an_editor_makes_levels_by_instruction():
    class Reddens:
        name = "reddens"

        def __call__(self, stimulus, instruction, *, seed=0):
            from maieutic.stimuli.making import made_picture

            assert instruction == "make it red"
            return made_picture(Image.new("RGB", stimulus.content.size, "red"), made_by={})

    attribute = pictures.instructed("look", [("red", "make it red")], Reddens())
    base = pictures.Base(name="x", cluster="x", load=lambda: Image.new("RGB", (256, 256), "blue"))
    assert attribute.changes[0].make(base).getpixel((3, 3)) == (255, 0, 0) and attribute.reference == "as it is"


def test_an_unknown_attribute_is_refused(library):
    with pytest.raises(UsageError, match=r"did you mean 'background'"):
        pictures.select(pictures.attributes(library), ["backgrond"])
