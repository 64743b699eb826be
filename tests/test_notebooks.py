"""The notebooks of the documentation run from top to bottom, and were run before they were committed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
#: seconds that one cell may take on a busy machine
PATIENCE = 600


def read(path: Path) -> Any:
    import nbformat

    return nbformat.read(path, as_version=4)


def test_there_is_a_notebook_of_each_kind() -> None:
    assert [p.stem for p in NOTEBOOKS] == [
        "audit-an-explainer", "investigate-an-action", "language-neuron", "regularisation-study", "vision-neuron"
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.packaged
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_the_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbclient import NotebookClient

    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    kernels = tmp_path / "kernels" / "python3"
    kernels.mkdir(parents=True)
    # this very interpreter, whatever kernels the machine knows
    (kernels / "kernel.json").write_text(
        f'{{"argv": ["{sys.executable}", "-m", "ipykernel_launcher", "-f", "{{connection_file}}"], '
        '"display_name": "Python 3", "language": "python"}'
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    NotebookClient(
        read(path), timeout=PATIENCE, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_the_committed_notebook_was_run_and_has_no_error(path: Path) -> None:
    cells = [c for c in read(path).cells if c.cell_type == "code"]
    assert cells and all(c.execution_count == i for i, c in enumerate(cells, start=1))
    assert any(c.outputs for c in cells)
    assert not [o for c in cells for o in c.outputs if o.output_type == "error"]
    # pictures are those of packages, which are not ours to pass on
    assert not [o for c in cells for o in c.outputs for kind in o.get("data", {}) if kind.startswith("image/")]
    assert path.stat().st_size < 100_000
    assert "/home/" not in path.read_text(encoding="utf-8") and "/tmp/" not in path.read_text(encoding="utf-8")
