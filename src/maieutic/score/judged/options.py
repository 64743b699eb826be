"""Who judges: the options of judged scorers, checked before anything is measured, and the model behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from maieutic.errors import UsageError
from maieutic.llm import Answer, Backbone, Prompt
from maieutic.llm.shared import shared_backbone
from maieutic.score.registry import Request

#: options of scorers that ask a language model
OPTIONS = ("judge", "base_url")
#: rises when the prompts or the sampling change: scores of different versions do not compare
VERSION = 1


@dataclass(eq=False, kw_only=True)
class Judge:
    """A model that judges.

    Attributes:
        name: ``provider/model``.
        base_url: of its server, where one was given.
        model: the backbone.
    """

    name: str
    model: Backbone
    base_url: str | None = None
    _without_logprobs: bool = False

    def ask(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """Answers in order. Providers that turn log-probabilities down are asked again without."""
        asked = [replace(p, logprobs=0) for p in prompts] if self._without_logprobs else list(prompts)
        answers = self.model.ask(asked)
        refused = [a for a in answers if a.failed and "logprob" in a.failed]
        if answers and len(refused) == len(answers):
            self._without_logprobs = True
            return self.ask(prompts)
        return answers

    def told(self) -> dict[str, Any]:
        """What belongs into the details of every score: another judge's scores are others."""
        served = {} if self.base_url is None else {"base_url": self.base_url}
        return {"judge": self.name, **served, "judged_version": VERSION}


def check(**options: Any) -> None:
    """Whether a judge can be had with these options, before anything is measured.

    Raises:
        UserError: no judge was named, the name is wrong, or a package is missing.
    """
    judge_with(options)


def judge_of(request: Request) -> Judge:
    """The judge that the request names; one a run."""
    key = ("judge", str(request.options.get("judge")), request.options.get("base_url"))
    return request.shared.once(key, lambda: judge_with(request.options), holding=request.options.get("judge"))


def judge_with(options: Mapping[str, Any]) -> Judge:
    """The judge of these options."""
    named, url = options.get("judge"), options.get("base_url")
    if isinstance(named, Backbone):
        return Judge(name=named.name, model=named, base_url=url)
    if not named:
        raise UsageError("judged scorers ask a language model: name one, as in  --judge openai/gpt-5-mini")
    return Judge(name=str(named), model=shared_backbone(str(named), url), base_url=url)
