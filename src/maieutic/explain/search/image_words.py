"""A rule and what experiments found about it, said as a person would: "birds, about half carried by their outline".

It only words what it is given: which clauses matter is read from the rule's own predictions, everything else from
findings. It measures nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import And, Not, Predicate
from maieutic.explain.predicates.image import Colour, Placed, Relation, Shows, Texture, plural
from maieutic.explain.search.image_fit import Rule

#: share of the rule's lift on high images below which a clause is not worth a word
_WORTH = 0.15


def label_of(rule: Rule, high: NDArray[np.bool_], *, suffixes: Sequence[str] = ()) -> str:
    """The label of a rule.

    Args:
        rule: clauses with strengths.
        high: the images above the unit's threshold; a clause's worth is its lift there.
        suffixes: what experiments add ("about half carried by their outline"), most important first.
    """
    worth = clause_worth(rule, high)
    things: list[str] = []
    sights: list[str] = []
    takes: list[str] = []
    for j in np.argsort(-np.abs(worth), kind="stable"):
        part = rule.clauses[int(j)].predicate
        if abs(worth[j]) < _WORTH and (things or sights):
            continue
        words = _said(part)
        target = takes if rule.strengths[int(j)] < 0 else things if concepts_in(part) else sights
        if words not in target and not _covered(words, target):
            target.append(words)
    text = _joined(things, "or")
    if sights:
        text = f"{text}, more with {_joined(sights, 'and')}" if text else _joined(sights, "with")
    if takes:
        text = f"{text or 'images'}, less with {_joined(takes, 'or')}"
    return ", ".join([text, *suffixes])


def clause_worth(rule: Rule, high: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of the prediction's rise from all images to the high ones that each clause brings, signed ``[clause]``."""
    lift = np.array(
        [
            s * float(c.column[high].mean() - c.column.mean()) if high.any() else 0.0
            for s, c in zip(rule.strengths, rule.clauses, strict=True)
        ]
    )
    total = float(np.abs(lift).sum())
    signs = np.sign(rule.strengths)
    return np.abs(lift) / total * signs if total > 0 else np.zeros(len(lift))


def concepts_in(part: Predicate) -> tuple[str, ...]:
    """Concepts that a clause asks for (not those that it excludes)."""
    if isinstance(part, (Shows, Placed)):
        return (part.concept,)
    if isinstance(part, Relation):
        return (part.a, part.b)
    if isinstance(part, And):
        return tuple(dict.fromkeys(c for p in part.parts for c in concepts_in(p)))
    return ()


def _said(part: Predicate) -> str:
    if not isinstance(part, And):
        return part.describe()
    concepts = [p for p in part.parts if isinstance(p, (Shows, Placed))]
    others = [p for p in part.parts if not isinstance(p, (Shows, Placed))]
    excluded = [p.part for p in others if isinstance(p, Not)]
    sights = [p for p in others if not isinstance(p, Not)]
    text = " that are also ".join(c.describe() for c in concepts[:2])
    if sights:
        words = " and ".join(s.describe() for s in sights)
        text = f"{text} with {words}" if text else words
    if excluded:
        words = " or ".join(e.describe() for e in excluded)
        text = f"{text} but not {words}" if text else f"anything but {words}"
    return text


def _covered(words: str, said: Sequence[str]) -> bool:
    """Whether a coarser or finer wording of the same thing was said ("birds" and "birds on the left")."""
    return any(words.startswith(s + " ") or s.startswith(words + " ") for s in said)


def _joined(words: Sequence[str], link: str) -> str:
    if link == "with":
        return " with ".join([words[0], " and ".join(words[1:])]) if len(words) > 1 else words[0]
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {link} {words[-1]}"


def describe_concept(concept: str) -> str:
    """How a concept is written inside hypotheses."""
    return plural(concept)


def describes_pixels(part: Predicate) -> bool:
    """Whether a clause is about visual features only."""
    if isinstance(part, And):
        return all(describes_pixels(p) for p in part.parts)
    return isinstance(part, (Colour, Texture))
