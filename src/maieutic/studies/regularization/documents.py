"""What the study's corpora have in common: token ids of documents, exact labels at every position, and the split.

A *document* is a text of ``context + 1`` tokens: the model reads the first ``context`` and predicts the token behind each.
Labels are known from how the text was made or parsed, never guessed by a model.

What this module does not do: make or read text (`facts`, `source`, `plays` do).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UserError
from maieutic.stimuli import Corpus, Split, split_of
from maieutic.stimuli.texts import text_stimulus

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One property of tokens.

    Attributes:
        values: index into ``names`` at each position of each document, ``[document, position]``.
        names: what the indices mean; index 0 is "nothing to say" where there is such a value (``none``).
    """

    values: Ids
    names: tuple[str, ...]

    def mask(self, name: str) -> NDArray[np.bool_]:
        """Where the property has that value, ``[document, position]``."""
        return self.values == self.names.index(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """Texts that no model was trained on, with exact labels.

    Attributes:
        ids: token ids, ``[document, context + 1]``.
        labels: by name, each ``[document, context]``: of the tokens that the model reads.
        groups: what each document belongs to (a file, or itself); it decides the split.
        texts: the first ``context`` tokens as text.
    """

    ids: Ids
    labels: Mapping[str, Label]
    groups: tuple[str, ...]
    texts: tuple[str, ...]

    @property
    def splits(self) -> tuple[Split, ...]:
        """The split of each document: the project's own, by hash of its group."""
        return tuple(split_of(g) for g in self.groups)

    def split(self, name: Split) -> Documents:
        """The documents of one split."""
        return self.at([n for n, s in enumerate(self.splits) if s == name])

    def at(self, places: Sequence[int]) -> Documents:
        """Some documents, in the order given."""
        chosen = np.asarray(places, np.int64)
        return Documents(
            ids=self.ids[chosen],
            labels={k: Label(values=v.values[chosen], names=v.names) for k, v in self.labels.items()},
            groups=tuple(self.groups[n] for n in places),
            texts=tuple(self.texts[n] for n in places),
        )

    def predicates(self, *, least: int = 20, most: float = 0.5) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
        """Every (label, value) that holds at ``least`` positions or more and at no more than a share ``most`` of them.

        Yields:
            the label's name, the value's name, and where it holds: bool ``[document, position]``.
        """
        for name, label in self.labels.items():
            counts = np.bincount(label.values.reshape(-1), minlength=len(label.names))
            for index in np.flatnonzero((counts >= least) & (counts <= most * label.values.size)):
                yield name, label.names[index], label.values == index

    def corpus(self, name: str) -> Corpus:
        """The same texts as a corpus of the project, with the same split."""
        pairs = zip(self.texts, self.groups, strict=True)
        stimuli = [replace(text_stimulus(t, group=g), split=split_of(g)) for t, g in pairs]
        return Corpus(name=name, modality="text", stimuli=stimuli)


class StudyCorpus(Protocol):
    """What a model is trained on.

    Attributes:
        name: short, as in files. context: tokens that a model reads.
    """

    name: str
    context: int

    @property
    def words(self) -> tuple[str, ...]:
        """The text of every token by id."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hex digest that changes when its text could."""
        ...

    def encode(self, text: str) -> list[tuple[int, int, int]]:
        """``(token id, start, end)`` of every token of a text, offsets in characters."""
        ...

    def training(self, documents: int, *, without: frozenset[int] = frozenset()) -> Ids:
        """Documents to train on, ``[document, context + 1]``; the same on every call.

        Args:
            documents: how many.
            without: facts that must not occur (`facts` only).
        """
        ...

    def documents(self, count: int) -> Documents:
        """Labelled documents of the same kind, none of which is trained on; the same on every call."""
        ...


def check_apart(training: Ids, held_out: Ids) -> None:
    """Refuse documents that were trained on.

    Raises:
        UserError: a document stands on both sides.
    """
    seen = {row.tobytes() for row in np.ascontiguousarray(training, np.int64)}
    both = sum(row.tobytes() in seen for row in np.ascontiguousarray(held_out, np.int64))
    if both:
        raise UserError(f"{both} documents are trained on and measured on: choose another seed of the corpus")
