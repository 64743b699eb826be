"""Experiments that tell hypotheses about a language unit apart, and what they change.

For a clause, on exemplars cut short: each condition is taken away (is it needed?); conditions that always came along
in the corpus are taken away too (was it really them?); the token is put into other contexts (is it enough?); a class
is tried on members that the exemplars lack (is it that wide?). A condition counts as needed when taking it away costs
more than ``_NEEDED`` of the activation. The prediction of the current hypothesis is written down before each
measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from maieutic.explain.predicates.base import Predicate
from maieutic.explain.predicates.text import HasAffix, TokenClass, TokenIn
from maieutic.explain.predicates.text_rules import RuleSet
from maieutic.explain.search.text_edits import Case, Editor, holds
from maieutic.explain.search.text_fit import Clause, Fitter, Part, Rules, conjunction, role_of
from maieutic.explain.search.text_label import clause_label
from maieutic.explain.search.text_setting import Setting
from maieutic.lab import Entry, Question
from maieutic.stimuli.texts import text_stimulus

#: (text, expectation, ledger id of the unedited text)
Ask = tuple[str, float, str | None]

#: share of the activation that a needed condition carries
_NEEDED = 0.4
#: exemplars a clause, edits an exemplar
_CASES, _EDITS = 3, 2
#: measurements a unit at most, and fewest for a clause
_MOST, _FEWEST = 36, 12


@dataclass(frozen=True, kw_only=True)
class Trials:
    """What the experiments left standing.

    Attributes:
        rules: revised clauses with refitted weights.
        evidence: ledger ids behind the clauses that stand.
        considered: ``(label, why it was dropped or changed)``.
        passed: share of measurements within 0.35 of their prediction; ``None`` without measurements.
    """

    rules: Rules
    evidence: tuple[str, ...] = ()
    considered: tuple[tuple[str, str], ...] = ()
    passed: float | None = None

    @classmethod
    def none(cls, rules: Rules) -> Trials:
        """No experiments were made."""
        return cls(rules=rules)


@dataclass
class _Notes:
    evidence: list[str] = field(default_factory=list)
    considered: list[tuple[str, str]] = field(default_factory=list)
    outcomes: list[bool] = field(default_factory=list)


def try_rules(setting: Setting, rules: Rules) -> Trials:
    """Test the leading clauses and revise them. Cost: at most ``_MOST`` short measurements."""
    if not rules.clauses:
        return Trials.none(rules)
    bench = _Bench(setting, rules)
    revised: list[Clause] = []
    order = np.argsort([-w * c.values.sum() for c, w in zip(rules.clauses, rules.weights, strict=True)], kind="stable")
    for k in order:
        clause, weight = rules.clauses[k], float(rules.weights[k])
        if weight < 0.1 or bench.left < _FEWEST:
            revised.append(clause)
            continue
        kept = bench.tested(clause)
        if kept is not None:
            revised.append(kept)
    unique = {repr(c.predicate): c for c in revised}
    fitted = Fitter(setting.data, setting.discover.target).refit(list(unique.values()))
    notes = bench.notes
    return Trials(
        rules=fitted, evidence=tuple(notes.evidence), considered=tuple(notes.considered),
        passed=float(np.mean(notes.outcomes)) if notes.outcomes else None,
    )  # fmt: skip


class _Bench:
    """Runs the experiments of one unit and keeps the notes."""

    def __init__(self, setting: Setting, rules: Rules) -> None:
        self.setting, self.lab, self.editor, self.notes = setting, setting.lab, Editor(setting), _Notes()
        self.prediction: Predicate = RuleSet(
            clauses=tuple(c.predicate for c in rules.clauses), weights=tuple(map(float, rules.weights)), base=rules.base
        )
        self.start = len(self.lab.ledger)

    @property
    def left(self) -> int:
        return min(_MOST - (len(self.lab.ledger) - self.start), self.lab.remaining)

    # --- one clause ----------------------------------------------------------------------------------------------
    def tested(self, clause: Clause) -> Clause | None:
        """The clause as the experiments leave it; ``None`` when they refute it."""
        label = clause_label(clause.predicate)
        bases = self._bases(clause, label)
        if len(bases) < 2:
            return clause
        ids = [e.id for _, e in bases]
        needed: list[Part] = []
        for part, others in _each(clause.parts):
            share = self._needed(bases, part, others, f"{label}: is {_named(part)} needed?", ids)
            if share is None or share >= _NEEDED or part.negated:
                needed.append(part)
            else:
                self.notes.considered.append(
                    (label, f"{_named(part)} is not needed: without it {1 - share:.0%} remains")
                )
        for rival in self._rivals(clause):
            share = self._needed(bases, rival, needed, f"{label}: or is it {_named(rival)}?", ids)
            if share is not None and share >= _NEEDED:
                needed.append(rival)
                self.notes.considered.append(
                    (label, f"it also takes {_named(rival)}: without it {1 - share:.0%} remains")
                )
        if not [p for p in needed if not p.negated]:
            return None
        kept = self._widths(conjunction(tuple(needed)), bases, ids)
        self._enough(kept, bases, ids)
        self.notes.evidence += ids
        return kept

    def _bases(self, clause: Clause, label: str) -> list[tuple[Case, Entry]]:
        """Exemplars of the clause that keep at least half of their activation when cut short."""
        cases = self.editor.cases(clause.values, _CASES + 1)
        entries = self._ask(
            [(c.text, c.target, None) for c in cases], f"{label}: does the shortened text keep the activation?", "look"
        )
        return [(c, e) for c, e in zip(cases, entries, strict=True) if e.scaled >= 0.5 * c.target and e.scaled > 0.1][
            :_CASES
        ]

    def _needed(
        self, bases: Sequence[tuple[Case, Entry]], part: Part, others: Sequence[Part], hypothesis: str, ids: list[str]
    ) -> float | None:
        """Median share of the activation lost without the condition; ``None`` if it cannot be tested."""
        plan = [(c, e, edited) for c, e in bases for edited in self.editor.without(c, part, others, _EDITS)]
        plan = plan[: max(self.left, 0)]
        if len(plan) < 2:
            return None
        kind = "substitute" if part.role == "token" else "context"
        rows = [(x.text, holds(self.setting, x.text, self.prediction), e.id) for _, e, x in plan]
        entries = self._ask(rows, hypothesis, kind)
        ids += [e.id for e in entries]
        lost = np.array([(b.scaled - e.scaled) / b.scaled for (_, b, _), e in zip(plan, entries, strict=True)])
        return float(np.clip(np.median(lost), 0.0, 1.0))

    def _rivals(self, clause: Clause) -> list[Part]:
        """Conditions that nearly always came along with the clause in the corpus and are not among its parts."""
        data = self.setting.data
        n = float(clause.values.sum())
        both = np.asarray(data.columns @ clause.values).ravel()
        size = np.diff(data.matrix.indptr)
        overlap = both / (size + n - both)
        along = np.flatnonzero((overlap >= 0.7) | (both >= 0.95 * n))
        features = [(float(overlap[j]), data.features[j]) for j in along]
        features += [(float(overlap[j]), f) for j in along for f in data.aliases.get(int(j), ())]
        own = {repr(p.predicate) for p in clause.parts}
        tokens = [p for p in clause.parts if p.role == "token" and not p.negated]
        out: list[Part] = []
        for _, f in sorted(features, key=lambda r: (-r[0], _plainness(r[1]), repr(r[1]))):
            predicate = f.predicate()
            role = role_of(f)
            if (
                repr(predicate) in own
                or (role == "token" and tokens)
                or isinstance(f.where, str)
                or f.part not in ("token", "word")
            ):
                continue
            if any(p.role == role and _place(p.predicate) == _place(predicate) for p in [*out, *clause.parts]):
                continue
            out.append(Part(predicate, self.setting.discover.predicted(predicate), False, role))
            if len(out) == 2:
                break
        return out

    # --- width and sufficiency -----------------------------------------------------------------------------------
    def _widths(self, clause: Clause, bases: Sequence[tuple[Case, Entry]], ids: list[str]) -> Clause:
        """A class that fails on members which the exemplars lack shrinks to the words that were seen to work."""
        parts = list(clause.parts)
        for k, part in enumerate(parts):
            if part.negated or part.role != "token" or not isinstance(part.predicate, (TokenClass, HasAffix)):
                continue
            members = self._members(part, clause)
            texts = [
                (t, b)
                for (c, b), m in zip(list(bases) * 2, members, strict=False)
                if (t := self.editor.with_token(c, m))
            ]
            texts = [(t, b) for t, b in texts if holds(self.setting, t, clause.predicate) > 0.5][: max(self.left, 0)]
            if len(texts) < 3:
                continue
            label = clause_label(clause.predicate)
            rows = [(t, holds(self.setting, t, self.prediction), b.id) for t, b in texts]
            entries = self._ask(rows, f"{label}: do other {_named(part)} do as well?", "substitute")
            ids += [e.id for e in entries]
            kept = float(np.median([e.scaled / b.scaled for e, (_, b) in zip(entries, texts, strict=True)]))
            narrow = self._narrow(part, clause) if kept < 0.25 else None
            if narrow is not None:
                self.notes.considered.append(
                    (label, f"too wide: other {_named(part)} keep {kept:.0%} of the activation")
                )
                parts[k] = narrow
        return conjunction(tuple(parts))

    def _members(self, part: Part, clause: Clause) -> list[str]:
        """Raw tokens of the class seen in the corpus, those not among the clause's strong positions first."""
        ids, names = self.setting.data.levels["token"]
        strong = set(ids[(clause.values > 0.5) & self.setting.discover.active].tolist())
        members = [
            int(i) for i in np.unique(ids[part.column > 0.5]) if int(i) not in strong and len(names[int(i)].strip()) > 1
        ]
        order = self.editor.rng.permutation(len(members))
        return [names[members[int(i)]] for i in order[:6]]

    def _narrow(self, part: Part, clause: Clause) -> Part | None:
        """The words of the class that are strong on average where the clause holds."""
        ids, names = self.setting.data.words
        target = self.setting.discover.target
        inside = clause.values > 0.5
        n = np.bincount(ids[inside], minlength=len(names))
        mean = np.bincount(ids[inside], target[inside], minlength=len(names)) / (n + 1.0)
        level = 0.5 * float(mean.max()) if len(mean) else 0.0
        chosen = [int(i) for i in np.argsort(-mean, kind="stable")[:12] if mean[i] >= max(level, 0.1)]
        if not chosen:
            return None
        words = TokenIn(words=tuple(names[i] for i in chosen))
        return Part(words, np.isin(ids, chosen).astype(np.float64), False, "token")

    def _enough(self, clause: Clause, bases: Sequence[tuple[Case, Entry]], ids: list[str]) -> None:
        """A clause about the token alone is tried in contexts of other texts."""
        if any(p.role != "token" for p in clause.parts):
            return
        rows = [
            (t, holds(self.setting, t, self.prediction), e.id)
            for c, e in bases
            for t in (self.editor.elsewhere(c.token),)
        ]
        rows = [r for r in rows if holds(self.setting, r[0], clause.predicate) > 0.5][: max(self.left, 0)]
        label = clause_label(clause.predicate)
        entries = self._ask(rows, f"{label}: is it enough in another context?", "paste")
        ids += [e.id for e in entries]
        if len(entries) >= 2 and np.median([e.scaled for e in entries]) < 0.2 * np.median([e.scaled for _, e in bases]):
            self.notes.considered.append((label, "not enough by itself: in other contexts the unit rests"))

    # --- measuring -----------------------------------------------------------------------------------------------
    def _ask(self, rows: Sequence[Ask], hypothesis: str, kind: str) -> list[Entry]:
        """Measure ``(text, expectation, pair)`` at the last token of each text."""
        entries = ask(self.setting, rows[: max(self.left, 0)], hypothesis=hypothesis, kind=kind)
        self.notes.outcomes += [foretold(e) for e in entries]
        return entries


