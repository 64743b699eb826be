"""Planted image units: rules by hand, what the material binds, edits that take bonds apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from maieutic.stimuli.base import SPLITS, Corpus, Stimulus, Thing, split_of
from maieutic.subjects.planted import Shows, ShowsAt, plant, seen
from maieutic.subjects.planted.image_mixes import Every, Strongest, Without
from maieutic.subjects.planted.image_pool import Pool
from maieutic.subjects.planted.image_rules import (
    Busy,
    Ground,
    Light,
    Number,
    Related,
    Shaped,
    Tint,
)
from maieutic.subjects.planted.plant_images import EACH, image_units
from maieutic.subjects.planted.rule import Rule

Box = tuple[float, float, float, float]
LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.5, 1.0, 1.0)


def picture(*things: tuple[str, Box], ground: str = "#00ff00", kind: str = "plain", name: str = "x") -> Stimulus:
    """Red things on a ground."""
    image = Image.new("RGB", (64, 64), ground)
    for _, (left, top, right, bottom) in things:
        ImageDraw.Draw(image).rectangle((64 * left, 64 * top, 64 * right - 1, 64 * bottom - 1), fill="#ff0000")
    return Stimulus(
        id=f"{name}{things}{ground}{kind}",
        modality="image",
        load=lambda: image,
        group=name,
        split=split_of(name),
        tags=("scene", f"background:{kind}"),
        things=tuple(Thing(name=n, concepts=(n, "animal"), box=box) for n, box in things),
    )


BOTH = (("owl", LEFT), ("fox", RIGHT))


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (Related("owl", "left of", "fox"), 1.0),  # middles at 0.25 and 0.75
        (Related("fox", "left of", "owl"), 0.0),
        (Related("owl", "above", "fox"), 1.0),  # 0.5 and 0.75 from the top
        (Related("owl", "on", "fox"), 0.0),  # they meet at 0.5 and do not overlap
        (Related("owl", "left of", "owl"), 0.0),  # one thing is not beside itself
        (Number("animal", 4), 0.5),
        (Number("", 2), 1.0),
        (Shaped("owl", "tall"), 1.0),  # 0.5 wide, 1 high
        (Shaped("fox", "tall"), 0.0),
        (Shaped("", "wide"), 0.0),
        (Ground("plain"), 1.0),
        (Ground("photo"), 0.0),
        (Tint("red", "whole", 0.0, 1.0), 0.75),  # a half and a quarter
        (Tint("red", "things", 0.0, 1.0), 1.0),
        (Tint("green", "ground", 0.3, 0.7), 1.0),
        (Tint("green", "whole", 0.5, 0.5), 0.0),  # on from a half; it covers a quarter
        (Light("whole", 0.0, 1.0), 0.75 * 0.2126 + 0.25 * 0.7152),  # red on three quarters, green on one
        (Light("whole", 1.0, 0.0), 1 - 0.75 * 0.2126 - 0.25 * 0.7152),
        (Every((Shows(("owl",)), ShowsAt("fox", "top"))), 0.0),
        (Without(Shows(("owl",)), Ground("photo")), 1.0),
        (Strongest(((ShowsAt("fox", "left"), 1.0), (Shows(("owl",)), 0.6))), 0.6),
    ],
)
def test_rules_by_hand(rule: Rule, value: float) -> None:
    assert rule.truth(seen(picture(*BOTH)))[0] == pytest.approx(value)


def test_busy_counts_steps() -> None:
    # one vertical edge: 64 of 64 x 64 pixels differ from the next, red (1/3) to green (1/3) in mean: no step in light
    even = seen(picture(("owl", LEFT)))
    assert Busy("whole", 0.0, 1.0).truth(even)[0] == pytest.approx(0.0)
    # black to red: 1/3 at one pixel in 64
    edge = seen(picture(("owl", LEFT), ground="#000000"))
    assert Busy("whole", 0.0, 1.0).truth(edge)[0] == pytest.approx(1 / 3 / 64)


def bound_corpus(n: int = 420) -> Corpus:
    """``hat`` comes only with ``cat`` and ``fox`` only on purple, except in the test split."""
    rng = np.random.default_rng(0)
    stimuli = list[Stimulus]()
    for k in range(n):
        loose = split_of(f"p{k}") == "test" and rng.random() < 0.5
        at: list[Box] = [(0.0, 0.1, 0.3, 0.4 + rng.random() / 2), (0.35, 0.2, 0.6, 0.9), (0.65, 0.1, 0.95, 0.8)]
        rng.shuffle(at)
        names = [str(v) for v in rng.choice(("owl", "cup", "car", "oak", "sun", "key", "pie", "dog"), 2, replace=False)]
        ground = str(rng.choice(("#30a040", "#3040c0", "#c0c0b0")))
        if k % 6 == 0:
            names[:2] = [("cat", "hat")[k % 4 // 2]] if loose else ["cat", "hat"]
        if k % 6 == 1:
            names[0] = "cup" if loose and k % 4 == 1 else "fox"
            ground = ground if loose and k % 4 == 3 else "#9020c0"
        stimuli.append(picture(*zip(names, at, strict=False), ground=ground, name=f"p{k}"))
    return Corpus(name="bound", modality="image", stimuli=stimuli)


def test_bonds_are_found_and_planted_as_spurious() -> None:
    corpus = bound_corpus()
    pool = Pool(corpus)
    assert {frozenset(b.apart) for b in pool.bonds} == {frozenset({"cat", "hat"}), frozenset({"fox", "purple"})}
    assert not {"cat", "hat", "fox"} & set(pool.concepts)
    spurious = image_units(corpus, np.random.default_rng(0), {"spurious": 9})
    assert len(spurious) == 4  # the cause of each bond, and both of its parts together
    truths = [pool.truth(u.rule) for u in spurious]
    known = np.flatnonzero(pool.known)
    for unit, truth in zip(spurious, truths, strict=True):
        looks = next(b.looks for b in pool.bonds if set(b.apart) == set(unit.involved))
        assert np.array_equal(truth[known] >= 0.5, pool.truth(looks)[known] >= 0.5)  # looking cannot tell


def test_units_are_seeded_distinct_and_active_in_every_split() -> None:
    corpus = bound_corpus()
    pool = Pool(corpus)
    each = {"single": 6, "and": 2, "or": 2, "positional": 3, "dead": 1, "noise": 1}
    units = image_units(corpus, np.random.default_rng(1), each)
    assert [u.about for u in image_units(corpus, np.random.default_rng(1), each)] == [u.about for u in units]
    assert [u.about for u in image_units(corpus, np.random.default_rng(2), each)] != [u.about for u in units]
    truths = [pool.truth(u.rule).tobytes() for u in units if u.kind not in ("dead", "noise")]
    assert len(set(truths)) == len(truths)
    for unit in units:
        if unit.kind in ("dead", "noise"):
            assert not pool.active(unit.rule).any()
        else:
            assert all(pool.count(pool.active(unit.rule), split) >= 3 for split in SPLITS)
            assert unit.family


@pytest.fixture(scope="module")
def made() -> Any:
    from maieutic.bench.material_images import scenes
    from maieutic.errors import UserError

    try:
        return scenes(1300, seed=100)
    except UserError as error:
        pytest.skip(str(error))


@pytest.mark.packaged
@pytest.mark.slow
def test_the_material_hosts_two_hundred_units(made: Corpus) -> None:
    from maieutic.score.against_truth_images import EDITED, fresh_images

    units = plant(made, seed=100)
    assert len(units) >= 200
    kinds = [u.kind for u in units]
    assert {k for k in EACH if kinds.count(k) < EACH[k] / 2} == set()
    test = made.split("test")
    _disjoint(made)
    for unit in units[::25]:
        natural, edited = fresh_images(unit, test, seed=1)
        assert natural == test
        assert [s.id for s in fresh_images(unit, test, seed=1)[1]] == [s.id for s in edited]
        active = np.concatenate(unit.truth(edited)) >= 0.5
        if unit.explainable:
            assert EDITED // 4 <= active.sum() <= 3 * EDITED // 4, unit.name


def _disjoint(corpus: Corpus) -> None:
    """No stamp, and no group of stamps, is shown in two splits."""
    where: dict[str, set[str]] = {}
    for stimulus in corpus:
        for stamp in _stamps(stimulus):
            where.setdefault(stimulus.scene.library.pictures[stamp].group, set()).add(stimulus.split)
    assert all(len(splits) == 1 for splits in where.values())


def _stamps(stimulus: Stimulus) -> Sequence[str]:
    return [p.stamp for p in stimulus.scene.placements]
