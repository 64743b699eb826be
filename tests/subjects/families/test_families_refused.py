"""What cannot be studied is refused in one line that says why and what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

import maieutic as mt
from maieutic.errors import UserError


def saved(folder: Path, model: str, config: dict[str, Any]) -> None:
    import transformers

    cls = getattr(transformers, model)
    cls(cls.config_class(**config)).save_pretrained(folder)


VIT = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "image_size": 32,
    "patch_size": 8,
}  # fmt: skip


def refused(folder: Path, part: str = "") -> str:
    with pytest.raises(UserError) as error:
        mt.load_subject(f"hf:{folder}{part}")
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_model_with_code_of_its_own(tmp_path: Path) -> None:
    told = {"model_type": "its-own", "auto_map": {"AutoConfig": "configuration.Mine", "AutoModel": "modeling.Mine"}}
    (tmp_path / "config.json").write_text(json.dumps(told))
    (tmp_path / "configuration.py").write_text("raise SystemExit('this code must never run')")
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert "needs code that comes with the model, which is not run" in refused(tmp_path)


def test_pictures_without_a_preprocessor(tmp_path: Path) -> None:
    saved(tmp_path, "ViTModel", VIT)
    message = refused(tmp_path)
    assert "has no preprocessor_config.json" in message and "module_subject(model, preprocess)" in message
    assert "has no tower called 'vision'" in refused(tmp_path, "#vision")


def test_weights_that_would_be_random(tmp_path: Path) -> None:
    saved(tmp_path, "ViTForImageClassification", {**VIT, "num_labels": 3})
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_processor_type": "ViTImageProcessor"}))
    file = tmp_path / "model.safetensors"
    state = {k: v for k, v in load_file(file).items() if not k.startswith("classifier")}
    save_file(state, file, metadata={"format": "pt"})
    assert "lacks weights (classifier.bias, classifier.weight), which would be random" in refused(tmp_path)


def test_a_masked_autoencoder_draws_at_random(tmp_path: Path) -> None:
    saved(tmp_path, "ViTMAEForPreTraining", {
        **VIT, "decoder_hidden_size": 16, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2,
        "decoder_intermediate_size": 16,
    })  # fmt: skip
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}})
    )
    assert "gives other values each time" in refused(tmp_path)


def test_sound_is_not_read(tmp_path: Path) -> None:
    saved(tmp_path, "Wav2Vec2Model", {
        "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "conv_dim": [8],
        "conv_stride": [2], "conv_kernel": [2], "num_conv_pos_embeddings": 2, "num_conv_pos_embedding_groups": 1,
        "num_feat_extract_layers": 1,
    })  # fmt: skip
    assert "reads input_values, neither text nor pictures" in refused(tmp_path)


def test_an_encoder_decoder_must_say_encoder(tmp_path: Path, byte_tokenizer: Any) -> None:
    saved(tmp_path, "T5ForConditionalGeneration", {
        "vocab_size": 262, "d_model": 16, "num_layers": 1, "num_heads": 2, "d_kv": 8, "d_ff": 16,
    })  # fmt: skip
    byte_tokenizer.save_pretrained(tmp_path)
    assert refused(tmp_path).endswith("study its encoder with  hf:" + tmp_path.name + "#encoder")


def test_one_block_run_many_times_has_no_layers(tmp_path: Path, byte_tokenizer: Any) -> None:
    saved(tmp_path, "AlbertForMaskedLM", {
        "vocab_size": 262, "hidden_size": 16, "embedding_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 24,
    })  # fmt: skip
    byte_tokenizer.save_pretrained(tmp_path)
    assert "has no list of 2 blocks" in refused(tmp_path)
