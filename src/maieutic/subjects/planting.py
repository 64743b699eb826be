"""Choosing what planted units are about: words and concepts of the corpus at hand, frequent enough to be scored.

Nothing is hard-wired: another corpus or seed gives other words. Corpora are duck-typed (``stimuli`` with ``content``
and ``split``), because rooms below this one define them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
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
#: texts looked at when words are chosen
MAX_TEXTS = 600


def plant(corpus: Any, *, modality: Modality | None = None, seed: int = 0) -> tuple[PlantedUnit, ...]:
    """Fifteen units about what a corpus holds, with their exact truth.

    Raises:
        UserError: the corpus is too small or too uniform to plant in.
    """
    which: Modality = modality or corpus.modality
    rng = np.random.default_rng([seed, 0 if which == "text" else 1])
    rules = _text_rules(corpus, rng) if which == "text" else _image_rules(corpus, rng)
    return PlantedSubject(rules, modality=which, seed=seed).units()


class _Draw:
    """Draws without putting back, in a seeded order."""

    def __init__(self, names: Sequence[str], rng: np.random.Generator, what: str) -> None:
        order: list[int] = rng.permutation(len(names)).tolist()
        self._names = [names[i] for i in order]
        self._what = what

    def __call__(self, n: int = 1) -> list[str]:
        if len(self._names) < n:
            raise UserError(
                f"the corpus has too few {self._what} of suitable frequency to plant in: give it more stimuli"
            )
        taken, self._names = self._names[:n], self._names[n:]
        return taken

    def drop(self, *names: str) -> None:
        self._names = [name for name in self._names if name not in names]


def _rule(name: str, kind: str, rule: Rule, about: str, involved: Sequence[str] = (), noise: float = 0.0) -> Planted:
    return Planted(name=name, kind=kind, rule=rule, about=about, involved=tuple(involved), noise=noise)


# --- text ----------------------------------------------------------------------------------------------------------


def _text_rules(corpus: Any, rng: np.random.Generator) -> list[Planted]:
    texts = [words_of(s.content) for s in list(corpus.stimuli)[:MAX_TEXTS]]
    test = [s.split == "test" for s in list(corpus.stimuli)[:MAX_TEXTS]]
    words = _suitable_words(texts, test)
    draw = _Draw(words, rng, "words")
    pairs = list(_pair_rules(texts, words, rng))  # first: they need the rarest circumstances
    draw.drop(*(w for p in pairs for w in p.involved))
    rules: list[Planted] = []
    for i in range(3):
        (a,) = draw()
        rules.append(_rule(f"single-{i}", "single", Words(((a, 1.0),)), f"the word {a!r}", [a]))
    for i, n in enumerate((2, 3)):
        chosen = draw(n)
        about = " or ".join(repr(w) for w in chosen)
        rules.append(_rule(f"or-{i}", "or", Words(tuple((w, 1.0) for w in chosen)), about, chosen))
    a, b, c = draw(3)
    strengths = ((a, 1.0), (b, 0.65), (c, 0.3))
    rules.append(_rule("graded-0", "graded", Words(strengths), f"{a!r} > {b!r} > {c!r}", [a, b, c]))
    (a,) = draw()
    rules.append(_rule("noisy-0", "noisy", Words(((a, 1.0),)), f"{a!r} with noise", [a], 1 / SNR))
    rules.append(_rule("positional-0", "positional", First(4), "the first four tokens of a text"))
    return [*rules, *pairs, *_silent()]


def _silent() -> list[Planted]:
    return [
        _rule("dead-0", "dead", Nothing(), "nothing: it never fires"),
        _rule("noise-0", "noise", Nothing(), "nothing: it is noise", noise=1.0),
    ]


def _suitable_words(texts: Sequence[Sequence[str]], test: Sequence[bool]) -> list[str]:
    """Words in 5 test texts or more, and at 0.03 % to 1 % of positions."""
    counts, spread = Counter[str](), Counter[str]()
    for words, held_out in zip(texts, test, strict=True):
        counts.update(words)
        if held_out:
            spread.update(set(words))
    total = sum(counts.values())
    return sorted(
        w
        for w, n in counts.items()
        if w.isalpha() and len(w) > 2 and 3e-4 * total <= n <= 1e-2 * total and n >= 20 and spread[w] >= 5
    )


def _pair_rules(texts: Sequence[Sequence[str]], words: Sequence[str], rng: np.random.Generator) -> Iterator[Planted]:
    """Units about a word in the company of another."""
    used: set[str] = set()
    plans = (("and-0", "and", 16, False), ("and_not-0", "and_not", 16, True), ("context-0", "context", 3, False),
             ("context-1", "context", 5, False))  # fmt: skip
    for name, kind, within, absent in plans:
        word, before = _pair(texts, [w for w in words if w not in used], within, rng)
        used |= {word, before}
        about = f"{word!r} {'without' if absent else 'with'} {before!r} in the {within} tokens before"
        yield _rule(name, kind, WordNear(word, before, within, absent), about, [word, before])
    before, usual = _bound(texts, [w for w in words if w not in used])
    about = f"any token right after {before!r} (nearly always {usual!r})"
    yield _rule("spurious-0", "spurious", Follows(before), about, [before, usual])


def _pair(
    texts: Sequence[Sequence[str]], words: Sequence[str], within: int, rng: np.random.Generator
) -> tuple[str, str]:
    """A word and a companion found before about half of its occurrences, so that both cases can be seen."""
    known, counts, together = set(words), Counter[str](), Counter[tuple[str, str]]()
    for text in texts:
        for i, word in enumerate(text):
            if word in known:
                counts[word] += 1
                together.update(
                    (word, b) for b in sorted(set(text[max(0, i - within) : i])) if b != word and b.isalpha()
                )
    for low, high in ((0.3, 0.7), (0.2, 0.8), (0.1, 0.9)):
        found = sorted(
            (w, b)
            for (w, b), n in together.items()
            if low <= n / counts[w] <= high and min(n, counts[w] - n) >= 25 and len(b) > 1
        )
        if found:
            return found[int(rng.integers(len(found)))]
    raise UserError("no two words of the corpus keep company often enough to plant in: give it more texts")


def _bound(texts: Sequence[Sequence[str]], words: Sequence[str]) -> tuple[str, str]:
    """The word whose next token is most often the same one: what follows it, and only that, looks like the cause."""
    following: dict[str, Counter[str]] = {w: Counter() for w in words}
    counts = Counter(word for text in texts for word in text)
    for text in texts:
        for word, after in zip(text, text[1:], strict=False):
            if word in following:
                following[word][after] += 1
    best = max(
        (
            (n / min(following[w].total(), counts[after]) * n / counts[after], w, after)
            for w in words
            for after, n in following[w].most_common(1)
            if after.isalpha() and n / following[w].total() >= 0.6
        ),
        default=None,
    )
    if best is None:
        raise UserError("no word of the corpus is bound to another: give it more texts")
    return best[1], best[2]


# --- images --------------------------------------------------------------------------------------------------------


def _image_rules(corpus: Any, rng: np.random.Generator) -> list[Planted]:
    stimuli = list(corpus.stimuli)
    present = [seen(s).boxes for s in stimuli]
    concepts = _suitable_concepts(present, [s.split == "test" for s in stimuli])
    draw = _Draw(concepts, rng, "concepts")
    a, b = _company(present, concepts)
    draw.drop(a, b)
    rules = [
        _rule("and-0", "and", Shows((a,), and_also=(b,)), f"{a} together with {b}", [a, b]),
        _rule("and_not-0", "and_not", Shows((a,), and_not=(b,)), f"{a} without {b}", [a, b]),
    ]
    for i in range(4):
        (a,) = draw()
        rules.append(_rule(f"single-{i}", "single", Shows((a,)), a, [a]))
    for i in range(2):
        chosen = draw(2)
        rules.append(_rule(f"or-{i}", "or", Shows(tuple(chosen)), " or ".join(chosen), chosen))
    for i, half in enumerate((("left", "right"), ("top", "bottom"))):
        a, where = _placed(present, draw, half)
        rules.append(_rule(f"positional-{i}", "positional", ShowsAt(a, where), f"{a} in the {where} half", [a]))
    (a,) = draw()
    rules.append(_rule("graded-0", "graded", Size(a, _usual_size(present, a)), f"the size of {a}", [a]))
    (a,) = draw()
    rules.append(_rule("noisy-0", "noisy", Shows((a,)), f"{a} with noise", [a], 1 / SNR))
    rules.append(_coloured(stimuli))
    return [*rules, *_silent()]


def _suitable_concepts(present: Sequence[Any], test: Sequence[bool]) -> list[str]:
    """Concepts in 2 % to 30 % of the pictures and in 6 test pictures or more."""
    counts = Counter(c for boxes in present for c in boxes)
    held_out = Counter(c for boxes, t in zip(present, test, strict=True) if t for c in boxes)
    n = len(present)
    return sorted(c for c, k in counts.items() if 0.02 * n <= k <= 0.3 * n and held_out[c] >= 6)


def _company(present: Sequence[Any], concepts: Sequence[str]) -> tuple[str, str]:
    """Two concepts that are often in one picture, as different things, and often apart."""
    counts, together = Counter[str](), Counter[tuple[str, str]]()
    known = set(concepts)
    for boxes in present:
        here = sorted(known & boxes.keys())
        counts.update(here)
        together.update((a, b) for a in here for b in here if a < b and not set(boxes[a]) & set(boxes[b]))
    best = max(((min(n, counts[a] - n, counts[b] - n), a, b) for (a, b), n in together.items()), default=(0, "", ""))
    if best[0] < 15:
        raise UserError("no two concepts of the corpus share pictures: give it pictures with several things")
    return best[1], best[2]


def _placed(present: Sequence[Any], draw: _Draw, halves: tuple[str, str]) -> tuple[str, str]:
    """A concept seen often enough in both halves, and the half that the unit asks for."""
    while True:
        (concept,) = draw()
        in_half = [sum(float(ShowsAt(concept, h).truth(_only(boxes))[0]) for boxes in present) for h in halves]
        if min(in_half) >= 15:
            return concept, halves[0]


def _only(boxes: Any) -> Any:
    from maieutic.subjects.planted import Seen

    return Seen(boxes, lambda: None)  # pyright: ignore[reportArgumentType]  # position rules read no pixels


def _usual_size(present: Sequence[Any], concept: str) -> float:
    """The 75th percentile of the area of a concept, share of the picture."""
    areas = [(r - x) * (b - y) for boxes in present for x, y, r, b in boxes.get(concept, ())]
    return max(float(np.quantile(areas, 0.75)), 0.01)


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
