"""Which units on the bench drive an output: losses worked out by hand, both readings in the ledger, wrong questions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

import maieutic as mt
from maieutic.errors import UserError


def plain(red: int, green: int = 0, blue: int = 0) -> Image.Image:
    return Image.new("RGB", (12, 12), (red, green, blue))


def red_mean(lab: mt.Lab) -> float:
    return float(np.mean([o.values[0] for o in lab.discover]))


def test_the_unit_that_drives_a_class_comes_first(image_world: Any) -> None:
    """Logits are (4 red, 0): less the mean logit class 0 is 2 red, so at red = 1 it loses 2 (1 - mean) without red."""
    pictures = [plain(255), plain(255, 60), plain(255, 0, 60), plain(255, 60, 60)]
    found = image_world.lab.drives("class:0", pictures, expect="units/0", because="only red matters")
    first, *rest = found
    assert first["unit"] == "units/0"
    assert first["effect"] == pytest.approx(2 * (1 - red_mean(image_world.bench.labs["units/0"])), rel=1e-4)
    assert first["low"] == pytest.approx(first["effect"], rel=1e-4)  # the same in every picture
    assert first["drives"] == (first["low"] > max(abs(r) for r in first["random"]))
    assert first["expect"] is True
    for other in rest:
        assert other["effect"] == pytest.approx(0.0, abs=1e-6)
        assert other["drives"] is False and other["expect"] is False


def test_readings_and_losses_are_in_the_ledger(image_world: Any) -> None:
    before = len(image_world.ledger())
    (found,) = image_world.lab.drives("class:0", [plain(255), plain(200)], expect=[], units="units/0")
    entries = image_world.ledger()[before:]
    assert [e.kind for e in entries] == ["look", "look", "ablate", "ablate"]
    assert found.entry == entries[2].id
    assert entries[2].detail["expect_effect"] is False
    assert np.mean([e.detail["lost"] for e in entries[2:]]) == pytest.approx(found["effect"])
    # two stimuli carry no interval, so nothing is said to drive
    assert found["low"] is None and found["drives"] is False
    assert "does not drive" in repr(found)


def test_outputs_and_units_must_exist(image_world: Any) -> None:
    with pytest.raises(UserError, match="class:281"):
        image_world.lab.drives("class:zebra", [plain(255)], expect=[])
    with pytest.raises(UserError):
        image_world.lab.drives("class:0", [plain(255)], expect=["units/9"])
    with pytest.raises(UserError, match="1 to 32"):
        image_world.lab.drives("class:0", [], expect=[])
