"""The lab: what is charged, what is recorded, in which order, and what is never shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import maieutic as mt
from maieutic.errors import BudgetExhaustedError, UserError
from maieutic.lab import Bank, Question, measure_together
from maieutic.subjects.base import Intervention


def cats(texts: list[str]) -> list[float]:
    return [float(t.split().count("cat")) for t in texts]


@pytest.fixture
def lab(texts: list[str]) -> mt.Lab:
    subject = mt.function_subject(cats, modality="text", name="cats")
    corpus = mt.Corpus.from_texts(texts)
    atlas = mt.harvest(subject, corpus, sites=[subject.sites()[0].name])
    return mt.Lab(subject, subject.unit(), atlas, budget=mt.Budget(measurements=3))


def ask(text: str, **more: object) -> Question:
    stimulus = mt.Corpus.from_texts([text, "the other", "and a third"])[0]
    return Question(stimulus=stimulus, hypothesis="fires on cat", kind="substitute", **more)  # type: ignore[arg-type]


def test_the_ledger_keeps_prediction_and_value(lab: mt.Lab) -> None:
    low, high = lab.scale
    (entry,) = lab.measure([ask("a cat saw a cat", expect=0.9)])
    assert (entry.id, entry.expect, entry.value) == ("output/0#1", 0.9, 2.0)
    assert entry.scaled == pytest.approx(min(1.0, (2.0 - low) / (high - low)))
    assert entry.shown == "a cat saw a cat"
    (second,) = lab.measure([ask("a dog", pair=entry.id)])
    assert (second.id, second.pair) == ("output/0#2", "output/0#1")
    assert lab.ledger["output/0#1"] is entry


def test_a_budget_is_never_passed_and_nothing_half_measured(lab: mt.Lab) -> None:
    lab.measure([ask("a"), ask("b")])
    assert lab.remaining == 1
    with pytest.raises(BudgetExhaustedError, match="2 measurements asked, 1 left of 3"):
        lab.measure([ask("c"), ask("d")])
    assert len(lab.ledger) == 2


def test_no_test_stimulus_can_be_seen(lab: mt.Lab) -> None:
    seen = {o.stimulus.split for o in lab.discover} | {e.stimulus.split for e in lab.exemplars(500, where="spectrum")}
    assert seen == {"discover"}
    assert {o.stimulus.split for o in lab.select} == {"select"}
    assert not hasattr(lab, "test")


def test_exemplars_cover_the_range(lab: mt.Lab) -> None:
    values = [e.value for e in lab.exemplars(30, where="spectrum")]
    assert values == sorted(values, reverse=True)
    assert values[0] == max(float(o.values.max()) for o in lab.discover)
    assert values[-1] == 0.0
    assert all(0 <= e.quantile <= 1 for e in lab.exemplars(30, where="spectrum"))


@pytest.mark.parametrize("active", [0.0, 0.02, 0.5, 0.98, 1.0])
def test_the_scale_of_units_that_fire_rarely_or_nearly_always(active: float, texts: list[str]) -> None:
    chosen = set(texts[: int(active * len(texts))])
    subject = mt.function_subject(lambda ts: [float(t in chosen) for t in ts], modality="text", name="rare")
    corpus = mt.Corpus.from_texts(texts)
    lab = mt.Lab(subject, subject.unit(), mt.harvest(subject, corpus, sites=[subject.sites()[0].name]))
    values = np.concatenate([o.values for o in lab.discover])
    assert lab.scaled(values).tolist() == pytest.approx(
        (values if values.min() < values.max() else 0 * values).tolist()
    )


def test_an_atlas_of_another_subject_is_refused(lab: mt.Lab) -> None:
    other = mt.function_subject(cats, modality="text", name="others")
    with pytest.raises(UserError, match="harvested from cats"):
        mt.Lab(other, other.unit(), lab.atlas)


def test_an_empty_text_rests(lab: mt.Lab) -> None:
    stimulus = mt.Corpus.from_texts(["x", "the other", "and a third"])[0]
    from dataclasses import replace

    empty = replace(stimulus, load=lambda: "", id="0" * 64)
    (entry,) = lab.measure([Question(stimulus=empty, hypothesis="nothing", kind="delete")])
    assert entry.scaled == 0.0


def test_interventions_go_through_the_lab(model_folder: object, texts: list[str]) -> None:
    subject = mt.load_subject(f"hf:{model_folder}")
    corpus = mt.Corpus.from_texts(texts[:30])
    lab = mt.Lab(subject, subject.unit("layers.1.mlp", 3), mt.harvest(subject, corpus, sites=["layers.1.mlp"]))
    (entry,) = lab.measure(
        [ask("the cat sat on the mat", position=2)],
        interventions=[Intervention(unit=subject.unit("layers.1.mlp", 3), kind="set", value=7.0)],
    )
    assert entry.value == pytest.approx(7.0)


# --- with a bank -----------------------------------------------------------------------------------------------------
def small(model_folder: object, texts: list[str]) -> tuple[mt.Subject, mt.Atlas]:
    subject = mt.load_subject(f"hf:{model_folder}")
    return subject, mt.harvest(subject, mt.Corpus.from_texts(texts[:30]), sites=["layers.1.mlp"])


def test_units_share_measurements_and_the_ledger_says_which_were_fresh(model_folder: object, texts: list[str]) -> None:
    subject, atlas = small(model_folder, texts)
    bank = Bank(subject, sites=["layers.1.mlp"])
    one, two, apart = (
        mt.Lab(subject, subject.unit("layers.1.mlp", i), atlas, budget=mt.Budget(measurements=3), bank=b)
        for i, b in ((3, bank), (5, bank), (5, None))
    )
    asked = [ask("the cat sat", expect=0.25), ask("a dog ran", expect=0.75)]
    assert [e.fresh for e in one.measure(asked)] == [True, True]
    shared = two.measure([*asked, ask("the moon")])
    assert [e.fresh for e in shared] == [False, False, True]
    # what a bank gives is what a pass gives, and the prediction is the question's own
    assert [e.value for e in shared] == pytest.approx([e.value for e in apart.measure([*asked, ask("the moon")])])
    assert [e.expect for e in shared] == [0.25, 0.75, None]
    assert bank.use.fresh == 3
    # the budget counts what was asked, not what was fresh
    assert two.remaining == 0
    with pytest.raises(BudgetExhaustedError):
        two.measure(asked[:1])


def test_a_session_reads_from_the_same_bank(model_folder: object, texts: list[str]) -> None:
    subject, atlas = small(model_folder, texts)
    lab = mt.Lab(subject, subject.unit("layers.1.mlp", 3), atlas, bank=Bank(subject, sites=["layers.1.mlp"]))
    lab.measure([ask("the cat sat")])
    session = lab.session(measurements=5, seed=1)
    assert [e.fresh for e in session.measure([ask("the cat sat"), ask("a dog ran")])] == [False, True]
    lab.absorb(session)
    assert [e.fresh for e in lab.ledger.entries] == [True, False, True]


def test_a_changed_pass_is_neither_read_from_the_bank_nor_kept_in_it(model_folder: object, texts: list[str]) -> None:
    subject, atlas = small(model_folder, texts)
    unit = subject.unit("layers.1.mlp", 3)
    lab = mt.Lab(subject, unit, atlas, bank=Bank(subject, sites=["layers.1.mlp"]))
    (before,) = lab.measure([ask("the cat sat", position=2)])
    change = Intervention(unit=unit, kind="set", value=7.0)
    (changed,) = lab.measure([ask("the cat sat", position=2)], interventions=[change])
    (after,) = lab.measure([ask("the cat sat", position=2)])
    assert changed.value == pytest.approx(7.0)
    assert changed.fresh
    assert after.value == before.value != changed.value
    assert not after.fresh


def test_labs_of_one_pass_share_what_it_measured(model_folder: object, texts: list[str]) -> None:
    subject, atlas = small(model_folder, texts)
    bank = Bank(subject, sites=["layers.1.mlp"])
    labs = [mt.Lab(subject, subject.unit("layers.1.mlp", i), atlas, bank=bank) for i in (3, 5)]
    asked = [ask("the cat sat"), ask("a dog ran")]
    found = measure_together(labs, [asked, asked])
    assert [[e.fresh for e in entries] for entries in found] == [[True, True], [True, True]]
    assert bank.use.fresh == 2
    for lab, entries in zip(labs, found, strict=True):
        wanted = [float(subject.read([q.stimulus], [lab.unit])[0].max()) for q in asked]
        assert [e.value for e in entries] == wanted


def test_a_bank_of_another_subject_or_site_is_refused(model_folder: object, texts: list[str]) -> None:
    subject, atlas = small(model_folder, texts)
    unit = subject.unit("layers.1.mlp", 3)
    with pytest.raises(UserError, match="give each its own bank"):
        mt.Lab(subject, unit, atlas, bank=Bank(mt.load_subject(f"hf:{model_folder}"), sites=["layers.1.mlp"]))
    with pytest.raises(UserError, match=r"the bank has layers\.0\.mlp, not layers\.1\.mlp"):
        mt.Lab(subject, unit, atlas, bank=Bank(subject, sites=["layers.0.mlp"]))


@pytest.mark.parametrize("with_bank", [False, True])
def test_a_sick_value_is_recorded_nowhere_and_a_sick_neighbour_does_no_harm(with_bank: bool) -> None:
    from torch import nn

    class Sick(nn.Module):
        """Unit 0 is the square root of the number of the token, unit 1 of that number less 3."""

        def __init__(self) -> None:
            super().__init__()
            self.units = nn.Identity()

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            number = ids.float()
            return self.units(torch.stack([number, number - 3], dim=-1).sqrt())

    def encode(text: str) -> list[tuple[int, int, int]]:
        return [(int(c) if c.isdigit() else 5, i, i + 1) for i, c in enumerate(text)]

    subject = mt.module_subject(Sick(), tokenizer=encode, name="sick", sites={"units": "units"})
    numbers = np.random.default_rng(0).integers(3, 10, size=(40, 12))
    atlas = mt.harvest(subject, mt.Corpus.from_texts("".join(map(str, n)) for n in numbers), sites=["units"])
    bank = Bank(subject, sites=["units"]) if with_bank else None
    well, ill = (mt.Lab(subject, subject.unit("units", i), atlas, bank=bank) for i in (0, 1))
    with pytest.raises(UserError, match="gave NaN or infinity in an experiment"):
        ill.measure([ask("4"), ask("2")])
    assert (len(ill.ledger), ill.shown, ill.values) == (0, {}, {})
    assert [e.value for e in well.measure([ask("4"), ask("2")])] == pytest.approx([2.0, 2**0.5])


def test_an_explainer_cannot_see_a_value_before_it_asks(model_folder: object, texts: list[str]) -> None:
    subject, atlas = small(model_folder, texts)
    bank = Bank(subject, sites=["layers.1.mlp"])
    other = mt.Lab(subject, subject.unit("layers.1.mlp", 5), atlas, bank=bank)
    other.measure([ask("the cat sat")])
    lab = mt.Lab(subject, subject.unit("layers.1.mlp", 3), atlas, bank=bank)
    # no public name leads to the bank, and what another lab measured shows nowhere in this one
    assert not any(value is bank for name, value in vars(lab).items() if not name.startswith("_"))
    assert (lab.shown, lab.values, len(lab.ledger)) == ({}, {}, 0)
    # a question holds its prediction for good before it is asked
    question = ask("the cat sat", expect=0.5)
    with pytest.raises(AttributeError):
        question.expect = 1.0  # type: ignore[misc]
    (entry,) = lab.measure([question])
    assert (entry.expect, entry.fresh) == (0.5, False)
