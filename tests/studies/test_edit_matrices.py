"""Edits of one matrix against hand-made truth: rank-one, batches, and the interference of keys."""

import numpy as np
import pytest
import torch

from maieutic.studies.regularization.editing.interference import interference_matrix, off_diagonal
from maieutic.studies.regularization.editing.keys import Spread
from maieutic.studies.regularization.editing.memit import memit
from maieutic.studies.regularization.editing.rank_one import rank_one


def _drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _spread(width: int = 12, seed: int = 5) -> Spread:
    keys = _drawn(200, width, seed=seed) * torch.linspace(0.2, 3.0, width, dtype=torch.float64)
    return Spread(moment=keys.T @ keys / 200, tokens=200)


def test_rank_one_maps_the_key_to_the_value_with_a_change_of_rank_one():
    weight, keys, values = _drawn(6, 12), _drawn(3, 12, seed=1), _drawn(3, 6, seed=2)
    edits = rank_one(weight, keys, values, _spread())
    for n in range(3):
        changed = weight + edits.change(n)
        torch.testing.assert_close(changed @ keys[n], values[n])
        assert torch.linalg.matrix_rank(edits.change(n)) == 1
        torch.testing.assert_close(edits.norms()[n], torch.linalg.matrix_norm(edits.change(n)))


def test_strength_scales_what_the_key_gets():
    weight, keys, values = _drawn(6, 12), _drawn(1, 12, seed=1), _drawn(1, 6, seed=2)
    change = rank_one(weight, keys, values, _spread()).change(0, strength=0.5)
    # half-way between what the matrix wrote and the value
    torch.testing.assert_close((weight + change) @ keys[0], (weight @ keys[0] + values[0]) / 2)


def test_keys_orthogonal_under_the_covariance_are_mapped_as_before():
    weight, keys, values, spread = _drawn(6, 12), _drawn(1, 12, seed=1), _drawn(1, 6, seed=2), _spread()
    white = torch.linalg.solve(spread.with_ridge(), keys[0])
    other = _drawn(12, seed=9)
    other = other - (white @ other) / (white @ white) * white
    assert abs(float(white @ other)) < 1e-9 < float(other.norm())
    change = rank_one(weight, keys, values, spread).change(0)
    torch.testing.assert_close((weight + change) @ other, weight @ other)
    assert not torch.allclose((weight + change) @ keys[0], weight @ keys[0])


def test_rank_one_moves_every_key_by_its_interference():
    """What P says without an edit is what an edit does: the value at key j moves by p(i, j) of what it moves at key i."""
    weight, keys, spread = _drawn(6, 12), _drawn(4, 12, seed=1), _spread()
    p = interference_matrix(keys, spread)
    edits = rank_one(weight, keys, _drawn(4, 6, seed=2), spread)
    for i in range(4):
        for j in range(4):
            moved = edits.change(i) @ keys[j]
            torch.testing.assert_close(moved, p[i, j] * (edits.change(i) @ keys[i]))


def test_interference_is_1_on_the_diagonal_and_0_for_orthogonal_keys():
    moment = torch.diag(torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64))
    keys = torch.tensor([[1.0, 0.0, 0.0], [0.0, 3.0, 0.0], [2.0, 0.0, 1.0]], dtype=torch.float64)
    p = interference_matrix(keys, Spread(moment=moment, tokens=1), ridge=0.0)
    # C^-1 k_3 = (2, 0, 1/4); with k_1 = (1, 0, 0) that is 2, with itself 4 + 1/4
    assert p == pytest.approx(np.array([[1, 0, 2], [0, 1, 0], [2 / 4.25, 0, 1]]))


def test_size_and_tails_of_what_stands_off_the_diagonal():
    matrix = np.array([[9.0, 1.0, 2.0], [3.0, 9.0, 4.0], [5.0, 6.0, 9.0]])
    rms, kurtosis = off_diagonal(matrix)
    # (1 + 4 + 9 + 16 + 25 + 36) / 6 = 91 / 6; about the mean 3.5: second moment 35 / 12, fourth 707 / 48
    assert rms.value == pytest.approx((91 / 6) ** 0.5)
    assert kurtosis.value == pytest.approx((707 / 48) / (35 / 12) ** 2)


def test_resamples_of_facts_follow_the_plain_formula():
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(7, 7)) ** 3
    rms, kurtosis = off_diagonal(matrix, seed=4)
    from maieutic.readings import cluster_weights

    for n in (0, 17, 512):
        drawn = np.repeat(np.arange(7), cluster_weights(7, seed=4)[n].astype(int))
        entries = np.array([matrix[i, j] for i in drawn for j in drawn if i != j])
        assert rms.replicates[n] == pytest.approx(np.sqrt((entries**2).mean()))
        centred = entries - entries.mean()
        assert kurtosis.replicates[n] == pytest.approx((centred**4).mean() / (centred**2).mean() ** 2)


def test_only_pairs_that_count_are_counted():
    matrix = np.array([[1.0, 0.5, 9.0], [0.5, 1.0, 9.0], [9.0, 9.0, 1.0]])
    among = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=bool)
    assert off_diagonal(matrix, among=among)[0].value == pytest.approx(0.5)
    assert np.isnan(off_diagonal(matrix, among=np.eye(3, dtype=bool))[0].value)


def test_one_edit_of_a_batch_without_stiffness_is_the_rank_one_edit():
    weight, keys, values, spread = _drawn(6, 12), _drawn(1, 12, seed=1), _drawn(1, 6, seed=2), _spread()
    single = rank_one(weight, keys, values, spread).change(0)
    torch.testing.assert_close(memit(weight, keys, values, spread, stiffness=0.0), single)
    torch.testing.assert_close(memit(weight, keys, values, spread, stiffness=1e-6), single, rtol=1e-4, atol=1e-6)
    # with stiffness the value is met in part: k^T (lambda C)^-1 k / (1 + that) of the way
    white = float(keys[0] @ torch.linalg.solve(2.0 * spread.with_ridge(), keys[0]))
    stiff = memit(weight, keys, values, spread, stiffness=2.0)
    torch.testing.assert_close(stiff, single * white / (1 + white))


def test_a_batch_meets_all_its_values_when_it_is_not_stiff():
    weight, keys, values = _drawn(6, 12), _drawn(5, 12, seed=1), _drawn(5, 6, seed=2)
    change = memit(weight, keys, values, _spread(), stiffness=0.0)
    torch.testing.assert_close(keys @ (weight + change).T, values)
    assert torch.linalg.matrix_rank(change) == 5


def test_batches_follow_the_published_formula():
    """The plain form of the formula, against the one that stays exact as stiffness goes to 0."""
    weight, keys, values, spread = _drawn(6, 12), _drawn(5, 12, seed=1), _drawn(5, 6, seed=2), _spread()
    columns, residual = keys.T, (values - keys @ weight.T).T
    plain = residual @ columns.T @ torch.linalg.inv(0.7 * spread.with_ridge() + columns @ columns.T)
    torch.testing.assert_close(memit(weight, keys, values, spread, stiffness=0.7), plain)


def test_units_that_are_never_on_leave_the_covariance_invertible():
    moment = torch.diag(torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64))
    spread = Spread(moment=moment, tokens=1)
    # mean of the diagonal 1/3, ridge 0.003 of it: 0.001
    torch.testing.assert_close(spread.with_ridge(0.003).diagonal(), moment.diagonal() + 0.001)
    key = torch.tensor([[0.5, 1.0, 0.0]])
    torch.testing.assert_close(spread.whitened(key, share=0.003), torch.tensor([[0.5 / 1.001, 1000.0, 0.0]]).double())
