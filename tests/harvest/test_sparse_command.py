"""``maieutic harvest --sparse``: the store it leaves, against the values that the model gives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import maieutic as mt
from maieutic.cli.main import run as cli
from maieutic.harvest import SparseStore

SITE = "layers.0.mlp"


def test_the_command_keeps_every_non_zero(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model_folder: Path, jsonl: Path
) -> None:
    run = str(tmp_path / "r")
    named = ["harvest", f"hf:{model_folder}", "--corpus", str(jsonl), "--site", SITE, "--nulls", "0", "--sample", "1"]
    assert cli([*named, "--run", run, "--sparse", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    store = SparseStore.open(Path(told["sparse"]))
    subject, corpus = mt.load_subject(f"hf:{model_folder}"), mt.load_corpus(str(jsonl))
    unit = subject.unit(SITE, 3)
    found = store.read(unit)
    for stimulus in sorted(set(store.stimulus.tolist()))[:10]:
        values = subject.read([corpus[stimulus].content], [unit])[0][:, 0]
        here = found.stimulus == stimulus
        assert found.position[here].tolist() == np.flatnonzero(values).tolist()
        assert found.value[here].tobytes() == values[values != 0].tobytes()
    # the same run without the option is another harvest
    assert cli([*named, "--run", run]) == 1
    assert "other settings" in capsys.readouterr().err
