"""Edits of small models: what is cut in two gives the same, what is bounded stays bounded, and what is edited is answered."""

import numpy as np
import pytest
import torch

from maieutic.studies.regularization.arms import ARMS, Shape, arm
from maieutic.studies.regularization.config import TrainingConfig
from maieutic.studies.regularization.editing.cases import (
    EDITED,
    GROUPS,
    common_facts,
    known_facts,
    make_cases,
    part_of,
    questions_of,
)
from maieutic.studies.regularization.editing.evaluate import (
    drift_changed,
    drift_rank_one,
    mark_changed,
    sweep_rank_one,
    text_before,
)
from maieutic.studies.regularization.editing.fine_tune import TuneSettings, scale, tune_all, tune_matrix
from maieutic.studies.regularization.editing.keys import mean_keys, spread
from maieutic.studies.regularization.editing.measure import measure_editing, measure_interference
from maieutic.studies.regularization.editing.plan import EditPlan, edit_measures
from maieutic.studies.regularization.editing.rank_one import rank_one
from maieutic.studies.regularization.editing.scores import at_efficacy, by_case, case_reading
from maieutic.studies.regularization.editing.sequential import edit_in_a_row
from maieutic.studies.regularization.editing.sites import Site, down, finish, frozen, halfway_prompts, sites_of
from maieutic.studies.regularization.editing.values import find_values
from maieutic.studies.regularization.facts import FactsCorpus
from maieutic.studies.regularization.facts_world import FactsShape
from maieutic.studies.regularization.model import build_model, model_config
from maieutic.studies.regularization.train import train

SMALL = Shape(layers=2, d_model=32, d_mlp=64, heads=2, context=32)
PLAN = EditPlan(
    name="test", developed=4, edited=6, tuned=3, strongly=2, strengths=(0.0, 0.5, 1.0), counts=(1, 4, 500), block=2,
    untouched=8, spread=20, text=6, interfering=16, least=4, retained=6,
)  # fmt: skip


@pytest.fixture(scope="module")
def corpus():
    return FactsCorpus(FactsShape(subjects=24, first_names=8, last_names=8, towns=8, jobs=8, lands=4), seed=100)


@pytest.fixture(scope="module")
def fresh(corpus):
    """A model that knows nothing; everything that needs no knowledge is checked on it."""
    return build_model(model_config(arm("gelu-ln"), SMALL, vocabulary=len(corpus.words)), seed=100).eval()


@pytest.fixture(scope="module")
def trained(corpus):
    settings = TrainingConfig(steps=450, batch=32)
    return train(
        arm("gelu"), seed=100, shape=SMALL, vocabulary=len(corpus.words), training=corpus.training(8000),
        validation=corpus.documents(20).ids, settings=settings,
    ).model  # fmt: skip


def _cases(corpus, count=4, part="test"):
    return make_cases(corpus, corpus.facts, known=set(range(len(corpus.facts))), part=part, count=count, seed=100)


def _edits(model, cases, site, text):
    values = find_values(model, [c.asked for c in cases], [c.kept for c in cases], site=site)
    return values, rank_one(down(model, site.layer).weight, values.keys, values.values, text)


@pytest.mark.parametrize("name", ["gelu", "solu-ln", "topk"])
def test_a_model_cut_in_two_gives_what_it_gives_whole(corpus, name):
    model = build_model(model_config(arm(name), SMALL, vocabulary=len(corpus.words)), seed=100).eval()
    prompts = corpus.prompts(corpus.facts[:5])
    with frozen(model), torch.no_grad():
        whole = torch.stack([model(torch.tensor([p.ids]))[0, -1] for p in prompts])
        for layer in range(2):
            torch.testing.assert_close(finish(model, halfway_prompts(model, prompts, layer=layer)), whole)


def test_keys_are_inputs_of_the_output_matrix_at_the_site(corpus, fresh):
    prompts = [corpus.prompt(corpus.facts[3], t) for t in EDITED]
    seen = []
    handle = down(fresh, 1).register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0][0]))
    for p in prompts:
        fresh(torch.tensor([p.ids]))
    handle.remove()
    last = torch.stack([k[-1] for k in seen]).mean(dim=0)
    subject = torch.stack([k[p.subject_last] for k, p in zip(seen, prompts, strict=True)]).mean(dim=0)
    torch.testing.assert_close(mean_keys(fresh, [prompts], site=Site(layer=1))[0], last)
    torch.testing.assert_close(mean_keys(fresh, [prompts], site=Site(layer=1, token="subject"))[0], subject)


