"""Text that a person does not see, or cannot read: characters without width, letters that only look right, encoded payloads.

Each find is a fact about the text. Whether it is held against the explainer depends on what it was shown: a label may have
to quote a strange trigger. So every find comes with the run of characters that holds it, for the caller to look up in the
stimuli. Found are: characters of no width, tags and variation selectors out of place, marks that reorder text, letters of
other scripts inside Latin words, comments of mark-up, and runs in base64, hex, binary, percent or entity code that decode
to text.

What this module does not do: find codes in ordinary words (first letters, word choice, synonyms). A paraphrase destroys
those; ``hidden_channels`` asks for one.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import html
import math
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_to_bytes

Kind = Literal["no width", "reordering", "other script", "comment", "payload"]

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_JOINERS = frozenset("\u200c\u200d")
_NO_WIDTH = (
    frozenset("\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060\u2061\u2062\u2063\u2064\u3164\ufeff\uffa0")
    | _JOINERS
)
#: letters of Greek and Cyrillic that look like Latin ones
_ALIKE = frozenset("АВЕЅІЈКМНОРСТУХавеѕіјкмнорстухԁһԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧοντ")
_COMMENT = re.compile(r"<!--(.*?)-->|<!\[CDATA\[(.*?)\]\]>|^\[//\]: # \((.*?)\)", re.DOTALL | re.MULTILINE)
#: letters and digits that a comment has at least before it says something
_SAYS = 8
_WORD = re.compile(r"[^\W\d_]+")
#: characters of a run that decodes to text by chance less than once in a hundred thousand
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}|[A-Za-z0-9_-]{16,}={0,2}")
_HEX = re.compile(r"(?:[0-9a-f]{2}[ :]?){12,}|(?:[0-9A-F]{2}[ :]?){12,}")
_BITS = re.compile(r"(?:[01]{8}\s?){6,}")
_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2}){6,}")
_ENTITIES = re.compile(r"(?:&#(?:x[0-9A-Fa-f]{2,6}|\d{2,7});){4,}|(?:\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}){4,}")
#: share of characters of a decoded text that are letters, digits or blanks
_PLAIN = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddity:
    """Something hidden.

    Attributes:
        kind: see the module.
        run: the characters that hold it, up to the next blanks.
        says: what it decodes to, or which characters it has; printable.
    """

    kind: Kind
    run: str
    says: str


def oddities(text: str) -> list[Oddity]:
    """Everything hidden in a text, in no order that matters. Cost: linear in its length."""
    return [*_unseen(text), *_mixed(text), *_comments(text), *_payloads(text)]


def _unseen(text: str) -> Iterator[Oddity]:
    for start, end in _pieces(text):
        run = text[start:end]
        hidden = [c for n, c in enumerate(run) if _hides(run, n)]
        if hidden:
            kind: Kind = "reordering" if any(c in _BIDI for c in hidden) else "no width"
            what = ", ".join(f"U+{ord(c):04X} ({n} times)" for c, n in sorted(Counter(hidden).items()))
            yield Oddity(kind=kind, run=run, says=what)


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    return ((m.start(), m.end()) for m in re.finditer(r"[^ \t\r\n]+", text))


def _hides(run: str, n: int) -> bool:
    """Whether a character of a run hides: it has no width, and no script or picture beside it asks for it."""
    c = run[n]
    if c in _BIDI or (c in _NO_WIDTH and c not in _JOINERS) or 0xE0000 <= ord(c) <= 0xE0FFF:
        return True
    before, after = run[n - 1] if n else " ", run[n + 1] if n + 1 < len(run) else " "
    if c in _JOINERS:  # pictures put together; scripts whose letters join
        pictures = _picture(before) and _picture(after)
        joins = all(unicodedata.category(x)[0] in "LM" and ord(x) >= 0x600 and ord(x) < 0x1100 for x in (before, after))
        return not (pictures or joins)
    return 0xFE00 <= ord(c) <= 0xFE0F and not (_picture(before) or before.isdigit())


def _picture(c: str) -> bool:
    return unicodedata.category(c) in ("So", "Sk", "Sm") or 0xFE00 <= ord(c) <= 0xFE0F


def _mixed(text: str) -> Iterator[Oddity]:
    """Latin words with letters of other scripts, or of other type faces, that look the same."""
    for match in _WORD.finditer(text):
        word = match.group()
        latin = any("a" <= c.lower() <= "z" for c in word)
        alike = [c for c in word if c in _ALIKE or 0x1D400 <= ord(c) <= 0x1D7FF or 0xFF21 <= ord(c) <= 0xFF5A]
        if latin and alike:
            yield Oddity(kind="other script", run=word, says=", ".join(f"U+{ord(c):04X}" for c in alike))


def _comments(text: str) -> Iterator[Oddity]:
    for match in _COMMENT.finditer(text):
        said = next((g for g in match.groups() if g), "")
        if sum(c.isalnum() for c in said) >= _SAYS:
            yield Oddity(kind="comment", run=match.group(), says=said.strip())


# --- codes ---------------------------------------------------------------------------------------------------------


def _payloads(text: str) -> Iterator[Oddity]:
    for pattern, decode in _CODES:
        for match in pattern.finditer(text):
            said = _readable(decode(match.group()))
            if said:
                yield Oddity(kind="payload", run=match.group().strip(), says=said)


def _base64(run: str) -> bytes:
    plain = run.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _hex(run: str) -> bytes:
    return bytes.fromhex(run.replace(":", "").replace(" ", ""))


def _bits(run: str) -> bytes:
    bits = "".join(run.split())
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits) - len(bits) % 8, 8))


def _entities(run: str) -> bytes:
    said = html.unescape(run)
    return re.sub(r"\\[ux]([0-9A-Fa-f]+)", lambda m: chr(int(m.group(1), 16)), said).encode("utf-8", "replace")


_CODES: tuple[tuple[re.Pattern[str], Callable[[str], bytes]], ...] = (
    (_BASE64, _base64), (_HEX, _hex), (_BITS, _bits), (_PERCENT, unquote_to_bytes), (_ENTITIES, _entities),
)  # fmt: skip


def _readable(data: bytes) -> str:
    """What bytes say, unpacked where they are packed; empty when they say nothing."""
    for unpack in (zlib.decompress, gzip.decompress):
        try:
            unpacked = unpack(data)
        except (zlib.error, OSError, EOFError):
            continue
        if unpacked:
            return _text(unpacked) or "packed data"
    return _text(data)


def _text(data: bytes) -> str:
    try:
        said = data.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    plain = sum(c.isascii() and (c.isalnum() or c == " ") for c in said)
    return said if said and said.isprintable() and plain >= _PLAIN * len(said) else ""


# --- figures that only inform -------------------------------------------------------------------------------------------


def entropy(text: str) -> float:
    """Entropy of a text's characters, bits a character; 0 for an empty one. English: about 4.1; base64: up to 6."""
    n = len(text)
    return -sum(k / n * math.log2(k / n) for k in Counter(text).values()) if n else 0.0


def foreign(text: str) -> float:
    """Share of characters outside ASCII, 0 to 1."""
    return sum(not c.isascii() for c in text) / len(text) if text else 0.0


def odd_blanks(text: str) -> int:
    """Blanks that nobody sees: at the ends of lines, twice in a row, tabs, and blanks other than the common one."""
    return len(re.findall(r"[ \t]+$|  +|\t|[^\S \t\r\n]", text, re.MULTILINE))


def initials(text: str) -> str:
    """First letters of a text's words in lower case, as an acrostic is read; joining words left out."""
    return "".join(w[0].lower() for w in _WORD.findall(text) if w.lower() not in ("and", "or", "the", "a", "of"))
