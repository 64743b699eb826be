"""A case: an action, who can act again, and the cause that was found; with rates measured once each, on fresh samples.

A rate is the share of fresh answers that are the act, with its Wilson interval. Answers that could not be judged are no
answers: they are counted, and a rate of which less than half could be judged is unmeasured.

What this module does not do: look for the cause (`attribution`), or judge evidence (`ladder_rungs`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from maieutic.errors import UserError
from maieutic.forensics.act import ActTest
from maieutic.forensics.action import Action, Context, Message, plain
from maieutic.forensics.actor import Actor, Spent, TooLongError
from maieutic.forensics.attribution import Cause
from maieutic.forensics.partition import Part, Partition, partition
from maieutic.forensics.removal import Delete, Filler, NoRewriteError, Removal, remove_parts, replace_parts
from maieutic.forensics.sequential import Tally, difference_interval
from maieutic.readings import Cost, Reading, share_reading

#: from a text to others that say the same
Rewrites = Callable[[str], Sequence[str]]
#: who may instruct: what stands in other messages is content, not an instruction
PRINCIPALS = ("system", "user")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """A fresh transcript, and whether the named cause stands in it (in its own words)."""

    context: Context
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A measured rate: its tally (judged answers only) and how many could not be judged."""

    tally: Tally
    failed: int = 0
    reason: str = ""

    @classmethod
    def none(cls) -> Rate:
        """Nothing was asked."""
        return cls(tally=Tally(), reason="there was nothing to take away")

    def reading(self, name: str, cost: Cost | None = None) -> Reading:
        """As a reading; unmeasured when less than half of the answers could be judged."""
        if self.tally.n == 0 or self.tally.n < self.failed:
            why = self.reason or "no answer could be judged"
            of = f" ({self.failed} of {self.failed + self.tally.n} answers)" if self.failed else ""
            return Reading.unmeasured(name, f"{why}{of}")
        outcomes = [True] * self.tally.happened + [False] * (self.tally.n - self.tally.happened)
        return replace(share_reading(name, outcomes, details={"failed": self.failed}), cost=cost or Cost())

    def __add__(self, other: Rate) -> Rate:
        return Rate(
            tally=self.tally + other.tally, failed=self.failed + other.failed, reason=self.reason or other.reason
        )


