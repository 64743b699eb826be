"""Editability of one model, as rows of the study.

Site and strength of rank-one edits are chosen on development facts, per model; everything else is measured on test facts. Rows
with a place (``blocks.N.mlp.down``) are of that layer at strength 1, untuned, the same in every arm; rows without one are of the
chosen site at the chosen strength. ``es95`` rows are interpolated along the sweep of strengths to an efficacy of 0.95: locality
of arms is compared there. Intervals are bootstraps over edited facts, so they say nothing about other seeds.

What this module does not do: compare models (`comparing`), or decide which facts they have in common (`cases.common_facts`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from maieutic.readings import FloatArray, Reading, share_reading
from maieutic.studies.regularization.corpora import forgotten
from maieutic.studies.regularization.editing.cases import (
    EDITED,
    GROUPS,
    LOCALITY,
    Case,
    Part,
    Question,
    known_facts,
    make_cases,
    part_of,
    pick,
)
from maieutic.studies.regularization.editing.evaluate import (
    Drift,
    Marks,
    Text,
    drift_changed,
    drift_rank_one,
    mark_changed,
    sweep_rank_one,
    text_before,
)
from maieutic.studies.regularization.editing.fine_tune import CONSTRAINED, PLAIN, tune_all, tune_matrix
from maieutic.studies.regularization.editing.interference import interference_matrix, off_diagonal
from maieutic.studies.regularization.editing.keys import OTHER_RIDGES, RIDGE, Spread, mean_keys, spread
from maieutic.studies.regularization.editing.plan import AT_EFFICACY, IN_A_ROW, EditPlan, Rows, edit_plan
from maieutic.studies.regularization.editing.rank_one import RankOne, rank_one
from maieutic.studies.regularization.editing.scores import EFFICACY, at_efficacy, by_case, case_reading
from maieutic.studies.regularization.editing.sequential import After, edit_in_a_row
from maieutic.studies.regularization.editing.sequential import Way as RowWay
from maieutic.studies.regularization.editing.sites import Site, down, frozen, sites_of
from maieutic.studies.regularization.editing.unlearning import WAYS, compare_with_gold, make_task, unlearn
from maieutic.studies.regularization.editing.values import Values, find_values
from maieutic.studies.regularization.facts import FactsCorpus
from maieutic.studies.regularization.facts_world import Fact
from maieutic.studies.regularization.model import Gpt
from maieutic.studies.regularization.rows import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """One model with everything that its edits need."""

    model: Gpt
    corpus: FactsCorpus
    seed: int
    plan: EditPlan
    spreads: tuple[Spread, ...]
    text: Text
    facts: tuple[Fact, ...]
    known: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edited:
    """Rank-one edits of some cases at a site, asked at every strength."""

    site: Site
    values: Values
    edits: RankOne
    marks: Marks


def measure_editing(
    model: Gpt,
    corpus: FactsCorpus,
    *,
    seed: int,
    plan: EditPlan | None = None,
    common: Sequence[Fact] | None = None,
    gold: Gpt | None = None,
) -> list[Row]:
    """Measure how well facts can be changed in a model, and what else changes.

    Args:
        model: of the study; as it was afterwards.
        corpus: that it was trained on.
        seed: of the choice of facts and new objects: the same for models that are compared.
        plan: how much; ``quick`` by default.
        common: facts that every compared model knows (`cases.common_facts`); what this model itself knows by default.
        gold: the model that never saw the facts of ``plan.forget`` subjects (variants with the purpose ``gold``).

    Returns:
        Every measure of `plan.edit_measures` and of `measure_interference`, in that order, those that could not be made
        with the reason.

    Cost: see ``PLANS``: about 7 to 11 (quick) and 20 (full) CPU seconds at 3 layers of width 64; unlearning 4 more.
    """
    plan = plan or edit_plan("quick")
    with frozen(model):
        own = known_facts(model, corpus)
        allowed = own if common is None else own & {f.index for f in common}
        facts = tuple(f for f in corpus.facts if f.index in allowed)
        spreads = _spreads(model, corpus, plan)
        # behind the documents of the covariance
        text = text_before(model, corpus, corpus.documents(plan.spread + plan.text).ids[plan.spread :])
        bench = _Bench(
            model=model, corpus=corpus, seed=seed, plan=plan, spreads=spreads, text=text, facts=facts, known=allowed
        )
        found = Rows(plan, layers=model.config.layers)
        details = {"common": None if common is None else len(common), "edited from": len(facts)}
        found.add(share_reading("editing.known", [f.index in own for f in corpus.facts], details=details))
        needed = f"{len(facts)} facts are known to this model and all that it is compared with, too few to edit"
        site = _edited(bench, found)
        if gold is not None and site is not None:
            _unlearned(bench, found, gold, own, site)
        rows = found.rows(editing=needed, unlearning="there is no gold model" if gold is None else needed)
        return rows + measure_interference(model, corpus, plan=plan, seed=seed, spreads=spreads)


def measure_interference(
    model: Gpt, corpus: FactsCorpus, *, plan: EditPlan, seed: int, spreads: Sequence[Spread] | None = None
) -> list[Row]:
    """Size (RMS) and tails (kurtosis) of the P-matrix off its diagonal, layer by layer, at the prompt's last token.

    The same facts in every model, known or not, so that it can be compared with what was learnt and what was not.

    Args:
        spreads: of each layer's keys over text, when they are at hand.
    """
    with frozen(model):
        chosen = pick(
            (f for f in corpus.facts if f.subject in part_of(corpus, "test")), count=plan.interfering, seed=seed
        )
        at_hand = _spreads(model, corpus, plan) if spreads is None else spreads
        asked = [[corpus.prompt(f, t) for t in EDITED] for f in chosen]
        found: list[Row] = []
        for layer in range(model.config.layers):
            site = Site(layer=layer)
            found += _interference_rows(mean_keys(model, asked, site=site), at_hand[layer], chosen, site, seed)
        return found


def _interference_rows(keys: Tensor, spread: Spread, facts: Sequence[Fact], site: Site, seed: int) -> list[Row]:
    relation = np.array([f.relation for f in facts])
    subject = np.array([f.subject for f in facts])
    kinds = {
        "": None,
        ".same-relation": relation[:, None] == relation,
        ".same-subject": subject[:, None] == subject,
    }
    readings: list[Reading] = []
    matrix = interference_matrix(keys, spread)
    for kind, among in kinds.items():
        rms, tails = off_diagonal(matrix, among=among, seed=seed)
        details = {"ridge": RIDGE, "tokens": spread.tokens}
        readings.append(rms.reading(f"interference.rms{kind}", n=len(facts), undefined="no such pair", details=details))
        if not kind:
            readings.append(tails.reading("interference.kurtosis", n=len(facts), details=details))
    for ridge in OTHER_RIDGES:
        rms, _ = off_diagonal(interference_matrix(keys, spread, ridge=ridge), seed=seed)
        readings.append(rms.reading(f"interference.rms.ridge-{ridge:g}", n=len(facts), details={"ridge": ridge}))
    return [
        Row(about="editability", measure=r.name, where=site.where, reading=r, better=0 if "kurtosis" in r.name else -1)
        for r in readings
    ]


def _spreads(model: Gpt, corpus: FactsCorpus, plan: EditPlan) -> tuple[Spread, ...]:
    """How each layer's keys are spread over documents that no model was trained on."""
    ids = corpus.documents(plan.spread).ids[:, :-1]
    return tuple(spread(model, ids, layer=n) for n in range(model.config.layers))


