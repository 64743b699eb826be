"""The FIND adapter on a tiny made-up checkout in the same layout: own functions, own held-out pairs, nothing of FIND."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.bench import find_steps as steps
from maieutic.bench import run_bench
from maieutic.bench.find import nmse, run_find, scored, untried
from maieutic.bench.find_box import BoxLab, Failed, Program, explain_box
from maieutic.bench.find_checkout import read_checkout
from maieutic.bench.find_sandbox import Code, Sandbox
from maieutic.bench.find_search import PROBES, chained, solutions
from maieutic.cli.main import run as cli
from maieutic.errors import BudgetExhaustedError, UsageError, UserError

STRINGS: dict[str, tuple[str, Callable[[str], str]]] = {
    "f00000": ("return s[::-1]", lambda s: s[::-1]),
    "f00001": ("return s.replace('o', 'U') + 'qq'", lambda s: s.replace("o", "U") + "qq"),
    "f00002": ("return str(sum(map(ord, s)) % 97)", lambda s: str(sum(map(ord, s)) % 97)),
}
HELD_OUT = [f"made up {w} {i}" for i, w in enumerate("oak Stone river moon tooth Echo wool cloud hook zero".split())]  # noqa: SIM905
MODULE = """
import numpy as np
def line(a, b, x): return a * x + b
def bend(a, x): return a * np.abs(x)
def fixed_fct(a, x): return a + 0 * x
def sum_two(f, g, x): return f(x) + g(x)
"""
RECIPES = [
    {"dir": "f00000", "name": "line((2.0, -3.0))", "params": [2.0, -3.0]},
    {"dir": "f00001", "name": "bend;line;sum_two((4.0,), (0.5, 1.0))", "params": [[4.0], [0.5, 1.0]]},
    {"dir": "f00002", "name": "fixed(7)", "params": 7},
]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two string functions with folders, one in the notebook; numeric ones by recipe and one with a folder."""
    root = tmp_path_factory.mktemp("checkout")
    src = root / "src"
    rows = []
    printed = ""
    for name, (body, function) in STRINGS.items():
        source = f"def function(s):\n    {body}\n\nif __name__ == '__main__':\n    raise SystemExit('not run')\n"
        if name == "f00001":
            code = f"def function(s):\n    {body}"
            printed = f"{name} \n\n*gt code:*\n \n\n\n{code}\n\n \n\n*estimated description:*\n it does something\n\n"
        else:
            _write(src / f"find-dataset/strings/{name}/function_code.py", source)
        vectors = [[[h, "decoy", "other"], [function(h), "x", "y"]] for h in HELD_OUT[:5]]
        vectors += [[["decoy", "other", h], ["x", "y", function(h)]] for h in HELD_OUT[5:]]
        rows.append({"name": name, "test_vec": vectors, "correct_inx": [1] * 5 + [3] * 5})
    _write(src / "evaluate_interpretations/utils/eval_data_strings.json", json.dumps(rows))
    notebook = {
        "cells": [{"cell_type": "code", "source": [], "outputs": [{"output_type": "stream", "text": [printed]}]}]
    }
    _write(src / "notebooks/example_interpretations_strings.ipynb", json.dumps(notebook))
    _write(src / "make_functions/make_numeric/math_functions.py", MODULE)
    _write(src / "find-dataset/numeric/data.json", json.dumps(RECIPES))
    _write(src / "find-dataset/numeric/func_name_dict.json", json.dumps({"f00009": "served.py"}))
    _write(
        src / "find-dataset/numeric/f00009/served.py", "import math\n\ndef function(x):\n    return 3 * math.sqrt(x)\n"
    )
    return root


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One process for all tests: starting it takes a second or two."""
    with Sandbox(seconds=1, memory=1 << 30) as running:
        yield running


# --- the checkout and the process ----------------------------------------------------------------------------------


def test_the_layout_is_read_from_the_folder_or_its_src(checkout: Path) -> None:
    for path in (checkout, checkout / "src"):
        strings, numeric = read_checkout(path, "strings"), read_checkout(path, "numeric")
        assert [(f.name, f.source) for f in strings] == [
            ("f00000", "folder"), ("f00001", "notebook"), ("f00002", "folder"),
        ]  # fmt: skip
        assert [(f.name, f.source) for f in numeric] == [
            ("f00000", "recipe"), ("f00001", "recipe"), ("f00002", "recipe"), ("f00009", "folder"),
        ]  # fmt: skip
        assert strings[0].held_out == (tuple((h, h[::-1]) for h in HELD_OUT),)


def test_functions_run_elsewhere_and_errors_are_outputs(checkout: Path, sandbox: Sandbox) -> None:
    names = {f.name: f for f in read_checkout(checkout, "numeric")}
    call = lambda name, xs: sandbox.call(names[name].code, xs, kind="numeric")  # noqa: E731
    assert call("f00000", [0.5, 2.0]) == [-2.0, 1.0]  # 2 x - 3
    assert call("f00001", [-2.0, 2.0]) == [8.0, 10.0]  # 4 |x| + 0.5 x + 1
    assert call("f00002", [1.5]) == [7.0]
    root, failed = call("f00009", [4.0, -1.0])
    assert root == 6.0
    assert isinstance(failed, Failed)
    assert "ValueError" in failed.why


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def function(s):\n    while True: pass", "longer than"),
        ("def function(s):\n    return 'x' * (1 << 40)", ""),
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("def other(s): return s", "KeyError"),
        ("def function(s: return", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("import os\nos._exit(1)", "ended early"),
    ],
)
def test_functions_that_misbehave_are_errors_and_the_next_one_runs(source: str, told: str, sandbox: Sandbox) -> None:
    try:
        (output,) = sandbox.call(Code(source=source), ["a"], kind="strings")
        assert isinstance(output, Failed)  # a MemoryError inside one call
    except UserError as error:
        assert told in str(error)
    assert sandbox.call(Code(source="def function(s): return s * 2"), ["ab"], kind="strings") == ["abab"]


def test_functions_see_no_environment_and_write_no_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOME_API_KEY", "secret")
    peek = "import os\ndef function(s): return str('SOME_API_KEY' in os.environ)"
    target = tmp_path / "written.txt"
    write = (
        f"def function(s):\n    with open({str(target)!r}, 'w') as f:\n        f.write('x' * 10000)\n    return 'done'"
    )
    with Sandbox(seconds=5) as running:
        assert running.call(Code(source=peek), [""], kind="strings") == ["False"]
        try:
            (output,) = running.call(Code(source=write), [""], kind="strings")
            assert isinstance(output, Failed)
        except UserError as error:
            assert "ended early" in str(error)
    assert not target.exists() or target.stat().st_size == 0


def test_strings_of_any_script_pass_through(sandbox: Sandbox) -> None:
    inputs = ["", "naïve café", "日本語", "🙂\n\t'\"\\", "\u202etest"]
    assert sandbox.call(Code(source="def function(s): return s"), inputs, kind="strings") == inputs


# --- programs ------------------------------------------------------------------------------------------------------


def found(function: Callable[[str], str]) -> Callable[[str], str] | None:
    pairs = []
    for probe in (*PROBES, *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"):
        try:
            pairs.append((probe, function(probe)))
        except IndexError:
            continue
    program = next(solutions(pairs), None)
    return None if program is None else chained(program)


@pytest.mark.parametrize(
    "function",
    [
        lambda s: s,
        lambda s: s[::-1].upper(),
        lambda s: s.replace("k", "B")[::2],
        lambda s: (s + "Wq")[::-1],
        lambda s: " ".join(w.capitalize() for w in s.split()) + "!",
        lambda s: s[: len(s) // 2] + "7" + s[len(s) // 2 :].swapcase(),
        lambda s: "always",
        lambda s: s[3:] + s[:3],
        lambda s: s + s[-1],
    ],
)
def test_programs_are_found_and_hold_on_strings_not_probed(function: Callable[[str], str]) -> None:
    program = found(function)
    if "7" in function("abCD"):  # case is swapped in the second half only: beyond the language
        assert program is None
        return
    assert program is not None
    for text in (*HELD_OUT, "An unseen KEBAB line with 42 marks?!", "Zk"):
        assert program(text) == function(text)


def test_what_has_no_short_program_is_not_explained() -> None:
    assert found(STRINGS["f00002"][1]) is None


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40))
def test_steps_keep_their_laws_on_any_text(text: str) -> None:
    ascii_text = text.encode("ascii", "ignore").decode()
    assert steps.rotate_letters(26).run(text) == text
    assert steps.rotate_letters(-3).run(steps.rotate_letters(3).run(ascii_text)) == ascii_text
    assert steps.roll(2).run(steps.roll(-2).run(text)) == text or len(text) < 2
    assert steps.drop_head(2).run(text) == text[2:]
    assert steps.append("x").run(text).removesuffix("x") == text
    assert len(steps.each_times(3).run(text)) == 3 * len(text)


class Box:
    """A Python function as a black box."""

    def __init__(self, function: Callable[[Any], Any], kind: Any = "numeric") -> None:
        self.function, self.kind, self.name = function, kind, "box"

    def call(self, inputs: Any, /) -> list[Any]:
        out: list[Any] = []
        for value in inputs:
            try:
                out.append(self.function(value))
            except Exception as error:
                out.append(Failed(str(error)))
        return out


@pytest.mark.parametrize(
    ("function", "word"),
    [
        (lambda x: 3.0 * x - 2.0, "x^1"),
        (lambda x: 0.5 * x**3 - x + 4.0, "x^3"),
        (lambda x: 5.0 * abs(x) + 1.0, "|x|"),
        (lambda x: 7.0 * math.sin(2 * math.pi * (x - 1.3) / 3.7) + 2.0, "sin"),
        (lambda x: 4.0 * math.log(x) - 9.0, "log x"),
        (lambda x: math.floor(x) * 2.0, "ceil"),  # ceil x - 1: the same off the whole numbers
        (lambda x: 1.0 / (0.3 * x), "1/x"),
        (lambda x: 2.0 * math.exp(-0.5 * ((x - 3.0) / 4.0) ** 2), "bell"),
        (lambda x: (2.0 * x + 1.0) * (3.0 if x > 0 else -1.0), "step"),
        (lambda x: 6.0 * x**0.5 - 3.0, "root 2"),  # complex below 0
    ],
)
def test_formulas_are_found(function: Callable[[float], Any], word: str) -> None:
    program = explain_box(BoxLab(box=Box(function)))
    assert word in program.label
    truth = []
    for i in range(-128, 128):
        try:
            truth.append((i + 0.5, complex(function(i + 0.5))))
        except ValueError:
            continue
    error = nmse(program, truth)
    assert error is not None
    assert error < 1e-3


def test_numbers_without_a_formula_are_not_explained() -> None:
    program = explain_box(BoxLab(box=Box(lambda x: float(int.from_bytes(str(x).encode()[:6], "big") * 7919 % 1009))))
    assert program.abstained
    assert "library" in (program.reason or "")
    assert explain_box(BoxLab(box=Box(lambda x: 1 / 0))).abstained


def test_protocol_by_hand() -> None:
    truth = [("a", "b"), ("c", "d"), ("e", "f"), ("g", "h")]
    half = Program(label="", predict=lambda s: {"a": "b", "c": "d"}[s], explainer="x")
    reading, whole = scored(half, truth, "strings")  # two of four right; two raise, which is no output
    assert (reading.value, whole) == (0.5, False)
    # squared errors 1 + 4 over squared truths 9 + 16: 0.2
    two = Program(label="", predict=lambda x: {0.5: 4.0, 1.5: 2.0}[x], explainer="x")
    assert nmse(two, [(0.5, 3 + 0j), (1.5, 4 + 0j)]) == pytest.approx(0.2)
    assert scored(two, [(0.5, 3 + 0j), (1.5, 4 + 0j)], "numeric")[0].value == 0.0
    assert scored(two, [(0.5, 4 + 0j), (1.5, 2 + 0j)], "numeric")[0].value == 1.0
    for bad in (math.nan, math.inf, "text", None):
        assert nmse(Program(label="", predict=lambda x, b=bad: b, explainer="x"), [(0.5, 1 + 0j)]) is None
    assert nmse(Program(label="", predict=lambda x: 0.0, explainer="x"), [(0.5, 0j)]) == 0.0


def test_the_budget_holds_and_is_counted() -> None:
    lab = BoxLab(box=Box(lambda x: x), budget=3)
    lab.call([1.0, 2.0])
    with pytest.raises(BudgetExhaustedError, match="1 left of 3"):
        lab.call([3.0, 4.0])
    assert lab.tried == [(1.0, 1.0), (2.0, 2.0)]
    for name in ("search", "constant", "table"):
        assert len((lab := BoxLab(box=Box(lambda x: x), budget=5)).tried) == 0
        explain_box(lab, name)
        assert len(lab.tried) <= 5


# --- the bench -----------------------------------------------------------------------------------------------------


def test_the_bench_on_the_checkout(checkout: Path) -> None:
    result = run_find(path=checkout, explainers=("search", "identity", "lookup"))
    value = {name: f.reading.value for name, f in result.figures.items()}
    assert value["strings.search.exact"] == pytest.approx(2 / 3)  # two of three have a short program
    assert value["strings.search.exact_when_answered"] == 1.0
    assert value["strings.search.answered"] == pytest.approx(2 / 3)
    assert value["numeric.search.nmse_below_0.1"] == 1.0
    assert value["strings.identity.exact"] == 0.0
    # an explainer of activations abstains: it matches nothing, and what it would match when answering is unmeasured
    assert value["strings.lookup.exact"] == 0.0
    assert result.figures["strings.lookup.exact_when_answered"].reading.reason == "it answered nothing"
    again = run_find(path=checkout, explainers=("search", "identity", "lookup"))
    assert [dict(r, seconds=0) for r in again.rows] == [dict(r, seconds=0) for r in result.rows]


def test_any_callable_explains_and_one_that_raises_has_abstained(checkout: Path) -> None:
    def backwards(lab: BoxLab) -> Program:
        lab.call(["abc"])
        return Program(label="backwards", predict=lambda s: s[::-1], explainer="backwards", calls=len(lab.tried))

    def broken(lab: BoxLab) -> Program:
        raise RuntimeError("no idea")

    result = run_find(path=checkout, modality="strings", explainers=(backwards, broken))
    assert result.figures["strings.backwards.all_held_out"].reading.value == pytest.approx(1 / 3)
    assert result.figures["strings.broken.answered"].reading.value == 0.0
    assert any("RuntimeError: no idea" in str(r["why"]) for r in result.rows)


def test_a_function_of_another_release_is_unmeasured_and_counted(checkout: Path, tmp_path: Path) -> None:
    import shutil

    other = tmp_path / "mixed"
    shutil.copytree(checkout, other)
    _write(other / "src/find-dataset/strings/f00000/function_code.py", "def function(s): return s + s\n")
    _write(other / "src/find-dataset/strings/f00002/function_code.py", "def function(s): raise SystemExit\n")
    figures = run_find(path=other, modality="strings", explainers=("search",)).figures
    assert figures["strings.search.exact"].reading.details["unmeasured"] == {
        "the function does not give its held-out outputs (another release)": 1,
        **{k: 1 for k in figures["strings.search.exact"].reading.details["unmeasured"] if "SystemExit" in k},
    }
    assert figures["strings.search.testable"].reading.value == pytest.approx(1 / 3)
    assert figures["strings.search.exact"].reading.value == 1.0  # of the one that can be tested


def test_without_a_checkout(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli(["bench", "find"]) == 2
    assert "--path DIR" in capsys.readouterr().err
    assert cli(["bench", "find", "--path", str(tmp_path)]) == 2
    assert "no checkout of FIND" in capsys.readouterr().err
    with pytest.raises(UsageError, match="--modality"):
        run_bench("find", path=tmp_path, modality="image")


def test_a_broken_checkout_says_which_file(checkout: Path, tmp_path: Path) -> None:
    import shutil

    other = tmp_path / "broken"
    shutil.copytree(checkout, other)
    (other / "src/evaluate_interpretations/utils/eval_data_strings.json").write_text("[{")
    with pytest.raises(UserError, match="eval_data_strings.json"):
        run_find(path=other, modality="strings")
    (other / "src/evaluate_interpretations/utils/eval_data_strings.json").write_text('[{"name": "f00000"}]')
    with pytest.raises(UserError, match="format"):
        run_find(path=other, modality="strings")


def test_the_command_prints_the_contract(checkout: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = [
        "bench",
        "find",
        "--path",
        str(checkout),
        "--modality",
        "strings",
        "--json",
        "--out",
        str(tmp_path / "o"),
    ]
    assert cli(arguments) == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == {"bench", "seed", "versions", "machine", "seconds", "figures", "met"}
    assert set(printed["figures"]["strings.search.exact"]) >= {"value", "low", "high", "n", "target", "met"}


def test_inputs_that_the_explainer_tried_are_not_held_out() -> None:
    lab = BoxLab(box=Box(str.upper, "strings"))
    lab.call(["a", "b"])
    assert untried([("a", "A"), ("c", "C")], lab) == [("c", "C")]
    assert isinstance(untried([("a", "A")], lab), str)
