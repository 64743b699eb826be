"""Pictures are stored once, and the overlay glows where the unit is active."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from maieutic.report.images import Assets, ceiling, overlay
from maieutic.report.model import ReportImage


def picture(colour: str = "red", heat: np.ndarray | None = None, size: tuple[int, int] = (600, 300)) -> ReportImage:
    return ReportImage(load=lambda: Image.new("RGB", size, colour), heat=heat, alt=colour)


def test_pictures_are_shrunk_and_stored_by_content(tmp_path: Path) -> None:
    assets = Assets(folder=tmp_path)
    one, same, other = (assets.picture(picture(c), 0.0) for c in ("red", "red", "blue"))
    assert (one.width, one.height) == (288, 144)
    assert one.file == same.file != other.file
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([one.file, other.file])


def test_the_overlay_is_brightest_where_the_map_is_highest() -> None:
    heat = np.zeros((7, 7), dtype=np.float32)
    heat[1, 5] = 1.0
    drawn = np.asarray(overlay(heat, (70, 70))).astype(int)
    light = drawn[..., :3].sum(axis=2)
    y, x = np.unravel_index(light.argmax(), light.shape)
    assert abs(y - 15) <= 5 and abs(x - 55) <= 5
    assert light[60, 5] < 100  # rest is nearly black, and lets the picture through
    assert drawn[60, 5, 3] < 128


def test_lightness_rises_with_activation() -> None:
    ramp = np.asarray(overlay(np.linspace(0, 1, 64, dtype=np.float32)[None, :], (64, 1))).astype(float)[0]
    lightness = ramp[:, :3] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness) > -1).all()


def test_broken_maps_are_drawn_as_rest() -> None:
    drawn = np.asarray(overlay(np.array([[np.nan, -3.0], [0.0, 0.0]], dtype=np.float32), (8, 8)))
    assert (drawn[..., :3].max(axis=2) < 40).all()


def test_all_pictures_of_a_unit_share_one_scale(tmp_path: Path) -> None:
    weak, strong = (np.full((3, 3), v, dtype=np.float32) for v in (0.1, 4.0))
    images = [picture(heat=weak), picture(heat=strong), picture()]
    assert ceiling(images) == 4.0
    assets = Assets(folder=tmp_path)
    files = [assets.picture(i, 4.0).heat for i in images]
    assert files[2] is None
    light = [np.asarray(Image.open(tmp_path / str(f)).convert("L")).mean() for f in files[:2]]
    assert light[0] < light[1] / 3


def test_without_any_activation_there_is_no_overlay(tmp_path: Path) -> None:
    rest = picture(heat=np.zeros((3, 3), dtype=np.float32))
    assert Assets(folder=tmp_path).picture(rest, ceiling([rest])).heat is None


def test_one_content_is_loaded_and_stored_once_whatever_units_show_it(tmp_path: Path) -> None:
    loaded: list[int] = []

    def load() -> Image.Image:
        loaded.append(1)
        return Image.new("RGB", (40, 20), (200, 30, 30))

    assets = Assets(folder=tmp_path)
    for strength in (1.0, 2.0):
        heat = np.full((2, 2), strength, np.float32)
        found = assets.picture(ReportImage(load=load, heat=heat, id="abc"), 4.0)
        assert (found.width, found.height) == (40, 20)
        assets.forget()
    assert len(loaded) == 1
    assert len(list(tmp_path.iterdir())) == 3  # one picture, two overlays
    assets.picture(ReportImage(load=load), 0.0)
    assert len(loaded) == 2  # without an id nothing is known of it
