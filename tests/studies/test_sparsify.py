"""Weight rules against arithmetic by hand: thresholds, schedules, exact counts, and masks that outlive the optimiser."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from maieutic.studies.regularization.arms import ARMS
from maieutic.studies.regularization.sparsify import (
    Pruning,
    cubic_sparsity,
    largest,
    linear_keep,
    nonzero,
    soft_threshold,
    weight_rule,
)


def test_the_soft_threshold_shrinks_and_cuts() -> None:
    found = soft_threshold(torch.tensor([0.5, -0.5, 0.05, -0.1, 0.0]), 0.1)
    assert found.tolist() == pytest.approx([0.4, -0.4, 0.0, 0.0, 0.0])


def test_the_proximal_step_minimises_what_it_should() -> None:
    # prox of t|w| at v minimises (w - v)^2 / 2 + t|w|: checked on a grid, independently of the closed form
    grid = torch.linspace(-1, 1, 20001, dtype=torch.float64)
    for v in (-0.7, -0.05, 0.03, 0.4):
        best = grid[((grid - v) ** 2 / 2 + 0.1 * grid.abs()).argmin()]
        assert float(soft_threshold(torch.tensor(v, dtype=torch.float64), 0.1)) == pytest.approx(float(best), abs=2e-4)


def test_the_cubic_schedule_has_its_end_points_and_its_middle() -> None:
    def at(step: int) -> float:
        return cubic_sparsity(step, start=10, end=110, final=0.8)

    assert at(0) == at(10) == 0.0 and at(110) == at(500) == 0.8
    # half-way: 0.8 - 0.8 * (1/2)^3 = 0.7
    assert at(60) == pytest.approx(0.7)
    assert all(at(n + 1) >= at(n) for n in range(120))


def test_the_linear_schedule_falls_from_dense_to_its_end() -> None:
    assert linear_keep(0, end=10, final=0.2) == 1.0
    assert linear_keep(5, end=10, final=0.2) == pytest.approx(0.6)
    assert linear_keep(10, end=10, final=0.2) == linear_keep(99, end=10, final=0.2) == 0.2


def test_masks_have_exactly_so_many_entries_also_among_ties() -> None:
    assert int(largest(torch.ones(6, 5), 7).sum()) == 7
    mask = largest(torch.tensor([[1.0, -5.0], [3.0, 0.1]]), 2)
    assert mask.tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize(("name", "share"), [("pruning", 0.25), ("weight-sparse", 0.25)])
def test_the_nonzero_count_is_exact_in_every_matrix_and_survives_the_optimiser(name: str, share: float) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(10, 30), nn.GELU(), nn.Linear(30, 4))
    matrices = {n: p for n, p in net.named_parameters() if p.ndim == 2}
    arm = replace(ARMS[name], sparsity=1 - share, keep=share)
    rule = weight_rule(arm, matrices, steps=20)
    assert rule is not None
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-2)
    for step in range(1, 21):
        loss = net(torch.randn(16, 10)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        # momentum moves masked weights again: without the rule they would not stay 0
        moved = nonzero(matrices)
        rule(step, 1e-2)
    assert nonzero(matrices) == {"0.weight": 75, "2.weight": 30}  # a quarter of 300 and of 120
    assert moved["0.weight"] > 75
    assert all(int(p.count_nonzero()) == p.numel() for n, p in net.named_parameters() if p.ndim == 1)


def test_pruned_weights_can_come_back_until_the_schedule_ends() -> None:
    weight = nn.Parameter(torch.tensor([[4.0, 3.0, 2.0, 1.0]]))
    rule = Pruning({"w": weight}, sparsity=0.5, start=0, end=2)
    rule(2, 0.1)
    assert weight.tolist() == [[4.0, 3.0, 0.0, 0.0]]
    with torch.no_grad():
        weight[0, 3] = 9.0
    rule(3, 0.1)
    assert weight.tolist() == [[4.0, 3.0, 0.0, 0.0]]  # the mask is fixed now
    again = Pruning({"w": weight}, sparsity=0.5, start=0, end=2)
    with torch.no_grad():
        weight[0, 3] = 9.0
    again(1, 0.1)  # 0.5 - 0.5 / 8 = 0.4375 are zeros: round(0.5625 * 4) = 2 stay, and the grown one is among them
    assert weight.tolist() == [[4.0, 0.0, 0.0, 9.0]]


def test_the_proximal_step_gives_exact_zeros_that_the_subgradient_does_not() -> None:
    torch.manual_seed(0)
    x, truth = torch.randn(256, 8), torch.tensor([2.0, 0, 0, -3.0, 0, 0, 0, 0])

    def fitted(proximal: bool) -> int:
        weight = nn.Parameter(torch.randn(1, 8) * 0.1)
        rule = weight_rule(replace(ARMS["weight-l1"], weight_l1=0.3), {"w": weight}, steps=200)
        assert rule is not None
        optimiser = torch.optim.SGD([weight], lr=2e-2)
        for step in range(1, 201):
            loss = (x @ weight[0] - x @ truth).square().mean() + (0 if proximal else 0.3 * weight.abs().sum())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if proximal:
                rule(step, 2e-2)
        return int(weight.count_nonzero())

    # the truth has two weights
    assert fitted(proximal=True) == 2
    assert fitted(proximal=False) == 8


def test_arms_without_a_rule_leave_weights_alone() -> None:
    assert weight_rule(ARMS["gelu"], {}, steps=10) is None
