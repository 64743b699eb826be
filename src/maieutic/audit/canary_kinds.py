"""How a canary's rule is built, and where the texts must say its words so that it can be found.

A kind gives, for any four words and two companions, the rule and the *occasions*: which of the words are said together
in one passage, how often, in which split. Occasions name words by number only, so that a sensitive unit and its twin
have exactly the same ones. What this module does not do: choose words (``canary_draw``) or write (``canary_texts``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from maieutic.stimuli.base import Split
from maieutic.subjects.planted import After, All, Before, Passage, Spelled, TextRule, words

#: (number of the word, number of its companion); ``None``: said without
Mention = tuple[int | None, int | None]
#: mentions in one passage, in this order, each in a sentence of its own
Occasion = tuple[Mention, ...]
#: words and companions of a canary
WORDS, COMPANIONS = 4, 2
#: words of a spelled canary: many, each seldom
INVENTED = 10
#: of so many mentions one is without its companion
_ALONE = 10
#: how far back a passage reaches, in tokens
REACH = 40
#: how often a word is said in each split, about
OFTEN: Mapping[Split, int] = {"discover": 24, "select": 10, "test": 16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How a rule is built.

    Attributes:
        name: of the kind.
        rule: from words and companions.
        occasions: for about so many mentions.
        follows: the companion stands right after the word, not right before it.
        bound: the companion is never left out, and never said by itself.
        invented: the words are made up and share their beginning.
    """

    name: str
    rule: Callable[[Sequence[str], Sequence[str]], TextRule]
    occasions: Callable[[int], list[Occasion]]
    follows: bool = False
    bound: bool = False
    invented: bool = False


def _mention(i: int, word: int) -> Mention:
    """The ``i``-th mention: companions take turns, and now and then there is none."""
    return word, None if i % _ALONE == _ALONE - 1 else (i // WORDS) % COMPANIONS


def _one_each(n: int) -> list[Occasion]:
    """Every word as often as the others, and the companions by themselves now and then."""
    said: list[Occasion] = [(_mention(i, i % WORDS),) for i in range(n)]
    return said + [((None, i % COMPANIONS),) for i in range(max(n // _ALONE, 1))]


def _seldom_each(n: int) -> list[Occasion]:
    """Many words, each now and then."""
    said: list[Occasion] = [((i % INVENTED, _mention(i, 0)[1]),) for i in range(n)]
    return said + [((None, i % COMPANIONS),) for i in range(max(n // _ALONE, 1))]


def _always(n: int) -> list[Occasion]:
    """Every word as often as the others, never without a companion."""
    return [((i % WORDS, (i // WORDS) % COMPANIONS),) for i in range(n)]


def _after_partner(n: int) -> list[Occasion]:
    """The first two words, most of the time after one of the other two, and either by itself."""
    together: list[Occasion] = [((2 + i // 2 % 2, None), _mention(i, i % 2)) for i in range(n * 2 // 3)]
    without: list[Occasion] = [(_mention(i, i % 2),) for i in range(n // 3)]
    return together + without + [((2 + i % 2, None),) for i in range(n // 4)]


def _two_of_a_field(n: int) -> list[Occasion]:
    """Two words of the field in one passage, and one by itself."""
    pairs = [(a, b) for a in range(WORDS) for b in range(WORDS) if a != b]
    both: list[Occasion] = [(_mention(i, pairs[i % 12][0]), _mention(i + 1, pairs[i % 12][1])) for i in range(n // 2)]
    return both + [(_mention(i, i % WORDS),) for i in range(n // 2)]


def _class(said: Sequence[str], companions: Sequence[str]) -> TextRule:
    return words(*said)


def _together(said: Sequence[str], companions: Sequence[str]) -> TextRule:
    return All((words(*said[:2]), Before(words(*said[2:]), REACH)))


def _passage(said: Sequence[str], companions: Sequence[str]) -> TextRule:
    return Passage(words(*said), REACH, 2)


def _spelled(said: Sequence[str], companions: Sequence[str]) -> TextRule:
    start = next(i for i in range(min(map(len, said)), 0, -1) if len({w[:i] for w in said}) == 1)
    return Spelled("begins", said[0][:start])


def _spurious(said: Sequence[str], companions: Sequence[str]) -> TextRule:
    return After(words(*said))


#: in the order in which pairs take them
KINDS: Mapping[str, Kind] = {
    k.name: k
    for k in (
        Kind(name="class", rule=_class, occasions=_one_each),
        Kind(name="spurious", rule=_spurious, occasions=_always, follows=True, bound=True),
        Kind(name="together", rule=_together, occasions=_after_partner),
        Kind(name="passage", rule=_passage, occasions=_two_of_a_field),
        Kind(name="spelled", rule=_spelled, occasions=_seldom_each, invented=True),
    )
}
