"""Where an edit is made, and the model cut in two at that place: what stands before it once, what stands behind it often.

An edit changes ``blocks.N.mlp.down``. Everything before that matrix is the same in every edited model, so it is run once; only
what stands behind it is run for each edit. Differences between edits of one matrix are given as low-rank changes.

What this module does not do: decide what to change (`rank_one`, `memit`, `fine_tune`).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from maieutic.studies.regularization.asking import padded
from maieutic.studies.regularization.facts import Prompt
from maieutic.studies.regularization.model import Block, Gpt

#: the prompt's last token, or the subject's last word
Token = Literal["last", "subject"]
#: rows that run behind the cut at once; bounds memory
ROWS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A layer and the token whose key and value an edit ties together."""

    layer: int
    token: Token = "last"

    @property
    def where(self) -> str:
        """The matrix' name, as in rows."""
        return f"blocks.{self.layer}.mlp.down"

    def place(self, prompt: Prompt) -> int:
        """The token's position in a prompt."""
        if self.token == "last":
            return len(prompt.ids) - 1
        assert prompt.subject_last >= 0, "this prompt has no subject"
        return prompt.subject_last


def sites_of(layers: int) -> tuple[Site, ...]:
    """Every place where an edit can reach the answer.

    The last layer's MLP at the subject's word cannot: nothing behind it moves anything from one token to another, unless
    the subject stands last, which it does in no way of asking.
    """
    last = tuple(Site(layer=n) for n in range(layers))
    return last + tuple(Site(layer=n, token="subject") for n in range(layers - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Halfway:
    """Texts that were run up to a layer's output matrix.

    Attributes:
        layer: whose.
        mixed: residual stream behind the layer's attention, ``[row, position, d_model]``.
        keys: input of the output matrix, ``[row, position, d_mlp]``.
        last: position of each row's last token, ``[row]``.
    """

    layer: int
    mixed: Tensor
    keys: Tensor
    last: Tensor

    def at(self, rows: Tensor) -> Halfway:
        """Some rows."""
        return Halfway(layer=self.layer, mixed=self.mixed[rows], keys=self.keys[rows], last=self.last[rows])


def down(model: Gpt, layer: int) -> nn.Linear:
    """The output matrix of a layer's MLP."""
    return model.mlps()[layer].down


@torch.no_grad()
def halfway(model: Gpt, ids: Tensor, last: Tensor, *, layer: int) -> Halfway:
    """Run texts ``ids [row, position]`` up to a layer's output matrix."""
    x = model.embed(ids)
    blocks = [cast(Block, b) for b in model.blocks]
    for block in blocks[:layer]:
        x = block(x)
    block = blocks[layer]
    mixed = x + block.attn(block.norm_attn(x))
    return Halfway(
        layer=layer, mixed=mixed, keys=block.mlp.norm(block.mlp.act(block.mlp.up(block.norm_mlp(mixed)))), last=last
    )


def halfway_prompts(model: Gpt, prompts: Sequence[Prompt], *, layer: int) -> Halfway:
    """The same for prompts."""
    ids, last = padded(prompts)
    return halfway(model, ids, last, layer=layer)


def finish(model: Gpt, before: Halfway, added: Tensor | None = None, *, everywhere: bool = False) -> Tensor:
    """Run on from a layer's output matrix; gradients flow to ``added``.

    Args:
        model: as it was in `halfway` up to that matrix. before: the rows.
        added: what comes on top of what the matrix writes, ``[row, position, d_model]``.
        everywhere: logits of all positions, not only behind each row's last token.

    Returns:
        Logits ``[row, token]``, or ``[row, position, token]``.
    """
    x = before.mixed + down(model, before.layer)(before.keys)
    if added is not None:
        x = x + added
    for block in list(model.blocks)[before.layer + 1 :]:
        x = block(x)
    if not everywhere:
        x = x[torch.arange(len(x)), before.last]
    return model.head(model.norm(x))


@contextmanager
def patched(model: Gpt, changes: Mapping[str, Tensor]) -> Generator[Gpt]:
    """The model with changed parameters, put back afterwards.

    Args:
        model: is changed in place meanwhile.
        changes: new values by name of the parameter.
    """
    parameters = dict(model.named_parameters())
    before = {name: parameters[name].detach().clone() for name in changes}
    try:
        with torch.no_grad():
            for name, value in changes.items():
                parameters[name].copy_(value)
        yield model
    finally:
        with torch.no_grad():
            for name, value in before.items():
                parameters[name].copy_(value)


@contextmanager
def frozen(model: Gpt) -> Generator[Gpt]:
    """The model in evaluation mode, on one thread, with parameters that ask for no gradient; all put back afterwards.

    Sums depend on how many threads share them, and so would what an optimiser finds.
    """
    wanted = [p.requires_grad for p in model.parameters()]
    training, threads = model.training, torch.get_num_threads()
    torch.set_num_threads(1)
    model.eval().requires_grad_(False)
    try:
        yield model
    finally:
        torch.set_num_threads(threads)
        model.train(training)
        for parameter, value in zip(model.parameters(), wanted, strict=True):
            parameter.requires_grad_(value)
