"""Predicates about what a word means and what form it has, read from a lexicon (WordNet): ``Means("fruit")`` holds at "apple".

Graded: 1 for the word itself and its inflections, less for synonyms and kinds of it, least for words whose definition
mentions it. Without the lexicon only spelling is compared. What these do not do: choose a word's sense by its context
(every common sense counts, rarer ones for less), or know names, events and slang that a dictionary lacks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from maieutic.explain.predicates.base import Predicate, Prediction
from maieutic.explain.views_text import Text, TextView

if TYPE_CHECKING:
    from maieutic.stimuli.wordnet import Synset, Wordnet

#: strengths by relation; a word in a rarer sense gets ``_RARER`` times as much
_SAME, _SYNONYM, _KIND, _DEFINED, _RARER = 1.0, 0.9, 0.9, 0.35, 0.6
#: senses of a word that are looked at, the most frequent first
_SENSES, _GOALS = 3, 6
_PARTS = ("n", "v", "a", "r")
#: regular endings by part of speech, and what stands in their place in the dictionary
ENDINGS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "n": (
        ("s", ""),
        ("ses", "s"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("men", "man"),
        ("ies", "y"),
    ),
    "v": (("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    "a": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "r": (),
}
#: words of definitions that say nothing
_PLAIN_WORDS = (
    "a an the of or and to in for with by that which from as is are be being used usually especially someone something one "
    "any have having not on at it its person people make made give state act quality very more into who etc relating"
)
_PLAIN = frozenset(_PLAIN_WORDS.split())
_ENDINGS = (
    "ations",
    "ation",
    "ings",
    "ing",
    "edly",
    "ed",
    "ers",
    "er",
    "ies",
    "ness",
    "ment",
    "ly",
    "es",
    "s",
    "al",
    "y",
    "e",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means(Predicate):
    """The word so far is ``word``, an inflection or synonym of it, a kind of it, or defined by it: 0 to 1.

    Attributes:
        word: a dictionary word or phrase, lower case.
        loose: whether words count whose definition mentions it.
    """

    op: ClassVar[str] = "means"
    reads_books: ClassVar[bool] = True
    word: str
    loose: bool = True

    def evaluate(self, view: Text) -> Prediction:
        return view.each("word", lambda w: closeness(w, self.word, loose=self.loose) if w[:1].isalpha() else 0.0)

    def describe(self) -> str:
        return f"words for {self.word}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WordForm(Predicate):
    """The word so far is of a part of speech or in a form: one of ``FORMS`` (``plural nouns``, ``past tense`` ...)."""

    op: ClassVar[str] = "word_form"
    reads_books: ClassVar[bool] = True
    name: str

    def evaluate(self, view: Text) -> Prediction:
        test = FORMS[self.name]
        return view.each("word", lambda w: w.isalpha() and test(w))

    def describe(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class EndsPhrase(Predicate):
    """The text up to the end of this token ends with the phrase (whole words, case ignored)."""

    op: ClassVar[str] = "ends_phrase"
    phrase: str

    def evaluate(self, view: TextView) -> Prediction:
        wanted = re.compile(rf"(?<!\w){re.escape(self.phrase)}\s*$", re.IGNORECASE)
        span = len(self.phrase) + 4
        return np.fromiter(
            (bool(wanted.search(view.text[max(0, t.end - span) : t.end])) for t in view.tokens),
            dtype=np.float64,
            count=len(view.tokens),
        )

    def describe(self) -> str:
        return f'"{self.phrase}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class NextIs(Predicate):
    """``part`` holds exactly ``ahead`` tokens later.

    The one predicate that reads past its position: labels say "before X". No causal model can see that; it can only expect it.
    """

    op: ClassVar[str] = "next_is"
    part: Predicate
    ahead: int = 1

    def evaluate(self, view: TextView) -> Prediction:
        values = self.part.evaluate(view)
        out = np.zeros_like(values)
        if self.ahead < len(values):
            out[: len(values) - self.ahead] = values[self.ahead :]
        return out

    def describe(self) -> str:
        return f"right before {self.part.describe()}"


# --- closeness of two words ----------------------------------------------------------------------------------------


def stem(word: str) -> str:
    """The word without its commonest endings; never shorter than three letters."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


@lru_cache(maxsize=200_000)
def closeness(word: str, target: str, *, loose: bool = True) -> float:
    """How near a word's meaning is to a target's, 0 to 1 (see the strengths above)."""
    if word == target:
        return _SAME
    database = _lexicon()
    if database is None:
        return _SAME if stem(word) == stem(target) else 0.0
    if not _forms(database, word).isdisjoint(_forms(database, target)):
        return _SAME
    best = _by_sense(database, word, target)
    if loose and best < _DEFINED and _defined(database, word, target):
        best = _DEFINED
    return best


# caches hold the words of a large vocabulary (50,000 to 150,000 tokens): a label may be asked about all of them


@lru_cache(maxsize=131_072)
def _by_part(database: Wordnet, word: str) -> tuple[tuple[str, ...], ...]:
    """For each part of speech the dictionary forms that a word may be: itself (``colors`` is also a flag), and what it is an
    inflection of.
    """
    word = word.replace(" ", "_")
    found: list[tuple[str, ...]] = []
    for part in _PARTS:
        index, irregular = database.index(part), database.irregular(part).get(word)
        stripped = [
            word[: -len(e)] + instead for e, instead in ENDINGS[part] if word.endswith(e) and len(word) > len(e) + 1
        ]
        found.append(tuple(dict.fromkeys(w for w in (word, irregular, *stripped) if w is not None and w in index)))
    return tuple(found)


