"""A rule and what experiments found about it, said as a person would: "birds, about half carried by their outline".

It only words what it is given: which clauses matter is read from the rule's own predictions, everything else from
findings. It measures nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import And, Not, Predicate
from maieutic.explain.predicates.image import Placed, Relation, Shows
from maieutic.explain.search.image_fit import Rule
from maieutic.explain.search.image_table import Clause
from maieutic.explain.views_image import KINDS

Within = Callable[[str, str], bool]
#: share of the rule's lift on high images below which a clause is not worth a word
_WORTH = 0.12
#: how a picture was made, as circumstances
_SETTINGS = {
    "photo": "in whole photographs", "several": "among several objects",
    "background:texture": "on textured backgrounds", "background:photo": "on blurred photo backgrounds",
    "background:plain": "on plain backgrounds",
}  # fmt: skip
#: phrases of one sort that a label may hold
_MOST = 3


def label_of(
    rule: Rule,
    levels: NDArray[np.bool_],
    *,
    suffixes: Sequence[str] = (),
    within: Within = lambda narrow, wide: False,
) -> str:
    """The label of a rule.

    Args:
        rule: clauses with strengths.
        levels: the images above each threshold, ``[level, image]``; a clause's worth is its lift there.
        suffixes: what experiments add ("about half carried by their outline"), most important first.
        within: whether one concept is a kind of another, ``within("owl", "bird")``.
    """
    said = _Said()
    for j in _order(rule, levels, within):
        clause = rule.clauses[j]
        if rule.strengths[j] < 0:
            said.takes.append(_phrase(clause.predicate))
        elif not concepts_in(clause.predicate):
            said.sights.append(_phrase(clause.predicate))
        elif set(concepts_in(clause.predicate)) <= KINDS:
            said.kinds.append(_setting(clause.predicate))
        elif any(_inside(clause, rule.clauses[k], within) for k in said.named):
            said.inner.append(_phrase(clause.predicate))
        elif any(_inside(rule.clauses[k], clause, within) for k in said.named):
            said.outer.append(_phrase(clause.predicate))
        else:
            said.add_thing(clause.predicate)
            said.named.append(j)
    return ", ".join([said.text(), *suffixes])


@dataclass(slots=True)
class _Said:
    """What a label has to say: things with what they come with, kinds inside them, settings, sights, denials."""

    named: list[int] = field(default_factory=list[int])
    things: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    inner: list[str] = field(default_factory=list[str])
    outer: list[str] = field(default_factory=list[str])
    kinds: list[str] = field(default_factory=list[str])
    sights: list[str] = field(default_factory=list[str])
    takes: list[str] = field(default_factory=list[str])

    def add_thing(self, part: Predicate) -> None:
        """A thing, or one more circumstance of a thing already named."""
        head, _, rest = _phrase(part).partition(" with ")
        self.things.setdefault(head, [])
        if rest and rest not in self.things[head]:
            self.things[head].append(rest)

    def text(self) -> str:
        things = [h + (f" with {' or '.join(r)}" if r else "") for h, r in list(self.things.items())[:_MOST]]
        things = [t for t in things if not any(t.startswith(o + " ") for o in things)]
        text = _listed(things, "or")
        if self.inner:
            text = f"{text}, above all {_listed(self.inner[:2], 'and')}"
        if self.outer:
            text = f"{text}, less so other {self.outer[0]}"
        sights, kinds = self.sights[:2], self.kinds[:1]
        if not text:
            text, sights = _listed(sights, "with"), []
        more = [*kinds, *([f"with {_listed(sights, 'and')}"] if sights else [])]
        if more:
            text = f"{text}, more {' and '.join(more)}" if text else f"anything {kinds[0]}"
        return f"{text or 'anything'}, less with {self.takes[0]}" if self.takes else text


def _order(rule: Rule, levels: NDArray[np.bool_], within: Within) -> list[int]:
    """Clauses worth a word, the weightiest first; a wider kind before narrower ones inside it, if it is as strong."""
    worth = np.abs(clause_worth(rule, levels))
    most = max(map(abs, rule.strengths))
    # a rare clause may be worth little in sum and yet as strong as any where it holds
    bars = [_WORTH / 3 if abs(s) > 0.6 * most else _WORTH for s in rule.strengths]
    order = [j for j in np.argsort(-worth, kind="stable").tolist() if worth[j] >= bars[j]] or [int(np.argmax(worth))]

    def after(j: int) -> bool:
        held = [k for k in order if _inside(rule.clauses[j], rule.clauses[k], within)]
        return any(rule.strengths[k] >= rule.strengths[j] for k in held)

    return sorted(order, key=after)


def _inside(clause: Clause, other: Clause, within: Within) -> bool:
    """Whether a clause names a kind of what the other names."""
    mine, theirs = concepts_in(clause.predicate), concepts_in(other.predicate)
    return bool(mine and theirs) and mine[0] != theirs[0] and within(mine[0], theirs[0])


def clause_worth(rule: Rule, levels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of the prediction's rise from all images to the high ones that each clause brings, ``[clause]``.

    Averaged over the levels of "high"; negative for clauses that take away.
    """
    columns = np.column_stack([c.column for c in rule.clauses]).astype(np.float64)
    rises = np.stack([columns[high].mean(axis=0) - columns.mean(axis=0) for high in levels if high.any()])
    lift = np.abs(rises * np.array(rule.strengths))
    share = lift / np.maximum(lift.sum(axis=1, keepdims=True), 1e-12)
    return share.mean(axis=0) * np.sign(rule.strengths)


def concepts_in(part: Predicate) -> tuple[str, ...]:
    """Concepts that a clause asks for (not those that it excludes)."""
    if isinstance(part, (Shows, Placed)):
        return (part.concept,)
    if isinstance(part, Relation):
        return (part.a, part.b)
    if isinstance(part, And):
        return tuple(dict.fromkeys(c for p in part.parts for c in concepts_in(p)))
    return ()


def _setting(part: Predicate) -> str:
    """A kind of picture as circumstances: ``on textured backgrounds``."""
    parts = part.parts if isinstance(part, And) else (part,)
    settings = [_SETTINGS[c] for p in parts for c in concepts_in(p)]
    others = [_phrase(p) for p in parts if not concepts_in(p)]
    return " and ".join(dict.fromkeys(settings)) + (f" with {' and '.join(others)}" if others else "")


def _phrase(part: Predicate) -> str:
    """One clause: things, where they are, what they come with, and what is ruled out."""
    if not isinstance(part, And):
        return part.describe()
    settings = [_SETTINGS[c] for p in part.parts for c in concepts_in(p) if c in KINDS]
    concepts = [p.describe() for p in part.parts if concepts_in(p) and not set(concepts_in(p)) & KINDS]
    sights = [p.describe() for p in part.parts if not concepts_in(p) and not isinstance(p, Not)]
    denied = [p.part for p in part.parts if isinstance(p, Not)]
    text = " ".join([" that are also ".join(concepts), *settings]).strip()
    if sights:
        text = f"{text} with {' and '.join(sights)}" if text else " and ".join(sights)
    if denied:
        words = " or ".join(
            _SETTINGS[c] if (c := next(iter(concepts_in(d)), "")) in KINDS else d.describe() for d in denied
        )
        text = f"{text or 'anything'} but not {words}"
    return text


def _listed(words: Sequence[str], link: str) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {link} {words[-1]}"
