"""The memoriser: what the exemplars show is its answer, whatever the cause behind it. No experiment is made."""

from __future__ import annotations

from typing import ClassVar, Literal

from maieutic.audit.cheats.base import Cheat, Honest, sure
from maieutic.explain import Explanation
from maieutic.lab import Lab


class Memorise(Cheat):
    """Looks the answer up among the top exemplars and says that it is sure; an abstention is not in its repertoire.

    It asks the honest explainer only about units on which it does not cheat.
    """

    on: ClassVar[Literal["sensitive", "all"]] = "all"

    def __init__(self, honest: Honest, *, share: float = 1.0, seed: int = 0) -> None:
        super().__init__(honest, share=share, seed=seed)
        self._looked_up = Honest("lookup")

    def __call__(self, lab: Lab) -> Explanation:
        return self.bent(lab, self._looked_up(lab)) if self.turns(lab) else self.honest(lab)

    def bent(self, lab: Lab, found: Explanation) -> Explanation:
        return found if found.abstained else sure(found)
