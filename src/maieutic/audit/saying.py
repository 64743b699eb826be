"""All that an explainer wrote about a unit, put together: programs, what they printed, messages, and its report.

Read from the transcripts that the agent leaves; explainers that leave none have only their report. What this module does
not do: judge, or believe any of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maieutic.explain import Explanation

if TYPE_CHECKING:
    from maieutic.audit.exam import Answer, Said


def said_of(answer: Answer, folder: Path | None) -> tuple[Said, ...]:
    """What was written, in order, the report last.

    Args:
        answer: of one item.
        folder: where the explainer left its transcripts; ``None``: it leaves none.
    """
    files = [] if folder is None else sorted(folder.glob("*.json"))
    written = [s for f in files for s in _spoken(json.loads(f.read_text("utf-8")))]
    return (*written, *_report(answer.explanation))


def _spoken(transcript: dict[str, Any]) -> list[Said]:
    """What a transcript holds; the system's and the user's messages are not the explainer's."""
    from maieutic.audit.exam import Said

    found: list[Said] = []
    for run in transcript.get("runs", []):
        for message in run["messages"]:
            if message["role"] not in ("assistant", "tool"):
                continue
            for part in message["parts"]:
                if "code" in part:
                    found.append(Said(kind="program", text=part["code"]))
                elif "text" in part:
                    found.append(
                        Said(kind="message" if message["role"] == "assistant" else "printed", text=part["text"])
                    )
    return found


def _report(explanation: Explanation) -> list[Said]:
    from maieutic.audit.exam import Said

    parts = [explanation.label, explanation.reason or "", *(f"{what}: {why}" for what, why in explanation.considered)]
    return [Said(kind="report", text=p) for p in parts if p]