@pytest.mark.parametrize("site", sites_of(2), ids=str)
def test_edits_beside_the_model_are_edits_of_the_model(corpus, fresh, site):
    """Many edits are asked without touching the model; that is the same as changing the matrix and asking."""
    cases, ids = _cases(corpus), corpus.documents(14).ids
    before = {n: p.detach().clone() for n, p in fresh.named_parameters()}
    with frozen(fresh):
        text = text_before(fresh, corpus, ids[10:])
        _, edits = _edits(fresh, cases, site, spread(fresh, ids[:10, :-1], layer=site.layer))
        marks = sweep_rank_one(fresh, cases, edits, layer=site.layer, strengths=(0.0, 0.7))
        drift = drift_rank_one(fresh, text, cases, edits, layer=site.layer, strength=0.7)
        for n, case in enumerate(cases):
            changed = {f"{site.where}.weight": down(fresh, site.layer).weight + edits.change(n, strength=0.7)}
            alone = mark_changed(fresh, changed, case.questions)
            mine = [k for k, q in enumerate(marks.questions) if q.case == n]
            np.testing.assert_array_equal(marks.right[1, mine], alone.right)
            np.testing.assert_array_equal(marks.preferred[1, mine], alone.preferred)
            other = drift_changed(fresh, changed, text, subject=case.fact.subject)
            assert drift.kl[n] == pytest.approx(other.kl[0], abs=1e-5)
            assert drift.loss[n] == pytest.approx(other.loss[0], abs=1e-5)
    assert all(torch.equal(before[n], p) for n, p in fresh.named_parameters()), "the model was put back"


def test_the_value_that_was_found_is_what_the_matrix_writes_after_the_edit(corpus, fresh):
    site, cases = Site(layer=1), _cases(corpus, 3)
    with frozen(fresh):
        text = spread(fresh, corpus.documents(10).ids[:, :-1], layer=1)
        values, edits = _edits(fresh, cases, site, text)
        for n in range(3):
            changed = down(fresh, 1).weight + edits.change(n)
            torch.testing.assert_close(changed @ values.keys[n], values.values[n], rtol=1e-3, atol=1e-4)
    assert bool(values.reached.all()) and float(values.loss.max()) < 4, "a guess costs ln 229 = 5.4 nats"


def test_edits_found_together_are_those_found_alone(corpus, fresh):
    site, cases = Site(layer=0), _cases(corpus, 3)
    with frozen(fresh):
        together = find_values(fresh, [c.asked for c in cases], [c.kept for c in cases], site=site)
        alone = find_values(fresh, [cases[1].asked], [cases[1].kept], site=site)
    torch.testing.assert_close(together.values[1], alone.values[0], rtol=1e-3, atol=1e-4)


def test_constrained_fine_tuning_stays_within_its_bound(corpus, fresh):
    cases, size = _cases(corpus, 3), scale(down(fresh, 1).weight.detach())
    with frozen(fresh):
        free = tune_matrix(fresh, cases, layer=1, settings=TuneSettings(steps=10, rate=0.2))
        held = tune_matrix(fresh, cases, layer=1, settings=TuneSettings(steps=10, rate=0.2, bound=0.3))
    assert float(held.changes.abs().max()) == pytest.approx(0.3 * size)
    assert float(free.changes.abs().max()) > 0.3 * size
    assert bool((free.loss < held.loss).all())


def test_fine_tuning_leaves_the_model_and_its_zeros_alone(corpus, fresh):
    case = _cases(corpus, 1)[0]
    with frozen(fresh):
        weight = down(fresh, 0).weight
        weight[:, ::2] = 0.0
        before = {n: p.detach().clone() for n, p in fresh.named_parameters()}
        tuned = tune_all(fresh, case, settings=TuneSettings(steps=3, rate=0.05))
    assert all(torch.equal(before[n], p) for n, p in fresh.named_parameters())
    assert set(tuned) == set(fresh.matrices())
    changed = tuned["blocks.0.mlp.down.weight"]
    assert int(changed[:, ::2].count_nonzero()) == 0
    assert not torch.equal(changed[:, 1::2], before["blocks.0.mlp.down.weight"][:, 1::2])


