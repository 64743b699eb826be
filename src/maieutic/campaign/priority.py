"""Which units of a sweep matter most: those with more activation, more effect on the outputs, or nearer to a query.

A priority decides only what is done first, and so what a limited budget is spent on; it is no evidence about a unit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from maieutic.campaign.run import Run
from maieutic.errors import UsageError
from maieutic.harvest import Exemplar
from maieutic.lab.effects import activation_mass, output_effect
from maieutic.progress import Report, silent
from maieutic.store import read_tensors, write_tensors
from maieutic.subjects import Unit

ORDERS = ("mass", "effect", "order")
_QUERY = "query:"
#: exemplars that a query is looked up in, and the tokens on either side of each
_LOOKED, _BESIDE = 10, 8
#: units between two reports of progress
_STEP = 64


def check_priority(first: str) -> str:
    """The name of a priority: ``mass``, ``effect``, ``order`` or ``query:WORDS``.

    Raises:
        UsageError: another name, or a query without a word.
    """
    if first not in ORDERS and not (first.startswith(_QUERY) and _words(first)):
        raise UsageError(f"no priority {first!r}: choose {', '.join(ORDERS)}, or query:WORDS")
    return first


def weights_of(run: Run, first: str, *, report: Report = silent) -> dict[str, float]:
    """How much each main unit matters, by key, 0 to 1; empty for ``order`` (as they come).

    ``mass``: root mean square of the activation, over the largest of the unit's site. ``effect``: what the outputs lose
    without the unit (`lab.output_effect`), over the largest; worked out once and kept in the run folder. ``query``: share
    of the unit's ten strongest discover exemplars that hold one of the words, in the text around the token, or among the
    tags and things of the picture.
    """
    if first == "order" or not run.units:
        return {}
    if first == "mass":
        found = _by_site(run.units, activation_mass(run.atlas, run.units))
    elif first == "effect":
        found = _effects(run, report)
    else:
        found = np.array([_share(run, u, _words(first)) for u in run.units])
    top = float(found.max()) or 1.0
    return {u.key: float(v) / top for u, v in zip(run.units, found, strict=True)}


def _by_site(units: Sequence[Unit], mass: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over the largest of each site: raw activations of two sites cannot be compared."""
    sites = np.array([u.site for u in units])
    top = {site: float(mass[sites == site].max()) or 1.0 for site in dict.fromkeys(sites.tolist())}
    return mass / np.array([top[s] for s in sites.tolist()])


def _effects(run: Run, report: Report) -> NDArray[np.float64]:
    file, keys = run.folder / "priority.effect.safetensors", [u.key for u in run.units]
    if file.exists():
        arrays, note = read_tensors(file)
        if note["units"] == keys:
            return arrays["effect"]
    parts: list[NDArray[np.float64]] = []
    with report("effects", run.subject.name) as step:
        for at in range(0, len(run.units), _STEP):
            parts.append(output_effect(run.subject, run.atlas, run.units[at : at + _STEP]))
            step(min(at + _STEP, len(run.units)), len(run.units))
    found = np.concatenate(parts)
    write_tensors(file, {"effect": found}, note={"units": keys})
    return found


def _words(first: str) -> set[str]:
    return set(re.findall(r"\w+", first.removeprefix(_QUERY).lower()))


def _share(run: Run, unit: Unit, words: set[str]) -> float:
    found = run.atlas.exemplars(unit, _LOOKED)
    return float(np.mean([bool(words & _said(run, e)) for e in found])) if found else 0.0


def _said(run: Run, exemplar: Exemplar) -> set[str]:
    """Words around an exemplar's token, or of its picture's tags and things."""
    stimulus = exemplar.stimulus
    if stimulus.modality == "image":
        return set(
            re.findall(r"\w+", " ".join((*stimulus.tags, *(c for t in stimulus.things for c in t.concepts))).lower())
        )
    text = str(stimulus.content)
    tokens = run.subject.tokens(text)
    first, last = max(exemplar.position - _BESIDE, 0), min(exemplar.position + _BESIDE, len(tokens) - 1)
    return set(re.findall(r"\w+", text[tokens[first].start : tokens[last].end].lower()))
