"""A language subject as an actor: log-probabilities of a fixed continuation, and fresh answers.

Contexts that begin alike share that beginning: they are scored in the order of their tokens, and the keys and values of
the common prefix are kept from one to the next (also between calls). Batches share one prefix and pad behind it. A model
whose attention slides over a window, or keeps a state that cannot be cut, is run whole each time.

The continuation is tokenized apart from the context, so that its tokens are the same whatever stands before it.

What this module does not do: cut a transcript that is too long (`TooLongError`), or read activations.
"""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from maieutic.forensics.action import Context, Sampling
from maieutic.forensics.actor import Sample, Spent, TooLongError
from maieutic.forensics.actor_render import parse_answer, plain_answer, plain_prompt, template_prompt
from maieutic.subjects.base import TokenSpan
from maieutic.subjects.language import LanguageSubject


@dataclass
class _Kept:
    """The keys and values of one row of tokens."""

    cache: Any = None
    ids: list[int] = field(default_factory=list[int])


class SubjectActor:
    """White box. See `Actor`."""

    white_box = True

    def __init__(
        self,
        subject: LanguageSubject,
        *,
        sampling: Sampling | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
        plain: bool = False,
        batch_size: int | None = None,
        keep: bool = True,
    ) -> None:
        """Take a subject.

        Args:
            subject: a causal language model.
            sampling: settings of fresh samples.
            tools: definitions that the chat template is given.
            plain: leave the tokenizer's chat template aside.
            batch_size: contexts of one pass; the subject's own otherwise.
            keep: reuse common prefixes; the values are the same without, to rounding.
        """
        self.subject, self.name = subject, subject.name
        self.sampling = sampling or Sampling()
        self.tools, self.spent = tuple(tools), Spent()
        self.plain = plain or not getattr(subject.tokenizer, "chat_template", None)
        self.batch_size = batch_size or subject.batch_size
        self.keep = keep and _can_keep(subject.model)
        self._kept = _Kept()

    def prompt(self, context: Context) -> str:
        """The one text that the model reads, without the subject's own prefix token."""
        if self.plain:
            return plain_prompt(context)
        return template_prompt(self.subject.tokenizer, context, tools=self.tools)

    def encode(self, context: Context) -> list[int]:
        """Tokens of the prompt; a plain one stands behind the subject's prefix, a template brings its own.

        Raises:
            TooLongError: it fills the model's context.
        """
        ids = [*(self.subject.prefix if self.plain else ()), *self._ids(self.prompt(context))]
        self._check(len(ids))
        return ids

    def tokens(self, text: str) -> list[TokenSpan]:
        """See `Actor.tokens`."""
        return self.subject.tokens(text)

    def logprobs(self, contexts: Sequence[Context], continuation: str) -> list[float]:
        """See `Actor.logprobs`. Cost: one pass over what no context before it began with."""
        return [float(sum(row)) for row in self.token_logprobs(contexts, continuation)]

    def token_logprobs(self, contexts: Sequence[Context], continuation: str) -> list[list[float]]:
        """Log-probability of each token of the continuation after each context, ``[context][token]``."""
        started = time.perf_counter()
        said = self._ids(continuation)
        assert said, "a continuation has at least one token"
        rows = [self.encode(c) for c in contexts]
        for row in rows:
            self._check(len(row) + len(said))
        found: dict[int, list[float]] = {}
        order = sorted(range(len(rows)), key=lambda i: (rows[i], i))
        size = self.batch_size if self.keep else 1
        for at in range(0, len(order), size):
            chunk = order[at : at + size]
            found |= dict(zip(chunk, self._score([rows[i] for i in chunk], said), strict=True))
        self.spent += Spent(passes=len(rows), seconds=time.perf_counter() - started)
        return [found[i] for i in range(len(rows))]

    def samples(
        self, contexts: Sequence[Context], *, n: int, seed: int, sampling: Sampling | None = None
    ) -> list[list[Sample]]:
        """See `Actor.samples`. An answer depends on its context, the seed and its number, not on what is beside it."""
        started, chosen = time.perf_counter(), sampling or self.sampling
        found: list[list[Sample]] = []
        for context in contexts:
            row = self.encode(context)
            self._check(len(row) + chosen.max_tokens)
            if chosen.temperature == 0:
                found.append([self._message(self._generate(row, [None], chosen)[0])] * n)
                self.spent += Spent(samples=1)
                continue
            drawn: list[list[int]] = []
            for at in range(0, n, self.batch_size):
                numbers = range(at, min(at + self.batch_size, n))
                drawn += self._generate(row, [_random(row, seed + i) for i in numbers], chosen)
            found.append([self._message(ids) for ids in drawn])
            self.spent += Spent(samples=n)
        self.spent += Spent(seconds=time.perf_counter() - started)
        return found

    # --- scoring -------------------------------------------------------------------------------------------------
    @torch.inference_mode()
    def _score(self, rows: list[list[int]], said: list[int]) -> list[list[float]]:
        """A row's tokens but the last are its past; the last and the continuation but its last token foretell."""
        tails = [[row[-1], *said[:-1]] for row in rows]
        if not self.keep:
            (row,) = rows
            ids = torch.tensor([[*row, *said[:-1]]], device=self.subject.model.device)
            logits = self.subject.model(input_ids=ids, use_cache=False, logits_to_keep=len(said)).logits
            self.spent += Spent(tokens=ids.numel())
        else:
            cache, mask = self._past([row[:-1] for row in rows])
            logits = self._step(tails, cache, mask)
            self._trim(len(rows), len(said))
        found = torch.log_softmax(logits[:, -len(said) :].double(), dim=-1)
        picked = found.gather(2, torch.tensor(said, device=found.device).expand(len(rows), -1)[..., None])
        return picked[..., 0].cpu().tolist()

    def _past(self, rows: list[list[int]]) -> tuple[Any, Tensor]:
        """Keys and values of all rows, and which of their places are real, ``[row, place]``."""
        common = _shared(rows)
        reused = self._advance(rows[0][:common])
        self.spent += Spent(reused=reused + (len(rows) - 1) * common)
        if len(rows) == 1:
            self._advance(rows[0])
            return self._kept.cache, torch.ones(1, len(rows[0]), dtype=torch.long)
        cache = copy.deepcopy(self._kept.cache)
        cache.batch_repeat_interleave(len(rows))
        width = max(len(r) - common for r in rows)
        mask = torch.zeros(len(rows), common + width, dtype=torch.long)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        for i, row in enumerate(rows):
            mask[i, : len(row)] = 1
            ids[i, : len(row) - common] = torch.tensor(row[common:])
        if width:
            self._run(ids, cache, mask, body=True)
        return cache, mask

    def _step(self, tails: list[list[int]], cache: Any, mask: Tensor) -> Tensor:
        """Logits of the same number of further tokens for every row, ``[row, token, vocabulary]``."""
        ids = torch.tensor(tails)
        return self._run(ids, cache, torch.cat([mask, torch.ones_like(ids)], dim=1))

    def _run(self, ids: Tensor, cache: Any, mask: Tensor, *, body: bool = False) -> Any:
        model = self.subject.model
        # a token's position is the number of real ones before it, whatever padding stands between
        places = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        self.spent += Spent(tokens=int(mask[:, -ids.shape[1] :].sum()))
        given = {
            "input_ids": ids.to(model.device), "past_key_values": cache, "use_cache": True,
            "position_ids": places.to(model.device),
            "attention_mask": None if bool(mask.all()) else mask.to(model.device),
        }  # fmt: skip
        return model.base_model(**given) if body else model(**given).logits

    @torch.inference_mode()
    def _advance(self, ids: list[int]) -> int:
        """Make the kept row exactly this one; returns how many of its tokens were there already."""
        from transformers import DynamicCache

        if self._kept.cache is None or not ids:
            self._kept = _Kept(cache=DynamicCache(config=self.subject.model.config))
        shared = _shared([self._kept.ids, ids]) if self._kept.ids else 0
        if shared < len(self._kept.ids):
            self._kept.cache.crop(shared - len(self._kept.ids))  # negative: that many off the end
        if shared < len(ids):
            mask = torch.ones(1, len(ids), dtype=torch.long)
            self._run(torch.tensor([ids[shared:]]), self._kept.cache, mask, body=True)
        self._kept.ids = list(ids)
        return shared

    def _trim(self, rows: int, said: int) -> None:
        """Take what was said on the kept row itself off again; several rows had a copy of it."""
        if rows == 1:
            self._kept.cache.crop(-said)

    # --- sampling ------------------------------------------------------------------------------------------------
    @torch.inference_mode()
    def _generate(
        self, row: list[int], randoms: Sequence[np.random.Generator | None], sampling: Sampling
    ) -> list[list[int]]:
        """Answers as tokens, one a generator (``None``: greedy), without what ends them."""
        ends, said = _ends(self.subject), [list[int]() for _ in randoms]
        open_ = [True] * len(randoms)
        cache, mask, tails = None, torch.zeros(len(randoms), 0, dtype=torch.long), [[row[-1]] for _ in randoms]
        if self.keep:
            cache, mask = self._past([row[:-1]] * len(randoms))
        steps = 0
        while steps < sampling.max_tokens and any(open_):
            steps += 1
            logits = self._step(tails, cache, mask) if self.keep else self._whole(row, said)
            mask = torch.cat([mask, torch.ones(len(randoms), 1, dtype=torch.long)], dim=1)
            chosen = [
                _choose(logits[i, -1], random, sampling) if go else next(iter(ends), 0)
                for i, (random, go) in enumerate(zip(randoms, open_, strict=True))
            ]
            tails = [[c] for c in chosen]
            for i, token in enumerate(chosen):
                open_[i] = open_[i] and token not in ends
                if open_[i]:
                    said[i].append(token)
        if self.keep:
            self._trim(len(randoms), steps)
        return said

    def _whole(self, row: list[int], said: list[list[int]]) -> Tensor:
        """Next-token logits of each answer so far, without a cache; rows that ended are shorter and not read."""
        found: list[Tensor] = []
        for one in said:
            ids = torch.tensor([[*row, *one]], device=self.subject.model.device)
            found.append(self.subject.model(input_ids=ids, use_cache=False, logits_to_keep=1).logits)
            self.spent += Spent(tokens=ids.numel())
        return torch.cat(found)

    def _message(self, ids: list[int]) -> Sample:
        text = self.subject.tokenizer.decode(ids, skip_special_tokens=True)
        return Sample(message=parse_answer(plain_answer(text) if self.plain else text))

    def _ids(self, text: str) -> list[int]:
        return [int(t) for t in self.subject.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]]

    def _check(self, length: int) -> None:
        room = self.subject.max_tokens + len(self.subject.prefix)
        if length > room:
            raise TooLongError(
                f"the transcript with its answer has {length} tokens, {self.name} takes {room}: give a model with a longer context"
            )


