"""Language subjects against forward passes written out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.errors import UsageError
from maieutic.subjects import Intervention, InterventionDidNothing, TruncationWarning
from maieutic.subjects.language import LanguageSubject

TEXTS = ["red cat", "a", "", "naïve 東京", "the quick brown fox jumps over", "ab", "zz top"]


def manual(subject: LanguageSubject, text: str, path: str, *, of_input: bool) -> np.ndarray:
    """One text alone through the whole model, unpadded, with a hook of our own."""
    found: dict[str, torch.Tensor] = {}
    module = subject.model.get_submodule(path)
    if of_input:
        handle = module.register_forward_pre_hook(lambda _m, args: found.update(x=args[0]))
    else:
        handle = module.register_forward_hook(
            lambda _m, _a, out: found.update(x=out[0] if isinstance(out, tuple) else out)
        )
    tokens = subject.tokenizer(text, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        subject.model(input_ids=torch.tensor([[subject.tokenizer.bos_token_id, *tokens]]))
    handle.remove()
    return found["x"][0, 1:].numpy()


@pytest.mark.parametrize(
    ("site", "path", "of_input"),
    [
        ("layers.0.mlp", "model.layers.0.mlp.down_proj", True),
        ("layers.1.mlp", "model.layers.1.mlp.down_proj", True),
        ("layers.1.attn", "model.layers.1.self_attn", False),
        ("layers.0.resid", "model.layers.0", False),
    ],
)
def test_reads_what_a_hook_of_our_own_reads(llama: Any, site: str, path: str, of_input: bool) -> None:
    units = [llama.unit(site, i) for i in (0, 3, 15)]
    for text, values in zip(TEXTS, llama.read(TEXTS, units), strict=True):
        assert values.dtype == np.float32
        expected = manual(llama, text, path, of_input=of_input)[:, [0, 3, 15]]
        np.testing.assert_allclose(values, expected, atol=1e-5)


def test_gpt2_blocks_have_the_same_sites(gpt2: Any) -> None:
    assert [s.name for s in gpt2.sites()][:3] == ["layers.0.attn", "layers.0.mlp", "layers.0.resid"]
    assert gpt2.site("layers.1.mlp").width == 40
    (values,) = gpt2.read(["hello"], [gpt2.unit("layers.1.mlp", 7)])
    expected = manual(gpt2, "hello", "transformer.h.1.mlp.c_proj", of_input=True)
    np.testing.assert_allclose(values[:, 0], expected[:, 7], atol=1e-5)


def test_one_position_per_token_and_spans_cover_the_text(llama: Any) -> None:
    unit = llama.unit("layers.1.mlp", 2)
    for text, values in zip(TEXTS, llama.measure(TEXTS, unit), strict=True):
        spans = llama.tokens(text)
        assert len(spans) == len(values) == len(text.encode())
        assert all(text[s.start : s.end] == s.text and s.start < s.end for s in spans)


def test_the_sign_and_a_direction(llama: Any) -> None:
    plus, minus = llama.unit("layers.0.mlp", 5), llama.unit("layers.0.mlp", 5, sign=-1)
    vector = np.zeros(24)
    vector[[5, 6]] = 2, -1
    direction = llama.direction("layers.0.mlp", vector, "probe", offset=0.5)
    other = llama.unit("layers.0.mlp", 6)
    (values,) = llama.read(["red cat"], [plus, minus, other, direction])
    np.testing.assert_array_equal(values[:, 0], -values[:, 1])
    np.testing.assert_allclose(values[:, 3], 2 * values[:, 0] - values[:, 2] + 0.5, atol=1e-6)


def test_batch_and_order_do_not_change_values(llama: Any) -> None:
    units = [llama.unit("layers.1.mlp", 1), llama.unit("layers.1.resid", 9)]
    together = llama.read(TEXTS, units)
    alone = [llama.read([t], units)[0] for t in TEXTS]
    backwards = llama.read(TEXTS[::-1], units)[::-1]
    for a, b, c in zip(together, alone, backwards, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
        np.testing.assert_allclose(a, c, atol=1e-5)


def test_the_same_call_gives_the_same_bytes(llama: Any) -> None:
    unit = llama.unit("layers.1.mlp", 1)
    first, second = llama.measure(TEXTS, unit), llama.measure(TEXTS, unit)
    assert [a.tobytes() for a in first] == [b.tobytes() for b in second]


@settings(max_examples=15, deadline=None)
@given(text=st.text(max_size=20), padding=st.text(min_size=12, max_size=15))
def test_padding_never_reaches_a_value(text: str, padding: str) -> None:
    llama = _llama()
    unit = llama.unit("layers.1.mlp", 4)
    alone = llama.forward([text], ["layers.1.mlp"]).values["layers.1.mlp"]
    batch = llama.forward([text, padding], ["layers.1.mlp"])
    length = int(batch.lengths[0])
    assert length == len(llama.tokens(text))
    np.testing.assert_allclose(
        batch.values["layers.1.mlp"][0, :length, unit.index], alone[0, :length, unit.index], atol=1e-5
    )


_KEPT: list[LanguageSubject] = []


def _llama() -> LanguageSubject:
    return _KEPT[0]


@pytest.fixture(autouse=True)
def _keep(llama: Any) -> None:
    _KEPT[:] = [llama]


def test_stopping_early_gives_what_the_whole_pass_gives(llama: Any) -> None:
    calls: list[str] = []
    handle = llama.model.model.layers[1].register_forward_hook(lambda *_: calls.append("second block"))
    early = llama.forward(["red cat"], ["layers.0.mlp"]).values["layers.0.mlp"]
    assert calls == []
    both = llama.forward(["red cat"], ["layers.0.mlp", "layers.1.resid"]).values["layers.0.mlp"]
    handle.remove()
    assert calls == ["second block"]
    assert torch.equal(early, both)


def test_outputs_are_the_logits_after_the_last_token(llama: Any) -> None:
    found = llama.outputs(["red cat", "a much longer text", ""])
    for text, logits in zip(["red cat", "a much longer text", ""], found, strict=True):
        ids = [256, *llama.tokenizer(text, add_special_tokens=False)["input_ids"]]
        with torch.no_grad():
            expected = llama.model(input_ids=torch.tensor([ids])).logits[0, -1]
        np.testing.assert_allclose(logits, expected.numpy(), atol=1e-5)


def test_set_and_ablate_are_exact_and_change_what_follows(llama: Any) -> None:
    unit, later = llama.unit("layers.0.mlp", 3, sign=-1), llama.unit("layers.1.resid", 0)
    set_it = Intervention(unit=unit, kind="set", value=4.0)
    before = llama.read(["red cat", "ab"], [unit, later])
    after = llama.read(["red cat", "ab"], [unit, later], interventions=[set_it])
    zeroed = llama.read(["red cat", "ab"], [unit], interventions=[Intervention(unit=unit, kind="ablate_zero")])
    for old, new, zero in zip(before, after, zeroed, strict=True):
        assert (new[:, 0] == 4.0).all()
        assert (zero == 0).all()
        assert np.abs(new[:, 1] - old[:, 1]).min() > 1e-4


def test_add_moves_the_residual_stream_by_the_vector(llama: Any) -> None:
    vector = np.arange(16, dtype=np.float32) / 8
    steer = Intervention(unit=llama.direction("layers.0.resid", vector, "up"), kind="add", value=0.5)
    old = llama.forward(["red cat"], ["layers.0.resid"]).values["layers.0.resid"]
    new = llama.forward(["red cat"], ["layers.0.resid"], interventions=[steer]).values["layers.0.resid"]
    # every measured position moves by 0.5 * (0, 1/8, ..., 15/8)
    torch.testing.assert_close(new - old, torch.from_numpy(0.5 * vector).expand_as(old), atol=1e-6, rtol=0)


def test_setting_a_direction_gives_that_reading(llama: Any) -> None:
    vector = np.random.default_rng(0).standard_normal(16)
    probe = llama.direction("layers.0.resid", vector, "probe", offset=0.7)
    for kind, value, expected in [("set", -2.0, -2.0), ("ablate_zero", 0.0, 0.0), ("ablate_mean", 1.5, 1.5)]:
        change = Intervention(unit=probe, kind=kind, value=value)  # type: ignore[arg-type]
        (found,) = llama.measure(["red cat"], probe, interventions=[change])
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_prefix_is_left_alone(llama: Any) -> None:
    """A change of a unit never touches the prefix: the first block's attention sees the same first key."""
    seen: list[torch.Tensor] = []
    handle = llama.model.model.layers[0].register_forward_hook(lambda _m, _a, out: seen.append(out[0, 0].clone()))
    unit, after = llama.unit("layers.0.mlp", 3), llama.unit("layers.1.attn", 0)
    llama.read(["red"], [after])
    llama.read(["red"], [after], interventions=[Intervention(unit=unit, kind="set", value=9.0)])
    handle.remove()
    assert torch.equal(seen[0], seen[1])


