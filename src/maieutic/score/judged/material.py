"""What a judge may be shown of one unit: windows of the test split with what the unit did there.

Windows lie on a fixed grid of each text (32 tokens, no overlap), whatever the unit did, so where an activation stands in
its window tells nothing. A picture, and a text of a subject with one value a text, is a window of its own. Everything is
read from the test split; the discover split gives only the threshold of "active", the 0-1 scale and the words that the
unit answers to (for hard negatives). Nothing here asks a model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.one_shot_windows import grid
from maieutic.explain.views_image import KINDS, shares_of
from maieutic.harvest import Atlas
from maieutic.harvest.atlas import Observed
from maieutic.lab.lab import activation_scale
from maieutic.readings import FloatArray
from maieutic.score.evidence import QUANTILES, Threshold, threshold
from maieutic.score.loading import loadable, one_line
from maieutic.score.predictive import measured_now
from maieutic.score.recent import Recent
from maieutic.score.registry import Request
from maieutic.stimuli.base import Split, Stimulus
from maieutic.subjects.base import Subject, TokenSpan, Unit

#: units whose windows are remembered
_UNITS = 8
#: words (concepts of pictures) that the unit answers to on discover, which hard negatives hold as well
_SIGNS = 10
_SHOWN = 3


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Window:
    """A piece of one test stimulus.

    Attributes:
        stimulus: what it is cut from.
        cluster: number of its document or image group.
        first: its first position in the stimulus.
        text: its characters; empty for a picture.
        spans: of its tokens in ``text``; empty where the whole window has one value.
        values: raw model units, ``[position]``.
        scaled: the same on the 0-1 scale of the discover split.
        active: where the unit counts as active.
    """

    stimulus: Stimulus
    cluster: int
    first: int
    text: str
    spans: tuple[tuple[int, int], ...]
    values: FloatArray
    scaled: FloatArray
    active: NDArray[np.bool_]

    @property
    def key(self) -> tuple[str, int]:
        return self.stimulus.id, self.first

    @property
    def fires(self) -> bool:
        return bool(self.active.any())

    @property
    def top(self) -> float:
        return float(self.values.max())

    def token(self, i: int) -> str:
        """The i-th token as it stands in the text, with its spaces."""
        return self.text[self.spans[i][0] : self.spans[i][1]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Material:
    """The windows of one unit.

    Attributes:
        windows: of the test split, in corpus order.
        groups: how many documents or image groups the split has.
        threshold: when the unit counts as active.
        signs: lower-case words, or concepts, that the unit answers to on discover.
        whole: windows have one value each, so there are no tokens to mark.
        silent: the unit rests at exactly 0 and is never below, as latents of a sparse autoencoder are.
        firing: windows in which the unit is active somewhere. resting: the others.
        calm: the half of the resting ones with the lowest peaks; what lies between is neither active nor at rest, and
            says little about a label that speaks of yes and no.
    """

    windows: tuple[Window, ...]
    groups: int
    threshold: Threshold
    signs: frozenset[str]
    whole: bool
    silent: bool = False
    firing: tuple[Window, ...] = field(init=False)
    resting: tuple[Window, ...] = field(init=False)
    calm: tuple[Window, ...] = field(init=False)

    def __post_init__(self) -> None:
        assert all(w.stimulus.split == "test" for w in self.windows), "a judge sees the test split only"
        object.__setattr__(self, "firing", tuple(w for w in self.windows if w.fires))
        resting = tuple(w for w in self.windows if not w.fires)
        middle = float(np.median([w.top for w in resting])) if resting else 0.0
        object.__setattr__(self, "resting", resting)
        object.__setattr__(self, "calm", tuple(w for w in resting if w.top <= middle))

    def tempting(self, window: Window) -> bool:
        """Whether a window holds a sign of the unit."""
        if window.stimulus.modality == "image":
            return not self.signs.isdisjoint(shares_of(window.stimulus))
        return any(window.token(i).strip().lower() in self.signs for i in range(len(window.spans)))


def material_of(request: Request, subject: Subject, unit: Unit, atlas: Atlas | None) -> Material | str:
    """A unit's windows, or why there are none; remembered for the last few units. Free where the harvest kept the unit."""
    recent = request.shared.once("judged materials", lambda: Recent[Material | str](_UNITS))
    key = (id(subject), unit.key, id(atlas), id(request.corpus))
    return recent.once(key, lambda: _material(request, subject, unit, atlas), holding=(subject, atlas, request.corpus))


