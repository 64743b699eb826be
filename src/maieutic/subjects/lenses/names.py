"""Lenses by name: ``smollm2-135m+heads+logits:281,282`` is a model and two lenses, told apart by ``+``.

A model's name or a lens's file may contain ``+`` itself: a part counts as a lens only where it begins with the name of one, and a
path that exists is never cut. What this module does not do: it imports no torch until a lens is attached.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from maieutic.errors import UsageError, did_you_mean
from maieutic.subjects.base import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class LensKind:
    """A lens that can stand in a subject's name.

    Attributes:
        module: beside this one. function: in it, from subject and argument to the subject with the lens's sites.
        argument: what stands after the colon, for people; in brackets where it may be left out.
        what: one line for people.
    """

    module: str
    function: str = "attach"
    argument: str
    what: str


LENSES: dict[str, LensKind] = {
    "heads": LensKind(module="heads", argument="", what="attention heads, by the norm of what each adds"),
    "logits": LensKind(module="logits", argument="[:CLASSES or TOKENS]", what="what the network finally says"),
    "directions": LensKind(module="directions", argument=":FILE", what="named directions (maieutic directions)"),
    "sae": LensKind(
        module="sae_sites",
        function="open_latents",
        argument=":FOLDER",
        what="latents of a sparse autoencoder (maieutic sae)",
    ),
}


def split_lenses(name: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The name of the model, and the lenses after it as (name, argument).

    Raises:
        UsageError: a part after ``+`` is no lens.
    """
    parts = _parts(name)
    for part in parts:
        path, _, rest = part.partition("+")
        if rest and not _exists(part):
            near = did_you_mean(rest.partition(":")[0], LENSES)
            known = ", ".join(f"+{n}{k.argument}" for n, k in LENSES.items())
            raise UsageError(
                f"{name!r}: no lens is called {rest.partition(':')[0]!r}{near}: after {path} write {known}"
            )
    base, *lenses = parts
    found = [lens.partition(":") for lens in lenses]
    return base, tuple((kind, argument) for kind, _, argument in found)


def attach(subject: Subject, lenses: Sequence[tuple[str, str]]) -> Subject:
    """The subject with the sites of lenses, in the order given.

    Raises:
        UserError: a lens does not fit the subject, or its file cannot be read.
    """
    for kind, argument in lenses:
        wanted = LENSES[kind]
        found = import_module(f"maieutic.subjects.lenses.{wanted.module}")
        subject = getattr(found, wanted.function)(subject, argument)
    return subject


def _parts(name: str) -> list[str]:
    """The model and each lens with its argument."""
    parts: list[str] = []
    begins = re.compile(rf"({'|'.join(LENSES)})(:|$)")
    pieces = name.split("+")
    for i, piece in enumerate(pieces):
        # a path that exists is one, whatever its name looks like, and the longest counts
        if parts and (
            not begins.match(piece) or any(_exists("+".join([parts[-1], *pieces[i:j]])) for j in _ends(i, pieces))
        ):
            parts[-1] += f"+{piece}"
        else:
            parts.append(piece)
    return parts


def _ends(i: int, pieces: Sequence[str]) -> range:
    return range(i + 1, len(pieces) + 1)


def _exists(part: str) -> bool:
    """Whether what stands after the colon of a model or lens is a file or folder."""
    kind, _, path = part.partition(":")
    return bool(path) and "+" not in kind and Path(path).expanduser().exists()
