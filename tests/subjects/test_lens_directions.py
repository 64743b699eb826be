"""Named directions: what finds them finds planted ones, and files give back what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from maieutic.errors import UserError
from maieutic.subjects import Intervention, Unit
from maieutic.subjects.lenses import fitting
from maieutic.subjects.lenses.directions import (
    DirectionSet,
    DirectionsLens,
    attach,
    read_directions,
    with_directions,
    write_directions,
)

TEXT = "a cat sat"


def planted(seed: int = 0, *, strength: float = 2.0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], Any]:
    """400 rows of width 12 with noise of different sizes, half of them moved along one direction."""
    rng = np.random.default_rng(seed)
    way = rng.standard_normal(12)
    way /= np.linalg.norm(way)
    labels = np.arange(400) % 2 == 0
    rows = rng.standard_normal((400, 12)) * 0.5 + 3.0 + strength * labels[:, None] * way
    return rows.astype(np.float32), labels, way


@pytest.mark.parametrize(("find", "near"), [(fitting.difference, 0.97), (fitting.probe, 0.93)])
def test_a_planted_direction_is_found(find: Any, near: float) -> None:
    rows, labels, way = planted()
    found = find(rows, labels)
    vector = found.vectors[0] / np.linalg.norm(found.vectors[0])
    assert vector @ way > near
    fresh, truth, _ = planted()
    reading = fresh @ found.vectors[0] + found.offsets[0]
    assert ((reading > 0) == truth).mean() > 0.95  # 0 lies between the sides


def test_a_probe_is_the_logistic_regression_of_another_library() -> None:
    rows, labels, _ = planted(1, strength=1.0)
    found = fitting.probe(rows, labels, penalty=0.01)
    mean, std = rows.mean(0, dtype=np.float64), rows.std(0, dtype=np.float64)
    # mean loss + 0.005 |w|^2 is scikit-learn's sum of losses with C = 1 / (400 * 0.01)
    other = LogisticRegression(C=1 / (400 * 0.01), tol=1e-8, max_iter=1000).fit((rows - mean) / std, labels)
    expected = ((rows - mean) / std) @ other.coef_[0] + other.intercept_[0]
    np.testing.assert_allclose(rows @ found.vectors[0] + found.offsets[0], expected, atol=2e-3)


def test_components_are_those_of_another_library() -> None:
    rows, _, way = planted(2)
    found, shares = fitting.principal(rows, 3)
    other = PCA(3).fit(rows)
    np.testing.assert_allclose(np.abs((found.vectors * other.components_).sum(1)), 1.0, atol=1e-4)
    np.testing.assert_allclose(shares, other.explained_variance_ratio_, rtol=1e-4)
    assert abs(found.vectors[0] @ way) > 0.9  # half the rows stand 2 apart, noise is 0.5
    np.testing.assert_allclose((rows @ found.vectors.T + found.offsets).mean(0), 0.0, atol=1e-4)
    assert (found.vectors[np.arange(3), np.abs(found.vectors).argmax(1)] > 0).all()


def test_random_directions_weigh_every_coordinate_alike_and_leave_constants_out() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((500, 4)).astype(np.float32) * np.array([100, 1, 0.01, 0], np.float32)
    found = fitting.random(rows, 200, seed=1)
    reading = rows @ found.vectors.T + found.offsets
    np.testing.assert_allclose(reading.std(0), 1.0, atol=0.2)
    shares = (found.vectors * rows.std(0)) ** 2
    np.testing.assert_allclose(shares.mean(0), [1 / 3, 1 / 3, 1 / 3, 0], atol=0.08)
    assert np.array_equal(found.vectors, fitting.random(rows, 200, seed=1).vectors)


def test_sides_that_are_empty_are_refused() -> None:
    rows, labels, _ = planted()
    with pytest.raises(UserError, match="no row has the label"):
        fitting.difference(rows, labels & False)
    with pytest.raises(UserError, match="every row has the label"):
        fitting.probe(rows, labels | True)
    with pytest.raises(UserError, match="ask for fewer"):
        fitting.principal(rows, 13)


@settings(max_examples=40, deadline=None)
@given(
    value=st.floats(-20, 20, width=32),
    sign=st.sampled_from([1, -1]),
    kind=st.sampled_from(["set", "ablate_zero", "ablate_mean", "add"]),
    combined=st.booleans(),
    seed=st.integers(0, 500),
)
def test_a_direction_reads_what_it_was_set_to(value: float, sign: int, kind: Any, combined: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lens = DirectionsLens(rng.standard_normal((3, 6)).astype(np.float32), np.array([0.5, -1.0, 0.0], np.float32))
    mix = rng.standard_normal(3).astype(np.float32)
    unit = (
        Unit(site="s", vector=mix, name="mix", offset=0.25, sign=sign)
        if combined
        else Unit(site="s", index=1, sign=sign)
    )
    raw = torch.from_numpy(rng.standard_normal((5, 6)).astype(np.float32))
    where = torch.tensor([True, False, True, True, True])
    new = lens.change(raw, Intervention(unit=unit, kind=kind, value=value), where)

    def reading(x: torch.Tensor) -> np.ndarray[Any, Any]:
        z = lens.read(x).numpy()
        return sign * (z @ mix + 0.25 if combined else z[:, 1])

    gain = float(mix @ mix) if combined else 1.0
    target = {"ablate_zero": 0.0 * reading(raw), "add": reading(raw) + value * gain}.get(kind, value + 0 * reading(raw))
    np.testing.assert_allclose(reading(new)[where.numpy()], target[where.numpy()], rtol=1e-3, atol=1e-3)
    assert torch.equal(new[1], raw[1])
    along = lens.along(unit)
    assert along is not None
    rest = (new - raw) - ((new - raw) @ along / along.square().sum())[:, None] * along
    assert rest.abs().max() < 1e-3  # the least movement: along the direction alone


def sets(width: int = 16) -> list[DirectionSet]:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((2, width)).astype(np.float32)
    offsets = np.array([0.0, 1.5], np.float32)
    return [
        DirectionSet(site="layers.0.resid", name="pca", vectors=vectors, offsets=offsets, names=("one", "two")),
        DirectionSet(
            site="layers.1.resid", name="truth", vectors=vectors[:1], offsets=offsets[1:], names=("true",),
            made={"what": "logistic probe", "weights": "other"},
        ),
    ]  # fmt: skip


def test_files_give_back_what_was_written(tmp_path: Path, llama: Any) -> None:
    write_directions(tmp_path / "d.safetensors", sets())
    found = read_directions(tmp_path / "d.safetensors", [s.name for s in llama.sites()])
    for one, two in zip(found, sets(), strict=True):
        assert (one.site, one.name, one.names, dict(one.made)) == (two.site, two.name, two.names, dict(two.made))
        np.testing.assert_array_equal(one.vectors, two.vectors)
        np.testing.assert_array_equal(one.offsets, two.offsets)
    seen = attach(llama, str(tmp_path / "d.safetensors"))
    names = [s.name for s in seen.sites()]
    assert names.index("layers.0.resid.pca") == names.index("layers.0.resid") + 1
    assert seen.site("layers.0.resid.pca").names == ("one", "two")
    assert "made on other weights" in seen.site("layers.1.resid.truth").what
    read = seen.forward([TEXT], ["layers.0.resid", "layers.0.resid.pca"]).values
    expected = read["layers.0.resid"] @ torch.from_numpy(sets()[0].vectors).T + torch.tensor([0.0, 1.5])
    torch.testing.assert_close(read["layers.0.resid.pca"], expected)


def test_files_of_other_programs_need_no_note(tmp_path: Path, llama: Any) -> None:
    vector = np.eye(16, dtype=np.float32)[3]
    save_file({"layers.1.resid.refusal": vector}, tmp_path / "d.safetensors")
    seen = attach(llama, str(tmp_path / "d.safetensors"))
    read = seen.read([TEXT], [seen.unit("layers.1.resid.refusal", 0), seen.unit("layers.1.resid", 3)])[0]
    np.testing.assert_allclose(read[:, 0], read[:, 1], rtol=1e-6)


def test_steering_along_a_named_direction_is_steering_by_hand(llama: Any) -> None:
    seen = with_directions(llama, sets())
    vector = sets()[0].vectors[0]
    change = Intervention(unit=seen.unit("layers.0.resid.pca", 0), kind="add", value=3.0)
    by_hand = Intervention(
        unit=llama.direction("layers.0.resid", vector / float(vector @ vector), "hand"), kind="add", value=3.0
    )
    one, two = seen.outputs([TEXT], interventions=[change]), llama.outputs([TEXT], interventions=[by_hand])
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
    # sites of one module share a hook: the layer shows what its direction did
    read = seen.forward([TEXT], ["layers.0.resid", "layers.0.resid.pca"], interventions=[change]).values
    clean = seen.forward([TEXT], ["layers.0.resid", "layers.0.resid.pca"]).values
    torch.testing.assert_close(
        read["layers.0.resid"] - clean["layers.0.resid"],
        torch.from_numpy(3.0 * vector / (vector @ vector)).expand(1, len(TEXT), 16), rtol=1e-3, atol=1e-4,
    )  # fmt: skip
    assert (read["layers.0.resid.pca"] - clean["layers.0.resid.pca"])[0, :, 0].tolist() == pytest.approx(
        [3.0] * 9, abs=1e-3
    )


def test_maps_are_read_along_channels_at_each_place(known_cnn: Any, plain: Any) -> None:
    vectors = np.array([[1.0, 2.0, 0.0]], np.float32)
    found = DirectionSet(site="act", name="mix", vectors=vectors, offsets=np.zeros(1, np.float32), names=("m",))
    seen = with_directions(known_cnn, [found])
    assert seen.site("act.mix").positions == "spatial"
    # red 255: channel 0 is 1; blue 102: channel 1 is 0.4; 1 + 2 * 0.4
    assert seen.measure([plain((255, 0, 102))], seen.unit("act.mix", 0)) == pytest.approx([1.8])
    assert seen.forward([plain((255, 0, 102))], ["act.mix"], maps=True).values["act.mix"].shape == (1, 1, 2, 4)
    zero = Intervention(unit=seen.unit("act.mix", 0), kind="ablate_zero")
    # (1, 0.4) less its part along (1, 2): 1 - 1.8/5, 0.4 - 3.6/5; the class is 2 * 0.64 + 0.32
    assert seen.outputs([plain((255, 0, 102))], interventions=[zero]) == pytest.approx(np.array([[1.6]]), abs=1e-5)


def test_an_untrained_copy_has_random_directions_of_the_same_length(llama: Any) -> None:
    seen = with_directions(llama, sets())
    one, two = (seen.untrained(s).site("layers.0.resid.pca").lens for s in (3, 3))
    own: Any = seen.site("layers.0.resid.pca").lens
    assert one.fingerprint == two.fingerprint != own.fingerprint
    torch.testing.assert_close(one.vectors.norm(dim=1), own.vectors.norm(dim=1))
    torch.testing.assert_close(one.offsets, own.offsets)


def test_files_that_do_not_fit_say_why(tmp_path: Path, llama: Any) -> None:
    def refused(match: str, **arrays: Any) -> None:
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.safetensors"
        save_file({k.replace("_", "."): v for k, v in arrays.items()}, file)
        with pytest.raises(UserError, match=match):
            attach(llama, str(file))

    refused("begins with no site", foo_bar=np.ones((1, 16), np.float32))
    refused("directions of length 5 at layers.0.resid, which has 16", layers_0_resid_a=np.ones((1, 5), np.float32))
    refused("length 0 or not finite", layers_0_resid_a=np.zeros((1, 16), np.float32))
    refused("length 0 or not finite", layers_0_resid_a=np.full((1, 16), np.nan, np.float32))
    (tmp_path / "x.safetensors").write_text("nothing")
    for path, match in ((tmp_path / "x.safetensors", "holds no directions"), (tmp_path / "none", "no file")):
        with pytest.raises(UserError, match=match):
            attach(llama, str(path))
    with pytest.raises(UserError, match="needs a file"):
        attach(llama, "")
