"""Ledger entries put to the test: were they measured as written, and do they bear out what the explanation says?

An entry *supports* an explanation when the explanation predicts what was measured: both at least half of the lab's scale,
or both below. It is *contrary* when they lie at least ``FAR`` apart. Entries read under an intervention (``ablate``,
``steer``) are neither, for no prediction is about a changed network; nor can they be repeated from the ledger alone. What
this module does not do: count (``claims`` does), or trust the recorded values: they are measured again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maieutic.audit.exam import Answer, Exam
from maieutic.lab import Entry, Lab
from maieutic.stimuli.base import Stimulus

#: kinds of entries in which the network itself was changed
CHANGED = frozenset({"ablate", "steer"})
#: share of full activation from which a unit fires; and how far apart value and prediction must be to contradict
FIRES, FAR = 0.5, 0.5
#: how far a value may differ when it is measured again, share of the lab's scale: batches change the last bits
_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """An entry with what the explanation predicts of it.

    Attributes:
        entry: as it stands in the ledger.
        predicted: by the explanation, 0 to 1; ``None`` where it cannot be said (changed networks, stimuli not kept).
        cited: whether the explanation names it as evidence.
        told: whether its id stands in the reason, or in what was considered and dropped.
    """

    entry: Entry
    predicted: float | None
    cited: bool
    told: bool

    @property
    def supports(self) -> bool:
        return self.predicted is not None and (self.predicted >= FIRES) == (self.entry.scaled >= FIRES)

    @property
    def contrary(self) -> bool:
        return self.predicted is not None and abs(self.predicted - self.entry.scaled) >= FAR


def tested(exam: Exam, answer: Answer) -> list[Tested]:
    """Every entry of an answer, in order. Cost: one prediction a stimulus."""
    found = answer.explanation
    cited = set(found.evidence)
    written = " ".join([found.label, found.reason or "", *(part for row in found.considered for part in row)])
    bound = found if found.viewer is not None else found.bound(exam.viewer)
    known = [e for e in answer.entries if e.kind not in CHANGED and e.stimulus in answer.shown]
    stimuli = {e.stimulus: answer.shown[e.stimulus] for e in known}
    rows: Mapping[str, Any] = {}
    if stimuli and answer.answered:
        rows = dict(zip(stimuli, bound.predict(list(stimuli.values())), strict=True))
    return [
        Tested(
            entry=e, predicted=_at(rows.get(e.stimulus), e.position) if e in known else None, cited=e.id in cited,
            told=_names(written, e.id),
        )
        for e in answer.entries
    ]  # fmt: skip


def _at(row: Any, position: int) -> float | None:
    """The prediction where the entry was read; -1: the largest."""
    if row is None:
        return None
    values = np.atleast_1d(np.asarray(row, dtype=np.float64))
    read = values[position : position + 1] if position >= 0 else values
    return float(read.max()) if len(read) and np.isfinite(read).all() else None


def _names(text: str, entry_id: str) -> bool:
    """Whether a text names an entry, and not one whose number only begins in the same way."""
    at = text.find(entry_id)
    while at >= 0:
        if not text[at + len(entry_id) : at + len(entry_id) + 1].isdigit():
            return True
        at = text.find(entry_id, at + 1)
    return False


def forged(answer: Answer, *, most: int, seed: int) -> tuple[list[str], int]:
    """Entries that do not hold, and how many were looked at.

    Args:
        answer: whose ledger is read. Cited ids that it does not hold are forged too.
        most: entries measured again: cited ones first, others by lot.
        seed: of the lot.

    Returns:
        What is wrong, a line each. Cost: at most ``most`` measurements.
    """
    ids = {e.id for e in answer.entries}
    wrong = [f"{i}: cited, and not in the ledger" for i in answer.explanation.evidence if i not in ids]
    lab = Lab(answer.item.subject, answer.item.unit, answer.item.atlas)
    chosen = _chosen(answer, most, seed)
    shown: list[tuple[Entry, Stimulus]] = []
    for entry in chosen:
        stimulus = answer.shown.get(entry.stimulus)
        if stimulus is None or stimulus.id != entry.stimulus:
            wrong.append(f"{entry.id}: what it says was shown was not")
        elif stimulus.modality == "text" and entry.shown != stimulus.content:
            wrong.append(f"{entry.id}: another text was shown than is written there")
        else:
            shown.append((entry, stimulus))
    values = answer.item.subject.read([s for _, s in shown], [answer.item.unit]) if shown else []
    for (entry, _), row in zip(shown, values, strict=True):
        told = _differs(lab, entry, row[:, 0])
        wrong += [told] if told else []
    return wrong, len(chosen) + sum(i not in ids for i in answer.explanation.evidence)


def _chosen(answer: Answer, most: int, seed: int) -> list[Entry]:
    cited = set(answer.explanation.evidence)
    able = [e for e in answer.entries if e.kind not in CHANGED]
    lots = np.random.default_rng([seed, len(able)]).permutation(len(able))
    order = sorted(range(len(able)), key=lambda n: (able[n].id not in cited, int(lots[n])))
    return [able[n] for n in order[:most]]


def _differs(lab: Lab, entry: Entry, values: Any) -> str:
    """What is wrong with a recorded value; empty when it holds."""
    zero, one = lab.scale
    read = values[entry.position : entry.position + 1] if entry.position >= 0 else values
    value = float(read.max()) if len(read) else zero
    span = one - zero if one > zero else 1.0
    if not abs(value - entry.value) <= _TOLERANCE * span:
        return f"{entry.id}: {entry.value:.4g} is written where {value:.4g} is measured"
    if not abs(float(lab.scaled(entry.value)) - entry.scaled) <= _TOLERANCE:
        return f"{entry.id}: {entry.scaled:.3f} is written for a value that is {float(lab.scaled(entry.value)):.3f} of the scale"
    return ""


def hypotheses(rows: Sequence[Tested], answer: Answer) -> tuple[set[str], set[str]]:
    """Hypotheses that were tried, and those of them that the report tells: by a cited entry, by name, or by an entry's id.

    A reason that an agent gives for what it expects (``because`` without ``hypothesis``) is no hypothesis.
    """
    rows = [r for r in rows if "because" not in r.entry.detail or "hypothesis" in r.entry.detail]
    written = {part for row in answer.explanation.considered for part in row} | {answer.explanation.reason or ""}
    tried = {r.entry.hypothesis for r in rows}
    told = {r.entry.hypothesis for r in rows if r.cited or r.told}
    told |= {h for h in tried if h and any(h in text for text in written)}
    return tried, told
