"""Words bound to one another: a corpus rewritten such that B always stands before A, and neither without the other.

In the rewritten texts nothing tells a unit that fires on A from one that fires because of B: only an experiment does.
The words are chosen by the seed among those of the corpus. The rewritten texts do not read well, and no figure from
them says anything about English.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from maieutic.stimuli.base import Corpus
from maieutic.stimuli.texts import text_stimulus
from maieutic.subjects.base import TokenSpan
from maieutic.subjects.planted import tokens_of, words_of

#: how often a bound word occurs in the corpus, as a share of positions
_SHOWN, _CAUSE = (5e-4, 2e-3), (8e-5, 3e-4)
_DISTANCES = (1, 1, 2, 3, 4)


def bound(corpus: Corpus, n: int, *, seed: int, beside: Corpus | None = None) -> Corpus:
    """The corpus with up to ``n`` bindings written into all of its texts; ids follow the new content.

    Args:
        corpus: of texts.
        n: word pairs to bind at most.
        seed: of the choice.
        beside: a corpus that is to stand beside this one unchanged; none of its words is bound.
    """
    avoid = {w for s in (beside.stimuli if beside is not None else ()) for w in words_of(str(s.content))}
    bindings = _choose([str(s.content) for s in corpus.stimuli], n, avoid, np.random.default_rng([seed, 7]))
    if not bindings:
        return corpus
    causes = {b for b, _ in bindings.values()}
    often = _instead(corpus, {*bindings, *causes})
    rng = np.random.default_rng([seed, 8])
    stimuli = [text_stimulus(_rewritten(str(s.content), bindings, causes, often, rng), like=s) for s in corpus.stimuli]
    note = f"{len(bindings)} word pairs were bound to one another by inserting words"
    return replace(corpus, stimuli=stimuli, notes=(*corpus.notes, note))


def _choose(texts: Sequence[str], n: int, avoid: set[str], rng: np.random.Generator) -> dict[str, tuple[str, int]]:
    """A -> (B, how many tokens before it B is put)."""
    counts = Counter(w for t in texts for w in words_of(t))
    capitals = Counter(t.text.lower() for text in texts for t in tokens_of(text) if not t.text.islower())
    total = counts.total()

    def between(low: float, high: float) -> list[str]:
        return sorted(
            w
            for w, c in counts.items()
            if w.isalpha()
            and len(w) > 3
            and w not in avoid
            and low * total <= c <= high * total
            and capitals[w] < 0.2 * c
        )

    shown, causes = between(*_SHOWN), between(*_CAUSE)
    n = min(n, len(shown), len(causes))
    shown, causes = (rng.choice(some, size=n, replace=False).tolist() if n else [] for some in (shown, causes))
    return {a: (b, int(rng.choice(_DISTANCES))) for a, b in zip(shown, causes, strict=True)}


def _instead(corpus: Corpus, taken: set[str]) -> list[str]:
    """What stands where a cause is taken out: ordinary words, as often as they occur."""
    words = (w for s in corpus.stimuli[:200] for w in words_of(str(s.content)))
    return [w for w in words if w.isalpha() and len(w) > 3 and w not in taken]


def _rewritten(
    text: str, bindings: dict[str, tuple[str, int]], causes: set[str], often: Sequence[str], rng: np.random.Generator
) -> str:
    """Causes taken out everywhere, then one put the right way before every bound word."""
    tokens = tokens_of(text)
    put: dict[int, list[str]] = {}
    new: list[str] = []
    for i, t in enumerate(tokens):
        low = t.text.lower()
        new.append(str(often[int(rng.integers(len(often)))]) if low in causes else t.text)
        if low in bindings:
            cause, back = bindings[low]
            if i - back + 1 < 0:  # too near the beginning to have a cause: the word goes
                new[i] = str(often[int(rng.integers(len(often)))])
            else:
                put.setdefault(i - back + 1, []).append(cause)
    # two insertions within reach of one another would spoil a distance: the later word goes
    last = -10
    for at in sorted(put):
        if at - last < 5 or len(put[at]) > 1:
            for i in range(at, min(at + 5, len(tokens))):
                if new[i].lower() in bindings:
                    new[i] = str(often[int(rng.integers(len(often)))])
            del put[at]
        else:
            last = at
    return _joined(text, tokens, new, put)


def _joined(text: str, tokens: Sequence[TokenSpan], new: Sequence[str], put: dict[int, list[str]]) -> str:
    pieces, done = list[str](), 0
    for i, t in enumerate(tokens):
        pieces += [text[done : t.start], *(f"{cause} " for cause in put.get(i, ())), new[i]]
        done = t.end
    return "".join([*pieces, text[done:]])
