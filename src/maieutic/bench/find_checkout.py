"""Read a checkout of the FIND benchmark that the user brings: which functions it has, and their held-out inputs.

Nothing of FIND is part of this project (it states no licence). Understood is the layout of its repository, from the folder
above ``src`` or from ``src`` itself; ``find-dataset`` may also be the full data set unpacked there:

* ``find-dataset/<category>/fNNNNN/<file>``: a source that defines ``function``; ``numeric/func_name_dict.json`` names the file.
* string functions that have no folder: the ground truth that the notebook with example interpretations printed.
* numeric functions that have no folder: the recipe in ``numeric/data.json``, over the functions of the checkout's own
  ``make_numeric/math_functions.py``; that is the *clean* form, without the noise and corruption that the full set serves.
* held-out pairs of string functions: ``eval_data_strings.json``, ``unit_test_data.json``.

Only text is read here; ``find_sandbox`` runs it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from maieutic.bench.find_box import Kind
from maieutic.bench.find_sandbox import Code
from maieutic.errors import UsageError, UserError

Pair = tuple[str, str]
_NAME = re.compile(r"f\d{5}$")
_SHOWN = re.compile(r"^(f\d{5}) \n\n\*gt code:\*\n(.*?)\n\n?\*estimated description:\*", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FindFunction:
    """One function of the benchmark.

    Attributes:
        name: ``f00012``.
        source: ``folder``, ``notebook`` or ``recipe``: where its code came from.
        held_out: alternative sets of held-out pairs (string functions), the newest first. A checkout mixes releases, so a
            set belongs to the function only if the function reproduces it.
    """

    name: str
    kind: Kind
    code: Code
    source: str
    held_out: tuple[tuple[Pair, ...], ...] = ()


def read_checkout(path: str | Path, kind: Kind) -> list[FindFunction]:
    """The functions of a category, by name.

    Raises:
        UsageError: the folder is no checkout.
        UserError: a file in it cannot be read.
    """
    root = _root(Path(path).expanduser())
    return _strings(root) if kind == "strings" else _numeric(root)


def _root(path: Path) -> Path:
    """The folder that holds ``find-dataset``."""
    for root in (path, path / "src"):
        if _dataset(root) is not None:
            return root
    raise UsageError(
        f"{path} is no checkout of FIND (no find-dataset in it): get it from its authors' repository and give  --path DIR"
    )


def _dataset(root: Path) -> Path | None:
    return next((root / n for n in ("find-dataset", "find_dataset") if (root / n).is_dir()), None)


def _category(root: Path, name: Kind) -> Path:
    dataset = _dataset(root)
    assert dataset is not None
    return dataset / name


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): check out FIND again") from error


def _folders(category: Path, files: Mapping[str, str]) -> dict[str, Code]:
    """Functions that have a folder with a source in it."""
    found: dict[str, Code] = {}
    for folder in sorted(category.iterdir()) if category.is_dir() else ():
        if not _NAME.match(folder.name) or not folder.is_dir():
            continue
        names = (files.get(folder.name, "function_code.py"), "function_code.py")
        file = next((folder / n for n in names if (folder / n).is_file()), None)
        if file is not None:
            found[folder.name] = Code(
                source=file.read_text(encoding="utf-8", errors="replace"), file=str(file.resolve())
            )
    return found


# --- strings -------------------------------------------------------------------------------------------------------


def _strings(root: Path) -> list[FindFunction]:
    category = _category(root, "strings")
    held: list[dict[str, tuple[Pair, ...]]] = []
    for file in (root / "evaluate_interpretations/utils/eval_data_strings.json", category / "unit_test_data.json"):
        if file.is_file():
            held.append(_held_out(_json(file), file))
    codes = {name: ("notebook", code) for name, code in _shown(root).items()}
    codes |= {name: ("folder", code) for name, code in _folders(category, {}).items()}
    return [
        FindFunction(
            name=name, kind="strings", code=code, source=source,
            held_out=tuple(h[name] for h in held if name in h),
        )
        for name, (source, code) in sorted(codes.items())
    ]  # fmt: skip


def _held_out(rows: Any, file: Path) -> dict[str, tuple[Pair, ...]]:
    """Per function its own pair of each triplet: three inputs, three outputs, and which (from 1) is the function's."""
    try:
        return {
            str(row["name"]): tuple(
                (str(inputs[right - 1]), str(outputs[right - 1]))
                for (inputs, outputs), right in zip(row["test_vec"], row["correct_inx"], strict=True)
            )
            for row in rows
        }
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"{file} is not in FIND's format ({error!r}): check out FIND again") from error


def _shown(root: Path) -> dict[str, Code]:
    """Functions as the notebook of example interpretations printed them."""
    notebook = root / "notebooks/example_interpretations_strings.ipynb"
    if not notebook.is_file():
        return {}
    cells = cast("list[Mapping[str, Any]]", _json(notebook).get("cells", []))
    printed = "".join("".join(out.get("text", [])) for cell in cells for out in cell.get("outputs", []))
    head = "import numpy as np\n"
    return {
        m.group(1): Code(source=head + m.group(2), file=f"{notebook.name}#{m.group(1)}")
        for m in _SHOWN.finditer(printed)
    }


# --- numeric -------------------------------------------------------------------------------------------------------


def _numeric(root: Path) -> list[FindFunction]:
    category = _category(root, "numeric")
    named = category / "func_name_dict.json"
    files: Mapping[str, str] = _json(named) if named.is_file() else {}
    codes = {name: ("recipe", code) for name, code in _recipes(root, category).items()}
    codes |= {name: ("folder", code) for name, code in _folders(category, files).items()}
    return [
        FindFunction(name=name, kind="numeric", code=code, source=source)
        for name, (source, code) in sorted(codes.items())
    ]


def _recipes(root: Path, category: Path) -> dict[str, Code]:
    module, data = root / "make_functions/make_numeric/math_functions.py", category / "data.json"
    if not module.is_file() or not data.is_file():
        return {}
    source = module.read_text(encoding="utf-8", errors="replace")
    try:
        return {
            str(row["dir"]): Code(
                source=source, file=str(module.resolve()), spec={"name": row["name"], "params": row["params"]}
            )
            for row in _json(data)
        }
    except (KeyError, TypeError) as error:
        raise UserError(f"{data} is not in FIND's format ({error!r}): check out FIND again") from error
