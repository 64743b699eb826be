"""``scripted/<name>``: an Inspect provider whose answers are written by a Python function. No network, no vocabulary.

For tests, demonstrations and replays: a script sees the conversation and gives the next message. Unlike Inspect's
``mockllm`` every output carries its usage (counted in characters / 4), so nothing is fetched to count tokens.
It does not imitate a model: it says exactly what its script says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from maieutic.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from inspect_ai.model import ChatMessage, GenerateConfig, ModelOutput
    from inspect_ai.tool import ToolInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a script answers.

    Attributes:
        text: the message.
        code: when given, a call of the tool ``tool`` with this as its first argument.
        tool: name of the tool.
        arguments: arguments of the call instead of ``code``.
        stop: why the model stopped (``stop``, ``max_tokens``, ``content_filter`` …).
        logprobs: per token its alternatives.
    """

    text: str = ""
    code: str | None = None
    tool: str = "python"
    arguments: Mapping[str, Any] | None = None
    stop: str = "stop"
    logprobs: tuple[Mapping[str, float], ...] = field(default=())


#: (messages, tools, config) -> what to say
Script = Callable[["list[ChatMessage]", "list[ToolInfo]", "GenerateConfig"], "Said | str"]
_scripts: dict[str, Script] = {}


def script(name: str, write: Script) -> str:
    """Register a script; the model is called ``scripted/<name>``, which is returned. A later one replaces it."""
    _scripts[name] = write
    return f"scripted/{name}"


@cache
def register() -> None:
    """Tell Inspect about the provider (once a process)."""
    from inspect_ai.model import GenerateConfig as Config
    from inspect_ai.model import ModelAPI, modelapi

    @modelapi(name="scripted")
    class Scripted(ModelAPI):  # pyright: ignore[reportUnusedClass]
        def __init__(
            self,
            model_name: str,
            base_url: str | None = None,
            api_key: str | None = None,
            config: Any = None,
            **more: Any,
        ) -> None:
            super().__init__(model_name, base_url, api_key, [], config or Config())
            if model_name not in _scripts:
                raise UsageError(
                    f"no script {model_name!r}{did_you_mean(model_name, _scripts)}: register it with  maieutic.llm.scripted.script"
                )

        async def generate(self, input: Any, tools: Any, tool_choice: Any, config: Any) -> Any:
            said = _scripts[self.model_name](input, tools, config)
            return _output(self.model_name, Said(text=said) if isinstance(said, str) else said, input)

        async def count_text_tokens(self, text: str) -> int:
            return max(1, len(text) // 4)


def _output(model: str, said: Said, messages: list[ChatMessage]) -> ModelOutput:
    from inspect_ai.model import ChatCompletionChoice, ChatMessageAssistant, Logprob, Logprobs, ModelUsage, TopLogprob
    from inspect_ai.model import ModelOutput as Output
    from inspect_ai.tool import ToolCall

    arguments = dict(said.arguments or {}) if said.code is None else {"code": said.code}
    calls = (
        [ToolCall(id=f"call-{len(messages)}", function=said.tool, arguments=arguments)]
        if said.code is not None or said.arguments is not None
        else None
    )
    tops = [
        Logprob(
            token=max(t, key=lambda k: t[k]), logprob=max(t.values()),
            top_logprobs=[TopLogprob(token=k, logprob=v) for k, v in t.items()],
        )
        for t in said.logprobs
    ]  # fmt: skip
    choice = ChatCompletionChoice.model_validate(
        {
            "message": ChatMessageAssistant(
                content=said.text, tool_calls=calls, model=f"scripted/{model}", source="generate"
            ),
            "stop_reason": "tool_calls" if calls else said.stop,
            "logprobs": Logprobs(content=tops) if tops else None,
        }
    )
    read = sum(len(m.text) for m in messages) // 4
    written = max(1, (len(said.text) + len(said.code or "")) // 4)
    usage = ModelUsage(input_tokens=read, output_tokens=written, total_tokens=read + written)
    return Output(model=f"scripted/{model}", choices=[choice], usage=usage)
