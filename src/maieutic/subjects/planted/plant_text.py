"""Planted text units: about words of the corpus at hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from maieutic.errors import UserError
from maieutic.subjects.planted.draw import LEAST, SNR, Draw, Views, planted, silent
from maieutic.subjects.planted.rule import Rule
from maieutic.subjects.planted.subject import Planted
from maieutic.subjects.planted.text_rules import First, Follows, WordNear, Words, words_of

#: words whose company is looked at first; counting that of all words takes seconds
_POOL = 60


def text_units(corpus: Any, rng: np.random.Generator) -> list[Planted]:
    views = Views([words_of(s.content) for s in corpus.stimuli], [s.split for s in corpus.stimuli])
    words = _suitable_words(views.rows)
    draw = Draw(words, rng, "words", views)

    def some(n: int) -> list[str]:
        return [draw(_one_word) for _ in range(n)]

    pairs = list(_pair_rules(views, words, rng))  # first: they need the rarest circumstances
    draw.drop(*(w for p in pairs for w in p.involved))
    rules: list[Planted] = []
    for i in range(3):
        (a,) = some(1)
        rules.append(planted(f"single-{i}", "single", _one_word(a), f"the word {a!r}", [a]))
    for i, n in enumerate((2, 3)):
        chosen = some(n)
        about = " or ".join(repr(w) for w in chosen)
        rules.append(planted(f"or-{i}", "or", Words(tuple((w, 1.0) for w in chosen)), about, chosen))
    a, b, c = some(3)
    strengths = ((a, 1.0), (b, 0.65), (c, 0.3))
    rules.append(planted("graded-0", "graded", Words(strengths), f"{a!r} > {b!r} > {c!r}", [a, b, c]))
    (a,) = some(1)
    rules.append(planted("noisy-0", "noisy", _one_word(a), f"{a!r} with noise", [a], 1 / SNR))
    rules.append(planted("positional-0", "positional", First(4), "the first four tokens of a text"))
    return [*rules, *pairs, *silent()]


def _one_word(word: str) -> Rule:
    return Words(((word, 1.0),))


def _suitable_words(texts: Sequence[Sequence[str]]) -> list[str]:
    """Words of three letters and more at 0.03 % to 1 % of positions."""
    counts = Counter(word for words in texts for word in words)
    total = counts.total()
    return sorted(
        w for w, n in counts.items() if w.isalpha() and len(w) > 2 and max(3e-4 * total, 20) <= n <= 1e-2 * total
    )


def _pair_rules(views: Views, words: Sequence[str], rng: np.random.Generator) -> Iterator[Planted]:
    """Units about a word in the company of another."""
    used: set[str] = set()
    plans = (("and-0", "and", 16, False), ("and_not-0", "and_not", 16, True), ("context-0", "context", 3, False),
             ("context-1", "context", 5, False))  # fmt: skip
    for name, kind, within, absent in plans:
        word, before = _pair(views, [w for w in words if w not in used], within, rng)
        used |= {word, before}
        about = f"{word!r} {'without' if absent else 'with'} {before!r} in the {within} tokens before"
        yield planted(name, kind, WordNear(word, before, within, absent), about, [word, before])
    before, usual = _bound(views, [w for w in words if w not in used])
    about = f"any token right after {before!r} (nearly always {usual!r})"
    yield planted("spurious-0", "spurious", Follows(before), about, [before, usual])


def _pair(views: Views, words: Sequence[str], within: int, rng: np.random.Generator) -> tuple[str, str]:
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


def _companions(views: Views, words: set[str], within: int) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """How often each word occurs, and how often with each other word in the tokens before it."""
    counts, together = Counter[str](), Counter[tuple[str, str]]()
    for text in views.rows:
        for i, word in enumerate(text):
            if word in words:
                counts[word] += 1
                together.update((word, b) for b in set(text[max(0, i - within) : i]) if b != word and b.isalpha())
    return counts, together


def _bound(views: Views, words: Sequence[str]) -> tuple[str, str]:
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
