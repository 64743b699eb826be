"""How likely a causal language model finds a continuation after a prompt.

The continuation is tokenized apart from the prompt, so its tokens are the same whatever stands before it. No chat template is
applied: what is given is what is read, behind the subject's own prefix token.

What this module does not do: sample, keep keys and values between calls, or cut what is too long.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from maieutic.errors import UserError
from maieutic.readings import FloatArray
from maieutic.subjects.language import LanguageSubject


def token_logprobs(subject: LanguageSubject, passages: Sequence[tuple[str, str]]) -> list[FloatArray]:
    """Natural-log probability of each token of a continuation, one array a passage.

    Args:
        subject: a causal language model.
        passages: (prompt, continuation). With an empty prompt and a model without a prefix token the first token has nothing
            before it and is left out.

    Cost: one whole pass a passage, with the LM head at the continuation only.

    Raises:
        UserError: a passage is longer than the model's context, or a continuation has no token that can be foretold.
    """
    return [_scored(subject, prompt, said) for prompt, said in passages]


@torch.inference_mode()
def _scored(subject: LanguageSubject, prompt: str, said: str) -> FloatArray:
    before = [*subject.prefix, *_ids(subject, prompt)]
    after = _ids(subject, said)
    if not before:
        before, after = after[:1], after[1:]
    if not after:
        raise UserError(f"{said!r} has no token that {subject.name} could foretell: give a longer continuation")
    most = subject.max_tokens + len(subject.prefix)
    if len(before) + len(after) > most:
        raise UserError(
            f"a prompt with its continuation has {len(before) + len(after)} tokens, {subject.name} takes {most}: shorten it"
        )
    device = subject.model.device
    ids = torch.tensor([[*before, *after[:-1]]], dtype=torch.long, device=device)
    logits = subject.model(input_ids=ids, use_cache=False, logits_to_keep=len(after)).logits[0, -len(after) :]
    found = torch.log_softmax(logits.double(), dim=-1).gather(1, torch.tensor(after, device=device)[:, None])
    return found[:, 0].cpu().numpy().astype(np.float64)


def _ids(subject: LanguageSubject, text: str) -> list[int]:
    return list(subject.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
