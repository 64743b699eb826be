"""The trainer on planted dictionaries, and its parts against hand-computed values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from maieutic.errors import UsageError, UserError
from maieutic.progress import Report, silent
from maieutic.studies.sae import training
from maieutic.studies.sae.settings import TrainSettings
from maieutic.studies.sae.training import geometric_median, train


@dataclass(frozen=True)
class Planted:
    """Sparse sums of the rows of a dictionary, moved off the origin."""

    chunks: tuple[NDArray[np.float32], ...]
    dictionary: NDArray[np.float32]

    @property
    def hidden(self) -> int:
        return self.dictionary.shape[1]

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(len(c) for c in self.chunks)

    def rows(self, number: int, *, report: Report = silent) -> NDArray[np.float32]:
        return self.chunks[number]


def planted(*, features: int = 48, hidden: int = 24, active: int = 3, rows: int = 16_384, seed: int = 0) -> Planted:
    rng = np.random.default_rng(seed)
    dictionary = rng.normal(size=(features, hidden))
    dictionary /= np.linalg.norm(dictionary, axis=1, keepdims=True)
    codes = np.zeros((rows, features))
    for row in codes:
        row[rng.choice(features, active, replace=False)] = rng.uniform(1.0, 2.0, active)
    x = (7.0 * (codes @ dictionary) + rng.normal(size=hidden) * 5).astype(np.float32)
    return Planted((x[: rows // 2], x[rows // 2 :]), dictionary.astype(np.float32))


SETTINGS = TrainSettings(latents=48, k=3, batch=256, steps=500, lr=8e-3, dead_after=4096, chunk=16_384, save_every=100)


@pytest.fixture(scope="module")
def data() -> Planted:
    return planted()


@pytest.fixture(scope="module")
def trained(data: Planted) -> training.Trained:
    torch.set_num_threads(1)
    return train(data, SETTINGS)


def test_a_planted_dictionary_is_found_again(data: Planted, trained: training.Trained) -> None:
    """Mean over planted features of the largest cosine with a learned row; random rows get about 0.5 here."""
    cosines = data.dictionary @ trained.sae.decoder.numpy().T
    assert cosines.max(axis=1).mean() > 0.9
    random = trained.sae.random(0).decoder.numpy()
    assert (data.dictionary @ random.T).max(axis=1).mean() < 0.7
    x = torch.from_numpy(np.concatenate(data.chunks))
    left = (x - trained.sae.reconstruct(x)).square().sum() / (x - x.mean(dim=0)).square().sum()
    assert float(left) < 0.15


def test_exactly_k_latents_are_active_and_rows_have_norm_one(data: Planted, trained: training.Trained) -> None:
    latents = trained.sae.encode(torch.from_numpy(data.chunks[0]))
    assert int((latents > 0).sum(dim=-1).max()) == 3
    # what is left out of k is exactly zero, and a top value below zero is no activity
    assert float(((latents > 0).sum(dim=-1) == 3).float().mean()) > 0.99
    np.testing.assert_allclose(trained.sae.row_norms.numpy(), 1.0, atol=1e-6)


def test_dead_latents_come_back_through_the_second_loss() -> None:
    """Half of the latents begin too weak to be among the strongest; without the second loss nothing ever moves them."""
    data = planted(rows=8192, seed=3)
    share: dict[float, float] = {}
    for aux in (1 / 32, 0.0):
        settings = replace(SETTINGS, steps=200, aux=aux, aux_k=24, dead_after=1024, lr=1e-2)
        state = training._begun(data, settings, "cpu", silent)
        state.parameters["encoder"][:24] *= 0.001
        for number, places in training._batches(data.sizes, settings, start=0, steps=200):
            training._step(state, torch.from_numpy(data.rows(number)[places]) / state.scale, settings, 200)
        share[aux] = float((state.idle[:24] >= settings.dead_after).float().mean())
    assert share[0.0] > 0.9
    assert share[1 / 32] < 0.3


def test_the_decoders_gradient_has_no_part_along_its_rows() -> None:
    """Row (1, 0) with gradient (5, 2): only (0, 2) counts, so Adam's first step of 0.1 goes to (1, -0.1) before norming."""
    state = training._State(
        parameters={"decoder": torch.tensor([[1.0, 0.0]], requires_grad=True)},
        first={"decoder": torch.zeros(1, 2)},
        second={"decoder": torch.zeros(1, 2)},
        idle=torch.zeros(1, dtype=torch.int64),
        scale=1.0,
        variance=1.0,
    )
    state.parameters["decoder"].grad = torch.tensor([[5.0, 2.0]])
    training._update(state, 0.1, 1e9)
    # (1, -0.1) / sqrt(1.01)
    np.testing.assert_allclose(state.parameters["decoder"].numpy(), [[0.99504, -0.099504]], atol=1e-5)


