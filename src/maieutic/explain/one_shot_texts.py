"""Exemplars of a language unit for a language model: windows of the discover split over the whole range of activation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.one_shot_windows import Span, grid, marked, pair_for
from maieutic.explain.search.text_setting import active_above
from maieutic.lab import Lab
from maieutic.llm.fences import Fence

#: equal-count bins of firing windows ranked by their largest activation
BINS = 10
#: share of a window's largest activation from which a token is marked, and marked tokens listed at most
MARKED, LISTED = 0.3, 10
#: characters of a text with one value that are shown
_WHOLE = 480


@dataclass(frozen=True, eq=False, kw_only=True)
class Passage:
    """A window of a discover text.

    Attributes:
        text: its characters. spans: of its tokens; empty where the text has one value.
        scaled: activation on the lab's 0-1 scale, ``[position]``.
        fires: whether the unit is active anywhere in it.
        rank: largest raw activation.
    """

    text: str
    spans: tuple[Span, ...]
    scaled: NDArray[np.float64]
    fires: bool
    rank: float

    @property
    def marks(self) -> tuple[int, ...]:
        """Tokens at 0.3 of the largest activation and above; none where the unit does not fire."""
        top = float(self.scaled.max()) if self.spans and self.fires else 0.0
        return tuple(np.flatnonzero(self.scaled >= MARKED * top).tolist()) if top > 0 else ()


def passages(lab: Lab) -> list[Passage]:
    """Every window of the discover split, in corpus order."""
    values = [np.asarray(o.values, dtype=np.float64) for o in lab.discover]
    cut = active_above(np.concatenate(values)) if values else active_above(np.zeros(0))
    whole = all(s.positions == "none" for s in lab.subject.sites())
    out: list[Passage] = []
    for seen, row in zip(lab.discover, values, strict=True):
        text, scaled, fires = str(seen.stimulus.content), np.atleast_1d(lab.scaled(row)), cut(row)
        if whole:
            out.append(Passage(text=text, spans=(), scaled=scaled, fires=bool(fires.any()), rank=float(row.max())))
            continue
        tokens = lab.subject.tokens(text)
        for a, b in grid(len(tokens)):
            start, end = tokens[a].start, max(t.end for t in tokens[a:b])
            spans = tuple((max(t.start - start, 0), max(t.end - start, 0)) for t in tokens[a:b])
            out.append(
                Passage(
                    text=text[start:end], spans=spans, scaled=scaled[a:b], fires=bool(fires[a:b].any()),
                    rank=float(row[a:b].max()),
                )
            )  # fmt: skip
    return out


def chosen(found: Sequence[Passage], *, firing: int, resting: int, seed: int) -> tuple[list[Passage], list[Passage]]:
    """Firing windows from all bins of activation, strongest first, and resting ones at random."""
    rng = np.random.default_rng([seed, 1])
    ranked = sorted((p for p in found if p.fires), key=lambda p: (-p.rank, p.text))
    places = [bin[rng.permutation(len(bin))].tolist() for bin in np.array_split(np.arange(len(ranked)), BINS)]
    taken: list[int] = []
    while len(taken) < min(firing, len(ranked)):
        for left in places:
            if left and len(taken) < firing:
                taken.append(left.pop())
    quiet = [p for p in found if not p.fires]
    calm = np.sort(rng.permutation(len(quiet))[:resting]).tolist()
    return [ranked[i] for i in sorted(taken)], [quiet[i] for i in calm]


def written(firing: Sequence[Passage], resting: Sequence[Passage], *, seed: int) -> tuple[str, Fence, tuple[str, str]]:
    """The exemplars as a prompt shows them, with their fence and the marks."""
    every = [*firing, *resting]
    pair = pair_for([p.text for p in every])
    fence = Fence.around([p.text for p in every], seed=seed)
    parts: list[str] = []
    for i, passage in enumerate(firing, start=1):
        name = f"example {i}"
        shown = marked(passage.text, passage.spans, passage.marks, pair) if passage.spans else passage.text[:_WHOLE]
        # figures quote tokens, so they are data too; they come first, where no text can put others before them
        parts.append(fence.put(name, f"{_figures(passage)}\n{shown}"))
    if resting:
        parts.append("The unit is not active anywhere in the following:")
        parts += [fence.put(f"quiet {i}", p.text[:_WHOLE]) for i, p in enumerate(resting, start=1)]
    return "\n\n".join(parts), fence, pair


def _figures(passage: Passage) -> str:
    """How active the unit is at the marked tokens, 0 to 10."""
    if not passage.spans:
        return f"activation: {_tenths(float(passage.scaled.max()))}"
    listed = passage.marks[:LISTED]
    rows = [
        f"{json.dumps(passage.text[slice(*passage.spans[i])], ensure_ascii=False)} {_tenths(float(passage.scaled[i]))}"
        for i in listed
    ]
    return "activations: " + ", ".join(rows)


def _tenths(scaled: float) -> int:
    return round(10 * scaled)
