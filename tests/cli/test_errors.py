"""Bad input on the command line: one line, what to do, the right exit code, nothing lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from maieutic.cli.main import run as cli


def failed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and the error line of a command that must fail with exactly one line and no traceback."""
    code = cli(list(arguments))
    error = capsys.readouterr().err
    lines = [line for line in error.splitlines() if line.startswith("maieutic: ")]
    assert "Traceback" not in error
    assert len(lines) == 1, error
    return code, lines[0]


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    file = tmp_path / "my.jsonl"
    file.write_text("".join(json.dumps({"text": f"text number {i} of several words"}) + "\n" for i in range(12)))
    return str(file)


def harvest(
    corpus: str, run: Path, *more: str, model: str = "smollm2-135m", site: str = "layers.0.mlp"
) -> tuple[str, ...]:
    return ("harvest", model, "--corpus", corpus, "--site", site, "--run", str(run), *more)


def test_a_wrong_model_name(capsys: pytest.CaptureFixture[str], corpus: str, tmp_path: Path) -> None:
    code, line = failed(capsys, *harvest(corpus, tmp_path / "r", model="smolm2"))
    assert code == 2
    assert "did you mean 'smollm2-135m'" in line
    assert not (tmp_path / "r").exists()


def test_a_missing_extra(capsys: pytest.CaptureFixture[str], corpus: str, tmp_path: Path) -> None:
    pytest.importorskip("maieutic")
    try:
        import timm  # noqa: F401
    except ImportError:
        code, line = failed(capsys, "models", "timm:resnet18")
        assert code == 1
        assert "pip install 'maieutic[timm]'" in line
    else:
        pytest.skip("timm is installed here")


def test_a_folder_that_is_no_model(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, line = failed(capsys, "models", f"hf:{tmp_path / 'empty'}")
    assert code in (1, 2)
    assert "config.json" in line or "not" in line


def test_a_pickled_model_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02}q\x00.")
    code, line = failed(capsys, "models", f"hf:{folder}")
    assert code in (1, 2)
    assert "safetensors" in line


@pytest.mark.packaged
@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("empty.jsonl", b"", "empty"),
        ("empty.txt", b"   \n", "empty"),
        ("binary.txt", bytes(range(256)) * 20, "text"),
        ("wrong.jsonl", b'{"body": "no text field"}\n', "text"),
        ("broken.jsonl", b'{"text": "fine"}\n{"text": \n', "2"),
    ],
)
def test_a_bad_text_corpus(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    (tmp_path / name).write_bytes(content)
    code, line = failed(capsys, *harvest(str(tmp_path / name), tmp_path / "r"))
    assert code in (1, 2)
    assert told in line
    assert not (tmp_path / "r").exists()


def test_a_corpus_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path, model_folder: Path) -> None:
    code, line = failed(capsys, *harvest(str(tmp_path / "none.jsonl"), tmp_path / "r", model=f"hf:{model_folder}"))
    assert code in (1, 2)
    assert "none.jsonl" in line


