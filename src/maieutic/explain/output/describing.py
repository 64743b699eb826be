"""A short label for what a unit does: what the outputs that it promotes have in common, in the words of predicates.

Candidates come from the promoted outputs themselves: their spelling, closed and lexical classes, beginnings and endings that
they share, one word in its forms, and what several of them are kinds of (WordNet). A description is worth the information, in
bits, that it gives on whether an output is promoted, promoted and other outputs being equally many: the Jensen-Shannon
divergence of (holds, does not hold) between the two, 0 to 1. Up to three are joined by "or".

The same search is run on what random directions promote. A description that is not worth more than every one of theirs is no
finding: outputs that any direction promotes have things in common, too. Then the unit is left undescribed. A single word is
named where its z-score is above the largest of 95 % of random directions.

What this module does not do: test the description on fresh contexts (`maieutic.score.output_side`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.output.vocabulary import Vocabulary
from maieutic.explain.predicates.base import Or, Predicate
from maieutic.explain.predicates.text import HasAffix, TokenClass, TokenIn
from maieutic.explain.predicates.text_meaning import Means, known
from maieutic.explain.search.text_label import clause_label
from maieutic.readings import FloatArray

#: outputs looked at, at most; of the largest z-score an output must have so much to count, and so much in any case
PROMOTED, SHARE, FLOOR = 30, 0.5, 2.0
#: promoted outputs that must fit, as a share; what a further part must add in bits; parts; bits below which nothing is said
COVERAGE, GAIN, PARTS, WORTH = 0.3, 0.05, 3, 0.1
#: random directions whose descriptions stand beside it, at most
NULLS = 20
#: classes of tokens that say nothing on their own
_EMPTY = frozenset({"letters", "content words", "lower case", "middling words"})


@dataclass(frozen=True, kw_only=True)
class Description:
    """What promoted outputs have in common.

    Attributes:
        label: in words; empty when nothing was found.
        predicate: its executable form, over names of outputs.
        reason: why there is none.
        promoted: the outputs looked at, strongest first. fits: which of them the description holds for.
        bits: what it is worth. null_bits: what descriptions of random directions are worth, ``[direction]``.
    """

    label: str = ""
    predicate: Predicate | None = None
    reason: str | None = None
    promoted: tuple[int, ...] = ()
    fits: tuple[int, ...] = ()
    bits: float = 0.0
    null_bits: tuple[float, ...] = ()


def describe(z: FloatArray, null: FloatArray, vocabulary: Vocabulary) -> Description:
    """Describe what is promoted.

    Args:
        z: z-score of each output, ``[output]``.
        null: those of random directions, ``[direction, output]``.
        vocabulary: names of the outputs.

    Cost: seconds for the first unit of a subject (the lexicon), then about 0.1 s a direction.
    """
    if not len(vocabulary.readable):
        return Description(reason="the outputs have no names: give them, as in  --classes FILE")
    if not len(null):
        return Description(reason="no random directions stand beside it")
    chosen = promoted(z, vocabulary)
    if len(chosen) == 0:
        return Description(reason=f"no output has a z-score above {FLOOR:g}")
    alone = float(z[chosen[0]]) > float(np.quantile(null[:, vocabulary.readable].max(axis=1), 0.95))
    best, bits = _best(chosen, vocabulary, alone=alone)
    beside = tuple(_best(promoted(row, vocabulary), vocabulary, alone=False)[1] for row in null[:NULLS])
    most = max(beside)
    # one word that stands out by its z-score needs nothing in common with others
    sole = alone and isinstance(best, TokenIn)
    if best is None or bits < WORTH or (bits <= most and not sole):
        why = "have nothing in common that can be said" if best is None or bits < WORTH else (
            f"have no more in common than those of random directions ({bits:.2f} bits, theirs up to {most:.2f})"
        )  # fmt: skip
        return Description(
            reason=f"the {len(chosen)} most promoted outputs {why}", promoted=tuple(chosen.tolist()), bits=bits,
            null_bits=beside,
        )  # fmt: skip
    holds = best.over(vocabulary.book(chosen)) >= 0.5
    return Description(
        label=_label(best), predicate=best, promoted=tuple(chosen.tolist()), fits=tuple(chosen[holds].tolist()),
        bits=bits, null_bits=beside,
    )  # fmt: skip


def promoted(z: FloatArray, vocabulary: Vocabulary) -> NDArray[np.int64]:
    """The outputs that a row of z-scores promotes, strongest first."""
    inside = vocabulary.readable
    order = inside[np.argsort(-z[inside], kind="stable")][:PROMOTED]
    top = float(z[order[0]]) if len(order) else 0.0
    return order[z[order] >= max(SHARE * top, FLOOR)]


def information(inside: float, outside: float) -> float:
    """Bits on which of two equally likely sides an output is from, given shares of either side for which a claim holds."""
    return _entropy((inside + outside) / 2) - (_entropy(inside) + _entropy(outside)) / 2


def _entropy(p: float) -> float:
    return 0.0 if p <= 0 or p >= 1 else float(-p * np.log2(p) - (1 - p) * np.log2(1 - p))


def _best(chosen: NDArray[np.int64], vocabulary: Vocabulary, *, alone: bool) -> tuple[Predicate | None, float]:
    """The best description of some outputs and its worth. ``alone``: a single word in its forms may be named."""
    if not len(chosen):
        return None, 0.0
    inside, outside = vocabulary.book(chosen), vocabulary.background_book()
    others = ~np.isin(vocabulary.background, chosen)
    tried: list[tuple[float, Predicate, NDArray[np.bool_], NDArray[np.bool_]]] = []
    for predicate in _candidates([v.text for v in inside.views], inside.column("classes")[1], alone):
        here, there = predicate.over(inside) >= 0.5, predicate.over(outside)[others] >= 0.5
        tried.append((_worth(here, there), predicate, here, there))
    # ties go to the earlier candidate: single words, then affixes, then classes
    tried = [t for _, t in sorted(enumerate(tried), key=lambda it: (-it[1][0], it[0]))]
    if not tried or tried[0][0] <= 0:
        return None, 0.0
    bits, first, here, there = tried[0]
    parts = [first]
    for _, predicate, more, also in tried[1:]:
        joined = _worth(here | more, there | also)
        if len(parts) < PARTS and joined >= bits + GAIN and more.mean() >= COVERAGE / PARTS:
            bits, here, there = joined, here | more, there | also
            parts.append(predicate)
    if here.mean() < COVERAGE:
        return None, bits
    return (parts[0] if len(parts) == 1 else Or(parts=tuple(parts))), bits


def _worth(here: NDArray[np.bool_], there: NDArray[np.bool_]) -> float:
    """Bits, shares smoothed by half an output; below 0 where the claim holds more outside."""
    a, b = (here.sum() + 0.5) / (len(here) + 1), (there.sum() + 0.5) / (len(there) + 1)
    return float(np.sign(a - b)) * information(float(a), float(b))


def _candidates(texts: Sequence[str], classes: Sequence[tuple[str, ...]], alone: bool) -> list[Predicate]:
    keys = [(t.strip() or t).lower() for t in texts]
    words = [k for k in dict.fromkeys(keys) if k.isalpha() and len(k) > 2]
    found: list[Predicate] = []
    counted = Counter(keys)
    if alone or len(texts) > 2:
        found += [TokenIn(words=(k,)) for k, n in counted.items() if n >= 2 or (alone and len(counted) <= 2)]
    found += _affixes(words)
    found += [TokenClass(name=n) for n in sorted({n for names in classes for n in names} - _EMPTY)]
    return found + _meanings(words)


def _affixes(words: Sequence[str]) -> list[Predicate]:
    """Beginnings and endings of 2 to 5 letters that at least three words share."""
    starts = Counter(w[:n] for w in words for n in (2, 3, 4, 5) if len(w) > n)
    ends = Counter(w[-n:] for w in words for n in (2, 3, 4, 5) if len(w) > n)
    rows = [(c, len(a), True, a) for a, c in starts.items() if c >= 3]
    rows += [(c, len(a), False, a) for a, c in ends.items() if c >= 3]
    rows = sorted(rows, key=lambda r: (-r[0], -r[1], r[3]))[:8]
    return [HasAffix(prefix=a) if start else HasAffix(suffix=a) for _, _, start, a in rows]


def _meanings(words: Sequence[str]) -> list[Predicate]:
    """What several words are forms, synonyms or kinds of, the most shared first; nothing without the lexicon."""
    from maieutic.stimuli.wordnet import open_wordnet

    database = open_wordnet()
    if database is None:
        return []
    shared: Counter[str] = Counter()
    for word in words:
        shared.update(list(dict.fromkeys(database.concepts(word))))
    own = [w for w in words[:6] if known(w)]
    wide = [w for w, n in sorted(shared.items(), key=lambda it: (-it[1], it[0])) if n >= 3][:4]
    return [Means(word=w, loose=False) for w in dict.fromkeys([*wide, *own])]


def _label(predicate: Predicate) -> str:
    parts = predicate.parts if isinstance(predicate, Or) else (predicate,)
    return ", or ".join(clause_label(p) for p in parts)
