"""The inside of a white-box actor: passes over a transcript in which activations are read, changed or cut off.

One number is watched: the log-odds of a fixed continuation after the transcript (log p - log(1 - p), natural logarithm).
Activations are read and changed through the hooks that every subject has (`maieutic.subjects.hooks`), at the sites of the
subject, at token positions of the prompt, counted from 0. Giving a position the activation of another transcript is an
``add`` of the difference, so it is checked like every intervention: one that changed nothing raises.

What this module does not do: no sampling, no choice of what to patch; no thread safety for gradients (one at a time).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from maieutic.errors import UserError
from maieutic.forensics.action import Context
from maieutic.forensics.actor import Spent
from maieutic.forensics.actor_subject import SubjectActor
from maieutic.subjects.base import Intervention, Site, Unit
from maieutic.subjects.hooks import Tap, check_moved, run_hooked, submodule, tap_at

#: smallest 1 - p that the log-odds tell from 0: float32 logits carry no more
_LEAST = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """A vector added at a site.

    Attributes:
        site: its name.
        vector: what is added, ``[unit]``.
        at: the positions, of the prompt; ``None``: every position.
        name: for messages.
    """

    site: str
    vector: Tensor
    at: tuple[int, ...] | None
    name: str = "push"


class Inside:
    """A transcript's way through the network of a white-box actor."""

    def __init__(self, actor: SubjectActor, continuation: str) -> None:
        """Watch one continuation.

        Args:
            actor: whose network.
            continuation: the fixed answer, as text.

        Raises:
            UserError: the continuation has no token.
        """
        self.actor, self.subject = actor, actor.subject
        self.said = self._ids(continuation)
        if not self.said:
            raise UserError("the act has no words that could be scored: give its continuation")
        self.lead: list[int] = []
        self.spent = Spent()

    # --- places ----------------------------------------------------------------------------------------------------
    def encode(self, context: Context) -> list[int]:
        """Token ids up to where the act is decided; `TooLongError` when they do not fit."""
        return [*self.actor.encode(context), *self.lead]

    def decide(self, clean: Context, corrupt: Context) -> int:
        """Move the end of the prompt to where the act is decided: before the token whose chance differs most.

        What stands before it in the continuation (the opening of a call, say) becomes part of every prompt. Gives the
        number of tokens moved; only once.
        """
        assert not self.lead, "decided already"
        one, other = (self._token_chances(self.encode(c)) for c in (clean, corrupt))
        moved = int((one - other).abs().argmax())
        self.lead, self.said = self.said[:moved], self.said[moved:]
        return moved

    def _token_chances(self, ids: Sequence[int]) -> Tensor:
        tail = torch.log_softmax(self._logits(ids, ())[len(ids) - 1 :].double(), dim=-1)
        return tail.gather(1, torch.tensor(self.said, device=tail.device)[:, None])[:, 0]

    def resid_sites(self) -> list[str]:
        """The residual stream after each block, in order."""
        return [s.name for s in self.subject.sites() if s.name.endswith(".resid")]

    def site(self, name: str) -> Site:
        """A site of the subject; `UsageError` for another name."""
        return self.subject.site(name)

    def _tap(self, name: str) -> Tap:
        return tap_at(self.subject.model, self.site(name))

    def _ids(self, text: str) -> list[int]:
        return [int(t) for t in self.subject.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]]

    # --- passes ----------------------------------------------------------------------------------------------------
    def read(self, ids: Sequence[int], sites: Sequence[str]) -> dict[str, Tensor]:
        """Activations of the prompt, ``[position, unit]`` by site, float32. Cost: one pass."""
        started = time.perf_counter()
        device = self.subject.model.device
        row = torch.tensor([list(ids)], device=device)
        seen = run_hooked(
            lambda: self._call(row),
            reads=[self._tap(s) for s in sites],
            keep=lambda _tap, value: value[0].float().cpu().clone(),
        )
        self._count(len(ids), started)
        return seen.values

    def score(self, ids: Sequence[int], pushes: Sequence[Push] = ()) -> float:
        """Log-odds of the continuation after the prompt, with vectors added on the way. Cost: one pass.

        Raises:
            InterventionDidNothing: a push changed no activation.
        """
        return self._score(ids, self._logits(ids, pushes))

    def chance(self, ids: Sequence[int], pushes: Sequence[Push] = ()) -> float:
        """Probability of the continuation, 0 to 1."""
        return 1 / (1 + math.exp(-self.score(ids, pushes)))

    def fluency(self, ids: Sequence[int], pushes: Sequence[Push] = ()) -> float:
        """Mean log-probability of each token of the prompt after those before it: whether the network still reads on."""
        logits = self._logits(ids, pushes)[: len(ids) - 1].double()
        wanted = torch.tensor(list(ids)[1:], device=logits.device)
        return float(torch.log_softmax(logits, -1).gather(1, wanted[:, None]).mean())

    def cut(self, ids: Sequence[int], *, queries: Sequence[int], keys: Sequence[int], layers: Sequence[int]) -> float:
        """Log-odds when, in these layers, positions ``queries`` cannot attend to positions ``keys``. Cost: one pass.

        ``queries`` may lie in the continuation (positions after the prompt). No position is cut off from itself.

        Raises:
            UserError: a layer has no attention that takes a mask.
        """
        started = time.perf_counter()
        row = self._with_answer(ids)
        size = row.shape[1]
        mask = torch.full((size, size), 0.0).masked_fill(torch.ones(size, size).triu(1).bool(), float("-inf"))
        for q in queries:
            mask[q, [k for k in keys if k < q]] = float("-inf")
        mask = mask.to(self.subject.model.dtype).to(row.device)[None, None]
        reached: set[int] = set()
        with ExitStack() as hooks:
            for layer in layers:
                module = submodule(self.subject.model, self.site(f"layers.{layer}.attn").module, f"layers.{layer}.attn")
                hooks.enter_context(_masked(module, mask, reached, layer))
            with torch.inference_mode():
                logits = self._call(row, whole=True).logits[0]
        if reached != set(layers):
            raise UserError(f"layers {sorted(set(layers) - reached)} take no attention mask: attention cannot be cut")
        self._count(size, started)
        return self._score(ids, logits)

    def gradients(self, ids: Sequence[int], sites: Sequence[str]) -> dict[str, Tensor]:
        """Gradient of the log-odds by the activation at every site and position, ``[position, unit]``.

        Cost: one pass and one backward pass.
        """
        started = time.perf_counter()
        row = self._with_answer(ids)
        marks: dict[str, Tensor] = {}
        with ExitStack() as hooks:
            for name in sites:
                hooks.enter_context(_marked(self._tap(name), marks))
            with torch.enable_grad():
                odds = self._odds(ids, self._call(row, whole=True).logits[0])
                found = torch.autograd.grad(odds, [marks[s] for s in sites])
        self._count(3 * row.shape[1], started)
        return {s: g[0, : len(ids)].float().cpu() for s, g in zip(sites, found, strict=True)}

    # --- steps of a pass -------------------------------------------------------------------------------------------
    def _with_answer(self, ids: Sequence[int]) -> Tensor:
        """Prompt and continuation but its last token, ``[1, position]``."""
        return torch.tensor([[*ids, *self.said[:-1]]], device=self.subject.model.device)

    def _logits(self, ids: Sequence[int], pushes: Sequence[Push]) -> Tensor:
        started = time.perf_counter()
        row = self._with_answer(ids)
        changes = [(self._tap(p.site), change) for p in pushes for change in _interventions(p)]
        seen = run_hooked(
            lambda: self._call(row, whole=True),
            changes=changes,
            keep=lambda _tap, _value: None,
            mask=torch.ones(row.shape, dtype=torch.bool, device=row.device),
            to_end=True,
        )
        check_moved([change for _, change in changes], seen.moved)
        self._count(row.shape[1], started)
        return cast(Tensor, seen.result.logits[0])

    def _call(self, row: Tensor, *, whole: bool = False) -> Any:
        model = self.subject.model
        return model(input_ids=row, use_cache=False) if whole else model.base_model(input_ids=row, use_cache=False)

    def _score(self, ids: Sequence[int], logits: Tensor) -> float:
        return float(self._odds(ids, logits))

    def _odds(self, ids: Sequence[int], logits: Tensor) -> Tensor:
        """Log-odds from the logits ``[position, vocabulary]`` over prompt and continuation."""
        wanted = torch.tensor(self.said, device=logits.device)
        tail = torch.log_softmax(logits[len(ids) - 1 :].double(), dim=-1)
        chance = tail.gather(1, wanted[:, None]).sum()
        return chance - torch.log((1 - chance.exp()).clamp_min(_LEAST))

    def _count(self, tokens: int, started: float) -> None:
        self.spent += Spent(passes=1, tokens=tokens, seconds=time.perf_counter() - started)


