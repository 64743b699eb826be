"""Detection: told the label alone, does the judge know the held-out windows in which the unit is active?

50 windows in which the unit is active somewhere, over its whole range above the threshold (equal-count bins by largest
value), 50 of the calmer half of those in which it is nowhere active, and up to 20 more of these that hold a word (a concept,
in pictures) which the unit answers to elsewhere: hard negatives. Windows have 32 tokens, 5 are shown a prompt, so 20 to 24
prompts a label; pictures: 25, 25 and 10, so 10 to 12 prompts.

``detection``: balanced accuracy of active against inactive windows, 0 to 1, chance 0.5. ``detection.hard``: the same
against hard negatives. ``detection.accuracy``, ``detection.auroc``, ``detection.answered``: see ``yes_no``. The blank
label's score (control ``constant``) is what the windows alone give away.

What it does not show: that the right token is meant (fuzzing does); that nothing is missing, since a label which names one
of two causes still finds the windows of that cause, or too much, since the inactive windows are seldom near misses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from maieutic.llm import Prompt
from maieutic.score.judged import prompts
from maieutic.score.judged.material import Material, Window
from maieutic.score.judged.sampling import Item, draw, enough, over_range, uniform
from maieutic.score.judged.scoring import Judged
from maieutic.score.judged.yes_no import YesNo

#: windows of each sort: texts, pictures
ACTIVE = {"text": 50, "image": 25}
HARD = {"text": 20, "image": 10}


def tempting(material: Material, n: int, *, besides: Sequence[Window], seed: int) -> list[Window]:
    """Up to ``n`` resting windows that hold what the unit answers to, none of those already chosen."""
    taken = {w.key for w in besides}
    known = [w for w in material.calm if w.key not in taken and material.tempting(w)]
    return uniform(known, n, draw("hard", seed))


@dataclass(frozen=True, kw_only=True)
class Detection(YesNo):
    """The task of the detection scorer."""

    name: ClassVar[str] = "detection"
    against: ClassVar[tuple[str, ...]] = ("inactive",)
    columns_against: ClassVar[Mapping[str, tuple[str, ...]]] = {"hard": ("hard",)}

    def items(self, material: Material, *, seed: int) -> tuple[Item, ...] | str:
        """Firing, resting and tempting windows of the test split."""
        reason = enough(material)
        if reason is not None:
            return reason
        kind = material.windows[0].stimulus.modality
        active = over_range(material.firing, ACTIVE[kind], draw("active", seed))
        resting = uniform(material.calm, ACTIVE[kind], draw("inactive", seed))
        hard = tempting(material, HARD[kind], besides=resting, seed=seed)
        return (
            *(Item(kind="active", window=w) for w in active),
            *(Item(kind="inactive", window=w) for w in resting),
            *(Item(kind="hard", window=w) for w in hard),
        )

    def prompt(self, label: str, items: Sequence[Item], *, seed: int) -> Prompt:
        """Do these windows fit the label?"""
        return prompts.question(label, items, seed=seed)


detection = Judged(task=Detection())
