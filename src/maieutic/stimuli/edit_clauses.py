"""Instructions for edits read into steps: an instruction is cut into clauses, each matched against a list of forms.

``read_edit("remove the dog, then make it grey")`` gives two steps with a verb and what it is about. What this module
does not do: look at a picture, or decide whether a step can be done.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from maieutic.stimuli.imagine_phrase import words_of
from maieutic.stimuli.imagine_words import COLOURS, PLACES

#: what can be asked for, shown when an instruction is not understood
FORMS: tuple[str, ...] = (
    "remove the X", "replace the X with a Y", "add a Y on the left", "only the X", "put it on grass",
    "put it on a grey background", "remove the background", "blur the background", "move it left",
    "move it to the top right", "make it smaller", "make it twice as large", "make it red", "fill it with stripes",
    "make it a silhouette", "mirror it", "hide the top half", "cover the left half", "make the image grey",
    "blur the image", "turn it upside down", "rotate the image by 90 degrees", "shift its hue by 120 degrees",
    "zoom in", "crop to the left half",
)  # fmt: skip
#: forms that need no knowledge of what the picture shows
WHOLE_FORMS: tuple[str, ...] = (
    "make the image grey", "blur the image", "turn it upside down", "rotate the image by 90 degrees",
    "mirror the image", "shift its hue by 120 degrees", "cover the top half", "zoom in", "crop to the left half",
)  # fmt: skip
#: parts of a picture or an object: left, top, right, bottom in fractions
PARTS: dict[str, tuple[float, float, float, float]] = {
    "top half": (0.0, 0.0, 1.0, 0.5), "bottom half": (0.0, 0.5, 1.0, 1.0), "left half": (0.0, 0.0, 0.5, 1.0),
    "right half": (0.5, 0.0, 1.0, 1.0), "top third": (0.0, 0.0, 1.0, 0.334), "bottom third": (0.0, 0.666, 1.0, 1.0),
    "left third": (0.0, 0.0, 0.334, 1.0), "right third": (0.666, 0.0, 1.0, 1.0), "top": (0.0, 0.0, 1.0, 0.5),
    "bottom": (0.0, 0.5, 1.0, 1.0), "left": (0.0, 0.0, 0.5, 1.0), "right": (0.5, 0.0, 1.0, 1.0),
    "upper half": (0.0, 0.0, 1.0, 0.5), "lower half": (0.0, 0.5, 1.0, 1.0), "middle": (0.25, 0.25, 0.75, 0.75),
    "centre": (0.25, 0.25, 0.75, 0.75), "upper part": (0.0, 0.0, 1.0, 0.5), "lower part": (0.0, 0.5, 1.0, 1.0),
    "head": (0.0, 0.0, 1.0, 0.334), "face": (0.0, 0.0, 1.0, 0.334), "legs": (0.0, 0.666, 1.0, 1.0), "feet": (0.0, 0.8, 1.0, 1.0),
}  # fmt: skip
_PART = "|".join(sorted(PARTS, key=len, reverse=True))
#: parts of a body, of which only the usual place is known
BODY: Mapping[str, str] = {"head": "top third", "face": "top third", "legs": "bottom third", "feet": "bottom fifth"}
_BODY = "|".join(BODY)
_COLOUR = "|".join(COLOURS)
_PLACE = "|".join(sorted(PLACES, key=len, reverse=True))
_IMAGE = r"(?:the )?(?:whole )?(?:image|scene|everything)"
_PUT = r"(?:put|place|set|show|move)"
_TURN = r"(?:change|turn|transform|convert|make|switch)"
_GREY = r"greyscale|grey|black and white|colourless"
_TARGET = r"(?P<x>.+?)"
#: form → verb, tried in this order on a whole clause
_STEPS: tuple[tuple[str, str], ...] = (
    (r"(?:remove|drop|take out|take away) (?:all )?(?:the |its )?colours?|desaturate(?: .+)?", "grey"),
    (r"(?:remove|delete|erase|drop)(?: the)? background|(?:with )?no background|without(?: the)? background", "plain"),
    (r"(?:keep |show |leave )?only (?P<x>.+)|isolate (?P<x2>.+)", "only"),
    (r"(?:remove|delete|erase) (?:everything|all|all objects) (?:except|but)(?: for)? (?P<x>.+)|keep (?P<x2>.+)", "keep"),
    (rf"(?:hide|remove|cut off|cut away|delete|erase|crop off) (?:the |its )?(?P<part>{_PART})(?: of (?P<x>the .+))?",
     "hide"),
    (rf"(?:hide|remove|cut off|cut away|delete|erase) (?:the |its )?(?P<x>.+) (?P<part>{_BODY})", "hide"),
    (r"(?:remove|delete|erase|drop|take out|take away|get rid of|without) (?P<x>.+)", "remove"),
    (r"(?:swap|exchange|switch) (?:the places of )?(?P<x>.+) and (?P<y>.+)", "exchange"),
    (rf"(?:blur|defocus) (?:only )?(?:the |its )?background|{_TURN} (?:the |its )?background blurred", "blur_ground"),
    (r"(?:change|replace|swap|set|make) (?:the |its )?(?:\w+ )?background (?:with |by |to |into |for )?(?P<y>.+)", "ground"),
    (rf"(?:change|set|turn|make) (?:the |its )?colours? (?:of {_TARGET} )?(?:to |into )?(?P<y>{_COLOUR})", "colour"),
    (r"(?:replace|swap|exchange|substitute) (?P<x>.+?) (?:with|by|for|to|into) (?P<y>.+)", "replace"),
    (rf"{_TURN} {_IMAGE} (?:to |into )?(?:{_GREY})|(?:to |in )?(?:{_GREY})|make (?:it|them) (?:in )?(?:{_GREY})"
     rf"|{_TURN} (?:it )?(?:to |into )(?:{_GREY})", "grey"),
    (rf"blur(?: {_IMAGE}| it| them)?|(?:{_TURN} (?:{_IMAGE}|it|them) )?(?:very )?(?:blurred|out of focus)", "blur"),
    (rf"(?:(?:turn|make|flip|rotate) (?:{_IMAGE}|it|them) )?upside(?: |-)down|(?:flip|mirror) {_IMAGE} vertically|"
     r"(?:flip|mirror)(?: it)? vertically", "over"),
    (r"(?:make|turn|flip|rotate) (?P<x>.+?) upside(?: |-)down", "over_one"),
    (rf"(?:rotate|turn)(?: {_IMAGE}| it)?(?: by)? (?P<n>-?\d{{1,3}})(?: ?degrees?| ?deg)?", "rotate"),
    (rf"(?:rotate|turn)(?: {_IMAGE}| it)?(?: sideways)?", "sideways"),
    (rf"(?:flip|mirror) {_IMAGE}(?: horizontally)?|make {_IMAGE} mirrored", "mirror"),
    (r"(?:flip|mirror)(?: (?P<x>.+?))?(?: horizontally)?|make (?P<x2>.+?) mirrored", "flip"),
    (r"(?:shift|turn|rotate|change) (?:the |its )?hues?(?: of (?P<x>.+?))?(?: by (?P<n>-?\d{1,3})(?: degrees?)?)?",
     "hue"),
    (r"zoom in(?: on (?P<x>.+))?|crop to (?P<x2>(?!the (?:" + _PART + r")).+)|crop (?:tightly|closer)", "zoom"),
    (rf"crop (?:to )?(?:the |its )?(?P<part>{_PART})(?: of {_IMAGE})?", "crop"),
    (rf"(?:cover|occlude|block|mask|censor|hide) (?:the |its )?(?P<part>{_PART})(?: of (?P<x>.+?))?"
     rf"(?: with (?:a |an )?(?P<y>{_COLOUR})?.*)?", "cover"),
    (rf"(?:cover|occlude|block|mask|censor|hide) (?:the |its )?(?P<x>(?:(?! with ).)+?)(?: (?P<part>{_BODY}))?"
     rf"(?: with (?:a |an )?(?P<y>{_COLOUR})? ?(?:box|square|rectangle|patch|mask|bar))?", "cover"),
    (r"(?:add|insert|include|draw|paste) (?P<y>.+)", "add"),
    (rf"{_PUT} {_TARGET} (?:to|at|in|on|into|towards) (?:the )?(?P<place>{_PLACE})(?: (?:corner|half|side|part))?"
     rf"(?: of {_IMAGE})?", "place"),
    (rf"(?:move|shift|put|place) {_TARGET} (?:a bit |further |slightly )?(?:to (?:the )?)?(?P<way>left|right|up|down"
     r"|upwards?|downwards?)", "move"),
    (r"(?:fill|texture|cover|paint) (?P<x>.+?) (?:with|in|by) (?P<y>.+)|make (?P<x2>.+?) (?:out )?of (?P<y2>.+)",
     "fill"),
    (rf"(?:colour|paint|tint|dye|recolour|{_TURN}) {_TARGET} (?:in |to |into )?(?P<y>{_COLOUR})", "colour"),
    (r"recolour(?: (?P<x>.+))?", "hue"),
    (r"(?:turn|make|change|convert|transform)(?: (?P<x>.+?))? (?:into |to |as )?(?:a |an |black )*silhouettes?"
     r"|silhouette(?: (?P<x2>.+))?", "silhouette"),
    (r"(?:make|scale|draw) (?P<x>.+?) (?P<n>twice|half|three times|\d+ times) (?:as |the )?(?:large|big|small|size).*",
     "scale"),
    (r"(?:make )(?P<x>.+?) (?P<much>much |a lot |slightly |a bit )?(?P<size>smaller|larger|bigger|tiny|small|huge|big"
     r"|large)|(?P<size2>shrink|enlarge)(?: (?P<x2>.+))?", "resize"),
    (rf"{_PUT} (?P<x>it|them|(?:the |this |that )?\S+(?: \S+)?) (?:on|in|at|against|onto|into|over|under|near|in front of)"
     r" (?P<y>.+)", "ground"),
    (r"(?:on|in|against|at|in front of) (?P<y>.+)", "ground"),
    (r"(?:put|place) (?P<y>.+)", "add"),
    (rf"{_TURN} (?P<x>.+?) (?:into |to )(?P<y>.+)", "replace"),
    (r"make (?P<x>it|them|.+?) (?P<y>\S+)", "fill"),
)  # fmt: skip
_SAME = (r"(?: ,)?(?: but| while| and)* (?:keep|keeping|leave|leaving|without changing) (?:the |its |everything|all)[^,]*?"
         r"(?: the same| unchanged| as it is| as is| intact| else|$)+")  # fmt: skip
_VERBS = ("remove|delete|erase|replace|swap|put|place|move|make|turn|flip|mirror|blur|add|hide|cover|rotate|crop|zoom|"
          "change|keep|fill|colour|recolour|paint|shift|isolate|shrink|enlarge|show")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One edit: a verb of ``_STEPS``, the object it is about (``x``), what with (``y``), and the clause in words."""

    verb: str
    x: str = ""
    y: str = ""
    n: str = ""
    part: str = ""
    clause: str


