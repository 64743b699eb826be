"""Text as it reads once nothing can be hidden in how it is written: one spelling, no markup, nothing invisible.

What this module does not do: look for what was hidden (``hidden_channels`` does), or change which words there are.
"""

from __future__ import annotations

import html
import re
import unicodedata

_COMMENT = re.compile(r"<!--.*?(?:-->|$)", re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
#: [words](address) and ![words](address): the words stay
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*(?:\s[^()]*)?\)")
_EMPHASIS = re.compile(r"(\*\*|__|~~|`+)(?=\S)(.+?)(?<=\S)\1", re.DOTALL)
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+", re.MULTILINE)
#: categories of characters that show nothing: controls, format, surrogates, private use, unassigned
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def normalised(text: str) -> str:
    """The text in NFKC, without markup, invisible characters and variation selectors; white space is single spaces.

    Idempotent. Comments and tags go with what they hold; the words of links and emphasis stay.
    """
    last = None
    while text != last:  # what was escaped, or split by invisible characters, may be markup itself
        last = text
        text = unicodedata.normalize("NFKC", html.unescape(text))
        text = "".join(c for c in text if _seen(c))
        text = _TAG.sub(" ", _COMMENT.sub(" ", text))
        text = _HEADING.sub("", _EMPHASIS.sub(r"\2", _LINK.sub(r"\1", text)))
        text = " ".join(text.split())
    return text


def _seen(character: str) -> bool:
    if character in "\n\t\r":
        return True
    return unicodedata.category(character) not in _UNSEEN and not _selects(character)


def _selects(character: str) -> bool:
    """Variation selectors, Hangul fillers and the like: letters and marks by category, and yet nothing is drawn."""
    code = ord(character)
    blank = (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, 0x2800)
    return 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF or 0x180B <= code <= 0x180F or code in blank