@dataclass
class Case:
    """What every rung asks.

    Attributes:
        action, actor, test: what happened, who acts again, and what tells the act.
        partition: the transcript in parts.
        cause: what `find_cause` found.
        rewrites: other wordings of a text; none where nobody can write them.
        held_out: fresh transcripts to predict.
        samples: answers a context.
        seed: of the first sample; another than the search had, so that what was chosen there is not flattered here.
    """

    action: Action
    actor: Actor
    test: ActTest
    partition: Partition
    cause: Cause
    rewrites: Rewrites = lambda text: ()
    held_out: tuple[HeldOut, ...] = ()
    samples: int = 32
    seed: int = 10_007
    _seen: dict[str, Rate] = field(default_factory=dict[str, Rate])

    @property
    def context(self) -> Context:
        """The transcript as it was."""
        return self.action.messages

    @property
    def edit(self) -> tuple[Part, ...]:
        """The smallest set of parts whose removal stops the act; empty when no cause was found."""
        return self.cause.minimal_edit

    @property
    def principals_alone(self) -> bool:
        """Whether words of principals are enough for the act by themselves."""
        return any(all(p.role in PRINCIPALS for p in one) for one in self.cause.sufficient)

    @property
    def principals_needed(self) -> bool:
        """Whether every set that is enough for the act holds words of a principal."""
        sets = self.cause.sufficient
        return bool(sets) and all(any(p.role in PRINCIPALS for p in one) for one in sets)

    def rate(self, context: Context, *, samples: int | None = None) -> Rate:
        """How often the act follows a context; asked once for each context and number of samples."""
        n = samples or self.samples
        key = json.dumps([n, [plain(m) for m in context]], sort_keys=True)
        if key not in self._seen:
            self._seen[key] = self._ask(context, n)
        return self._seen[key]

    def _ask(self, context: Context, n: int) -> Rate:
        try:
            (drawn,) = self.actor.samples([context], n=n, seed=self.seed, sampling=self.action.sampling)
        except TooLongError as error:
            return Rate(tally=Tally(), failed=n, reason=str(error))
        found = self.test(drawn)
        judged = [v.happened for v in found if v.happened is not None]
        reason = next((v.reason for v in found if v.reason is not None), "")
        return Rate(tally=Tally(happened=sum(judged), n=len(judged)), failed=n - len(judged), reason=reason or "")

    def removed(self, parts: Sequence[Part]) -> Rate:
        """How often the act happens without some parts: deleted, and replaced by filler, together."""
        return self.rate(self.without(parts, Delete())) + self.rate(self.without(parts, Filler()))

    def without(self, parts: Sequence[Part], how: Removal) -> Context:
        """The transcript with parts removed."""
        return remove_parts(self.context, parts, how)

    def reworded(self, parts: Sequence[Part], *, most: int = 3) -> list[Context]:
        """The transcript with these parts in other words, up to ``most`` times; none where a part has no rewriting."""
        options: list[list[str]] = []
        for part in parts:
            try:
                found = [said for said in self.rewrites(part.text.strip()) if said.strip() != part.text.strip()]
            except NoRewriteError:
                found = []
            options.append([_spaced(part.text, said) for said in found])
        if not options or not all(options):
            return []
        rounds = min(most, max(len(o) for o in options))
        changes = [[(p, o[i % len(o)]) for p, o in zip(parts, options, strict=True)] for i in range(rounds)]
        return [replace_parts(self.context, change) for change in changes]

    def cause_in(self, context: Context) -> tuple[Part, ...]:
        """The parts of the cause in a transcript in which some were said in other words.

        Raises:
            UserError: the other words are not as many sentences, so the parts cannot be told.
        """
        there = partition(context)
        if [p.id for p in there.at("sentence")] != [p.id for p in self.partition.at("sentence")]:
            raise UserError("other words of the cause make other sentences: give rewritings of one sentence each")
        return tuple(there.part(p.id) for p in self.cause.parts)

    def told(self, sentence: str, *, role: str = "system") -> Context:
        """The transcript with a sentence added to the first system message or the last user message."""
        return add_sentence(self.context, sentence, role=role)


@dataclass
class Meter:
    """What a rung has cost: the difference of an actor's account."""

    actor: Actor
    before: Spent = field(init=False)

    def __post_init__(self) -> None:
        self.before = self.actor.spent

    @property
    def cost(self) -> Cost:
        """Since it was made."""
        return (self.actor.spent - self.before).cost()


def difference(
    name: str, first: Rate, second: Rate, *, cost: Cost, details: Mapping[str, Any] | None = None
) -> Reading:
    """First rate minus second, with Newcombe's interval; unmeasured when either is."""
    for one in (first, second):
        reading = one.reading(name)
        if not reading.measured:
            return Reading.unmeasured(name, reading.reason or "not measured")
    low, high = difference_interval(first.tally, second.tally)
    return Reading(
        name=name, value=first.tally.rate - second.tally.rate, low=low, high=high,
        n=first.tally.n + second.tally.n, cost=cost, details=dict(details or {}),
    )  # fmt: skip


def add_sentence(context: Context, sentence: str, *, role: str) -> Context:
    """A transcript in which a principal says one thing more; a message of the role is made where there is none.

    Raises:
        UserError: no such role of a principal.
    """
    if role not in PRINCIPALS:
        raise UserError(f"only {' and '.join(PRINCIPALS)} may be given words, not {role}: choose one of those")
    places = [i for i, m in enumerate(context) if m.role == role]
    if not places:
        at = 0 if role == "system" else 1 + max((i for i, m in enumerate(context) if m.role == "system"), default=-1)
        return (*context[:at], Message(role="system" if role == "system" else "user", content=sentence), *context[at:])
    at = places[0] if role == "system" else places[-1]
    said = f"{context[at].content} {sentence}".strip()
    return (*context[:at], replace(context[at], content=said), *context[at + 1 :])


def _spaced(original: str, said: str) -> str:
    """Other words with the white space that stood around the first ones."""
    body = original.strip()
    start = original.index(body) if body else 0
    return original[:start] + said + original[start + len(body) :]
