"""``find_cause``: from the cheapest question to the dearest, the exact set of parts that made a model act.

1. Does the act happen more with the context than with everything removed? If not, there is no cause in the context.
2. All minimal sufficient and necessary sets (``minimal.py``), questions along the tree of parts.
3. Every set is confirmed: corrected for all questions that were asked (Holm), more samples where that is not enough; a
   set that is contradicted starts the search again with what is known by then.
4. A few answers that were only inferred are asked (is the question monotone?); the words are put elsewhere (does the place
   matter?); the smallest edit is made in other ways (does the way of removing matter, does the wording?).

What this does not show: causes outside the context (weights, tools, chance), a cause that a way of removing makes by itself
(compare ``ways``), or a motive.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from maieutic.errors import BudgetExhaustedError
from maieutic.forensics.act import ActTest
from maieutic.forensics.action import Action, Context
from maieutic.forensics.actor import Actor, Spent, TooLongError
from maieutic.forensics.attribution import after
from maieutic.forensics.attribution.cause import Cause, Claim, Found
from maieutic.forensics.attribution.minimal import (
    Asked,
    MinimalSets,
    Node,
    members,
    minimal_sets,
    spot_checks,
    structure,
)
from maieutic.forensics.attribution.question import Question
from maieutic.forensics.attribution.trials import Trials, UnmeasuredError
from maieutic.forensics.partition import Level, Part, Partition, partition
from maieutic.forensics.removal import Removal, removal
from maieutic.forensics.sequential import compare_rates, difference_interval, fisher, holm
from maieutic.progress import Report, silent
from maieutic.readings import Reading

#: a difference of rates that is worth a search, and in score mode a difference of log-odds
LEAST_RATE, LEAST_SCORE = 0.25, 0.7
#: corrected p of a claim that counts as confirmed
CONFIRMED = 0.05
#: samples of each end from which its rate is estimated
PILOT = 16
_ROUNDS, _RESTARTS = 6, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a cause is looked for.

    Attributes:
        level: how fine parts are.
        how: the way of removing: ``filler`` (places stay), ``delete``, ``paraphrase``.
        error: chance of a wrong answer to one question about a rate.
        false_cause: chance to search at all where the context makes no difference.
        looks: samples of each end at which that is looked at.
        budget: samples and passes at most.
        most: sufficient sets at most.
        spots: inferred answers that are asked.
        moves: whether words are put elsewhere.
        ways: further ways of making the smallest edit.
        words: whether the first sufficient set is narrowed to tokens.
        rewrite: makes paraphrases; rules otherwise.
        seed: of samples and choices; the action's own otherwise.
    """

    level: Level = "sentence"
    how: str = "filler"
    error: float = 0.0005
    false_cause: float = 0.01
    looks: tuple[int, ...] = (8, 16, 32, 64)
    budget: int = 20_000
    most: int = 128
    spots: int = 4
    moves: bool = True
    ways: tuple[str, ...] = ("delete", "paraphrase")
    words: bool = False
    rewrite: Callable[[str], str] | None = None
    seed: int | None = None


def find_cause(
    action: Action,
    actor: Actor,
    *,
    settings: Settings | None = None,
    test: ActTest | None = None,
    report: Report = silent,
) -> Cause:
    """What in the context made the model act.

    Args:
        action: what it did.
        actor: who can act again.
        settings: see `Settings`.
        test: looks at samples; made from the act otherwise.
        report: called with the number of questions.

    Cost: for one part among d about ``2 + log2 d`` questions; a question is one pass or one greedy sample, or 5 to 20
    samples of a stochastic model, 16 to 128 for the first.

    Raises:
        UserError: nothing can be asked at all (no jail, a wrong key, a name that does not exist).
    """
    settings = settings or Settings()
    tree = partition(action.messages, level=settings.level, tokens=actor.tokens)
    with test or ActTest(action.act) as looking:
        return _Finding(action, actor, tree, settings, looking, report).run()


