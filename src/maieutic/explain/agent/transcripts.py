"""Transcripts: what was said and shown, read out of the `.eval` log into plain JSON beside it, which the report shows.

Pictures are files named by their content. Text in a transcript is data: whoever renders it escapes it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inspect_ai.model import ChatMessage

    from maieutic.explain.agent.conclude import Conclusion

_URI = re.compile(r"data:image/(png|jpeg|webp);base64,(.+)", re.DOTALL)


def file_name(unit: str, explainer: str, suffix: str) -> str:
    """File name of a unit's transcript: the key with everything but letters, digits, dots and dashes as ``_``."""
    return re.sub(r"[^A-Za-z0-9.-]", "_", unit) + f".{explainer}{suffix}"


def write_transcript(log: Path, *, conclusions: Sequence[Conclusion] = ()) -> Path:
    """Write ``<log>.json``: per run the messages and how it ended. Returns its path."""
    from inspect_ai.log import read_eval_log

    written = read_eval_log(str(log), resolve_attachments="full")
    pictures = log.parent / "pictures"
    runs = [
        {"name": str(sample.id), "messages": [_message(m, pictures) for m in sample.messages]}
        for sample in written.samples or []
    ]
    for run, conclusion in zip(runs, conclusions, strict=False):
        run["outcome"] = conclusion.failed or conclusion.reason or conclusion.label
    path = log.with_suffix(".json")
    path.write_text(
        json.dumps({"model": written.eval.model, "log": log.name, "runs": runs}, indent=1), encoding="utf-8"
    )
    return path


def _message(message: ChatMessage, pictures: Path) -> dict[str, Any]:
    parts: list[dict[str, str]] = []
    content = message.content if isinstance(message.content, list) else [message]
    for part in content:
        if part.__class__.__name__ == "ContentImage":
            parts.append({"image": keep_picture(part.image, pictures)})  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]
        elif getattr(part, "text", ""):
            parts.append({"text": str(part.text)})  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]
    for call in getattr(message, "tool_calls", None) or []:
        parts.append({"code": str(call.arguments.get("code", call.arguments))})
    error = getattr(message, "error", None)
    if error is not None:
        parts.append({"text": f"{error.type}: {error.message}"})
    return {"role": message.role, "parts": parts}


def keep_picture(uri: str, folder: Path) -> str:
    """A data URI as a file named by its content; its name comes back."""
    match = _URI.fullmatch(uri)
    if match is None:
        return ""
    data = base64.b64decode(match.group(2))
    name = f"{hashlib.sha256(data).hexdigest()[:32]}.{match.group(1)}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return name
