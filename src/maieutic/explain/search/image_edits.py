"""The edits that experiments make to a scene: what each tests and what its result is called.

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
