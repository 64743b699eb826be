"""Edits that make one condition of a clause false and leave the others true, checked by the conditions themselves.

Texts are cut so that they end with the token in question: a causal model's value there cannot depend on what follows.
Replacements come from the discover split. Nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import Predicate
from maieutic.explain.predicates.text import PreviousIs, TopicWords, WithinLast
from maieutic.explain.search.text_fit import Part
from maieutic.explain.search.text_setting import Setting
from maieutic.explain.views_text import TextView
from maieutic.explain.views_text_book import TextBook

Array = NDArray[np.float64]

#: tokens of context kept before the token in question
CONTEXT = 28
#: and when distances are tried
_FAR = 44
DISTANCES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21, 24, 25, 28, 30, 32, 33, 36, 40)


@dataclass(frozen=True, slots=True)
class Case:
    """A text that ends with the token in question, which is its last position.

    Attributes:
        text: the text.
        token: raw text of the last token.
        target: scaled activation measured at that token in the corpus, 0 to 1 (edited texts: of the original).
        document: number of the document it is from.
        at: flat discover position that it was cut at.
    """

    text: str
    token: str
    target: float
    document: int
    at: int


def holds(setting: Setting, text: str, predicate: Predicate) -> float:
    """The predicate at the last token of a text."""
    values = predicate.evaluate(setting.viewer(text).per_token)
    return float(values[-1]) if len(values) else 0.0


def at_ends(setting: Setting, texts: Sequence[str], predicates: Sequence[Predicate]) -> Array:
    """What each predicate says of the last token of each text, 0 for a text without tokens, ``[text, predicate]``."""
    book = TextBook([setting.viewer(t).per_token for t in texts])
    out, some = np.zeros((len(texts), len(predicates))), book.lengths > 0
    for k, predicate in enumerate(predicates):
        out[some, k] = predicate.over(book)[book.bounds[1:][some] - 1]
    return out


def cut(view: TextView, i: int, *, context: int = CONTEXT) -> str:
    """The text up to the end of token ``i``, with at most ``context`` tokens before it."""
    first = max(0, i - context)
    start = view.tokens[first].start if first else 0
    return view.text[start : view.tokens[i].end].lstrip(" ") if first else view.text[: view.tokens[i].end]


class Editor:
    """Makes edited cases for one unit. Deterministic: draws are seeded by the lab's seed."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.rng = np.random.default_rng(setting.lab.seed)
        self._starts = setting.data.bounds
        self._pool = self._replacements()

    def _replacements(self) -> list[str]:
        """Frequent raw tokens that rest: what stands in for a removed token."""
        setting = self.setting
        ids, names = setting.data.levels["token"]
        n = np.bincount(ids, minlength=len(names))
        mean = np.bincount(ids, setting.discover.target, minlength=len(names)) / np.maximum(n, 1)
        usual = float(np.median(mean[n >= 5])) if (n >= 5).any() else 1.0
        return [names[i] for i in np.flatnonzero((n >= 5) & (mean <= max(2 * usual, 0.1)))]

    def at(self, position: int) -> tuple[TextView, int, int]:
        """View, token and stimulus of a flat discover position."""
        s = int(np.searchsorted(self._starts, position, side="right") - 1)
        return self.setting.discover.views[s], position - int(self._starts[s]), s

    def cases(self, values: np.ndarray, most: int) -> list[Case]:
        """Strongest discover positions among those where ``values`` holds, one a document."""
        side = self.setting.discover
        where = np.flatnonzero(values > 0.5)
        out: list[Case] = []
        seen: set[int] = set()
        for p in where[np.argsort(-side.target[where], kind="stable")][:400]:
            document = int(side.group[p])
            view, i, _ = self.at(int(p))
            text = cut(view, i)
            if document in seen or not self._sound(text, view.raw[i]):
                continue
            seen.add(document)
            out.append(Case(text, view.raw[i], float(side.target[p]), document, int(p)))
            if len(out) == most:
                break
        return out

    def _sound(self, text: str, token: str) -> bool:
        tokens = self.setting.viewer(text).raw
        return bool(tokens) and tokens[-1].strip() == token.strip()

    # --- taking a condition away ---------------------------------------------------------------------------------
    def without(self, case: Case, part: Part, others: Sequence[Part], most: int) -> list[Case]:
        """Versions of the case in which ``part`` fails and ``others`` still hold."""
        out: list[Case] = []
        for text in self.failing(case, part, 12):
            if all((holds(self.setting, text, o.predicate) > 0.5) != o.negated for o in others):
                out.append(Case(text, case.token, case.target, case.document, case.at))
                if len(out) == most:
                    break
        return out

    def failing(self, case: Case, part: Part, most: int) -> list[str]:
        """Edited texts in which a condition that held no longer does (one that is an exception: now does)."""
        out: list[str] = []
        for text in self._attempts(case, part.predicate):
            if text == case.text or (part.role == "context" and not self._sound(text, case.token)):
                continue
            if (holds(self.setting, text, part.predicate) > 0.5) == part.negated and text not in out:
                out.append(text)
                if len(out) == most:
                    break
        return out

    def other_tokens(self, case: Case, most: int) -> list[str]:
        """The case with its last token replaced by frequent ones that rest elsewhere."""
        made = (self.with_token(case, self._stand_in(case.token)) for _ in range(most))
        return [t for t in made if t and t != case.text]

    def at_distances(
        self,
        case: Case,
        inner: Predicate,
        *,
        member: str = "",
        beside: str = "",
        distances: Sequence[int] = DISTANCES,
    ) -> Iterator[str]:
        """The case with what a window looks for taken out everywhere and put back at one distance, for many distances.

        Then also at two and at three neighbouring places. ``member``: the word to put back, else one that is there;
        ``beside``: another to put right before it.
        """
        view, i, _ = self.at(case.at)
        text = cut(view, i, context=_FAR)
        if not self._sound(text, case.token):
            return
        seen = self.setting.viewer(text).per_token
        last = len(seen.tokens) - 1
        hits = np.flatnonzero(inner.evaluate(seen)[:last] > 0.5).tolist()
        word = member or self._member(seen, hits, inner)
        if not word:
            return
        plans = [(d,) for d in distances]
        if not member:
            plans += [tuple(range(d, d + n)) for n in (2, 3) for d in (1, 3, 7, 11, 14, 17, 20, 26)]
        for plan in plans:
            spots = [last - d for d in plan]
            if min(spots) < 0:
                continue
            fixed = {**dict.fromkeys(spots, word), **({spots[0] - 1: beside} if beside and spots[0] else {})}
            edited = self._replaced(seen, [j for j in hits if j not in fixed], fixed=fixed)
            if self._sound(edited, case.token):
                yield edited

    def _member(self, view: TextView, hits: Sequence[int], inner: Predicate) -> str:
        """A raw token that meets the condition: one of the text, else one of the corpus."""
        if hits:
            return view.raw[hits[-1]].strip()
        where = self.setting.data.where_now(inner)
        if where is None or not where.any():
            return ""
        found, j, _ = self.at(int(np.flatnonzero(where)[0]))
        return found.raw[j].strip()

    def _attempts(self, case: Case, predicate: Predicate) -> Iterator[str]:
        view = self.setting.viewer(case.text)
        last = len(view.tokens) - 1
        spots = self._spots(view, predicate, last)
        for _ in range(12):
            if spots:
                yield self._replaced(view, spots)
            else:
                yield self.elsewhere(case.token)

    def _spots(self, view: TextView, predicate: Predicate, last: int) -> list[int]:
        """Tokens that make the condition true and can be replaced; none for structural conditions."""
        if isinstance(predicate, PreviousIs):
            return [last - predicate.back] if last >= predicate.back else []
        if isinstance(predicate, WithinLast):
            values = predicate.part.evaluate(view)
            return [i for i in range(max(0, last - predicate.n), last) if values[i] > 0.5]
        if isinstance(predicate, TopicWords):
            return [i for i in range(max(0, last - predicate.n + 1), last) if view.key[i] in predicate.words]
        kind = type(predicate).__name__
        return [] if kind in ("Structure", "Position") else [last]

    def _replaced(self, view: TextView, spots: Sequence[int], fixed: Mapping[int, str] | None = None) -> str:
        """The text with other tokens at ``spots``, and with given ones at the keys of ``fixed``."""
        text, given = view.text, fixed or {}
        for i in sorted({*spots, *given}, reverse=True):
            token = view.tokens[i]
            old = text[token.start : token.end]
            lead = old[: len(old) - len(old.lstrip())]
            text = text[: token.start] + lead + (given.get(i) or self._stand_in(old)) + text[token.end :]
        return text

    def _stand_in(self, old: str) -> str:
        wordlike = old.strip()[:1].isalpha()
        for _ in range(40):
            new = self._pool[int(self.rng.integers(len(self._pool)))] if self._pool else " and"
            if new.strip() and new.strip()[:1].isalpha() == wordlike and new.strip().lower() != old.strip().lower():
                return new.strip()
        return "and" if wordlike else ","

    # --- offering a token elsewhere ------------------------------------------------------------------------------
    def elsewhere(self, phrase: str, token: str = "") -> str:
        """The phrase, which ends with ``token`` (default: is it), after the context of a random discover position."""
        token = token or phrase
        for _ in range(20):
            p = int(self.rng.integers(self._starts[-1]))
            view, i, _ = self.at(p)
            if i < 6:
                continue
            before = cut(view, i - 1, context=CONTEXT - 8).rstrip(" ")
            glue = " " if phrase[:1].isalnum() and before[-1:].isalnum() else ""
            text = before + glue + phrase
            if self._sound(text, token):
                return text
        return phrase

    def ending(self, case: Case, n: int) -> str:
        """The last ``n`` tokens of the case, as they stand in the text."""
        tokens = self.setting.viewer(case.text).tokens
        return case.text[tokens[max(0, len(tokens) - n)].start :]

    def with_token(self, case: Case, token: str) -> str | None:
        """The case with another last token, or ``None`` when the text would be split differently."""
        view = self.setting.viewer(case.text)
        last = view.tokens[-1]
        old = case.text[last.start : last.end]
        lead = old[: len(old) - len(old.lstrip())]
        text = case.text[: last.start] + lead + token.strip()
        return text if self._sound(text, token) else None

    def with_earlier(self, case: Case, back: int, token: str) -> str | None:
        """The case with another token ``back`` places before the last one, or ``None`` when that cannot be done."""
        view = self.setting.viewer(case.text)
        spot = len(view.tokens) - 1 - back
        if spot < 0 or not token.strip():
            return None
        text = self._replaced(view, (), fixed={spot: token.strip()})
        return text if text != case.text and self._sound(text, case.token) else None

    def at_place(self, case: Case, place: int) -> str | None:
        """The case's last token with its nearest context, ``place`` tokens into a text; ``None`` when that cannot be made."""
        view = self.setting.viewer(case.text)
        last = len(view.tokens) - 1
        if place <= last:
            text = view.text[view.tokens[last - place].start :]
        else:
            filler = self.elsewhere(case.token)
            more = self.setting.viewer(filler)
            extra, have = place - last, len(more.tokens) - 1
            if have < 1:
                return None
            # repeat the filler's context as often as needed, then cut it to length
            start = more.text[: more.tokens[have].start].rstrip() + " "
            words = self.setting.viewer(start * (extra // have + 2)).tokens
            whole = start * (extra // have + 2)
            text = whole[words[len(words) - extra].start :].rstrip() + " " + view.text.lstrip()
        tokens = self.setting.viewer(text).tokens
        return text if len(tokens) - 1 == place and self._sound(text, case.token) else None
