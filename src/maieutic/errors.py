"""Errors for people: one line that ends in what to do.

Programmers' mistakes are ``assert``; everything here is something a user can put right, and the command line prints
it as one line without a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something the user gave or has is wrong; the message says what to do next. Exit code 1."""


class UsageError(UserError):
    """An argument is wrong (unknown name, empty selection). Exit code 2 on the command line."""


class MissingExtraError(UserError):
    """A package that an optional feature needs is not installed."""

    def __init__(self, *, package: str, extra: str, feature: str) -> None:
        super().__init__(f"{feature} needs the package {package!r}: run  pip install 'maieutic[{extra}]'")


class StoreError(UserError):
    """A run folder is corrupt, foreign, newer than this version, locked, or cannot be written."""


class BudgetExhaustedError(UserError):
    """An explainer asked the lab for more than its budget allows."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the nearest known name, or an empty string."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""