def _material(request: Request, subject: Subject, unit: Unit, atlas: Atlas | None) -> Material | str:
    def observe(split: Split) -> Sequence[Observed]:
        if atlas is not None:
            return atlas.observed(unit, split)
        return measured_now(subject, unit, loadable(request.corpus.split(split))[0])

    try:
        discover, test = observe("discover"), observe("test")
    except Exception as error:  # subjects may be anyone's function: what one raises is the reason, not a crash
        return f"the subject failed: {one_line(error)}"
    values = np.concatenate([o.values for o in discover]).astype(np.float64) if len(discover) else np.zeros(0)
    limit = threshold(values, quantile=QUANTILES[subject.modality])
    if isinstance(limit, str):
        return limit
    scale = activation_scale([o.values for o in discover], modality=subject.modality)
    groups = {g: i for i, g in enumerate(sorted({s.group or s.id for s in request.corpus.split("test")}))}
    whole = subject.modality == "image" or all(s.positions == "none" for s in subject.sites())
    windows = [
        w
        for o in test
        for w in _windows(
            o, groups[o.stimulus.group or o.stimulus.id], limit, scale, _pieces(request, subject, o, whole)
        )
    ]
    if not all(np.isfinite(w.values).all() for w in windows):
        return "the unit gave values that are not finite"
    signs = (
        _concepts(discover, limit) if subject.modality == "image" else _words(request, subject, discover, limit, whole)
    )
    return Material(
        windows=tuple(windows),
        groups=len(groups),
        threshold=limit,
        signs=signs,
        whole=whole,
        silent=bool(values.min() == 0 and (values == 0).mean() >= 0.5),
    )


@dataclass(frozen=True, slots=True)
class _Piece:
    """Where a window lies in its stimulus: positions, characters, and its tokens; the same for all units."""

    first: int
    last: int
    text: str
    spans: tuple[tuple[int, int], ...] = ()


def _tokens(request: Request, subject: Subject, stimulus: Stimulus) -> tuple[TokenSpan, ...]:
    """Tokens of a text, kept for all units of the run."""
    key = ("judged tokens", id(subject), stimulus.id)
    return request.shared.once(key, lambda: tuple(subject.tokens(str(stimulus.content))), holding=subject)


def _pieces(request: Request, subject: Subject, seen: Observed, whole: bool) -> tuple[_Piece, ...]:
    """The windows of a stimulus, kept for all units of the run."""
    stimulus, n = seen.stimulus, len(seen.values)

    def cut() -> tuple[_Piece, ...]:
        if whole:
            return (_Piece(0, n, "" if stimulus.modality == "image" else str(stimulus.content)),) if n else ()
        tokens, text = _tokens(request, subject, stimulus), str(stimulus.content)
        assert len(tokens) == n, f"{len(tokens)} tokens but {n} values in {stimulus.id[:12]}"
        found: list[_Piece] = []
        for a, b in grid(n):
            start, end = tokens[a].start, max(t.end for t in tokens[a:b])
            spans = tuple((max(t.start - start, 0), max(t.end - start, 0)) for t in tokens[a:b])
            found.append(_Piece(a, b, text[start:end], spans))
        return tuple(found)

    return request.shared.once(("judged pieces", id(subject), stimulus.id), cut, holding=subject)


def _windows(
    seen: Observed, cluster: int, limit: Threshold, scale: tuple[float, float], pieces: Sequence[_Piece]
) -> list[Window]:
    """The windows of one stimulus with what the unit did there; arrays are views of one row."""
    values = np.asarray(seen.values, dtype=np.float64)
    scaled, active = _scaled(values, scale), limit.active(values)
    return [
        Window(
            stimulus=seen.stimulus, cluster=cluster, first=p.first, text=p.text, spans=p.spans,
            values=values[p.first : p.last], scaled=scaled[p.first : p.last], active=active[p.first : p.last],
        )
        for p in pieces
    ]  # fmt: skip


def _scaled(values: FloatArray, scale: tuple[float, float]) -> FloatArray:
    zero, one = scale
    return np.clip((values - zero) / (one - zero), 0.0, 1.0) if one > zero else np.zeros(len(values))


def _words(
    request: Request, subject: Subject, discover: Sequence[Observed], limit: Threshold, whole: bool
) -> frozenset[str]:
    """The words at which the unit is most often active on discover."""
    if whole:
        return frozenset()
    found: Counter[str] = Counter()
    for seen in discover:
        where = np.flatnonzero(limit.active(np.asarray(seen.values, dtype=np.float64)))
        if len(where):
            spans, text = _tokens(request, subject, seen.stimulus), str(seen.stimulus.content)
            found.update(text[spans[i].start : spans[i].end].strip().lower() for i in where.tolist())
    del found[""]
    return frozenset(w for w, _ in sorted(found.items(), key=lambda row: (-row[1], row[0]))[:_SIGNS])


def _concepts(discover: Sequence[Observed], limit: Threshold) -> frozenset[str]:
    """The concepts most over-represented among the discover images at which the unit is active."""
    everything, strong = Counter[str](), Counter[str]()
    n_strong = 0
    for seen in discover:
        shown: list[Any] = [c for c in shares_of(seen.stimulus) if c not in KINDS]
        everything.update(shown)
        if limit.active(np.asarray(seen.values, dtype=np.float64)).any():
            n_strong += 1
            strong.update(shown)

    def weight(concept: str) -> float:
        share, base = strong[concept] / n_strong, everything[concept] / len(discover)
        return share * float(np.log(share / base))

    ranked = sorted(strong, key=lambda c: (-weight(c), c))
    return frozenset(c for c in ranked[:_SHOWN] if weight(c) > 0)