def test_an_intervention_that_does_nothing_is_an_error(llama: Any) -> None:
    unit = llama.unit("layers.0.mlp", 3)
    with pytest.raises(InterventionDidNothing, match=r"add on layers.0.mlp/3 changed nothing .*: show stimuli"):
        llama.read(["red cat"], [unit], interventions=[Intervention(unit=unit, kind="add", value=0.0)])
    with pytest.raises(InterventionDidNothing):  # no measured position, so nothing can change
        llama.read([""], [unit], interventions=[Intervention(unit=unit, kind="set", value=3.0)])
    done = llama.read(["red cat", ""], [unit], interventions=[Intervention(unit=unit, kind="set", value=3.0)])
    assert done[1].shape == (0, 1)


def test_hooks_are_gone_afterwards(llama: Any) -> None:
    unit = llama.unit("layers.0.mlp", 3)
    before = llama.outputs(["red cat"])
    llama.outputs(["red cat"], interventions=[Intervention(unit=unit, kind="set", value=50.0)])
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in llama.model.modules())
    np.testing.assert_array_equal(llama.outputs(["red cat"]), before)


def test_texts_beyond_the_context_are_cut_and_said_so(short_llama: Any) -> None:
    unit = short_llama.unit("layers.0.mlp", 3)
    with pytest.warns(TruncationWarning, match="1 of 2 texts are longer than 8 tokens"):
        found = short_llama.measure(["0123456789", "ab"], unit)
    assert [len(v) for v in found] == [8, 2]
    assert len(short_llama.tokens("0123456789")) == 8
    assert short_llama.is_truncated("0123456789")
    assert not short_llama.is_truncated("01234567")


