"""Planted image units: about things and colours of the pictures at hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from maieutic.errors import UserError
from maieutic.subjects.planted.draw import SNR, Draw, Views, planted, silent
from maieutic.subjects.planted.image_rules import Colour, Shows, ShowsAt, Size, colour_share, seen
from maieutic.subjects.planted.rule import Rule
from maieutic.subjects.planted.subject import Planted


def image_units(corpus: Any, rng: np.random.Generator) -> list[Planted]:
    stimuli = list(corpus.stimuli)
    views = Views([seen(s) for s in stimuli], [s.split for s in stimuli])
    concepts = _suitable_concepts(views)
    draw = Draw(concepts, rng, "concepts", views)
    a, b = _company(views, concepts)
    draw.drop(a, b)
    rules = [
        planted("and-0", "and", Shows((a,), and_also=(b,)), f"{a} together with {b}", [a, b]),
        planted("and_not-0", "and_not", Shows((a,), and_not=(b,)), f"{a} without {b}", [a, b]),
    ]
    # those that ask most of a concept draw first
    for i, (half, other) in enumerate((("left", "right"), ("top", "bottom"))):
        a = draw(lambda c, h=half: ShowsAt(c, h))
        rules.append(
            planted(f"positional-{i}", "positional", ShowsAt(a, half), f"{a} in the {half}, not {other}, half", [a])
        )
    boxes = [v.boxes for v in views.rows]
    a = draw(lambda c: Size(c, _usual_size(boxes, c)))
    rules.append(planted("graded-0", "graded", Size(a, _usual_size(boxes, a)), f"the size of {a}", [a]))
    for i in range(4):
        a = draw(_one_concept)
        rules.append(planted(f"single-{i}", "single", _one_concept(a), a, [a]))
    for i in range(2):
        chosen = [draw(_one_concept), draw(_one_concept)]
        rules.append(planted(f"or-{i}", "or", Shows(tuple(chosen)), " or ".join(chosen), chosen))
    a = draw(_one_concept)
    rules.append(planted("noisy-0", "noisy", _one_concept(a), f"{a} with noise", [a], 1 / SNR))
    rules.append(_coloured(stimuli))
    return [*rules, *silent()]


def _one_concept(concept: str) -> Rule:
    return Shows((concept,))


def _suitable_concepts(views: Views) -> list[str]:
    """Concepts in 2 % to 30 % of the pictures that no other concept matches outside the test split.

    What is the same pictures in discover and select but not in test cannot be told apart by anyone: both are left out.
    Of concepts that are always together the first by name stands for all.
    """
    pictures: dict[str, list[int]] = {}
    for i, view in enumerate(views.rows):
        for concept in view.boxes:
            pictures.setdefault(concept, []).append(i)
    twins: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    first: dict[tuple[int, ...], str] = {}
    for concept in sorted(pictures):
        known = tuple(i for i in pictures[concept] if views.splits[i] != "test")
        twins.setdefault(known, set()).add(tuple(pictures[concept]))
        first.setdefault(known, concept)
    n = len(views.rows)
    return sorted(c for known, c in first.items() if len(twins[known]) == 1 and 0.02 * n <= len(pictures[c]) <= 0.3 * n)


def _company(views: Views, concepts: Sequence[str]) -> tuple[str, str]:
    """Two concepts that are often in one picture, as different things, and often apart."""
    counts, together = Counter[str](), Counter[tuple[str, str]]()
    known = set(concepts)
    for boxes in (v.boxes for v in views.rows):
        here = sorted(known & boxes.keys())
        counts.update(here)
        together.update((a, b) for a in here for b in here if a < b and not set(boxes[a]) & set(boxes[b]))
    found = sorted(((min(n, counts[a] - n, counts[b] - n), a, b) for (a, b), n in together.items()), reverse=True)
    for _, a, b in found:
        if views.often(Shows((a,), and_also=(b,))) and views.often(Shows((a,), and_not=(b,))):
            return a, b
    raise UserError("no two concepts of the corpus share pictures: give it pictures with several things")


def _usual_size(present: Sequence[Any], concept: str) -> float:
    """The 75th percentile of the area of a concept, share of the picture."""
    areas = [(r - x) * (b - y) for boxes in present for x, y, r, b in boxes.get(concept, ())]
    return max(float(np.quantile(areas, 0.75)), 0.01) if areas else 1.0


def _coloured(stimuli: Sequence[Any]) -> Planted:
    """A colour that varies over the pictures: things of that colour look like the cause."""
    shares = {
        colour: np.array([colour_share(s.content, colour) for s in stimuli[:: max(len(stimuli) // 150, 1)]])
        for colour in ("red", "green", "blue")
    }
    colour = max(shares, key=lambda c: (float(np.std(shares[c])), c))
    start, full = (float(np.quantile(shares[colour], q)) for q in (0.7, 0.97))
    rule = Colour(colour, start, max(full, start + 0.05))
    return planted("spurious-0", "spurious", rule, f"{colour} pixels, whatever is shown", ())
