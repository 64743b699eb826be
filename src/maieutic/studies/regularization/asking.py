"""Ask a model questions: the logits behind each prompt, and how many answers are right.

What this module does not do: change models, or know what questions mean (`facts`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from maieutic.studies.regularization.documents import Ids
from maieutic.studies.regularization.facts import Prompt
from maieutic.studies.regularization.model import Gpt

_BATCH = 512


def padded(prompts: Sequence[Prompt]) -> tuple[Tensor, Tensor]:
    """Prompts as ids ``[prompt, position]``, filled up on the right with 0, and the place of each one's last token.

    What stands to the right is not seen by causal attention, so the fill changes nothing.
    """
    last = torch.tensor([len(p.ids) - 1 for p in prompts])
    ids = torch.zeros(len(prompts), int(last.max()) + 1, dtype=torch.long)
    for n, p in enumerate(prompts):
        ids[n, : len(p.ids)] = torch.tensor(p.ids)
    return ids, last


@torch.no_grad()
def ask(model: Gpt, prompts: Sequence[Prompt]) -> Tensor:
    """Float32 logits of the next token behind each prompt, ``[prompt, token]``, on the CPU."""
    device = next(model.parameters()).device
    found: list[Tensor] = []
    for start in range(0, len(prompts), _BATCH):
        ids, last = padded(prompts[start : start + _BATCH])
        logits = model(ids.to(device))
        found.append(logits[torch.arange(len(last)), last.to(device)].float().cpu())
    return torch.cat(found) if found else torch.zeros(0, model.config.vocabulary)


def answers_of(prompts: Sequence[Prompt]) -> Tensor:
    """The right answers, int64 ``[prompt]``."""
    return torch.tensor([p.answer for p in prompts], dtype=torch.long)


def right(model: Gpt, prompts: Sequence[Prompt]) -> Tensor:
    """Whether the most likely next token is the answer, bool ``[prompt]``."""
    return ask(model, prompts).argmax(dim=-1) == answers_of(prompts)


@torch.no_grad()
def text_loss(model: Gpt, ids: Ids) -> float:
    """Mean cross-entropy (nats per token) over documents ``[document, context + 1]``."""
    device = next(model.parameters()).device
    total = 0.0
    for start in range(0, len(ids), _BATCH):
        rows = torch.as_tensor(ids[start : start + _BATCH], device=device)
        logits = model(rows[:, :-1]).float()
        total += float(F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten(), reduction="sum"))
    return total / (ids.shape[0] * (ids.shape[1] - 1))
