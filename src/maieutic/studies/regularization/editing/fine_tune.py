"""Fine-tuning as an edit: one matrix, one matrix held near where it was, and all matrices with data about what must stay.

- `tune_matrix`: Adam on one output matrix for one fact; with a ``bound`` every entry is put back to within it after every step
  (Zhu et al. 2020, "Modifying memories in transformer models": the constrained fine-tuning of ROME's tables);
- `tune_all`: Adam on all matrices of the blocks, with the other ways of asking and with unedited facts in the loss:
  the strong baseline ("Model editing by standard fine-tuning", arXiv 2402.11078). The loss is on the answer alone. Entries of
  matrices that are exactly 0 stay 0, so a pruned model stays as sparse as it was.

Rates and bounds are shares of the root mean square of a matrix' entries, since arms differ in size. What this module does not
do: change the model: it gives what would be added.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from maieutic.studies.regularization.asking import answers_of, padded
from maieutic.studies.regularization.editing.cases import Case
from maieutic.studies.regularization.editing.sites import Halfway, down, finish, halfway_prompts, patched
from maieutic.studies.regularization.facts import Prompt
from maieutic.studies.regularization.model import Gpt


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneSettings:
    """How fine-tuning goes; chosen on development facts of the dense model (seeds from 100 on), the same for all arms.

    Attributes:
        steps: of Adam at most. rate: its learning rate, as a share of the matrix' root mean square.
        bound: largest change of an entry, as such a share; ``None``: none. stop: an edit ends at this loss, nats.
    """

    steps: int = 30
    rate: float = 0.1
    bound: float | None = None
    stop: float = 0.05


PLAIN = TuneSettings()
CONSTRAINED = TuneSettings(bound=0.2)
STRONG = TuneSettings(steps=30, rate=0.002, stop=0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """Changes of one matrix, each by itself.

    Attributes:
        changes: ``[edit, d_model, d_mlp]``. loss: mean -log P(new answer), nats, ``[edit]``.
    """

    changes: Tensor
    loss: Tensor


def scale(weight: Tensor) -> float:
    """Root mean square of the entries that are not 0."""
    return float(weight.square().sum() / weight.count_nonzero().clamp_min(1)) ** 0.5


def tune_matrix(model: Gpt, cases: Sequence[Case], *, layer: int, settings: TuneSettings) -> Tuned:
    """Fine-tune a layer's output matrix for each case by itself, all at once. Inside `frozen`.

    Every entry has its own Adam, so edits do not touch each other. All cases have the same number of prompts.
    """
    weight = down(model, layer).weight
    size = scale(weight)
    each = len(cases[0].asked)
    assert all(len(c.asked) == each for c in cases), "cases are asked alike"
    prompts = [p for c in cases for p in c.asked]
    before, answers = halfway_prompts(model, prompts, layer=layer), answers_of(prompts)
    change = torch.zeros(len(cases), *weight.shape, requires_grad=True)
    optimiser = torch.optim.Adam([change], lr=settings.rate * size)
    running = torch.ones(len(cases), dtype=torch.bool)
    for _ in range(settings.steps):
        losses = _losses(model, before, change, answers, each)
        running = running & (losses.detach() > settings.stop)
        if not running.any():
            break
        kept = change.detach().clone()
        optimiser.zero_grad()
        losses.sum().backward()
        optimiser.step()
        with torch.no_grad():
            if settings.bound is not None:
                change.clamp_(-settings.bound * size, settings.bound * size)
            change.copy_(torch.where(running[:, None, None], change, kept))
    with torch.no_grad():
        return Tuned(changes=change.detach(), loss=_losses(model, before, change, answers, each))


def _losses(model: Gpt, before: Halfway, change: Tensor, answers: Tensor, each: int) -> Tensor:
    """Mean -log P(answer) of each edit, ``[edit]``."""
    rows, positions, width = before.keys.shape
    keys = before.keys.reshape(-1, each * positions, width)
    added = torch.bmm(keys, change.transpose(1, 2)).reshape(rows, positions, -1)
    return F.cross_entropy(finish(model, before, added), answers, reduction="none").view(-1, each).mean(dim=1)


def tune_all(model: Gpt, case: Case, *, settings: TuneSettings = STRONG) -> dict[str, Tensor]:
    """Fine-tune the blocks for one case, with facts that must stay in the loss. Inside `frozen`.

    Returns:
        New values by name of the parameter.

    Cost: about 0.4 CPU seconds at 3 layers of width 64.
    """
    prompts = [*case.asked, *case.trained]
    weights = torch.tensor(
        [1 / len(case.asked)] * len(case.asked) + [1 / max(len(case.trained), 1)] * len(case.trained)
    )
    return tune_prompts(model, prompts, answers_of(prompts), weights, ending=len(case.asked), settings=settings)


def tune_prompts(
    model: Gpt, prompts: Sequence[Prompt], answers: Tensor, weights: Tensor, *, ending: int, settings: TuneSettings
) -> dict[str, Tensor]:
    """Fine-tune the blocks on answers.

    Args:
        prompts, answers, weights: what is asked, what to answer, and the weight of each in the loss.
        ending: ends early once the first so many are answered with a mean loss below ``settings.stop``.
    """
    ids, last = padded(prompts)
    matrices = model.matrices()
    with trainable(model):
        parameters = list(matrices.values())
        masks = [p != 0 for p in parameters]
        optimiser = torch.optim.Adam(
            [{"params": [p], "lr": settings.rate * scale(p.detach())} for p in parameters], betas=(0.9, 0.99)
        )
        for _ in range(settings.steps):
            losses = F.cross_entropy(model(ids)[torch.arange(len(ids)), last], answers, reduction="none")
            if float(losses[:ending].detach().mean()) < settings.stop:
                break
            optimiser.zero_grad()
            (losses * weights).sum().backward()
            optimiser.step()
            with torch.no_grad():
                for parameter, mask in zip(parameters, masks, strict=True):
                    parameter.mul_(mask)
        return {n: p.detach().clone() for n, p in matrices.items()}


@contextmanager
def trainable(model: Gpt) -> Generator[None]:
    """Let the matrices of the blocks be trained; what they were comes back afterwards."""
    matrices = model.matrices()
    with patched(model, {n: p.detach().clone() for n, p in matrices.items()}):
        for parameter in matrices.values():
            parameter.requires_grad_(True)
        try:
            yield
        finally:
            for parameter in matrices.values():
                parameter.requires_grad_(False)
                parameter.grad = None
