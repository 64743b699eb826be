"""What an output of a network is called: a token of its vocabulary, a class of its configuration, else its number."""

from __future__ import annotations

from typing import Any, cast

from maieutic.subjects.base import Subject


def output_name(subject: Subject, index: int) -> str:
    """Name of one output, as far as the subject carries names."""
    tokenizer = cast("Any", getattr(subject, "tokenizer", None))
    if hasattr(tokenizer, "decode"):
        return str(tokenizer.decode([index]))
    config = cast("Any", getattr(getattr(subject, "model", None), "config", None))
    names = cast("dict[int, str] | None", getattr(config, "id2label", None))
    return names[index] if names and index in names else f"output {index}"
