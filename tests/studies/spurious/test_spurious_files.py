"""A user's folder or CSV: what is read, and one line for everything that does not do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maieutic.cli.spurious import _config, _seeds, _subject  # pyright: ignore[reportPrivateUsage]
from maieutic.errors import UsageError, UserError
from maieutic.studies.spurious.config import load_config, quick
from maieutic.studies.spurious.cuts import emptied, filled, mask_of, swapped
from maieutic.studies.spurious.folder import load_folder
from maieutic.studies.spurious.material import check, instances_of, labels_of

from .spurious_world import CLASSES, GROUPS, SIDE, example, picture, settings


def laid_out(root: Path, *, n: int = 8) -> Path:
    """Pictures in ``root/<split>/<class>/<group>/``."""
    draw = np.random.default_rng(0)
    for side in ("train", "test"):
        for c, label in enumerate(CLASSES):
            for g, group in enumerate(GROUPS):
                place = root / side / label / group
                place.mkdir(parents=True)
                for i in range(n):
                    picture(c, g, draw)[0].save(place / f"{i}.png")
    return root


def table(root: Path, rows: str, header: str = "path,label,group,split,object,mask") -> Path:
    file = root / "pictures.csv"
    file.write_text(f"{header}\n{rows}\n", encoding="utf-8")
    return file


def test_a_folder_is_read(tmp_path: Path) -> None:
    found = load_folder(laid_out(tmp_path), side=SIDE)
    assert (found.classes, found.groups, found.cut) == (CLASSES, GROUPS, "centre")
    assert len(found.train) == len(found.test) == 32 and not found.balanced
    assert np.bincount(labels_of(found.test)).tolist() == [16, 16]
    assert {e.stimulus.split for e in found.train} == {"discover", "select"}
    assert {e.stimulus.split for e in found.test} == {"test"}
    assert any("middle" in n for n in found.notes)


def test_a_table_with_objects_and_masks(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    rows: list[str] = []
    for n in range(24):
        c, side = n % 2, "test" if n >= 16 else "train"
        image, mask = picture(c, n % 3 % 2, draw)
        image.save(tmp_path / f"{n}.png")
        Image.fromarray((mask * 255).astype(np.uint8)).save(tmp_path / f"{n}-mask.png")
        rows.append(f"{n}.png,{CLASSES[c]},{GROUPS[n % 3 % 2]},{side},{side}{n // 4},{n}-mask.png")
    found = load_folder(table(tmp_path, "\n".join(rows)), side=SIDE)
    assert found.cut == "mask"
    assert instances_of(found.train)[0] == "ruby/train0"
    assert (mask_of(found.train[0]) == picture(0, 0, np.random.default_rng(1))[1]).all()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda p: p / "nothing", "no file or folder"),
        (lambda p: p, "holds no pictures"),
        (lambda p: (laid_out(p / "a"), Image.new("RGB", (8, 8)).save(p / "a" / "stray.png"))[0], "does not lie in"),
        (lambda p: table(p, "x.png,a,b", "path,label,background"), "no column 'group'"),
        (lambda p: table(p, "x.png,a,b,validation,,"), "line 2"),
        (lambda p: table(p, "x.png,,b,train,,"), "label"),
        (lambda p: table(p, ""), "no rows"),
        (lambda p: table(p, "x.png,a,b,train,,\ny.png,a,c,test,,"), "a study needs two of each"),
        (lambda p: table(p, "x.png,a,b,train,,m.png\ny.png,c,d,test,,"), "have a mask"),
        (lambda p: table(p, "x.png,a,b,train,,\ny.png,c,d,test,,"), "no file"),
    ],
)
def test_what_is_wrong_ends_in_one_line(make: Callable[[Path], Path], why: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=why) as caught:
        load_folder(make(tmp_path), side=SIDE)
    assert "\n" not in str(caught.value)


def test_an_object_on_both_sides_is_refused() -> None:
    from dataclasses import replace

    from .spurious_world import world

    good = world(0)
    both = replace(good.test[0], stimulus=replace(good.test[0].stimulus, group=good.train[0].stimulus.group))
    with pytest.raises(UserError, match="in training and test"):
        check(replace(good, test=(both, *good.test[1:])))
    with pytest.raises(UserError, match="same picture"):
        check(replace(good, test=(*good.test, good.train[0])))
    with pytest.raises(UserError, match="no test picture of 'sapphire'"):
        check(replace(good, test=tuple(e for e in good.test if e.label == 0)))


def test_a_swap_moves_the_object_and_nothing_else() -> None:
    from .spurious_world import world

    material = world(0)
    draw = np.random.default_rng(5)
    thing, donor = example(0, 0, 900, draw, "train"), example(1, 1, 901, draw, "train")
    made = swapped(thing, donor, material)
    pixels, own = np.asarray(made.content), np.asarray(thing.stimulus.content)
    kept = mask_of(thing)
    assert (pixels[kept] == own[kept]).all()
    free = ~kept & ~mask_of(donor)
    assert (pixels[free] == np.asarray(donor.stimulus.content)[free]).all()
    assert made.tags == ("ruby", "sand") and made.split == thing.stimulus.split
    bare = emptied(donor, material)
    # the donor's blue square is gone: what fills it is as little blue as the sand is
    assert np.asarray(bare.content)[mask_of(donor)].mean(axis=0) == pytest.approx((190, 170, 90), abs=12)
    assert bare.tags == ("sand",)


def test_holes_are_filled_from_around_them() -> None:
    flat = np.full((9, 7, 3), 40.0)
    hole = np.zeros((9, 7), dtype=bool)
    hole[2:7, 2:6] = True
    damaged = np.where(hole[:, :, None], 255.0, flat)
    assert np.allclose(filled(damaged, hole), 40.0)
    assert (filled(damaged, np.zeros_like(hole)) == damaged).all()
    assert np.isfinite(filled(damaged, np.ones_like(hole))).all()


def test_configurations_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text("seeds = [4, 5]\n[rule]\nsurvival = 0.9\n", encoding="utf-8")
    found = load_config(file)
    assert (found.seeds, found.rule.survival, quick(found).seeds) == ((4, 5), 0.9, (4,))
    for text, why in (("seeds = []", "at least one seed"), ("colour = 1", "colour"), ("units = ", "neither TOML")):
        file.write_text(text + "\n", encoding="utf-8")
        with pytest.raises(UserError, match=why):
            load_config(file)
    with pytest.raises(UserError, match="cannot read"):
        load_config(tmp_path / "none.toml")
    assert settings().rule.lines()


def test_arguments_of_the_command() -> None:
    assert _seeds("3, 4,3") == (3, 4)
    with pytest.raises(UsageError, match="are no seeds"):
        _seeds("a,b")
    with pytest.raises(UsageError, match="go together"):
        _subject("efficientnet-lite0", None)
    found = _config(None, True, "7,8", "search", 5, {})
    assert (found.seeds, found.measurements) == ((7,), 5)
    with pytest.raises(UsageError, match="no option"):
        _config(None, False, None, "search", None, {"modle": "x"})
