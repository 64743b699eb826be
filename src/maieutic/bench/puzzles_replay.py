"""A recorded unit as a subject: texts with one value a token, replayed. It runs no model and knows no other text.

Tokens are those of the record, so predicates see exactly the positions that were recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from maieutic.errors import UsageError, UserError
from maieutic.subjects.base import Batch, Intervention, Site, Subject, TokenSpan, Unit, Values, raw

if TYPE_CHECKING:
    from maieutic.subjects.base import Raw

SITE = "record"


@dataclass(frozen=True, slots=True)
class Record:
    """One recorded text: its tokens in order (joined they are the text) and one finite value for each."""

    tokens: tuple[str, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.tokens) != len(self.values) or not np.isfinite(self.values).all():
            shown = f"{len(self.tokens)} tokens and {len(self.values)} values"
            raise UserError(f"a record has {shown} or a value that is not finite: give one finite value per token")

    @property
    def text(self) -> str:
        return "".join(self.tokens)


class ReplaySubject(Subject):
    """The recorded values of one unit, ``record/0``, for the recorded texts.

    Args:
        name: what people call it.
        records: texts that differ; a text recorded twice must have the same values.
        rest: value of every token of an unknown text (its words then); ``None``: unknown texts are an error.
    """

    modality = "text"

    def __init__(self, name: str, records: Sequence[Record], *, rest: float | None = None) -> None:
        self.name, self.rest = name, rest
        self._known: dict[str, Record] = {}
        for record in records:
            if self._known.setdefault(record.text, record) != record:
                raise UserError(f"{name}: {record.text[:60]!r} is recorded twice with other values: drop one of them")

    def sites(self) -> tuple[Site, ...]:
        return (Site(name=SITE, width=1, positions="token", what=f"recorded activation of {self.name}"),)

    @property
    def fingerprint(self) -> str:
        """Digest of all records."""
        digest = blake2b(digest_size=8)
        for record in self._known.values():
            digest.update(repr((record.tokens, record.values)).encode())
        return digest.hexdigest()

    def tokens(self, text: str) -> list[TokenSpan]:
        out, at = list[TokenSpan](), 0
        for token in self._record(text).tokens:
            out.append(TokenSpan(token, at, at + len(token)))
            at += len(token)
        return out

    def forward(
        self,
        stimuli: Sequence[Raw],
        sites: Sequence[str],
        *,
        interventions: Sequence[Intervention] = (),
        maps: bool = False,
    ) -> Batch:
        """Recorded values ``[stimulus, position, 1]``.

        Raises:
            UserError: a text that was not recorded, or an intervention.
        """
        import torch

        for site in sites:
            self.site(site)
        if interventions:
            raise UserError(f"{self.name} is a record: its inside cannot be changed; use a model")
        rows = [self._record(str(raw(s))).values for s in stimuli]
        lengths = np.array([len(r) for r in rows], np.int64)
        values = np.zeros((len(rows), max([len(r) for r in rows] + [0]), 1), np.float32)
        for out, row in zip(values, rows, strict=True):
            out[: len(row), 0] = row
        return Batch(values={s: torch.from_numpy(values) for s in sites}, lengths=lengths)

    def read(
        self, stimuli: Sequence[Any], units: Sequence[Unit], *, interventions: Sequence[Intervention] = ()
    ) -> list[Values]:
        """As `Subject.read`, without torch."""
        if interventions:
            raise UserError(f"{self.name} is a record: its inside cannot be changed; use a model")
        if not units:
            raise UsageError("there is no unit to read: give at least one, as in  subject.unit()")
        signs = np.array([u.sign for u in units], np.float32)
        return [np.array(self._record(str(raw(s))).values, np.float32)[:, None] * signs for s in stimuli]

    def outputs(self, stimuli: Sequence[Raw], *, interventions: Sequence[Intervention] = ()) -> Values:
        raise UserError(f"{self.name} is a record of one unit and says nothing further: use a model")

    def untrained(self, seed: int = 0) -> Subject:
        raise UserError(f"{self.name} is a record: it has no untrained copy; use the other controls")

    def _record(self, text: str) -> Record:
        found = self._known.get(text)
        if found is None and self.rest is not None:
            from maieutic.explain.views_text import split_tokens

            pieces = tuple(t.text for t in split_tokens(text))
            found = Record(pieces, (self.rest,) * len(pieces))
        if found is None:
            raise UserError(
                f"{self.name} has no record of {text[:60]!r}: show one of its {len(self._known)} texts, or give rest="
            )
        return found
