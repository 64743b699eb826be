"""Experiments on units with one value a text: words are taken out of firing texts and put into resting ones.

Each condition of a clause is tested by itself: all tokens that meet it are replaced (is it needed?), and in texts where
only the other conditions hold, a token that meets it is put in (is it enough?).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maieutic.explain.predicates.base import Predicate
from maieutic.explain.predicates.text_rules import Anywhere, RuleSet
from maieutic.explain.search.text_experiments import Trials, foretold
from maieutic.explain.search.text_fit import Clause, Fitter, Part, Rules, conjunction
from maieutic.explain.search.text_label import clause_label
from maieutic.explain.search.text_setting import Setting
from maieutic.lab import Entry, Question
from maieutic.stimuli.texts import text_stimulus

_NEEDED, _CASES, _CLAUSES = 0.4, 3, 3
_STAND_INS = ("one", "thing", "here", "so", "well")


def try_whole(setting: Setting, rules: Rules) -> Trials:
    """Test the leading clauses and drop what is not needed. Cost: at most 3 + 6 measurements a condition."""
    tester = _Tester(setting, rules)
    order = np.argsort([-w * c.values.sum() for c, w in zip(rules.clauses, rules.weights, strict=True)], kind="stable")
    revised: list[Clause] = []
    for rank, k in enumerate(order):
        clause = rules.clauses[int(k)]
        kept = tester.tested(clause) if rank < _CLAUSES and rules.weights[int(k)] >= 0.1 else clause
        if kept is not None:
            revised.append(kept)
    unique = {repr(c.predicate): c for c in revised}
    entries = tester.entries
    return Trials(
        rules=Fitter(setting.data, setting.discover.target).refit(list(unique.values())),
        evidence=tuple(e.id for e in entries),
        considered=tuple(tester.considered),
        passed=float(np.mean([foretold(e) for e in entries])) if entries else None,
    )


class _Tester:
    def __init__(self, setting: Setting, rules: Rules) -> None:
        self.setting = setting
        self.prediction: Predicate = RuleSet(
            clauses=tuple(c.predicate for c in rules.clauses), weights=tuple(map(float, rules.weights)), base=rules.base
        )
        self.entries: list[Entry] = []
        self.considered: list[tuple[str, str]] = []

    def tested(self, clause: Clause) -> Clause | None:
        """The clause without what turns out not to be needed; ``None`` when nothing is."""
        side, label = self.setting.discover, clause_label(clause.predicate)
        where = np.flatnonzero(clause.values > 0.5)
        where = where[np.argsort(-side.target[where], kind="stable")][:_CASES]
        bases = [(side.views[int(i)].text, float(side.target[int(i)])) for i in where if side.target[int(i)] > 0.1]
        needed: list[Part] = []
        for part in clause.parts:
            name = clause_label(part.predicate)
            lost = None if part.negated else self._lost(bases, part, f"{label}: is {name} needed?")
            if lost is None or lost >= _NEEDED:
                needed.append(part)
            else:
                self.considered.append((label, f"{name} is not needed: without it {1 - lost:.0%} remains"))
            if not part.negated:
                self._offered(clause, part, f"{label}: is {name} enough?")
        return conjunction(tuple(needed)) if any(not p.negated for p in needed) else None

    def _lost(self, bases: Sequence[tuple[str, float]], part: Part, hypothesis: str) -> float | None:
        rows = [(edited, target) for text, target in bases if (edited := self._without(text, part)) is not None]
        entries = self._ask([t for t, _ in rows], hypothesis, "delete")
        if len(entries) < 2:
            return None
        shares = [(b - e.scaled) / b for e, (_, b) in zip(entries, rows, strict=False)]
        return float(np.clip(np.median(shares), 0.0, 1.0))

    def _without(self, text: str, part: Part) -> str | None:
        """The text with every token that meets the condition replaced."""
        if not isinstance(part.predicate, Anywhere):
            return None
        view = self.setting.viewer(text).per_token
        hits = np.flatnonzero(part.predicate.part.evaluate(view) > 0.5)
        for n, i in enumerate(reversed(hits.tolist())):
            token = view.tokens[i]
            old = text[token.start : token.end]
            lead = old[: len(old) - len(old.lstrip())]
            text = text[: token.start] + lead + _STAND_INS[n % len(_STAND_INS)] + text[token.end :]
        return text if self._value(part.predicate, text) < 0.5 else None

    def _offered(self, clause: Clause, part: Part, hypothesis: str) -> None:
        """Put the condition into resting texts that meet the clause's other conditions."""
        side = self.setting.discover
        donor = np.flatnonzero((clause.values > 0.5) & side.active)
        others = conjunction(tuple(p for p in clause.parts if p is not part)).values if len(clause.parts) > 1 else 1.0
        resting = np.flatnonzero((part.column < 0.5) & (side.target < 0.1) & (np.ones(len(side.target)) * others > 0.5))
        if not len(donor) or not isinstance(part.predicate, Anywhere):
            return
        view = side.views[int(donor[0])].per_token
        hits = np.flatnonzero(part.predicate.part.evaluate(view) > 0.5)
        if not len(hits):
            return
        word = view.raw[int(hits[0])].strip()
        texts = [f"{side.views[int(i)].text.rstrip()} {word}" for i in resting[:_CASES]]
        self._ask([t for t in texts if self._value(clause.predicate, t) > 0.5], hypothesis, "insert")

    def _value(self, predicate: Predicate, text: str) -> float:
        return float(predicate.evaluate(self.setting.viewer(text))[0])

    def _ask(self, texts: Sequence[str], hypothesis: str, kind: str) -> list[Entry]:
        questions = [
            Question(
                stimulus=text_stimulus(text),
                hypothesis=hypothesis,
                kind=kind,
                expect=round(float(np.clip(self._value(self.prediction, text), 0.0, 1.0)), 4),
            )
            for text in texts[: max(self.setting.lab.remaining, 0)]
        ]
        entries = self.setting.lab.measure(questions)
        self.entries += entries
        return entries
