"""Fuzzing: told the label alone, does the judge know whether the marked tokens are those at which the unit is active?

50 firing windows over the whole range with the right tokens marked (0.3 of the window's largest activation and above, on
the unit's 0-1 scale), 25 other firing windows with wrong tokens marked, and 25 resting windows with some tokens marked.
Wrong marks have the number and the spacing of right ones, moved to another place. 5 are shown a prompt: 20 prompts.

``fuzzing``: balanced accuracy of right marks against both sorts of others, 0 to 1, chance 0.5. ``fuzzing.localised``:
against wrong marks in firing windows only, the real test of *where*; ``fuzzing.elsewhere``: against marks in resting
windows, which detection alone can solve (what delphi calls fuzzing by default). ``fuzzing.accuracy``, ``fuzzing.auroc``,
``fuzzing.answered``: see ``yes_no``. The blank label's score (control ``constant``) is what marks alone give away: right
marks stand on words of some sort more often than moved ones do.

What it does not show: that nothing is missing, or too much, in the label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from maieutic.llm import Prompt
from maieutic.score.judged import prompts
from maieutic.score.judged.material import Material, Window
from maieutic.score.judged.sampling import Item, draw, enough, over_range, right_marks, shifted, uniform
from maieutic.score.judged.scoring import Judged
from maieutic.score.judged.yes_no import YesNo

#: windows with right marks, and with each sort of others
RIGHT, OTHERS = 50, 25
NO_TOKENS = "fuzzing marks tokens, and here every {what} has one value: use detection"


def untokened(material: Material) -> str | None:
    """Why nothing can be marked, or ``None``."""
    if not material.whole:
        return None
    what = "picture" if material.windows and material.windows[0].stimulus.modality == "image" else "text"
    return NO_TOKENS.format(what=what)


@dataclass(frozen=True, kw_only=True)
class Fuzzing(YesNo):
    """The task of the fuzzing scorer."""

    name: ClassVar[str] = "fuzzing"
    against: ClassVar[tuple[str, ...]] = ("wrong", "elsewhere")
    columns_against: ClassVar[Mapping[str, tuple[str, ...]]] = {"localised": ("wrong",), "elsewhere": ("elsewhere",)}

    def items(self, material: Material, *, seed: int) -> tuple[Item, ...] | str:
        """Right marks, wrong marks, and marks in resting windows."""
        reason = untokened(material) or enough(material)
        if reason is not None:
            return reason
        rng = draw("fuzz", seed)
        chosen = over_range(material.firing, RIGHT + OTHERS, rng)
        right, wrong = _shared(chosen)
        marks = [right_marks(w) for w in right]
        found = [Item(kind="active", window=w, marks=m) for w, m in zip(right, marks, strict=True)]
        for window in wrong:
            own = right_marks(window)
            moved = shifted(own, len(window.spans), rng, off=[*own, *(i for i, a in enumerate(window.active) if a)])
            if moved:  # a window that is active throughout has no wrong place
                found.append(Item(kind="wrong", window=window, marks=moved))
        for window in uniform(material.calm, OTHERS, rng):
            pattern = marks[int(rng.integers(len(marks)))]
            found.append(Item(kind="elsewhere", window=window, marks=shifted(pattern, len(window.spans), rng)))
        return tuple(found)

    def prompt(self, label: str, items: Sequence[Item], *, seed: int) -> Prompt:
        """Are the marked tokens what the label says?"""
        return prompts.question(label, items, seed=seed, marks=True)


def _shared(chosen: Sequence[Window]) -> tuple[list[Window], list[Window]]:
    """Windows for right and for wrong marks: every third for wrong ones where there are many, else all for both."""
    if len(chosen) < RIGHT:
        step = max(-(-len(chosen) // OTHERS), 1)
        return list(chosen), list(chosen[::step])
    wrong = list(chosen[1::3])[:OTHERS]
    taken = {w.key for w in wrong}
    return [w for w in chosen if w.key not in taken][:RIGHT], wrong


fuzzing = Judged(task=Fuzzing())
