"""``maieutic study bias``: options, files and errors, on a small subject of our own."""

from __future__ import annotations

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from maieutic.cli.bias import EXAMPLE, bias
from maieutic.errors import UsageError, UserError
from maieutic.subjects import function_subject

app = typer.Typer()
app.command(epilog=EXAMPLE)(bias)


def rule(texts):
    """Two for a women's name, and a small accident of each text."""
    return [2.0 * ("Mary" in t) + float(np.random.default_rng(list(t.encode())).uniform(-0.1, 0.1)) for t in texts]


@pytest.fixture
def prompts(tmp_path):
    rows = [
        {"prompt": f"{name} says {k}", "base": str(k), "attribute": "name", "level": name}
        for k in range(14)
        for name in ("John", "Mary")
    ]
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join(json.dumps(r) for r in rows), encoding="utf-8")
    return path


@pytest.fixture
def subject(monkeypatch):
    monkeypatch.setattr("maieutic.subjects.load_subject", lambda name: function_subject(rule, name=name))


def run(*arguments: str):
    return CliRunner().invoke(app, [*arguments], catch_exceptions=True)


def test_prompts_of_ones_own(prompts, subject, tmp_path):
    done = run("rule", "--output", "output/0", "--data", str(prompts), "--out", str(tmp_path / "o"))
    assert done.exit_code == 0, done.output
    assert "name 'Mary' for 'John' raises output/0 by" in done.output and (tmp_path / "o" / "bias.html").is_file()


def test_json_is_all_that_is_printed(prompts, subject, tmp_path):
    done = run("rule", "--output", "output/0", "--data", str(prompts), "--out", str(tmp_path / "o"), "--json")
    assert json.loads(done.stdout)["findings"][0]["verdict"] == "bias"


@pytest.mark.parametrize(
    ("options", "error", "why"),
    [
        (["--output", "class:3"], UsageError, "reads texts"),
        (["--output", "output/0", "--objects", "bird"], UsageError, "leave --objects"),
        (["--output", "output/0", "--control", "none"], UsageError, "holm or bh"),
        (["--output", "output/0", "--attributes", "age"], UserError, "choose from name"),
    ],
)
def test_what_does_not_fit_is_refused(prompts, subject, tmp_path, options, error, why):
    done = run("rule", *options, "--data", str(prompts), "--out", str(tmp_path / "o"))
    assert isinstance(done.exception, error) and why in str(done.exception)


def test_photos_with_an_instructed_attribute_need_an_editor(monkeypatch, tmp_path):
    pictures = function_subject(lambda images: [0.0 for _ in images], "image", name="dark")
    monkeypatch.setattr("maieutic.subjects.load_subject", lambda name: pictures)
    done = run("dark", "--output", "output/0", "--data", str(tmp_path), "--instruct", "age=older: make it old")
    assert isinstance(done.exception, UsageError) and "--editor" in str(done.exception)
    done = run("dark", "--output", "output/0", "--instruct", "older", "--editor", "x")
    assert isinstance(done.exception, UsageError) and "is no edit" in str(done.exception)


def test_a_folder_of_photos(monkeypatch, tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for k in range(20):
        pixels = rng.integers(0, 120, (32, 32, 3)) + rng.integers(20, 100, 3)
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "photos" / f"{k}.png")
    pictures = function_subject(lambda images: [np.asarray(i).mean() / 50 for i in images], "image", name="bright")
    monkeypatch.setattr("maieutic.subjects.load_subject", lambda name: pictures)
    done = run("bright", "--output", "output/0", "--data", str(tmp_path / "photos"), "--attributes", "brightness",
               "--control", "bh", "--out", str(tmp_path / "o"))  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "brightness 'darker' for 'as it is' lowers output/0" in done.output
