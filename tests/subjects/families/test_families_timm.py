"""Families of timm, in a process of their own that has timm and torchvision on its path (scripts/timm_folder.sh)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
FOLDER = Path(os.environ.get("MAIEUTIC_TIMM", ROOT / ".venv" / "timm"))
missing = pytest.mark.skipif(not (FOLDER / "timm").is_dir(), reason="no folder with timm; run  scripts/timm_folder.sh")
STAGES = "stem, stages.I.blocks.J"
ENDS = "pooled, logits"

FAMILIES: dict[str, dict[str, Any]] = {
    "timm ResNet": {"ids": "timm:resnet50.a1_in1k", "name": "test_resnet", "args": {"num_classes": 7}, "file": True,
                    "sites": f"{STAGES}, stages.I.blocks.J.actK, {ENDS}"},
    "timm ConvNeXt": {"ids": "timm:convnext_tiny.in12k", "name": "test_convnext", "side": 64,
                      "sites": f"{STAGES}, stages.I.blocks.J.mlp, {ENDS}", "last": ["mlp"]},
    "timm ViT": {"ids": "timm:vit_base_patch16_224.augreg_in21k", "name": "test_vit", "args": {"img_size": 64}, "side": 64,
                 "sites": f"stem, layers.N.{{attn,mlp,resid}}, {ENDS}"},
    "timm DeiT": {"ids": "timm:deit_base_distilled_patch16_224.fb_in1k", "name": "deit_tiny_distilled_patch16_224",
                  "args": {"img_size": 32, "embed_dim": 24, "depth": 2, "num_heads": 2, "num_classes": 5},
                  "sites": "stem, layers.N.{attn,mlp,resid}"},
    "timm Swin": {"ids": "timm:swin_tiny_patch4_window7_224.ms_in1k", "name": "swin_tiny_patch4_window7_224",
                  "args": {"img_size": 32, "window_size": 2, "embed_dim": 12, "depths": [1, 2], "num_heads": [2, 2],
                           "num_classes": 5},
                  "sites": f"{STAGES}.{{mlp,resid}}, {ENDS}", "last": ["mlp", "resid", "stem"]},
    "timm EfficientNet": {"ids": "timm:efficientnet_b0.ra_in1k", "name": "test_efficientnet", "side": 64,
                          "sites": f"{STAGES}, stages.I.blocks.J.{{actK,mlp}}, {ENDS}"},
    "timm MobileNetV3": {"ids": "timm:mobilenetv3_small_100.lamb_in1k", "name": "mobilenetv3_small_050", "side": 64,
                         "args": {"num_classes": 5}, "sites": f"{STAGES}, stages.I.blocks.J.{{actK,mlp}}, {ENDS}"},
    "timm MLP-Mixer": {"ids": "timm:mixer_b16_224.goog_in21k", "name": "mixer_s32_224", "args": {"img_size": 64},
                       "sites": f"stem, blocks.N, blocks.N.{{actK,mlp}}, {ENDS}"},
    "timm RegNet": {"ids": "timm:regnety_032.ra_in1k", "name": "regnetx_002", "side": 64, "args": {"num_classes": 5},
                    "sites": f"{STAGES}, stages.I.blocks.J.actK, {ENDS}"},
    "timm DenseNet": {"ids": "timm:densenet121.ra_in1k", "name": "densenet121", "side": 64,
                      "args": {"growth_rate": 8, "block_config": [2, 2], "num_classes": 5},
                      "sites": f"stages.I.blocks.J, stages.I.blocks.J.actK, {ENDS}"},
    "timm MaxViT": {"ids": "timm:maxvit_tiny_tf_224.in1k", "name": "test_maxvit", "args": {"num_classes": 5},
                    "sites": f"{STAGES}.{{attn,mlp,resid}}, {ENDS}", "last": ["attn"]},
    "timm MambaOut": {"ids": "timm:mambaout_tiny.in1k", "name": "test_mambaout", "side": 96,
                      "sites": f"{STAGES}, stages.I.blocks.J.{{actK,mlp}}, {ENDS}", "last": [""]},
}  # fmt: skip


@missing
@pytest.mark.slow
def test_every_family_of_timm(tmp_path: Path) -> None:
    command = [sys.executable, str(Path(__file__).with_name("timm_check.py")), json.dumps(FAMILIES), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(FOLDER), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    wrong = {t["family"]: t["why"] for t in told if t["why"]}
    assert not wrong, "\n".join(f"--- {f}\n{w}" for f, w in wrong.items())
    assert [t["family"] for t in told] == list(FAMILIES)


@missing
@pytest.mark.slow
def test_a_torchvision_that_does_not_load_is_one_line(tmp_path: Path) -> None:
    """Without the declarations: what a user with this pair of packages sees."""
    program = (
        "import maieutic as mt\n"
        "try:\n    mt.load_subject('timm:resnet18')\n"
        "except Exception as e:\n    print(type(e).__name__, e)"
    )
    environment = {**os.environ, "PYTHONPATH": str(FOLDER), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    (line,) = done.stdout.strip().splitlines()
    if "nms" not in line:
        pytest.skip("torchvision loads here")
    assert line.startswith("UserError timm:resnet18: timm needs torchvision")
    assert "pip install torch torchvision" in line
