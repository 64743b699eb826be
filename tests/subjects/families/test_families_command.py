"""``maieutic models hf:FOLDER`` shows sites, and how pictures and texts are prepared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from maieutic.cli.models import models


def test_pictures_and_texts_are_told(
    save_model: Any, save_processor: Any, text_tokenizer: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    vit, bert = tmp_path / "vit", tmp_path / "bert"
    save_model({"model": "ViTModel", "config": {**small, "image_size": 32, "patch_size": 8}}, vit)
    save_processor("ViTImageProcessor", 32, vit)
    models(f"hf:{vit}")
    told = capsys.readouterr().out
    assert "hf:vit reads pictures, 4 sites" in told
    assert "pictures: RGB, resize to 32 x 32 (bilinear), / 255, minus (0.5, 0.5, 0.5), by (0.5, 0.5, 0.5)" in told
    assert [line.split()[0] for line in told.splitlines()[-4:]] == [
        "stem",
        "layers.0.attn",
        "layers.0.mlp",
        "layers.0.resid",
    ]
    models(f"hf:{vit}", as_json=True)
    assert [s["width"] for s in json.loads(capsys.readouterr().out)] == [16, 16, 24, 16]

    save_model(
        {"model": "BertForMaskedLM", "config": {**small, "vocab_size": 262, "max_position_embeddings": 64}}, bert
    )
    text_tokenizer("encoder").save_pretrained(bert)
    models(f"hf:{bert}")
    # 64 positions less [CLS], [SEP] and the mask that outputs ask for
    assert "texts: at most 61 tokens, special tokens of the tokenizer around every text" in capsys.readouterr().out
