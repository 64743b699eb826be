"""Rows that follow from other rows of the same model: one number for locality and one for editing as a whole.

``edit.locality``: mean of the locality of near neighbours and of the same subject's other facts, where rank-one edits reach an
efficacy of 0.95 (random facts are left out: hardly any edit touches them, so they would only hide the rest).
``edit.score``: harmonic mean of efficacy, paraphrases and locality of rank-one edits at the chosen site (ROME's score S, Meng et
al. 2022, section 3.3, with the argmax instead of the preference). Both stay unmeasured where any of their parts is.

What this module does not do: measure. Rows made here carry no interval: those of arms come from seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from maieutic.readings import Reading
from maieutic.studies.regularization.rows import Row

LOCALITY = ("rank-one.es95.locality.near", "rank-one.es95.locality.same-subject")
_EFFICACY = ("rank-one.efficacy",)
_PARAPHRASE = ("rank-one.paraphrase.seen", "rank-one.paraphrase.held-out")
_KEPT = ("rank-one.locality.near", "rank-one.locality.same-subject")


def derived_rows(rows: Sequence[Row]) -> Iterator[Row]:
    """What follows from a model's rows; nothing where editing is not among them."""
    by = {(r.measure, r.where): r.reading for r in rows}
    for where in dict.fromkeys(r.where for r in rows if r.measure in LOCALITY):
        yield _row("edit.locality", where, mean_of("edit.locality", by, LOCALITY, where))
    for where in dict.fromkeys(r.where for r in rows if r.measure in _EFFICACY):
        yield _row("edit.score", where, _score(by, where))


def mean_of(name: str, by: Mapping[tuple[str, str], Reading], parts: Sequence[str], where: str) -> Reading:
    """The mean of some readings at a place; unmeasured with the first reason when one is."""
    found = [by.get((p, where)) or Reading.unmeasured(p, f"{p} was not measured") for p in parts]
    values = [r.value for r in found if r.value is not None]
    if len(values) < len(found):
        return Reading.unmeasured(name, next(r.reason or "" for r in found if r.value is None))
    return Reading(name=name, value=sum(values) / len(values), n=min(r.n for r in found))


def _score(by: Mapping[tuple[str, str], Reading], where: str) -> Reading:
    parts = [mean_of("edit.score", by, names, where) for names in (_EFFICACY, _PARAPHRASE, _KEPT)]
    values = [p.value for p in parts if p.value is not None]
    if len(values) < len(parts):
        return next(p for p in parts if p.value is None)
    score = len(values) / sum(1 / v for v in values) if min(values) > 0 else 0.0
    return Reading(name="edit.score", value=score, n=min(p.n for p in parts))


def _row(measure: str, where: str, reading: Reading) -> Row:
    return Row(about="editability", measure=measure, where=where, reading=reading, better=1)
