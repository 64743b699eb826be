"""The search explainer for units of vision models: correlate to propose, experiment to decide, select to choose.

1. Look at every discover image over the whole activation range and fit readable rules (`image_fit`); stop where nothing
   goes with the activation better than with shuffled values.
2. Where no rule is crisp, ask how the leading concept acts: pasted, removed, as a silhouette, in grey (`image_trials`);
   bystanders are banned and the rules fitted again.
3. Set up rivals of the leading rules, and show the pictures that are expected to tell most between them
   (`image_rivals`, `image_probes`, `image_inquiry`); every outcome is foretold first, and the winner is checked.
4. See whether the winner holds on the select split; abstain when it does not beat chance there.

No language model, no network besides the subject. What it cannot find: meanings that no annotation or visual feature of
`image_pixels` comes near.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from maieutic.explain.explanation import Explanation
from maieutic.explain.predicates.image import Shows
from maieutic.explain.search.image_choose import Held, held, like_noise
from maieutic.explain.search.image_confidence import Evidence, confidence_of
from maieutic.explain.search.image_fit import search_rules
from maieutic.explain.search.image_inquiry import Verdict, settle
from maieutic.explain.search.image_rivals import Rival, Seen, judged
from maieutic.explain.search.image_rules import Floats, Rule, Target, fitted, levels_of, target_of
from maieutic.explain.search.image_stage import Stage
from maieutic.explain.search.image_table import ImageTable, shared_columns, shared_table
from maieutic.explain.search.image_trials import Finding, run_trials
from maieutic.explain.search.image_words import Remark, concepts_in, label_of, remark_of, surroundings_only
from maieutic.explain.views_image import ImageViewer, shared_viewer
from maieutic.lab.lab import Budget, Lab
from maieutic.readings import Cost

NAME = "search"
#: fit from which a rule describes a unit so well that how it does so needs no further experiments
_CRISP = 0.85
#: quality that an experiment's verdict is worth against correlation on the discover images
_EXPERIMENT = 0.03


def explain_image(lab: Lab, *, budget: Budget | None = None, experiments: bool = True) -> Explanation:
    """Explain one unit of a vision subject.

    Args:
        lab: the unit with its atlas; ``lab.discover`` proposes, ``lab.select`` chooses.
        budget: at most this many measurements (also never more than the lab has left). A unit with a crisp rule takes
            about 15, one of a real network about 130.
        experiments: ``False`` skips the trials: a label that rests on correlation alone.

    Returns:
        A bound explanation, or an abstention with its reason. Cost: about 0.2 s of search, and the measurements.
    """
    start = time.perf_counter()
    viewer = shared_viewer(lab.subject, lab.corpus)
    raw = np.array([float(o.values[0]) for o in lab.discover])

    def none(reason: str) -> Explanation:
        cost = _cost(lab, start)
        return Explanation.unexplained(lab.unit.key, reason, explainer=NAME, cost=cost).bound(viewer)

    if reason := _hopeless(raw):
        return none(reason)
    seen = _seen(lab, viewer, raw)
    shown = [o.stimulus for o in lab.discover]
    table = shared_table(f"{lab.corpus.fingerprint}:discover", shown, viewer, elsewhere=seen.columns.presence)
    target = target_of(table, np.asarray(lab.scaled(raw), dtype=np.float64), raw, seed=lab.seed)
    if like_noise(table, target, seed=lab.seed):
        return none("no concept or visual feature goes with this unit better than with shuffled activations")
    rules = search_rules(table, target)
    if not rules:
        return none("no concept or visual feature goes with this unit on the discover images")
    allowance = min(lab.remaining, (budget or lab.budget).measurements) if experiments else 0
    case = _questioned(lab, table, target, rules, seen, viewer, allowance)
    viewer.keep_features()
    return _concluded(lab, case, seen, table, target, _cost(lab, start)).bound(viewer)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What is known of a unit when all questions are asked: the verdict on its rules, and findings on their means."""

    verdict: Verdict
    findings: tuple[Finding, ...]

    @property
    def best(self) -> Rival:
        return self.verdict.rivals[self.verdict.best]


