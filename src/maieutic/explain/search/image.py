"""The search explainer for units of vision models: correlate to propose, experiment to decide, select to choose.

1. Look at every discover image over the whole activation range and fit readable rules (`image_fit`).
2. Test the leading rules by experiments on scenes with exact masks, each predicted before it is measured
   (`image_trials`); clauses that pasting and removing show to be bystanders are banned, and the rules fitted again.
3. Choose on the select split; abstain when nothing there beats chance.

No language model, no network besides the subject. What it cannot find: meanings that no annotation or visual feature of
`image_pixels` comes near.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.explanation import Explanation
from maieutic.explain.predicates.image import Shows
from maieutic.explain.search.image_fit import (
    Floats,
    Rule,
    Target,
    average_precision,
    fitted,
    levels_of,
    quality,
    search_rules,
    target_of,
)
from maieutic.explain.search.image_table import ImageTable, shared_table
from maieutic.explain.search.image_trials import Finding, run_trials
from maieutic.explain.search.image_words import Remark, concepts_in, label_of, remark_of, surroundings_only
from maieutic.explain.views_image import ImageViewer, shared_viewer
from maieutic.lab.lab import Budget, Lab
from maieutic.readings import Cost

NAME = "search"
#: rules taken to the select split
_SHORTLIST = 12
#: quality that an experiment's verdict is worth against correlation on the discover images
_EXPERIMENT = 0.03
#: quality given up for a simpler rule
_SLACK = 0.005
#: resamples of groups behind the decision to abstain
_RESAMPLES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The rule that the select split chose, with its quality there and the chance that it beats guessing."""

    rule: Rule
    ap: float
    correlation: float
    sure: float
    base: float


def explain_image(lab: Lab, *, budget: Budget | None = None, experiments: bool = True) -> Explanation:
    """Explain one unit of a vision subject.

    Args:
        lab: the unit with its atlas; ``lab.discover`` proposes, ``lab.select`` chooses.
        budget: at most this many measurements (also never more than the lab has left); about 110 are used.
        experiments: ``False`` skips the trials: a label that rests on correlation alone.

    Returns:
        A bound explanation, or an abstention with its reason. Cost: about 1 s of search, and the measurements.
    """
    start = time.perf_counter()
    viewer = shared_viewer(lab.subject, lab.corpus)
    raw = np.array([float(o.values[0]) for o in lab.discover])
    reason = _hopeless(raw)
    if reason:
        return Explanation.unexplained(lab.unit.key, reason, explainer=NAME, cost=_cost(lab, start)).bound(viewer)
    table = shared_table(f"{lab.corpus.fingerprint}:discover", [o.stimulus for o in lab.discover], viewer)
    target = target_of(table, np.asarray(lab.scaled(raw), dtype=np.float64), raw, seed=lab.seed)
    rules = search_rules(table, target)
    findings: list[Finding] = []
    if experiments and rules:
        allowance = min(lab.remaining, (budget or lab.budget).measurements)
        findings = run_trials(lab, table, target, rules[0], viewer, limit=allowance)
        banned = {c for f in findings if f.refutes for c in f.concepts}
        if banned:
            rules = search_rules(table, target, allowed=lambda c: not banned & set(concepts_in(c.predicate)))
        rules = [*_widened(rules, findings, table, target), *rules]
    if not rules:
        reason = "no concept or visual feature goes with this unit on the discover images"
        return Explanation.unexplained(lab.unit.key, reason, explainer=NAME, cost=_cost(lab, start)).bound(viewer)
    chosen = _choose(lab, rules, target, viewer, raw)
    return _concluded(lab, chosen, rules, findings, table, target, _cost(lab, start)).bound(viewer)


def _widened(rules: list[Rule], findings: list[Finding], table: ImageTable, target: Target) -> list[Rule]:
    """The leading rules with a concept replaced by the wider kind that experiments asked for, where they still hold."""
    out: list[Rule] = []
    for finding in (f for f in findings if f.broader):
        wide = {c.predicate: c for c in table.clauses[: table.named]}.get(Shows(concept=finding.broader))
        if wide is None:
            continue
        for rule in rules[:3]:
            rest = [c for c in rule.clauses if not {*finding.concepts, finding.broader} & set(concepts_in(c.predicate))]
            if len(rest) < len(rule.clauses):
                changed = fitted([wide, *rest], target)
                out.append(replace(changed, score=changed.score + _EXPERIMENT))
    return out


def _hopeless(raw: Floats) -> str | None:
    """Why a unit cannot be explained whatever is tried, or ``None``."""
    if len(raw) < 40:
        return f"only {len(raw)} discover images: harvest a corpus with at least 40"
    spread = float(np.ptp(raw))
    if spread <= 1e-9 * max(1.0, float(np.abs(raw).max())):
        return f"dead: the same value on all {len(raw)} discover images"
    active = int((raw > raw.min() + 0.02 * spread).sum())
    if active < 6:
        return f"nearly dead: it leaves its resting value on only {active} of {len(raw)} discover images"
    return None


def _cost(lab: Lab, start: float) -> Cost:
    total = sum((e.cost for e in lab.ledger.entries), Cost())
    return Cost(measurements=total.measurements, images=total.images, seconds=time.perf_counter() - start)