def _bases(database: Wordnet, word: str, part: str) -> tuple[str, ...]:
    return _by_part(database, word)[_PARTS.index(part)]


@lru_cache(maxsize=131_072)
def _forms(database: Wordnet, word: str) -> frozenset[str]:
    """The dictionary forms in any part of speech: ``stopped`` and ``stop`` share one."""
    return frozenset(base for bases in _by_part(database, word) for base in bases)


def _senses(database: Wordnet, word: str, part: str) -> list[tuple[int, Synset]]:
    """Rank within its dictionary form and sense, for every form that the word may be."""
    found: list[tuple[int, Synset]] = []
    for base in _bases(database, word, part):
        found += list(enumerate(database.synset(o, part) for o in database.index(part)[base]))
    return found


@lru_cache(maxsize=4096)
def _goals(database: Wordnet, target: str) -> tuple[tuple[str, int, int], ...]:
    """Part of speech, rank and offset of each sense of a target that counts."""
    return tuple(
        (part, rank, s.offset) for part in _PARTS for rank, s in _senses(database, target, part) if rank < _GOALS
    )


@lru_cache(maxsize=131_072)
def _reach(database: Wordnet, word: str) -> tuple[tuple[str, int, int, frozenset[int]], ...]:
    """Part of speech, rank and offset of each sense of a word that counts, and offsets of all that it is a kind of."""
    return tuple(
        (part, rank, s.offset, _above(database, s.offset, part))
        for part in _PARTS
        for rank, s in _senses(database, word, part)
        if rank < _SENSES
    )


def _by_sense(database: Wordnet, word: str, target: str) -> float:
    best, goals = 0.0, _goals(database, target)
    for part, rank, sense, above in _reach(database, word):
        for at, place, goal in goals:
            if at == part and (goal == sense or goal in above):
                found = _SYNONYM if goal == sense else _KIND
                best = max(best, found * (_RARER if rank else 1.0) * (_RARER if place else 1.0))
    return best


@lru_cache(maxsize=65_536)
def _above(database: Wordnet, offset: int, part: str) -> frozenset[int]:
    """Offsets of everything a sense is a kind of."""
    seen, queue = set[int](), list(database.synset(offset, part).hypernyms)
    while queue:
        above = queue.pop()
        if above not in seen:
            seen.add(above)
            queue.extend(database.synset(above, part).hypernyms)
    return frozenset(seen)


def _defined(database: Wordnet, word: str, target: str) -> bool:
    """Whether the first definition of the word mentions the target."""
    wanted = {stem(t) for t in target.split()}
    for part in _PARTS:
        for _, sense in [found for found in _senses(database, word, part) if found[0] == 0]:
            definition = sense.gloss.partition('"')[0]
            said = {stem(w) for w in re.findall(r"[a-z]+", definition.lower()) if w not in _PLAIN}
            if wanted <= said:
                return True
    return False


@lru_cache(maxsize=1)
def _lexicon() -> Wordnet | None:
    from maieutic.stimuli.wordnet import opened_wordnet

    return opened_wordnet()


def known(word: str) -> bool:
    """Whether the lexicon has the word or phrase in any part of speech."""
    database = _lexicon()
    return database is not None and bool(_forms(database, word))


# --- forms ---------------------------------------------------------------------------------------------------------


def _mostly(part: str) -> Callable[[str], bool]:
    """Whether the most frequent use of a word is of this part of speech."""

    def test(word: str) -> bool:
        from maieutic.stimuli.wordnet import first_lexname

        name = first_lexname(word)
        return name is not None and name.startswith(part)

    return test


def _inflects(part: str, *, irregular: bool = True, endings: tuple[str, ...]) -> Callable[[str], bool]:
    """Whether the word is an inflection, with one of these endings or irregular, of a word of that part of speech."""

    def test(word: str) -> bool:
        database = _lexicon()
        if database is None:
            return word.endswith(endings) and len(word) > 4
        base = database.base(word, part)
        if base is None:
            return False
        if irregular and word in database.irregular(part):
            return not word.endswith("ing") or "ing" in endings
        return base != word and word.endswith(endings)

    return test


def _rare(word: str) -> bool:
    """A word that the lexicon knows and that was never met in its tagged texts, or that it does not know."""
    database = _lexicon()
    if database is None or len(word) < 5:
        return False
    counts = database.counts()
    return not any(counts.get((base, part)) for part in _PARTS for base in _bases(database, word, part))


FORMS: Mapping[str, Callable[[str], bool]] = {
    "nouns": _mostly("noun"),
    "verbs": _mostly("verb"),
    "adjectives": _mostly("adj"),
    "adverbs": _mostly("adv"),
    "plural nouns": _inflects("n", endings=("s", "men")),
    "past tense": _inflects("v", endings=("ed",)),
    "present participles": _inflects("v", irregular=False, endings=("ing",)),
    "comparative forms": _inflects("a", irregular=True, endings=("er",)),
    "rare words": _rare,
    "superlative forms": _inflects("a", irregular=True, endings=("est",)),
}
