"""Transcripts of agents, read from a run folder for its report. Everything in them is data: pages escape it.

A transcript that is damaged or was changed by hand is left out with a reason; nothing outside its folder is read.
"""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from maieutic.report.model import ReportCode, ReportImage, ReportMessage, ReportSession, ReportTranscript

if TYPE_CHECKING:
    from PIL.Image import Image

#: how ids of pictures that a model was shown begin
SEEN = "seen "
PICTURE = re.compile(r"[0-9a-f]{32}\.(?:png|jpeg|webp)")


def read_transcript(folder: Path, unit: str, explainer: str) -> ReportTranscript | None:
    """The transcript of a unit in a run's ``transcripts`` folder, or ``None`` when there is none."""
    file = folder / (re.sub(r"[^A-Za-z0-9.-]", "_", unit) + f".{explainer}.json")
    if not file.is_file():
        return None
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        sessions = tuple(_session(run, folder) for run in data["runs"])
        log = file.with_suffix(".eval")
        return ReportTranscript(model=str(data["model"]), sessions=sessions, log=log if log.is_file() else None)
    except (ValueError, KeyError, TypeError, OSError) as error:
        broken = ReportSession(name="unreadable", outcome=f"the transcript cannot be read ({type(error).__name__})")
        return ReportTranscript(model="", sessions=(broken,))


def _session(run: Any, folder: Path) -> ReportSession:
    return ReportSession(
        name=str(run["name"]),
        outcome=str(run.get("outcome", "")),
        messages=tuple(_message(m, folder) for m in run["messages"]),
    )


def _message(message: Any, folder: Path) -> ReportMessage:
    parts: list[str | ReportCode | ReportImage] = []
    for part in cast("list[dict[str, Any]]", message["parts"]):
        if "code" in part:
            parts.append(ReportCode(text=str(part["code"])))
        elif "image" in part:
            name = str(part["image"])
            file = folder / "pictures" / name
            if PICTURE.fullmatch(name) and file.is_file():
                parts.append(ReportImage(load=partial(_picture, file), alt="shown to the model", id=f"{SEEN}{name}"))
            else:
                parts.append("[a picture that is not there]")
        else:
            parts.append(str(part.get("text", "")))
    return ReportMessage(role=str(message["role"]), parts=tuple(parts))


def _picture(file: Path) -> Image:
    from PIL import Image as Images

    return Images.open(file).convert("RGB")
