"""A small real run to look at: a random two-layer Llama, two explainers, scored, swept by nobody."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.append(HERE)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory, model_folder: Path, jsonl: Path) -> Path:
    """A finished run of eight units, explained by two explainers and scored; read it, or copy it to write to it."""
    import torch

    from maieutic.campaign import RunPlan, create_run, explain_units, score_units
    from maieutic.lab import Budget

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("viewed") / "small"
    plan = RunPlan(subject=f"hf:{model_folder}", corpus=str(jsonl), sites=("layers.1.mlp",), sample=8, nulls=2)
    with create_run(folder, plan) as run:
        for explainer, budget in (("search-no-experiments", 0), ("search", 20)):
            explain_units(run, explainer=explainer, budget=Budget(measurements=budget))
            score_units(run, explainer=explainer)
    return folder


@pytest.fixture
def own_run(small_run: Path, tmp_path: Path) -> Path:
    """A copy of the small run that a test may change."""
    return Path(shutil.copytree(small_run, tmp_path / "small", ignore=shutil.ignore_patterns(".lock")))
