"""Planted image units: what they are about is drawn from the things, grounds and colours of the pictures at hand.

A kind that the pictures cannot host (no bound concepts, say, or no colours that vary) is left out or comes fewer times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

import numpy as np

from maieutic.errors import UserError
from maieutic.subjects.planted.draw import SNR
from maieutic.subjects.planted.image_mixes import Every, Strongest, Without
from maieutic.subjects.planted.image_pool import LIKE, NOISY_LIKE, PLACES, Pool
from maieutic.subjects.planted.image_rules import (
    COLOURS,
    Busy,
    Colour,
    Ground,
    Light,
    Number,
    Shaped,
    Shows,
    ShowsAt,
    Size,
    Tint,
    busyness,
    led,
    lightness,
    tinted,
)
from maieutic.subjects.planted.rule import Nothing, Rule
from maieutic.subjects.planted.subject import Planted

#: units of each kind
EACH: Mapping[str, int] = {
    "single": 30, "or": 18, "and": 18, "and_not": 18, "context": 20, "positional": 16, "graded": 18, "rare": 14,
    "noisy": 12, "polysemantic": 14, "spurious": 18, "dead": 8, "noise": 8,
}  # fmt: skip
_RELATIONS = ("left of", "right of", "above", "below", "on")
_GROUNDS = {"plain": "a plain ground", "texture": "a textured ground", "photo": "a blurred photo"}


@dataclass(frozen=True, slots=True)
class Plan:
    """A rule that a unit could have, in words, what it involves, and its family."""

    rule: Rule
    about: str
    involved: tuple[str, ...]
    family: str


def image_units(corpus: Any, rng: np.random.Generator, each: Mapping[str, int] | None = None) -> list[Planted]:
    """Units over a picture corpus.

    Args:
        corpus: pictures with annotated things.
        rng: draws what the units are about.
        each: number of units of each kind; ``EACH`` when not given.

    Raises:
        UserError: an unknown kind, or not even single concepts can be planted.
    """
    wanted = dict(EACH if each is None else each)
    if unknown := sorted(set(wanted) - set(EACH)):
        raise UserError(f"no kind {unknown[0]!r} of image unit: choose from {', '.join(EACH)}")
    pool = Pool(corpus)
    found: dict[str, list[Planted]] = {kind: [] for kind in wanted}
    # those that ask most of the corpus choose first
    for kind in sorted(wanted, key=lambda k: (list(_PLANS).index(k) if k in _PLANS else -1, k)):
        if kind in ("dead", "noise"):
            found[kind] = [_silent(kind, i) for i in range(wanted[kind])]
        elif kind in _PLANS:
            found[kind] = list(_drawn(pool, rng, kind, wanted[kind]))
    if wanted.get("single") and not found["single"]:
        raise UserError("the corpus has too few concepts of suitable frequency to plant in: give it more pictures")
    return [unit for kind in wanted for unit in found[kind]]


def _silent(kind: str, i: int) -> Planted:
    noise, about = (1.0, "nothing: it is noise") if kind == "noise" else (0.0, "nothing: it never fires")
    return Planted(name=f"{kind}-{i}", kind=kind, rule=Nothing(), about=about, noise=noise)


def _drawn(pool: Pool, rng: np.random.Generator, kind: str, n: int) -> Iterator[Planted]:
    fits = pool.seldom if kind == "rare" else pool.often
    least = NOISY_LIKE if kind == "noisy" else LIKE
    noise = 1 / SNR if kind == "noisy" else 0.0
    left = n
    for plan in _PLANS[kind](pool, rng):
        if left <= 0:
            return
        if not fits(plan.rule) or not (kind == "spurious" or pool.plain(plan.rule, least=least)):
            continue
        # whatever noise says is a truth of its own
        if kind == "noisy" or pool.claim(plan.rule):
            yield Planted(
                name=f"{kind}-{n - left}", kind=kind, rule=plan.rule, about=plan.about, involved=plan.involved,
                family=plan.family, noise=noise,
            )  # fmt: skip
            left -= 1


Plans = Iterator[Plan]


def _in_turn(*streams: Plans) -> Plans:
    """One of each stream, then the next of each."""
    return (plan for plan in chain.from_iterable(zip_longest(*streams)) if plan is not None)


def _shuffled(items: Sequence[Any], rng: np.random.Generator) -> list[Any]:
    return [items[i] for i in rng.permutation(len(items)).tolist()]


# --- single causes ---------------------------------------------------------------------------------------------------


def _objects(pool: Pool, rng: np.random.Generator) -> Plans:
    for c in _shuffled(pool.concepts, rng):
        yield Plan(Shows((c,)), c, (c,), "object")


def _sights(pool: Pool, rng: np.random.Generator) -> Plans:
    """Colours, textures and shapes of the whole, the things or the ground."""
    plans = [
        *(Plan(Tint(c, "ground", 0.3, 0.7), f"{_a(c)} ground", (c,), "colour") for c in pool.colours),
        *(Plan(Tint(c, "things", 0.2, 0.6), f"{c} things", (c,), "colour") for c in COLOURS),
        *(Plan(Ground(k), words, (k,), "texture") for k, words in _GROUNDS.items()),
        *(Plan(Shaped("", s), f"a {s} thing", (), "shape") for s in ("tall", "wide")),
    ]
    # a generator, as looking at colours takes time
    yield from (p for p in _shuffled(plans, rng) if pool.clear(p.rule))


def _measures(pool: Pool, rng: np.random.Generator) -> Plans:
    """Brightness, texture and colour of the whole picture or its ground, over the range that the pictures have."""
    sample = pool.views[:: max(len(pool.views) // 300, 1)]
    plans = list[Plan]()
    for where, words in (("whole", "picture"), ("ground", "ground")):
        light, busy = [lightness(v, where) for v in sample], [busyness(v, where) for v in sample]
        q = pool.quantile
        plans += [
            Plan(Light(where, q(light, 0.6), q(light, 0.95)), f"a bright {words}", ("light",), "colour"),
            Plan(Light(where, q(light, 0.4), q(light, 0.05)), f"a dark {words}", ("light",), "colour"),
            Plan(Busy(where, q(busy, 0.6), q(busy, 0.95)), f"a busy {words}", ("texture",), "texture"),
        ]
    for colour in ("red", "green", "blue"):
        shares = [led(v.pixels, colour) for v in sample]
        start, full = pool.quantile(shares, 0.6), pool.quantile(shares, 0.96)
        if full > start + 0.05:
            plans.append(Plan(Colour(colour, start, full), f"{colour} pixels", (colour,), "colour"))
    for colour in ("black", "white", "grey"):
        full = pool.quantile([tinted(v, colour, "whole") for v in sample], 0.95)
        if full > 0.1:
            plans.append(Plan(Tint(colour, "whole", 0.0, full), f"much {colour}", (colour,), "colour"))
    yield from (p for p in _shuffled(plans, rng) if _ranges(p.rule) and pool.clear(p.rule))


def _ranges(rule: Rule) -> bool:
    """Whether a measure varies at all in these pictures."""
    return abs(getattr(rule, "full", 1.0) - getattr(rule, "start", 0.0)) > 0.01


def _single(pool: Pool, rng: np.random.Generator) -> Plans:
    shaped = (
        Plan(Shaped(c, s), f"{c} that is {s}", (c,), "shape")
        for c in _shuffled(pool.concepts, rng)
        for s in _shuffled(("tall", "wide"), rng)
        if _either(pool, c, Shaped(c, s))
    )
    objects = _objects(pool, rng)
    # two objects for each of the others
    return _in_turn(objects, _sights(pool, rng), objects, _limited(shaped, 5))


def _limited(plans: Plans, n: int) -> Plans:
    return (plan for _, plan in zip(range(n), plans, strict=False))


def _either(pool: Pool, concept: str, rule: Rule) -> bool:
    """Whether the concept is seen with the condition of the rule, and without it."""
    return pool.count(pool.shown[concept] & ~pool.active(rule)) >= 6 and pool.often(rule)


def _positional(pool: Pool, rng: np.random.Generator) -> Plans:
    for c in _shuffled(pool.concepts, rng):
        half = _shuffled((*PLACES, "centre"), rng)[0]
        if _either(pool, c, ShowsAt(c, half)):
            words = "the centre" if half == "centre" else f"the {half} half"
            yield Plan(ShowsAt(c, half), f"{c} in {words}", (c, half), "place")


def _graded(pool: Pool, rng: np.random.Generator) -> Plans:
    sizes = (
        Plan(Size(c, _usual_size(pool, c)), f"the size of {c}", (c,), "shape") for c in _shuffled(pool.concepts, rng)
    )
    numbers = (
        Plan(Number(c, n), f"the number of {c or 'things'}, up to {n}", (c,) if c else (), "object")
        for c in _shuffled(["", *pool.concepts], rng)
        for n in ((3,) if c else (8, 6))
    )
    return _in_turn(sizes, _measures(pool, rng), numbers)


def _usual_size(pool: Pool, concept: str) -> float:
    """The 75th percentile of the area of a concept, share of the picture."""
    areas = [(r - x) * (b - y) for view in pool.views for x, y, r, b in view.boxes.get(concept, ())]
    return max(round(float(np.quantile(areas, 0.75)), 3), 0.01)


# --- several causes ---------------------------------------------------------------------------------------------------


def _or(pool: Pool, rng: np.random.Generator) -> Plans:
    def objects() -> Plans:
        names = _shuffled(pool.concepts * 4, rng)
        while len(names) >= 3:
            chosen = tuple(dict.fromkeys(names.pop() for _ in range(2 + int(rng.integers(2)))))
            if len(chosen) > 1 and _each_counts(pool, [Shows((c,)) for c in chosen]):
                yield Plan(Shows(chosen), " or ".join(chosen), chosen, "object")

    def grounds() -> Plans:
        for c, colour in zip(_shuffled(pool.concepts, rng), _shuffled(pool.colours * 8, rng), strict=False):
            parts = [Shows((c,)), Tint(colour, "ground", 0.3, 0.7)]
            if _each_counts(pool, parts):
                yield Plan(
                    Strongest(tuple((p, 1.0) for p in parts)), f"{c} or {_a(colour)} ground", (c, colour), "conjunction"
                )

    some = objects()
    return _in_turn(some, some, some, grounds())


def _each_counts(pool: Pool, parts: Sequence[Rule]) -> bool:
    """Whether every part is sometimes the only one."""
    on = np.stack([pool.active(p) for p in parts])
    return all(pool.count(row & (on.sum(axis=0) == 1)) >= 6 for row in on)


def _and(pool: Pool, rng: np.random.Generator) -> Plans:
    for a, b in pool.company(rng):
        apart = min(pool.count(pool.shown[a] & ~pool.shown[b]), pool.count(pool.shown[b] & ~pool.shown[a]))
        if a < b and apart >= 5:
            yield Plan(Shows((a,), and_also=(b,)), f"{a} together with {b}", (a, b), "conjunction")


def _and_not(pool: Pool, rng: np.random.Generator) -> Plans:
    def objects() -> Plans:
        for a, b in pool.company(rng):
            share = pool.count(pool.shown[a] & pool.shown[b]) / max(pool.count(pool.shown[a]), 1)
            if share >= 0.15 and pool.count(pool.shown[a] & pool.shown[b]) >= 5:
                yield Plan(Shows((a,), and_not=(b,)), f"{a} without {b}", (a, b), "conjunction")

    def exceptions() -> Plans:
        for a in _shuffled(pool.concepts, rng):
            inside = [b for b in pool.concepts if pool.classes[b] < pool.classes[a]]
            for b in _shuffled(inside, rng)[:1]:
                yield Plan(Shows((a,), and_not=(b,)), f"{a} without {b}", (a, b), "object")

    def grounds() -> Plans:
        for a, kind in zip(_shuffled(pool.concepts, rng), _shuffled(list(_GROUNDS) * 20, rng), strict=False):
            rule = Without(Shows((a,)), Ground(kind))
            if _either(pool, a, rule):
                yield Plan(rule, f"{a} but not on {_GROUNDS[kind]}", (a, kind), "texture")

    some = objects()
    return _in_turn(some, some, some, exceptions(), grounds())


def _context(pool: Pool, rng: np.random.Generator) -> Plans:
    def relations() -> Plans:
        for k, (a, b) in enumerate(pool.company(rng)):
            relation = _RELATIONS[k % len(_RELATIONS)]
            rule = pool.related(a, relation, b)
            if rule is not None:
                yield Plan(rule, f"{a} {relation} {b}", (a, b, relation), "place")

    def grounds() -> Plans:
        for a, kind in zip(_shuffled(pool.concepts, rng), _shuffled(list(_GROUNDS) * 20, rng), strict=False):
            yield from _conditioned(pool, a, Ground(kind), f"on {_GROUNDS[kind]}", kind, "texture")

    def colours() -> Plans:
        for a, colour in zip(_shuffled(pool.concepts, rng), _shuffled(pool.colours * 12, rng), strict=False):
            yield from _conditioned(
                pool, a, Tint(colour, "ground", 0.3, 0.7), f"on {_a(colour)} ground", colour, "colour"
            )  # fmt: skip

    return _in_turn(relations(), grounds(), relations(), colours())


def _conditioned(pool: Pool, concept: str, rule: Rule, words: str, what: str, family: str) -> Plans:
    both = Every((Shows((concept,)), rule))
    if _either(pool, concept, both):
        yield Plan(both, f"{concept} {words}", (concept, what), family)


def _rare(pool: Pool, rng: np.random.Generator) -> Plans:
    scarce = (Plan(Shows((c,)), c, (c,), "object") for c in _shuffled(pool.scarce, rng))
    joint = (
        Plan(Shows((a,), and_also=(b,)), f"{a} together with {b}", (a, b), "conjunction")
        for a, b in pool.company(rng)
        if a < b and pool.seldom(Shows((a,), and_also=(b,)))
    )
    return _in_turn(scarce, scarce, joint)


def _noisy(pool: Pool, rng: np.random.Generator) -> Plans:
    def noisily(plans: Plans) -> Plans:
        for p in plans:
            yield Plan(p.rule, f"{p.about}, with noise", p.involved, p.family)

    objects = _objects(pool, rng)
    return noisily(_in_turn(objects, objects, objects, _and(pool, rng), _or(pool, rng)))


def _polysemantic(pool: Pool, rng: np.random.Generator) -> Plans:
    others: list[Plan] = [*_limited(_positional(pool, rng), 8), *_sights(pool, rng)]
    sights = _shuffled([p for p in others if pool.often(p.rule)], rng)
    for k, a in enumerate(_shuffled(pool.concepts * 2, rng)):
        b = str(_shuffled(pool.concepts, rng)[0])
        parts = [Plan(Shows((a,)), a, (a,), "object")]
        if k % 2 or not sights:
            parts.append(Plan(Shows((b,)), b, (b,), "object"))
        if len(parts) < 2 or k % 4 == 1:
            parts += [sights[k % len(sights)]] if sights else []
        strengths = (1.0, 0.65) if len(parts) == 2 else (1.0, 0.8, 0.6)
        apart = a == b or any(pool.shown[a][i] != pool.shown[b][i] for i in range(len(pool.views)))
        if apart and len({p.rule for p in parts}) == len(parts) and _each_counts(pool, [p.rule for p in parts]):
            yield Plan(
                Strongest(tuple((p.rule, s) for p, s in zip(parts, strengths, strict=True))),
                ", ".join(f"{p.about} ({s:g})" for p, s in zip(parts, strengths, strict=True)),
                tuple(i for p in parts for i in p.involved),
                "conjunction",
            )


def _spurious(pool: Pool, rng: np.random.Generator) -> Plans:
    """What looks like one thing and is another that always comes with it; or needs both of them."""

    def causes() -> Plans:
        for bond in _shuffled(pool.bonds, rng):
            cause, seeming = (bond.other, bond.looks) if _hidden(bond.other) or rng.random() < 0.5 else (
                bond.looks, bond.other
            )  # fmt: skip
            yield Plan(cause, f"{_named(cause)}, not {_named(seeming)}", bond.apart, _family(cause))

    def both() -> Plans:
        for bond in _shuffled(pool.bonds, rng):
            if not isinstance(bond.other, ShowsAt):  # a place already asks for its thing
                about = f"{_named(bond.looks)} and {_named(bond.other)}, neither alone"
                yield Plan(Every((bond.looks, bond.other)), about, bond.apart, "conjunction")

    return _in_turn(causes(), both())


def _a(colour: str) -> str:
    return f"an {colour}" if colour[0] in "aeiou" else f"a {colour}"


def _hidden(rule: Rule) -> bool:
    """Whether a rule is about something less plain than a named thing."""
    return not isinstance(rule, Shows)


def _named(rule: Rule) -> str:
    if isinstance(rule, Shows):
        return rule.any_of[0]
    if isinstance(rule, ShowsAt):
        return f"{rule.concept} in the {rule.half} half"
    assert isinstance(rule, Tint)
    return f"{_a(rule.colour)} ground"


def _family(rule: Rule) -> str:
    return "object" if isinstance(rule, Shows) else "place" if isinstance(rule, ShowsAt) else "colour"


#: in the order of choosing
_PLANS: Mapping[str, Callable[[Pool, np.random.Generator], Plans]] = {
    "spurious": _spurious, "rare": _rare, "single": _single, "context": _context, "and": _and, "and_not": _and_not,
    "positional": _positional, "graded": _graded, "or": _or, "polysemantic": _polysemantic, "noisy": _noisy,
}  # fmt: skip
