"""Attention heads as units, against attention computed by hand."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn
from transformers import BertConfig, BertModel, ViTConfig, ViTForImageClassification

from maieutic.errors import UserError
from maieutic.subjects import Intervention, InterventionDidNothing, Unit, module_subject, noise_images
from maieutic.subjects.lenses.heads import HeadsLens, attach, projections
from maieutic.subjects.vision import scaled

TEXT = "a cat sat"


def inputs_of(projection: nn.Module, call: Any) -> Tensor:
    """What enters a module, by a hook of our own."""
    kept: list[Tensor] = []
    handle = projection.register_forward_pre_hook(lambda _m, args: kept.append(args[0].clone()))
    call()
    handle.remove()
    return kept[0]


def ids(subject: Any, text: str) -> Tensor:
    return torch.tensor([[*subject.prefix, *subject.tokenizer(text)["input_ids"]]])


def by_hand_llama(model: Any, tokens: Tensor, layer: int) -> Tensor:
    """``[position, head, hidden]``: what each of the four heads of a block adds; two heads share keys and values."""
    block = model.model.layers[layer]
    hidden = model.model(tokens, output_hidden_states=True).hidden_states[layer][0]
    x = block.input_layernorm(hidden)
    positions = torch.arange(len(x))[None]
    cos, sin = model.model.rotary_emb(x[None], positions)

    def turn(v: Tensor) -> Tensor:  # [head, position, 4]: rotary embedding of halves
        half = torch.cat([-v[..., 2:], v[..., :2]], -1)
        return v * cos[0] + half * sin[0]

    attention = block.self_attn
    q = turn(attention.q_proj(x).view(-1, 4, 4).transpose(0, 1))
    k = turn(attention.k_proj(x).view(-1, 2, 4).transpose(0, 1))
    v = attention.v_proj(x).view(-1, 2, 4).transpose(0, 1)
    later = torch.full((len(x), len(x)), float("-inf")).triu(1)
    weight = attention.o_proj.weight
    added: list[Tensor] = []
    for head in range(4):
        scores = q[head] @ k[head // 2].T / 2 + later  # sqrt(4) = 2
        added.append(scores.softmax(-1) @ v[head // 2] @ weight[:, 4 * head : 4 * head + 4].T)
    return torch.stack(added, dim=1)


def test_heads_of_a_llama_with_grouped_queries_are_attention_by_hand(llama: Any) -> None:
    seen = attach(llama)
    names = [s.name for s in seen.sites()]
    assert names == [f"layers.{n}.{s}" for n in (0, 1) for s in ("heads", "attn", "mlp", "resid")]
    assert seen.site("layers.1.heads").width == 4
    with torch.no_grad():
        added = by_hand_llama(llama.model, ids(llama, TEXT), 1)
    read = seen.forward([TEXT], ["layers.1.heads", "layers.1.attn"]).values
    torch.testing.assert_close(read["layers.1.heads"][0], added.norm(dim=-1)[1:], rtol=1e-4, atol=1e-5)
    # Llama's projection has no bias: what attention adds is the sum of its heads
    torch.testing.assert_close(read["layers.1.attn"][0], added.sum(1)[1:], rtol=1e-4, atol=1e-5)


def test_heads_of_gpt2_add_up_to_attention_less_the_bias(gpt2: Any) -> None:
    seen = attach(gpt2)
    projection = gpt2.model.transformer.h[1].attn.c_proj  # Conv1D: weight [input, output]
    torch.nn.init.normal_(projection.bias)
    z = inputs_of(projection, lambda: gpt2.model(ids(gpt2, TEXT)))[0]
    added = torch.stack([z[:, 4 * h : 4 * h + 4] @ projection.weight[4 * h : 4 * h + 4] for h in range(4)], dim=1)
    read = seen.forward([TEXT], ["layers.1.heads", "layers.1.attn"]).values
    torch.testing.assert_close(read["layers.1.heads"][0], added.norm(dim=-1)[1:], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(read["layers.1.attn"][0], (added.sum(1) + projection.bias)[1:], rtol=1e-4, atol=1e-6)


def tiny_vit() -> Any:
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, image_size=16, patch_size=8,
        num_labels=3,
    )  # fmt: skip

    class Pixels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.vit = ViTForImageClassification(config)

        def forward(self, x: Tensor) -> Tensor:
            return cast(Tensor, self.vit(x).logits)

    return module_subject(Pixels(), scaled(16), name="tiny-vit")


def test_heads_of_a_vision_transformer_are_means_over_tokens() -> None:
    plain = tiny_vit()
    seen = attach(plain)
    site = next(s for s in seen.sites() if s.name.endswith("1.heads"))
    assert (site.width, site.positions) == (2, "spatial")
    projection = plain.module.get_submodule(site.module)
    pictures = noise_images(3, seed=1, size=16)
    z = inputs_of(projection, lambda: plain.module(plain.pixels(pictures)))
    added = torch.stack([z[..., 8 * h : 8 * h + 8] @ projection.weight[:, 8 * h : 8 * h + 8].T for h in (0, 1)], dim=2)
    read = seen.forward(pictures, [site.name]).values[site.name]
    torch.testing.assert_close(read, added.norm(dim=-1).mean(1), rtol=1e-4, atol=1e-6)
    maps = seen.forward(pictures, [site.name], maps=True).values[site.name]
    assert maps.shape == (3, 2, 2, 2)  # two heads; four patches and a class token, which is left out
    torch.testing.assert_close(maps.flatten(2), added.norm(dim=-1)[:, 1:].transpose(1, 2), rtol=1e-4, atol=1e-6)


def test_bert_keeps_the_projection_outside_the_module_that_counts_heads() -> None:
    torch.manual_seed(0)
    config = BertConfig(hidden_size=12, num_hidden_layers=1, num_attention_heads=3, intermediate_size=16, vocab_size=30)
    ((path, _, heads),) = projections(BertModel(config))
    assert (path, heads) == ("encoder.layer.0.attention.output.dense", 3)


@pytest.mark.parametrize("at", [None, 3])
def test_ablating_a_head_is_a_forward_pass_without_its_slice(llama: Any, at: int | None) -> None:
    seen = attach(llama)
    change = Intervention(unit=seen.unit("layers.0.heads", 2), kind="ablate_zero", at=at)
    found = seen.outputs([TEXT], interventions=[change])[0]

    def cut(_module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor]:
        z = args[0].clone()
        z[:, slice(1, None) if at is None else at + 1, 8:12] = 0.0  # the prefix token is never changed
        return (z,)

    handle = llama.model.model.layers[0].self_attn.o_proj.register_forward_pre_hook(cut)
    expected = llama.model(ids(llama, TEXT)).logits[0, -1].detach().numpy()
    handle.remove()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert np.abs(found - llama.outputs([TEXT])[0]).max() > 1e-3


@settings(max_examples=40, deadline=None)
@given(
    value=st.floats(0.0, 5.0, width=32),
    head=st.integers(0, 2),
    kind=st.sampled_from(["set", "ablate_mean", "ablate_zero", "add"]),
    seed=st.integers(0, 1000),
)
def test_a_head_reads_what_it_was_set_to_and_keeps_its_way(value: float, head: int, kind: Any, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    projection = nn.Linear(6, 5)
    lens = HeadsLens(projection, 3)
    raw = torch.randn(4, 6, generator=generator)
    raw[3, 2 * head : 2 * head + 2] = 0.0  # a head that adds nothing here
    where = torch.tensor([True, False, True, True])
    change = Intervention(unit=Unit(site="s", index=head), kind=kind, value=value)
    new = lens.change(raw, change, where)
    before, after = lens.read(raw), lens.read(new)
    target = {"ablate_zero": 0.0, "add": float(before[0, head]) + value}.get(kind, value)
    assert after[0, head] == pytest.approx(target, rel=1e-4, abs=1e-5)
    assert torch.equal(new[1], raw[1])  # not asked for
    assert torch.equal(new[3], raw[3])  # 0 stays 0
    others = [h for h in range(3) if h != head]
    assert torch.equal(after[:, others], before[:, others])
    if target > 1e-3:
        one, two = raw[0, 2 * head : 2 * head + 2], new[0, 2 * head : 2 * head + 2]
        assert torch.nn.functional.cosine_similarity(one, two, dim=0) == pytest.approx(1.0, abs=1e-4)


def test_directions_over_heads_are_read_and_added_along_each_head(llama: Any) -> None:
    seen = attach(llama)
    unit = seen.direction("layers.1.heads", [1.0, 0.0, -0.5, 0.0], "contrast")
    one = seen.read([TEXT], [unit])[0][:, 0]
    heads = seen.forward([TEXT], ["layers.1.heads"]).values["layers.1.heads"][0].numpy()
    np.testing.assert_allclose(one, heads[:, 0] - 0.5 * heads[:, 2], rtol=1e-5)
    change = Intervention(unit=unit, kind="add", value=0.01)
    after = seen.forward([TEXT], ["layers.1.heads"], interventions=[change]).values["layers.1.heads"][0].numpy()
    np.testing.assert_allclose(after - heads, np.tile([0.01, 0, -0.005, 0], (len(heads), 1)), atol=1e-5)


def test_a_silent_head_does_nothing_and_says_so(llama: Any) -> None:
    torch.nn.init.zeros_(llama.model.model.layers[0].self_attn.v_proj.weight)
    seen = attach(llama)
    change = Intervention(unit=seen.unit("layers.0.heads", 1), kind="set", value=2.0)
    with pytest.raises(InterventionDidNothing, match="changed nothing"):
        seen.read([TEXT], [seen.unit("layers.0.heads", 1)], interventions=[change])


def test_the_untrained_copy_has_heads_of_its_own_weights(llama: Any) -> None:
    fresh = attach(llama).untrained(3)
    bare = attach(llama.untrained(3))
    one, two = (s.forward([TEXT], ["layers.1.heads"]).values["layers.1.heads"] for s in (fresh, bare))
    torch.testing.assert_close(one, two)
    trained = attach(llama).forward([TEXT], ["layers.1.heads"]).values["layers.1.heads"]
    assert (one - trained).abs().max() > 1e-3
    assert fresh.fingerprint == bare.fingerprint != attach(llama).fingerprint


def test_streams_give_what_forward_gives(llama: Any) -> None:
    seen = attach(llama)
    taken: dict[str, np.ndarray[Any, Any]] = {}

    def take(site: str, values: Tensor, places: Any, lengths: Any) -> None:
        taken[site] = values[0, : lengths[0]].numpy().copy()

    seen.stream([TEXT], ["layers.0.heads", "layers.1.resid"], take)
    read = seen.forward([TEXT], ["layers.0.heads", "layers.1.resid"]).values
    for site in taken:
        np.testing.assert_array_equal(taken[site], read[site][0].numpy())
    assert set(taken) == {"layers.0.heads", "layers.1.resid"}


def test_networks_without_heads_say_so(known_cnn: Any, plain: Any) -> None:
    with pytest.raises(UserError, match="no attention whose output projection"):
        attach(known_cnn)
    assert isinstance(plain((0, 0, 0)), Image.Image)
