"""Many changes of a text's last token at once: what is read, how often, and what counts as a change.

That every family of models says the same as when each text is read as a whole stands in ``families/conftest.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from maieutic.subjects import Intervention, InterventionDidNothing, TruncationWarning
from maieutic.subjects.lenses.heads import attach

TEXT = "the quick brown fox"


def added(
    subject: Any, value: float, *, site: str = "layers.0.mlp", index: int = 3, at: int | None = -1
) -> Intervention:
    return Intervention(unit=subject.unit(site, index), kind="add", value=value, at=at)


def tokens_read(subject: Any, stimuli: list[str], changes: Any) -> tuple[int, list[np.ndarray]]:
    """How many tokens go into the embedding, and what came of it."""
    # the first text of a subject is read whole as well, to see that it may be continued
    list(subject.outputs_each([TEXT], [[None]]))
    counted: list[int] = []
    handle = subject.model.get_input_embeddings().register_forward_pre_hook(lambda _m, a: counted.append(a[0].numel()))
    found = list(subject.outputs_each(stimuli, changes))
    handle.remove()
    return sum(counted), found


def test_a_text_is_read_once_and_then_a_token_for_each_change(llama: Any) -> None:
    changes = [added(llama, 0.1 * (i + 1)) for i in range(100)]
    read, (found,) = tokens_read(llama, [TEXT], [changes])
    # 19 bytes behind the BOS token: 19 tokens before the last one, and 100 last ones; each alone: 100 * 20 = 2,000
    assert (read, found.shape) == (19 + 100, (100, 259))
    whole = np.stack([llama.outputs([TEXT], interventions=[c])[0] for c in changes])
    np.testing.assert_allclose(found, whole, atol=1e-5)


def test_the_first_text_of_a_subject_says_whether_texts_can_be_continued(llama: Any) -> None:
    counted: list[int] = []
    llama.model.get_input_embeddings().register_forward_pre_hook(lambda _m, a: counted.append(a[0].numel()))
    list(llama.outputs_each([TEXT, TEXT], [[None], [None]]))
    # 19 and a last one; whole, and whole with another last token; then 19 and a last one
    assert counted == [19, 20, 20, 1, 1, 19, 1]


def test_models_that_look_both_ways_are_read_whole(llama: Any) -> None:
    for block in llama.model.model.layers:
        block.self_attn.is_causal = False
    change = added(llama, 2.0)
    ((plain, changed),) = llama.outputs_each([TEXT], [[None, change]])
    np.testing.assert_array_equal(plain, llama.outputs([TEXT])[0])
    np.testing.assert_array_equal(changed, llama.outputs([TEXT], interventions=[change])[0])


def test_changes_elsewhere_read_every_text_whole(llama: Any) -> None:
    changes = [added(llama, 2.0, at=None), added(llama, 2.0)]
    read, (found,) = tokens_read(llama, [TEXT], [changes])
    assert read == 2 * 20
    np.testing.assert_allclose(found[0], llama.outputs([TEXT], interventions=changes[:1])[0], atol=1e-6)


def test_through_a_lens(llama: Any) -> None:
    heads = attach(llama)
    changes = [None, *(Intervention(unit=heads.unit("layers.1.heads", h), kind="ablate_zero", at=-1) for h in range(4))]
    read, (found,) = tokens_read(heads, [TEXT], [changes])
    assert read == 19 + 5
    for change, row in zip(changes, found, strict=True):
        np.testing.assert_allclose(row, heads.outputs([TEXT], interventions=[change] if change else [])[0], atol=1e-5)


def test_an_empty_text_has_nothing_to_change(llama: Any) -> None:
    change = added(llama, 2.0)
    empty, some = llama.outputs_each(["", TEXT], [[None, change], [None, change]])
    np.testing.assert_array_equal(empty[0], empty[1])
    np.testing.assert_allclose(empty[0], llama.outputs([""])[0], atol=1e-5)
    assert np.abs(some[1] - some[0]).max() > 0.01


def test_a_change_that_moves_nothing_anywhere_is_an_error(llama: Any) -> None:
    silent = added(llama, 0.0)
    with pytest.raises(InterventionDidNothing, match="adds 0"):
        list(llama.outputs_each([TEXT, "ab"], [[silent], [None, silent]]))
    (value,) = llama.measure(["ab"], llama.unit("layers.0.mlp", 3))
    there = Intervention(unit=llama.unit("layers.0.mlp", 3), kind="set", value=float(value[-1]), at=-1)
    # setting a unit to the value it has is nothing in one text, but something in the other
    assert len(list(llama.outputs_each(["ab", TEXT], [[there], [there]]))) == 2


def test_what_is_cut_is_said(short_llama: Any) -> None:
    long = "x" * 50
    with pytest.warns(TruncationWarning, match="only their beginning is read"):
        (found,) = short_llama.outputs_each([long], [[added(short_llama, 1.0)]])
    with pytest.warns(TruncationWarning):
        whole = short_llama.outputs([long], interventions=[added(short_llama, 1.0)])
    np.testing.assert_allclose(found, whole, atol=1e-5)


def test_how_many_go_through_together() -> None:
    from maieutic.subjects.prefixes import rows_of

    # 4,096 tokens are copied at most, but never fewer than 4 texts: 4096 / 200 = 20
    assert [rows_of(n) for n in (0, 20, 64, 200, 1000, 9000)] == [64, 64, 64, 20, 4, 4]


def test_memory_is_shared_and_nothing_grows(llama: Any) -> None:
    import torch

    from maieutic.subjects.prefixes import kept_of, repeated

    ids = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        cache = kept_of(llama.model.model(input_ids=ids, use_cache=True), 3)
        assert kept_of(llama.model.model(input_ids=ids, use_cache=False), 3) is None
        again = repeated(cache, 5)
        assert again.layers[0].keys.data_ptr() == cache.layers[0].keys.data_ptr()
        llama.model(input_ids=torch.full((5, 1), 4), past_key_values=again, use_cache=True)
    assert (cache.get_seq_length(), again.get_seq_length()) == (3, 4)


def test_windows_shorter_than_the_text(byte_tokenizer: Any) -> None:
    """Layers that see eight tokens keep seven; the ones between see all."""
    import torch
    from transformers import Gemma2Config, Gemma2ForCausalLM, MistralConfig, MistralForCausalLM

    from maieutic.subjects.language import LanguageSubject

    torch.manual_seed(0)
    small = {"vocab_size": 259, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
             "num_key_value_heads": 2, "sliding_window": 8, "initializer_range": 0.3}  # fmt: skip
    for model in (
        MistralForCausalLM(MistralConfig(**small)),
        Gemma2ForCausalLM(Gemma2Config(**small, head_dim=8, attn_implementation="eager")),
    ):
        subject = LanguageSubject(model, byte_tokenizer, name="windows")
        changes = [None, added(subject, 3.0), added(subject, -2.0, site="layers.1.mlp")]
        read, (found,) = tokens_read(subject, [TEXT], [changes])
        assert read == 19 + 3
        whole = [subject.outputs([TEXT], interventions=[c] if c else [])[0] for c in changes]
        np.testing.assert_allclose(found, np.stack(whole), atol=1e-5)
        assert np.abs(found[1] - found[0]).max() > 1e-3
