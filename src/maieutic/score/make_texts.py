"""Texts from a label alone: claims, near misses and neutrals, edited from the windows of the test split.

Edits are proposed blindly (another word in the same place, another word in the context, the right word elsewhere,
the context cut away, text put in front) and the predicate says what each has become. So any predicate will do, also
one of which nothing is known but ``evaluate``. A positive is a held-out window where the label claims something, or a
phrase of it set into another document, which parts a cause from its usual company.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from maieutic.explain.explanation import Explanation
from maieutic.readings import FloatArray
from maieutic.score.made import MOST, Levels, Made, MadeSet, Sort, Span, draws, in_turn
from maieutic.score.text_sources import Material, Source, pieces, positions, stand_ins
from maieutic.stimuli.text_edit import delete, insert, keep_from, substitute
from maieutic.stimuli.texts import text_stimulus
from maieutic.subjects.base import Subject

#: pieces of context kept before and after the place in question
BEFORE, AFTER = 32, 4
#: pieces before the place that are changed one at a time
_REACH = 12
#: lengths of phrases that are set into other documents
_PHRASES = (1, 2, 3, 5)
#: of a text with one value, pieces that are tried as its cause
_CAUSES = 48


@dataclass(frozen=True, slots=True)
class _Draft:
    """A text with the place in question, before it is known what it has become."""

    text: str
    span: Span
    kind: str
    what: str
    source: Source


def make_texts(found: Explanation, subject: Subject, material: Material, *, seed: int = 0) -> MadeSet | str:
    """At most 52 stimuli from a label, or why none can be made.

    Args:
        found: the label, able to predict.
        subject: whose tokens count; it is not run.
        material: held-out texts.
        seed: of every draw.
    """
    return _Maker(found, subject, material, seed).made()


class _Maker:
    def __init__(self, found: Explanation, subject: Subject, material: Material, seed: int) -> None:
        self.found, self.subject, self.material = found, subject, material
        self.draw = draws(found, seed)
        self.levels = Levels(low=0.0, high=0.0)
        self.items: dict[tuple[str, Span | None], Made] = {}

    def made(self) -> MadeSet | str:
        scores = [self._scores(s) for s in self.material.sources]
        levels = Levels.of(np.concatenate([*scores, np.zeros(0)]))
        if isinstance(levels, str):
            return levels
        self.levels = levels
        claims = [(i, int(p)) for i, row in enumerate(scores) for p in np.flatnonzero(row >= levels.high)]
        positives = self._positives(claims)
        self._near_misses(positives)
        self._neutrals(scores)
        return MadeSet(items=tuple(self.items.values()), levels=levels, failed=self.material.failed)

    # --- predicting ----------------------------------------------------------------------------------------------
    def _scores(self, source: Source) -> FloatArray:
        """The label's prediction at every piece (one value a text: at the first only); ``-inf`` where there is none."""
        values = np.atleast_1d(np.asarray(self.found.predict([source.stimulus])[0], dtype=np.float64))
        if self.material.whole:
            return values[:1]
        out = np.full(len(source.pieces), -np.inf)
        if len(values) == len(source.owner):
            inside = source.owner >= 0
            np.maximum.at(out, source.owner[inside], values[inside])
        return out

    def _at(self, text: str, span: Span) -> float:
        values = np.atleast_1d(np.asarray(self.found.predict([text])[0], dtype=np.float64))
        if self.material.whole:
            return float(values[0]) if len(values) else np.nan
        tokens = self.subject.tokens(text)
        where = positions(tokens, text, span)
        return float(values[where].max()) if where and len(values) == len(tokens) else np.nan

    def _keep(self, sort: Sort, draft: _Draft) -> bool:
        """Take the draft if the predicate says it is of that sort."""
        predicted = self._at(draft.text, draft.span)
        right = predicted >= self.levels.high if sort == "positive" else predicted <= self.levels.low
        key = (draft.text, None if self.material.whole else draft.span)
        if not right or key in self.items:
            return False
        stimulus = text_stimulus(draft.text, like=draft.source.stimulus)
        self.items[key] = Made(
            sort=sort, stimulus=stimulus, span=key[1], kind=draft.kind, what=draft.what, predicted=predicted
        )
        return True

    # --- positives -----------------------------------------------------------------------------------------------
    def _positives(self, claims: list[tuple[int, int]]) -> list[_Draft]:
        sources, taken = self.material.sources, list[_Draft]()
        ways = ("set into another document", "as it stands")
        for source, piece in in_turn(claims, lambda c: self._about(*c), self.draw):
            if len(taken) >= MOST["positive"]:
                break
            span = self._cause(sources[source]) if self.material.whole else sources[source].pieces[piece]
            # in turn, the other way where one does not work
            for way in ways if len(taken) % 2 == 0 else ways[::-1]:
                drafts = self._set(sources[source], span) if way == ways[0] else self._natural(sources[source], span)
                kept = next((d for d in drafts if self._keep("positive", d)), None)
                if kept is not None:
                    taken.append(kept)
                    break
        return taken

    def _about(self, source: int, piece: int) -> str:
        s = self.material.sources[source]
        return s.group if self.material.whole else s.piece(piece).lower()

    def _natural(self, source: Source, span: Span) -> Iterator[_Draft]:
        whole = _Draft(source.text, span, "as it stands", "", source)
        yield from (self._cut(whole), whole)

    def _set(self, source: Source, span: Span) -> Iterator[_Draft]:
        """Phrases that end with the piece, in the place of a word of other documents."""
        last = source.pieces.index(span)
        for n in _PHRASES:
            if last - n + 1 < 0:
                return
            start = source.pieces[last - n + 1][0]
            phrase, length = source.text[start : span[1]], span[1] - span[0]
            for host, place in self._hosts(source, last):
                edit = substitute(host.text, place, phrase)
                end = place[0] + len(phrase)
                what = f"{phrase!r} set into another document"
                yield self._cut(_Draft(edit.text, (end - length, end), "set into another document", what, host))

    def _hosts(self, source: Source, at: int) -> Iterator[tuple[Source, Span]]:
        """Words of two other documents: at any place, and at the same place from the start."""
        sources = self.material.sources
        for same in (False, True):
            host = sources[int(self.draw.integers(len(sources)))]
            words = [p for p in host.pieces if host.text[p[0]].isalnum()]
            if host.group != source.group and words:
                yield host, words[min(at, len(words) - 1) if same else int(self.draw.integers(len(words)))]

    def _cause(self, source: Source) -> Span:
        """Of a text with one value: a piece without which the prediction falls, else the first piece."""
        order = self.draw.permutation(len(source.pieces))[:_CAUSES]
        for i in sorted(int(i) for i in order):
            span = source.pieces[i]
            if self._at(delete(source.text, span).text, (0, 0)) <= self.levels.low:
                return span
        return source.pieces[0]

    def _cut(self, draft: _Draft) -> _Draft:
        """The draft with a few pieces of context only; whole where the subject has one value a text."""
        if self.material.whole:
            return draft
        spans = pieces(draft.text)
        inside = [i for i, (start, end) in enumerate(spans) if start < draft.span[1] and end > draft.span[0]]
        if not inside:
            return draft
        start = spans[inside[0] - BEFORE][0] if inside[0] > BEFORE else 0
        end = spans[min(inside[-1] + AFTER, len(spans) - 1)][1]
        span = draft.span[0] - start, draft.span[1] - start
        return _Draft(draft.text[start:end], span, draft.kind, draft.what, draft.source)

    # --- near misses ---------------------------------------------------------------------------------------------
    def _near_misses(self, positives: list[_Draft]) -> None:
        """One edit of a positive after which the label denies it: at most one of each kind a positive, in rounds."""
        ways = [self._ways(p) for p in positives]
        for turn in range(4):
            for i, kinds in enumerate(ways):
                if sum(m.sort == "near miss" for m in self.items.values()) >= MOST["near miss"]:
                    return
                # kinds rotate over the positives, so that none is left out where there are many positives
                next((d for d in kinds[(turn + i) % len(kinds)] if self._keep("near miss", d)), None)

    def _ways(self, draft: _Draft) -> list[Iterator[_Draft]]:
        return [self._other_context(draft), self._other_word(draft), self._elsewhere(draft), self._bared(draft)]

    def _other_word(self, draft: _Draft) -> Iterator[_Draft]:
        text, (start, end) = draft.text, draft.span
        word = text[start:end]
        for other in stand_ins(self.material, word, self.draw):
            if self.material.whole:  # the word may stand there more than once
                changed = text
                for a, b in reversed([p for p in pieces(text) if text[p[0] : p[1]].lower() == word.lower()]):
                    changed = changed[:a] + other + changed[b:]
                yield _Draft(
                    changed, (start, start + len(other)), "another word", f"{word!r} → {other!r}", draft.source
                )
            else:
                edit = substitute(text, draft.span, other, watched=draft.span)
                if edit.watched is not None:
                    yield _Draft(edit.text, edit.watched, "another word", edit.what, draft.source)

    def _other_context(self, draft: _Draft) -> Iterator[_Draft]:
        spans = pieces(draft.text)
        before = [p for p in spans if p[1] <= draft.span[0]][-_REACH:]
        after = [p for p in spans if p[0] >= draft.span[1]][:1]
        for span in (*before[::-1], *after):
            others = stand_ins(self.material, draft.text[span[0] : span[1]], self.draw, 3)
            for other in others[:1] + others[-1:]:
                edit = substitute(draft.text, span, other, watched=draft.span)
                if edit.watched is not None:
                    yield _Draft(edit.text, edit.watched, "another context", edit.what, draft.source)

    def _elsewhere(self, draft: _Draft) -> Iterator[_Draft]:
        word = draft.text[draft.span[0] : draft.span[1]]
        for _ in range(2):
            for host, place in self._hosts(draft.source, 4):
                edit = substitute(host.text, place, word)
                span = place[0], place[0] + len(word)
                what = f"{word!r} without its context"
                yield self._cut(_Draft(edit.text, span, "the right word elsewhere", what, host))

    def _bared(self, draft: _Draft) -> Iterator[_Draft]:
        """Nothing before the place; or something before everything."""
        alone = keep_from(draft.text, draft.span[0], watched=draft.span)
        if alone.watched is not None:
            yield _Draft(alone.text, alone.watched, "no context", alone.what, draft.source)
        sources = self.material.sources
        other = sources[int(self.draw.integers(len(sources)))]
        front = other.text[: other.pieces[min(7, len(other.pieces) - 1)][1]] + " "
        moved = insert(draft.text, 0, front, watched=draft.span)
        if moved.watched is not None:
            yield _Draft(moved.text, moved.watched, "text before it", moved.what, draft.source)

    # --- neutrals ------------------------------------------------------------------------------------------------
    def _neutrals(self, scores: list[FloatArray]) -> None:
        """Any place of held-out documents, one a document while they last, where the label denies it."""
        sources, left = self.material.sources, MOST["neutral"]
        for i in in_turn(range(len(sources)), lambda i: sources[i].group, self.draw):
            places = np.flatnonzero((scores[i] <= self.levels.low) & np.isfinite(scores[i]))
            if not left:
                return
            if len(places):
                piece = 0 if self.material.whole else int(places[int(self.draw.integers(len(places)))])
                draft = _Draft(sources[i].text, sources[i].pieces[piece], "as it stands", "", sources[i])
                left -= self._keep("neutral", self._cut(draft))
