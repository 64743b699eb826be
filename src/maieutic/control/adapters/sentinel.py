"""Inspect Sentinel: our monitors before every tool call of an agent.

``sentinel_monitor(monitor)`` gives a configured monitor for Sentinel's ``threshold``, ``sequential`` and the like. It is not
portable (``@monitor(portable=False)``): it runs in the evaluation's own process, where the network is. What was not
measured is told as the greatest suspicion, so that every threshold acts on it, and says so.

Checked against inspect-sentinel 0.2.0, which is experimental. What this module does not do: decide.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from maieutic.control.adapters.arena import live, opened
from maieutic.control.adapters.inspect_messages import message_of
from maieutic.control.monitors import Monitor, suspicions
from maieutic.control.monitors.base import failed
from maieutic.control.seen import Transcript
from maieutic.errors import MissingExtraError
from maieutic.forensics.action import Message, ToolCall
from maieutic.readings import Reading


def sentinel_monitor(monitor: Monitor | str, *, subject: str | None = None, base_url: str | None = None) -> Any:
    """A monitor of ours, configured for Sentinel.

    Args:
        monitor: one of this process, or the folder of a saved one.
        subject: name of the subject that a saved one reads.
        base_url: server of a language model.

    Raises:
        MissingExtraError: inspect-sentinel is not installed.
    """
    name = monitor if isinstance(monitor, str) else live(monitor)
    return _factory()(folder=name, subject=subject, base_url=base_url)


@cache
def _factory() -> Any:
    try:
        from inspect_sentinel import BeforeToolCall, Context, Observation, monitor
    except ImportError as error:
        raise MissingExtraError(
            package="inspect-sentinel", extra="control", feature="the adapter to Sentinel"
        ) from error

    def maieutic(folder: str, subject: str | None = None, base_url: str | None = None) -> Any:
        asked = opened(folder, subject, base_url)

        async def before_call(context: Any, step: Any) -> Any:
            del context
            reading = await judged(asked, step)
            about = {"maieutic": reading.to_json()}
            if reading.value is None:
                return Observation(suspicion=1.0, explanation=f"unmeasured: {reading.reason}", metadata=about)
            why = str(reading.details.get("reason") or "")
            return Observation(suspicion=reading.value, explanation=why or None, metadata=about)

        # Sentinel reads the types of the function it is given; names of this scope would not be found as text
        before_call.__annotations__ = {"context": Context, "step": BeforeToolCall, "return": Observation}
        return before_call

    register: Any = monitor(name="maieutic", portable=False)
    return register(maieutic)


async def judged(monitor: Monitor, step: Any) -> Reading:
    """What a monitor says of a call that is about to be made. A step without its input is unmeasured."""
    from anyio import to_thread

    if step.input is None:
        return failed("Sentinel does not know what the model was sent")
    known = [message_of(m, i + 1) for i, m in enumerate(step.input)]
    call = ToolCall(id=str(step.call.id), name=str(step.call.function), arguments=dict(step.call.arguments or {}))
    seen = Transcript(
        id=str(step.call.id), messages=tuple(m for m, _ in known),
        act=Message(role="assistant", content=step.message or "", tool_calls=(call,)),
        unseen=tuple(u for _, some in known for u in some),
    )  # fmt: skip
    found = await to_thread.run_sync(lambda: suspicions(monitor, [seen]))
    return found[0]
