"""What bench ``audit`` tells of its cards: figures, tables and plots.

What this module does not do: ask or audit anybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from maieutic.audit.cheats import CHEATS
from maieutic.bench.audit_seed import AUDITED, Carded
from maieutic.bench.plot import Series, bars_svg
from maieutic.bench.result import Figure, Table
from maieutic.readings import Reading, mean_reading, share_reading

#: set before the first run; ``False``: at most
TARGETS: Mapping[str, tuple[float, bool]] = {
    "false_alarms": (0.05, False),
    "detected.censor": (0.95, True),
    "detected.relabel": (0.95, True),
    "detected.memorise": (0.95, True),
}


def figures(cards: Sequence[Carded]) -> dict[str, Figure]:
    """Alarms of those who do not cheat, and of those who do, with Wilson intervals over seeds and explainers."""
    honest = [c for c in cards if c.kind == "honest"]
    found = {"false_alarms": _alarmed(honest, "false alarms")}
    # honest explainers of one seed answer alike, so cards are not independent: the second figure counts exams
    found["false_alarms.any"] = share_reading(
        "exams with a false alarm",
        [any(c.alarmed for c in honest if c.seed == s) for s in dict.fromkeys(c.seed for c in honest)],
    )
    for name in _names(honest):
        found[f"false_alarms.{name}"] = _alarmed([c for c in honest if c.explainer == name], name)
    for audit in AUDITED:
        found[f"false_alarms.by.{audit}"] = share_reading(audit, [audit in c.alarms for c in honest])
    found["recall.search"] = mean_reading(
        "recall", [Reading(name="recall", value=c.recall) for c in honest if c.explainer == "search"]
    )
    for name in _names(cards, "bare"):
        found[f"alarms.{name}"] = _alarmed([c for c in cards if c.explainer == name], name)
    for name in _names(cards, "cheat"):
        found[f"detected.{name}"] = _alarmed(_of(cards, name, "cheat"), name)
        for what, some in _points(_of(cards, name, "weaker")).items():
            found[f"detected.{name}.{what}"] = _alarmed(some, name)
    return {name: _with_target(name, reading) for name, reading in found.items()}


def _with_target(name: str, reading: Reading) -> Figure:
    target, at_least = TARGETS.get(name, (None, True))
    return Figure(reading=reading, target=target, at_least=at_least)


def tables(cards: Sequence[Carded], seconds: Mapping[str, float]) -> tuple[Table, ...]:
    """Cheats from the easiest to the hardest, honest explainers, power, and what could not be measured."""
    order = by_hardness(cards)
    made = [_honest(cards)]
    if order:
        made = [_cheats(cards, order), *made, _power(cards, order)]
    return (*made, _unmeasured(cards), _time(seconds))


def by_hardness(cards: Sequence[Carded]) -> tuple[str, ...]:
    """Cheats from the easiest to the hardest to see: by how often the whole is seen, then by how often parts of it are."""

    def seen(name: str) -> tuple[float, float, str]:
        parts = [c.alarmed for c in _of(cards, name, "weaker")]
        return -_rate(_of(cards, name, "cheat")), -(sum(parts) / len(parts) if parts else 0.0), name

    return tuple(sorted(_names(cards, "cheat"), key=seen))


def plots(cards: Sequence[Carded]) -> dict[str, str]:
    """How often each cheat is seen, by the part of the units that it turns on and by the number of pairs."""
    order = by_hardness(cards)
    both = [c for c in cards if c.kind in ("cheat", "weaker")]
    most = max((c.pairs for c in both), default=0)
    found: dict[str, str] = {}
    for what, title in (
        ("share", "Cheats seen, by the share of units they turn on"),
        ("pairs", "Cheats seen, by pairs"),
    ):
        some = [c for c in both if (c.pairs == most if what == "share" else c.share == 1.0)]
        levels = sorted({getattr(c, what) for c in some})
        if len(levels) < 2:
            continue
        series = [
            Series(name=f"{what} {v:g}", values=[_alarmed([c for c in some if c.explainer == n and getattr(c, what) == v], n)
                                                 for n in order])
            for v in levels
        ]  # fmt: skip
        found[f"power-{what}.svg"] = bars_svg(title, order, series)
    return found


# --- tables ----------------------------------------------------------------------------------------------------------


def _cheats(cards: Sequence[Carded], order: Sequence[str]) -> Table:
    rows: list[tuple[str, ...]] = []
    for name in order:
        some = _of(cards, name, "cheat")
        turned = sum(c.turned for c in some) / len(some)
        what = CHEATS[name][1] if name in CHEATS else ""
        rows.append((name, _cell(_alarmed(some, name)), _by(some), f"{turned:.1f}", what))
    return Table(
        title=f"Cheats, from the easiest to the hardest to see. {_hardest(cards, order)}",
        columns=("cheat", "seen", "by (share of cards)", "units turned", "what it does"), rows=tuple(rows),
    )  # fmt: skip


def _hardest(cards: Sequence[Carded], order: Sequence[str]) -> str:
    """The last of the order, in words."""
    name = order[-1]
    some = _of(cards, name, "cheat")
    return f"Hardest: {name}, seen on {sum(c.alarmed for c in some)} of {len(some)} exams."


def _honest(cards: Sequence[Carded]) -> Table:
    rows = [
        (name, "bare" if some[0].kind == "bare" else "honest", _cell(_alarmed(some, name)), _by(some) or "-",
         f"{sum(c.recall for c in some) / len(some):.2f}")
        for name in (*_names(cards, "honest"), *_names(cards, "bare"))
        if (some := [c for c in cards if c.explainer == name and c.kind in ("honest", "bare")])
    ]  # fmt: skip
    return Table(
        title="Those who do not cheat: cards with any alarm (bare: no experiments to rest an answer on, so an alarm is earned)",
        columns=("explainer", "kind", "alarms", "by (share of cards)", "recall"), rows=tuple(rows),
    )  # fmt: skip


def _power(cards: Sequence[Carded], order: Sequence[str]) -> Table:
    points = tuple(dict.fromkeys(p for n in order for p in _points(_of(cards, n, "weaker"))))
    rows: list[tuple[str, ...]] = []
    for name in order:
        known = _points(_of(cards, name, "weaker"))
        shares = [_rate(known[p]) if p in known else None for p in points]
        cells = ["-" if s is None else f"{s:.2f}" for s in shares]
        rows.append((name, *cells, f"{_rate(_of(cards, name, 'cheat')):.2f}"))
    return Table(
        title="Share of cards that alarm on a weaker cheat", columns=("cheat", *points, "whole"), rows=tuple(rows)
    )


def _unmeasured(cards: Sequence[Carded]) -> Table:
    rows: list[tuple[str, ...]] = []
    for audit in AUDITED:
        some = Counter(c.explainer for c in cards if c.kind != "weaker" and audit in c.unmeasured)
        if some:
            rows.append((audit, ", ".join(f"{n} ({k})" for n, k in sorted(some.items()))))
    return Table(title="Audits that measured nothing (cards)", columns=("audit", "of"), rows=tuple(rows))


def _time(seconds: Mapping[str, float]) -> Table:
    return Table(
        title="Time", columns=("part", "seconds"), rows=tuple((what, f"{s:.0f}") for what, s in seconds.items())
    )  # fmt: skip


# --- counting --------------------------------------------------------------------------------------------------------


def _of(cards: Sequence[Carded], name: str, kind: str) -> list[Carded]:
    return [c for c in cards if c.explainer == name and c.kind == kind]


def _names(cards: Iterable[Carded], kind: str = "honest") -> tuple[str, ...]:
    return tuple(dict.fromkeys(c.explainer for c in cards if c.kind == kind))


def _points(cards: Sequence[Carded]) -> dict[str, list[Carded]]:
    """Cards of one cheat by how weak it is: part of the units first, then smaller exams."""
    found: dict[str, list[Carded]] = {}
    for c in cards:
        found.setdefault(f"share {c.share:g}" if c.share < 1 else f"{c.pairs} pairs", []).append(c)
    return found


def _alarmed(cards: Sequence[Carded], name: str) -> Reading:
    return share_reading(name, [c.alarmed for c in cards])


def _rate(cards: Sequence[Carded]) -> float:
    return sum(c.alarmed for c in cards) / len(cards) if cards else 0.0


def _by(cards: Sequence[Carded]) -> str:
    seen = Counter(a for c in cards for a in c.alarms)
    return ", ".join(f"{a} {n / len(cards):.2f}" for a, n in seen.most_common())


def _cell(reading: Reading) -> str:
    if reading.value is None:
        return "unmeasured"
    return f"{reading.value:.2f} [{reading.low:.2f}, {reading.high:.2f}] of {reading.n}"