# --- rank-one edits --------------------------------------------------------------------------------------------------


def _edited(bench: _Bench, found: Rows) -> Site | None:
    """Everything but unlearning; the site that was chosen, or ``None`` when too few facts are known."""
    plan, model = bench.plan, bench.model
    developed, cases = _cases(bench, "development", plan.developed), _cases(bench, "test", plan.edited)
    if min(len(developed), len(cases)) < plan.least:
        return None
    site, strength = _choose(bench, found, developed)
    done = {s: _rank_one(bench, cases, s) for s in {*(Site(layer=n) for n in range(model.config.layers)), site}}
    for layer in range(model.config.layers):
        _add_rank_one(bench, found, cases, done[Site(layer=layer)], strength=1.0, where=f"blocks.{layer}.mlp.down")
    _add_rank_one(bench, found, cases, done[site], strength=strength, where="")
    _add_tuned(bench, found, cases, site)
    _add_rows(bench, found, site, strength)
    return site


def _cases(bench: _Bench, part: Part, count: int) -> list[Case]:
    return make_cases(bench.corpus, bench.facts, known=bench.known, part=part, count=count, seed=bench.seed)


def _rank_one(bench: _Bench, cases: Sequence[Case], site: Site) -> _Edited:
    model = bench.model
    values = find_values(model, [c.asked for c in cases], [c.kept for c in cases], site=site)
    edits = rank_one(down(model, site.layer).weight, values.keys, values.values, bench.spreads[site.layer])
    marks = sweep_rank_one(model, cases, edits, layer=site.layer, strengths=bench.plan.strengths)
    return _Edited(site=site, values=values, edits=edits, marks=marks)


