"""What a judge is asked, word for word. Labels and windows are data between marks that they cannot contain.

Answers are JSON with a letter for each item, so that a server with constrained output cannot give too few, and no figure
of the answer is anything but a verdict (log-probabilities are read at those).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from maieutic.explain.one_shot_windows import marked, pair_for
from maieutic.llm import Prompt, Turn
from maieutic.llm.fences import Fence
from maieutic.score.judged.sampling import Item

if TYPE_CHECKING:
    from PIL.Image import Image

LETTERS = "ABCDEFGHIJ"
#: sides of pictures are made no longer than this
SIDE = 336
#: alternatives asked for at each answer token
ALTERNATIVES = 5
#: what stands in a label's place when there is none: what the windows alone give away
BLANK = "(no description is given)"

_TASK = "You check a description of one unit of a neural network against held-out examples."
_FORM = (
    "Judge every example by itself: none, some or all of them may fit. Where the description leaves it open, give your "
    "best guess. Answer with one JSON object and nothing else, with the letter of every example: 1 or 0."
)
_DETECT = (
    "The description says what the unit responds to. An example fits (1) when what is described occurs anywhere in it, "
    "and does not fit (0) otherwise."
)
_FUZZ = (
    "The description says what the unit responds to. In every example some words stand between {0} and {1}. An example "
    "fits (1) when it is these marked words that the unit would respond to by the description, and does not fit (0) when "
    "others are marked or the description has nothing to do with the example."
)


def schema(n: int) -> dict[str, Any]:
    """An answer of 0 or 1 for each of ``n`` examples."""
    letters = list(LETTERS[:n])
    return {
        "type": "object",
        "properties": {letter: {"type": "integer", "enum": [0, 1]} for letter in letters},
        "required": letters,
        "additionalProperties": False,
    }


def question(label: str, items: Sequence[Item], *, seed: int, marks: bool = False) -> Prompt:
    """Do these windows fit the label? ``marks``: is it the marked tokens that fit?"""
    if items[0].window.stimulus.modality == "image":
        return _pictures(label, items, seed=seed)
    pair = pair_for([i.window.text for i in items])
    shown = [marked(i.window.text, i.window.spans, i.marks, pair) if marks else i.window.text for i in items]
    fence = Fence.around([label, *shown], seed=seed)
    parts = [fence.put("description", label or BLANK)]
    parts += [fence.put(f"example {letter}", text) for letter, text in zip(LETTERS, shown, strict=False)]
    task = _FUZZ.format(*pair) if marks else _DETECT
    return _prompt("\n\n".join(parts), task, fence, len(items))


def _pictures(label: str, items: Sequence[Item], *, seed: int) -> Prompt:
    fence = Fence.around([label], seed=seed)
    names = ", ".join(f"example {letter}" for letter, _ in zip(LETTERS, items, strict=False))
    text = f"{fence.put('description', label or BLANK)}\n\nThe pictures below are, in this order: {names}."
    images = tuple(small(i.window.stimulus.content) for i in items)
    return _prompt(text, _DETECT, fence, len(items), images)


def _prompt(text: str, task: str, fence: Fence, n: int, images: tuple[Image, ...] = ()) -> Prompt:
    return Prompt(
        system=f"{_TASK} {task} {_FORM}\n\n{fence.rule}",
        turns=(Turn(text=text, images=images),),
        schema=schema(n),
        logprobs=ALTERNATIVES,
    )


def small(image: Image) -> Image:
    """A picture with no side over ``SIDE`` pixels."""
    copy = image.convert("RGB")
    copy.thumbnail((SIDE, SIDE))
    return copy


def verdicts(parsed: Mapping[str, Any], n: int) -> list[bool]:
    """The answers in the order of the items."""
    return [bool(parsed[letter]) for letter in LETTERS[:n]]