def read_edit(instruction: str) -> tuple[list[Step], list[str]]:
    """The steps of an instruction, in order, and the clauses that no form fits."""
    text = " ".join(w for w in words_of(instruction) if w != "please")
    text = re.sub(r" ?, ?", " , ", f" {text} ").strip()
    # what is to stay as it is stays anyway
    text = re.sub(_SAME, "", text)
    text = re.sub(rf" instead of (?:{_COLOUR})\b| (?:from|in) (?:the |this )?(?:image|scene)(?= |$)", "", text)
    clauses = re.split(rf" , (?:and |then )*| then | and (?=(?:{_VERBS})\b)", f"{text} ")
    steps: list[Step] = []
    unknown: list[str] = []
    for clause in (c.strip(" ,") for c in clauses):
        if clause:
            step = _step(clause)
            (steps if step is not None else unknown).append(clause if step is None else step)  # pyright: ignore
    return steps, unknown


def _step(clause: str) -> Step | None:
    for form, verb in _STEPS:
        match = re.fullmatch(form, clause)
        if match is None:
            continue
        got = {k: v for k, v in match.groupdict().items() if v}

        def first(*names: str, got: dict[str, str] = got) -> str:
            return next((got[n] for n in names if n in got), "").strip()

        return Step(
            verb=verb,
            x=first("x", "x2", "x3"),
            y=first("y", "y2", "way", "place", "size", "size2"),
            n=first("n", "much"),
            part=first("part"),
            clause=clause,
        )
    return None
