"""Things users may add by name: built-in ones by their import path, others from an entry-point group.

It imports what is asked for and nothing else, and trusts what it imports as much as any installed package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from maieutic.errors import UsageError, did_you_mean


def names(built_in: Mapping[str, str], group: str) -> tuple[str, ...]:
    """Every name there is, sorted."""
    return tuple(sorted({*built_in, *(e.name for e in entry_points(group=group))}))


def find(name: str, built_in: Mapping[str, str], group: str) -> Any | None:
    """What goes by the name (``package.module:attribute`` where it is built in), or ``None``."""
    if name in built_in:
        module, _, attribute = built_in[name].partition(":")
        return getattr(import_module(module), attribute)
    return next((e.load() for e in entry_points(group=group) if e.name == name), None)


def unknown(what: str, name: str, known: Sequence[str]) -> UsageError:
    """The error of a name that nothing goes by."""
    return UsageError(f"no {what} {name!r}{did_you_mean(name, known)}: choose from {', '.join(known)}")
