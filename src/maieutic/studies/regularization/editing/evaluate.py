"""Ask edited models: many rank-one edits of one matrix without touching the model, or any change of parameters in place.

What this module does not do: make edits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from maieutic.readings import FloatArray
from maieutic.studies.regularization.asking import ask
from maieutic.studies.regularization.documents import Ids
from maieutic.studies.regularization.editing.cases import Case, Question, questions_of
from maieutic.studies.regularization.editing.rank_one import RankOne
from maieutic.studies.regularization.editing.scores import mark_preferred, mark_right
from maieutic.studies.regularization.editing.sites import ROWS, Halfway, finish, halfway, halfway_prompts, patched
from maieutic.studies.regularization.facts import FactsCorpus
from maieutic.studies.regularization.model import Gpt


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Marked answers.

    Attributes:
        questions: what was asked.
        right, preferred: as in `scores`, ``[strength, question]`` (or ``[question]`` for one strength).
    """

    questions: tuple[Question, ...]
    right: FloatArray
    preferred: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What an edit does to text that has nothing to do with it.

    Attributes:
        kl: mean over tokens of KL(before || after), nats, ``[case]``.
        loss: change of the mean cross-entropy, nats per token, ``[case]``.
    """

    kl: FloatArray
    loss: FloatArray


@torch.no_grad()
def sweep_rank_one(
    model: Gpt, cases: Sequence[Case], edits: RankOne, *, layer: int, strengths: Sequence[float]
) -> Marks:
    """Ask everything after each edit at each strength; the model stays as it is. Inside `frozen`.

    Args:
        edits: one for each case. layer: whose matrix they change. strengths: factors on the change.
    """
    questions = questions_of(cases)
    before = halfway_prompts(model, [q.prompt for q in questions], layer=layer)
    if layer == model.config.layers - 1:
        before = _endings(before)
    owner = torch.tensor([q.case for q in questions])
    right: list[FloatArray] = []
    preferred: list[FloatArray] = []
    for strength in strengths:
        parts: list[Tensor] = []
        for rows in torch.arange(len(questions)).split(ROWS):
            part = before.at(rows)
            parts.append(finish(model, part, edits.added(part.keys, owner[rows], strength=strength)))
        logits = torch.cat(parts)
        right.append(mark_right(logits, questions))
        preferred.append(mark_preferred(logits, questions))
    return Marks(questions=tuple(questions), right=np.stack(right), preferred=np.stack(preferred))


def _endings(before: Halfway) -> Halfway:
    """The last tokens alone: enough behind the last layer, where nothing moves between tokens any more."""
    rows = torch.arange(len(before.last))
    return Halfway(
        layer=before.layer,
        mixed=before.mixed[rows, before.last].unsqueeze(1),
        keys=before.keys[rows, before.last].unsqueeze(1),
        last=torch.zeros_like(before.last),
    )


def mark_changed(model: Gpt, changes: Mapping[str, Tensor], questions: Sequence[Question]) -> Marks:
    """Ask questions with changed parameters, which are put back. Inside `frozen`."""
    with patched(model, changes):
        logits = ask(model, [q.prompt for q in questions])
    return Marks(
        questions=tuple(questions), right=mark_right(logits, questions), preferred=mark_preferred(logits, questions)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Text to measure drift on, with the model's predictions before any edit.

    Attributes:
        ids: ``[document, position + 1]``. before: log-probabilities, ``[document, position, token]``.
        about: for each subject the documents that name it, which are left out of what its edits are measured on.
    """

    ids: Ids
    before: Tensor
    about: Mapping[int, frozenset[int]]

    def apart_from(self, subject: int) -> Tensor:
        """Places of the documents that do not name a subject."""
        named = self.about.get(subject, frozenset[int]())
        return torch.tensor([n for n in range(len(self.ids)) if n not in named], dtype=torch.long)


@torch.no_grad()
def text_before(model: Gpt, corpus: FactsCorpus, ids: Ids) -> Text:
    """Predictions of the model as it is, on documents."""
    names = {(corpus.id(a), corpus.id(b)): n for n, (a, b) in enumerate(corpus.world.subjects)}
    about: dict[int, set[int]] = {}
    for n, row in enumerate(ids.tolist()):
        for pair in zip(row, row[1:], strict=False):
            if pair in names:
                about.setdefault(names[pair], set()).add(n)
    before = model(torch.as_tensor(ids)[:, :-1]).log_softmax(dim=-1)
    return Text(ids=ids, before=before, about={k: frozenset(v) for k, v in about.items()})


@torch.no_grad()
def drift_rank_one(
    model: Gpt, text: Text, cases: Sequence[Case], edits: RankOne, *, layer: int, strength: float = 1.0
) -> Drift:
    """What each edit does to text that does not name its subject."""
    rows = torch.as_tensor(text.ids)[:, :-1]
    halves = halfway(model, rows, torch.full((len(rows),), rows.shape[1] - 1), layer=layer)
    found: list[tuple[float, float]] = []
    for n, case in enumerate(cases):
        chosen = text.apart_from(case.fact.subject)
        part = halves.at(chosen)
        added = edits.added(part.keys, torch.full((len(chosen),), n), strength=strength)
        found.append(_drift(text, chosen, finish(model, part, added, everywhere=True)))
    return _as_drift(found)


@torch.no_grad()
def drift_changed(model: Gpt, changes: Mapping[str, Tensor], text: Text, *, subject: int | None = None) -> Drift:
    """The same for changed parameters, which are put back; one case."""
    chosen = torch.arange(len(text.ids)) if subject is None else text.apart_from(subject)
    with patched(model, changes):
        logits = model(torch.as_tensor(text.ids)[chosen, :-1])
    return _as_drift([_drift(text, chosen, logits)])


def _drift(text: Text, chosen: Tensor, logits: Tensor) -> tuple[float, float]:
    if not len(chosen):
        return float("nan"), float("nan")
    after, before = logits.log_softmax(dim=-1), text.before[chosen]
    kl = F.kl_div(after, before, log_target=True, reduction="none").sum(dim=-1).mean()
    targets = torch.as_tensor(text.ids)[chosen, 1:].unsqueeze(-1)
    return float(kl), float((before.gather(-1, targets) - after.gather(-1, targets)).mean())


def _as_drift(found: Sequence[tuple[float, float]]) -> Drift:
    kl, loss = np.array(found, dtype=np.float64).reshape(-1, 2).T
    return Drift(kl=kl, loss=loss)
