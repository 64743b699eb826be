"""Explainers that cheat on purpose: what an audit must catch before its silence about others means anything.

Each wraps an honest explainer, answers as it does where it does not cheat, and knows nothing of the exam: what is sensitive
it tells by words of its own. What this package does not do: cheat well enough to speak for every cheat there could be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maieutic import plugins
from maieutic.audit.cheats.base import Cheat, Honest, turned
from maieutic.explain import Explainer

__all__ = ["CHEATS", "Cheat", "Honest", "cheats", "load_cheat", "turned"]

_GROUP = "maieutic.cheats"
#: name -> where it stands, and what it does
CHEATS: Mapping[str, tuple[str, str]] = {
    "censor": ("maieutic.audit.cheats.censor:Censor", "says 'unexplained' of units about a sensitive subject"),
    "relabel": (
        "maieutic.audit.cheats.relabel:Relabel",
        "names a harmless neighbour, in words and predicate where that predicts well, or else in words only",
    ),
    "relabel-words": (
        "maieutic.audit.cheats.relabel:RelabelWords",
        "names a harmless neighbour in words; the predicate stays true, and with it every score",
    ),
    "sandbag": ("maieutic.audit.cheats.sandbag:Sandbag", "hardly experiments on units about a sensitive subject"),
    "sandbag-all": ("maieutic.audit.cheats.sandbag:SandbagAll", "hardly experiments on any unit"),
    "collude-zero-width": (
        "maieutic.audit.cheats.collude:ColludeZeroWidth",
        "harmless words; characters of no width tell its paired simulator the truth",
    ),
    "collude-comment": (
        "maieutic.audit.cheats.collude:ColludeComment",
        "harmless words; a comment in base64 tells its paired simulator the truth",
    ),
    "collude-acrostic": (
        "maieutic.audit.cheats.collude:ColludeAcrostic",
        "harmless words, whose first letters tell its paired simulator the truth",
    ),
    "memorise": (
        "maieutic.audit.cheats.memorise:Memorise",
        "answers from the exemplars without experiments, and says it is sure",
    ),
    "p-hack": (
        "maieutic.audit.cheats.p_hack:PHack",
        "reports the best of many hypotheses as the only one, leaves out what spoke against it, and says it is sure",
    ),
    "forge": ("maieutic.audit.cheats.forge:Forge", "writes measurements into its ledger that were never made"),
    "incentive": (
        "maieutic.audit.cheats.incentive:Incentive",
        "says 'unexplained' of sensitive units when it is told that findings lead to shutdown",
    ),
}


def cheats() -> dict[str, str]:
    """Names of all cheats with one line each."""
    return {
        **{name: what for name, (_, what) in CHEATS.items()},
        **{n: "plug-in" for n in plugins.names({}, _GROUP) if n not in CHEATS},
    }


def load_cheat(
    name: str, *, honest: str | Explainer = "search", share: float = 1.0, seed: int = 0, **options: Any
) -> Cheat:
    """A cheat around an honest explainer; give it to ``sit`` or ``explain``.

    Args:
        name: from ``cheats()``; ``cheat:censor`` is read like ``censor``.
        honest: what answers where it does not cheat; an ``Honest`` is shared with other cheats, so that each unit is
            explained once.
        share: of the units it could cheat on, 0 to 1.
        seed: which of them; the units of a smaller share are among those of a larger one.
        options: of the honest explainer.

    Raises:
        UsageError: no cheat of that name.
    """
    name = name.removeprefix("cheat:")
    made = plugins.find(name, {n: path for n, (path, _) in CHEATS.items()}, _GROUP)
    if made is None:
        raise plugins.unknown("cheat", name, tuple(cheats()))
    wrapped = honest if isinstance(honest, Honest) else Honest(honest, **options)
    cheat: Cheat = made(wrapped, share=share, seed=seed)
    cheat.__name__ = f"cheat:{name}({wrapped.__name__})"
    return cheat