def ask(setting: Setting, rows: Sequence[Ask], *, hypothesis: str | Sequence[str], kind: str) -> list[Entry]:
    """Measure the last token of each text, with its expectation written first. One hypothesis for all, or one a row."""
    said = [hypothesis] * len(rows) if isinstance(hypothesis, str) else hypothesis
    questions = [
        Question(
            stimulus=text_stimulus(text),
            hypothesis=what,
            kind=kind,
            expect=round(float(np.clip(expect, 0.0, 1.0)), 4),
            position=len(setting.viewer(text).tokens) - 1,
            pair=pair,
        )
        for (text, expect, pair), what in zip(rows, said, strict=True)
    ]
    return setting.lab.measure(questions)


def foretold(entry: Entry) -> bool:
    """Whether the value came within 0.35 of its prediction, on the 0-1 scale."""
    return abs(entry.scaled - (entry.expect or 0.0)) <= 0.35


def _each(parts: Sequence[Part]) -> list[tuple[Part, list[Part]]]:
    return [(p, [o for o in parts if o is not p]) for p in parts]


def _named(part: Part) -> str:
    return clause_label(part.predicate).removeprefix("any token ")


def _place(predicate: Predicate) -> str:
    return f"{type(predicate).__name__}{getattr(predicate, 'back', '')}"


def _plainness(feature: object) -> int:
    return {"token": 0, "word": 1}.get(getattr(feature, "part", ""), 2)
