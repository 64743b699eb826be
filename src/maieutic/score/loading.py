"""Stimuli that cannot be loaded: found, counted and left out, never a crash and never a zero."""

from __future__ import annotations

from collections.abc import Sequence

from maieutic.stimuli.base import Stimulus


def loadable(stimuli: Sequence[Stimulus]) -> tuple[list[Stimulus], dict[str, str]]:
    """The stimuli whose content can be had, in order, and of the others id -> why not.

    Cost: loads each stimulus once; nothing is kept.
    """
    kept: list[Stimulus] = []
    failed: dict[str, str] = {}
    for stimulus in stimuli:
        try:
            _ = stimulus.content
        except Exception as error:  # loaders may be anyone's: a missing file, a damaged picture, a lost connection
            failed[stimulus.id] = one_line(error)
        else:
            kept.append(stimulus)
    return kept, failed


def one_line(error: BaseException) -> str:
    """What was raised, in one line; the errors of maieutic speak for themselves."""
    from maieutic.errors import UserError

    text = " ".join(str(error).split()) or "no message"
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"[:300]
