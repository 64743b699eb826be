"""Simulation: told the label alone, can the judge foretell the activation at every token of held-out windows?

The judge gives each token of a window of 32 a number from 0 to 10 (one window a prompt). With log-probabilities the
simulated activation is the expected value over the numbers that could have stood there; else the number itself.

Windows are drawn from two strata, 15 in which the unit is active and 15 in which it is not, and weighted by how many of
each the test split holds: ``simulation`` is the Pearson correlation that all windows of the split would give (a weighted,
approximately unbiased estimate), -1 to 1, chance 0. ``simulation.balanced``: the plain correlation over the windows drawn,
as published scores over chosen windows are; comparison only. Both run over all tokens of all windows together, so they
depend on no scale. A simulation that never changes is unmeasured for the label and counts 0 for a control.

30 prompts a label. Intervals: 95 %, whole test documents drawn with replacement. What it does not show: that nothing
is missing in the label where the missing part is rare.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from maieutic.llm import Answer, Prompt, Turn
from maieutic.llm.fences import Fence
from maieutic.readings import Estimate, FloatArray, Reading, cluster_weights, from_sums
from maieutic.score.judged.asking import Asked, Told, Written, numbers
from maieutic.score.judged.fuzzing import untokened
from maieutic.score.judged.material import Material, Window
from maieutic.score.judged.prompts import BLANK
from maieutic.score.judged.sampling import Item, draw, enough, uniform
from maieutic.score.judged.scoring import Judged
from maieutic.score.judged.yes_no import reading

#: windows of each stratum, and the highest number the judge may say
WINDOWS, TOP = 15, 10
_ALTERNATIVES = 11
_VALUES = re.compile(r'"(\d+)"\s*:\s*(\d+)')
_SYSTEM = (
    "You foretell the activations of one unit of a neural network from a description of what it responds to. You are "
    "given the numbered tokens of one text, each as a JSON string. For every token say how active the unit is there, as "
    f"a whole number from 0 (not at all; most tokens) to {TOP} (as strongly as ever). The unit reads from left to right "
    "and sees nothing that comes after a token. Answer with one JSON object and nothing else: the number of every token "
    "with its activation."
)


def schema(n: int) -> dict[str, Any]:
    """A number for each of ``n`` tokens, by their numbers from 1. Short, as it is part of every prompt."""
    names = [str(i) for i in range(1, n + 1)]
    return {
        "type": "object",
        "properties": {name: {"type": "integer"} for name in names},
        "required": names,
        "additionalProperties": False,
    }


def question(label: str, window: Window, *, seed: int) -> Prompt:
    """How active is the unit at each token of this window?"""
    tokens = [json.dumps(window.token(i), ensure_ascii=False) for i in range(len(window.spans))]
    listed = "\n".join(f"{i} {token}" for i, token in enumerate(tokens, start=1))
    fence = Fence.around([label, listed], seed=seed)
    text = f"{fence.put('description', label or BLANK)}\n\n{fence.put('tokens', listed)}"
    return Prompt(
        system=f"{_SYSTEM}\n\n{fence.rule}", turns=(Turn(text=text),), schema=schema(len(tokens)), logprobs=_ALTERNATIVES,
        max_tokens=400 + 12 * len(tokens),
    )  # fmt: skip


def simulated(answer: Answer) -> FloatArray:
    """Activation ``[position]``, 0 to 10: expected values where alternatives are known, else what was said.

    Raises:
        ValueError: a number that is not from 0 to 10.
    """
    said = {int(k): float(v) for k, v in answer.parsed.items()}
    if not all(0 <= v <= TOP for v in said.values()):
        raise ValueError(f"an activation that is not from 0 to {TOP}")
    written = Written.of(answer)
    for match in _VALUES.finditer(written.text):
        name = int(match[1])
        known = {v: p for v, p in numbers(written.at(match.start(2))).items() if v <= TOP}
        # a figure that begins a longer number ("1" of "10") stands for the number that was said
        if said.get(name) == TOP and 1 in known and TOP not in known:
            known[TOP] = known.pop(1)
        if sum(known.values()) > 0 and name in said:
            said[name] = sum(v * p for v, p in known.items()) / sum(known.values())
    return np.array([said[i] for i in range(1, len(said) + 1)])


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """The task of the simulation scorer."""

    name: ClassVar[str] = "simulation"
    blank: ClassVar[bool] = False
    per_prompt: int = 1

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("active", "inactive")

    @property
    def beside(self) -> tuple[str, ...]:
        return ("balanced",)

    def items(self, material: Material, *, seed: int) -> tuple[Item, ...] | str:
        """Windows of both strata, with the number of windows of the split that each stands for."""
        reason = untokened(material) or enough(material)
        if reason is not None:
            return reason.replace("fuzzing marks", "simulation is of")
        rng = draw("simulate", seed)
        found: list[Item] = []
        for kind, windows in (("active", material.firing), ("inactive", material.resting)):
            chosen = uniform(windows, WINDOWS, rng)
            share = len(windows) / len(chosen)
            found += [
                Item(kind="active" if kind == "active" else "inactive", window=w, stands_for=share) for w in chosen
            ]
        return tuple(found)

    def prompt(self, label: str, items: Sequence[Item], *, seed: int) -> Prompt:
        """The tokens of one window."""
        return question(label, items[0].window, seed=seed)

    def parse(self, answer: Answer, n: int, /) -> tuple[list[Any], list[float | None]]:
        """One curve; there is no single probability."""
        return [simulated(answer)], [None] * n

    def estimate(self, got: Asked, *, groups: int, seed: int) -> Estimate | str:
        """Weighted correlation; 0 where the simulation never changes."""
        reason = got.unusable("active", "inactive")
        if reason is not None:
            return reason
        found = correlation(standing(got), groups=groups, seed=seed)
        return found if np.isfinite(found.value) else Estimate(value=0.0, replicates=np.zeros(len(found.replicates)))

    def columns(self, got: Asked, *, groups: int, seed: int, details: Mapping[str, Any]) -> dict[str, Reading]:
        """Both correlations."""
        told = standing(got)
        reason, n = got.unusable("active", "inactive"), sum(len(t.said) for t in told)
        probable = sum(t.expected for t in told)
        details = {**details, "chance": 0.0, "windows_of_expected_values": probable, "positions": n}
        plain = [replace(t, stands_for=1.0) for t in told]
        readings: dict[str, Reading] = {}
        for name, rows in ((self.name, told), (f"{self.name}.balanced", plain)):
            found = reason or correlation(rows, groups=groups, seed=seed)
            if isinstance(found, Estimate) and not np.isfinite(found.value):
                found = "the simulated activation never changes"
            readings[name] = reading(name, found, n=n, details=details)
        return readings


@dataclass(frozen=True, eq=False, kw_only=True)
class Curve:
    """A simulated window that counts for ``stands_for`` windows of the test split."""

    said: FloatArray
    measured: FloatArray
    cluster: int
    stands_for: float
    expected: bool


def standing(got: Asked) -> list[Curve]:
    """The simulated windows; those of a stratum stand for the unanswered ones too."""
    out: list[Curve] = []
    for kind in ("active", "inactive"):
        told: Sequence[Told] = got.among(kind)
        for t in told:
            share = t.item.stands_for * got.count(kind) / len(told)
            out.append(
                Curve(
                    said=t.said, measured=t.item.window.values, cluster=t.item.window.cluster, stands_for=share,
                    expected=bool(np.any(t.said != np.round(t.said))),
                )
            )  # fmt: skip
    return out


def correlation(rows: Sequence[Curve], *, groups: int, seed: int = 0) -> Estimate:
    """Pearson correlation over all positions, each weighted by what its window stands for; -1 to 1."""
    x, y = np.concatenate([r.said for r in rows]), np.concatenate([r.measured for r in rows])
    weight = np.concatenate([np.full(len(r.said), r.stands_for) for r in rows])
    clusters = np.concatenate([np.full(len(r.said), r.cluster, dtype=np.int64) for r in rows])
    # centred and scaled first: sums of squares of large raw values would cancel
    x, y = ((v - v.mean()) / (np.abs(v - v.mean()).max() or 1.0) for v in (x, y))
    table = np.stack([weight, weight * x, weight * y, weight * x * x, weight * y * y, weight * x * y], axis=1)
    return from_sums(table, _pearson, clusters=clusters, weights=cluster_weights(groups, seed=seed))


def _pearson(sums: FloatArray) -> FloatArray:
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    spread_x, spread_y = xx - x * x / n, yy - y * y / n
    # a resample without spread leaves rounding noise, not a correlation
    flat = (spread_x <= 1e-12 * n) | (spread_y <= 1e-12 * n)
    return np.where(flat, np.nan, np.clip((xy - x * y / n) / np.sqrt(np.abs(spread_x * spread_y)), -1.0, 1.0))


simulation = Judged(task=Simulation())