def test_a_killed_run_ends_with_the_same_weights(
    data: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SETTINGS, steps=60, save_every=20)
    whole = train(data, settings, folder=tmp_path / "whole").sae
    real = training._step
    calls = 0

    def killed(*args: Any) -> float:
        nonlocal calls
        calls += 1
        if calls == 51:
            raise KeyboardInterrupt
        return real(*args)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(training, "_step", killed)
        train(data, settings, folder=tmp_path / "cut")
    seen: list[int] = []
    monkeypatch.setattr(training, "_step", lambda state, *rest: (seen.append(state.step), real(state, *rest))[1])
    again = train(data, settings, folder=tmp_path / "cut")
    assert seen == list(range(40, 60))  # from the second checkpoint on
    assert again.steps == 60
    assert again.sae.digest == whole.digest
    with pytest.raises(UserError, match="other settings"):
        train(data, replace(settings, seed=1), folder=tmp_path / "cut")


def test_batches_of_an_epoch_are_distinct_rows_of_every_chunk() -> None:
    settings = TrainSettings(latents=4, k=1, batch=3, chunk=10)
    drawn = list(training._batches((10, 4), settings, start=0, steps=8))
    # 10 // 3 + 4 // 3 = 4 steps an epoch
    for epoch in (drawn[:4], drawn[4:]):
        assert sorted(number for number, _ in epoch) == [0, 0, 0, 1]
        assert len({(n, int(i)) for n, places in epoch for i in places}) == 12
    assert [p.tolist() for _, p in drawn[:4]] != [p.tolist() for _, p in drawn[4:]]
    resumed = list(training._batches((10, 4), settings, start=5, steps=8))
    assert [(n, p.tolist()) for n, p in resumed] == [(n, p.tolist()) for n, p in drawn[5:]]


def test_geometric_median_is_not_moved_by_an_outlier() -> None:
    """Of (0,0), (0,0), (0,0), (9,9) three points agree: their place has the least sum of distances. The mean is (2.25, 2.25)."""
    points = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [9.0, 9.0]])
    np.testing.assert_allclose(geometric_median(points, iterations=200).numpy(), [0, 0], atol=1e-3)


def test_learning_rate_and_settings() -> None:
    s = TrainSettings(latents=16_384, warmup=0.1, decay=0.5)
    assert s.rate == pytest.approx(4e-4)
    # 20 steps: up over 2, level to the 10th, down to 1/10 in the last
    assert [round(s.height(n, 20), 3) for n in (0, 1, 9, 10, 15, 19)] == [0.5, 1.0, 1.0, 1.0, 0.5, 0.1]
    assert s.dead_k(576) == 256
    with pytest.raises(UsageError, match="not sparse"):
        TrainSettings(latents=8, k=8)
    with pytest.raises(UserError, match="do not fill a batch"):
        train(planted(rows=100), TrainSettings(latents=8, k=2, batch=64))


def test_a_run_that_diverges_says_so(data: Planted) -> None:
    bad = Planted((np.full((512, 24), 1e30, np.float32) * np.arange(512)[:, None].astype(np.float32),), data.dictionary)
    with pytest.raises(UserError, match="diverged"):
        train(bad, replace(SETTINGS, steps=5, chunk=512))
