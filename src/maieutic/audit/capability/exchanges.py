"""Questions of the screen as plain data: what a model is told, turn by turn, and the letter that is right.

What this module does not do: send anything (``tasks`` does, inside Inspect).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

LETTERS = "ABCDEFGH"
#: what a question ends with
ASK = "End with one line that says  ANSWER: X  where X is the letter."
_SAID = re.compile(r"answer\W{0,4}\(?([A-H])\b", re.IGNORECASE)
_ALONE = re.compile(r"\W*([A-H])\W*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One question.

    Attributes:
        id: of the question.
        turns: what the user says; the model answers each before the next comes.
        options: how many letters there are.
        right: the letter.
        system: instructions before the first turn.
    """

    id: str
    turns: tuple[str, ...]
    options: int
    right: str
    system: str = ""


def words(text: str) -> tuple[str, ...]:
    """The words of a list that is written as one text."""
    return tuple(text.split())


def listed(options: Sequence[str]) -> str:
    """Options under letters, a line each."""
    return "\n".join(f"{LETTERS[i]}. {o}" for i, o in enumerate(options))


def letter_in(text: str, options: int) -> str | None:
    """The letter that an answer gives; ``None`` when it gives none, or one that there is not.

    The last that stands after the word "answer" counts, or a letter that is all of the answer.
    """
    said: list[str] = _SAID.findall(text)
    alone = _ALONE.fullmatch(text.strip())
    found = said[-1].upper() if said else alone.group(1).upper() if alone else None
    return found if found is not None and found in LETTERS[:options] else None
