"""A placebo changes as much, in the same places, and means nothing."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from maieutic.errors import UserError
from maieutic.studies.bias.placebo import amount, scrambled


def pictures() -> tuple[Image.Image, Image.Image]:
    before = np.full((64, 64, 3), 128, dtype=np.uint8)
    after = before.copy()
    after[:, :24] = (90, 160, 90)
    return Image.fromarray(before), Image.fromarray(after)


def test_a_placebo_changes_as_much_and_only_there():
    before, after = pictures()
    placebo = scrambled(before, after, seed=1)
    assert amount(before, placebo) == pytest.approx(amount(before, after), rel=0.05)
    assert (np.asarray(placebo)[:, 24:] == 128).all()
    assert (np.asarray(placebo)[:, :24] != 128).any(axis=2).mean() > 0.9


def test_an_amount_by_hand():
    before, after = pictures()
    # 24 of 64 columns change by (38, 32, 38): sqrt(24/64 * (38^2 + 32^2 + 38^2) / 3)
    assert amount(before, after) == pytest.approx(np.sqrt(24 / 64 * (38**2 + 32**2 + 38**2) / 3))


def test_over_seeds_a_placebo_has_no_colour():
    before, after = pictures()
    green = [np.asarray(scrambled(before, after, seed=s), dtype=float)[:, :24, 1].mean() - 128 for s in range(60)]
    assert abs(np.mean(green)) < 10 and np.std(green) > 3  # the edit itself adds 32 to green


def test_the_same_seed_gives_the_same_placebo():
    before, after = pictures()
    assert scrambled(before, after, seed=5).tobytes() == scrambled(before, after, seed=5).tobytes()
    assert scrambled(before, after, seed=5).tobytes() != scrambled(before, after, seed=6).tobytes()


def test_no_change_has_no_placebo():
    before, _ = pictures()
    assert scrambled(before, before.copy(), seed=0).tobytes() == before.tobytes()


def test_pictures_of_two_sizes_are_refused():
    before, after = pictures()
    with pytest.raises(UserError, match="keep the size"):
        scrambled(before, after.resize((32, 32)), seed=0)