def _choose(bench: _Bench, found: Rows, cases: Sequence[Case]) -> tuple[Site, float]:
    """The site and the strength with the best harmonic mean of efficacy, paraphrases and locality on development facts."""
    # where no edit takes anywhere, the first layer at full strength shows it
    best = (0.0, Site(layer=0), 1.0)
    for site in sites_of(bench.model.config.layers):
        edited = _rank_one(bench, cases, site)
        for strength, score in zip(bench.plan.strengths, _scores(edited.marks, len(cases)), strict=True):
            if score > best[0]:
                best = (score, site, strength)
    score, site, strength = best
    details = {"token": site.token, "where": site.where, "score": score, "strength": strength}
    found.add(Reading(name="rank-one.site", value=float(site.layer), n=len(cases), details=details))
    found.add(Reading(name="rank-one.chosen-strength", value=strength, n=len(cases), details=details))
    return site, strength


def _scores(marks: Marks, cases: int) -> list[float]:
    """Harmonic mean at each strength; 0 where one of the three is 0."""

    def mean(*groups: str) -> FloatArray:
        rows = [by_case(marks.right, marks.questions, g, cases=cases) for g in groups]
        return np.nanmean(np.concatenate(rows, axis=-1), axis=-1)

    parts = np.stack([mean("edit"), mean("paraphrase.seen", "paraphrase.held-out"), mean(*LOCALITY[:2])])
    return [0.0 if column.min() <= 0 else float(len(column) / (1 / column).sum()) for column in parts.T]


def _add_rank_one(
    bench: _Bench, found: Rows, cases: Sequence[Case], edited: _Edited, *, strength: float, where: str
) -> None:
    plan, marks, layer = bench.plan, edited.marks, edited.site.layer
    at = plan.strengths.index(strength)
    weight = down(bench.model, layer).weight
    drift = drift_rank_one(bench.model, bench.text, cases, edited.edits, layer=layer, strength=strength)
    changed = [edited.edits.change(n, strength=strength) for n in range(len(cases))]
    result = _Result(
        questions=marks.questions,
        right=marks.right[at],
        preferred=marks.preferred[at],
        drift=drift,
        change=(edited.edits.norms() * strength / weight.norm()).double().numpy(),
        gain=np.array([_gain(weight, weight + c) for c in changed]),
    )
    details: dict[str, Any] = {"strength": strength, "token": edited.site.token, "where": edited.site.where}
    _add_after(bench, found, "rank-one", result, len(cases), where=where, details=details)
    loss, reached = edited.values.loss.double().numpy(), edited.values.reached
    found.add(case_reading("rank-one.value-loss", loss, seed=bench.seed, **details), where=where)
    found.add(share_reading("rank-one.value-reached", reached.tolist(), details=details), where=where)
    _add_at_efficacy(bench, found, cases, edited, where=where)


