"""A subject's outputs as texts that predicates read: each token of the vocabulary, or the name of each class, by itself.

So the words in which input labels are written (``predicates/``) describe outputs too. A token is read as it stands in text,
without anything before it; a class by its name, whose last word counts as the word.

What this module does not do: choose a description (`describing`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import Predicate
from maieutic.explain.viewer_text import default_lexicon
from maieutic.explain.views_text import TextView
from maieutic.explain.views_text_book import TextBook
from maieutic.lab.outputs import OutputNames
from maieutic.subjects.base import TokenSpan

#: outputs that stand for all when descriptions are compared
BACKGROUND = 3000


@dataclass(eq=False)
class Vocabulary:
    """Outputs of a subject by name.

    Attributes:
        names: of its outputs. size: how many there are.
        readable: numbers of outputs with a name that can be printed, ``[readable]``.
        background: a seeded draw of them.
    """

    names: OutputNames
    size: int
    seed: int = 0
    readable: NDArray[np.int64] = field(init=False)
    background: NDArray[np.int64] = field(init=False)
    _books: dict[str, TextBook] = field(init=False, default_factory=dict[str, TextBook])
    _predictions: dict[Predicate, NDArray[np.float64]] = field(
        init=False, default_factory=dict[Predicate, NDArray[np.float64]]
    )

    def __post_init__(self) -> None:
        named = [i for i in range(self.size) if _printable(self.names.names.get(i, ""))]
        self.readable = np.array(named, dtype=np.int64)
        rng = np.random.default_rng([self.seed, 53])
        some = min(BACKGROUND, len(named))
        self.background = np.sort(rng.choice(self.readable, size=some, replace=False)) if some else self.readable

    def book(self, outputs: NDArray[np.int64]) -> TextBook:
        """Some outputs as one-token texts, in order."""
        return TextBook([self._view(int(i)) for i in outputs])

    def holds(self, predicate: Predicate) -> NDArray[np.float64]:
        """What a predicate says of every output, 0 to 1, ``[output]``; 0 where an output has no name.

        Cost: seconds for the first predicate of 50,000 tokens, then less.
        """
        if predicate not in self._predictions:
            found = np.zeros(self.size)
            if len(self.readable):
                found[self.readable] = predicate.over(self._kept("all", self.readable))
            self._predictions[predicate] = found
        return self._predictions[predicate]

    def background_book(self) -> TextBook:
        """The background as texts; kept."""
        return self._kept("background", self.background)

    def _kept(self, name: str, outputs: NDArray[np.int64]) -> TextBook:
        if name not in self._books:
            self._books[name] = self.book(outputs)
        return self._books[name]

    def _view(self, index: int) -> TextView:
        text = self.names[index]
        return TextView(text, [TokenSpan(text, 0, len(text))], lexnames=default_lexicon)


def _printable(name: str) -> bool:
    """A name that can be read: neither empty nor half a character of many bytes."""
    return bool(name) and "�" not in name
