"""The study's model: causal, with the hook points that it names, and the same after a file."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from maieutic.errors import StoreError, UsageError
from maieutic.studies.regularization.arms import ARMS, Shape
from maieutic.studies.regularization.model import (
    ModelConfig,
    build_model,
    load_model,
    model_config,
    save_model,
    site_names,
)

TINY = ModelConfig(vocabulary=11, layers=2, d_model=8, d_mlp=12, heads=2, context=6)
IDS = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])


@pytest.mark.parametrize("name", sorted(ARMS))
def test_every_arm_is_causal_and_starts_at_chance(name: str) -> None:
    shape = Shape(layers=2, d_model=8, d_mlp=16, heads=2, context=6)
    model = build_model(model_config(ARMS[name], shape, vocabulary=11), seed=3).eval()
    logits = model(IDS)
    assert logits.shape == (2, 4, 11) and bool(torch.isfinite(logits).all())
    changed = IDS.clone()
    changed[:, 3] = 9
    # what comes later changes nothing before it, and something where it stands
    assert torch.allclose(model(changed)[:, :3], logits[:, :3], atol=1e-6)
    assert not torch.allclose(model(changed)[:, 3], logits[:, 3], atol=1e-3)


def test_seeds_decide_the_start_and_leave_the_global_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, same, other = (build_model(TINY, seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(one.blocks[0].mlp.up.weight, same.blocks[0].mlp.up.weight)
    assert not torch.equal(one.blocks[0].mlp.up.weight, other.blocks[0].mlp.up.weight)


def test_biases_start_where_the_arm_says() -> None:
    model = build_model(replace(TINY, bias_init=-0.5), seed=0)
    assert all(float(b.mlp.up.bias.max()) == float(b.mlp.up.bias.min()) == -0.5 for b in model.blocks)
    assert all(float(b.mlp.down.bias.abs().max()) == 0 for b in model.blocks)


def test_the_hook_points_are_what_the_parts_compute() -> None:
    model = build_model(replace(TINY, mlp_norm=True, activation="solu"), seed=0).eval()
    seen: dict[str, torch.Tensor] = {}
    modules = dict(model.named_modules())
    for name in (n for row in site_names(model.config).values() for n in row):
        modules[name].register_forward_hook(lambda _m, _i, out, name=name: seen.__setitem__(name, out))
    model(IDS)
    assert len(seen) == 1 + 2 * 4
    mlp = model.blocks[0].mlp
    behind = mlp.up(model.blocks[0].norm_mlp(seen["embed"] + seen["blocks.0.attn"]))
    assert torch.allclose(seen["blocks.0.mlp.act"], behind * behind.softmax(-1), atol=1e-6)
    assert torch.allclose(seen["blocks.0.mlp.norm"].mean(-1), torch.zeros(2, 4), atol=1e-5)
    resid = seen["embed"] + seen["blocks.0.attn"] + mlp.down(seen["blocks.0.mlp.norm"])
    assert torch.allclose(seen["blocks.0"], resid, atol=1e-6)


def test_without_an_extra_layernorm_norm_changes_nothing() -> None:
    mlp = build_model(TINY, seed=0).blocks[0].mlp
    x = torch.randn(2, 3, 12)
    assert torch.equal(mlp.norm(x), x) and "norm" not in site_names(TINY)


def test_matrices_are_those_of_the_blocks() -> None:
    model = build_model(TINY, seed=0)
    # a layer: qkv 8x24, out 8x8, up 8x12, down 12x8
    assert len(model.matrices()) == 8
    assert sum(m.numel() for m in model.matrices().values()) == 2 * (192 + 64 + 96 + 96)


def test_a_saved_model_says_the_same(tmp_path) -> None:
    model = build_model(replace(TINY, activation="topk", top_k=3, mlp_norm=True), seed=4).eval()
    save_model(model, tmp_path / "deep" / "m.safetensors")
    again = load_model(tmp_path / "deep" / "m.safetensors")
    assert again.config == model.config and torch.equal(again(IDS), model(IDS))
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["m.safetensors"]


def test_a_file_that_is_no_model_is_an_error(tmp_path) -> None:
    (tmp_path / "m.safetensors").write_bytes(b"nothing")
    for name in ("m.safetensors", "missing.safetensors"):
        with pytest.raises(StoreError, match="holds no model"):
            load_model(tmp_path / name)


def test_a_text_longer_than_the_context_is_refused() -> None:
    with pytest.raises(UsageError, match="reads 6 tokens"):
        build_model(TINY, seed=0)(torch.zeros(1, 7, dtype=torch.long))
