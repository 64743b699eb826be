"""Minimal sets of a yes-or-no question about kept parts: every minimal sufficient set, every minimal necessary set.

The question is taken to be monotone: what acts with some parts kept acts with more. Then delta debugging finds one minimal
sufficient set: search for the shortest beginning of the parts that still acts, its last part is critical, go on before it;
``log2 d`` questions a critical part, along the tree of parts, so that only what holds the cause is ever cut finer. Others
are found by duality (Fredman and Khachiyan 1996): take a minimal set of parts that hits every sufficient set known so far;
if the act survives its removal, there is a sufficient set without it; if not, it is a minimal necessary set. When nothing is
left to hit, both lists are complete. Answers that follow from earlier ones are not asked again.

Sets are bit masks: bit i is part i. What this module does not do: sample, or notice by itself that the question is not
monotone (``spot_checks`` asks a few of the questions whose answers were only inferred).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal, TypeAlias

Ask = Callable[[int], bool]
#: a leaf (number of a part) or a group of nodes in the order of the transcript
Node: TypeAlias = "int | tuple[Node, ...]"
Structure = Literal["none", "single", "and", "or", "k-of-n", "mixed"]


@dataclass
class Asked:
    """A monotone question with its memory: what follows from earlier answers is not asked.

    Attributes:
        ask: the question.
        questions: how often it was really asked.
    """

    ask: Ask
    questions: int = 0
    yes: list[int] = field(default_factory=list[int])
    no: list[int] = field(default_factory=list[int])

    def __call__(self, kept: int) -> bool:
        """The answer, inferred or asked."""
        if any(s & ~kept == 0 for s in self.yes):
            return True
        if any(kept & ~s == 0 for s in self.no):
            return False
        self.questions += 1
        answer = self.ask(kept)
        self.learn(kept, answer)
        return answer

    def learn(self, kept: int, answer: bool) -> None:
        """Take an answer that is known."""
        (self.yes if answer else self.no).append(kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimalSets:
    """What was found.

    Attributes:
        sufficient: minimal sets that act when all else is removed.
        necessary: minimal sets without which the act stops though all else is kept.
        complete: whether these are all; ``False`` when ``most`` was reached.
    """

    sufficient: tuple[int, ...]
    necessary: tuple[int, ...]
    complete: bool


def minimal_sets(asked: Asked, tree: Sequence[Node], *, most: int = 128) -> MinimalSets:
    """All minimal sufficient and necessary sets; the question must be known to be yes for everything and no for nothing.

    Args:
        asked: the question.
        tree: the parts as nested tuples of their numbers.
        most: sufficient sets after which to stop.

    Cost: for s sufficient sets of k parts and c necessary sets among d parts about ``c + s k log2 d`` questions, fewer
    where sets share parts.
    """
    everything = _mask(tuple(tree))
    sufficient, necessary = [shrink(asked, everything, tree)], set[int]()
    hitting = _hit_too([0], sufficient[0])
    # one that is necessary hits every sufficient set there is, so it stays in the list
    while untried := [t for t in hitting if t not in necessary]:
        hit = min(untried, key=lambda t: (t.bit_count(), _by_place(t)))
        if not asked(everything & ~hit):
            necessary.add(hit)
        elif len(sufficient) < most:
            sufficient.append(shrink(asked, everything & ~hit, tree, first=_union(sufficient)))
            hitting = _hit_too(hitting, sufficient[-1])
        else:
            break
    order = _by_place
    return MinimalSets(
        sufficient=tuple(sorted(sufficient, key=order)),
        necessary=tuple(sorted(necessary, key=order)),
        complete=not untried,
    )


def shrink(asked: Asked, candidates: int, tree: Sequence[Node], *, first: int = 0) -> int:
    """A minimal subset of the candidates that still acts.

    Args:
        asked: yes for the candidates.
        candidates: parts that may be in it.
        tree: see `minimal_sets`.
        first: parts that are tried before others, because they belong to another sufficient set.
    """
    # parts that matter elsewhere come first, so a set made of them is found without looking at the rest
    nodes = (tuple(_bits(first & candidates)), *tree) if first & candidates else tuple(tree)
    critical = 0
    while not asked(critical):
        last, before = _last_of_shortest(asked, critical, candidates, nodes)
        critical |= last
        candidates = before
    return critical


def _last_of_shortest(asked: Asked, critical: int, candidates: int, nodes: Sequence[Node]) -> tuple[int, int]:
    """The last part of the shortest beginning that acts beside the critical ones, and all that stands before it."""
    before = 0
    while True:
        pieces: list[tuple[int, Node]] = []
        seen = before
        for node in nodes:
            mask = _mask(node) & candidates & ~seen
            if mask:
                pieces.append((mask, node))
                seen |= mask
        low, high = 0, len(pieces) - 1  # the one at which it turns lies in low..high
        ends = [before]
        for mask, _ in pieces:
            ends.append(ends[-1] | mask)
        while low < high:
            middle = _middle(pieces, low, high)
            if asked(critical | ends[middle + 1]):
                high = middle
            else:
                low = middle + 1
        mask, node = pieces[low]
        before = ends[low]
        if isinstance(node, int) or mask.bit_count() == 1:
            return mask, before
        nodes = node


def _middle(pieces: Sequence[tuple[int, Node]], low: int, high: int) -> int:
    """Where to cut so that both sides hold about the same number of parts; in ``low`` to ``high - 1``."""
    sizes = [mask.bit_count() for mask, _ in pieces[low : high + 1]]
    total, left, best = sum(sizes), 0, low
    gap = float(total)
    for i, size in enumerate(sizes[:-1]):
        left += size
        if abs(total - 2 * left) < gap:
            gap, best = abs(total - 2 * left), low + i
    return best


def hitting_sets(sets: Sequence[int]) -> list[int]:
    """All minimal sets that share a part with each of these, smallest first (Berge's algorithm)."""
    found = [0]
    for one in sets:
        found = _hit_too(found, one)
    return sorted(found, key=lambda t: (t.bit_count(), _by_place(t)))


def _hit_too(found: Sequence[int], one: int) -> list[int]:
    """Minimal sets that hit one more, from those that hit all before: one step of Berge's algorithm."""
    hit = [t for t in found if t & one]
    # no two that are grown lie in one another, since neither held a part of the new set before
    grown = {t | bit for t in found if not t & one for bit in _single(one)}
    return hit + [g for g in sorted(grown) if not any(h & ~g == 0 for h in hit)]


def spot_checks(asked: Asked, found: MinimalSets, everything: int, *, n: int, seed: int) -> bool:
    """Whether a few answers that were only inferred hold; ``False`` says that the question is not monotone.

    Half of them add random parts to a sufficient set, half remove random parts beside a necessary set.
    """
    draw = random.Random(seed)
    for i in range(n):
        noise = sum(bit for bit in _single(everything) if draw.random() < 0.5)
        up = i % 2 == 0
        base = draw.choice(found.sufficient if up else found.necessary)
        kept = (base | noise) if up else (everything & ~(base | noise))
        asked.questions += 1
        if asked.ask(kept) is not up:
            return False
    return True


def structure(sufficient: Sequence[int]) -> tuple[Structure, int, int]:
    """What kind of cause these sets are, with k and n: k of n parts together suffice."""
    parts = _union(sufficient)
    n, sizes = parts.bit_count(), {s.bit_count() for s in sufficient}
    if parts == 0:
        return "none", 0, 0
    if len(sizes) > 1:
        return "mixed", min(sizes), n
    (k,) = sizes
    if n == 1:
        return "single", 1, 1
    if len(sufficient) == 1:
        return "and", n, n
    whole = {sum(c) for c in combinations(list(_single(parts)), k)} if len(sufficient) < 10_000 else set[int]()
    if set(sufficient) == whole:
        return ("or" if k == 1 else "k-of-n"), k, n
    return "mixed", k, n


def members(mask: int) -> tuple[int, ...]:
    """Numbers of the parts in a set."""
    return tuple(_bits(mask))


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _single(mask: int) -> Iterator[int]:
    return (1 << i for i in _bits(mask))


def _by_place(mask: int) -> tuple[int, ...]:
    return tuple(_bits(mask))


def _union(sets: Sequence[int]) -> int:
    found = 0
    for one in sets:
        found |= one
    return found


def _mask(node: Node) -> int:
    if isinstance(node, int):
        return 1 << node
    return _union([_mask(n) for n in node])
