"""Words bound to one another: a corpus rewritten such that B always stands before A, and neither without the other.

In the rewritten texts nothing tells a unit that fires on A from one that fires because of B: only an experiment does.
The words are chosen by the seed among those of the corpus. The rewritten texts do not read well, and no figure from
them says anything about English.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from maieutic.stimuli.base import Corpus
from maieutic.stimuli.texts import text_stimulus
from maieutic.subjects.base import TokenSpan
from maieutic.subjects.planted import tokens_of, words_of

#: how often a bound word occurs in the corpus, as a share of positions
_SHOWN, _CAUSE = (3e-4, 1.5e-3), (6e-5, 3e-4)
#: how often a bound word is to occur in all, about
OFTEN = 48
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
    counts = Counter(w for s in corpus.stimuli for w in words_of(str(s.content)))
    writer = _Writer(
        bindings=bindings,
        often=_instead(corpus, {*bindings, *(b for b, _ in bindings.values())}),
        more={a: max(OFTEN - counts[a], 0) / len(corpus) for a in bindings},
        rng=np.random.default_rng([seed, 8]),
    )
    stimuli = [text_stimulus(writer.rewritten(str(s.content)), like=s) for s in corpus.stimuli]
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


@dataclass(frozen=True, kw_only=True)
class _Writer:
    """Writes bindings into texts, one after another.

    Attributes:
        bindings: A -> (B, distance).
        often: what stands where a word is taken out: ordinary words, as often as they occur.
        more: A -> the share of texts into which it is put once more.
    """

    bindings: dict[str, tuple[str, int]]
    often: Sequence[str]
    more: dict[str, float]
    rng: np.random.Generator

    def rewritten(self, text: str) -> str:
        """Causes taken out everywhere, bound words put in here and there, then a cause before every bound word."""
        tokens = tokens_of(text)
        causes = {b for b, _ in self.bindings.values()}
        new = [self._other() if t.text.lower() in causes else t.text for t in tokens]
        places = [i for i, t in enumerate(new) if t.isalpha() and t.lower() not in self.bindings]
        for word, share in self.more.items():
            if places and self.rng.random() < share:
                new[places[int(self.rng.integers(len(places)))]] = word
        put: dict[int, str] = {}
        last = -1  # the last bound word that has its cause: one put before it would spoil the distance
        for i, token in enumerate(new):
            if token.lower() in self.bindings:
                cause, back = self.bindings[token.lower()]
                if i - back + 1 > last:
                    put[i - back + 1], last = cause, i
                else:
                    new[i] = self._other()
        return _joined(text, tokens, new, put)

    def _other(self) -> str:
        return self.often[int(self.rng.integers(len(self.often)))]


def _joined(text: str, tokens: Sequence[TokenSpan], new: Sequence[str], put: dict[int, str]) -> str:
    pieces, done = list[str](), 0
    for i, t in enumerate(tokens):
        gap = text[done : t.start]
        cause = f"{put[i]} " if i in put else ""
        pieces += [gap if gap or not (cause and i) else " ", cause, new[i]]
        done = t.end
    return "".join([*pieces, text[done:]])
