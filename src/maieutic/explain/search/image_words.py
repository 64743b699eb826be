"""A rule and what experiments found about it, said as a person would: "birds on green grounds, about half by outline".

A label is short: at most two things, one circumstance, one finding, no figures. What it leaves out is in the rule and in
what was considered; when that is much of the rule, the label says "and other cues". It only words what it is given:
which clauses matter is read from the rule's own predictions, everything else from findings. It measures nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import And, Not, Predicate
from maieutic.explain.predicates.image import Colour, Count, Formed, Placed, Relation, Shows, Texture
from maieutic.explain.search.image_rules import Rule
from maieutic.explain.search.image_table import Clause
from maieutic.explain.views_image import KINDS

Within = Callable[[str, str], bool]
#: share of the rule's lift on high images below which a clause is not worth a word
_WORTH = 0.12
#: share of the rule's lift that a label may leave out in silence
_SILENT = 0.35
#: characters of a label; parts are dropped until it fits
LONGEST = 90
#: how a picture was made, as circumstances
_SETTINGS = {
    "photo": "in whole photographs", "several": "among several objects",
    "background:texture": "on textured backgrounds", "background:photo": "on blurred photo backgrounds",
    "background:plain": "on plain backgrounds",
}  # fmt: skip
#: shapes of a thing, high and low, as adjectives
_SHAPED = {
    "size": ("large", "small"), "tall": ("tall", "not tall"), "wide": ("wide", "not wide"), "round": ("round", "ragged"),
}  # fmt: skip
#: regular plurals of the annotators' words that nobody says
_SPOKEN = {
    "machineries": "machines", "weaponries": "weapons", "crockeries": "crockery", "cutleries": "cutlery",
    "ammunitions": "ammunition", "lightnings": "lightning", "paddings": "padding", "teddies": "teddy bears",
    "moth or butterflies": "moths or butterflies", "spacecrafts": "spacecraft", "crafts": "craft",
}  # fmt: skip
_UNSPOKEN = re.compile(rf"\b({'|'.join(_SPOKEN)})\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What an experiment adds to a label: ``rank`` 0 is the most important, ``concept`` whom it is about.

    ``concept`` is empty when it is about the whole scene.
    """

    concept: str
    words: str
    rank: int


def remark_of(kind: str, concept: str, effect: float, *, pasted: float | None = None) -> Remark | None:
    """What the finding of a kind adds to a label, without its figures; ``None`` when unremarkable.

    What speaks against the plain reading of a label ("birds") comes before what explains it.

    Args:
        kind: of the finding, as in ``Finding.kind``.
        concept: that it is about; empty for a whole scene.
        effect: share of the activation kept after an edit; for ``half`` positive when the upper half is needed.
        pasted: for ``paste``, what the concept reaches alone, on the unit's 0-1 scale.
    """
    if not concept and kind not in ("remove", "grey"):
        return None
    words: dict[str, tuple[bool, str, int]] = {
        "paste": (pasted is not None and pasted < 0.15, "weak when pasted alone", 0),
        "remove": (effect >= 0.7, "strong even when removed" if concept else "whatever stands there", 2),
        "background": (effect < 0.5, "weak on plain ground" if effect < 0.25 else "weaker on plain ground", 3),
        "grey": (effect < 0.5, "mainly in colour", 4),
        "half": (True, f"mainly the {'upper' if effect > 0 else 'lower'} half", 5),
        "silhouette": (
            effect >= 0.3,
            f"{'mostly' if effect >= 0.75 else 'about half' if effect >= 0.4 else 'partly'} by outline",
            6,
        ),
    }
    holds, text, rank = words.get(kind, (False, "", 0))
    return Remark(concept=concept, words=text, rank=rank) if holds else None


