"""The search explainer for language units: hypotheses from the whole activation range, tested by experiments, no LLM.

1. Greedy search for clauses over a matrix of conditions, cross-validated over documents (``text_fit``).
2. Experiments on the leading clauses: what they need is taken away, offered alone, and varied (``text_experiments``).
3. What is left over is given to graded words and phrases (``text_tables``).
4. The simplest hypothesis that predicts the select split as well as the best is taken, or the unit is left unexplained.

It never reads the test split, and it cannot find what its conditions cannot say (grammar, meaning beyond word lists).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from maieutic.explain.explanation import Explanation
from maieutic.explain.lookup_text import constant
from maieutic.explain.predicates.base import Predicate, Scaled
from maieutic.explain.predicates.text_rules import RuleSet
from maieutic.explain.search.text_choose import Array, Candidate, Measured, above_chance, beats, choose, measured
from maieutic.explain.search.text_confidence import LONG, Evidence, confidence_of
from maieutic.explain.search.text_experiments import Trials, try_rules
from maieutic.explain.search.text_fit import Fitter, Rules
from maieutic.explain.search.text_label import clause_label
from maieutic.explain.search.text_lead_trials import try_leads
from maieutic.explain.search.text_leads import Lead, leads, lexical_label
from maieutic.explain.search.text_setting import Setting, setting_of
from maieutic.explain.search.text_tables import phrases
from maieutic.explain.search.text_whole_trials import try_whole
from maieutic.lab import Budget, Lab
from maieutic.readings import Cost

NAME = "search"
#: words of a graded hypothesis that are tested
_LEADS = 6
#: share of the variance at which rules need no table of words and phrases beside them
_ENOUGH = 0.85


def explain_text(lab: Lab, *, budget: Budget | None = None, experiments: bool = True) -> Explanation:
    """Explain a language unit.

    Args:
        lab: the unit with its atlas; its ledger receives the experiments.
        budget: replaces the lab's budget.
        experiments: off: look at exemplars only (the control for what experiments are worth).

    Returns:
        The explanation, or an abstention with its reason. Cost: about 1 s beside at most 120 short measurements.
    """
    start = time.perf_counter()
    if budget is not None:
        lab.budget = budget
    name = NAME if experiments else f"{NAME}-no-experiments"
    if constant(lab):
        return Explanation.unexplained(lab.unit.key, "the unit never changes on the discover split", explainer=name)
    if not len(lab.select):
        return Explanation.unexplained(lab.unit.key, "the select split is empty: add documents", explainer=name)
    setting = setting_of(lab)
    fitter = Fitter(setting.data, setting.discover.target)
    trials, found = _sought(setting, fitter, experiments=experiments)
    reason = _why_not(setting, found, trials)
    words: list[Lead] = []
    if reason is None and _graded(found):
        words = leads(setting)
        if experiments:
            trials, words = try_leads(setting, trials, words[:_LEADS], found.candidate.predicate)
    spent = _spent(lab, start)
    if reason is not None:
        return Explanation.unexplained(
            lab.unit.key, reason, explainer=name, cost=spent, viewer=setting.viewer, considered=trials.considered
        )
    return Explanation(
        unit=lab.unit.key,
        label=_label(setting, found, words),
        predicate=found.candidate.predicate,
        explainer=name,
        confidence=_confidence(setting, found, trials),
        evidence=trials.evidence,
        considered=trials.considered,
        cost=replace(spent, seconds=time.perf_counter() - start),
        viewer=setting.viewer,
    )


def _sought(setting: Setting, fitter: Fitter, *, experiments: bool) -> tuple[Trials, Measured]:
    """The rules that experiments leave (or that the corpus alone gives), and the hypothesis chosen among them."""
    if not experiments or setting.text_level:
        rules = fitter.rules()[-1]
        trials = try_whole(setting, rules) if experiments else Trials.none(rules)
        return trials, _not_worse(setting, fitter, trials, rules, _chosen(setting, fitter, trials.rules))
    trials = try_rules(setting, fitter)
    found = _chosen(setting, fitter, trials.rules)
    if not trials.evidence or explained(setting, trials.rules) >= _ENOUGH:
        return trials, found
    return trials, _not_worse(setting, fitter, trials, fitter.rules()[-1], found)


def _not_worse(setting: Setting, fitter: Fitter, trials: Trials, rules: Rules, found: Measured) -> Measured:
    """Experiments decide between hypotheses that the corpus cannot tell apart, not against what it clearly shows."""
    if trials.rules is rules:
        return found
    unrevised = _chosen(setting, fitter, rules)
    return unrevised if beats(unrevised.score, found.score) > 0.975 else found


def _spent(lab: Lab, start: float) -> Cost:
    total = Cost()
    for entry in lab.ledger.entries:
        total = total + entry.cost
    return replace(total, seconds=time.perf_counter() - start)


# --- the ladder of hypotheses --------------------------------------------------------------------------------------
def _chosen(setting: Setting, fitter: Fitter, rules: Rules) -> Measured:
    return choose([measured(c, setting.select) for c in ladder(setting, fitter, rules)])


def _graded(found: Measured) -> bool:
    return found.candidate.name.startswith("phrases")


def ladder(setting: Setting, fitter: Fitter, rules: Rules) -> list[Candidate]:
    """From one clause to all clauses with graded words and phrases; simplest first."""
    columns = [setting.select.predicted(c.predicate) for c in rules.clauses]
    n = len(setting.select.target)
    told = explained(setting, rules)
    out: list[Candidate] = []
    for m in range(len(rules.clauses) + 1):
        fitted = fitter.refit(rules.clauses[:m])
        predicted = fitted.base + sum((w * c for w, c in zip(fitted.weights, columns[:m], strict=True)), np.zeros(n))
        if m:
            out.append(
                Candidate(
                    name=f"rules {m}", predicate=_as_predicate(fitted), predicted=np.clip(predicted, 0, 1), size=m
                )
            )
        if m not in (0, len(rules.clauses)) or setting.text_level or told >= _ENOUGH:
            continue
        table = phrases(setting.data, setting.discover.target - fitted.values(len(setting.discover.target)))
        if table is not None:
            graded = np.clip(predicted + setting.select.predicted(table), 0, 1)
            out.append(
                Candidate(name=f"phrases {m}", predicate=_as_predicate(fitted, table), predicted=graded, size=20 + m)
            )
    return out or [Candidate(name="nothing", predicate=_as_predicate(rules), predicted=np.full(n, rules.base), size=0)]


def explained(setting: Setting, rules: Rules) -> float:
    """Share of the discover variance that is not noise which the rules account for, 0 to 1."""
    return accounted(setting, np.clip(rules.values(len(setting.discover.target)), 0, 1))


def accounted(setting: Setting, predicted: Array) -> float:
    """Share of the discover variance that is not noise which a prediction accounts for, 0 to 1.

    Resting noise is cut off below 0 on the 0-1 scale; of a normal variable that leaves 0.341 of the variance.
    """
    target = setting.discover.target
    left = float(((target - predicted) ** 2).mean())
    noise = 0.341 * setting.noise**2
    spread = float(target.var()) - noise
    return float(np.clip(1.0 - max(left - noise, 0.0) / spread, 0.0, 1.0)) if spread > 0 else 0.0


def _as_predicate(rules: Rules, table: Predicate | None = None) -> Predicate:
    clauses = [c.predicate for c in rules.clauses]
    weights = [round(float(w), 4) for w in rules.weights]
    base = round(rules.base, 4)
    if table is not None:
        clauses, weights = [*clauses, table], [*weights, 1.0]
    elif len(clauses) == 1 and abs(base) < 0.02 and weights[0] > 0:
        return Scaled(part=clauses[0], strength=min(weights[0] + base, 1.0))
    return RuleSet(clauses=tuple(clauses), weights=tuple(weights), base=base)


# --- belief --------------------------------------------------------------------------------------------------------
def _why_not(setting: Setting, found: Measured, trials: Trials | None = None) -> str | None:
    if found.candidate.name == "nothing":
        return "no condition on tokens or context predicts the unit across documents"
    if trials is not None and trials.confirmed:
        return None  # it fired again and again where the hypothesis says, on texts made for the purpose
    return above_chance(found, setting.select)


def _confidence(setting: Setting, found: Measured, trials: Trials) -> float:
    target = setting.discover.target
    noise = 0.341 * setting.noise**2
    # the largest correlation that anything can have with a noisy measurement
    ceiling = float(np.sqrt(max(1.0 - noise / max(float(target.var()), 1e-12), 0.05)))
    low = (found.correlation.interval() or (0.0, 0.0))[0]
    asked = trials.passed is not None
    evidence = Evidence(
        explained=accounted(setting, setting.discover.predicted(found.candidate.predicate)),
        select=float(np.clip(np.nan_to_num(found.correlation.value) / ceiling, 0, 1)),
        surely=float(np.clip(np.nan_to_num(low) / ceiling, 0, 1)),
        belief=trials.belief if asked else None,
        foretold=trials.passed,
        table=_graded(found),
        listed=longest_list(found.candidate.predicate) > LONG,
    )
    return confidence_of(evidence)


def longest_list(predicate: Predicate) -> int:
    """Words of the longest list in a predicate."""
    inner = [v for f in fields(predicate) for v in _parts(getattr(predicate, f.name))]  # pyright: ignore[reportArgumentType]
    return max(len(getattr(predicate, "words", ())), *map(longest_list, inner), 0)


def _parts(value: object) -> list[Predicate]:
    values: tuple[object, ...] = value if isinstance(value, tuple) else (value,)
    return [v for v in values if isinstance(v, Predicate)]


# --- words ---------------------------------------------------------------------------------------------------------
def _label(setting: Setting, found: Measured, words: Sequence[Lead]) -> str:
    predicate = found.candidate.predicate
    if isinstance(predicate, Scaled):
        return clause_label(predicate.part)
    assert isinstance(predicate, RuleSet)
    if _graded(found):
        return lexical_label(setting, words)
    rows = list(zip(predicate.clauses, predicate.weights, strict=True))
    named = sorted(rows, key=lambda row: -row[1])
    plus = [clause_label(c) for c, w in named if w >= 0.05]
    minus = [clause_label(c) for c, w in rows if w < -0.1]
    label = "; or ".join(plus[:2]) or clause_label(rows[0][0])
    return label + (f"; less so {minus[0]}" if minus else "")
