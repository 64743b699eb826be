"""Every family of language models: one tiny random model saved to a folder, opened again, and compared with plain hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

SIZE = {"vocab_size": 262, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
PLACES = {"max_position_embeddings": 64}
LLAMA = {**SIZE, **PLACES, "num_key_value_heads": 1}
SPECIAL = {"bos_token_id": 256, "eos_token_id": 257, "pad_token_id": 258}
ALL = "layers.N.{attn,mlp,resid}"
ENCODER = {"style": "encoder"}


def causal(model: str, ids: str, config: dict[str, Any], sites: str = ALL, **more: Any) -> dict[str, Any]:
    return {"model": model, "ids": ids, "config": {**config, **SPECIAL}, "sites": sites, **more}


def encoder(model: str, ids: str, config: dict[str, Any], output: str, **more: Any) -> dict[str, Any]:
    named = {"model": model, "ids": ids, "config": {**config, "pad_token_id": 258}, "sites": ALL, "output": output}
    return {**named, **ENCODER, **more}


FAMILIES: dict[str, dict[str, Any]] = {
    "Llama": causal("LlamaForCausalLM", "meta-llama/Llama-3.2-1B", LLAMA),
    "Mistral": causal("MistralForCausalLM", "mistralai/Mistral-7B-v0.3", LLAMA),
    "Mixtral": causal(
        "MixtralForCausalLM", "mistralai/Mixtral-8x7B-v0.1",
        {**LLAMA, "num_local_experts": 2, "num_experts_per_tok": 1}, "layers.N.{attn,resid}",
        not_read="neurons of experts",
    ),
    "Qwen2": causal("Qwen2ForCausalLM", "Qwen/Qwen2.5-0.5B", LLAMA),
    "Qwen3": causal("Qwen3ForCausalLM", "Qwen/Qwen3-0.6B", {**LLAMA, "head_dim": 8}),
    "Gemma": causal("GemmaForCausalLM", "google/gemma-2b", {**LLAMA, "head_dim": 8}),
    "Gemma 2": causal("Gemma2ForCausalLM", "google/gemma-2-2b", {**LLAMA, "head_dim": 8}),
    "Gemma 3": causal("Gemma3ForCausalLM", "google/gemma-3-270m", {**LLAMA, "head_dim": 8}),
    "Phi": causal("PhiForCausalLM", "microsoft/phi-2", {**SIZE, **PLACES}),
    "Phi-3": causal("Phi3ForCausalLM", "microsoft/Phi-3-mini-4k-instruct", LLAMA),
    "OLMo 2": causal("Olmo2ForCausalLM", "allenai/OLMo-2-0425-1B", LLAMA),
    "Granite": causal("GraniteForCausalLM", "ibm-granite/granite-3.3-2b-base", LLAMA),
    "SmolLM3": causal("SmolLM3ForCausalLM", "HuggingFaceTB/SmolLM3-3B", LLAMA),
    "StableLM": causal("StableLmForCausalLM", "stabilityai/stablelm-2-1_6b", LLAMA),
    "Cohere": causal("CohereForCausalLM", "CohereLabs/aya-23-8B", LLAMA),
    "StarCoder2": causal("Starcoder2ForCausalLM", "bigcode/starcoder2-3b", LLAMA),
    "GPT-2": causal(
        "GPT2LMHeadModel", "openai-community/gpt2",
        {"vocab_size": 262, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_inner": 24, "n_positions": 64},
    ),
    "GPT-NeoX": causal("GPTNeoXForCausalLM", "EleutherAI/pythia-70m", {**SIZE, **PLACES}),
    "GPT-J": causal(
        "GPTJForCausalLM", "EleutherAI/gpt-j-6b",
        {"vocab_size": 262, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_inner": 24, "n_positions": 64, "rotary_dim": 4},
    ),
    "OPT": causal(
        "OPTForCausalLM", "facebook/opt-125m",
        {"vocab_size": 262, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "ffn_dim": 24,
         "word_embed_proj_dim": 16, **PLACES}, "layers.N.{attn,resid}", not_read="MLP neurons (texts run together there)",
    ),
    "BLOOM": causal("BloomForCausalLM", "bigscience/bloom-560m", {"vocab_size": 262, "hidden_size": 16, "n_layer": 2, "n_head": 2}),
    "Falcon": causal("FalconForCausalLM", "tiiuae/falcon-rw-1b", {**SIZE, "ffn_hidden_size": 24, "alibi": False}),
    "Mamba": causal(
        "MambaForCausalLM", "state-spaces/mamba-130m-hf",
        {"vocab_size": 262, "hidden_size": 16, "num_hidden_layers": 2, "state_size": 4, "intermediate_size": 32},
        "layers.N.{mlp,resid}", not_read="states of the recurrence",
    ),
    "BERT": encoder("BertForMaskedLM", "google-bert/bert-base-uncased", {**SIZE, **PLACES}, "mask"),
    "RoBERTa": encoder("RobertaForMaskedLM", "FacebookAI/roberta-base", {**SIZE, "max_position_embeddings": 400}, "mask"),
    "XLM-RoBERTa": encoder(
        "XLMRobertaForSequenceClassification", "FacebookAI/xlm-roberta-base",
        {**SIZE, "max_position_embeddings": 400, "num_labels": 3}, "class",
    ),
    "DistilBERT": encoder(
        "DistilBertForSequenceClassification", "distilbert/distilbert-base-uncased",
        {"vocab_size": 262, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24, **PLACES, "num_labels": 3}, "class",
    ),
    "ELECTRA": encoder(
        "ElectraForTokenClassification", "google/electra-small-discriminator",
        {**SIZE, **PLACES, "embedding_size": 8, "num_labels": 3}, "token",
    ),
    "DeBERTa v2": encoder(
        "DebertaV2ForMaskedLM", "microsoft/deberta-v3-base",
        {**SIZE, **PLACES, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16}, "mask",
    ),
    "ModernBERT": encoder(
        "ModernBertForMaskedLM", "answerdotai/ModernBERT-base",
        {**SIZE, **PLACES, "bos_token_id": 259, "eos_token_id": 260, "cls_token_id": 259, "sep_token_id": 260}, "mask",
    ),
    "MPNet": encoder(
        "MPNetModel", "sentence-transformers/all-mpnet-base-v2", {**SIZE, "max_position_embeddings": 400}, "embedding",
    ),
    "T5": encoder(
        "T5ForConditionalGeneration", "google-t5/t5-small",
        {"vocab_size": 262, "d_model": 16, "num_layers": 2, "num_heads": 2, "d_kv": 8, "d_ff": 24, "decoder_start_token_id": 258},
        "embedding", style="t5", part="encoder", inner=lambda m: m.get_encoder(), not_read="decoder (write #encoder)",
    ),
    "BART": encoder(
        "BartForConditionalGeneration", "facebook/bart-base",
        {"vocab_size": 262, "d_model": 16, "encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 2,
         "decoder_attention_heads": 2, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, **PLACES, "bos_token_id": 256,
         "eos_token_id": 257, "decoder_start_token_id": 257, "forced_eos_token_id": 257},
        "embedding", part="encoder", inner=lambda m: m.get_encoder(), not_read="decoder (write #encoder)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tiny_language_model_of_each_family(family: str, check_texts: Callable[[dict[str, Any]], None]) -> None:
    check_texts(FAMILIES[family])