def _add_at_efficacy(bench: _Bench, found: Rows, cases: Sequence[Case], edited: _Edited, *, where: str) -> None:
    marks, plan = edited.marks, bench.plan
    efficacy = by_case(marks.right, marks.questions, "edit", cases=len(cases))
    others = {g: by_case(marks.right, marks.questions, g, cases=len(cases)) for g in AT_EFFICACY if g in GROUPS}
    others["strength"] = np.repeat(np.array(plan.strengths)[:, None], len(cases), axis=1)
    best = float(efficacy.mean(axis=1).max())
    for name, values in others.items():
        estimate = at_efficacy(efficacy, values, seed=bench.seed)
        reading = estimate.reading(
            f"rank-one.es95.{name}",
            n=int(np.isfinite(values[0]).sum()),
            undefined=f"edits reach an efficacy of {best:.2f} at most"
            if best < EFFICACY
            else "nothing of it could be asked",
            details={"efficacy": EFFICACY, "strengths": plan.strengths},
        )
        found.add(reading, where=where)


# --- what every way of editing has in common ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """Edits of some cases: marks ``[question]``, drift, norm of the change and share of new nonzero entries ``[case]``."""

    questions: Sequence[Question]
    right: FloatArray
    preferred: FloatArray
    drift: Drift
    change: FloatArray
    gain: FloatArray


def _add_after(
    bench: _Bench, found: Rows, way: str, result: _Result, cases: int, *, where: str = "", details: dict[str, Any]
) -> None:
    def add(name: str, values: FloatArray, *, share: bool = False) -> None:
        found.add(case_reading(f"{way}.{name}", values, seed=bench.seed, share=share, **details), where=where)

    for group in GROUPS:
        name = "efficacy" if group == "edit" else group
        add(name, by_case(result.right, result.questions, group, cases=cases), share=True)
    add("preference", by_case(result.preferred, result.questions, "edit", cases=cases), share=True)
    add("kl", result.drift.kl)
    add("loss-change", result.drift.loss)
    add("change", result.change)
    add("nonzero-gain", result.gain)


def _gain(before: Tensor, after: Tensor) -> float:
    """Nonzero entries after minus before, as a share of all: what an edit costs a sparse matrix."""
    return float(after.count_nonzero() - before.count_nonzero()) / before.numel()


# --- fine-tuning ----------------------------------------------------------------------------------------------------


def _add_tuned(bench: _Bench, found: Rows, cases: Sequence[Case], site: Site) -> None:
    model, plan = bench.model, bench.plan
    name, weight = f"{site.where}.weight", down(model, site.layer).weight
    few = cases[: plan.tuned]
    for way, settings in (("ft", PLAIN), ("ft-constrained", CONSTRAINED)):
        tuned = tune_matrix(model, few, layer=site.layer, settings=settings)
        changed = [{name: weight + c} for c in tuned.changes]
        details = {"where": site.where, "bound": settings.bound, "loss": float(tuned.loss.mean())}
        _add_after(bench, found, way, _asked(bench, few, changed), len(few), details=details)
    few = cases[: plan.strongly]
    changed = [tune_all(model, c) for c in few]
    _add_after(bench, found, "ft-strong", _asked(bench, few, changed), len(few), details={"where": "blocks"})


def _asked(bench: _Bench, cases: Sequence[Case], changed: Sequence[Mapping[str, Tensor]]) -> _Result:
    """Ask after each case's change of parameters."""
    model, before = bench.model, dict(bench.model.named_parameters())
    marks = [mark_changed(model, c, case.questions) for case, c in zip(cases, changed, strict=True)]
    drifts = [
        drift_changed(model, c, bench.text, subject=case.fact.subject) for case, c in zip(cases, changed, strict=True)
    ]
    sizes = [
        (
            sum(float((v - before[n]).square().sum()) for n, v in c.items()) ** 0.5
            / sum(float(before[n].square().sum()) for n in c) ** 0.5,
            sum(_gain(before[n], v) * v.numel() for n, v in c.items()) / sum(v.numel() for v in c.values()),
        )
        for c in changed
    ]
    return _Result(
        questions=[q for m in marks for q in m.questions],
        right=np.concatenate([m.right for m in marks]),
        preferred=np.concatenate([m.preferred for m in marks]),
        drift=Drift(kl=np.concatenate([d.kl for d in drifts]), loss=np.concatenate([d.loss for d in drifts])),
        change=np.array([a for a, _ in sizes]),
        gain=np.array([b for _, b in sizes]),
    )