def _can_keep(model: Any) -> bool:
    """Whether the cache of this model may be cut and repeated: every layer attends to everything before it."""
    config = model.config.get_text_config()
    kinds = getattr(config, "layer_types", None)
    if getattr(model, "_is_stateful", False):  # state-space models and their like, as transformers marks them
        return False
    if kinds is not None:
        return set(kinds) == {"full_attention"}
    return not (getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True))


def _shared(rows: Sequence[list[int]]) -> int:
    """Length of what all rows begin with; sorted rows differ first between the first and the last."""
    first, last = min(rows), max(rows)
    return next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))


def _random(row: Sequence[int], seed: int) -> np.random.Generator:
    digest = hashlib.sha256(np.asarray(row, dtype="<i8").tobytes()).digest()
    return np.random.default_rng([seed % 2**63, *np.frombuffer(digest[:16], dtype="<u4").tolist()])


def _ends(subject: LanguageSubject) -> set[int]:
    """Tokens that end an answer."""
    config = getattr(subject.model, "generation_config", None)
    given = [subject.tokenizer.eos_token_id, getattr(config, "eos_token_id", None)]
    flat = [t for g in given for t in (g if isinstance(g, list) else [g])]
    return {int(t) for t in flat if t is not None}


def _choose(logits: Tensor, random: np.random.Generator | None, sampling: Sampling) -> int:
    """One token: the likeliest, or one drawn from the nucleus."""
    if random is None:
        return int(logits.argmax())
    chances = torch.softmax(logits.double() / sampling.temperature, dim=-1).cpu().numpy()
    order = np.argsort(-chances, kind="stable")
    total = np.cumsum(chances[order])
    kept = order[: int(np.searchsorted(total, sampling.top_p * total[-1], side="left")) + 1]
    inside = np.cumsum(chances[kept])
    return int(kept[min(np.searchsorted(inside, random.random() * inside[-1], side="right"), len(kept) - 1)])
