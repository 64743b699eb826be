"""The predicates that a submission may use, one line each, as the agent is told of them."""

from __future__ import annotations

import re
from dataclasses import fields

from maieutic.explain import predicates as every
from maieutic.explain.predicates.base import Predicate
from maieutic.explain.predicates.vocabulary import vocabulary
from maieutic.subjects.base import Modality

#: of either modality, in the order they are listed
_COMMON = ("and", "or", "not", "scaled")
#: tables that describe a unit token by token: they score well and explain nothing
_TABLES = frozenset({"phrases", "rule_set", "token_strengths"})


def predicate_kinds(modality: Modality) -> dict[str, str]:
    """Name of each predicate of a modality, to its fields and what it says."""
    kinds = {
        op: kind
        for op, kind in Predicate.registry.items()
        if op in _COMMON or (_modality(kind) == modality and op not in _TABLES)
    }
    return {op: _line(op, kinds[op]) for op in [*_COMMON, *sorted(k for k in kinds if k not in _COMMON)]}


def _modality(kind: type[Predicate]) -> str:
    module = kind.__module__
    if not module.startswith(every.__name__):
        return ""  # registered elsewhere (a test, a plug-in): its owner documents it
    name = module.rpartition(".")[2]
    return "image" if name.startswith("image") else "text" if name.startswith("text") else ""


def _line(op: str, kind: type[Predicate]) -> str:
    said = " ".join((kind.__doc__ or "").split()).partition(". ")[0].rstrip(".")
    takes = ", ".join(f"{f.name}: {_type(str(f.type))}" for f in fields(kind))  # pyright: ignore[reportArgumentType]
    names = [f"{field}: {', '.join(known)}" for (owner, field), known in vocabulary().items() if owner == op]
    return f"({takes}) {said}" + (f" [{'; '.join(names)}]" if names else "")


def _type(written: str) -> str:
    return re.sub(r"^tuple\[(.*), \.\.\.\]$", r"list of \1", written)
