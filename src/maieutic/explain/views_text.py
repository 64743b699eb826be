"""How predicates read a text: tokens, the word so far, classes and structure at every position, computed once and kept.

Everything at a position is a function of the text up to the end of that token, because a language model cannot see
further. This module does not measure anything and knows no unit.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.text_words import spelling_classes, word_classes
from maieutic.subjects.base import TokenSpan

Lexnames = Callable[[str], Sequence[str]]

_PIECES = re.compile(r"\s?[A-Za-z]+|\s?\d+|\s?[^\sA-Za-z\d]|\s+")
_SENTENCE_END = re.compile(r"[.!?][\"')\]]*\s+$")
_SENTENCE_MARK = re.compile(r"[.!?][\"')\]]*$")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?$")
#: what code is full of: words, marks, and lines that begin with four spaces; no two of them share a character
_CODE_WORDS = ("def", "self", "return", "import", "class", "None")
_CODE_WORD = re.compile(rf"\b(?:{'|'.join(_CODE_WORDS)})\b")
_CODE_MARKS = ("=", "[", "]", "{", "}", "_", "()", '"' * 3)
_CODE_LINE = re.compile(r"^\s{4}", re.M)
_BRACKETS = frozenset("([{)]}")
#: characters before a token that tell what sort of text it stands in
_RECENT = 240


def split_tokens(text: str) -> list[TokenSpan]:
    """Words, numbers and marks, for subjects that have no tokens of their own."""
    return [TokenSpan(m.group(), m.start(), m.end()) for m in _PIECES.finditer(text)]


#: what a row of ``Phrases`` is keyed by, from general to specific. ``word``: the word so far; ``token``: the raw token;
#: ``word pair``: the word so far at the previous token, and here; ``pair`` and ``triple``: the last two or three tokens
#: without outer spaces, lower case
LEVELS: tuple[str, ...] = ("word", "token", "word pair", "pair", "triple")


class Text(ABC):
    """What predicates read: one text (``TextView``), or many end to end (``TextBook``). Every array has one entry a token.

    Items by kind: ``raw``, ``key``, ``word``, ``classes``, ``structure`` (as in ``TextView``) and ``LEVELS``.
    """

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of tokens."""

    @cached_property
    @abstractmethod
    def starts(self) -> NDArray[np.int64]:
        """First token of the text that each token is in."""

    @cached_property
    @abstractmethod
    def place(self) -> NDArray[np.int64]:
        """Tokens of the text before each token."""

    @cached_property
    @abstractmethod
    def per_token(self) -> Text:
        """The same with one value a token."""

    @abstractmethod
    def each(self, kind: str, value: Callable[[Any], float], /) -> NDArray[np.float64]:
        """A function of the item at every token."""

    @abstractmethod
    def table(self, kind: str, values: Mapping[Any, float], otherwise: float = 0.0, /) -> NDArray[np.float64]:
        """The value of the item at every token."""

    @abstractmethod
    def quantity(self, name: str, /) -> NDArray[np.float64]:
        """A quantity of every token by name (see ``text_amounts.QUANTITIES``); NaN where it is not defined."""

    @abstractmethod
    def strongest(self, values: NDArray[np.float64], /) -> NDArray[np.float64]:
        """The largest value over the tokens of each text, 0 for a text without tokens, ``[text]``."""


