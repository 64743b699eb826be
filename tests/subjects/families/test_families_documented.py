"""The table of docs/models.md lists exactly the families that are tested, with their sites."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "models.md"
PARTS = ("vision", "timm", "towers", "text", "gguf")
HEAD = "| family | for example | sites | not read |\n|---|---|---|---|\n"


def families(part: str) -> dict[str, dict[str, Any]]:
    spec = importlib.util.spec_from_file_location(f"families_{part}", HERE / f"test_families_{part}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.FAMILIES


def table() -> str:
    rows = [(name, row) for part in PARTS for name, row in families(part).items()]
    lines = [f"| {name} | `{row['ids']}` | `{row['sites']}` | {row.get('not_read', '')} |\n" for name, row in rows]
    return HEAD + "".join(lines)


def test_the_table_lists_the_families_that_are_tested() -> None:
    found = table()
    assert found.count("\n") - 2 >= 60
    page = PAGE.read_text(encoding="utf-8")
    # write it again with:  python tests/subjects/families/test_families_documented.py
    assert found in page, "docs/models.md is not what is tested: run this file"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    start = text.find(HEAD)
    if start < 0:
        text = text.replace("TABLE\n", table())
    else:
        end = text.index("\n\n", start) + 1
        text = text[:start] + table() + text[end:]
    PAGE.write_text(text, encoding="utf-8")
