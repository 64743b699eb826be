"""What raising (or ablating) a unit does to a network's outputs on given contexts, beside random and unrelated directions.

*Raise*: the unit is moved up by its natural length, the mean of its ten strongest discover places less its mean, at the end
of neutral contexts: texts cut at a drawn place (the outputs are then the next token), whole images. *Ablate*: the unit is set
to its mean where it is strongest; what is reported is what its presence does, so the change is turned round. Beside it every
random direction (Gaussian in z-scored activation space) and every unrelated unit of the site is moved by the same length on
the same contexts.

A change is that of an output's logit less the mean logit, which the softmax does not see. What this module does not do: label
(`describing`), or effects on later tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UserError
from maieutic.harvest import Atlas
from maieutic.lab.effects import centred, directions, log_softmax, norm
from maieutic.lab.halves import group_numbers
from maieutic.readings import FloatArray
from maieutic.stimuli.base import Split, Stimulus
from maieutic.subjects.base import Intervention, Subject, Unit, raw
from maieutic.subjects.reading import activation_maps

How = Literal["raise", "ablate"]
#: strongest places that the natural length is taken from
_STRONGEST = 10
#: tokens of a neutral context, at least and at most
_SHORTEST, _LONGEST = 8, 48


@dataclass(frozen=True, kw_only=True)
class Contexts:
    """Stimuli on which a unit is changed.

    Attributes:
        shown: texts up to the changed token, or images. groups: the group of each, ``[context]``.
    """

    shown: tuple[Any, ...]
    groups: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.shown)


@dataclass(frozen=True, kw_only=True)
class Steered:
    """What came of it, on the same contexts.

    Attributes:
        own: change of each output by the unit, ``[context, output]``.
        random, unrelated: mean change over contexts by each direction, ``[direction, output]``.
        before, after: probabilities without and with the change, mean over contexts, ``[output]``.
        random_each: change by the first random directions, ``[direction, context, output]``: as many as were asked for.
    """

    own: FloatArray
    random: FloatArray
    unrelated: FloatArray
    before: FloatArray
    after: FloatArray
    random_each: FloatArray


def natural_length(atlas: Atlas, unit: Unit) -> float:
    """How far the unit goes when it is strongly active, as a length in raw activation space; 0 if it never moves."""
    sample = np.asarray(atlas.sample(unit), dtype=np.float64)
    mean = atlas.moments(unit).mean if unit.index is not None else float(sample.mean())
    top = np.sort([e.value for e in atlas.exemplars(unit, _STRONGEST)])[::-1][:_STRONGEST]
    return max(float(np.mean(top)) - mean, 0.0) / norm(unit) if len(top) else 0.0


def contexts_of(
    subject: Subject, atlas: Atlas, unit: Unit, split: Split, *, how: How = "raise", n: int = 24, seed: int = 0
) -> Contexts:
    """Contexts from one split: neutral ones for ``raise``, those where the unit is strongest for ``ablate``.

    One a stimulus; stimuli of as many groups as possible. Cost: none for ``raise``; for ``ablate`` the unit's values over the
    split, where the harvest did not keep them.
    """
    found = _strongest(subject, atlas, unit, split, n) if how == "ablate" else _neutral(subject, atlas, split, n, seed)
    return Contexts(shown=tuple(shown for _, shown in found), groups=group_numbers([s for s, _ in found]))


def _neutral(subject: Subject, atlas: Atlas, split: Split, n: int, seed: int) -> list[tuple[Stimulus, Any]]:
    rng = np.random.default_rng([seed, 61])
    stimuli = sorted(atlas.corpus.split(split), key=lambda s: s.id)
    order: list[int] = rng.permutation(len(stimuli)).tolist()
    # other groups first, so that contexts are as independent as the corpus allows
    seen: dict[str, int] = {}
    turn: dict[int, int] = {}
    for i in order:
        group = stimuli[i].group or stimuli[i].id
        turn[i] = seen.get(group, 0)
        seen[group] = turn[i] + 1
    found: list[tuple[Stimulus, Any]] = []
    for i in sorted(order, key=lambda i: turn[i]):
        if len(found) == n:
            break
        shown = raw(stimuli[i])
        if isinstance(shown, str):
            spans = subject.tokens(shown)
            if len(spans) < 2:
                continue
            low = min(_SHORTEST, len(spans) - 1)
            shown = shown[: spans[int(rng.integers(low, min(_LONGEST, len(spans) - 1) + 1)) - 1].end]
        found.append((stimuli[i], shown))
    return found


def _strongest(subject: Subject, atlas: Atlas, unit: Unit, split: Split, n: int) -> list[tuple[Stimulus, Any]]:
    observed = [o for o in atlas.observed(unit, split) if len(o.values)]
    found: list[tuple[Stimulus, Any]] = []
    for o in sorted(observed, key=lambda o: (-float(o.values.max()), o.stimulus.id))[:n]:
        shown = raw(o.stimulus)
        if isinstance(shown, str):
            shown = shown[: subject.tokens(shown)[int(np.argmax(o.values))].end]
        found.append((o.stimulus, shown))
    return found


def beside_of(atlas: Atlas, unit: Unit, *, n: int, seed: int = 0) -> tuple[list[Unit], list[Unit]]:
    """``n`` random and up to ``n`` unrelated directions of the unit's site, of length 1.

    Raises:
        UserError: the site has no others.
    """
    random: list[Unit] = []
    unrelated: dict[str, Unit] = {}
    turn = 0
    while len(random) < n:
        found = directions(unit, atlas, seed=seed + 1000 * turn)
        if isinstance(found, str):
            raise UserError(f"{found}: effects stand beside other directions, so there is nothing to show")
        random += found[0]
        unrelated |= {u.key: u for u in found[1]}
        turn += 1
    return random[:n], list(unrelated.values())[:n]


def steer(
    subject: Subject,
    unit: Unit,
    contexts: Contexts,
    *,
    length: float,
    mean: float = 0.0,
    how: How = "raise",
    beside: tuple[Sequence[Unit], Sequence[Unit]] = ((), ()),
    each: int = 0,
) -> Steered:
    """Change the unit and each direction beside it on the same contexts.

    Args:
        subject, unit, contexts: what is changed where.
        length: how far, in raw activation space. mean: the unit's mean, for ``ablate``.
        how: see above.
        beside: random and unrelated directions of length 1.
        each: random directions whose changes are kept for every context.

    Cost: 2 passes over the contexts, and 1 for each direction; of language models one, and one token for each direction and
    context (`Subject.outputs_each`). Memory: ``1 + each`` times contexts times outputs.

    Raises:
        UserError: the subject cannot be changed inside, the unit did not move, or it has one output only.
    """
    at = -1 if subject.modality == "text" else None
    ways = [Intervention(unit=o, kind="add", value=length / norm(o), at=at) for side in beside for o in side]
    changes = [None, _change(unit, how, length=length, mean=mean, at=at), *ways]
    first, last = len(beside[0]), len(changes) - 2
    total: FloatArray = np.zeros(0)
    own: list[FloatArray] = []
    kept: list[FloatArray] = []
    before, after = np.zeros(0), np.zeros(0)
    for row in subject.outputs_each(contexts.shown, [changes] * len(contexts)):
        said = np.asarray(row, dtype=np.float64)
        if said.shape[1] < 2:
            raise UserError(f"{subject.name} has a single output: there are no others to compare it with")
        probable, said = np.exp(log_softmax(said[:2])), centred(said)
        moved = said[1:] - said[0]
        before, after = (probable[0], probable[1]) if not own else (before + probable[0], after + probable[1])
        total = moved[1:] if not own else total + moved[1:]
        own.append(moved[0])
        kept.append(moved[1 : 1 + min(each, first)])
    n, sign = len(own), -1.0 if how == "ablate" else 1.0
    return Steered(
        own=sign * np.stack(own), random=total[:first] / n, unrelated=total[first:last] / n, before=before / n,
        after=after / n, random_each=np.stack(kept, axis=1),
    )  # fmt: skip


def _change(unit: Unit, how: How, *, length: float, mean: float, at: int | None) -> Intervention:
    if how == "ablate":
        return Intervention(unit=unit, kind="ablate_mean", value=mean, at=at)
    return Intervention(unit=unit, kind="add", value=length / norm(unit), at=at)


def ablation_length(subject: Subject, unit: Unit, contexts: Contexts, mean: float) -> float:
    """How far ablation moves the unit on some contexts: root mean square, a length in raw activation space.

    Of a text at its last token, of an image over the cells of the unit's map. Cost: one pass over the contexts.
    """
    if subject.modality == "text":
        values = np.array([v[-1] for v in subject.measure(list(contexts.shown), unit)], dtype=np.float64)
    elif subject.site(unit.site).positions == "spatial":
        values = np.concatenate([m.ravel() for m in activation_maps(subject, contexts.shown, unit)]).astype(np.float64)
    else:
        values = np.asarray(subject.measure(list(contexts.shown), unit), dtype=np.float64)
    return float(np.sqrt(np.mean((values - mean) ** 2))) / norm(unit)
