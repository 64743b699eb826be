"""Activation functions against values worked out by hand, and the toy that says why sparse is not yet clean."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from maieutic.errors import UsageError
from maieutic.studies.regularization.activations import keep_largest, make_activation, solu


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        # softmax(4,1,4,1) = (e^3, 1, e^3, 1) / (2 e^3 + 2) = (.47629, .02371, ...); times x = (1.9051, .0237, ...)
        ((4.0, 1.0, 4.0, 1.0), (1.9051, 0.0237, 1.9051, 0.0237)),
        # e^4 / (e^4 + 3) = .94791; times 4 = 3.7917; the others are 0 times something
        ((4.0, 0.0, 0.0, 0.0), (3.7917, 0.0, 0.0, 0.0)),
        ((1.0, 1.0, 1.0, 1.0), (0.25, 0.25, 0.25, 0.25)),
    ],
)
def test_solu_is_x_times_softmax(x: tuple[float, ...], expected: tuple[float, ...]) -> None:
    assert make_activation("solu")(torch.tensor(x)).tolist() == pytest.approx(expected, abs=5e-5)


def test_a_temperature_softens_solu() -> None:
    # at a very high temperature softmax is 1/4 everywhere, at a very low one the largest alone is left
    x = torch.tensor([4.0, 1.0, 3.0, 1.0])
    assert solu(x, temperature=1e6).tolist() == pytest.approx((x / 4).tolist(), abs=1e-4)
    assert solu(x, temperature=1e-3).tolist() == pytest.approx([4.0, 0, 0, 0], abs=1e-6)


@given(st.lists(st.floats(-6, 6), min_size=3, max_size=40, unique=True))
@settings(max_examples=60, deadline=None)
def test_behind_a_layernorm_solu_is_x_times_exp_x(row: list[float]) -> None:
    # LayerNorm ignores scale, and softmax(x) is exp(x) over a number; in double precision and without its eps
    x = torch.tensor(row, dtype=torch.float64)
    if float((x * x.exp()).std()) < 1e-3:
        return
    norm = lambda v: F.layer_norm(v, v.shape, eps=0.0)  # noqa: E731
    assert torch.allclose(norm(solu(x)), norm(x * x.exp()), atol=1e-6)


@given(st.integers(1, 12), st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_topk_keeps_exactly_k_and_the_largest(k: int, seed: int) -> None:
    x = torch.randn(5, 12, generator=torch.Generator().manual_seed(seed))
    kept = keep_largest(x, k)
    assert kept.count_nonzero(dim=-1).tolist() == [k] * 5
    for row, whole in zip(kept, x, strict=True):
        out = whole[row == 0].abs()
        assert len(out) == 12 - k and (k == 12 or float(row[row != 0].abs().min()) >= float(out.max()))


def test_topk_keeps_exactly_k_among_equal_values() -> None:
    assert int(keep_largest(torch.ones(8), 3).count_nonzero()) == 3


def test_topk_passes_gradients_to_what_it_keeps_only() -> None:
    x = torch.tensor([3.0, -4.0, 1.0], requires_grad=True)
    keep_largest(x, 2).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [1.0, 1.0, 0.0]


def test_the_topk_module_is_gelu_cut() -> None:
    x = torch.tensor([2.0, 1.0, -0.5, 0.1])
    # GELU(-0.5) = -0.154, GELU(0.1) = 0.054: by magnitude the negative one comes third
    expected = [float(F.gelu(torch.tensor(v))) for v in (2.0, 1.0, -0.5)] + [0.0]
    assert make_activation("topk", k=3)(x).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "settings_", "said"),
    [("sulo", {}, "did you mean 'solu'"), ("topk", {"k": 0}, "at least 1"), ("solu", {"temperature": 0.0}, "above 0")],
)
def test_wrong_settings_are_refused(name: str, settings_: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make_activation(name, **settings_)  # pyright: ignore[reportArgumentType]


def _trained_loss(groups: Tensor) -> float:
    """Least cross-entropy of four exclusive features read through one neuron that is 1 for those of a group."""
    head = nn.Linear(1, 4, dtype=torch.float64)
    optimiser = torch.optim.LBFGS(head.parameters(), lr=1.0, max_iter=200, line_search_fn="strong_wolfe")
    x, y = groups.double()[:, None], torch.arange(4)

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = F.cross_entropy(head(x), y)
        loss.backward()
        return loss

    optimiser.step(closure)
    return float(closure().detach())


def test_one_binary_neuron_is_better_off_with_two_features() -> None:
    # Four exclusive features, each a quarter of the time, one neuron that is on or off. On for one: that one is certain, the
    # other three are a guess, (1/4) 0 + (3/4) ln 3 = 0.824. On for two: always a guess between two, ln 2 = 0.693.
    torch.manual_seed(0)
    clean, mixed = _trained_loss(torch.tensor([1, 0, 0, 0])), _trained_loss(torch.tensor([1, 1, 0, 0]))
    assert clean == pytest.approx(0.75 * math.log(3), abs=2e-3)
    assert mixed == pytest.approx(math.log(2), abs=2e-3)
    assert mixed < clean
