"""Drivers of an output where it is known which units drive it, by how much, and which do not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from planted_circuits import DIGITS, DOG, TO_DIGITS, WORDS

from maieutic.errors import UsageError
from maieutic.lab.drivers import Drivers, find_drivers
from maieutic.lab.halves import halves
from maieutic.lab.outputs import OutputNames, Target, find_target, output_names
from maieutic.lab.slopes import attribute_output, ordered
from maieutic.stimuli import Corpus
from maieutic.subjects import Subject

CLASS2 = Target(kind="class", index=2, name="class 2", against=3)


@pytest.fixture(scope="module")
def answer(driven: Subject, colour_corpus: Corpus) -> Drivers:
    target = Target(kind="class", index=2, name="class 2")
    return find_drivers(driven, colour_corpus.stimuli, target, top=2, most=40)


def test_attribution_is_exact_where_the_network_is_linear(driven: Subject) -> None:
    pictures = [Image.new("RGB", (8, 8), c) for c in ((255, 0, 0), (0, 255, 255), (51, 102, 0))]
    found = attribute_output(driven, pictures, ["act"], CLASS2).sites["act"]
    # units of the pictures: red green blue red+blue green+blue red+green
    units = np.array([[1, 0, 0, 1, 0, 1], [0, 1, 1, 1, 2, 1], [0.2, 0.4, 0, 0.2, 0.4, 0.6]])
    # class 2 less class 3 = 4 unit 1 + 2 unit 4 - unit 3 - unit 5
    weights = np.array([0, 4, 0, -1, 2, -1.0])
    assert found.means == pytest.approx(units.mean(axis=0), abs=1e-6)
    assert found.effects == pytest.approx(weights * (units - units.mean(axis=0)), abs=1e-5)
    assert found.spread == pytest.approx(units.std(axis=0), abs=1e-5)


def test_units_that_drive_a_class_come_first_and_others_do_not(answer: Drivers) -> None:
    assert {d.unit for d in answer.drivers} <= {"act/1", "act/4"}
    assert answer.units == 6
    for control in (*answer.matched, *answer.bottom):
        assert control.drives is None
    everything = {d.unit: d for d in (*answer.candidates, *answer.matched, *answer.bottom)}
    assert set(everything) == {f"act/{i}" for i in range(6)}


def test_ablation_of_a_unit_on_active_pictures_is_worked_out_by_hand(driven: Subject) -> None:
    """Green pictures: unit 1 (weight 4) and unit 4 (weight 2) are above their means, class 2 less class 3 loses by them."""
    rng = np.random.default_rng(3)
    greens = [Image.new("RGB", (8, 8), (0, int(g), 0)) for g in rng.integers(200, 256, 60)]
    plain = [Image.new("RGB", (8, 8), tuple(int(c) for c in rng.integers(0, 256, 3))) for _ in range(20)]
    corpus = Corpus.from_images([*greens, *plain], name="greens")
    found = find_drivers(driven, corpus.stimuli, CLASS2, top=2, most=40)
    first, held = halves(corpus.stimuli, most=40)
    green = lambda stimuli: np.array([np.asarray(s.content)[0, 0, 1] / 255 for s in stimuli])  # noqa: E731
    unit = next(d for d in (*found.candidates, *found.matched, *found.bottom) if d.unit == "act/1")
    assert unit.ablated.value == pytest.approx(float(4 * (green(held).mean() - green(first).mean())), abs=1e-4)
    assert unit.direct.value is None


def test_the_unit_that_writes_a_word_is_found(word_subject: Subject) -> None:
    """Texts end in a number: unit 7 (reads and writes digits) drives "44" by 1."""
    rng = np.random.default_rng(4)
    texts = [" ".join([*rng.choice(WORDS[13:], 6), str(rng.choice(DIGITS))]) for _ in range(60)]
    target = Target(kind="output", index=WORDS.index("44"), name="44")
    found = find_drivers(word_subject, Corpus.from_texts(texts, name="t").stimuli, target, top=4, most=30)
    assert found.candidates[0].unit == f"blocks.0.mlp/{TO_DIGITS}"
    assert found.drivers[0].unit == f"blocks.0.mlp/{TO_DIGITS}"
    first = found.drivers[0]
    # it is 1 at the last word, and its mean is the share of words that are digits, 1 of 7; it raises six outputs by that,
    # so the mean logit by 6 / V of it
    lost = (1 - 1 / 7) * (1 - 6 / len(WORDS))
    assert first.ablated.value == pytest.approx(lost, abs=1e-4)
    assert first.attributed.value == pytest.approx(lost, abs=1e-4)
    assert first.direct.value is None  # the network has no residual site to tell it by
    assert first.drives
    controls = [c.ablated.value or 0.0 for c in (*found.matched, *found.bottom)]
    assert max(abs(c) for c in controls) < 0.5
    assert not any(d.unit.endswith(f"/{DOG}") for d in found.drivers)
    assert found.curve[0].top.value == pytest.approx(lost, abs=1e-4)


def test_keeping_the_driver_keeps_the_output(word_subject: Subject) -> None:
    rng = np.random.default_rng(6)
    texts = [" ".join([*rng.choice(WORDS[13:], 6), str(rng.choice(DIGITS))]) for _ in range(40)]
    target = Target(kind="output", index=WORDS.index("44"), name="44")
    found = find_drivers(word_subject, Corpus.from_texts(texts, name="t").stimuli, target, top=4, most=20)
    one = found.curve[0]
    assert one.k == 1
    assert one.kept.value is not None and one.kept_matched.value is not None
    # what the units do together is what unit 7 does, and what others happen to write into "44" or "dog"
    assert one.kept.value > 0.5
    assert one.kept_matched.value < one.kept.value


def test_the_answer_is_plain_data(answer: Drivers) -> None:
    back = Drivers.from_json(json.loads(json.dumps(answer.to_json())))
    assert back.to_json() == answer.to_json()
    assert back.drivers == answer.drivers


def test_ranking_is_by_mean_attribution(driven: Subject) -> None:
    pictures = [Image.new("RGB", (8, 8), c) for c in ((0, 255, 0), (0, 250, 0), (255, 0, 255))]
    units, values = ordered(attribute_output(driven, pictures, ["act"], CLASS2))
    assert len(units) == 6
    assert list(values) == sorted(values, reverse=True)


def test_a_target_is_a_logit_less_others() -> None:
    out = np.array([[1.0, 2.0, 6.0]])
    assert Target(kind="class", index=2, name="c").value(out) == pytest.approx([3.0])
    assert Target(kind="class", index=2, name="c", against=1).value(out) == pytest.approx([4.0])
    assert Target(kind="class", index=0, name="c").value(np.array([[5.0]])) == pytest.approx([5.0])


def test_outputs_are_found_by_name_number_or_pictures(driven: Subject) -> None:
    names = OutputNames(names={0: "red, crimson", 1: "blue", 2: "LABEL"}, source="a list")
    assert find_target(driven, "class:Crimson", names=names).index == 0
    assert find_target(driven, "class:3", names=names).index == 3
    assert find_target(driven, "class:blue", names=names, against="0").against_name == "red, crimson"
    with pytest.raises(UsageError, match="class:281"):
        find_target(driven, "class:bleu", names=names)
    with pytest.raises(UsageError, match="names no output"):
        find_target(driven, "blue", names=names)
    with pytest.raises(UsageError, match="no tokens"):
        find_target(driven, "token: Paris", names=names)


def test_classes_without_names_are_named_after_pictures(driven: Subject) -> None:
    rng = np.random.default_rng(8)
    reds = [Image.new("RGB", (8, 8), (int(r), 0, 0)) for r in rng.integers(150, 256, 20)]
    blues = [Image.new("RGB", (8, 8), (0, 0, int(b))) for b in rng.integers(150, 256, 20)]
    drawn = Corpus.from_images([*reds, *blues], tags=[*["apple"] * 20, *["sky"] * 20], name="tagged")
    # pictures of one colour are near-duplicates and share a split: put all on the side that names are taken from
    corpus = replace(drawn, stimuli=[replace(s, split="discover") for s in drawn])
    names = output_names(driven, corpus=corpus)
    # red: class 0 has 3; blue: class 1 and class 2 have 2 each, the first of them wins
    assert (names[0], names[1], names[3]) == ("apple", "sky", "output 3")
    assert find_target(driven, "class:sky", names=names).index == 1
    found = find_target(driven, "class:apple", names=OutputNames(names={}, source="nobody"), corpus=corpus)
    assert found.index == 0 and "pictures of 'apple'" in found.note


def test_a_token_is_found_as_it_stands_in_text(model_folder: Any) -> None:
    import maieutic as mt

    subject = mt.load_subject(f"hf:{model_folder}")
    names = output_names(subject)
    found = find_target(subject, "token:river", names=names)
    assert names[found.index] == "river"
    several = find_target(subject, "token:river moon", names=names)
    assert several.index == found.index and "2 tokens" in several.note


def test_drivers_of_a_real_transformer_lose_what_was_foretold(model_folder: Any) -> None:
    """Random weights: the best candidates by attribution lose more under ablation than controls do on average."""

    import maieutic as mt

    subject = mt.load_subject(f"hf:{model_folder}")
    rng = np.random.default_rng(0)
    corpus = Corpus.from_texts(
        [" ".join(rng.choice(["the", "cat", "sat", "on", "a", "river", "moon", "tree"], 10)) for _ in range(40)],
        name="t",
    )
    found = find_drivers(
        subject, corpus.stimuli, find_target(subject, "token:river", names=output_names(subject)), top=5
    )
    assert found.units == 48
    assert all(d.direct.value is not None for d in found.candidates)
    mean = [float(np.mean([d.ablated.value or 0.0 for d in side])) for side in (found.candidates, found.matched)]
    assert mean[0] > mean[1]
    # the last layer's MLP has nothing but the end of the model behind it: direct is all there is
    last = [d for d in found.candidates if d.unit.startswith("layers.1.")]
    for d in last:
        assert d.direct.value == pytest.approx(d.attributed.value, rel=1e-3, abs=1e-4)


def test_halves_share_no_group_and_cover_all() -> None:
    corpus = Corpus.from_texts([f"text {i} of ours" for i in range(24)], documents=[str(i // 3) for i in range(24)])
    first, second = halves(corpus.stimuli)
    assert not {s.group for s in first} & {s.group for s in second}
    assert len(first) + len(second) == 24
    assert halves(list(reversed(corpus.stimuli)))[0][0].group == first[0].group
    with pytest.raises(UsageError, match="too few"):
        halves(corpus.stimuli[:6])


def test_without_any_unit_nothing_is_left_but_the_means(answer: Drivers, colour_corpus: Corpus) -> None:
    """All units at their means over the first half: logit 2 less the mean logit is that of the mean picture."""
    first, _ = halves(colour_corpus.stimuli, most=40)
    r, g, b = np.mean([np.asarray(s.content)[0, 0] / 255 for s in first], axis=0)
    logits = np.array([3 * r, 2 * b, 4 * g + 2 * (g + b), (r + b) + (r + g)])
    assert answer.nothing.value == pytest.approx(logits[2] - logits.mean(), abs=1e-4)
