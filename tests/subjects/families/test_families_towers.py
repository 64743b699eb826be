"""Towers of models of pictures and text, opened by ``#vision`` and ``#text``, compared with plain hooks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SIDE = 32
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
VISION = {**SMALL, "image_size": SIDE, "patch_size": 8}
TEXT = {
    **SMALL,
    "vocab_size": 262,
    "max_position_embeddings": 24,
    "bos_token_id": 256,
    "eos_token_id": 257,
    "pad_token_id": 258,
}
LLAMA = {**TEXT, "model_type": "llama", "num_key_value_heads": 1}
LAYERS = "layers.N.{attn,mlp,resid}"


def both(
    name: str, ids: str, model: str, config: dict[str, Any], vision: dict[str, Any], text: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """The rows of a model's two towers."""
    shared = {"ids": ids, "model": model, "config": config}
    return {
        f"{name} #vision": {**shared, "part": "vision", "processor": "CLIPImageProcessor", **vision},
        f"{name} #text": {**shared, "part": "text", **text},
    }


PICTURE = {"sites": f"stem, {LAYERS}", "output": "pooler_output"}
SPEAKS = {"sites": LAYERS}

FAMILIES: dict[str, dict[str, Any]] = {
    **both(
        "CLIP", "openai/clip-vit-base-patch32", "CLIPModel",
        {"vision_config": VISION, "text_config": TEXT, "projection_dim": 8},
        {**PICTURE, "inner": lambda m: m.vision_model},
        {"sites": LAYERS, "output": "pooled", "style": "clip", "inner": lambda m: m.text_model},
    ),
    **both(
        "SigLIP", "google/siglip-base-patch16-224", "SiglipModel",
        {"vision_config": VISION, "text_config": TEXT},
        {**PICTURE, "inner": lambda m: m.vision_model, "processor": "SiglipImageProcessor"},
        {"sites": LAYERS, "output": "pooled", "style": "t5", "inner": lambda m: m.text_model, "fill": 24},
    ),
    **both(
        "LLaVA", "llava-hf/llava-1.5-7b-hf", "LlavaForConditionalGeneration",
        {"vision_config": {**VISION, "model_type": "clip_vision_model"}, "text_config": LLAMA, "image_token_index": 255},
        {**PICTURE, "inner": lambda m: m.model.vision_tower},
        SPEAKS,
    ),
    **both(
        "PaliGemma", "google/paligemma-3b-pt-224", "PaliGemmaForConditionalGeneration",
        {"vision_config": {**VISION, "model_type": "siglip_vision_model", "vision_use_head": False, "projection_dim": 16},
         "text_config": {**LLAMA, "model_type": "gemma", "head_dim": 8}, "image_token_index": 255, "projection_dim": 16},
        {**PICTURE, "inner": lambda m: m.model.vision_tower, "output": "tokens", "processor": "SiglipImageProcessor"},
        SPEAKS,
    ),
    **both(
        "Idefics3 and SmolVLM", "HuggingFaceTB/SmolVLM-256M-Instruct", "Idefics3ForConditionalGeneration",
        {"vision_config": VISION, "text_config": LLAMA, "image_token_id": 255, "scale_factor": 2},
        {**PICTURE, "inner": lambda m: m.model.vision_model, "output": "tokens", "processor": "SiglipImageProcessor"},
        SPEAKS,
    ),
    "Gemma 3 (pictures) #text": {
        "ids": "google/gemma-3-4b-it", "model": "Gemma3ForConditionalGeneration", "part": "text", "sites": LAYERS,
        "config": {"vision_config": {**VISION, "model_type": "siglip_vision_model", "vision_use_head": False},
                   "text_config": {**LLAMA, "model_type": "gemma3_text", "head_dim": 8}, "mm_tokens_per_image": 4},
    },
    "Qwen2-VL #text": {
        "ids": "Qwen/Qwen2-VL-2B-Instruct", "model": "Qwen2VLForConditionalGeneration", "part": "text", "sites": LAYERS,
        "not_read": "tower for pictures (takes packed patches)",
        "config": {
            "vision_config": {"depth": 1, "embed_dim": 16, "hidden_size": 16, "num_heads": 2, "mlp_ratio": 2, "patch_size": 4},
            "text_config": {**LLAMA, "model_type": "qwen2_vl_text",
                            "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}},
        },
    },
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tower_of_each_family(
    family: str,
    check_pictures: Callable[[dict[str, Any]], None],
    check_texts: Callable[[dict[str, Any]], None],
) -> None:
    row = FAMILIES[family]
    (check_pictures if row["part"] == "vision" else check_texts)(row)


def test_a_tower_must_be_named(tmp_path: Path) -> None:
    from transformers import CLIPConfig, CLIPModel

    import maieutic as mt
    from maieutic.errors import UserError

    row = FAMILIES["CLIP #vision"]
    CLIPModel(CLIPConfig(**row["config"])).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"reads pictures and text: name a tower,  hf:.*#vision  or  hf:.*#text"):
        mt.load_subject(f"hf:{tmp_path}")
    with pytest.raises(UserError, match=r"no part 'audio': write one of  #vision, #text, #encoder"):
        mt.load_subject(f"hf:{tmp_path}#audio")
    with pytest.raises(UserError, match=r"no preprocessor_config.json"):
        mt.load_subject(f"hf:{tmp_path}#vision")
