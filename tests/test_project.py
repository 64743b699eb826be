"""Rules of the project that no tool checks: light imports, documented modules, one version, pinned dependencies."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "src" / "maieutic").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Modules over 500 lines, each with the reason why it is still one room.
LONG: dict[str, str] = {}


def _loaded(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('LOADED', *sys.modules)"],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split("LOADED", 1)[1].split())


def test_importing_maieutic_does_not_import_torch() -> None:
    assert not _loaded("import maieutic") & {"torch", "transformers", "sklearn", "scipy"}


def test_help_does_not_import_torch() -> None:
    code = "import sys; sys.argv = ['maieutic', '--help']\nfrom maieutic.cli import main\n"
    code += "try: main()\nexcept SystemExit as end: assert not end.code, end"
    assert not _loaded(code) & {"torch", "transformers", "sklearn", "scipy"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT / "src")))
def test_a_module_says_what_it_is_and_is_one_room(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    if source.strip():
        assert ast.get_docstring(ast.parse(source)), "no module docstring"
    assert len(source.splitlines()) <= 500 or path.name in LONG


def test_every_dependency_is_pinned_exactly_and_torch_without_a_build_suffix() -> None:
    lines = [ln for ln in (ROOT / "constraints.txt").read_text().splitlines() if ln and not ln.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", ln) for ln in lines), lines
    pinned = {re.sub(r"[._-]+", "-", ln.split("==")[0]).lower() for ln in lines}
    installed = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    installed += PROJECT["optional-dependencies"]["demo"]
    names = {re.sub(r"[._-]+", "-", re.match(r"[A-Za-z0-9._-]+", d).group()).lower() for d in installed}  # type: ignore[union-attr]
    assert names <= pinned, names - pinned


def test_the_version_is_said_once_and_in_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {PROJECT['version']}" in changelog


def test_missing_extra_messages_name_extras_that_exist() -> None:
    named = {m for p in MODULES for m in re.findall(r"""extra=["'](\w+)["']""", p.read_text(encoding="utf-8"))} - {
        "forbid",
        "ignore",
    }
    assert named <= set(PROJECT["optional-dependencies"]), named


def test_no_file_names_a_path_of_one_machine() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    here = re.compile(rf"{re.escape(str(Path.home()))}/|{re.escape(str(ROOT))}/")
    texts = {n: (ROOT / n).read_text(encoding="utf-8", errors="ignore") for n in tracked if (ROOT / n).is_file()}
    assert [n for n, text in texts.items() if here.search(text)] == []