# --- edits in a row -------------------------------------------------------------------------------------------------


def _add_rows(bench: _Bench, found: Rows, site: Site, strength: float) -> None:
    plan, model = bench.plan, bench.model
    cases = _cases(bench, "test", max(plan.counts))
    edited = {c.fact.index for c in cases}
    rest = [f for f in bench.facts if f.index not in edited]
    untouched = [
        Question(prompt=bench.corpus.prompt(f, n % len(bench.corpus.templates(f))), group="locality.random", case=n)
        for n, f in enumerate(pick(rest, count=plan.untouched, seed=bench.seed))
    ]
    ways: tuple[RowWay, ...] = ("rank-one", "memit")
    for way in ways:
        done = edit_in_a_row(
            model, cases, site=site, spread=bench.spreads[site.layer], way=way, counts=plan.counts, block=plan.block,
            untouched=untouched, text=bench.text, strength=strength,
        )  # fmt: skip
        for after in done:
            _add_after_row(bench, found, way, after, down(model, site.layer).weight)
        for count in plan.counts[len(done) :]:
            for name in IN_A_ROW:
                reason = f"only {len(cases)} test facts are known to all compared models"
                found.add(Reading.unmeasured(f"{way}.row-{count}.{name}", reason))


def _add_after_row(bench: _Bench, found: Rows, way: str, after: After, weight: Tensor) -> None:
    values = {
        "efficacy": after.efficacy, "paraphrase": after.paraphrase, "locality": after.locality, "kl": after.drift.kl,
        "loss-change": after.drift.loss, "change": np.array([after.change]),
        "nonzero-gain": np.array([_gain(weight, after.weight)]),
    }  # fmt: skip
    for name, row in values.items():
        share = name in ("efficacy", "paraphrase", "locality")
        reading = case_reading(f"{way}.row-{after.count}.{name}", row, seed=bench.seed, share=share, edits=after.count)
        # one model was measured once: there is nothing to resample
        found.add(replace(reading, low=None, high=None) if len(row) == 1 else reading)


# --- unlearning -----------------------------------------------------------------------------------------------------


def _unlearned(bench: _Bench, found: Rows, gold: Gpt, known: frozenset[int], site: Site) -> None:
    model, corpus, plan = bench.model, bench.corpus, bench.plan
    forget = forgotten(corpus, subjects=plan.forget)
    task = make_task(corpus, forget=forget, known=known, text=bench.text, tested=plan.retained, seed=bench.seed)
    for way in WAYS:
        changes = unlearn(model, corpus, task, way=way, site=site, spread=bench.spreads[site.layer], seed=bench.seed)
        with frozen(gold):
            after = compare_with_gold(model, corpus, task, changes, gold=gold)
        values = {
            "distance": after.distance, "recall": after.recall, "retained": after.retained, "kl": after.drift.kl,
            "loss-change": after.drift.loss,
        }  # fmt: skip
        for name, row in values.items():
            share = name in ("recall", "retained")
            reading = case_reading(f"unlearn.{way}.{name}", row, seed=bench.seed, share=share)
            found.add(replace(reading, low=None, high=None) if len(row) == 1 else reading)
        asked = len(corpus.prompts(task.forget))
        found.add(Reading(name=f"unlearn.{way}.ks", value=after.kolmogorov, n=asked, details={"p": after.p}))
        if way == "none":
            found.add(case_reading("unlearn.gold.recall", after.gold_recall, seed=bench.seed, share=True))
