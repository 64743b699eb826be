"""Bad input, from the harvest to the report: a clear error or an ``unmeasured`` reading with its reason, and the run goes on.

Scorers have more of these in ``tests/score/test_bad_input.py``, the command line in ``tests/cli/test_errors.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import maieutic as mt
from maieutic.campaign import RunPlan, create_run, explain_units, score_units, stored_explanation
from maieutic.cli.main import run as cli
from maieutic.errors import UserError
from maieutic.explain import Explanation, explainers, viewer_of
from maieutic.explain.predicates.base import Predicate
from maieutic.explain.predicates.text import TokenIn
from maieutic.lab.lab import Question
from maieutic.report import write_report
from maieutic.report.gather import gather
from maieutic.stimuli.base import Corpus

WORDS = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnr"]


def texts(n: int = 80, length: int = 30, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=length)) for _ in range(n)]


def per_word(of: Callable[[str], float], name: str = "words") -> mt.Subject:
    return mt.function_subject(
        lambda batch: [[of(w) for w in t.split(" ")] for t in batch], name=name, tokenizer=lambda t: t.split(" ")
    )


def gone() -> Any:
    raise FileNotFoundError("no such file: gone.txt")


def lose(corpus: Corpus, *places: int) -> Corpus:
    """The corpus with some stimuli that no longer load."""
    return replace(corpus, stimuli=[replace(s, load=gone) if i in places else s for i, s in enumerate(corpus.stimuli)])


def places(corpus: Corpus, split: str, n: int = 1) -> list[int]:
    return [i for i, s in enumerate(corpus.stimuli) if s.split == split][:n]


def spine(subject: mt.Subject, corpus: Corpus) -> tuple[Explanation, dict[str, mt.Reading]]:
    """Harvest, explain by search with a small budget, score."""
    unit = subject.unit()
    atlas = mt.harvest(subject, corpus, [unit.site])
    found = mt.explain(mt.Lab(subject, unit, atlas, budget=mt.Budget(measurements=20)))
    return found, mt.score(found, subject, unit, corpus, atlas=atlas)


# --- stimuli that fail to load -------------------------------------------------------------------------------------


def test_stimuli_that_fail_to_load_are_left_out_of_every_step() -> None:
    whole = Corpus.from_texts(texts())
    lost = [places(whole, split)[0] for split in ("discover", "select", "test")]
    corpus = lose(whole, *lost)
    subject = per_word(lambda w: float(w in WORDS[:3]))
    atlas = mt.harvest(subject, corpus, ["output"])
    assert set(atlas.failed) == {corpus[i].id for i in lost}
    assert all("gone.txt" in why for why in atlas.failed.values())
    for split in ("discover", "select", "test"):
        seen = {o.stimulus.id for o in atlas.observed(subject.unit(), split)}
        assert seen == {s.id for s in corpus.split(split)} - set(atlas.failed)
    rest = replace(whole, stimuli=[s for i, s in enumerate(whole.stimuli) if i not in lost])
    same = mt.harvest(subject, rest, ["output"])
    assert atlas.moments(subject.unit()) == same.moments(subject.unit())
    found, readings = spine(subject, corpus)
    assert not found.abstained
    assert readings["predictive"].value == 1.0
    assert readings["predictive"].details["failed_to_load"] == 2  # of select and test


def test_a_harvest_with_losses_is_read_back_with_them(tmp_path: Path) -> None:
    corpus = lose(Corpus.from_texts(texts()), 0, 5)
    subject = per_word(lambda w: float(w in WORDS[:3]))
    fresh = mt.harvest(subject, corpus, ["output"], run=tmp_path / "r")
    again = mt.harvest(subject, corpus, ["output"], run=tmp_path / "r")
    assert fresh.failed == again.failed
    assert len(again.failed) == 2
    rows = zip(fresh.observed(subject.unit(), "test"), again.observed(subject.unit(), "test"), strict=True)
    assert all((a.values == b.values).all() for a, b in rows)


def test_when_most_are_lost_the_harvest_says_why_and_stops() -> None:
    whole = Corpus.from_texts(texts(n=30))
    with pytest.raises(UserError, match=r"30 of 30 stimuli could not be read, the first .*gone\.txt.*leave these"):
        mt.harvest(per_word(lambda w: 1.0), lose(whole, *range(30)), ["output"])
    no_discover = lose(whole, *places(whole, "discover", 30))
    with pytest.raises(UserError, match="could not be read"):
        mt.harvest(per_word(lambda w: 1.0), no_discover, ["output"])


def test_pictures_that_fail_to_load() -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)) for _ in range(60)]
    whole = Corpus.from_images(images)
    corpus = lose(whole, *places(whole, "discover", 2), *places(whole, "test", 1))
    subject = mt.function_subject(
        lambda batch: [float(np.asarray(i)[..., 0].mean()) for i in batch], modality="image", name="redness"
    )
    atlas = mt.harvest(subject, corpus, ["output"])
    assert len(atlas.failed) == 3
    assert len(atlas.observed(subject.unit(), "test")) == len(corpus.split("test")) - 1


# --- NaN, infinity, errors -----------------------------------------------------------------------------------------


class Sick(nn.Module):
    """A text network whose hidden layer is infinite where the word with number ``bad`` stands."""

    def __init__(self, bad: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.layer, self.act, self.bad = nn.Embedding(len(WORDS) + 1, 8), nn.Linear(8, 4), nn.ReLU(), bad

    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.layer(self.embed(ids))
        return self.act(torch.where((ids == self.bad)[..., None], torch.inf, hidden))


def sick(bad: int) -> mt.Subject:
    number = {w: i + 1 for i, w in enumerate(WORDS)}

    def encode(text: str) -> list[tuple[int, int, int]]:
        at, rows = 0, list[tuple[int, int, int]]()
        for word in text.split(" "):
            rows.append((number.get(word, 0), at, at + len(word)))
            at += len(word) + 1
        return rows

    return mt.module_subject(Sick(bad), tokenizer=encode, name="sick", sites=["act"])


def test_infinity_in_some_stimuli_costs_those_stimuli() -> None:
    rows = texts()
    for i in range(0, 80, 9):
        rows[i] = f"{rows[i]} zzz"
    corpus = Corpus.from_texts(rows)
    subject = sick(0)  # unknown words are number 0
    unit = subject.unit("act", 1)
    atlas = mt.harvest(subject, corpus, ["act"], keep=[unit])
    bad = {s.id for s in corpus if s.content.endswith("zzz")}
    assert set(atlas.failed) == bad
    assert set(atlas.failed.values()) == {"sick gave NaN or infinity at act"}
    assert np.isfinite(atlas.sample(unit)).all()
    readings = mt.score(mt.explain(mt.Lab(subject, unit, atlas), "lookup"), subject, unit, corpus, atlas=atlas)
    details = readings["predictive"].details
    assert details["failed_to_load"] == sum(s.split != "discover" for s in corpus if s.id in bad)
    assert "infinity" in details["failed_first"]


def test_infinity_everywhere_is_an_error_that_names_the_place() -> None:
    with pytest.raises(
        UserError, match=r"sick: (\d+) of \1 stimuli could not be read.*NaN or infinity at act.*fix the model"
    ):
        mt.harvest(sick(1), Corpus.from_texts([f"{WORDS[0]} {t}" for t in texts(n=40)]), ["act"])


def test_infinity_in_an_experiment_fails_that_unit_only() -> None:
    corpus, subject = Corpus.from_texts(texts()), sick(0)
    unit = subject.unit("act", 0)
    lab = mt.Lab(subject, unit, mt.harvest(subject, corpus, ["act"], keep=[unit]))
    shown = replace(corpus[0], id="new", load=lambda: "bal unknown bel")
    with pytest.raises(UserError, match="NaN or infinity in an experiment .*substitute"):
        lab.measure([Question(stimulus=shown, hypothesis="h", kind="substitute")])
    assert len(lab.ledger) == 0


def test_a_function_that_raises_on_some_texts() -> None:
    def fragile(w: str) -> float:
        if w == "boom":
            raise ValueError("cannot take that")
        return float(w in WORDS[:3])

    rows = texts()
    rows[3] = rows[3] + " boom"
    corpus = Corpus.from_texts(rows)
    atlas = mt.harvest(per_word(fragile), corpus, ["output"])
    (why,) = atlas.failed.values()
    assert "cannot take that" in why
    with pytest.raises(UserError, match="cannot take that"):
        mt.harvest(per_word(lambda w: fragile("boom")), corpus, ["output"])


# --- corpora and units with nothing in them ------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_corpus_of_a_few_items(n: int) -> None:
    """Whatever split they fall in: an error that says what to add, or an abstention and unmeasured readings."""
    try:
        found, readings = spine(per_word(lambda w: float(w in WORDS[:3])), Corpus.from_texts(texts(n=n)))
    except UserError as error:
        assert "documents" in str(error)
        return
    if n == 1:
        assert found.abstained
    assert all(not r.measured and r.reason for r in readings.values())


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5e30])
def test_constant_activations(value: float) -> None:
    found, readings = spine(per_word(lambda w: value), Corpus.from_texts(texts(n=40)))
    assert found.abstained
    assert "never changes" in (found.reason or "")
    assert all(not r.measured for r in readings.values())
    assert "never changes" in str(readings["predictive"].reason)


def test_a_unit_that_is_constant_in_one_split_only() -> None:
    """Fires in test documents alone: nothing to learn from, so it abstains; the score says why there is none."""
    corpus = Corpus.from_texts(texts(n=60))
    marked = {w for s in corpus.split("test") for w in s.content.split(" ")[:1]}
    held_out = {s.content for s in corpus.split("test")}
    subject = mt.function_subject(
        lambda batch: [[float(t in held_out and w in marked) for w in t.split(" ")] for t in batch],
        name="test only", tokenizer=lambda t: t.split(" "),
    )  # fmt: skip
    found, readings = spine(subject, corpus)
    assert found.abstained
    assert not readings["predictive"].measured


def test_empty_and_blank_texts_in_a_corpus() -> None:
    corpus = Corpus.from_texts([*texts(), " ", "\n\n", "."])
    _, readings = spine(mt.function_subject(lambda b: [[float(w in WORDS[:3]) for w in t.split()] for t in b]), corpus)
    assert readings["predictive"].measured


# --- labels and predicates -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bad(Predicate):
    """Fails in the way that is asked."""

    op: ClassVar[str] = "test-bad"
    how: str

    def evaluate(self, view: Any) -> Any:
        if self.how == "raises":
            raise RuntimeError("half-written\nwith a second line")
        if self.how == "short":
            return np.zeros(max(len(view) - 1, 0))
        return np.full(len(view), float(self.how))

    def describe(self) -> str:
        return self.how


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("raises", "the prediction failed: RuntimeError: half-written"),
        ("short", "positions where"),
        ("nan", "not a number"),
        ("inf", "not a number"),
    ],
)
def test_predicates_that_fail_are_unmeasured(how: str, why: str) -> None:
    corpus, subject = Corpus.from_texts(texts()), per_word(lambda w: float(w in WORDS[:3]))
    bad = Explanation(unit="output/0", label="l", predicate=Bad(how=how), explainer="t", confidence=0.9)
    readings = mt.score(bad.bound(viewer_of(subject, corpus)), subject, subject.unit(), corpus)
    assert why in str(readings["predictive"].reason)
    assert "\n" not in str(readings["predictive"].reason)
    assert not readings["predictive.beats.constant"].measured
    assert readings["predictive.control.constant"].measured


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60))
def test_labels_in_any_script_are_explanations(label: str) -> None:
    found = Explanation(unit="u/0", label=label, predicate=TokenIn(words=(label,)), explainer="t", confidence=0.5)
    assert json.loads(json.dumps(found.predicate.to_json()))["words"] == [label]
    assert found.predicate.describe()


SCRIPTS = ("кот сон", "猫 犬", "قط شم", "γάτα δέκα", "บ้าน ม้าน", "🐈 🐕", "e\u0301te o\u0301te")


@pytest.mark.parametrize("pair", SCRIPTS)
def test_words_of_any_script_are_found(pair: str) -> None:
    """One word of two that look alike (length and script), among others."""
    word, other = pair.split()
    rng = np.random.default_rng(1)
    words, share = [*WORDS, word, other], [0.92 / len(WORDS)] * len(WORDS) + [0.04, 0.04]
    rows = [" ".join(rng.choice(words, size=30, p=share)) for _ in range(150)]
    found, readings = spine(per_word(lambda w: float(w == word)), Corpus.from_texts(rows))
    assert not found.abstained
    assert word in found.label
    assert readings["predictive"].value == pytest.approx(1.0)


# --- runs ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[mt.Lab], Explanation]]:
    """Explainers under names of their own, as a plug-in would bring them."""
    from maieutic.explain import registry

    table: dict[str, Callable[[mt.Lab], Explanation]] = {}
    resolve = registry._resolve
    monkeypatch.setattr(registry, "_resolve", lambda name: table.get(name) or resolve(name))
    return table


def labelled(unit: str, predicate: Predicate, label: str) -> Explanation:
    return Explanation(unit=unit, label=label, predicate=predicate, explainer="mine", confidence=0.9)


def test_a_run_goes_on_past_units_that_fail(
    tmp_path: Path, plugged: dict[str, Callable[[mt.Lab], Explanation]]
) -> None:
    """Four units of one run: an explainer that raises, a predicate that raises, a label in three scripts, and a good one."""
    module = nn.Sequential(nn.Embedding(len(WORDS) + 1, 8), nn.Linear(8, 6), nn.ReLU())
    number = {w: i + 1 for i, w in enumerate(WORDS)}

    def encode(text: str) -> list[tuple[int, int, int]]:
        at, rows = 0, list[tuple[int, int, int]]()
        for word in text.split(" "):
            rows.append((number.get(word, 0), at, at + len(word)))
            at += len(word) + 1
        return rows

    torch.manual_seed(0)
    subject = mt.module_subject(module, tokenizer=encode, name="net", sites=["2"])
    corpus = lose(Corpus.from_texts(texts()), 4)

    def mine(lab: mt.Lab) -> Explanation:
        top = lab.exemplars(5)[0]
        word = top.stimulus.content.split(" ")[top.position]
        index = lab.unit.index
        if index == 0:
            raise KeyError("plug-in bug")
        if index == 1:
            return labelled(lab.unit.key, Bad(how="raises"), "raises")
        label = "кот 猫 \u202eقط<script>" if index == 2 else f'the word "{word}"'
        return labelled(lab.unit.key, TokenIn(words=(word,)), label)

    plugged["mine"] = mine
    plan = RunPlan(subject="net", corpus="texts", sites=("2",), units=("2/0", "2/1", "2/2", "2/3"), nulls=0)
    with create_run(tmp_path / "run", plan, subject=subject, corpus=corpus) as run:
        (failure,) = explain_units(run, explainer="mine")
        assert (failure.unit, failure.reason) == ("2/0", "KeyError: 'plug-in bug'")
        readings = score_units(run, explainer="mine")
        assert set(readings) == {"2/1", "2/2", "2/3"}
        assert "half-written" in str(readings["2/1"]["predictive"].reason)
        assert readings["2/3"]["predictive"].measured
        stored = stored_explanation(run, "main", subject.unit("2", 2), explainer="mine")
        assert stored is not None
        assert stored.label == "кот 猫 \u202eقط<script>"
        pages = write_report(gather([run], explainer="mine"), tmp_path / "report").parent
    text = "".join(p.read_text(encoding="utf-8") for p in sorted(pages.rglob("*.html")))
    assert "кот 猫" in text
    assert "\u202e" not in text  # what would turn the line round is written out
    assert "<script>кот" not in text
    assert "قط<script>" not in text
    assert "unmeasured" in text


# --- the command line ----------------------------------------------------------------------------------------------


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli(list(arguments))
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    return code, shown.out, shown.err


def test_the_command_line_on_a_corpus_of_one_item(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model_folder: Path
) -> None:
    (tmp_path / "one.jsonl").write_text(json.dumps({"text": "the cat sat on the mat"}) + "\n")
    harvest = ("harvest", f"hf:{model_folder}", "--corpus", str(tmp_path / "one.jsonl"), "--site", "layers.0.mlp")
    code, out, err = told(capsys, *harvest, "--run", str(tmp_path / "r"), "--sample", "1", "--nulls", "0")
    assert "add documents" in err or "more documents" in err  # a note, or the reason why it stops
    if code == 0:
        code, out, err = told(capsys, "explain", str(tmp_path / "r"))
        assert code == 0
        code, out, err = told(capsys, "score", str(tmp_path / "r"), "--json")
        assert code == 0
        (readings,) = json.loads(out)["readings"].values()
        assert all(r["value"] is None and r["reason"] for r in readings.values())
        assert told(capsys, "report", str(tmp_path / "r"))[0] == 0
    else:
        assert code in (1, 2)


@pytest.mark.slow
def test_the_command_line_on_a_model_with_infinities(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model_folder: Path, jsonl: Path
) -> None:
    """One weight is infinite: the harvest stops in one line that names the site and what to do."""
    import shutil

    from safetensors.torch import load_file, save_file

    folder = tmp_path / "sick"
    shutil.copytree(model_folder, folder)
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.0.mlp.up_proj.weight"][0, 0] = torch.inf
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    arguments = ("--corpus", str(jsonl), "--site", "layers.0.mlp", "--run", str(tmp_path / "r"), "--nulls", "0")
    code, _, err = told(capsys, "harvest", f"hf:{folder}", *arguments)
    assert code == 1
    assert "NaN or infinity at layers.0.mlp" in err
    assert "fix the model" in err


@pytest.mark.slow
def test_the_command_line_on_texts_of_every_script(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model_folder: Path
) -> None:
    rng = np.random.default_rng(0)
    words = ["кот", "собака", "猫", "犬", "قط", "the", "cat", "🐈", "ไทย", "e\u0301te", "\u202edog"]
    file = tmp_path / "scripts.jsonl"
    rows = [{"text": " ".join(rng.choice(words, size=14)), "document": str(i)} for i in range(40)]
    file.write_text("".join(json.dumps(r) + "\n" for r in rows))
    run = str(tmp_path / "r")
    named = ("harvest", f"hf:{model_folder}", "--corpus", str(file), "--site", "layers.0.mlp", "--run", run)
    assert told(capsys, *named, "--sample", "2", "--nulls", "1")[0] == 0
    assert told(capsys, "explain", run, "--budget", "10")[0] == 0
    code, out, _ = told(capsys, "score", run, "--json")
    assert code == 0
    assert json.loads(out)
    assert told(capsys, "report", run)[0] == 0


def test_every_explainer_has_a_line() -> None:
    assert all(what for what in explainers().values())


def test_a_broken_subject_is_given_up_early() -> None:
    calls: list[int] = []

    def broken(batch: list[str]) -> list[list[float]]:
        calls.append(len(batch))
        if any(t.startswith("doc") for t in batch):
            raise OSError("the service is down")
        return [[0.0] * len(t.split(" ")) for t in batch]

    subject = mt.function_subject(broken, name="service", tokenizer=lambda t: t.split(" "))
    corpus = Corpus.from_texts([f"doc {t}" for t in texts(n=600, length=8)])
    with pytest.raises(UserError, match="the service is down"):
        mt.harvest(subject, corpus, ["output"])
    assert len(calls) < 150