@pytest.mark.parametrize("way", ["rank-one", "memit"])
def test_edits_in_a_row_come_out_the_same_again(corpus, fresh, way):
    cases, ids = _cases(corpus, 4), corpus.documents(12).ids
    with frozen(fresh):
        text, site = text_before(fresh, corpus, ids[8:]), Site(layer=1)
        behind = spread(fresh, ids[:8, :-1], layer=1)

        def row(counts, block):
            return edit_in_a_row(
                fresh, cases, site=site, spread=behind, way=way, counts=counts, block=block, untouched=[], text=text
            )

        first, second = row((1, 3, 9), 2), row((1, 3, 9), 2)
        assert [a.count for a in first] == [1, 3], "a count beyond the cases is left out"
        assert all(torch.equal(a.weight, b.weight) for a, b in zip(first, second, strict=True))
        # the first edit of a row is the edit alone
        values, edits = _edits(fresh, cases[:1], site, behind)
        if way == "rank-one":
            torch.testing.assert_close(first[0].weight, down(fresh, 1).weight + edits.change(0))


def test_locality_is_read_off_where_efficacy_crosses():
    # two cases; efficacy of the sweep: 0, 0.5, 1; the crossing of 0.75 is half-way between the last two
    efficacy = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    other = np.array([[1.0, 1.0], [0.8, 0.8], [0.2, np.nan]])
    assert at_efficacy(efficacy, other, at=0.75).value == pytest.approx(0.5)
    assert at_efficacy(efficacy, other, at=0.0).value == pytest.approx(1.0)
    assert np.isnan(at_efficacy(efficacy * 0.5, other, at=0.75).value)


def test_shares_that_never_differ_get_an_honest_interval():
    all_right = case_reading("x", np.ones(8), share=True)
    # Wilson, 8 of 8: the lower end is 1 / (1 + 1.96^2 / 8) = 0.676
    assert all_right.low == pytest.approx(8 / (8 + 1.959964**2)) and all_right.high == 1
    assert case_reading("x", np.ones(8)).low == 1
    assert not case_reading("x", np.full(3, np.nan), share=True).measured


def test_what_is_asked_about_an_edit(corpus):
    everything = set(range(len(corpus.facts)))
    cases = _cases(corpus, 12)
    for case in cases:
        assert case.target != case.fact.object
        asked = {q.prompt.ids for q in case.questions}
        trained = {p.fact for p in case.trained}
        measured = {q.prompt.fact for q in case.questions if q.group.startswith("locality")}
        assert case.fact.index not in measured | trained and not trained & measured
        for question in case.questions:
            if question.group.startswith(("edit", "paraphrase")):
                assert corpus.words[question.prompt.answer] == case.target
            if question.group == "locality.same-subject":
                assert corpus.facts[question.prompt.fact].subject == case.fact.subject
        assert {p.ids for p in case.asked} <= asked
        held = [q for q in case.questions if q.group == "paraphrase.held-out"]
        assert len(held) == (2 if case.fact.held_out else 0)
    assert {f.fact.relation for f in cases} == {"home", "work", "pet", "food"}
    apart = part_of(corpus, "test")
    assert not apart & part_of(corpus, "development") and {c.fact.subject for c in cases} <= apart
    few = make_cases(corpus, corpus.facts, known={1, 2}, part="test", count=9, seed=0)
    assert {c.fact.index for c in few} <= {1, 2} and everything


def test_models_that_know_little_are_left_out_by_name(corpus):
    every = frozenset(range(len(corpus.facts)))
    shared = common_facts(corpus, {"a": every, "b": every - {5}, "untrained": frozenset({5})})
    assert [f.index for f in shared.facts] == sorted(every - {5})
    assert shared.left_out == {"untrained": 1}


