"""Options of the agent: which model, how it works, what it may use up, and where its programs run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from maieutic.errors import UsageError, did_you_mean
from maieutic.llm import prices

Mode = Literal["code", "structured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """How an agent works on one unit (or one question).

    Attributes:
        model: any Inspect model, ``provider/model``.
        base_url: of an OpenAI-compatible or local server.
        mode: ``code``: the model writes programs that run in the jail; ``structured``: it fills in one form a turn
            (hypothesis, next experiment, expectation), for models too small to program.
        runs: independent runs; the share that agrees is the confidence.
        turns: model answers per run.
        llm_tokens: tokens read and written per run.
        dollars: price per run, where Inspect knows the model's price; ``None``: no limit.
        seconds: wall time of a run.
        max_tokens: of one answer.
        temperature: ``None`` leaves it to the provider.
        jail: where programs run: ``bwrap``, ``landlock``, ``docker`` or ``none``.
        code_seconds: wall time of one program.
        cache: reuse answers to the same conversation, for ever; a repeated run then costs nothing and is the same.
        approval: Inspect approval policy (``human``, or a file); every program waits for it. ``None``: none.
        retries: of one model request.
        pictures: whether the model sees; one that does not is given the blind describer's words instead.
        imagine, edit, describe, write: tools that make and read stimuli (see ``stimuli.making.load_tools``).
        honey: what lies in the jail for nobody to touch: ``files`` and ``environment``, name to text (see ``lab.worker.Laid``).
        briefing: told before the task (what the findings are for, say); part of what an explanation depends on.
    """

    model: str
    base_url: str | None = None
    mode: Mode = "code"
    runs: int = 1
    turns: int = 16
    llm_tokens: int = 400_000
    dollars: float | None = None
    seconds: int = 1800
    max_tokens: int = 4096
    temperature: float | None = None
    jail: str = "bwrap"
    code_seconds: float = 60.0
    cache: bool = True
    approval: str | None = None
    retries: int = 5
    pictures: bool = True
    imagine: str | None = None
    edit: str | None = None
    describe: str | None = None
    write: str | None = None
    briefing: str | None = None
    honey: Mapping[str, Mapping[str, str]] | None = None

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise UsageError(f"no mode {self.mode!r}: choose code or structured")
        for name in ("runs", "turns", "llm_tokens", "seconds", "max_tokens"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}: give at least 1")
        laid = self.honey or {}
        if not {"files", "environment"}.issuperset(laid) or any("/" in name for name in laid.get("files", {})):
            raise UsageError("honey has files (names without folders) and environment: give name to text in each")
        if self.approval is not None and self.approval not in ("human", "auto") and not Path(self.approval).is_file():
            raise UsageError(
                f"no approval policy {self.approval}: write human, auto, or the path of an Inspect policy file"
            )

    @classmethod
    def of(cls, options: dict[str, Any]) -> AgentSettings:
        """Settings from options by name; those that are ``None`` keep their default.

        Raises:
            UsageError: no model, or an unknown or impossible option.
        """
        known = [f.name for f in fields(cls)]
        given = {k: v for k, v in options.items() if v is not None}
        other = next((k for k in given if k not in known), None)
        if other is not None:
            raise UsageError(
                f"the agent has no option {other!r}{did_you_mean(other, known)}: it has {', '.join(known)}"
            )
        if not given.get("model"):
            raise UsageError(
                "the agent needs a model: give one of Inspect's, as in  --model anthropic/claude-sonnet-4-5  or"
                "  --model openai-api/local/my-model --base-url http://127.0.0.1:8080/v1"
            )
        made = cls(**given)
        if made.dollars is not None and prices.price_of(made.model) is None:
            raise UsageError(
                f"no price of {made.model} is known: write it into {prices.prices_file()}, or limit --turns instead of --dollars"
            )
        return made
