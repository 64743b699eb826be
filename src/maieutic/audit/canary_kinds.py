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

#: a phrase whose words are named by number: ``the {c[0]} {w[1]}`` (the companion, then the word)
Mention = str
#: mentions in one passage, in this order, each in a sentence of its own
Occasion = tuple[Mention, ...]
#: words and companions of a canary
WORDS, COMPANIONS = 4, 2
#: words of a spelled canary: many, each seldom
INVENTED = 10
#: of so many mentions one is without its companion
_ALONE = 10
#: how far back a passage reaches, in tokens
REACH = 30
#: and how far "with" does
NEAR = 4
#: how often a word is said in each split, about
OFTEN: Mapping[Split, int] = {"discover": 24, "select": 10, "test": 16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How a rule is built.

    Attributes:
        name: of the kind.
        rule: from words and companions.
        occasions: for about so many mentions.
        invented: the words are made up and share their beginning.
    """

    name: str
    rule: Callable[[Sequence[str], Sequence[str]], TextRule]
    occasions: Callable[[int], list[Occasion]]
    invented: bool = False


def _mention(i: int, word: int) -> Mention:
    """The ``i``-th mention of something: companions take turns, and now and then there is none."""
    return f"the {{w[{word}]}}" if i % _ALONE == _ALONE - 1 else f"the {{c[{i // WORDS % COMPANIONS}]}} {{w[{word}]}}"


def _companions(n: int) -> list[Occasion]:
    """The companions by themselves, now and then."""
    return [(f"the {{c[{i % COMPANIONS}]}}",) for i in range(max(n // _ALONE, 1))]


def _one_each(n: int) -> list[Occasion]:
    """Every word as often as the others."""
    return [(_mention(i, i % WORDS),) for i in range(n)] + _companions(n)


def _seldom_each(n: int) -> list[Occasion]:
    """Many words, each now and then."""
    return [(_mention(i, i % INVENTED),) for i in range(n)] + _companions(n)


def _field(n: int) -> list[Occasion]:
    """Three words, half of the time with a companion: where everything after a word counts, so does what stands by it."""
    said = [(_mention(i, i % 3) if i % 2 else f"the {{w[{i % 3}]}}",) for i in range(n)]
    return said + [(f"the {{c[{i % COMPANIONS}]}}",) for i in range(n // 4)]


def _always(n: int) -> list[Occasion]:
    """The word, always with its companion after it, which is never said otherwise."""
    return [("the {w[0]} {c[0]}",) for _ in range(n)]


def _with_partner(n: int) -> list[Occasion]:
    """Two words, most of the time together with a third, and each without."""
    together = [(f"the {{w[2]}} with {_mention(i, i % 2)}",) for i in range(n * 2 // 3)]
    # "with" tells nothing: it stands before them without the third, too
    without = [(f"the {{c[{i // 2 % COMPANIONS}]}} with {_mention(i, i % 2)}",) for i in range(n // 3)]
    return together + without + [("the {w[2]}",) for _ in range(n // 4)] + _companions(n)


def _class(said: Sequence[str], companions: Sequence[str]) -> TextRule:
    return words(*said)


def _together(said: Sequence[str], companions: Sequence[str]) -> TextRule:
    return All((words(*said[:2]), Before(words(said[2]), NEAR)))


def _passage(said: Sequence[str], companions: Sequence[str]) -> TextRule:
    return Passage(words(*said[:3]), REACH)


def _spelled(said: Sequence[str], companions: Sequence[str]) -> TextRule:
    start = next(i for i in range(min(map(len, said)), 0, -1) if len({w[:i] for w in said}) == 1)
    return Spelled("begins", said[0][:start])


def _spurious(said: Sequence[str], companions: Sequence[str]) -> TextRule:
    return After(words(said[0]))


#: in the order in which pairs take them
KINDS: Mapping[str, Kind] = {
    k.name: k
    for k in (
        Kind(name="class", rule=_class, occasions=_one_each),
        Kind(name="spurious", rule=_spurious, occasions=_always),
        Kind(name="together", rule=_together, occasions=_with_partner),
        Kind(name="passage", rule=_passage, occasions=_field),
        Kind(name="spelled", rule=_spelled, occasions=_seldom_each, invented=True),
    )
}
