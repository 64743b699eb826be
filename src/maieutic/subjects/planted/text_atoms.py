"""The simple rules that planted text units are made of, family by family, found in the corpus at hand.

Nothing is a list of English: words, endings, groups of like words, topics, number ranges and marks are those of the
texts. ``lexicon`` (word -> the kinds of thing it names) may add classes that somebody else defined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from maieutic.subjects.planted.text_ground import Ground, draw_from
from maieutic.subjects.planted.text_rules import (
    After,
    All,
    At,
    Before,
    Indented,
    Inside,
    NthWord,
    Number,
    OnLine,
    Passage,
    Spelled,
    TextRule,
    words,
)

Lexicon = Callable[[str], Sequence[str]]
FAMILIES = ("word", "word class", "topic", "number", "punctuation", "code", "place")
#: share of positions of the words that rules name
LOW, HIGH = 4e-4, 1e-2
#: closing and opening marks and the like, by what people call them; only those found in the texts are used
_MARKS = {
    "a closing bracket": ")]}", "an opening bracket": "([{", "the end of a sentence": ".!?", "an operator": "=+-*/%<>",
    "a separator": ",;:", "a quotation mark": "\"'",
}  # fmt: skip


@dataclass(frozen=True)
class Atom:
    """A rule with the family of what it is about."""

    rule: TextRule
    family: str


@dataclass(kw_only=True)
class Atoms:
    """Endless supply of fitting rules: ``next("topic")``, in a seeded order, each once; ``None`` when used up."""

    ground: Ground
    rng: np.random.Generator
    lexicon: Lexicon | None = None
    _from: dict[str, Iterator[TextRule]] = field(default_factory=dict[str, Iterator[TextRule]])

    def next(self, family: str, most: float = 0.3) -> Atom | None:
        """The next rule of the family that is active often enough, and at no more than that share of positions."""
        if family not in self._from:
            self._from[family] = _MAKERS[family](self.ground, self.rng, self.lexicon)
        for rule in self._from[family]:
            if self.ground.fits(rule.truth(self.ground.view), most=most):
                return Atom(rule, family)
        return None


def _word(ground: Ground, rng: np.random.Generator, lexicon: Lexicon | None) -> Iterator[TextRule]:
    for word in draw_from(ground.frequent(LOW, HIGH), rng):
        yield words(word)


def _class(ground: Ground, rng: np.random.Generator, lexicon: Lexicon | None) -> Iterator[TextRule]:
    affixes = draw_from(_affixes(ground), rng)
    groups = _groups(ground, rng)
    kinds = draw_from(_kinds(ground, lexicon), rng) if lexicon is not None else []
    shapes: list[TextRule] = [
        Spelled("capital"),
        Spelled("capitals"),
        *(Spelled("letters", str(n)) for n in (9, 11, 13)),
    ]
    shapes = draw_from(shapes, rng)
    while affixes or kinds or shapes:
        for some in (affixes, shapes, kinds, affixes):
            if some:
                yield some.pop()
        group = next(groups, None)
        if group is not None:
            yield group


def _affixes(ground: Ground) -> list[TextRule]:
    """Beginnings and ends of two to four letters that five words or more share."""
    kinds, uses = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for word, n in zip(ground.words, ground.counts.tolist(), strict=True):
        if word.isalpha():
            for size in (2, 3, 4):
                if len(word) >= size + 2:
                    for key in (("ends", word[-size:]), ("begins", word[:size])):
                        kinds[key] += 1
                        uses[key] += n
    total = len(ground)
    return [
        Spelled(how, what)
        for (how, what), n in sorted(kinds.items())
        if n >= 6 and 1e-3 * total <= uses[how, what] <= 0.03 * total
    ]


def _groups(ground: Ground, rng: np.random.Generator) -> Iterator[TextRule]:
    """Words that stand between the same neighbours, five to eight of them."""
    often = ground.frequent(3e-4, 2e-2, letters=2)
    if len(often) < 40:
        return
    index = {w: i for i, w in enumerate(ground.words)}
    rows = np.full(len(ground.words), -1)
    rows[[index[w] for w in often]] = np.arange(len(often))
    beside = np.argsort(-ground.counts, kind="stable")[:150]
    columns = np.full(len(ground.words), -1)
    columns[beside] = np.arange(len(beside))
    table = np.zeros((len(often), 2 * len(beside)))
    earlier, later = ground.at_distance(1)
    for word, other, offset in ((later, earlier, 0), (earlier, later, len(beside))):
        kept = (rows[word] >= 0) & (columns[other] >= 0)
        np.add.at(table, (rows[word[kept]], columns[other[kept]] + offset), 1.0)
    table = np.sqrt(table)
    table /= np.linalg.norm(table, axis=1, keepdims=True) + 1e-9
    for i in rng.permutation(len(often)).tolist():
        near = np.argsort(-(table @ table[i]), kind="stable")[: int(rng.integers(5, 9))]
        chosen = [often[int(j)] for j in near]
        yield words(*chosen, called="one of the words " + ", ".join(chosen))


def _kinds(ground: Ground, lexicon: Lexicon | None) -> list[TextRule]:
    """Kinds of thing that three words or more of the texts name, as the lexicon has them."""
    members: dict[str, list[str]] = {}
    for word in ground.frequent(5e-5, HIGH) if lexicon is not None else []:
        for kind in (lexicon or (lambda _: ()))(word):
            members.setdefault(kind, []).append(word)
    return [words(*m, called=f"a word for: {kind}") for kind, m in sorted(members.items()) if 4 <= len(m) <= 60]


def _topic(ground: Ground, rng: np.random.Generator, lexicon: Lexicon | None) -> Iterator[TextRule]:
    """Words that keep to the same texts: one of them, or a passage that holds two or more."""
    often = ground.frequent(3e-4, 6e-3, letters=4)
    texts = np.repeat(np.arange(len(ground.view.lengths)), ground.view.lengths)
    index = {w: i for i, w in enumerate(ground.words)}
    rows = np.full(len(ground.words), -1)
    rows[[index[w] for w in often]] = np.arange(len(often))
    there = np.zeros((len(often), len(ground.view.lengths)), dtype=np.float32)
    here = (rows[ground.low] >= 0) & ground.known
    there[rows[ground.low[here]], texts[here]] = 1.0
    size = np.maximum(there.sum(axis=1), 1.0)
    together = (there @ there.T) / np.sqrt(size[:, None] * size[None, :]) if len(often) else np.zeros((0, 0))
    for number, i in enumerate(rng.permutation(len(often)).tolist()):
        near = np.argsort(-together[i], kind="stable")[: int(rng.integers(4, 8))]
        chosen = [often[int(j)] for j in near]
        about = words(*chosen, called="a word of the topic " + ", ".join(chosen))
        yield Passage(about, int(rng.choice([15, 20, 30])), 2) if number % 3 == 2 else about


def _number(ground: Ground, rng: np.random.Generator, lexicon: Lexicon | None) -> Iterator[TextRule]:
    values = ground.view.number
    values = np.sort(values[np.isfinite(values)])
    if not len(values):
        return
    for digits in draw_from([1, 2, 3, 4], rng)[:2]:
        yield Number(digits=digits)
    for _ in range(300):
        low = _rounded(float(rng.choice(values)))
        years = 1500 <= low <= 2100
        high = low + float(rng.integers(2, 25)) if years else _rounded(max(low, 1.0) * float(rng.uniform(1.5, 6.0)))
        if low < high:
            yield Number(low, high)


def _rounded(value: float) -> float:
    """Two digits, as people choose borders; years keep all four."""
    if 1500 <= value <= 2100 or value < 100:
        return float(round(value))
    return float(f"{value:.1e}")


def _punctuation(ground: Ground, rng: np.random.Generator, lexicon: Lexicon | None) -> Iterator[TextRule]:
    marks = [w for w in ground.words if not w.isalnum()]
    single: list[TextRule] = [words(m) for m in marks]
    classes: list[TextRule] = [
        words(*found, called=name) for name, some in _MARKS.items() if len(found := [m for m in some if m in marks]) > 1
    ]
    after: list[TextRule] = [After(words(m), n) for m in marks for n in (1, 2)]
    letters: list[TextRule] = [
        All((words(m), After(Spelled("ends", e)))) for m in marks for e in ("s", "e", "n", "t", "d", "y")
    ]
    yield from _in_turn(rng, single, classes, after, letters)


def _code(ground: Ground, rng: np.random.Generator, lexicon: Lexicon | None) -> Iterator[TextRule]:
    indented = ground.view.column("indent") > 0
    first = np.bincount(ground.low[indented & (ground.view.column("line") == 0)], minlength=len(ground.words))
    if not first.any():
        return
    openers = [ground.words[int(i)] for i in np.argsort(-first, kind="stable")[:24] if ground.words[int(i)].isalpha()]
    inside: list[TextRule] = [Inside(m) for m in '([{"#']
    lines: list[TextRule] = [OnLine(words(w)) for w in [*openers, "="]]
    after: list[TextRule] = [After(words(w), n) for w in [*openers, "=", "."] for n in (1, 2)]
    indents: list[TextRule] = [Indented(n) for n in (8, 12, 16)]
    indents += [All((At("line"), Indented(n))) for n in (4, 8, 12)]
    yield from _in_turn(rng, inside, lines, after, indents)


def _place(ground: Ground, rng: np.random.Generator, lexicon: Lexicon | None) -> Iterator[TextRule]:
    sentence: list[TextRule] = [At("sentence"), *(NthWord(n) for n in range(1, 8))]
    sentence += [At("sentence", n, n + 1) for n in (1, 3, 5)]
    text: list[TextRule] = [At("place", 0, n) for n in (0, 1, 2, 4, 6, 9)]
    text += [At("place", n, n + k) for n in (3, 5, 8, 12, 20) for k in (1, 4)]
    line: list[TextRule] = [At("line"), *(At("line", n, n) for n in (1, 2, 3, 4))]
    marks: list[TextRule] = [After(words(m)) for m in ",;:."]
    marks += [All((Before(words(m), 2), Spelled("letters", n))) for m in ",;:." for n in ("2", "5")]
    yield from _in_turn(rng, sentence, text, line, marks)


def _in_turn(rng: np.random.Generator, *groups: list[TextRule]) -> Iterator[TextRule]:
    """One of each group after another, each group in a seeded order."""
    pools = [draw_from(g, rng) for g in groups]
    while any(pools):
        for pool in pools:
            if pool:
                yield pool.pop()


_MAKERS: dict[str, Callable[[Ground, np.random.Generator, Lexicon | None], Iterator[TextRule]]] = {
    "word": _word,
    "word class": _class,
    "topic": _topic,
    "number": _number,
    "punctuation": _punctuation,
    "code": _code,
    "place": _place,
}
