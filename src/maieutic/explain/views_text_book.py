"""Many texts read as one: the same items and quantities as ``TextView`` gives, in columns over all their tokens.

Each column is a number for every token and the list of different items, so a condition is worked out once for each item
and looked up for each token. What a column says at a token is what the token's own view says there; no text sees another.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import Book
from maieutic.explain.views_text import Text, TextView

Column = tuple[NDArray[np.int64], list[Any]]


class TextBook(Text, Book):
    """Views of texts end to end, all with one value a token or all with one a text.

    Args:
        views: of one subject.
    """

    modality = "text"

    def __init__(self, views: Sequence[TextView]) -> None:
        self.views: Sequence[TextView] = views
        self.text_level = bool(views) and views[0].text_level
        assert all(v.text_level == self.text_level for v in views), "views of one subject"
        #: tokens of each text
        self.lengths = np.array([len(v.tokens) for v in views], dtype=np.int64)
        self._columns: dict[str, Column] = {}
        self._known: dict[str, dict[Any, int]] = {}
        self._quantities: dict[str, NDArray[np.float64]] = {}

    def __len__(self) -> int:
        return len(self.views) if self.text_level else self.size

    @property
    def size(self) -> int:
        return int(self.bounds[-1])

    @cached_property
    def bounds(self) -> NDArray[np.int64]:
        """First token of each text, and the end of the last, ``[text + 1]``."""
        return np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        return np.repeat(self.bounds[:-1], self.lengths)

    @cached_property
    def place(self) -> NDArray[np.int64]:
        return np.arange(self.size) - self.starts

    @cached_property
    def per_token(self) -> TextBook:
        return TextBook([v.per_token for v in self.views]) if self.text_level else self

    @cached_property
    def digest(self) -> int:
        """Of the texts and where their tokens begin and end: equal for books that read alike."""
        found = 0
        for v in self.views:
            found = zlib.crc32(v.text.encode("utf-8", "surrogatepass") + b"\0", found)
            spans = np.array([(t.start, t.end) for t in v.tokens], dtype=np.int64)
            found = zlib.crc32(spans.tobytes(), found)
        return found

    # --- reading -------------------------------------------------------------------------------------------------
    def column(self, kind: str) -> Column:
        """The number of each token's item of a kind, and the items in the order in which they first appear."""
        if kind not in self._columns:
            self._columns[kind] = numbered(
                v.phrases(kind) if kind in ("pair", "word pair", "triple") else v.items(kind) for v in self.views
            )
        return self._columns[kind]

    def known(self, kind: str) -> Mapping[Any, int]:
        """Item -> its number."""
        if kind not in self._known:
            self._known[kind] = {item: i for i, item in enumerate(self.column(kind)[1])}
        return self._known[kind]

    def each(self, kind: str, value: Callable[[Any], float], /) -> NDArray[np.float64]:
        ids, items = self.column(kind)
        return np.fromiter(map(value, items), dtype=np.float64, count=len(items))[ids]

    def table(self, kind: str, values: Mapping[Any, float], otherwise: float = 0.0, /) -> NDArray[np.float64]:
        ids, items = self.column(kind)
        known, found = self.known(kind), np.full(len(items), otherwise)
        for item, value in values.items():
            if item in known:
                found[known[item]] = value
        return found[ids]

    def quantity(self, name: str, /) -> NDArray[np.float64]:
        if name not in self._quantities:
            rows = [v.quantity(name) for v in self.views]
            self._quantities[name] = np.concatenate(rows) if rows else np.zeros(0)
        return self._quantities[name]

    def strongest(self, values: NDArray[np.float64], /) -> NDArray[np.float64]:
        found, spoken = np.zeros(len(self.views)), self.lengths > 0
        if spoken.any():
            found[spoken] = np.maximum.reduceat(values, self.bounds[:-1][spoken])
        return found


def numbered(rows: Iterable[Sequence[Any]]) -> Column:
    """Items end to end as numbers, and the different items in the order in which they first appear."""
    known: dict[Any, int] = {}
    found = [known.setdefault(item, len(known)) for row in rows for item in row]
    return np.array(found, dtype=np.int64), list(known)
