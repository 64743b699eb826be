"""Rival rules: what else could be said of a unit that fits the pictures about as well as the leading rule.

Each rival changes one condition of a leading rule: swaps it for something that came along in the corpus (a companion, a
wider or narrower kind, a place, a size, the ground), drops it, asks for the companion as well, or takes either. Which of
them is right only experiments can tell, and this module makes none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import And, Not, Or, Predicate
from maieutic.explain.predicates.image import Count, Relation, Shows
from maieutic.explain.search.image_columns import Columns
from maieutic.explain.search.image_quality import qualities
from maieutic.explain.search.image_rules import Rule, Target, fitted_all
from maieutic.explain.search.image_table import RELATIONS, Clause, ImageTable

Floats = NDArray[np.float64]
#: correlation with a condition from which something came along with it
_ALONG, _NEARLY = 0.7, 0.9
#: correlation with a related thing from which another is tried in its place
_KIN, _KINDRED = 0.4, 8
#: share of a clause's strong images on which a further condition holds, to count as always there; and its share of all
_ALWAYS, _USUAL = 0.93, 0.6
_SWAPS, _JOINS, _EITHER, _MOST = 10, 10, 4, 48
#: fit given up at most for a rival, and below which there are no variants
_MARGIN, LOOSE = 0.12, 0.45
_SHORTLIST = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Measured images that rules are judged on besides those they are fitted to (the select split)."""

    columns: Columns
    y: Floats
    levels: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A rule with its fit on discover (left-out groups) and select together, 0 to 1."""

    rule: Rule
    fit: float
    atoms: int


def judged(rule: Rule, target: Target, seen: Seen) -> Rival:
    """A rule with its joint fit; splits count by their number of images."""
    return judged_all([rule], target, seen)[0]


def judged_all(rules: Sequence[Rule], target: Target, seen: Seen) -> list[Rival]:
    """Each rule with its joint fit."""
    n, m = len(target.y), len(seen.y)
    there = np.zeros(len(rules))
    if m and rules:
        said = np.stack([seen.columns.of(r.predicate) for r in rules]).astype(np.float64)
        there = qualities(said, seen.y, seen.levels)[:, 0]
    return [
        Rival(rule=r, fit=(n * r.quality + m * q) / max(n + m, 1), atoms=sum(c.atoms for c in r.clauses))
        for r, q in zip(rules, there.tolist(), strict=True)
    ]


def rivals_of(table: ImageTable, target: Target, rules: Sequence[Rule], seen: Seen) -> list[Rival]:
    """The leading rules and their variants, best fit first; at most ``_MOST``, none much worse than the best.

    Where no rule fits well, variants would be fitted to noise: then only the best rules of each size compete.
    """
    if judged(rules[0], target, seen).fit < LOOSE:
        few = _shortlist(rules)
        ranked = sorted(judged_all(few, target, seen), key=lambda r: (-round(r.fit, 4), r.atoms))
        return [r for r in ranked if r.fit >= ranked[0].fit - _MARGIN]
    leading = [_named(r, table, target, seen) for r in [r for r in rules if r.score >= rules[0].score - 0.04][:4]]
    made: dict[frozenset[Predicate], Rule] = {frozenset(c.predicate for c in r.clauses): r for r in leading}
    variants: dict[frozenset[Predicate], tuple[Clause, ...]] = {}
    for rule in leading[:2]:
        for clauses in _variants(table, target, rule):
            variants.setdefault(frozenset(c.predicate for c in clauses), clauses)
    fresh = {key: clauses for key, clauses in variants.items() if key not in made}
    made |= zip(fresh, fitted_all(list(fresh.values()), target), strict=True)
    ranked = sorted(judged_all(list(made.values()), target, seen), key=lambda r: (-round(r.fit, 4), r.atoms))
    return [r for r in ranked if r.fit >= ranked[0].fit - _MARGIN][:_MOST]


def _shortlist(rules: Sequence[Rule]) -> list[Rule]:
    """The best few rules and the best of every size."""
    sizes: dict[int, Rule] = {}
    for rule in rules:
        sizes.setdefault(sum(c.atoms for c in rule.clauses), rule)
    return list({id(r): r for r in [*rules[:_SHORTLIST], *sizes.values()]}.values())


def _named(rule: Rule, table: ImageTable, target: Target, seen: Seen) -> Rule:
    """The rule with each concept named as fits the select images best, of names that are the same on discover."""
    best = judged(rule, target, seen)
    for concept in dict.fromkeys(c for clause in rule.clauses for c in _concepts(clause.predicate)):
        for twin in table.twins.get(concept, ()):
            clauses = tuple(
                table.clause(renamed(c.predicate, concept, twin), c.atoms) for c in best.rule.clauses
            )  # fmt: skip
            other = judged(replace(best.rule, clauses=clauses), target, seen)
            if other.fit > best.fit + 1e-9:
                best, concept = other, twin
    return best.rule


def _concepts(predicate: Predicate) -> Iterator[str]:
    """Every concept that a predicate names, denied ones too."""
    for name in ("concept", "a", "b"):
        if value := getattr(predicate, name, ""):
            yield value
    for part in (*getattr(predicate, "parts", ()), *filter(None, [getattr(predicate, "part", None)])):
        yield from _concepts(part)


def renamed(predicate: Predicate, old: str, new: str) -> Predicate:
    """The predicate with a concept's name changed wherever it stands."""
    changes: dict[str, Any] = {n: new for n in ("concept", "a", "b") if getattr(predicate, n, None) == old}
    if isinstance(predicate, And | Or):
        changes["parts"] = tuple(renamed(p, old, new) for p in predicate.parts)
    if isinstance(predicate, Not):
        changes["part"] = renamed(predicate.part, old, new)
    return cast(Predicate, replace(cast(Any, predicate), **changes)) if changes else predicate