@dataclass
class _Finding:
    """One search."""

    action: Action
    actor: Actor
    tree: Partition
    settings: Settings
    test: ActTest
    report: Report
    stages: dict[str, int] = field(default_factory=dict[str, int])

    def run(self) -> Cause:
        self.before, self.started = self.actor.spent, time.perf_counter()
        nothing = Reading.unmeasured("act", "not asked")
        try:
            self.how: Removal = removal(self.settings.how, rewrite=self.settings.rewrite)
            parts = self.tree.at(self.settings.level)
            self.trials = Trials(
                self.action, self.actor, parts, self.how, test=self.test, seed=self.settings.seed
            )  # fmt: skip
            if not parts:
                return self._without("unmeasured", "the transcript has no text", nothing, nothing)
            return self._searched()
        except (TooLongError, UnmeasuredError, BudgetExhaustedError) as error:
            return self._without("unmeasured", str(error), nothing, nothing)

    def _searched(self) -> Cause:
        trials = self.trials
        self.everything = (1 << len(trials.parts)) - 1
        question = self._ends()
        if isinstance(question, Cause):
            return question
        self.question = question
        try:
            with self.report("find the cause", self.action.id) as step:
                self._step = step
                found, claims = self._confirmed()
                return self._told(found, claims)
        except (TooLongError, UnmeasuredError, BudgetExhaustedError) as error:
            full, empty = self._end_readings()
            return self._without("undecided", str(error), full, empty)

    # --- is there a cause at all? --------------------------------------------------------------------------------
    def _ends(self) -> Question | Cause:
        trials, none = self.trials, frozenset[int]()
        every = trials.everything
        question = Question(
            trials=trials, error=self.settings.error, budget=self.settings.budget, start=self.before.calls
        )  # fmt: skip
        if trials.mode == "score":
            full, empty = trials.scores([every, none])
            self._stage("ends")
            if full - empty < LEAST_SCORE:
                gap = f"{full - empty:.2f} in log-odds"
                return self._no_cause("none", f"without its context the continuation is as likely (difference {gap})")
            return replace(question, scores=(full, empty))
        if trials.mode == "once":
            full, empty = trials.tally(every, 1), trials.tally(none, 1)
            self._stage("ends")
            if not full.happened:
                return self._no_cause("not reproduced", "the act does not happen again under greedy sampling")
            if empty.happened:
                return self._no_cause(
                    "none", "the act happens with everything removed too: its cause is not in the context"
                )
            return question
        compared = compare_rates(
            lambda n: trials.fresh(every, n), lambda n: trials.fresh(none, n),
            looks=self.settings.looks, error=self.settings.false_cause, least=LEAST_RATE,
        )  # fmt: skip
        if not compared.higher:
            self._stage("ends")
            low, high = difference_interval(compared.first, compared.second)
            seen = f"rates {compared.first.rate:.2f} and {compared.second.rate:.2f}, difference {low:.2f} to {high:.2f}"
            if high >= LEAST_RATE:
                return self._no_cause("undecided", f"with and without the context the act is not told apart ({seen})")
            if not compared.first.happened:
                return self._no_cause("not reproduced", f"the act did not happen in {compared.first.n} fresh samples")
            return self._no_cause("none", f"no difference of {LEAST_RATE:g} with everything removed: {seen}")
        # what was shown barely is looked at again: a search that begins by mistake is dear
        n = PILOT if compared.p < 1e-3 else max(self.settings.looks)
        full, empty = trials.tally(every, n), trials.tally(none, n)
        self._stage("ends")
        if fisher(full, empty) > self.settings.false_cause:
            return self._no_cause(
                "undecided", "the act seemed to depend on the context, further samples do not show it"
            )
        return replace(question, full=full, empty=empty)

    # --- the sets ------------------------------------------------------------------------------------------------
    def _confirmed(self) -> tuple[MinimalSets, tuple[Claim, ...]]:
        """Sets of which every claim is confirmed; after some restarts those of the last search."""
        tree = _numbered(self.tree, self.trials.parts)
        for restart in range(_RESTARTS):
            self.asked = Asked(ask=self._ask)
            self.asked.learn(self.everything, True)
            self.asked.learn(0, False)
            found = minimal_sets(self.asked, tree, most=self.settings.most)
            self._stage("search")
            claims, contradicted = self._claims(found)
            self._stage("confirm")
            if not contradicted or restart == _RESTARTS - 1:
                break
        return found, claims  # pyright: ignore[reportPossiblyUnboundVariable]

    def _claims(self, found: MinimalSets) -> tuple[tuple[Claim, ...], bool]:
        """Every claim with its corrected p-value, and whether further samples contradict one."""
        made = [(True, s, s) for s in found.sufficient] + [(False, t, self.everything & ~t) for t in found.necessary]
        contexts = [self._context(kept) for _, _, kept in made]
        p: list[float] = []
        for _ in range(_ROUNDS):
            p = holm(
                [self.question.claim(c, happens) for c, (happens, _, _) in zip(contexts, made, strict=True)],
                tests=self.asked.questions,
            )
            open_ = [c for c, one in zip(contexts, p, strict=True) if one > CONFIRMED]
            if not open_:
                break
            for context in open_:
                self.question.more(context)
        contradicted = any(
            one > CONFIRMED and self.question(c) is not happens
            for c, one, (happens, _, _) in zip(contexts, p, made, strict=True)
        )
        claims = tuple(
            Claim(
                kind="sufficient" if happens else "necessary", parts=self._parts(mask), p=one,
                reading=self.question.reading("act", context),
            )
            for (happens, mask, _), context, one in zip(made, contexts, p, strict=True)
        )  # fmt: skip
        return claims, contradicted

    def _told(self, found: MinimalSets, claims: tuple[Claim, ...]) -> Cause:
        seed = self.trials.seed
        spots = self.settings.spots
        monotone = spot_checks(self.asked, found, self.everything, n=spots, seed=seed) if spots else None
        self._stage("spot checks")
        kind, k, n = structure(found.sufficient)
        moves = after.moves(self.trials, self.question, found) if self.settings.moves else ()
        self._stage("moves")
        smallest = min(found.necessary, key=int.bit_count, default=0)
        ways = after.ways(
            self.trials, self.question, self._parts(smallest), self.settings.ways, self.settings.rewrite
        ) if smallest else {}  # fmt: skip
        self._stage("ways")
        words = after.words(self.trials, self.question, found.sufficient[0]) if self.settings.words else ()
        self._stage("words")
        worst = max((c.p for c in claims), default=0.0)
        note = "" if monotone is not False else "more context can stop the act: the sets hold for what was asked alone"
        if worst > CONFIRMED and not note:
            note = "some sets are not confirmed within the samples allowed"
        full, empty = self._end_readings()
        return Cause(
            verdict="found", reason=note, sufficient=tuple(self._parts(s) for s in found.sufficient),
            necessary=tuple(self._parts(t) for t in found.necessary), structure=kind, k=k, n=n,
            complete=found.complete and monotone is not False, monotone=monotone, moves=moves, claims=claims,
            confidence=None if monotone is False else 1 - worst, full=full, empty=empty, ways=ways, words=words,
            mode=self.trials.mode, how=self.how.name, level=self.settings.level, stages=self.stages,
            spent=self._spent(), questions=self.asked.questions,
        )  # fmt: skip

    # --- small things --------------------------------------------------------------------------------------------
    def _ask(self, kept: int) -> bool:
        self._step(self.asked.questions, max(self.asked.questions, len(self.trials.parts)))
        return self.question(self._context(kept))

    def _context(self, kept: int) -> Context:
        return self.trials.context(frozenset(members(kept)))

    def _parts(self, mask: int) -> tuple[Part, ...]:
        return tuple(self.trials.parts[i] for i in members(mask))

    def _stage(self, name: str) -> None:
        """Calls since the last stage belong to this one."""
        done = self.actor.spent.calls - self.before.calls - sum(self.stages.values())
        self.stages[name] = self.stages.get(name, 0) + done

    def _spent(self) -> Spent:
        return self.actor.spent - self.before

    def _end_readings(self) -> tuple[Reading, Reading]:
        look = Question(trials=self.trials)
        full, empty = (self.trials.context(k) for k in (self.trials.everything, frozenset[int]()))
        return look.reading("act.full", full), look.reading("act.empty", empty)

    def _no_cause(self, verdict: Found, reason: str) -> Cause:
        return self._without(verdict, reason, *self._end_readings())

    def _without(self, verdict: Found, reason: str, full: Reading, empty: Reading) -> Cause:
        """A result without sets."""
        mode = self.trials.mode if hasattr(self, "trials") else "rate"
        return Cause(
            verdict=verdict, reason=reason, full=full, empty=empty, mode=mode, how=self.settings.how,
            level=self.settings.level, stages=self.stages, spent=self._spent(),
        )  # fmt: skip


def _numbered(tree: Partition, parts: Sequence[Part]) -> tuple[Node, ...]:
    """The tree of parts as nested tuples of the numbers of these parts."""
    number = {p.id: i for i, p in enumerate(parts)}

    def down(part: Part) -> Node:
        return number[part.id] if part.id in number else tuple(down(c) for c in part.children)

    return tuple(down(r) for r in tree.roles)
