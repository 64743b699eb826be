"""Function subjects: what a function gives is what is measured, and a wrong result names its stimulus."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import maieutic as mt
from maieutic.errors import UsageError, UserError
from maieutic.subjects import Intervention, activation_maps
from maieutic.subjects.function import characters, chunks, words


def lengths(texts: list[str]) -> list[float]:
    return [float(len(t)) for t in texts]


def per_word(texts: list[str]) -> list[list[float]]:
    return [[float(len(w)) for w in t.split()] for t in texts]


def test_one_value_per_string() -> None:
    subject = mt.function_subject(lengths)
    assert subject.name == "lengths"
    assert [(s.name, s.width, s.positions) for s in subject.sites()] == [("output", 1, "none")]
    found = subject.measure(["abc", "", "hello you"], subject.unit())
    assert [v.tolist() for v in found] == [[3.0], [0.0], [9.0]]
    assert all(v.dtype == np.float32 for v in found)
    assert [(t.text, t.start, t.end) for t in subject.tokens("a b")] == [("a b", 0, 3)]


@pytest.mark.parametrize(
    ("fn", "tokens"),
    [
        (per_word, ["two", "cats,", "3"]),
        (lambda texts: [[1.0] * len(re.findall(r"\w+|[^\w\s]", t)) for t in texts], ["two", "cats", ",", "3"]),
        (lambda texts: [[ord(c) / 100 for c in t] for t in texts], list("two cats,\n3")),
        (lambda texts: [np.ones(len(t.split()), np.float64) for t in texts], ["two", "cats,", "3"]),
        (lambda texts: [torch.ones(len(t.split())) for t in texts], ["two", "cats,", "3"]),
    ],
)
def test_the_tokens_of_a_per_token_function_are_found_out(fn: Any, tokens: list[str]) -> None:
    subject = mt.function_subject(fn)
    assert subject.sites()[0].positions == "token"
    assert [t.text for t in subject.tokens("two cats,\n3")] == tokens
    assert [len(v) for v in subject.measure(["two cats,\n3", ""], subject.unit())] == [len(tokens), 0]


def test_a_tokenizer_of_ones_own() -> None:
    def pairs(text: str) -> list[str]:
        return [text[i : i + 2] for i in range(0, len(text), 2)]

    def fn(texts: list[str]) -> list[list[float]]:
        return [[float(p.count("a")) for p in pairs(t)] for t in texts]

    with pytest.raises(UserError, match="pass tokenizer=, a function from a text to its tokens"):
        mt.function_subject(fn).sites()
    for tokenizer in (pairs, lambda t: [(i, min(i + 2, len(t))) for i in range(0, len(t), 2)]):
        subject = mt.function_subject(fn, tokenizer=tokenizer)
        assert [(t.text, t.start, t.end) for t in subject.tokens("banana")] == [
            ("ba", 0, 2),
            ("na", 2, 4),
            ("na", 4, 6),
        ]
        assert subject.measure(["banana"], subject.unit())[0].tolist() == [1, 1, 1]
    with pytest.raises(UserError, match="return one float per token of tokenizer"):
        mt.function_subject(per_word, tokenizer=pairs).sites()


@given(st.text(max_size=60))
def test_tokens_are_pieces_of_the_text_in_order(text: str) -> None:
    for split in (words, chunks, characters):
        found = split(text)
        assert all(text[t.start : t.end] == t.text for t in found)
        assert all(a.end <= b.start for a, b in zip(found, found[1:], strict=False))
    assert [t.text for t in chunks(text)] == re.findall(r"\S+", text)


def test_image_functions() -> None:
    images = [Image.new("RGB", (4, 2), (255, 0, 0)), Image.new("RGB", (2, 2), (51, 0, 0))]
    number = mt.function_subject(lambda ims: [i.getpixel((0, 0))[0] / 255 for i in ims], "image", name="red")
    assert number.measure(images, number.unit()) == pytest.approx([1.0, 0.2])
    red = mt.function_subject(lambda ims: [np.asarray(i)[..., 0] / 255 for i in ims], modality="image")
    assert red.sites()[0].positions == "spatial"
    assert red.measure(images, red.unit()) == pytest.approx([1.0, 0.2])
    (found,) = activation_maps(red, images[:1], red.unit())
    assert found.shape == (2, 4)
    with pytest.raises(UsageError, match="reads image, not str"):
        red.measure(["cat"], red.unit())


def test_forward_agrees_with_read() -> None:
    subject = mt.function_subject(per_word)
    batch = subject.forward(["a bb", "", "cccc"], ["output"])
    assert batch.lengths.tolist() == [2, 0, 1]
    assert batch.values["output"][:, :, 0].tolist() == [[1, 2], [0, 0], [4, 0]]
    twice = subject.direction("output", [2.0], "twice", offset=1.0)
    minus = subject.unit("output", 0, sign=-1)
    (values,) = subject.read(["a bb"], [subject.unit(), twice, minus])
    assert values.tolist() == [[1, 3, -1], [2, 5, -2]]


def test_many_stimuli_go_through_in_small_lists() -> None:
    seen: list[int] = []

    def fn(texts: list[str]) -> list[float]:
        seen.append(len(texts))
        return lengths(texts)

    subject = mt.function_subject(fn)
    found = subject.measure(["x" * i for i in range(70)], subject.unit())
    assert [float(v[0]) for v in found] == list(range(70))
    assert max(seen) == subject.batch_size == 32


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (lambda texts: [float("nan") if "bad" in t else 1.0 for t in texts], "NaN or infinity for 'a bad text'"),
        (lambda texts: [1.0] if "a bad text" in texts else [1.0] * len(texts), "gave 1 results for 2 stimuli"),
        (
            lambda texts: [[1.0] * (len(t.split()) + ("bad" in t)) for t in texts],
            "4 values for 'a bad text', which has 3",
        ),
        (lambda texts: [1.0 / (0 if "bad" in t else 1) for t in texts], "raised ZeroDivisionError .*'a bad text'"),
        (lambda texts: ["high" if "bad" in t else 1.0 for t in texts], "not floats"),
    ],
)
def test_wrong_results_name_their_stimulus(fn: Any, message: str) -> None:
    subject = mt.function_subject(fn)
    subject.sites()
    with pytest.raises(UserError, match=message):
        subject.measure(["a bad text", "fine"], subject.unit())


def test_what_a_black_box_cannot_do() -> None:
    subject = mt.function_subject(lengths)
    change = Intervention(unit=subject.unit(), kind="ablate_zero")
    with pytest.raises(UserError, match="its inside cannot be changed"):
        subject.measure(["a"], subject.unit(), interventions=[change])
    with pytest.raises(UserError, match="no untrained copy"):
        subject.untrained()
    with pytest.raises(UsageError, match=r"no site 'outputs' \(did you mean 'output'\?\)"):
        subject.unit("outputs", 0)
    with pytest.raises(UsageError, match="'text' or 'image', not 'audio'"):
        mt.function_subject(lengths, modality="audio")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="takes a function, not str"):
        mt.function_subject("lengths")  # type: ignore[arg-type]


def test_the_fingerprint_follows_the_code() -> None:
    def make(threshold: float) -> Any:
        return mt.function_subject(eval(f"lambda texts: [float(len(t) > {threshold}) for t in texts]"), name="f")

    assert make(3.0).fingerprint == make(3.0).fingerprint != make(4.0).fingerprint
    assert mt.function_subject(lengths, name="other").fingerprint != mt.function_subject(lengths).fingerprint


def test_function_subjects_need_no_torch() -> None:
    program = (
        "import sys, maieutic as mt\n"
        "s = mt.function_subject(lambda texts: [float(len(t)) for t in texts])\n"
        "assert s.measure(['abc'], s.unit())[0].tolist() == [3.0]\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
