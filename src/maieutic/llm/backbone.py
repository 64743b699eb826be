"""Backbone: one model of one provider, asked from ordinary (not async) code; many prompts run at once.

Answers are cached by Inspect without expiry unless told otherwise, so a repeated run sends nothing twice and gives the
same bytes. What failed, was refused or came empty is not kept: a later run asks again.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from maieutic.llm import background
from maieutic.llm.answers import Answer, Prompt
from maieutic.llm.messages import FORMS, Form, answer_of, config_of, cost_of, data_uri, messages_of
from maieutic.llm.opening import (
    EmptyError,
    ModelError,
    NoSchemaError,
    Sent,
    is_empty,
    line,
    one_line,
    open_model,
    policy,
    sent,
)
from maieutic.llm.prices import price_of
from maieutic.readings import Cost

if TYPE_CHECKING:
    from inspect_ai.model import Model, ModelOutput

__all__ = ["Backbone", "backbone", "cost_of", "data_uri", "line", "one_line", "open_model"]

_serial = itertools.count()


@dataclass(kw_only=True)
class Backbone:
    """A model behind Inspect. Make one with ``backbone``.

    Attributes:
        name: ``provider/model`` as Inspect writes it.
        cache: whether answers are kept and reused for the same question.
        spent: what was really asked so far, and the wall time of it; answers out of the cache cost nothing here.
        requests: sent to the provider so far, retries included.
        priced: whether its price is known (``maieutic.llm.prices``); else dollars are 0 whatever it costs.
    """

    name: str
    model: Model = field(repr=False)
    cache: bool = True
    spent: Cost = field(default_factory=Cost)
    requests: int = 0
    priced: bool = False
    #: how structured output is asked for: the best form that the server has not turned down
    _form: Form = "schema"

    def ask(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """Answers in the order of the prompts. One that fails after all retries is an ``Answer`` with ``failed`` set.

        With the cache on, equal prompts are sent once.

        Raises:
            UsageError: the provider does not know the key or the model: no prompt can ever succeed.
        """
        keys = [_key(p) if self.cache else str(i) for i, p in enumerate(prompts)]
        first = {key: i for i, key in reversed(list(enumerate(keys)))}

        async def every() -> list[Answer]:
            tasks = [asyncio.ensure_future(self.answer(prompts[i])) for i in sorted(first.values())]
            try:
                return await asyncio.gather(*tasks)
            finally:  # one raised: the others would go on spending
                for task in tasks:
                    task.cancel()

        started = time.perf_counter()
        given = dict(zip(sorted(first.values()), background.wait(every()), strict=True))
        paid = [replace(a.cost, seconds=0.0) for a in given.values() if not a.cached]
        self.spent = sum(paid, self.spent + Cost(seconds=time.perf_counter() - started))
        return [
            given[i] if first[k] == i else replace(given[first[k]], cached=given[first[k]].failed is None)
            for i, k in enumerate(keys)
        ]

    async def answer(self, prompt: Prompt) -> Answer:
        """One answer, for code on an event loop of its own (an Inspect evaluation). Not counted in ``spent``."""
        counter, started = Sent(), time.perf_counter()
        before = sent.set(counter)
        try:
            output = await self._generate(prompt)
        except EmptyError as error:
            output = error.output
        except (ModelError, NoSchemaError) as error:
            tries = f" (after {counter.requests} tries)" if counter.requests > 1 else ""
            return Answer(failed=f"{error}{tries}", cost=Cost(seconds=time.perf_counter() - started))
        finally:
            sent.reset(before)
            self.requests += counter.requests
        return answer_of(output, prompt, seconds=time.perf_counter() - started, cached=counter.requests == 0)

    async def _generate(self, prompt: Prompt) -> ModelOutput:
        messages, form = messages_of(prompt), self._form
        while True:
            try:
                return await self.model.generate(
                    messages, config=config_of(prompt, form), cache=policy(self.model) if self.cache else False
                )
            except NoSchemaError:
                if prompt.schema is None or form == FORMS[-1]:
                    raise
                form = FORMS[FORMS.index(form) + 1]
                self._form = FORMS[max(FORMS.index(self._form), FORMS.index(form))]


def backbone(
    model: str,
    *,
    base_url: str | None = None,
    temperature: float | None = 0.0,
    max_tokens: int = 1024,
    seed: int | None = None,
    cache: bool = True,
    connections: int = 8,
    retries: int = 5,
    timeout: int | None = None,
    wait: float | None = None,
) -> Backbone:
    """A backbone of any Inspect provider.

    Args:
        model: ``provider/model`` (``anthropic/…``, ``openai/…``, ``google/…``, ``vllm/…``, ``ollama/…``,
            ``openai-api/<service>/<model>`` for any OpenAI-compatible server).
        base_url: of the server; ``None``: the provider's own, or its environment variable. With ``openai-api`` a key is
            needed only where the server checks one.
        temperature: ``None`` leaves it to the provider (some models accept no other).
        max_tokens: of an answer.
        seed: where the provider takes one.
        cache: keep answers without expiry.
        connections: requests at once.
        retries: of one request after a rate limit, a server error, a time-out or a lost connection.
        timeout: seconds of one attempt. ``None``: 120, or 600 for a server on this machine.
        wait: seconds before the first retry, doubling to at most 60; a server's Retry-After comes first. ``None``: 2, or
            0.2 for a server on this machine.

    Raises:
        MissingExtraError: Inspect or the provider's package is not installed.
        UsageError: the name is no model of a known provider, or no server answers on this machine.
    """
    opened = open_model(
        model, base_url=base_url, temperature=temperature, max_tokens=max_tokens, seed=seed,
        connections=connections, retries=retries, timeout=timeout, wait=wait,
    )  # fmt: skip
    _apart(opened)
    return Backbone(name=model, model=opened, cache=cache, priced=price_of(model) is not None)


def _apart(model: Model) -> None:
    """Keep empty answers out of the cache, and the pool of connections apart from other event loops' pools.

    Inspect shares one pool among all models with the same key; its locks belong to one event loop, and an evaluation may
    run beside the background loop.
    """
    own = vars(model.api)
    generate, key = model.api.generate, f"{model.api.connection_key()}#backbone-{next(_serial)}"

    async def said(*args: Any, **kwargs: Any) -> Any:
        result = await generate(*args, **kwargs)
        output = result[0] if isinstance(result, tuple) else result
        if not isinstance(output, Exception) and is_empty(output):
            raise EmptyError(output)
        return result

    own["generate"] = said
    own["connection_key"] = lambda: key


def _key(prompt: Prompt) -> str:
    """The same text for equal prompts."""
    turns = [
        (t.role, t.text, [(i.mode, i.size, hashlib.sha256(i.tobytes()).hexdigest()) for i in t.images])
        for t in prompt.turns
    ]
    schema = None if prompt.schema is None else dict(prompt.schema)
    return json.dumps([prompt.system, turns, schema, prompt.logprobs, prompt.max_tokens])