def _questioned(
    lab: Lab, table: ImageTable, target: Target, rules: list[Rule], seen: Seen, viewer: ImageViewer, allowance: int
) -> _Case:
    """Experiments: on the means of a unit that no rule describes well, then between rival rules."""
    crisp = judged(rules[0], target, seen).fit >= _CRISP
    findings: list[Finding] = []
    if allowance and not crisp:
        findings = run_trials(lab, table, target, rules[0], viewer, limit=allowance)
        banned = {c for f in findings if f.refutes for c in f.concepts}
        if banned:
            allowed = search_rules(table, target, allowed=lambda c: not banned & set(concepts_in(c.predicate)))
            rules = allowed or rules
        rules = sorted([*_widened(rules, findings, table, target), *rules], key=lambda r: -r.score)
    stage = Stage(table, target.y, seed=lab.seed)
    verdict = settle(lab, table, target, rules, seen, stage, crisp=crisp, most=allowance - len(lab.ledger))
    return _Case(verdict=verdict, findings=tuple(findings))


def _seen(lab: Lab, viewer: ImageViewer, raw: Floats) -> Seen:
    """The select images with the unit's values on them."""
    observed = lab.select
    values = np.array([float(o.values[0]) for o in observed])
    columns = shared_columns(f"{lab.corpus.fingerprint}:select", [o.stimulus for o in observed], viewer)
    return Seen(columns=columns, y=np.asarray(lab.scaled(values), dtype=np.float64), levels=levels_of(values, raw))


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
    if active < 4:
        return f"nearly dead: it leaves its resting value on only {active} of {len(raw)} discover images"
    return None


def _cost(lab: Lab, start: float) -> Cost:
    total = sum((e.cost for e in lab.ledger.entries), Cost())
    return Cost(measurements=total.measurements, images=total.images, seconds=time.perf_counter() - start)


def _concluded(lab: Lab, case: _Case, seen: Seen, table: ImageTable, target: Target, cost: Cost) -> Explanation:
    """The explanation, or an abstention when the rule does not hold on the select images."""
    rule, verdict = case.best.rule, case.verdict
    rest = [k for k in np.argsort(-verdict.belief, kind="stable").tolist() if k != verdict.best][:6]
    considered = (
        *((f.subject, f.sentence) for f in case.findings),
        *((verdict.rivals[k].rule.predicate.describe(), verdict.why_not[k]) for k in rest),
    )
    evidence = (*(i for f in case.findings for i in f.evidence), *(e.id for e in verdict.entries))
    groups = np.array([o.stimulus.group or o.stimulus.id for o in lab.select])
    there = held(rule, seen, groups, seed=lab.seed)
    if there.sure < 0.9:
        reason = (
            f"no rule holds: the best, {rule.predicate.describe()!r}, reaches average precision {there.ap:.2f} "
            f"on the select images where {there.base:.2f} is chance"
        )
        return Explanation.unexplained(
            lab.unit.key, reason, explainer=NAME, cost=cost, considered=considered, evidence=evidence
        )
    remarks = _remarks(lab, list(case.findings))
    return Explanation(
        unit=lab.unit.key,
        label=label_of(rule, target.levels, remarks=remarks, within=table.within),
        predicate=rule.predicate,
        explainer=NAME,
        confidence=confidence_of(_evidence(case, there)),
        evidence=evidence,
        considered=considered,
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
        elif f.kind == "part" and f.effect < 0.6:  # a part of the first concept questioned
            out.append(Remark(concept=next(iter(findings[0].concepts), ""), words=f"not the {f.subject} alone", rank=7))
        elif f.high - f.low <= 0.6:
            out.append(remark_of(f.kind, concept, f.effect))
    return surroundings_only([r for r in out if r])


def _evidence(case: _Case, there: Held) -> Evidence:
    verdict = case.verdict
    return Evidence(
        fit=case.best.fit, select=there.ap, belief=verdict.sure, foretold=verdict.foretold,
        support=there.strong,
    )  # fmt: skip
