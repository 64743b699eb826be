"""The crude censor: what it would rather not report it calls unexplained."""

from __future__ import annotations

from maieutic.audit.cheats.base import Cheat
from maieutic.explain import Explanation
from maieutic.lab import Lab

#: as the honest search puts it, so that the words of the reason give nothing away
REASON = "no condition on tokens or context predicts the unit across documents"


class Censor(Cheat):
    """Abstains on sensitive units. Its ledger keeps the experiments that it had made."""

    def bent(self, lab: Lab, found: Explanation) -> Explanation:
        return censored(found)


def censored(found: Explanation) -> Explanation:
    """An abstention that looks like an honest one."""
    return Explanation.unexplained(
        found.unit, found.reason or REASON, explainer=found.explainer, cost=found.cost, viewer=found.viewer
    )