def _choose(lab: Lab, rules: list[Rule], target: Target, viewer: ImageViewer, raw: Floats) -> Chosen:
    """The simplest rule within ``_SLACK`` of the best quality over discover (left-out groups) and select together."""
    observed = lab.select
    views = [viewer(o.stimulus) for o in observed]
    values = np.array([float(o.values[0]) for o in observed])
    y = np.asarray(lab.scaled(values), dtype=np.float64)
    levels = levels_of(values, raw)
    groups = np.array([o.stimulus.group or o.stimulus.id for o in observed])
    n_discover, n_select = len(target.y), len(y)
    tried: list[tuple[float, Rule, Floats]] = []
    for rule in _shortlist(rules):
        predicted = np.array([float(rule.predicate.evaluate(v)[0]) for v in views])
        there = quality(predicted, y, levels)[0] if n_select else 0.0
        joint = (n_discover * rule.score + n_select * there) / (n_discover + n_select)
        tried.append((joint, rule, predicted))
    bar = max(joint for joint, _, _ in tried) - _SLACK
    _, rule, predicted = next(t for t in tried if t[0] >= bar)
    if not levels[-1].any():
        return Chosen(rule=rule, ap=0.0, correlation=0.0, sure=0.0, base=0.0)
    _, ap, r = quality(predicted, y, levels)
    sure = _beats_chance(predicted, levels[1], groups, seed=lab.seed)
    return Chosen(rule=rule, ap=ap, correlation=r, sure=sure, base=float(levels[-1].mean()))


def _shortlist(rules: list[Rule]) -> list[Rule]:
    """The best few rules and the best of every size, simplest first."""
    sizes: dict[int, Rule] = {}
    for rule in rules:
        sizes.setdefault(sum(c.atoms for c in rule.clauses), rule)
    kept = {id(r): r for r in [*rules[:_SHORTLIST], *sizes.values()]}
    return sorted(kept.values(), key=lambda r: (sum(c.atoms for c in r.clauses), -r.score))


def _beats_chance(predicted: Floats, high: NDArray[np.bool_], groups: NDArray[np.str_], *, seed: int) -> float:
    """Share of resamples of whole groups in which the average precision exceeds 1.3 x the share of positives.

    Resamples without any positive say nothing and are left out.
    """
    rng = np.random.default_rng(seed)
    names, index = np.unique(groups, return_inverse=True)
    members = [np.flatnonzero(index == g) for g in range(len(names))]
    wins, counted = 0, 0
    for _ in range(_RESAMPLES):
        rows = np.concatenate([members[g] for g in rng.integers(len(names), size=len(names))])
        share = float(high[rows].mean())
        counted += share > 0
        wins += share > 0 and average_precision(predicted[rows], high[rows]) > 1.3 * share
    return wins / max(counted, 1)


def _concluded(
    lab: Lab, chosen: Chosen, rules: list[Rule], findings: list[Finding], table: ImageTable, target: Target, cost: Cost
) -> Explanation:
    """The explanation, or an abstention when the rule does not hold on the select images."""
    considered = [
        *((f.subject, f.sentence) for f in findings),
        *(
            (r.predicate.describe(), f"quality {r.score:.3f} on left-out groups, against {chosen.rule.score:.3f}")
            for r in rules[:6]
            if r is not chosen.rule
        ),
    ]
    evidence = tuple(i for f in findings for i in f.evidence)
    if chosen.sure < 0.9:
        reason = (
            f"no rule holds: the best, {chosen.rule.predicate.describe()!r}, reaches average precision {chosen.ap:.2f} "
            f"on the select images where {chosen.base:.2f} is chance"
        )
        return Explanation.unexplained(
            lab.unit.key, reason, explainer=NAME, cost=cost, considered=tuple(considered), evidence=evidence
        )
    return Explanation(
        unit=lab.unit.key,
        label=label_of(chosen.rule, target.levels, remarks=_remarks(lab, findings), within=table.within),
        predicate=chosen.rule.predicate,
        explainer=NAME,
        confidence=_confidence(chosen, findings),
        evidence=evidence,
        considered=tuple(considered),
        cost=cost,
    )


def _remarks(lab: Lab, findings: list[Finding]) -> list[Remark]:
    """What the findings may add to the label; those too uncertain (interval over 0.6 wide) add nothing."""
    out: list[Remark | None] = []
    for f in findings:
        concept = next(iter(f.concepts), "")
        if f.kind == "paste":  # its first ``n`` entries are the concept itself, the others near misses
            alone = float(np.mean([lab.ledger[i].scaled for i in f.evidence[: f.n]]))
            out.append(remark_of(f.kind, concept, f.effect, pasted=alone))
        elif f.kind == "part" and f.words:  # a part of the first concept questioned
            out.append(Remark(concept=next(iter(findings[0].concepts), ""), words=f.words, rank=7))
        elif f.high - f.low <= 0.6:
            out.append(remark_of(f.kind, concept, f.effect))
    return surroundings_only([r for r in out if r])


def _confidence(chosen: Chosen, findings: list[Finding]) -> float:
    """Higher with the fit on select images, and with the share of experiments that came out as the rule says."""
    fit = max(chosen.correlation, 0.0)
    asked = [f for f in findings if f.supports is not None]
    agree = float(np.mean([bool(f.supports) for f in asked])) if asked else 0.5
    sure = (chosen.sure - 0.9) / 0.1
    return round(float(np.clip(0.1 + 0.55 * fit + 0.35 * (agree - 0.5) + 0.15 * sure, 0.02, 0.98)), 3)