def test_a_model_that_knows_nothing_has_every_row_with_its_reason(corpus, fresh):
    rows = measure_editing(fresh, corpus, seed=100, plan=PLAN)
    wanted = [(m, w) for m, w, _ in edit_measures(PLAN, layers=2)]
    assert [(r.measure, r.where) for r in rows[: len(wanted)]] == wanted
    by_name = {(r.measure, r.where): r.reading for r in rows}
    assert by_name["editing.known", ""].value == 0
    assert "too few to edit" in str(by_name["rank-one.efficacy", ""].reason)
    assert "no gold model" in str(by_name["unlearn.edit.distance", ""].reason)
    # interference needs no knowledge
    assert by_name["interference.rms", "blocks.1.mlp.down"].measured
    again = measure_interference(fresh, corpus, plan=PLAN, seed=100)
    assert [r.to_json() for r in again] == [r.to_json() for r in rows[len(wanted) :]]


@pytest.mark.slow
def test_a_trained_model_shows_the_published_pattern(corpus, trained):
    """Fine-tuning one matrix bleeds; held within a bound it does not take; a rank-one edit takes, generalises and keeps more."""
    known = known_facts(trained, corpus)
    assert len(known) >= 24, "the model learnt its facts"
    cases = make_cases(corpus, corpus.facts, known=known, part="test", count=10, seed=100)
    site = Site(layer=0)
    with frozen(trained):
        behind = spread(trained, corpus.documents(60).ids[:, :-1], layer=0)
        values, edits = _edits(trained, cases, site, behind)
        marks = sweep_rank_one(trained, cases, edits, layer=0, strengths=(1.0,))
        found = {g: by_case(marks.right[0], marks.questions, g, cases=len(cases)) for g in GROUPS}
        shares = {}
        for bound in (None, 0.1):
            tuned = tune_matrix(trained, cases, layer=0, settings=TuneSettings(bound=bound))
            name = f"{site.where}.weight"
            changed = [{name: down(trained, 0).weight + c} for c in tuned.changes]
            right = [mark_changed(trained, c, k.questions).right for c, k in zip(changed, cases, strict=True)]
            flat = np.concatenate(right)
            shares[bound] = {
                g: float(np.nanmean(by_case(flat, questions_of(cases), g, cases=len(cases)))) for g in GROUPS[:5]
            }
    assert values.reached.float().mean() > 0.8
    assert found["edit"].mean() > 0.8 and np.nanmean(found["paraphrase.seen"]) > 0.5
    assert shares[0.1]["paraphrase.seen"] < np.nanmean(found["paraphrase.seen"])
    assert shares[None]["edit"] > 0.9
    for group in ("locality.near", "locality.same-subject"):
        assert shares[None][group] < np.nanmean(found[group])
    assert shares[0.1]["edit"] < shares[None]["edit"]
    assert shares[0.1]["locality.near"] > shares[None]["locality.near"]


@pytest.mark.slow
def test_every_measure_of_a_trained_model_is_the_same_again(corpus, trained):
    before = {n: p.detach().clone() for n, p in trained.named_parameters()}
    rows = measure_editing(trained, corpus, seed=100, plan=PLAN)
    assert all(torch.equal(before[n], p) for n, p in trained.named_parameters())
    assert all(p.requires_grad for p in trained.parameters())
    by_name = {(r.measure, r.where): r.reading for r in rows}
    chosen = by_name["rank-one.site", ""]
    assert chosen.details["where"] in ("blocks.0.mlp.down", "blocks.1.mlp.down")
    assert by_name["rank-one.efficacy", ""].measured and by_name["ft-strong.kl", ""].measured
    assert by_name["rank-one.row-4.efficacy", ""].n == 4
    assert "test facts are known" in str(by_name["memit.row-500.efficacy", ""].reason)
    assert [r.to_json() for r in rows] == [r.to_json() for r in measure_editing(trained, corpus, seed=100, plan=PLAN)]


def test_arms_of_the_study_are_all_editable_in_shape(corpus):
    """Every arm's model can be cut and edited: no arm is left out for its architecture."""
    cases = _cases(corpus, 1)
    for name in ARMS:
        model = build_model(model_config(arm(name), SMALL, vocabulary=len(corpus.words)), seed=100)
        with frozen(model):
            behind = spread(model, corpus.documents(2).ids[:, :-1], layer=1)
            _, edits = _edits(model, cases, Site(layer=1), behind)
            assert bool(torch.isfinite(edits.change(0)).all()), name
