"""Experiments on a clause about a language unit: what it needs, how far it reaches, how wide it is.

Exemplars are cut short and looked at again; then three inquiries (``inquiry``) run over edits of them: conditions are
taken away and offered alone, what a window looks for is put at exact distances, other words stand in for the token. Each
is asked only when options disagree, most telling edit first, with the prediction written before the value. The clause
that is believed most stands; without options that differ nothing is measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import Predicate
from maieutic.explain.predicates.text import Position, TokenIn, TopicWords, WithinLast
from maieutic.explain.search.inquiry import Answer, Probe, inquire
from maieutic.explain.search.text_edits import Case, Editor, at_ends, holds
from maieutic.explain.search.text_fit import Clause, Fitter, Part, Rules
from maieutic.explain.search.text_label import clause_label
from maieutic.explain.search.text_options import Option, by_conditions, swapped
from maieutic.explain.search.text_reach import by_reach, inner_of, windowed
from maieutic.explain.search.text_setting import Setting
from maieutic.explain.search.text_width import (
    LIST,
    by_bounds,
    by_context_width,
    by_width,
    examples,
    made_up,
    numbers_between,
    of_lengths,
    places_between,
    with_words,
)
from maieutic.lab import Entry, Question
from maieutic.stimuli.texts import text_stimulus

Array = NDArray[np.float64]
#: (text, expectation, ledger id of the unedited text)
Ask = tuple[str, float, str | None]

#: exemplars a clause
_CASES = 3
#: measurements a unit at most, a question, and fewest that a clause is tested with
_MOST, _EACH, _FEWEST = 72, 14, 8
#: a clause that accounts for less of the unit's variance is not worth testing
_SMALL = 0.025
#: share of measurements that must come as foretold for further clauses to be tested
_FORETOLD = 0.6
#: an option this little believed is told as refuted
_REFUTED = 0.05


@dataclass(frozen=True, kw_only=True)
class Trials:
    """What the experiments left standing.

    Attributes:
        rules: revised clauses with refitted weights.
        evidence: ledger ids behind the clauses that stand.
        considered: ``(label, why it was dropped or changed)``.
        passed: share of measurements that came as the standing hypotheses foretell; ``None`` without measurements.
        belief: product over questions of the belief in what was chosen, 0 to 1; 1 without questions.
    """

    rules: Rules
    evidence: tuple[str, ...] = ()
    considered: tuple[tuple[str, str], ...] = ()
    passed: float | None = None
    belief: float = 1.0

    @property
    def confirmed(self) -> bool:
        """Whether there were several measurements, and nearly all came as foretold."""
        return self.passed is not None and len(self.evidence) >= 8 and self.passed >= 0.85 and self.belief >= 0.7

    @classmethod
    def none(cls, rules: Rules) -> Trials:
        """No experiments were made."""
        return cls(rules=rules)


@dataclass
class Notes:
    """What is remembered of a unit's experiments."""

    evidence: list[str] = field(default_factory=list)
    considered: list[tuple[str, str]] = field(default_factory=list)
    outcomes: list[bool] = field(default_factory=list)
    belief: float = 1.0


