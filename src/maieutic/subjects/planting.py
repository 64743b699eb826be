"""Choosing what planted units are about: words and concepts of the corpus at hand, frequent enough to be scored.

Nothing is hard-wired: another corpus or seed gives other words. Corpora are duck-typed (``stimuli`` with ``content``
and ``split``), because rooms below this one define them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maieutic.errors import UserError
from maieutic.subjects.base import Modality
from maieutic.subjects.planted import (
    Colour,
    First,
    Follows,
    Nothing,
    Planted,
    PlantedSubject,
    PlantedUnit,
    Rule,
    Shows,
    ShowsAt,
    Size,
    WordNear,
    Words,
    colour_share,
    seen,
    words_of,
)

#: signal to noise of a noisy unit: full activation over the standard deviation of the noise
SNR = 4.0
#: active positions or pictures that every unit has in each split, at least: enough to find it, choose it and score it
LEAST = {"discover": 10, "select": 3, "test": 5}
#: words whose company is looked at first; counting that of all words takes seconds
_POOL = 60


def plant(corpus: Any, *, modality: Modality | None = None, seed: int = 0) -> tuple[PlantedUnit, ...]:
    """Fifteen units about what a corpus holds, with their exact truth.

    Raises:
        UserError: the corpus is too small or too uniform to plant in.
    """
    which: Modality = modality or corpus.modality
    rng = np.random.default_rng([seed, 0 if which == "text" else 1])
    rules = _text_rules(corpus, rng) if which == "text" else _image_rules(corpus, rng)
    return PlantedSubject(rules, modality=which, seed=seed).units()


@dataclass(frozen=True)
class _Views:
    """The corpus as rules see it: ``rows`` are word lists or ``Seen`` pictures, each with its split."""

    rows: Sequence[Any]
    splits: Sequence[str]

    def often(self, rule: Rule) -> bool:
        """Whether a rule is active often enough in every split, and not nearly always."""
        counts, positions = Counter[str](), 0
        for row, split in zip(self.rows, self.splits, strict=True):
            truth = rule.truth(row)
            counts[split] += int((truth >= 0.5).sum())
            positions += len(truth)
        return all(counts[split] >= n for split, n in LEAST.items()) and counts.total() <= 0.4 * positions


class _Draw:
    """Draws names without putting back, in a seeded order, skipping those whose rule is active too seldom."""

    def __init__(self, names: Sequence[str], rng: np.random.Generator, what: str, views: _Views) -> None:
        order: list[int] = rng.permutation(len(names)).tolist()
        self._names = [names[i] for i in order]
        self._what, self._views = what, views

    def __call__(self, rule: Callable[[str], Rule]) -> str:
        while self._names:
            name = self._names.pop(0)
            if self._views.often(rule(name)):
                return name
        raise UserError(f"the corpus has too few {self._what} of suitable frequency to plant in: give it more stimuli")

    def drop(self, *names: str) -> None:
        self._names = [name for name in self._names if name not in names]


def _rule(name: str, kind: str, rule: Rule, about: str, involved: Sequence[str] = (), noise: float = 0.0) -> Planted:
    return Planted(name=name, kind=kind, rule=rule, about=about, involved=tuple(involved), noise=noise)


# --- text ----------------------------------------------------------------------------------------------------------


def _text_rules(corpus: Any, rng: np.random.Generator) -> list[Planted]:
    views = _Views([words_of(s.content) for s in corpus.stimuli], [s.split for s in corpus.stimuli])
    words = _suitable_words(views.rows)
    draw = _Draw(words, rng, "words", views)

    def some(n: int) -> list[str]:
        return [draw(_one_word) for _ in range(n)]

    pairs = list(_pair_rules(views, words, rng))  # first: they need the rarest circumstances
    draw.drop(*(w for p in pairs for w in p.involved))
    rules: list[Planted] = []
    for i in range(3):
        (a,) = some(1)
        rules.append(_rule(f"single-{i}", "single", _one_word(a), f"the word {a!r}", [a]))
    for i, n in enumerate((2, 3)):
        chosen = some(n)
        about = " or ".join(repr(w) for w in chosen)
        rules.append(_rule(f"or-{i}", "or", Words(tuple((w, 1.0) for w in chosen)), about, chosen))
    a, b, c = some(3)
    strengths = ((a, 1.0), (b, 0.65), (c, 0.3))
    rules.append(_rule("graded-0", "graded", Words(strengths), f"{a!r} > {b!r} > {c!r}", [a, b, c]))
    (a,) = some(1)
    rules.append(_rule("noisy-0", "noisy", _one_word(a), f"{a!r} with noise", [a], 1 / SNR))
    rules.append(_rule("positional-0", "positional", First(4), "the first four tokens of a text"))
    return [*rules, *pairs, *_silent()]


def _one_word(word: str) -> Rule:
    return Words(((word, 1.0),))


def _silent() -> list[Planted]:
    return [
        _rule("dead-0", "dead", Nothing(), "nothing: it never fires"),
        _rule("noise-0", "noise", Nothing(), "nothing: it is noise", noise=1.0),
    ]


def _suitable_words(texts: Sequence[Sequence[str]]) -> list[str]:
    """Words of three letters and more at 0.03 % to 1 % of positions."""
    counts = Counter(word for words in texts for word in words)
    total = counts.total()
    return sorted(
        w for w, n in counts.items() if w.isalpha() and len(w) > 2 and max(3e-4 * total, 20) <= n <= 1e-2 * total
    )


def _pair_rules(views: _Views, words: Sequence[str], rng: np.random.Generator) -> Iterator[Planted]:
    """Units about a word in the company of another."""
    used: set[str] = set()
    plans = (("and-0", "and", 16, False), ("and_not-0", "and_not", 16, True), ("context-0", "context", 3, False),
             ("context-1", "context", 5, False))  # fmt: skip
    for name, kind, within, absent in plans:
        word, before = _pair(views, [w for w in words if w not in used], within, rng)
        used |= {word, before}
        about = f"{word!r} {'without' if absent else 'with'} {before!r} in the {within} tokens before"
        yield _rule(name, kind, WordNear(word, before, within, absent), about, [word, before])
    before, usual = _bound(views, [w for w in words if w not in used])
    about = f"any token right after {before!r} (nearly always {usual!r})"
    yield _rule("spurious-0", "spurious", Follows(before), about, [before, usual])


def _pair(views: _Views, words: Sequence[str], within: int, rng: np.random.Generator) -> tuple[str, str]:
    """A word and a companion found before about half of its occurrences, so that both cases can be seen."""
    order: list[int] = rng.permutation(len(words)).tolist()
    for some in (order[:_POOL], order[_POOL:]):
        counts, together = _companions(views, {words[i] for i in some}, within)
        for low, high in ((0.3, 0.7), (0.2, 0.8), (0.1, 0.9)):
            found = sorted(
                (w, b)
                for (w, b), n in together.items()
                if low <= n / counts[w] <= high and min(n, counts[w] - n) >= sum(LEAST.values()) and len(b) > 1
            )
            draws: list[int] = rng.permutation(len(found)).tolist()
            for word, before in (found[i] for i in draws):
                if all(views.often(WordNear(word, before, within, absent)) for absent in (False, True)):
                    return word, before
    raise UserError("no two words of the corpus keep company often enough to plant in: give it more texts")


def _companions(views: _Views, words: set[str], within: int) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """How often each word occurs, and how often with each other word in the tokens before it."""
    counts, together = Counter[str](), Counter[tuple[str, str]]()
    for text in views.rows:
        for i, word in enumerate(text):
            if word in words:
                counts[word] += 1
                together.update((word, b) for b in set(text[max(0, i - within) : i]) if b != word and b.isalpha())
    return counts, together


def _bound(views: _Views, words: Sequence[str]) -> tuple[str, str]:
    """The word whose next token is most often the same one: what follows it, and only that, looks like the cause."""
    following: dict[str, Counter[str]] = {w: Counter() for w in words}
    counts = Counter(word for text in views.rows for word in text)
    for text in views.rows:
        for word, after in zip(text, text[1:], strict=False):
            if word in following:
                following[word][after] += 1
    found = sorted(
        (
            (n / following[w].total() * n / counts[after], w, after)
            for w in words
            for after, n in following[w].most_common(1)
            if after.isalpha() and n / following[w].total() >= 0.6
        ),
        reverse=True,
    )
    for _, word, after in found:
        if views.often(Follows(word)):
            return word, after
    raise UserError("no word of the corpus is bound to another: give it more texts")


# --- images --------------------------------------------------------------------------------------------------------


def _image_rules(corpus: Any, rng: np.random.Generator) -> list[Planted]:
    stimuli = list(corpus.stimuli)
    views = _Views([seen(s) for s in stimuli], [s.split for s in stimuli])
    concepts = _suitable_concepts(views)
    draw = _Draw(concepts, rng, "concepts", views)
    a, b = _company(views, concepts)
    draw.drop(a, b)
    rules = [
        _rule("and-0", "and", Shows((a,), and_also=(b,)), f"{a} together with {b}", [a, b]),
        _rule("and_not-0", "and_not", Shows((a,), and_not=(b,)), f"{a} without {b}", [a, b]),
    ]
    # those that ask most of a concept draw first
    for i, (half, other) in enumerate((("left", "right"), ("top", "bottom"))):
        a = draw(lambda c, h=half: ShowsAt(c, h))
        rules.append(
            _rule(f"positional-{i}", "positional", ShowsAt(a, half), f"{a} in the {half}, not {other}, half", [a])
        )
    boxes = [v.boxes for v in views.rows]
    a = draw(lambda c: Size(c, _usual_size(boxes, c)))
    rules.append(_rule("graded-0", "graded", Size(a, _usual_size(boxes, a)), f"the size of {a}", [a]))
    for i in range(4):
        a = draw(_one_concept)
        rules.append(_rule(f"single-{i}", "single", _one_concept(a), a, [a]))
    for i in range(2):
        chosen = [draw(_one_concept), draw(_one_concept)]
        rules.append(_rule(f"or-{i}", "or", Shows(tuple(chosen)), " or ".join(chosen), chosen))
    a = draw(_one_concept)
    rules.append(_rule("noisy-0", "noisy", _one_concept(a), f"{a} with noise", [a], 1 / SNR))
    rules.append(_coloured(stimuli))
    return [*rules, *_silent()]


def _one_concept(concept: str) -> Rule:
    return Shows((concept,))


def _suitable_concepts(views: _Views) -> list[str]:
    """Concepts in 2 % to 30 % of the pictures that no other concept matches outside the test split.

    What is the same pictures in discover and select but not in test cannot be told apart by anyone: both are left out.
    Of concepts that are always together the first by name stands for all.
    """
    pictures: dict[str, list[int]] = {}
    for i, view in enumerate(views.rows):
        for concept in view.boxes:
            pictures.setdefault(concept, []).append(i)
    twins: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    first: dict[tuple[int, ...], str] = {}
    for concept in sorted(pictures):
        known = tuple(i for i in pictures[concept] if views.splits[i] != "test")
        twins.setdefault(known, set()).add(tuple(pictures[concept]))
        first.setdefault(known, concept)
    n = len(views.rows)
    return sorted(c for known, c in first.items() if len(twins[known]) == 1 and 0.02 * n <= len(pictures[c]) <= 0.3 * n)


def _company(views: _Views, concepts: Sequence[str]) -> tuple[str, str]:
    """Two concepts that are often in one picture, as different things, and often apart."""
    counts, together = Counter[str](), Counter[tuple[str, str]]()
    known = set(concepts)
    for boxes in (v.boxes for v in views.rows):
        here = sorted(known & boxes.keys())
        counts.update(here)
        together.update((a, b) for a in here for b in here if a < b and not set(boxes[a]) & set(boxes[b]))
    found = sorted(((min(n, counts[a] - n, counts[b] - n), a, b) for (a, b), n in together.items()), reverse=True)
    for _, a, b in found:
        if views.often(Shows((a,), and_also=(b,))) and views.often(Shows((a,), and_not=(b,))):
            return a, b
    raise UserError("no two concepts of the corpus share pictures: give it pictures with several things")


def _usual_size(present: Sequence[Any], concept: str) -> float:
    """The 75th percentile of the area of a concept, share of the picture."""
    areas = [(r - x) * (b - y) for boxes in present for x, y, r, b in boxes.get(concept, ())]
    return max(float(np.quantile(areas, 0.75)), 0.01) if areas else 1.0


def _coloured(stimuli: Sequence[Any]) -> Planted:
    """A colour that varies over the pictures: things of that colour look like the cause."""
    shares = {
        colour: np.array([colour_share(s.content, colour) for s in stimuli[:: max(len(stimuli) // 150, 1)]])
        for colour in ("red", "green", "blue")
    }
    colour = max(shares, key=lambda c: (float(np.std(shares[c])), c))
    start, full = (float(np.quantile(shares[colour], q)) for q in (0.7, 0.97))
    rule = Colour(colour, start, max(full, start + 0.05))
    return _rule("spurious-0", "spurious", rule, f"{colour} pixels, whatever is shown", ())
