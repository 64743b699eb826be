"""The language of the planted text network: a vocabulary, concepts with exact truth, and the next-token law.

Words come one after the other from fixed background frequencies, except after a position where concepts are active:
there the words that follow those concepts are more probable, by the law of `network_law`. So the probabilities of the
next token given the strengths of the concepts are known exactly.

What this module does not do: it holds no network and no torch; the seed only deals the words out to the roles.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from maieutic.subjects.planted.network_law import Law

Ids = NDArray[np.int64]
Strengths = NDArray[np.float64]

#: words of one text
LENGTH = 28
#: words that follow a concept
FOLLOWERS = 3
END, UNKNOWN = "<end>", "<unknown>"
#: how a text falls into words; the tokenizer of the network splits in the same way
_WORD = re.compile(r"<end>|<unknown>|\w+|[^\w\s]+")
#: ordinary nouns, verbs and adjectives; none is a number or a grammatical word
_TEXT = (
    "apple arm army autumn baker ball barn basket beach bear bell bench bird boat bottle box branch bread bridge "
    "broken brother bucket butter button cabin candle carpet castle cave chair cheese church cloud coat copper corn "
    "cotton cousin cup curtain dance desert doctor door dream drum dust eagle engine farm father fence field fire fish "
    "flag flower forest fork fox garden gate glass goat golden grape hammer harbor hat hill honey horse hotel ice "
    "island jacket kettle key king kitchen knife ladder lake lamp leaf lemon letter lion market meadow milk mirror "
    "moon mountain narrow needle nest ocean onion orchard oven owl paint paper path pearl pencil piano picture pillow "
    "pocket pond prison queen rabbit rain river road roof rope salt sand school shadow sheep ship shoe silver sister "
    "snow soup spoon station stone storm stove street sugar summer table tailor tower train tree valley village wagon "
    "wall water wheel whistle window winter wolf wooden wool yellow"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """A condition on the words up to a position, with its strength there.

    Attributes:
        name, kind, about: for people; kinds are ``single``, ``or``, ``context``, ``and_not``, ``class``, ``graded``, ``idle``.
        words: words it fires on, each with its strength; empty: any word.
        before: a word that must stand among the ``within`` words before it; empty: no such condition.
        absent: turns that condition round: the word must not stand there.
    """

    name: str
    kind: str
    about: str
    words: tuple[tuple[str, float], ...] = ()
    before: str = ""
    within: int = 0
    absent: bool = False

    @property
    def involved(self) -> tuple[str, ...]:
        """Every word that the condition names."""
        return (*(w for w, _ in self.words), *((self.before,) if self.before else ()))

    def strengths(self, ids: Ids, number: dict[str, int]) -> Strengths:
        """Truth ``[text, position]`` of token ids ``[text, position]``, 0 to 1."""
        table = np.full(len(number), 0.0 if self.words else 1.0)
        for word, strength in self.words:
            table[number[word]] = strength
        found = table[ids]
        if self.before:
            near = np.zeros(ids.shape, dtype=bool)
            for back in range(1, min(self.within, ids.shape[1] - 1) + 1):
                near[:, back:] |= ids[:, : ids.shape[1] - back] == number[self.before]
            found = found * (near != self.absent)
        return found


@dataclass(frozen=True, kw_only=True)
class Language:
    """Vocabulary, concepts and law.

    Attributes:
        words: the vocabulary in the order of token ids; the first two are the end and the unknown word.
        background: probability of each word where no concept is active, ``[word]``.
        concepts: planted concepts with their rules.
        followers: per concept the ids of the words it raises; empty for an idle concept.
        strangers: words outside the vocabulary.
    """

    words: tuple[str, ...]
    background: NDArray[np.float64]
    concepts: tuple[Concept, ...]
    followers: tuple[tuple[int, ...], ...]
    strangers: tuple[str, ...]

    @cached_property
    def law(self) -> Law:
        """Next-token probabilities from the strengths of the concepts at a position."""
        return Law.of(self.background, self.followers)

    def near_misses(self, ids: Ids) -> NDArray[np.bool_]:
        """Where a concept nearly applies, ``[text, position, concept]``.

        Its own word stands there but the condition on the words before fails; or (a concept of any word) the word that
        must stand before stands there, or a little too far back.
        """
        number = self.numbers()
        wider = [replace(c, before="") if c.words else replace(c, within=c.within + 3) for c in self.concepts]
        near = np.stack([c.strengths(ids, number) > 0 for c in wider], axis=-1)
        for k, concept in enumerate(self.concepts):
            if not concept.words:
                near[..., k] |= ids == number[concept.before]
        return near & (self.strengths(ids) == 0)

    def strengths(self, ids: Ids) -> Strengths:
        """Truth of every concept at every position, ``[text, position, concept]``, from token ids ``[text, position]``."""
        number = self.numbers()
        return np.stack([c.strengths(ids, number) for c in self.concepts], axis=-1)

    def truth(self, text: str) -> Strengths:
        """Truth of every concept at every word of any text, ``[position, concept]``; unknown words included."""
        number = self.numbers()
        ids = np.array([[number.get(w, 1) for w in _WORD.findall(text.lower())]], dtype=np.int64)
        return self.strengths(ids)[0]

    def numbers(self) -> dict[str, int]:
        """Token ids by word."""
        return {w: i for i, w in enumerate(self.words)}

    def sample(self, texts: int, rng: np.random.Generator, *, length: int = LENGTH) -> Ids:
        """Token ids of texts drawn from the language, ``[text, position]``, without the end token."""
        ids = np.zeros((texts, length), dtype=np.int64)
        for at in range(length):
            if at == 0:
                p = np.broadcast_to(self.background, (texts, len(self.words)))
            else:
                p = self.law(self.strengths(ids[:, max(0, at - 8) : at])[:, -1])
            drawn = (rng.random((texts, 1)) > np.cumsum(p, axis=1)).sum(axis=1)
            ids[:, at] = np.minimum(drawn, len(self.words) - 1)
        return ids

    def texts(self, ids: Ids) -> list[str]:
        """Token ids as text, words between single spaces; unknown words are words that the network never saw."""
        stand = len(self.strangers)
        return [
            " ".join(self.strangers[at % stand] if i == 1 else self.words[i] for at, i in enumerate(row))
            for row in ids.tolist()
        ]


def language(seed: int = 0) -> Language:
    """The language of a seed: the same concepts over other words.

    Each concept is active at about 1 in 100 positions, which is what a text unit's "active" threshold is made for.
    """
    rng = np.random.default_rng([seed, 7])
    words = _TEXT.split()
    order: list[int] = rng.permutation(len(words)).tolist()
    deck = [words[i] for i in order]
    numbers = [str(int(n)) for n in sorted(rng.choice(np.arange(10, 1000), size=10, replace=False))]
    concepts, rates = _concepts(deck, numbers)
    followers: list[list[str]] = []
    for concept in concepts:
        followers.append([] if concept.kind == "idle" else [deck.pop() for _ in range(FOLLOWERS)])
    fillers = [*deck[:40], *(w for row in followers for w in row)]
    vocabulary = (END, UNKNOWN, *sorted({*rates, *fillers}))
    rest = (1.0 - 0.005 - sum(rates.values())) / len(fillers)
    background = np.array([0.0, 0.005, *(rates.get(w, rest) for w in vocabulary[2:])])
    number = {w: i for i, w in enumerate(vocabulary)}
    return Language(
        words=vocabulary,
        background=background / background.sum(),
        concepts=tuple(concepts),
        followers=tuple(tuple(sorted(number[w] for w in row)) for row in followers),
        strangers=tuple(deck[40:]),
    )


def _concepts(deck: list[str], numbers: Sequence[str]) -> tuple[list[Concept], dict[str, float]]:
    """One concept of each kind over words taken from the deck, and the background frequency of those words."""
    rates: dict[str, float] = {}

    def some(n: int, rate: float) -> list[str]:
        taken = [deck.pop() for _ in range(n)]
        rates.update(dict.fromkeys(taken, rate))
        return taken

    found: list[Concept] = []
    for i in range(2):
        (a,) = some(1, 0.01)
        found.append(Concept(name=f"word-{i}", kind="single", about=f"the word {a!r}", words=((a, 1.0),)))
    three = some(3, 0.0045)
    about = " or ".join(repr(w) for w in three)
    found.append(Concept(name="or-0", kind="or", about=about, words=tuple((w, 1.0) for w in three)))
    for name, rate, absent in (("context-0", 0.025, False), ("and_not-0", 0.017, True)):
        (a,), (b,) = some(1, rate), some(1, 0.1)
        about = f"{a!r} {'without' if absent else 'with'} {b!r} in the 4 words before"
        kind = name.partition("-")[0]
        found.append(Concept(name=name, kind=kind, about=about, words=((a, 1.0),), before=b, within=4, absent=absent))
    rates.update(dict.fromkeys(numbers, 0.0012))
    found.append(Concept(name="number-0", kind="class", about="numbers", words=tuple((n, 1.0) for n in numbers)))
    (a,) = some(1, 0.012)
    found.append(Concept(name="after-0", kind="context", about=f"any word right after {a!r}", before=a, within=1))
    a, b, c = some(3, 0.0045)
    graded = ((a, 1.0), (b, 0.6), (c, 0.3))
    found.append(Concept(name="graded-0", kind="graded", about=f"{a!r} > {b!r} > {c!r}", words=graded))
    (a,) = some(1, 0.01)
    found.append(Concept(name="idle-0", kind="idle", about=f"the word {a!r}, used for nothing", words=((a, 1.0),)))
    return found, rates
