"""Planted text units of every kind: about words, classes, topics, numbers, marks, code and places of the texts at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import numpy as np

from maieutic.errors import UserError
from maieutic.subjects.planted.draw import LEAST, SNR, planted
from maieutic.subjects.planted.rule import Nothing
from maieutic.subjects.planted.subject import Planted
from maieutic.subjects.planted.text_atoms import FAMILIES, Atom, Atoms, Lexicon
from maieutic.subjects.planted.text_ground import LEAST_RARE, MOST, Ground, draw_from
from maieutic.subjects.planted.text_rules import (
    All,
    At,
    Before,
    Either,
    Grade,
    Indented,
    Inside,
    OnLine,
    Passage,
    TextRule,
    Without,
    Words,
    words,
)
from maieutic.subjects.planted.text_spurious import spurious

#: units of each kind
EACH: Mapping[str, int] = {
    "single": 24, "or": 16, "and": 16, "and_not": 16, "context": 20, "positional": 14, "graded": 18, "rare": 14,
    "noisy": 14, "polysemantic": 14, "spurious": 20, "dead": 8, "noise": 12,
}  # fmt: skip
#: strengths of the parts of a polysemantic unit
_PARTS = (1.0, 0.6, 0.3)
#: tries for one unit before the corpus is said to have no more of its kind
_TRIES = 400


@dataclass(frozen=True)
class _Found:
    rule: TextRule
    family: str
    noise: float = 0.0
    #: least active positions and the largest share, where they differ from the usual
    rare: bool = False
    about: str = ""


def text_units(
    corpus: Any, rng: np.random.Generator, each: Mapping[str, int] | None = None, *, lexicon: Lexicon | None = None
) -> list[Planted]:
    """Units of every kind asked for: as many as ``each`` says, or as the corpus has.

    Args:
        corpus: texts with splits.
        rng: of every choice.
        each: units of each kind; kinds not named get none. ``EACH`` when not given.
        lexicon: word -> kinds of thing that it names; adds word classes.

    Raises:
        UserError: unknown kind, or a kind of which the corpus has none at all.
    """
    wanted = EACH if each is None else each
    unknown = [k for k in wanted if k not in EACH]
    if unknown:
        raise UserError(f"no kind of planted text unit is called {unknown[0]!r}: choose from {', '.join(EACH)}")
    maker = _Maker(ground=Ground(corpus), rng=rng, lexicon=lexicon)
    out: list[Planted] = []
    # first those that ask most of the corpus
    order = ("spurious", "rare", "positional", "context", "and", "and_not", "polysemantic", "graded")
    for kind in sorted(wanted, key=lambda k: (order.index(k) if k in order else len(order), list(EACH).index(k))):
        made = maker.make(kind, wanted[kind])
        if wanted[kind] and not made:
            raise UserError(f"the corpus has nothing to plant {kind} units on: give it more texts")
        out += made
    return sorted(out, key=lambda p: list(EACH).index(p.kind))


@dataclass(kw_only=True)
class _Maker:
    """Makes units of one kind after another; no two with (nearly) the same truth."""

    ground: Ground
    rng: np.random.Generator
    lexicon: Lexicon | None
    atoms: Atoms = field(init=False)

    def __post_init__(self) -> None:
        self.atoms = Atoms(ground=self.ground, rng=self.rng, lexicon=self.lexicon)

    def make(self, kind: str, n: int) -> list[Planted]:
        if kind in ("dead", "noise"):
            about = "nothing: it never fires" if kind == "dead" else "nothing: it is noise"
            return [planted(f"{kind}-{i}", kind, Nothing(), about, (), float(kind == "noise")) for i in range(n)]
        makers = {
            "single": self._single, "or": self._or, "and": self._and, "and_not": self._and_not,
            "context": self._context, "positional": self._positional, "graded": self._graded, "rare": self._rare,
            "noisy": self._noisy, "polysemantic": self._polysemantic, "spurious": self._spurious,
        }  # fmt: skip
        out: list[Planted] = []
        for tried, found in enumerate(makers[kind]() if n else ()):
            if found is not None and self._suits(found):
                out.append(self._unit(kind, len(out), found))
            if len(out) == n or tried > _TRIES + 20 * n:
                break
        return out

    def _suits(self, found: _Found) -> bool:
        truth = found.rule.truth(self.ground.view)
        least, most = (LEAST_RARE, self.ground.rare) if found.rare else (LEAST, MOST)
        return self.ground.fits(truth, least, most) and self.ground.take(truth)

    def _unit(self, kind: str, i: int, found: _Found) -> Planted:
        involved = dict.fromkeys((*found.rule.cues()[:12], *self.ground.examples(found.rule)))
        unit = planted(f"{kind}-{i}", kind, found.rule, found.about or found.rule.say(), tuple(involved), found.noise)
        return Planted(
            name=unit.name, kind=kind, rule=unit.rule, about=unit.about, noise=unit.noise, involved=unit.involved,
            family=found.family,
        )  # fmt: skip

    # --- kinds: each yields candidates, endlessly or until used up; None is a try that failed -----------------------

    def _any(self, most: float = 0.3) -> Iterator[Atom]:
        """Atoms of the families in turn, until all are used up."""
        empty: set[str] = set()
        for family in cycle(FAMILIES):
            if len(empty) == len(FAMILIES):
                return
            atom = None if family in empty else self.atoms.next(family, most)
            if atom is None:
                empty.add(family)
            else:
                yield atom

    def _single(self) -> Iterator[_Found | None]:
        for atom in self._any():
            yield _Found(atom.rule, atom.family)

    def _noisy(self) -> Iterator[_Found | None]:
        for i, atom in enumerate(self._any(0.1)):
            snr = SNR * (1 + i % 2)
            about = f"{atom.rule.say()}, with noise (signal to noise {snr:g})"
            yield _Found(atom.rule, atom.family, noise=1 / snr, about=about)

    def _or(self) -> Iterator[_Found | None]:
        some = list[Atom]()
        for atom in self._any(0.02):
            some.append(atom)
            if len(some) == 2 + int(self.rng.integers(0, 2)) or len(some) == 3:
                yield _Found(Either(tuple(a.rule for a in some)), some[0].family)
                some = []

    def _polysemantic(self) -> Iterator[_Found | None]:
        some = list[Atom]()
        for atom in self._any(0.03):
            some.append(atom)
            if len({a.family for a in some}) == 3:
                chosen = {a.family: a for a in some}
                parts = [chosen[f] for f in draw_from(sorted(chosen), self.rng)][: 2 + int(self.rng.integers(0, 2))]
                strengths = _PARTS[: len(parts)]
                yield _Found(Either(tuple(a.rule for a in parts), strengths), parts[0].family)
                some = []

    def _mains(self) -> Iterator[Atom]:
        """What is to be active in some contexts only: words, classes, marks, numbers."""
        chances = {"word": 0.5, "word class": 0.25, "punctuation": 0.1, "number": 0.1, "topic": 0.05}
        for _ in range(10 * _TRIES):
            family = str(self.rng.choice(list(chances), p=list(chances.values())))
            atom = self.atoms.next(family, 0.05) or self._again()
            if atom is not None:
                yield atom

    def _again(self) -> Atom | None:
        """A word once more, when a family is used up."""
        often = self.ground.frequent(6e-4, 2e-2)
        return Atom(words(often[int(self.rng.integers(len(often)))]), "word") if often else None

    def _settings(self, main: TextRule, within: int) -> Iterator[tuple[TextRule, str]]:
        """Contexts that are there at some of the main rule's positions, and not at others."""
        on = main.truth(self.ground.view) >= 0.5
        named, often = set(main.cues()), 0.01 * len(self.ground)
        near = [w for w, share in self.ground.company(on, within) if share >= 0.12 and w not in named]
        counts = {w: int(self.ground.counts[self.ground.code(w)]) for w in near}
        # telling company first; then what stands everywhere ("the", commas)
        telling, common = ([w for w in near if (counts[w] <= often) == t] for t in (True, False))
        for word in [*draw_from(telling, self.rng)[:6], *draw_from(common, self.rng)[:2]]:
            yield Before(words(word), within), "word"

    def _places(self) -> list[tuple[TextRule, str]]:
        rules: list[tuple[TextRule, str]] = [(Inside(m), "code") for m in '([{"#']
        rules += [(OnLine(words(w)), "code") for w in ("=", "def", "return", ":")]
        rules += [(At("place", 0, n), "place") for n in (9, 19, 29)] + [(Indented(n), "code") for n in (4, 8)]
        rules += [(Before(words(m), n), "punctuation") for m in ',;(".:' for n in (2, 5)]
        return draw_from(rules, self.rng)

    def _split_by(self, main: TextRule, setting: TextRule, low: float, high: float) -> bool:
        """Whether both cases of a context are frequent enough to be told apart."""
        on, there = (r.truth(self.ground.view) >= 0.5 for r in (main, setting))
        share = float((on & there).sum()) / max(int(on.sum()), 1)
        return low <= share <= high and all(self.ground.fits((on & c).astype(np.float64)) for c in (there, ~there))

    def _joint(self, *, absent: bool, words_only: bool = False) -> Iterator[_Found | None]:
        for i, main in enumerate(self._mains()):
            within = 1 + int(self.rng.integers(0, 12))
            settings = list(self._settings(main.rule, within))
            if not words_only and i % 2:
                settings = [*self._places()[:6], *settings]
            chosen = next(((s, f) for s, f in settings if self._split_by(main.rule, s, 0.15, 0.85)), None)
            if chosen is None:
                yield None
                continue
            setting, family = chosen
            condition = Without(setting) if absent else setting
            rule = All((self._met(main.rule, condition), condition))
            yield _Found(rule, main.family if main.family != "word" else family)

    def _met(self, main: TextRule, condition: TextRule) -> TextRule:
        """A list of words without those that never meet the condition outside the test split: nobody could know them."""
        if not isinstance(main, Words) or len(main.strengths) < 2:
            return main
        there = (condition.truth(self.ground.view) >= 0.5) & self.ground.known
        met = [w for w in main.cues() if bool((there & (words(w).truth(self.ground.view) > 0)).any())]
        if not met or len(met) == len(main.strengths):
            return main
        called = main.called.partition(" words ")[0] + " words " if main.called.startswith("one of") else ""
        return words(*met, called=called + ", ".join(met) if called and len(met) > 1 else "")

    def _and(self) -> Iterator[_Found | None]:
        yield from self._joint(absent=False)

    def _and_not(self) -> Iterator[_Found | None]:
        yield from self._joint(absent=True)

    def _context(self) -> Iterator[_Found | None]:
        yield from self._joint(absent=False, words_only=True)

    def _positional(self) -> Iterator[_Found | None]:
        while (atom := self.atoms.next("place")) is not None:
            yield _Found(atom.rule, "place")
        for main in self._mains():
            n = int(self.rng.choice([9, 14, 19, 29]))
            yield _Found(All((main.rule, At("place", 0, n))), "place")

    def _rare(self) -> Iterator[_Found | None]:
        ground, n = self.ground, len(self.ground)
        few = draw_from(ground.frequent(8 / max(n, 1), ground.rare, letters=4), self.rng)
        mains = self._mains()
        while few:
            yield _Found(words(few.pop()), "word", rare=True)
            main = next(mains, None)
            if main is not None:
                on = main.rule.truth(ground.view) >= 0.5
                within = 1 + int(self.rng.integers(0, 6))
                wanted = ground.rare * n / max(int(on.sum()), 1)
                near = [w for w, s in ground.company(on, within) if 0.3 * wanted <= s <= 1.2 * wanted and w.isalpha()]
                for word in draw_from(near, self.rng)[:8]:
                    before = Before(words(word), within)
                    yield _Found(All((self._met(main.rule, before), before)), main.family, rare=True)

    def _graded(self) -> Iterator[_Found | None]:
        makers = (
            self._strengths, self._lengths, self._amounts, self._near, self._count, self._depth, self._near,
            self._strengths, self._count, self._far,
        )  # fmt: skip
        for _ in range(_TRIES):
            for make in makers:
                yield make()

    def _strengths(self) -> _Found | None:
        some = [a for _ in range(int(self.rng.integers(3, 6))) if (a := self.atoms.next("word")) is not None]
        named = [w for a in some for w in a.rule.cues()]
        if len(named) < 3:
            return None
        return _Found(Words(tuple((w, round(1 - 0.75 * i / (len(named) - 1), 2)) for i, w in enumerate(named))), "word")

    def _lengths(self) -> _Found:
        low = int(self.rng.integers(3, 8))
        return _Found(Grade("letters", low, low + int(self.rng.integers(4, 9))), "word class")

    def _amounts(self) -> _Found:
        low = float(self.rng.choice([0.0, 0.5, 1.0]))
        return _Found(Grade("number", low, low + float(self.rng.choice([1.5, 2.0, 3.0, 4.0]))), "number")

    def _near(self) -> _Found | None:
        family = str(self.rng.choice(["punctuation", "word"]))
        atom = self.atoms.next(family, 0.02)
        n = int(self.rng.integers(5, 13))
        return None if atom is None else _Found(Grade("near", -(n + 1), -1, atom.rule), family)

    def _count(self) -> _Found | None:
        family = str(self.rng.choice(["topic", "number", "word class"]))
        atom = self.atoms.next(family, 0.05)
        if atom is None or isinstance(atom.rule, Passage):
            return None
        return _Found(
            Grade("count", 0, int(self.rng.integers(2, 5)), atom.rule, int(self.rng.choice([10, 20]))), family
        )

    def _depth(self) -> _Found:
        if self.rng.random() < 0.5:
            return _Found(Grade("depth", 0, int(self.rng.integers(2, 5))), "code")
        return _Found(Grade("indent", 0, 4 * int(self.rng.integers(4, 8))), "code")

    def _far(self) -> _Found:
        low = int(self.rng.choice([0, 10, 20]))
        return _Found(Grade("place", low, low + int(self.rng.choice([80, 120, 160]))), "place")

    def _spurious(self) -> Iterator[_Found | None]:
        for found in spurious(self.ground, self.rng):
            about = f"{found.truth.say()} (looks like {found.looks.say()})"
            yield _Found(found.truth, found.family, about=about)