class TextView(Text):
    """A text as its tokens, with features of each position. ``len`` is the number of measured positions.

    Args:
        text: the text.
        tokens: one per position.
        lexnames: word -> topic classes of a lexicon (``noun.food``); optional.
        text_level: the subject has one value for the whole text; predicates are then read through ``Anywhere``.
    """

    modality = "text"

    def __init__(
        self, text: str, tokens: Sequence[TokenSpan], *, lexnames: Lexnames | None = None, text_level: bool = False
    ) -> None:
        self.text, self.tokens, self.text_level = text, tokens, text_level
        self._lexnames = lexnames
        #: what predicates have worked out about this text and may use again, by their own names
        self.kept: dict[str, Any] = {}

    def __len__(self) -> int:
        return 1 if self.text_level else len(self.tokens)

    @property
    def size(self) -> int:
        return len(self.tokens)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        return np.zeros(len(self.tokens), dtype=np.int64)

    @cached_property
    def place(self) -> NDArray[np.int64]:
        return np.arange(len(self.tokens))

    def each(self, kind: str, value: Callable[[Any], float], /) -> NDArray[np.float64]:
        return np.fromiter(map(value, self.items(kind)), dtype=np.float64, count=len(self.tokens))

    def table(self, kind: str, values: Mapping[Any, float], otherwise: float = 0.0, /) -> NDArray[np.float64]:
        found = (values.get(item, otherwise) for item in self.items(kind))
        return np.fromiter(found, dtype=np.float64, count=len(self.tokens))

    def strongest(self, values: NDArray[np.float64], /) -> NDArray[np.float64]:
        return np.array([values.max() if len(values) else 0.0])

    def items(self, kind: str) -> list[Any]:
        """The item of a kind at every token (see ``Text``)."""
        if kind in ("pair", "word pair", "triple"):
            if kind not in self.kept:
                self.kept[kind] = self.phrases(kind)
            return self.kept[kind]
        return getattr(self, "raw" if kind == "token" else kind)

    def phrases(self, level: str) -> list[tuple[str, ...]]:
        """The key of every token at a level of more than one token."""
        if level == "triple":
            return list(zip(["", "", *self.key], ["", *self.key], self.key, strict=False))
        one = self.word if level == "word pair" else self.key
        return list(zip(["", *one], one, strict=False))

    @cached_property
    def per_token(self) -> TextView:
        """The same text with one value a token."""
        return TextView(self.text, self.tokens, lexnames=self._lexnames) if self.text_level else self

    @cached_property
    def raw(self) -> list[str]:
        """Token texts as they stand in the text, with their spaces."""
        return [self.text[t.start : t.end] or t.text for t in self.tokens]

    @cached_property
    def key(self) -> list[str]:
        """Token texts without outer spaces, lower case; white space stays as it is."""
        return [(r.strip() or r).lower() for r in self.raw]

    @cached_property
    def word(self) -> list[str]:
        """The word so far, lower case: from its first letter (digit) to the end of the token; marks are themselves."""
        return [self._word_at(i) for i in range(len(self.tokens))]

    def _word_at(self, i: int) -> str:
        end = self.tokens[i].end
        if end == 0 or not self.raw[i].strip():
            return self.key[i]
        last, text = self.text[end - 1], self.text
        same = str.isalpha if last.isalpha() else str.isdigit if last.isdigit() else None
        if same is None:
            return self.key[i]
        start = end
        while start > 0 and same(text[start - 1]):
            start -= 1
        return text[start:end].lower()

    @cached_property
    def starts_word(self) -> NDArray[np.bool_]:
        """Whether the token begins a word (or is a mark)."""
        out = np.ones(len(self.tokens), dtype=bool)
        for i, token in enumerate(self.tokens):
            piece = self.raw[i]
            first = piece[:1]
            if first.isalpha() and token.start > 0:
                out[i] = not self.text[token.start - 1].isalpha()
            elif first.isdigit() and token.start > 0:
                out[i] = not self.text[token.start - 1].isdigit()
        return out

    @cached_property
    def classes(self) -> list[tuple[str, ...]]:
        """Names of the classes that each token is in: spelling, closed classes, suffixes, lexicon."""
        begins, topics = self.starts_word.tolist(), self._lexnames
        out = [_classes(r, w, b) for r, w, b in zip(self.raw, self.word, begins, strict=True)]
        if topics is None:
            return out
        return [
            (*names, *topics(w)) if len(w) > 2 and w[0].isalpha() else names
            for names, w in zip(out, self.word, strict=True)
        ]

    @cached_property
    def number(self) -> NDArray[np.float64]:
        """Value of the number so far at each token that ends in a digit; NaN elsewhere. ``1,234`` is one number."""
        out = np.full(len(self.tokens), np.nan)
        for i, token in enumerate(self.tokens):
            if self.raw[i][-1:].isdigit():
                found = _NUMBER.search(self.text[max(0, token.end - 16) : token.end])
                if found:
                    out[i] = float(found.group().replace(",", ""))
        return out

    def quantity(self, name: str, /) -> NDArray[np.float64]:
        if name not in self.kept:
            self.kept[name] = _quantity(self, name)
        return self.kept[name]

    @cached_property
    def structure(self) -> list[tuple[str, ...]]:
        """Names of the structural places that each token stands in."""
        return _structure(self)


@lru_cache(maxsize=65536)
def _classes(piece: str, word: str, begins: bool) -> tuple[str, ...]:
    names = spelling_classes(piece.strip() or piece) + word_classes(word)
    if word[:1].isalpha():
        names += ("beginnings of words",) if begins else ("later parts of words",)
    return names


def _quantity(view: TextView, name: str) -> NDArray[np.float64]:
    n = len(view.tokens)
    if name == "place":
        return np.arange(n, dtype=np.float64)
    if name == "number":
        return view.number
    if name == "digits":
        return np.array([float(k) if k.isdecimal() and len(k) < 300 else np.nan for k in view.key])
    if name == "letters":
        return np.array([float(len(w)) if w.isalpha() else np.nan for w in view.word])
    if name == "open brackets":
        return _depth(view)
    line, word, indent, token = _places(view)
    found = {"token of the line": line, "word of the sentence": word, "indentation": indent}
    return token if name == "token of the sentence" else found[name]


