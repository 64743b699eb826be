"""How a stimulus becomes what predicates read: a text by itself (``TextView``) or a set of texts at once (``TextBook``)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import Predicate
from maieutic.explain.views_text import Lexnames, TextView, split_tokens
from maieutic.explain.views_text_book import TextBook
from maieutic.subjects.base import Subject, raw

#: books kept: the three splits of a corpus, and of another
_BOOKS = 6
#: subjects whose viewers are kept: a network and its untrained copy
_SUBJECTS = 2


def default_lexicon(word: str) -> tuple[str, ...]:
    """The topic class that a word most often has (``run``: ``verb.motion``); nothing when no lexicon is cached."""
    from maieutic.stimuli.wordnet import first_lexname

    name = first_lexname(word)
    return (name,) if name else ()


class TextViewer:
    """Stimulus (or string) -> ``TextView`` with the subject's own tokens. Keeps the latest views, so units share them.

    Args:
        subject: whose tokens to use.
        lexnames: word -> topic classes of a lexicon.
        text_level: one value a text (by default: when the subject's sites have no positions).
        keep: number of views kept in memory (about 50 kB each).
    """

    modality = "text"

    def __init__(
        self,
        subject: Subject,
        *,
        lexnames: Lexnames | None = default_lexicon,
        text_level: bool | None = None,
        keep: int = 4096,
    ) -> None:
        self.subject, self.lexnames, self._keep = subject, lexnames, keep
        self.text_level = all(s.positions == "none" for s in subject.sites()) if text_level is None else text_level
        self._views: OrderedDict[str, TextView] = OrderedDict()
        self._books: OrderedDict[tuple[str, ...], TextBook] = OrderedDict()

    def __call__(self, stimulus: Any, /) -> TextView:
        text = str(raw(stimulus))
        found = self._views.get(text)
        if found is None:
            found = self._views[text] = self._read(text)
            if len(self._views) > self._keep:
                self._views.popitem(last=False)
        return found

    def _read(self, text: str) -> TextView:
        tokens = split_tokens(text) if self.text_level else self.subject.tokens(text)
        return TextView(text, tokens, lexnames=self.lexnames, text_level=self.text_level)

    def predict(self, predicate: Predicate, stimuli: Sequence[Any]) -> list[NDArray[np.float64]]:
        """What ``predicate.evaluate`` gives on each of the texts, ``[position]`` each, to the bit; many are read as one."""
        if len(stimuli) < 2 or not getattr(predicate, "reads_books", False):  # anything with ``evaluate`` predicts
            return [predicate.evaluate(self(s)) for s in stimuli]
        book = self.book(stimuli)
        ends = np.cumsum([len(v) for v in book.views])
        values = predicate.over(book)
        assert len(values) == ends[-1], f"{len(values)} predictions for {ends[-1]} positions"
        return np.split(values, ends[:-1])

    def book(self, stimuli: Sequence[Any], /) -> TextBook:
        """The stimuli of a set that is asked about again and again (a split), read as one; the latest sets are kept."""
        key = tuple([str(raw(s)) for s in stimuli])
        found = self._books.get(key)
        if found is None:
            found = self._books[key] = TextBook([self(s) for s in stimuli])
            while len(self._books) > _BOOKS:
                self._books.popitem(last=False)
        else:
            self._books.move_to_end(key)
        return found


_VIEWERS: list[TextViewer] = []


def text_viewer(subject: Subject) -> TextViewer:
    """The viewer of a subject, the same for all its units, so that each text is read once; the latest ones are kept."""
    found = next((v for v in _VIEWERS if v.subject is subject), None) or TextViewer(subject)
    _VIEWERS[:] = [found, *(v for v in _VIEWERS if v is not found)][:_SUBJECTS]
    return found
