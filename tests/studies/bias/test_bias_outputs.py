"""Outputs are what they are said to be, against arithmetic on the network's own logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from maieutic.errors import UsageError, UserError
from maieutic.studies.bias.outputs import Reader, parse_output
from maieutic.subjects import function_subject, module_subject, scaled

from .small import table_subject

ROWS = [[2.0, 0.0, -1.0], [0.0, 1.0, 0.5], [1.0, 1.0, 1.0]]


def read(subject, *asked: str, contents=("a", "b", "c"), **options):
    reader = Reader(subject, [parse_output(subject, a, **options) for a in asked])
    reader.read([str(i) for i in range(len(contents))], list(contents))
    return [np.array(list(r.values.values())) for r in reader.found]


def test_words_on_every_scale():
    p = np.exp(ROWS) / np.exp(ROWS).sum(axis=1, keepdims=True)
    log, odds, chance, difference, several = read(
        table_subject(ROWS), "token:a", "odds:a", "prob:a", "token:a vs b", "token:a|b vs c"
    )
    assert log == pytest.approx(np.log(p[:, 0]))
    assert odds == pytest.approx(np.log(p[:, 0] / (1 - p[:, 0])))
    assert chance == pytest.approx(p[:, 0])
    assert difference == pytest.approx([2.0, -1.0, 0.0])  # of logits: what is common cancels
    assert several == pytest.approx(np.log((p[:, 0] + p[:, 1]) / p[:, 2]))


def test_log_odds_hold_where_a_probability_is_nearly_one():
    subject = table_subject([[40.0, 0.0, 0.0], *ROWS])
    reader = Reader(subject, [parse_output(subject, "odds:a"), parse_output(subject, "odds:b")])
    reader.read(["x"], ["a"])
    # log p - log(1 - p) = 40 - log(1 + 1); 1 - p has no digits left in the plain form
    assert reader.found[0].values["x"] == pytest.approx(40 - np.log(2), abs=1e-6)
    # and so where it stands beside another output: b's is -log(e^40 + 1)
    assert reader.found[1].beside["x"][0] == pytest.approx(40 - np.log(2), abs=1e-6)
    assert reader.found[1].values["x"] == pytest.approx(-40, abs=1e-6)


def classifier():
    class Means(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Identity()

        def forward(self, pixels):
            return self.last(pixels.mean(dim=(2, 3)))

    return module_subject(Means(), scaled(8, mean=(0, 0, 0), std=(1, 1, 1)), name="means", sites=["last"])


PICTURES = (Image.new("RGB", (8, 8), (255, 0, 51)), Image.new("RGB", (8, 8), (0, 102, 255)))


def test_classes_by_number_by_name_and_against_each_other():
    names = {0: "red, crimson", 1: "green", 2: "blue"}
    one, named, against, unit = read(
        classifier(), "class:0", "class:crimson", "class:blue vs 0", "last/2", contents=PICTURES, names=names
    )
    assert one == pytest.approx([1.0, 0.0]) and named == pytest.approx([1.0, 0.0])
    assert against == pytest.approx([0.2 - 1.0, 1.0 - 0.0])
    assert unit == pytest.approx([0.2, 1.0])


def test_an_output_stands_beside_others_of_its_kind():
    reader = Reader(classifier(), [parse_output(classifier(), "class:0")])
    reader.read(["x", "y"], list(PICTURES))
    # red less the mean of green and blue: 1 - (0 + 0.2)/2 and 0 - (0.4 + 1)/2
    assert list(reader.found[0].apart.values()) == pytest.approx([0.9, -0.7])
    assert reader.found[0].others == ("1", "2")


def test_the_top_class_is_named_by_its_number():
    assert parse_output(classifier(), "class:top", top=lambda: 2).name == "class:2 (top)"


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("token: nurse", "reads images"),
        ("class:zebra", "its index"),
        ("class:0 vs 0", "the same on both sides"),
        ("class:0 vs 1 vs 2", "is no output"),
        ("odds:0 vs 1", "takes one set"),
        ("nowhere/3", "no site"),
        ("class:", "is no output"),
    ],
)
def test_what_is_no_output_is_refused_with_what_is(asked, why):
    with pytest.raises(UsageError, match=why):
        parse_output(classifier(), asked)


def test_a_class_that_is_not_there():
    with pytest.raises(UserError, match="outputs 0 to 2"):
        read(classifier(), "class:7", contents=PICTURES)


def test_a_black_box_has_no_words_but_a_unit():
    subject = function_subject(lambda texts: [float(len(t)) for t in texts], name="length")
    with pytest.raises(UsageError, match="no vocabulary"):
        parse_output(subject, "token: a")
    assert read(subject, "output/0", contents=("ab", "abc"))[0] == pytest.approx([2.0, 3.0])


def test_a_word_of_several_tokens_is_refused_where_it_cannot_be_read():
    with pytest.raises(UserError, match="single token"):
        read(table_subject(ROWS), "token:ab")


def test_an_output_that_is_no_number_is_refused():
    with torch.no_grad(), pytest.raises(UserError, match="not finite"):
        read(table_subject([[float("nan"), 0.0, 0.0], *ROWS]), "token:a", contents=("a",))