def try_rules(setting: Setting, fitter: Fitter) -> Trials:
    """Find clauses one by one, each revised by experiments before the next is sought."""
    tester = Tester(setting, fitter)
    rules = fitter.rules(revise=tester.revised)[-1]
    notes = tester.notes
    return Trials(
        rules=rules, evidence=tuple(dict.fromkeys(notes.evidence)), considered=tuple(dict.fromkeys(notes.considered)),
        passed=float(np.mean(notes.outcomes)) if notes.outcomes else None, belief=notes.belief,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Base:
    """An exemplar that keeps its activation when cut short."""

    case: Case
    entry: Entry


class Tester:
    """Runs the experiments of one unit and keeps the notes."""

    def __init__(self, setting: Setting, fitter: Fitter) -> None:
        self.setting, self.lab, self.fitter = setting, setting.lab, fitter
        self.editor, self.notes = Editor(setting), Notes()
        self.start = len(self.lab.ledger)
        self.spread = max(0.2, 1.3 * setting.noise)

    @property
    def left(self) -> int:
        return min(_MOST - (len(self.lab.ledger) - self.start), self.lab.remaining)

    def revised(self, clause: Clause, residual: Array) -> Clause | None:
        """The clause as experiments leave it; ``None`` when none of its exemplars fires again."""
        level = float(clause.values @ residual) / max(float(clause.values.sum()), 1.0)
        spread = float(self.setting.discover.target.var()) * len(residual)
        small = level <= 0.02 or clause.gain < _SMALL * spread
        if small or self.left < _FEWEST or self._vague:
            return clause
        label = clause_label(clause.predicate)
        bases = self._bases(clause, label)
        if not bases:
            return clause
        self.notes.evidence += [b.entry.id for b in bases]
        clause = self._conditions(clause, residual, bases)
        clause = self._reach(clause, residual, bases)
        return self._width(clause, residual, bases)

    @property
    def _vague(self) -> bool:
        """Whether so little came as foretold that more experiments on conditions would tell little of such a unit."""
        outcomes = self.notes.outcomes
        return len(outcomes) >= _FEWEST and float(np.mean(outcomes)) < _FORETOLD

    def _bases(self, clause: Clause, label: str) -> list[_Base]:
        """Exemplars of the clause that keep at least half of their activation when cut short."""
        cases = self.editor.cases(clause.values, _CASES)
        entries = ask(
            self.setting, [(c.text, c.target, None) for c in cases][: max(self.left, 0)],
            hypothesis=f"{label}: does the shortened text keep the activation?", kind="look",
        )  # fmt: skip
        self.notes.outcomes += [foretold(e) for e in entries]
        pairs = zip(cases, entries, strict=False)
        return [_Base(c, e) for c, e in pairs if e.scaled >= 0.5 * c.target and e.scaled > 0.1]

    # --- which conditions ----------------------------------------------------------------------------------------
    def _conditions(self, clause: Clause, residual: Array, bases: Sequence[_Base]) -> Clause:
        options = by_conditions(self.setting, self.fitter, clause, residual)
        parts = list({repr(p.predicate): p for o in options for p in o.clause.parts}.values())
        edits = [(b, t, k) for b in bases for t, k in self._condition_edits(b.case, parts)]
        return self._asked(clause, options, edits, f"{clause_label(clause.predicate)}: which conditions does it take?")

    def _condition_edits(self, case: Case, parts: Sequence[Part]) -> Iterator[tuple[str, str]]:
        for part in parts:
            kind = "substitute" if part.role == "token" else "context"
            for text in self.editor.failing(case, part, 2):
                yield text, kind
        for n in (1, 2, 3, 5):
            yield self.editor.elsewhere(self.editor.ending(case, n), case.token), "paste"
        for text in self.editor.other_tokens(case, 2):
            yield text, "substitute"

    # --- how far back --------------------------------------------------------------------------------------------
    def _reach(self, clause: Clause, residual: Array, bases: Sequence[_Base]) -> Clause:
        for k, part in enumerate(clause.parts):
            if not windowed(part) or self.left < 2:
                continue
            options = by_reach(self.setting, self.fitter, clause, k, residual)
            edits = [(b, t, "move") for b in bases for t in self.editor.at_distances(b.case, inner_of(part))]
            clause = self._asked(
                clause, options, edits, f"{clause_label(clause.predicate)}: how far back does it look?"
            )
            clause = self._window_words(clause, k, bases)
        return clause

    def _window_words(self, clause: Clause, k: int, bases: Sequence[_Base]) -> Clause:
        """A window with the words that each do alone (or beside another that does): the rest came along with these."""
        part = clause.parts[k].predicate
        words = _words_looked_for(part)
        if len(words) < 2:
            return clause
        paired = isinstance(part, TopicWords) and part.at_least > 1
        inner, rows = TokenIn(words=words), list[tuple[str, _Base, str]]()
        for i, word in enumerate(words):
            base = bases[i % len(bases)]
            beside = words[0] if word != words[0] else words[1]
            texts = self.editor.at_distances(
                base.case, inner, member=word, beside=beside if paired else "", distances=(1, 2, 3)
            )
            text = next((t for t in texts if holds(self.setting, t, clause.predicate) > 0.5), None)
            if text:
                rows.append((word, base, text))
        fires = self._each(rows, f"{clause_label(clause.predicate)}: does this word do?", "move", words)
        kept = tuple(w for w in words if fires.get(w, True))
        if not kept or kept == words or len(kept) < 1 + paired:
            return clause
        where = self.setting.data.where_now(TokenIn(words=kept))
        assert where is not None
        if isinstance(part, TopicWords):
            count = self.setting.data.among(where, part.n)
            changed: Predicate = replace(part, words=kept)
            column = (count >= part.at_least).astype(np.float64)
        else:
            assert isinstance(part, WithinLast)
            changed, column = replace(part, part=TokenIn(words=kept)), self.setting.data.reached(where, part.n)
        return swapped(clause, k, replace(clause.parts[k], predicate=changed, column=column))

    # --- how wide ------------------------------------------------------------------------------------------------
    def _width(self, clause: Clause, residual: Array, bases: Sequence[_Base]) -> Clause:
        for k in range(len(clause.parts)):
            if self.left >= 2:
                clause = self._context_width(clause, k, residual, bases)
        at = [k for k, p in enumerate(clause.parts) if p.role == "token" and not p.negated]
        for k in at or [len(clause.parts)]:
            if self.left < 2:
                break
            options = by_width(self.setting, self.fitter, clause, k, residual)
            label = clause_label(clause.predicate)
            rng = self.editor.rng
            words = [*made_up(options, k, rng), *examples(options, k, rng), *numbers_between(options, k)]
            words += [*of_lengths(options, k, rng), *self._members(options)]
            clause = self._asked(clause, options, self._swaps(bases, words), f"{label}: which tokens will do?")
            if k < len(clause.parts):
                bounds = by_bounds(self.setting, self.fitter, clause, k, residual)
                swaps = self._swaps(bases, numbers_between(bounds, k))
                clause = self._asked(clause, bounds, swaps, f"{label}: from what number to what?")
                clause = self._listed(clause, k, residual, bases)
        return self._placed(clause, residual, bases)

    def _placed(self, clause: Clause, residual: Array, bases: Sequence[_Base]) -> Clause:
        """A range of places in the text with its bounds tried out."""
        for k, part in enumerate(clause.parts):
            if not isinstance(part.predicate, Position) or self.left < 2:
                continue
            options = by_bounds(self.setting, self.fitter, clause, k, residual)
            places = places_between(options, k) if len(options) > 1 else []
            edits = [
                (b, t, "move")
                for p, b in zip(places, cycle(bases), strict=False)
                if (t := self.editor.at_place(b.case, p))
            ]
            clause = self._asked(clause, options, edits, f"{clause_label(clause.predicate)}: from where to where?")
        return clause

    def _swaps(self, bases: Sequence[_Base], words: Iterable[str]) -> list[tuple[_Base, str, str]]:
        """Exemplars in turn with other last tokens."""
        made = (
            (b, self.editor.with_token(b.case, w)) for b, w in zip(cycle(bases), dict.fromkeys(words), strict=False)
        )
        return [(b, t, "substitute") for b, t in made if t]

    def _context_width(self, clause: Clause, k: int, residual: Array, bases: Sequence[_Base]) -> Clause:
        options, back = by_context_width(self.setting, self.fitter, clause, k, residual)
        inner = [_inner_values(self.setting, o.clause.parts[k]) for o in options[:8]]
        words = self._split_by([v for v in inner if v is not None]) if len(options) > 1 else []
        edits = [
            (base, text, "substitute")
            for i, word in enumerate(words)
            if (base := bases[i % len(bases)]) and (text := self.editor.with_earlier(base.case, back, word))
        ]
        return self._asked(clause, options, edits, f"{clause_label(clause.predicate)}: after which tokens?")

    def _members(self, options: Sequence[Option]) -> list[str]:
        """Raw tokens about which the options disagree."""
        return [] if len(options) < 2 else self._split_by([_token_column(o) for o in options[:8]])

    def _split_by(self, columns: Sequence[Array], most: int = 24) -> list[str]:
        """Raw tokens at which the columns differ: for each of them a few that tell it from the first, then any others."""
        if len(columns) < 2:
            return []
        ids, names = self.setting.data.levels["token"]
        inside = np.stack([np.bincount(ids, c, minlength=len(names)) > 0 for c in columns])
        said = np.array([bool(n.strip()) for n in names])
        rng, chosen = self.editor.rng, list[int]()
        for other in (*inside[1:], ~inside[0]):
            differ = np.flatnonzero((other != inside[0]) & said)
            chosen += [int(differ[int(i)]) for i in rng.permutation(len(differ))[:3]]
        split = np.flatnonzero(inside.any(axis=0) & ~inside.all(axis=0) & said)
        chosen += [int(split[int(i)]) for i in rng.permutation(len(split))]
        return [names[k] for k in dict.fromkeys(chosen)][:most]

    def _listed(self, clause: Clause, k: int, residual: Array, bases: Sequence[_Base]) -> Clause:
        """A list of words with its doubtful members tried one by one."""
        part = clause.parts[k].predicate
        if not isinstance(part, TokenIn):
            return clause
        doubtful = self._doubtful(clause, k, residual)[: 2 * _EACH]
        rows = [
            (word, base, text)
            for word, base in zip(doubtful, cycle(bases), strict=False)
            if (text := self.editor.with_token(base.case, word))
        ]
        fires = self._each(
            rows, f"{clause_label(clause.predicate)}: is this one of the words?", "substitute", part.words
        )
        words = [w for w in part.words if fires.get(w, True)] + [w for w in fires if fires[w] and w not in part.words]
        return with_words(self.setting, clause, k, words[:LIST]) if words and tuple(words) != part.words else clause

    def _each(
        self, rows: Sequence[tuple[str, _Base, str]], question: str, kind: str, expected: Sequence[str]
    ) -> dict[str, bool]:
        """Whether each word, in its text, brings half of the exemplar's activation; as many as the allowance covers."""
        rows = rows[: max(min(self.left, _EACH), 0)]
        asks: list[Ask] = [(t, b.entry.scaled * (w in expected), b.entry.id) for w, b, t in rows]
        entries = ask(self.setting, asks, hypothesis=question, kind=kind)
        self.notes.evidence += [e.id for e in entries]
        return {w: e.scaled >= 0.5 * b.entry.scaled for (w, b, _), e in zip(rows, entries, strict=True)}

    def _doubtful(self, clause: Clause, k: int, residual: Array) -> list[str]:
        """Words of the list seen seldom, and words outside it that were once strong: most active first."""
        ids, names = self.setting.data.words
        rest = [p for i, p in enumerate(clause.parts) if i != k]
        gate = np.ones(len(residual))
        for p in rest:
            gate = gate * ((1.0 - p.column) if p.negated else p.column)
        n = np.bincount(ids, gate, minlength=len(names))
        total = np.bincount(ids, gate * residual, minlength=len(names))
        level = float(clause.values @ residual) / max(float(clause.values.sum()), 1.0)
        part = clause.parts[k].predicate
        assert isinstance(part, TokenIn)
        inside = np.isin(np.arange(len(names)), [i for i, name in enumerate(names) if name in part.words])
        mean = total / np.maximum(n, 1)
        doubt = (inside & ((n < 4) | (mean < 0.6 * level))) | (
            ~inside & (total >= 0.4 * level) & (mean >= 0.15 * level)
        )
        return [names[int(i)] for i in np.argsort(-total, kind="stable") if doubt[i] and names[int(i)].strip()]

    # --- asking --------------------------------------------------------------------------------------------------
    def _asked(
        self, clause: Clause, options: Sequence[Option], edits: Iterable[tuple[_Base, str, str]], question: str
    ) -> Clause:
        """The option that the edits leave most believed; the clause itself when there is nothing to ask."""
        if len(options) < 2 or self.left < 1:
            return options[0].clause if options else clause
        hypotheses = [o.hypothesis for o in options]
        probes = self._probes(edits, [h.predicate for h in hypotheses])
        answer = inquire(
            self.lab, hypotheses, probes, question=question, most=min(_EACH, self.left), spread=self.spread
        )
        self._noted(answer, clause)
        return options[answer.best].clause

    def _probes(self, edits: Iterable[tuple[_Base, str, str]], predicates: Sequence[Predicate]) -> list[Probe]:
        """The edits about which the hypotheses disagree, each with what all of them foretell of it."""
        rows = list({t: (b, t, k) for b, t, k in edits}.values())
        bases = {b.case.text: i for i, b in enumerate({b.case.text: b for b, _, _ in rows}.values())}
        said = at_ends(self.setting, [*bases, *(t for _, t, _ in rows)], predicates)
        of_bases, of_edits = said[: len(bases)], said[len(bases) :]
        probes: list[Probe] = []
        for (base, text, kind), values in zip(rows, of_edits, strict=True):
            last = len(self.setting.viewer(text).tokens) - 1
            before = of_bases[bases[base.case.text]]
            foretold = np.array([_relative(float(v), float(b)) for v, b in zip(values, before, strict=True)])
            if last >= 0 and float(np.ptp(foretold)) >= 0.2:
                probes.append(
                    Probe(
                        stimulus=text_stimulus(text),
                        kind=kind,
                        foretold=foretold,
                        full=base.entry.scaled,
                        position=last,
                        pair=base.entry.id,
                    )  # fmt: skip
                )
        return probes

    def _noted(self, answer: Answer, clause: Clause) -> None:
        notes, best = self.notes, answer.best
        notes.evidence += [e.id for e in answer.entries]
        notes.belief *= float(answer.belief[best])
        notes.outcomes += [
            abs(float(p.foretold[best]) - p.outcome(e.scaled)) <= 0.35
            for p, e in zip(answer.probes, answer.entries, strict=True)
        ]
        prior = np.array([h.weight for h in answer.hypotheses])
        own = repr(clause.predicate)
        for h in np.argsort(-prior, kind="stable")[:6]:
            hypothesis = answer.hypotheses[int(h)]
            near = prior[h] >= prior.max() - 4 or repr(hypothesis.predicate) == own
            if h != best and near and answer.belief[h] < _REFUTED and answer.entries:
                notes.considered.append((hypothesis.words, answer.why_not(int(h))))


def _relative(value: float, base: float) -> float:
    """What a hypothesis foretells as a share of what it foretells of the exemplar, at most 2."""
    return min(value / base, 2.0) if base > 0.15 else value


def _words_looked_for(predicate: Predicate) -> tuple[str, ...]:
    """Words that a window looks for, when it names them."""
    if isinstance(predicate, TopicWords):
        return predicate.words
    if isinstance(predicate, WithinLast) and isinstance(predicate.part, TokenIn):
        return predicate.part.words
    return ()


def _inner_values(setting: Setting, part: Part) -> Array | None:
    """Positions whose own token meets what a condition on an earlier token asks."""
    where = setting.data.where_now(inner_of(part))
    return None if where is None else where.astype(np.float64)


def _token_column(option: Option) -> Array:
    """Positions at which an option's conditions on the token hold."""
    values = np.ones_like(option.clause.values)
    for p in option.clause.parts:
        if p.role == "token" and not p.negated:
            values = values * p.column
    return values


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
