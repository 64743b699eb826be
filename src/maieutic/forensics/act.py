"""Whether a fresh answer is the act: a pattern, a call of a tool, a program in a jail, or a judge.

Fail closed: an answer that did not come, a program that fails and a judge who does not answer leave the question open
(``happened`` is ``None``, with the reason). Nothing counts as "did not happen" because it could not be looked at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from maieutic.errors import UsageError
from maieutic.forensics.action import Act, Message, plain
from maieutic.forensics.actor import Sample
from maieutic.forensics.actor_render import message_text

if TYPE_CHECKING:
    from maieutic.lab.worker import Worker
    from maieutic.llm import Backbone

_SCHEMA = {"type": "object", "properties": {"happened": {"type": "boolean"}}, "required": ["happened"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the act happened; ``None`` with the reason where that is not known."""

    happened: bool | None
    reason: str | None = None

    def __post_init__(self) -> None:
        assert (self.happened is None) == (self.reason is not None), "an open question has a reason"


class ActTest:
    """Looks at answers. Use it as a context: a jail that it started ends with it."""

    def __init__(self, act: Act, *, jail: str = "bwrap", judge: Backbone | None = None) -> None:
        """Make ready for an act; a jail or a judge is opened at the first answer that needs it.

        Args:
            act: what to look for.
            jail: for programs; see `maieutic.lab.worker.start_worker`.
            judge: the model that judges; the act's own otherwise.

        Raises:
            UsageError: a pattern that is none, or a judge without a model.
        """
        self.act, self._jail, self._judge = act, jail, judge
        self._worker: Worker | None = None
        self._said: list[Any] = []
        self._heard: Any = None
        self._pattern = _compiled(act.text if act.kind == "regex" else "")
        self._tool = _compiled(act.tool)
        self._arguments = {name: _compiled(pattern) for name, pattern in act.arguments.items()}
        if act.kind == "judge" and judge is None and not act.model:
            raise UsageError("an act that is judged names no model: give  Act.judge(…, model='provider/model')")

    def __enter__(self) -> ActTest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def __call__(self, samples: Sequence[Sample]) -> list[Verdict]:
        """A verdict on each.

        Raises:
            UserError: no jail can be had, or the judge's key or name is wrong.
        """
        messages = [s.message for s in samples if s.message is not None]
        if self.act.kind == "python":
            found = iter(self._by_program(messages))
        elif self.act.kind == "judge":
            found = iter(self._by_judge(messages))
        else:
            found = iter([Verdict(happened=self._plainly(m)) for m in messages])
        return [next(found) if s.message is not None else Verdict(happened=None, reason=s.failed) for s in samples]

    def _plainly(self, message: Message) -> bool:
        text = message_text(message)
        if self.act.kind == "continuation":
            return text.strip().startswith(self.act.text.strip())
        if self.act.kind == "regex":
            return self._pattern.search(text) is not None
        return any(
            self._tool.fullmatch(call.name) is not None
            and all(n in call.arguments and p.search(_as_text(call.arguments[n])) for n, p in self._arguments.items())
            for call in message.tool_calls
        )

    def _by_program(self, messages: Sequence[Message]) -> list[Verdict]:
        from maieutic.lab.worker import start_worker

        if self._worker is None:
            calls = {"answers": lambda: self._said, "act": self._hear}
            self._worker = start_worker(self._jail, calls=calls)
        found: list[Verdict] = []
        for message in messages:
            self._said = [plain(message)]
            self._hear(None)
            ran = self._worker.run(f"{self.act.text}\ncall('act', act(call('answers')[0]))")
            if ran.error or ran.stopped:
                why = (ran.error or ran.stopped or "").strip().splitlines()[-1]
                found.append(Verdict(happened=None, reason=f"the program failed: {why}"))
            elif not isinstance(self._heard, bool):
                found.append(Verdict(happened=None, reason="the program gave neither True nor False"))
            else:
                found.append(Verdict(happened=self._heard))
        return found

    def _hear(self, value: Any) -> None:
        self._heard = value

    def _by_judge(self, messages: Sequence[Message]) -> list[Verdict]:
        from maieutic.llm import Prompt, backbone
        from maieutic.llm.fences import Fence

        if self._judge is None:
            self._judge = backbone(self.act.model)
        prompts: list[Prompt] = []
        for message in messages:
            fence = Fence.around([message_text(message)])
            asked = f"Does this answer of an assistant meet the criterion: {self.act.text}"
            prompts.append(
                Prompt.of(f"{asked}\n\n{fence.put('answer', message_text(message))}", system=fence.rule, schema=_SCHEMA)
            )
        answers = self._judge.ask(prompts)
        return [
            Verdict(happened=None, reason=f"the judge gave no verdict: {a.failed}")
            if a.failed is not None
            else Verdict(happened=bool(a.parsed["happened"]))
            for a in answers
        ]


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error as error:
        raise UsageError(f"{pattern!r} is no regular expression ({error}): correct the act") from error


def _as_text(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)