def _depth(view: TextView) -> NDArray[np.float64]:
    """Brackets of all kinds that are open before each token."""
    depth, out = 0, np.zeros(len(view.tokens))
    for i, piece in enumerate(view.raw):
        out[i] = depth
        if not _BRACKETS.isdisjoint(piece):
            depth = max(depth + sum(c in "([{" for c in piece) - sum(c in ")]}" for c in piece), 0)
    return out


def _places(view: TextView) -> tuple[NDArray[np.float64], ...]:
    """Token of the line, word of the sentence (only words count), indentation, token of the sentence; from 1.

    A sentence ends at ``.``, ``!`` or ``?`` before white space.
    """
    n = len(view.tokens)
    line, word, indent, sentence = np.zeros(n), np.full(n, np.nan), np.zeros(n), np.zeros(n)
    text, at_line, at_word, at, column, end, ended = view.text, 0, 0, 0, 0.0, 0, False
    for i, token in enumerate(view.tokens):
        body = text[token.start : token.end].strip()
        gap = text[end : token.end].removesuffix(body) if body else text[end : token.end]
        if i == 0 or "\n" in gap:
            at_line, column = 0, float(len(gap.rpartition("\n")[2].expandtabs(4)))
        if ended and gap.strip() != gap:
            at_word = at = 0
        at_line, at = at_line + 1, at + 1
        line[i], indent[i], sentence[i] = at_line, column, at
        if body[:1].isalpha():
            at_word += bool(view.starts_word[i]) or at_word == 0
            word[i] = at_word
        ended = bool(_SENTENCE_MARK.search(body)) or (ended and not gap and body in "\"')]")
        end = token.end
    return line, word, indent, sentence


def _structure(view: TextView) -> list[tuple[str, ...]]:
    text, out = view.text, list[tuple[str, ...]]()
    figures = [0, *accumulate(c.isdecimal() or c in "%:" for c in text)]
    depth, quote = {"(": 0, "[": 0, "{": 0}, ""
    pairs = {")": "(", "]": "[", "}": "{"}
    for i, token in enumerate(view.tokens):
        names: list[str] = []
        body = text[token.start : token.end]
        lead = len(body) - len(body.lstrip())
        at = token.start + lead
        line = text[text.rfind("\n", 0, at) + 1 : at]
        names += _line_names(line, bool(body.strip()), text[max(0, at - 6) : at], at)
        names += [
            n
            for c, n in (("(", "inside parentheses"), ("[", "inside square brackets"), ("{", "inside braces"))
            if depth[c] > 0
        ]
        if quote:
            names.append("inside quotation marks")
        if ":" in line:
            names.append("after a colon on the line")
        if view.word[i][:1].isalpha() and i and _capital(view, i) and _capital(view, i - 1):
            names.append("in a capitalised phrase")
        first = max(0, at - _RECENT)
        recent = text[first:at]
        names.append("in code" if _code_signs(recent) >= max(3, len(recent) // 40) else "in prose")
        if "++" in recent or figures[at] - figures[first] > max(6, len(recent) // 9):
            names.append("in lists of facts and figures")
        for c in body:
            if c in depth:
                depth[c] += 1
            elif c in pairs:
                depth[pairs[c]] = max(0, depth[pairs[c]] - 1)
            elif c in '"“”':
                quote = "" if quote else c
            elif c == "\n" and quote == '"':
                quote = ""
        out.append(tuple(names))
    return out


def _code_signs(text: str) -> int:
    """How often signs of code occur."""
    found = sum(map(text.count, _CODE_MARKS))
    if any(w in text for w in _CODE_WORDS):
        found += len(_CODE_WORD.findall(text))
    if "\n" in text or text[:4].isspace():
        found += len(_CODE_LINE.findall(text))
    return found


def _capital(view: TextView, i: int) -> bool:
    return view.raw[i].strip()[:1].isupper()


def _line_names(line: str, solid: bool, before: str, at: int) -> list[str]:
    names: list[str] = []
    stripped = line.strip()
    if not stripped and solid:
        names.append("first on the line")
        if line:
            names.append("first after indentation")
    if solid and (at == 0 or not stripped or _SENTENCE_END.search(before)):
        names.append("at the start of a sentence")
    if "#" in line:
        names.append("inside a comment")
    if line[:1] in {" ", "\t"} and stripped:
        names.append("on an indented line")
    return names
