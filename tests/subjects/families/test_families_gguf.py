"""GGUF files written here with the gguf package, opened, and compared with plain hooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

import maieutic as mt

HIDDEN, INNER, HEADS, LAYERS = 32, 64, 4, 2


def write(file: Path, architecture: str, *, biases: bool, norms: bool) -> dict[str, np.ndarray]:
    """A model with random weights and a tokenizer of one token a byte; gives its tensors."""
    rng = np.random.default_rng(0)
    tensors: dict[str, np.ndarray] = {}
    # transformers reads no length of heads from a Qwen3 file: it is 128 in all of them
    head = 128 if norms else HIDDEN // HEADS

    def add(name: str, *shape: int) -> None:
        scale = 1.0 if len(shape) == 1 else 0.3
        drawn = rng.normal(scale=scale, size=shape) if "bias" in name or len(shape) > 1 else np.ones(shape)
        tensors[name] = drawn.astype(np.float32)

    tokens = byte_tokens()
    add("token_embd.weight", len(tokens), HIDDEN)
    add("output_norm.weight", HIDDEN)
    add("output.weight", len(tokens), HIDDEN)
    for n in range(LAYERS):
        for part in ("attn_q", "attn_k", "attn_v"):
            add(f"blk.{n}.{part}.weight", HEADS * head, HIDDEN)
            if biases:
                add(f"blk.{n}.{part}.bias", HEADS * head)
        add(f"blk.{n}.attn_output.weight", HIDDEN, HEADS * head)
        for part in ("attn_q_norm", "attn_k_norm") if norms else ():
            add(f"blk.{n}.{part}.weight", head)
        add(f"blk.{n}.ffn_gate.weight", INNER, HIDDEN)
        add(f"blk.{n}.ffn_up.weight", INNER, HIDDEN)
        add(f"blk.{n}.ffn_down.weight", HIDDEN, INNER)
        add(f"blk.{n}.attn_norm.weight", HIDDEN)
        add(f"blk.{n}.ffn_norm.weight", HIDDEN)
    writer = gguf.GGUFWriter(str(file), architecture)
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    if norms:
        writer.add_key_length(head)
        writer.add_value_length(head)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * 256 + [3, 3, 1])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(257)
    for name, value in tensors.items():
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tensors


def byte_tokens() -> list[str]:
    """One token a byte, two special ones, and one merge: a tokenizer without merges is refused."""
    from tokenizers import pre_tokenizers

    return [*sorted(pre_tokenizers.ByteLevel.alphabet()), "<s>", "</s>", "ab"]


#: family: architecture of the GGUF file, biases in attention, norms of queries and keys
FAMILIES: dict[str, dict[str, Any]] = {
    "Llama (GGUF)": {
        "ids": "gguf:Llama-3.2-1B-Q4_K_M.gguf", "sites": "layers.N.{attn,mlp,resid}",
        "write": ("llama", False, False),
    },
    "Qwen2 (GGUF)": {
        "ids": "gguf:qwen2.5-0.5b-instruct-q4_k_m.gguf", "sites": "layers.N.{attn,mlp,resid}",
        "write": ("qwen2", True, False),
    },
    "Qwen3 (GGUF)": {
        "ids": "gguf:Qwen3-0.6B-Q8_0.gguf", "sites": "layers.N.{attn,mlp,resid}",
        "write": ("qwen3", False, True),
    },
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_a_gguf_file_of_each_family(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compare_texts: Any, pattern: Any
) -> None:
    from transformers import AutoModelForCausalLM

    row = FAMILIES[family]
    architecture, biases, norms = row["write"]
    monkeypatch.setenv("MAIEUTIC_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "tiny.gguf"
    written = write(file, architecture, biases=biases, norms=norms)
    subject = mt.load_subject(f"gguf:{file}")
    assert pattern([s.name for s in subject.sites()]) == row["sites"]
    model = AutoModelForCausalLM.from_pretrained(str(tmp_path), gguf_file=file.name, dtype=torch.float32).eval()
    for n in range(LAYERS):
        kept: Any = model.get_submodule(f"model.layers.{n}.mlp.down_proj")
        np.testing.assert_array_equal(kept.weight.detach().numpy(), written[f"blk.{n}.ffn_down.weight"])
    compare_texts(subject, model, subject.tokenizer, how="next")
