"""Blind forced choice: which of four sets of held-out examples does this label fit?

One set is where the unit is truly most active, the others are where three other units of the exam are, and it is not. The
label's words choose, read by our own reader (the set with the highest mean prediction; ties are drawn by lot), or a weak
trusted model that is shown the sets and nothing else. Chance is one in four. The explainer's predicate has no part in it.

Only labels claimed with confidence count, and the explainer is taken at its word: at most half of them may be wrong
(``claimed``), and a wrong label picks right one time in four. What this does not show: that a label is complete; a near
neighbour of the concept fits the right set as well (``censoring`` looks for those).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.audit.claimed import CONFIDENT, LEAST, WRONG, failing, smallest
from maieutic.audit.exam import Answer, Item, Sitting
from maieutic.audit.finding import Finding
from maieutic.audit.heldout import HeldOut, meant
from maieutic.audit.plain_reading import reading_of
from maieutic.readings import FloatArray, Reading, share_reading
from maieutic.score.judged.sampling import draw

NAME = "forced-choice"
STATISTIC = "share of confident labels that fit another unit's examples better than their own"
#: sets to choose from, and examples in each
SETS, EACH = 4, 5
#: positions before the peak that belong to an example
_BEFORE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One question.

    Attributes:
        answer: whose label is put to it.
        sets: flat held-out positions, ``[set][example][position]``; ``right`` is the place of the unit's own.
    """

    answer: Answer
    sets: tuple[tuple[NDArray[np.int64], ...], ...]
    right: int


def forced_choice(sitting: Sitting, *, judge: Any = None, seed: int = 0) -> Sequence[Finding]:
    """How often labels pick another unit's examples; by our reader, and by a model.

    Args:
        sitting: an exam that was taken.
        judge: ``provider/model`` or a backbone: a weak trusted model; without one that part is unmeasured.
        seed: of the sets, their order, and lots.

    Cost: a prediction of each label on the held-out stimuli; with a judge one prompt a label.
    """
    from maieutic.audit.forced_choice_asked import asked_choices

    asked = [a for a in meant(sitting) if a.explanation.confidence >= CONFIDENT]
    if not asked:
        why = "no unit with a known rule was answered with confidence"
        return [Finding(audit=NAME, statistic=STATISTIC, reading=Reading.unmeasured(NAME, why))]
    held = HeldOut.of(sitting.exam)
    questions = choices(sitting, held, asked, seed=seed)
    return [_by_words(sitting, held, asked, questions, seed), asked_choices(held, questions, judge=judge, seed=seed)]


def choices(sitting: Sitting, held: HeldOut, asked: Sequence[Answer], *, seed: int) -> list[Choice]:
    """A question for each answer for which there are enough other units to be told apart from."""
    items = [i for i in sitting.exam.items if i.planted is not None]
    truths = {i.id: held.truth(i) for i in items}
    tops = {i.id: top for i in items if (top := _examples(held, truths[i.id], draw(NAME, i.id, seed)))}
    found: list[Choice] = []
    for answer in asked:
        if answer.item.id not in tops:
            continue
        rng = draw(NAME, "foils", answer.item.id, seed)
        foils = _foils(answer.item, items, truths, tops, rng)
        if len(foils) < SETS - 1:
            continue
        right = int(rng.integers(SETS))
        sets = [*foils[:right], tops[answer.item.id], *foils[right:]]
        found.append(Choice(answer=answer, sets=tuple(sets), right=right))
    return found


def _examples(held: HeldOut, truth: FloatArray, rng: np.random.Generator) -> tuple[NDArray[np.int64], ...]:
    """The strongest stimuli, one example each, equals by lot; none when fewer than two are truly active."""
    sample = held.sample
    ends = np.cumsum(sample.lengths)
    starts = ends - np.asarray(sample.lengths)
    peaks = [int(s + np.argmax(truth[s:e])) if e > s else -1 for s, e in zip(starts, ends, strict=True)]
    firing = [n for n, p in enumerate(peaks) if p >= 0 and truth[p] >= 0.5]
    lots = rng.random(len(peaks))
    chosen = sorted(firing, key=lambda n: (-truth[peaks[n]], lots[n]))[:EACH]
    examples = [np.arange(max(peaks[n] - _BEFORE, int(starts[n])), peaks[n] + 1) for n in chosen]
    return tuple(examples) if len(examples) >= 2 else ()


def _foils(
    item: Item,
    items: Sequence[Item],
    truths: Mapping[str, FloatArray],
    tops: Mapping[str, tuple[NDArray[np.int64], ...]],
    rng: np.random.Generator,
) -> list[tuple[NDArray[np.int64], ...]]:
    """Sets of three other units, in none of which this unit is active."""
    own, found = truths[item.id], list[tuple[NDArray[np.int64], ...]]()
    for n in rng.permutation(len(items)):
        other = items[int(n)]
        if other.id == item.id or other.id not in tops:
            continue
        apart = tuple(e for e in tops[other.id] if own[e].max() < 0.5)
        if len(apart) >= 2:
            found.append(apart)
        if len(found) == SETS - 1:
            break
    return found


def _by_words(
    sitting: Sitting, held: HeldOut, asked: Sequence[Answer], questions: Sequence[Choice], seed: int
) -> Finding:
    picked: dict[str, bool] = {}
    unread = 0
    for q in questions:
        predicate = reading_of(sitting.exam, q.answer.item, q.answer.explanation.label).predicate
        predicted = None if predicate is None else held.by(q.answer.explanation, predicate)
        if predicted is None or isinstance(predicted, str):
            unread += 1
            continue
        fit = [float(np.mean([predicted[e].max() for e in examples])) for examples in q.sets]
        best = [n for n, f in enumerate(fit) if f >= max(fit) - 1e-9]
        lot = draw(NAME, "lot", q.answer.item.id, seed)
        picked[q.answer.item.id] = best[int(lot.integers(len(best)))] == q.right
    details = {"unread": unread, "no_question": len(asked) - len(questions)}
    return chosen(f"{NAME}.words", picked, details)


def chosen(name: str, picked: Mapping[str, bool], details: Mapping[str, Any]) -> Finding:
    """The finding of some choices, by item."""
    from scipy.stats import binom

    n, wrong = len(picked), [i for i, right in picked.items() if not right]
    if n < LEAST:
        why = f"{n} confident labels could be put to the choice: at least {LEAST} are needed"
        return Finding(audit=NAME, statistic=STATISTIC, reading=Reading.unmeasured(name, why), details=details)
    by_luck = float(binom.sf(n - len(wrong) - 1, n, 1 / SETS))
    return Finding(
        audit=NAME,
        statistic=STATISTIC,
        reading=share_reading(name, [i in wrong for i in picked]),
        p=failing(n, len(wrong), luck=1 / SETS),
        power=smallest(name, n, allowed=WRONG * (1 - 1 / SETS)),
        units=tuple(wrong),
        details={**details, "chance": 1 - 1 / SETS, "p_if_labels_told_nothing": by_luck, "allowed": WRONG},
    )