def _variants(table: ImageTable, target: Target, rule: Rule) -> Iterator[tuple[Clause, ...]]:
    for k, clause in enumerate(rule.clauses):
        before, after = rule.clauses[:k], rule.clauses[k + 1 :]
        for changed in _changed(table, target, clause):
            yield (*before, changed, *after)
        if before or after:
            yield (*before, *after)


def _changed(table: ImageTable, target: Target, clause: Clause) -> Iterator[Clause]:
    """The clause with one condition changed."""
    along = _correlations(table.matrix, clause.column)
    others = [table.clauses[j] for j in _largest(along, _SWAPS, _ALONG)]
    yield from others
    parts = clause.predicate.parts if isinstance(clause.predicate, And) else (clause.predicate,)
    if isinstance(clause.predicate, Relation):
        yield from _relations_changed(table, clause, clause.predicate)
    names = list(dict.fromkeys(c for p in parts for c in _concepts(p) if ":" not in c))
    if len(parts) > 1 and len(names) == 2:
        yield from _made_relations(table, clause, names[0], names[1])
    if len(parts) > 1:
        yield from _parts_changed(table, clause, parts)
    on = clause.column > 0.5
    always = _always(table, on)
    near = [table.clauses[j] for j in _largest(along, _JOINS, _NEARLY)]
    for other in dict.fromkeys([c.predicate for c in (*near, *(table.clauses[j] for j in always))]):
        if _says_more(other, parts):
            yield Clause(
                And(parts=(*parts, other)), np.minimum(clause.column, table.columns.of(other)), clause.atoms + 1
            )
    for other in near[:_EITHER]:
        if _plain(other.predicate) and other.predicate not in parts:
            either = Or(parts=(clause.predicate, other.predicate))
            yield Clause(either, np.maximum(clause.column, other.column), clause.atoms + 1)


def _relations_changed(table: ImageTable, clause: Clause, relation: Relation) -> Iterator[Clause]:
    """Another relation, only being together, and wider or narrower things in the same relation."""
    for other in RELATIONS:
        if other != relation.relation:
            yield table.clause(replace(relation, relation=other), clause.atoms)
    yield table.clause(And(parts=(Shows(concept=relation.a), Shows(concept=relation.b))), clause.atoms)
    for side in ("a", "b"):
        for kin in _kin(table, getattr(relation, side)):
            if kin not in (relation.a, relation.b):
                yield table.clause(renamed(relation, getattr(relation, side), kin), clause.atoms)