def test_untrained_is_another_network_and_the_same_every_time(llama: Any) -> None:
    unit = llama.unit("layers.1.mlp", 3)
    state = torch.random.get_rng_state()
    first, again, other = llama.untrained(0), llama.untrained(0), llama.untrained(2)
    assert torch.equal(state, torch.random.get_rng_state())
    assert first.name == "tiny-llama (untrained)"
    assert first.fingerprint == again.fingerprint
    assert len({llama.fingerprint, first.fingerprint, other.fingerprint}) == 3
    a, b, c = (s.measure(["red cat"], unit)[0] for s in (first, again, llama))
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - c).max() > 1e-3


def test_names_that_do_not_exist(llama: Any) -> None:
    with pytest.raises(UsageError, match=r"no site 'layer.1.mlp' \(did you mean 'layers.1.mlp'\?\)"):
        llama.unit("layer.1.mlp", 0)
    with pytest.raises(UsageError, match="units 0 to 23, not 24"):
        llama.unit("layers.1.mlp", 24)
    with pytest.raises(UsageError, match="reads text, not int"):
        llama.read([3], [llama.unit("layers.1.mlp", 0)])
    with pytest.raises(UsageError, match="there is no unit"):
        llama.read(["a"], [])
    with pytest.raises(UsageError, match="vector of length 24"):
        llama.direction("layers.1.mlp", [1.0, 2.0], "short")


def test_keys_of_units_are_read_back(llama: Any) -> None:
    for unit in (llama.unit("layers.1.mlp", 12), llama.unit("layers.0.resid", 3, sign=-1)):
        assert llama.parse_unit(unit.key) == unit
    with pytest.raises(UsageError, match="is not a unit"):
        llama.parse_unit("layers.1.mlp")
