"""The edits that experiments make to a scene: what each tests, what its result is called, what it adds to a label.

Data and words only; making the edited pictures is `image_stage`'s work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["remove", "background", "replace", "silhouette", "grey", "upper hidden", "lower hidden"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One kind of edit.

    Attributes:
        kind: its name in the ledger.
        hypothesis: what it tests; ``{what}`` is the thing in the plural.
        done: the edit as the subject of a sentence.
        predicted: whether predicates see the edit (taking a thing out, yes; hiding it behind a silhouette, no).
    """

    kind: Kind
    hypothesis: str
    done: str
    predicted: bool

    def words(self, kept: float, low: float, high: float, *, named: bool) -> str:
        """What a kept share adds to the label; empty when unremarkable or too uncertain (interval over 0.6 wide).

        ``named``: whether the label is about a thing; otherwise only what holds of any picture is said.
        """
        if high - low > 0.6:
            return ""
        if not named:
            if self.kind == "remove" and kept >= 0.7:
                return f"whatever stands there ({kept:.0%} with nothing)"
            return f"in colour ({kept:.0%} in grey)" if self.kind == "grey" and kept < 0.5 else ""
        if self.kind == "silhouette" and kept >= 0.3:
            share = "mostly" if kept >= 0.75 else "about half" if kept >= 0.4 else "in part"
            return f"{share} carried by their outline ({kept:.0%} as silhouettes)"
        if self.kind == "grey" and kept < 0.5:
            return f"in colour ({kept:.0%} in grey)"
        if self.kind == "background" and kept < 0.5:
            return f"in their usual surroundings ({kept:.0%} on plain ground)"
        return ""


REMOVE = Edit(kind="remove", hypothesis="without {what} the unit rests", done="taking {what} out", predicted=True)
BACKGROUND = Edit(
    kind="background", hypothesis="{what} drive the unit on any background", predicted=True,
    done="moving {what} to neutral backgrounds",
)  # fmt: skip
REPLACE = Edit(
    kind="replace", hypothesis="the surroundings of {what} do not drive the unit", predicted=True,
    done="putting something else in the place of {what}",
)  # fmt: skip
SILHOUETTE = Edit(
    kind="silhouette",
    hypothesis="the outline of {what} drives the unit",
    done="showing {what} as silhouettes",
    predicted=False,
)
GREY = Edit(
    kind="grey", hypothesis="{what} drive the unit without colour", done="taking the colour away", predicted=False
)
UPPER = Edit(
    kind="upper hidden",
    hypothesis="the lower half of {what} drives the unit",
    done="hiding the upper half",
    predicted=False,
)
LOWER = Edit(
    kind="lower hidden",
    hypothesis="the upper half of {what} drives the unit",
    done="hiding the lower half",
    predicted=False,
)
#: edits of the leading concept, most telling first; and of the second
MAIN = (REMOVE, BACKGROUND, REPLACE, SILHOUETTE, GREY, UPPER, LOWER)
BRIEF = (REMOVE, BACKGROUND)