@pytest.mark.packaged
def test_unreadable_images(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(3):
        (folder / f"{i}.png").write_bytes(b"not an image")
    arguments = ("--site", "blocks.0.out", "--run", str(tmp_path / "r"))
    code, line = failed(capsys, "harvest", "efficientnet-lite0", "--corpus", str(folder), *arguments)
    assert code in (1, 2)
    assert "image" in line
    for i in range(6):
        Image.effect_noise((64, 64), 20 + 30 * i).convert("RGB").save(folder / f"good{i}.png")
    sizes = ("--sample", "2", "--nulls", "0")
    assert cli(["harvest", "efficientnet-lite0", "--corpus", str(folder), *arguments, *sizes]) == 0
    told = capsys.readouterr()
    assert "0.png" in told.err  # what was skipped is said


def test_a_wrong_site(capsys: pytest.CaptureFixture[str], tmp_path: Path, corpus: str, model_folder: Path) -> None:
    code, line = failed(capsys, *harvest(corpus, tmp_path / "r", model=f"hf:{model_folder}", site="layers.1.mpl"))
    assert code == 2
    assert "did you mean 'layers.1.mlp'" in line


def test_no_units(capsys: pytest.CaptureFixture[str], tmp_path: Path, corpus: str, model_folder: Path) -> None:
    code, line = failed(capsys, *harvest(corpus, tmp_path / "r", "--sample", "0", model=f"hf:{model_folder}"))
    assert code == 2
    assert "--sample" in line
    code, line = failed(
        capsys, *harvest(corpus, tmp_path / "r", "--units", "layers.0.mlp/9999", model=f"hf:{model_folder}")
    )
    assert code == 2
    assert "units 0 to 23" in line


def test_a_folder_with_other_files(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, corpus: str, model_folder: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    code, line = failed(capsys, *harvest(corpus, tmp_path / "mine", model=f"hf:{model_folder}"))
    assert code == 1
    assert "empty folder" in line
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "x"


def test_verbs_on_what_is_no_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for verb in ("explain", "score", "report"):
        code, line = failed(capsys, verb, str(tmp_path / "nothing"))
        assert code == 1
        assert "not a maieutic run" in line


def test_wrong_names_of_explainer_and_bench(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, line = failed(capsys, "explain", str(tmp_path), "--explainer", "serch")
    assert code == 2
    assert "did you mean 'search'" in line
    code, line = failed(capsys, "bench", "plantd")
    assert code == 2
    assert "planted" in line


def test_unknown_options_are_usage_errors() -> None:
    assert cli(["demo", "--no-such-option"]) == 2
    assert cli(["no-such-verb"]) == 2


@pytest.mark.skipif(not os.path.isdir("/sys"), reason="needs a folder where nobody may write")
def test_a_folder_that_cannot_be_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, corpus: str, model_folder: Path
) -> None:
    # root writes into read-only folders; into sysfs nobody does
    code, line = failed(capsys, *harvest(corpus, Path("/sys/maieutic-run"), model=f"hf:{model_folder}"))
    assert code == 1
    assert "cannot write" in line
    assert "--run" in line
    (tmp_path / "file").write_text("x")
    code, line = failed(capsys, *harvest(corpus, tmp_path / "file" / "run", model=f"hf:{model_folder}"))
    assert code == 1


@pytest.mark.slow
def test_a_full_disk(tmp_path: Path, corpus: str, model_folder: Path) -> None:
    """A file-size limit stands in for a full disk (both surface as a failed write); nothing half written stays."""
    import resource
    import shlex

    command = shlex.join(
        [sys.executable, "-m", "maieutic", *harvest(corpus, tmp_path / "r", "--nulls", "0", model=f"hf:{model_folder}")]
    )
    done = subprocess.run(
        ["bash", "-c", f"trap '' XFSZ; {command}"], capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "maieutic: " in done.stderr
    assert "Traceback" not in done.stderr
    again = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr


def test_help_is_quick_and_without_torch() -> None:
    program = (
        "import sys; from maieutic.cli.main import run; run(['--help']); "
        "print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False False"
    for verb in ("demo", "models", "harvest", "explain", "score", "report", "bench", "fetch", "store"):
        assert verb in done.stdout


def test_a_demo_without_its_data_says_so_once_a_model(tmp_path: Path) -> None:
    """Nothing cached, nothing to fetch with: both models are named, and the command fails in one last line."""
    environment = {**os.environ, "MAIEUTIC_CACHE": str(tmp_path / "cache"), "MAIEUTIC_OFFLINE": "1", "PATH": "/nowhere"}
    environment["PIP_NO_INDEX"] = "1"
    environment.pop("PIP_FIND_LINKS", None)
    done = subprocess.run(
        [sys.executable, "-m", "maieutic", "demo", "--run", str(tmp_path / "demo")],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert any(line.startswith("efficientnet-lite0: ") for line in lines)
    assert any(line.startswith("smollm2-135m: ") for line in lines)
    assert lines[-1].startswith("maieutic: neither model")
