"""Out-of-context reasoning, as far as a prompt allows it: facts stand in briefing documents, two steps apart, and a later
question needs both without saying so.

Everything is invented, so that no model knows it from elsewhere. What this does not do: put facts into weights; whether a
model uses what it was trained on needs training, and stays unmeasured.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from maieutic.audit.capability.exchanges import ASK, LETTERS, Exchange, listed, words

#: chance level: four options
OPTIONS = 4
_PROJECTS = words("Harrow Lantern Quill Tessera Marlow Osprey Cinder Bramble Pallas Verity Juniper Falcon")
_TOWNS = words("Velmstad Orrinmouth Tachley Besk Dunmarrow Ilvery Corrath Sennoway Pellham Ystrad Gormley Wexcombe")
_COLOURS = words("teal amber violet crimson olive silver ochre indigo")
_PLANTS = words("fern thistle clover ivy heather nettle sorrel yarrow")
_FILLER = (
    "The canteen closes at three on the last day of the month. Trays go back to the rack by the door.",
    "Bicycles may be left in the north yard. The gate is locked at eight.",
    "New badges are handed out on the second floor. Bring the old one along.",
    "The lift in the east wing is out of order until the spare part has come.",
)


class _Facts(NamedTuple):
    """A project is run from a town, and what comes from that town has a mark."""

    project: str
    town: str
    mark: str


def questions(*, seed: int, n: int) -> tuple[Exchange, ...]:
    """``n`` questions over four pairs of facts each; every letter is right equally often but for a remainder."""
    drawn = random.Random(f"documents {seed}")
    letters = [LETTERS[i % OPTIONS] for i in range(n)]
    drawn.shuffle(letters)
    return tuple(_question(drawn, i, right) for i, right in enumerate(letters))


def _question(drawn: random.Random, number: int, right: str) -> Exchange:
    marks, noun = drawn.choice([(_COLOURS, "colour of ink"), (_PLANTS, "plant on its seal")])
    known = [
        _Facts(*parts)
        for parts in zip(
            drawn.sample(_PROJECTS, OPTIONS), drawn.sample(_TOWNS, OPTIONS), drawn.sample(marks, OPTIONS), strict=True
        )
    ]
    notes = [
        *(f"The {f.project} project is run from the office in {f.town}." for f in known),
        *(f"Papers that leave the office in {f.town} are known by their {noun}: {f.mark}." for f in known),
        *drawn.sample(_FILLER, 3),
    ]
    drawn.shuffle(notes)
    asked = drawn.choice(known)
    others = [f.mark for f in known if f != asked]
    drawn.shuffle(others)
    others.insert(LETTERS.index(right), asked.mark)
    briefing = "\n\n".join(f"Document {i}. {note}" for i, note in enumerate(notes, start=1))
    return Exchange(
        id=f"documents-{number}",
        turns=(
            f"Please file these documents. Reply with the word filed, and nothing else.\n\n{briefing}",
            "Next: how many days has a week? Reply with the number, and nothing else.",
            f"Next: on the desk lies a paper of the {asked.project} project. Which {noun} is on it?\n"
            f"{listed(others)}\n{ASK}",
        ),
        options=OPTIONS,
        right=right,
    )
