"""Ask a judge about items and keep count of what came: verdicts, probabilities, failures with their reasons, cost.

An item whose prompt failed has no verdict: it is counted as asked and not answered, never taken as "no".
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from maieutic.llm import Answer, Prompt
from maieutic.readings import Cost
from maieutic.score.judged.options import Judge
from maieutic.score.judged.sampling import Item

#: share of the items that must be answered, and items of either kind
LEAST_SHARE, LEAST_ITEMS = 0.5, 5


@dataclass(frozen=True, eq=False, kw_only=True)
class Told:
    """An item with what the judge said of it.

    Attributes:
        said: a verdict (``bool``), or simulated activations ``[position]``; ``None`` where it said nothing usable.
        probability: of "fits", 0 to 1, from the alternatives at the verdict; ``None`` where the provider gave none.
    """

    item: Item
    said: Any = None
    probability: float | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Asked:
    """Everything one label was asked on one unit.

    Attributes:
        told: one for each item.
        prompts: how many were sent.
        failures: kind of failure -> prompts; ``first_failure`` is the first of them in full.
        cost: tokens, dollars, seconds.
    """

    told: tuple[Told, ...]
    prompts: int
    failures: Mapping[str, int]
    first_failure: str
    cost: Cost

    def among(self, *kinds: str) -> tuple[Told, ...]:
        """Those of the kinds that have a verdict."""
        return tuple(t for t in self.told if t.item.kind in kinds and t.said is not None)

    def count(self, *kinds: str) -> int:
        """Items of the kinds that were asked."""
        return sum(t.item.kind in kinds for t in self.told)

    def kinds(self) -> dict[str, int]:
        """How many items of each kind were asked."""
        return dict(sorted(Counter(t.item.kind for t in self.told).items()))

    def unusable(self, *kinds: str) -> str | None:
        """Why the verdicts on items of these kinds cannot carry a score, or ``None``."""
        asked, answered = self.count(*kinds), self.among(*kinds)
        none = [k for k in kinds if not self.count(k)]
        if len(none) >= len(kinds) - 1:
            return f"there are no {' and no '.join(none)} items in the test split"
        if asked and len(answered) < LEAST_SHARE * asked:
            most = max(self.failures.items(), key=lambda row: (row[1], row[0]), default=("no reason", 0))
            return (
                f"the judge answered {len(answered)} of {asked} items ({most[0]}, {most[1]} of {self.prompts} prompts)"
            )
        fits = sum(t.item.truth for t in answered)
        if min(fits, len(answered) - fits) < LEAST_ITEMS:
            return f"the judge answered {fits} active and {len(answered) - fits} other items: at least {LEAST_ITEMS} of each"
        return None


#: an answer and the number of its items -> verdicts and probabilities; ``ValueError`` when it says neither
Parse = Callable[[Answer, int], "tuple[list[Any], list[float | None]]"]


def asked(judge: Judge, prompts: Sequence[Prompt], groups: Sequence[Sequence[Item]], parse: Parse) -> Asked:
    """Ask all prompts at once. ``groups``: the items of each prompt."""
    told: list[Told] = []
    failures: list[str] = []
    cost = Cost()
    for items, answer in zip(groups, judge.ask(prompts), strict=True):
        cost = cost + answer.cost
        try:
            if answer.failed is not None:
                raise ValueError(answer.failed)
            said, probability = parse(answer, len(items))
        except ValueError as error:
            failures.append(str(error))
            told += [Told(item=i) for i in items]
            continue
        told += [Told(item=i, said=s, probability=p) for i, s, p in zip(items, said, probability, strict=True)]
    kinds = Counter(re.split("[:(]", f)[0].strip() for f in failures)
    return Asked(
        told=tuple(told), prompts=len(prompts), failures=dict(sorted(kinds.items())), cost=cost,
        first_failure=failures[0] if failures else "",
    )  # fmt: skip


# --- log-probabilities ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Written:
    """The text of an answer as its tokens with log-probabilities give it, and what else could have stood at each place."""

    text: str
    ends: tuple[int, ...]
    tops: tuple[Mapping[str, float], ...]

    @classmethod
    def of(cls, answer: Answer) -> Written:
        """Empty without log-probabilities."""
        said = [next(iter(top), "") for top in answer.logprobs]
        return cls("".join(said), tuple(accumulate(len(t) for t in said)), answer.logprobs)

    def at(self, place: int) -> dict[str, float]:
        """The alternatives of the token that holds a character, with their probabilities."""
        token = next(i for i, end in enumerate(self.ends) if end > place)
        return {t: math.exp(v) for t, v in self.tops[token].items()}


def numbers(chances: Mapping[str, float]) -> dict[int, float]:
    """Alternatives read as numbers (the last digits of each), with their probabilities added up."""
    found: dict[int, float] = {}
    for token, chance in chances.items():
        digits = re.findall(r"\d+", token)
        if digits:
            found[int(digits[-1])] = found.get(int(digits[-1]), 0.0) + chance
    return found


def chance_of_one(chances: Mapping[str, float]) -> float | None:
    """P("1") / (P("0") + P("1")) summed over all alternatives that say either; ``None`` when none does."""
    found = numbers(chances)
    no, yes = found.get(0, 0.0), found.get(1, 0.0)
    return yes / (no + yes) if no + yes > 0 else None