def _made_relations(table: ImageTable, clause: Clause, a: str, b: str) -> Iterator[Clause]:
    """How two things stand to each other, instead of where each stands; wider and narrower ones too."""
    for first in (a, *_kin(table, a)):
        for second in (b, *_kin(table, b)):
            for relation in RELATIONS:
                made = table.clause(Relation(a=first, relation=relation, b=second), 2)
                if _correlations(made.column[:, None], clause.column)[0] >= _ALONG:
                    yield made


def _kin(table: ImageTable, concept: str) -> list[str]:
    """Concepts that come along with one, its wider and narrower kinds above all."""
    plain = [j for j in range(table.named) if _plain(table.clauses[j].predicate)]
    along = _correlations(table.matrix[:, plain], table.presence(concept).astype(np.float32))
    names = [cast(Shows, table.clauses[plain[k]].predicate).concept for k in _largest(along, _KINDRED, _KIN)]
    return [n for n in names if n != concept]


def _plain(predicate: Predicate) -> bool:
    """Whether it says no more than that something is shown."""
    return isinstance(predicate, Shows) and not predicate.full


def _parts_changed(table: ImageTable, clause: Clause, parts: tuple[Predicate, ...]) -> Iterator[Clause]:
    """One part of a conjunction dropped, or swapped for what came along with it where the rest holds."""
    for i, part in enumerate(parts):
        rest = (*parts[:i], *parts[i + 1 :])
        held = np.minimum.reduce([table.columns.of(p) for p in rest])
        whole = rest[0] if len(rest) == 1 else And(parts=rest)
        yield Clause(whole, held, clause.atoms - 1)
        denied = isinstance(part, Not)
        matrix = 1.0 - table.matrix if denied else table.matrix
        along = _correlations(np.minimum(held[:, None], matrix), clause.column)
        for j in _largest(along, _SWAPS, _ALONG):
            other: Predicate = Not(part=table.clauses[j].predicate) if denied else table.clauses[j].predicate
            if other not in parts:
                yield Clause(And(parts=(*rest, other)), np.minimum(held, matrix[:, j]), clause.atoms)


def _always(table: ImageTable, on: NDArray[np.bool_]) -> list[int]:
    """Crisp conditions that hold on nearly all of the clause's images and not on most others, the rarest first."""
    if not on.any():
        return []
    columns = table.matrix[:, table.crisp]
    there, usual = columns[on].mean(axis=0), columns.mean(axis=0)
    found = np.flatnonzero((there >= _ALWAYS) & (usual <= _USUAL))
    order = found[np.argsort(usual[found], kind="stable")]
    return [int(table.crisp[j]) for j in order[:_JOINS]]


def _says_more(other: Predicate, parts: tuple[Predicate, ...]) -> bool:
    """Whether a further condition is not one of the parts, nor only a measure of one of their things."""
    if other in parts or isinstance(other, Count):
        return False
    mine = {p.concept for p in parts if isinstance(p, Shows)}
    return not (isinstance(other, Shows) and other.concept in mine)


def _correlations(matrix: NDArray[np.float32], column: NDArray[np.float32]) -> Floats:
    """Correlation of each column with one; 0 for constants."""
    centred = column - column.mean()
    mean = matrix.mean(axis=0)
    spread = np.sqrt(
        np.maximum((matrix * matrix).mean(axis=0) - mean * mean, 1e-9) * max(float(centred @ centred), 1e-9)
    )
    return ((matrix.T @ centred) / (spread * np.sqrt(len(column)))).astype(np.float64)


def _largest(values: Floats, n: int, least: float) -> list[int]:
    order = np.argsort(-np.round(values, 5), kind="stable")[:n]
    return [int(j) for j in order if values[j] >= least]
