"""What a language model loses when what stands at a site is replaced by something else.

The replacement is a lens whose ``change`` gives other activations, so it goes through the same hooks as every intervention, at
every position but those of the prefix (the attention sink, which no SAE here was trained on). What this module does not do:
pool (`metrics`), or keep anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from maieutic.errors import UserError
from maieutic.readings import FloatArray
from maieutic.subjects import Intervention, LanguageSubject, Subject, Unit
from maieutic.subjects.hooks import Tap, run_hooked, submodule

Replace = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class _Replaced:
    """A lens of one unit, which is set by putting something else in the place of everything."""

    put: Replace

    @property
    def width(self) -> int:
        return 1

    @property
    def fingerprint(self) -> str:
        return "replaced"

    def read(self, raw: Tensor) -> Tensor:
        return torch.zeros_like(raw[..., :1]).float()

    def change(self, raw: Tensor, change: Intervention, where: Tensor) -> Tensor:  # noqa: ARG002 (the protocol's)
        # what is put there is worked out on the CPU, where its numbers are
        return torch.where(where[..., None], self.put(raw.float().cpu()).to(raw), raw)

    def along(self, unit: Unit) -> Tensor | None:  # noqa: ARG002 (the protocol's)
        return None

    def fresh(self, seed: int, module: nn.Module) -> _Replaced:  # noqa: ARG002 (the protocol's)
        return self


def token_losses(subject: Subject, site: str, text: str, put: Replace | None = None) -> FloatArray:
    """Cross-entropy in nats of each token of a text given those before it, ``[token]``.

    Args:
        subject: a causal language model.
        site: where something is replaced.
        text: what the model reads; cut at its context.
        put: from activations ``[..., hidden]`` (float32) to others; ``None``: nothing is replaced.

    Cost: one whole pass with the LM head.

    Raises:
        UserError: the subject says no tokens.
    """
    if not isinstance(subject, LanguageSubject):
        raise UserError(f"{subject.name} says no tokens, so it has no loss on texts: use a causal language model")
    tokenized: list[int] = subject.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    row = [*subject.prefix, *tokenized[: subject.max_tokens]]
    ids = torch.tensor([row], dtype=torch.long, device=subject.model.device)
    mask = torch.ones_like(ids, dtype=torch.bool)
    mask[:, : len(subject.prefix)] = False
    at = subject.site(site)
    tap = Tap(
        site=site, module=submodule(subject.network, at.module, site), io=at.io, lens=_Replaced(put or (lambda x: x))
    )
    change = Intervention(unit=Unit(site=site, index=0), kind="set")
    seen = run_hooked(
        lambda: subject.model(input_ids=ids, use_cache=False).logits,
        changes=[] if put is None else [(tap, change)],
        keep=_nothing,
        mask=mask,
        to_end=True,
    )
    logits: Any = seen.result
    found = logits[0, :-1].double().log_softmax(dim=-1).gather(1, ids[0, 1:, None])[:, 0]
    first = max(len(subject.prefix) - 1, 0)
    return -found[first:].cpu().numpy().astype(np.float64)


def _nothing(tap: Tap, value: Tensor) -> Tensor | None:  # noqa: ARG001 (a reader's signature)
    return None
