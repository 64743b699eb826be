"""The documentation tells the truth: links resolve, commands exist, marked Python runs."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_spec = importlib.util.spec_from_file_location("check_docs", ROOT / "scripts" / "check_docs.py")
assert _spec is not None and _spec.loader is not None
check_docs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(check_docs)

#: Python in the documentation that stands after this comment is run as it is.
RUNNABLE = re.compile(r"<!-- runnable -->\s*```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
SNIPPETS = [(page, code) for page in check_docs.pages() for code in RUNNABLE.findall(page.read_text(encoding="utf-8"))]
COMMANDS = sorted({(page.name, line) for page in check_docs.pages() for line in check_docs.commands(page)})


def test_relative_links_and_anchors_resolve() -> None:
    assert [line for page in check_docs.pages() for line in check_docs.broken_links(page)] == []


def test_the_checker_sees_a_broken_link_and_a_broken_anchor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_docs, "ROOT", tmp_path)
    page = tmp_path / "a.md"
    page.write_text(
        "# One *two*\n[ok](a.md#one-two) [no](b.md) [bad](#three) [web](https://x.org)\n```\n[in](code.md)\n```\n"
    )
    assert list(check_docs.broken_links(page)) == ["a.md: no file b.md", "a.md: no heading for #three"]


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_documented_commands_exist_with_their_options(page: str, line: str) -> None:
    assert check_docs.wrong_command(line) is None, f"{page}: {line}"


@pytest.mark.slow
@pytest.mark.parametrize(("page", "code"), SNIPPETS, ids=lambda v: v.name if isinstance(v, Path) else "code")
def test_marked_python_runs(page: Path, code: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{page.name}:\n{code}\n{done.stderr}"