def _interventions(push: Push) -> list[Intervention]:
    """A push as interventions of its direction: one a position, or one on all."""
    vector = push.vector.detach().float().cpu().numpy()
    unit = Unit(site=push.site, vector=vector, name=push.name)
    places: Sequence[int | None] = [None] if push.at is None else push.at
    return [Intervention(unit=unit, kind="add", value=1.0, at=at) for at in places]


def _masked(module: nn.Module, mask: Tensor, reached: set[int], layer: int) -> torch.utils.hooks.RemovableHandle:
    def before(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if "attention_mask" not in kwargs:
            return None
        reached.add(layer)
        return args, {**kwargs, "attention_mask": mask}

    return module.register_forward_pre_hook(before, with_kwargs=True)


def _marked(tap: Tap, marks: dict[str, Tensor]) -> torch.utils.hooks.RemovableHandle:
    """Adds zeros that the gradient is taken by."""

    def zeros(value: Tensor) -> Tensor:
        marks[tap.site] = torch.zeros_like(value, requires_grad=True)
        return value + marks[tap.site]

    def out(_module: nn.Module, _args: Any, output: Any) -> Any:
        return zeros(output) if isinstance(output, Tensor) else (zeros(output[0]), *output[1:])

    def into(_module: nn.Module, args: tuple[Any, ...]) -> Any:
        return (zeros(args[0]), *args[1:])

    return tap.module.register_forward_pre_hook(into) if tap.io == "in" else tap.module.register_forward_hook(out)