def surroundings_only(remarks: Sequence[Remark]) -> list[Remark]:
    """Remarks with "strong when removed" and "weak elsewhere" of one concept joined: it is its surroundings."""
    by = {(r.concept, r.rank): r for r in remarks}
    joined = [r.concept for r in remarks if r.rank == 2 and (r.concept, 3) in by]
    kept = [r for r in remarks if not (r.concept in joined and r.rank in (2, 3))]
    return [*(Remark(concept=c, words="not the object but its surroundings", rank=1) for c in joined), *kept]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One clause as words.

    ``head`` is what it is about and ``tails`` the conditions on that; ``sight`` says the head as a circumstance of
    something else. The clause's worth is shared evenly: ``each`` for the head and for every tail.
    """

    head: str
    tails: tuple[str, ...] = ()
    sight: str = ""
    concept: str = ""
    each: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extra:
    """A circumstance: its words, share of the rule, the concept it names, and the head it is said of (or any)."""

    words: str
    worth: float
    concept: str = ""
    of: str = ""


@dataclass(slots=True)
class _Said:
    """What a label could say: heads, weightiest first, and circumstances."""

    heads: list[_Part] = field(default_factory=list[_Part])
    extras: list[_Extra] = field(default_factory=list[_Extra])


def label_of(
    rule: Rule,
    levels: NDArray[np.bool_],
    *,
    remarks: Sequence[Remark] = (),
    within: Within = lambda narrow, wide: False,
) -> str:
    """The label of a rule, at most ``LONGEST`` characters unless its barest form is longer.

    Args:
        rule: clauses with strengths.
        levels: the images above each threshold, ``[level, image]``; a clause's worth is its lift there.
        remarks: what experiments add; the most important one that is about something said is kept.
        within: whether one concept is a kind of another, ``within("owl", "bird")``.
    """
    said = _gathered(rule, levels, within)
    text = ""
    for most, extra in ((2, True), (2, False), (1, True), (1, False)):
        text = _UNSPOKEN.sub(lambda m: _SPOKEN[m[0]], _worded(said, most, extra, remarks))
        if len(text) <= LONGEST:
            break
    return text


def _gathered(rule: Rule, levels: NDArray[np.bool_], within: Within) -> _Said:
    """Sort the clauses into heads and circumstances."""
    said, worth = _Said(), np.abs(clause_worth(rule, levels))
    sights: list[_Part] = []
    for j in _order(rule, levels, within):
        part = _part(rule.clauses[j].predicate, float(worth[j]))
        if rule.strengths[j] < 0:
            said.extras.append(_Extra(words=f"less {_with(part.sight)}", worth=part.each))
        elif not part.concept:
            sights.append(part)
        elif part.concept in KINDS:
            said.extras.append(_Extra(words=f"more {part.head}", worth=part.each))
        elif (same := next((k for k, h in enumerate(said.heads) if h.concept == part.concept), None)) is not None:
            _merge(said, same, part)
        elif wide := next((h.concept for h in said.heads if within(part.concept, h.concept)), ""):
            said.extras.append(_Extra(words=f"above all {part.head}", worth=part.each, concept=part.concept, of=wide))
        elif narrow := next((h.concept for h in said.heads if within(h.concept, part.concept)), ""):
            # without its concept: what was found about all animals is not about "other animals"
            said.extras.append(_Extra(words=f"less so other {part.head}", worth=part.each, of=narrow))
        else:
            said.heads.append(part)
    if not said.heads and sights:
        said.heads.append(sights.pop(0))
    said.extras += [_Extra(words=f"more {_with(p.sight)}", worth=p.each) for p in sights]
    return said


def _merge(said: _Said, at: int, part: _Part) -> None:
    """One more clause about a thing already named: the barer one is the head, the condition of the other adds "more"."""
    head = said.heads[at]
    bare, rich = (part, head) if head.tails and not part.tails else (head, part)
    if not bare.tails:
        said.heads[at] = replace(bare, each=bare.each + rich.each)
    if rich.tails:
        said.extras.append(_Extra(words=f"more {rich.tails[0]}", worth=rich.each, of=head.concept))


def _worded(said: _Said, most: int, extra: bool, remarks: Sequence[Remark]) -> str:
    """The label with at most so many heads, the weightiest circumstance or none, and the first remark that fits."""
    heads = said.heads[:most]
    # conditions of a head clause are part of what it says; other circumstances only add
    owned = [_Extra(words=h.tails[0], worth=h.each, concept="", of=h.head) for h in heads if h.tails]
    names = {h.concept for h in heads if h.concept}
    free = [e for e in said.extras if not e.of or e.of in names]
    best = max([*owned, *free], key=lambda e: e.worth, default=None) if extra or not heads else None
    told = sum(h.each for h in heads) + (best.worth if best else 0.0)
    remark = _fitting(remarks, {*names, *([best.concept] if best and best.concept else [])})
    about = {r.concept for r in remarks if remark and r.words == remark.words}
    # a remark at the end is about all heads; about one of several, or about the circumstance, it stands beside it
    apart = remark is not None and bool(remark.concept) and not {h.concept for h in heads} <= about
    aside = f" ({remark.words})" if remark and apart else ""
    things = [
        h.head
        + (f" {best.words}" if best in owned and best and best.of == h.head else "")
        + (aside if remark and h.concept == remark.concept else "")
        for h in heads
    ]
    text = " or ".join(things) or "anything"
    if best and best not in owned:
        words = best.words if heads else best.words.removeprefix("more ")
        link = ", " if heads or words.startswith("less ") else " "
        text += link + words + (aside if remark and best.concept == remark.concept else "")
    if told < 1 - _SILENT:
        text += (", " if "," in text or " or " in text else " ") + "and other cues"
    return f"{text}, {remark.words}" if remark and not apart else text


def _fitting(remarks: Sequence[Remark], names: set[str]) -> Remark | None:
    """The most important remark about something that is said; what a whole scene showed, as what it means for a thing."""
    held = [r for r in remarks if r.concept in names or not r.concept]
    best = min(held, key=lambda r: r.rank, default=None)
    if best and names and not best.concept and best.rank == 2:
        return replace(best, words="not the object but its surroundings")
    return best


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
    if isinstance(part, (Shows, Placed, Formed, Count)):
        return (part.concept,) if part.concept else ()
    if isinstance(part, Relation):
        return (part.a, part.b)
    if isinstance(part, And):
        return tuple(dict.fromkeys(c for p in part.parts for c in concepts_in(p)))
    return ()


def _part(predicate: Predicate, worth: float) -> _Part:
    """One clause as words: what it is about, and each condition on that in a few words."""
    parts = predicate.parts if isinstance(predicate, And) else (predicate,)
    things = [p for p in parts if concepts_in(p) and concepts_in(p)[0] not in KINDS]
    settings = [_SETTINGS[c] for p in parts for c in concepts_in(p) if c in KINDS]
    sights = [p for p in parts if not concepts_in(p) and not isinstance(p, Not)]
    denied = [f"but not {_denied(p.part)}" for p in parts if isinstance(p, Not)]
    also = [f"that are also {p.describe()}" for p in things[1:]]
    if things:
        concept = concepts_in(things[0])[0]
        formed = isinstance(things[0], (Formed, Count))
        head = sight = things[0].describe() if formed else Shows(concept=concept).describe()
        where = things[0].describe().removeprefix(head).strip()  # of a placed or related thing
        tails = [*([where] if where else []), *also, *settings]
    elif settings:
        head = sight = settings[0]
        concept, tails = next(c for p in parts for c in concepts_in(p)), settings[1:]
    else:
        first = sights.pop(0) if sights else None
        head, sight = (first.describe(), _sight(first)) if first else ("anything", "anything")
        concept, tails = "", []
    tails = [*tails, *(_with(_sight(p)) for p in sights), *denied]
    return _Part(head=head, sight=sight, tails=tuple(tails), concept=concept, each=worth / (1 + len(tails)))


def _sight(part: Predicate) -> str:
    """A colour or texture as what something comes with: ``on green grounds``, ``few edges at the top``."""
    if isinstance(part, Colour) and part.where == "ground" and part.high > part.low:
        return f"on {part.name} grounds"
    if isinstance(part, Texture) and part.where == "ground" and part.feature == "brightness":
        return f"on {'bright' if part.high > part.low else 'dark'} grounds"
    if isinstance(part, Texture) and part.feature in _SHAPED:
        return f"when {_SHAPED[part.feature][int(part.low > part.high)]}"
    return part.describe()


def _with(words: str) -> str:
    return words if words.startswith(("on ", "in ", "among ", "with ", "when ")) else f"with {words}"


def _denied(part: Predicate) -> str:
    concept = next(iter(concepts_in(part)), "")
    return _SETTINGS[concept] if concept in KINDS else _with(_sight(part)) if not concept else part.describe()
