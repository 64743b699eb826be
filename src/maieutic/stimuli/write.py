"""The embedded writer: texts for language units from the discover split, with no language model.

It follows a few forms of instruction (``FORMS``): real sentences with, without or about given words, words at a chosen
place of a real sentence, lists, and exact texts. Real sentences keep the group of their document; made ones are
harmless to splits because only discover material is used. What this module does not do: write anything new, or keep
grammar where a word is put into a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import numpy as np

from maieutic.errors import UsageError
from maieutic.stimuli.base import Corpus, Stimulus
from maieutic.stimuli.making import Made, check_length
from maieutic.stimuli.studio import normal, rng
from maieutic.stimuli.texts import text_id
from maieutic.stimuli.wordnet import Wordnet, open_wordnet

#: what can be asked for, shown when an instruction is not understood
FORMS: tuple[str, ...] = (
    'sentences with "rain"', 'sentences with "rain" and "wind"', 'sentences with "rain" but without "storm"',
    'sentences without "rain"', '"rain" at the start of a sentence', '"rain" in the middle of a sentence',
    '"rain" at the end of a sentence', 'passages with "rain"', "text about weather", "a list of fruits",
    'a list of "rain", "snow" and "hail"', '"rain" alone', '"rain" repeated 5 times', 'exactly "It rains."', "sentences",
)  # fmt: skip
#: a quoted phrase, by any pair of quotation marks
_QUOTED = re.compile(r"[\"“”`]([^\"“”`]+)[\"“”`]|(?<!\w)['‘’]([^'‘’]+)['‘’](?!\w)")
#: where a sentence ends: a mark, then space, then a capital (so not inside "5.7 million"); or a line
_END = re.compile(r"(?<=[.!?])[\"”’)]*\s+(?=[\"“(]?[A-Z])|\s*\n+\s*")
#: characters of a real sentence that is used
_SHORTEST, _LONGEST = 20, 320
_Q = "\x00"
#: sentences that take a word or phrase and say nothing else; used after the real ones
_TEMPLATES = (
    "They talked about {} for a while.", "There was something about {} in the letter.", "I wrote {} in the margin.",
    "Nobody mentioned {} again that day.", "She asked me what {} meant to us.", "Most of it was about {}, he said.",
    "The next page began with {} and went on from there.", "We had not thought of {} before.",
    "What he liked about {} was hard to say.", "The second item on the list was {}, as usual.",
    "Some of them had heard of {} years ago.", "In the end it was {} that they chose.",
)  # fmt: skip
#: words that lose their capital when something is put before them; others may be names
# fmt: off
_OPENERS = frozenset((
    "a", "an", "and", "as", "at", "but", "by", "for", "from", "he", "her", "his", "if", "in", "it", "its", "of",
    "on", "our", "she", "some", "that", "the", "their", "there", "these", "they", "this", "to", "we", "what", "when",
    "with", "you", "your",
))
# fmt: on
_UNIT = r"(?:sentences?|texts?|lines?|examples?|code|passages?|windows?|paragraphs?)"
_HAVE = r"(?:with|containing|that contain|that contains|that hold|that mention|mentioning|including|using|of)"
_LACK = r"(?:without|not containing|that do not contain|but no|but not)"


def load_writer(corpus: Corpus, *, argument: str = "", seed: int = 0) -> CorpusWriter:
    """The writer over a corpus' discover split."""
    if argument:
        raise UsageError(f"the corpus writer takes no argument, {argument!r} was given: write  --write corpus")
    return CorpusWriter(corpus=corpus, seed=seed)


@dataclass(frozen=True, slots=True)
class Piece:
    """A text with the stimulus that it was taken from (``None``: made from words alone)."""

    text: str
    source: Stimulus | None = None
    how: str = "as it stands in the corpus"


@dataclass
class CorpusWriter:
    """Texts by instruction. Cost: milliseconds; the first call cuts the discover split into sentences (0.1 s)."""

    corpus: Corpus
    seed: int = 0
    name: str = "corpus"
    _kept: dict[str, list[Piece]] = field(default_factory=dict[str, "list[Piece]"], repr=False)

    def __call__(self, instruction: str, *, n: int = 1, seed: int = 0) -> list[Stimulus]:
        """At most ``n`` different texts.

        Raises:
            UsageError: the instruction has none of the forms, or the corpus holds nothing that fits.
        """
        if n < 1:
            raise UsageError(f"{n} texts were asked for: give 1 or more")
        quoted = [a or b for a, b in _QUOTED.findall(instruction)]
        plain = re.sub(r"\s+", " ", _QUOTED.sub(_Q, instruction)).strip().rstrip(".:!").lower()
        check_length(plain, "the instruction without what is quoted")
        plain = re.sub(r"^(?:please )?(?:(?:write|give|make|find|show|generate)(?: me)? )?(?:an? )?", "", plain)
        plain = re.sub(rf"(?:the )?(?:words?|phrases?|terms?) (?={_Q})", "", plain)
        # a number of texts inside the instruction is what n says
        plain = re.sub(r"^(?:\d+|some|several|a few|two|three|four|five|ten) ", "", plain)
        writes = _Forms(self).of(plain, quoted)
        if writes is None:
            raise UsageError(f"the corpus writer does not understand {instruction!r}: ask for  {' | '.join(FORMS)}")
        draw = rng(self.seed + seed, "write", instruction.strip())
        made: dict[str, Stimulus] = {}
        for piece in writes(draw):
            one = self._made(piece, instruction, self.seed + seed)
            made.setdefault(one.id, one)
            if len(made) == n:
                break
        if not made:
            words = ", ".join(repr(q) for q in quoted) or repr(instruction)
            raise UsageError(f"no text of the discover split of {self.corpus.name} fits {words}: try another word, or "
                             '"x" in the middle of a sentence')  # fmt: skip
        return list(made.values())

    def _made(self, piece: Piece, instruction: str, seed: int) -> Made:
        source, digest = piece.source, text_id(piece.text)
        return Made(
            id=digest,
            modality="text",
            load=lambda: piece.text,
            group=source.group if source is not None else f"made {digest[:12]}",
            split="discover",
            tags=source.tags if source is not None else (),
            source=source.source if source is not None else "",
            understood=(piece.how,),
            made_by={"tool": self.name, "instruction": instruction, "seed": seed},
        )

    # --- material ------------------------------------------------------------------------------------------------
    @cached_property
    def sentences(self) -> list[Piece]:
        """Sentences (lines, of code) of the discover split, each once, in the order of the corpus."""
        found: dict[str, Piece] = {}
        for stimulus in self.corpus.split("discover"):
            # the first and the last piece of a window are cut off in the middle
            whole = _END.split(stimulus.content.strip())
            for text in whole[1:-1] or whole:
                if _SHORTEST <= len(text) <= _LONGEST:
                    found.setdefault(text, Piece(text, stimulus))
        return list(found.values())

    @cached_property
    def passages(self) -> list[Piece]:
        return [Piece(s.content, s) for s in self.corpus.split("discover")]

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Lower-case words of the discover split → how often they stand there."""
        counts: dict[str, int] = {}
        for piece in self.passages:
            for word in re.findall(r"[a-z]{3,}", piece.text.lower()):
                counts[word] = counts.get(word, 0) + 1
        return counts

    @cached_property
    def words(self) -> Wordnet | None:
        return open_wordnet()


Draw = np.random.Generator
Writes = Callable[[Draw], Iterator[Piece]]


class _Forms:
    """The forms of instruction; each gives a function that yields texts in a seeded order."""

    def __init__(self, writer: CorpusWriter) -> None:
        self.writer = writer

    def of(self, plain: str, quoted: Sequence[str]) -> Writes | None:
        """What writes an instruction: ``plain`` has every quoted phrase replaced by a mark."""
        if not quoted:
            plain, quoted = _quoted(plain)
        several = rf"(?:{_Q}(?:,? (?:and|or) |, )?)+"
        q = len(quoted)
        if re.fullmatch(rf"(?:exactly|the text|text|verbatim|literally):? ?{_Q}|{_Q}(?: exactly| verbatim)", plain):
            return self._exactly(quoted[0])
        if match := re.fullmatch(rf"{_UNIT} {_LACK} {several}", plain):
            return self._found([], quoted, plain)
        if match := re.fullmatch(
            rf"{_UNIT} {_HAVE}(?: both)? ({several})(?: ?,? ?(?:but |and )?{_LACK} ({several}))?", plain
        ):
            with_ = match.group(1).count(_Q)
            return self._found(quoted[:with_], quoted[with_:], plain, every=" or " not in match.group(1))
        if match := re.fullmatch(
            rf"(?:{_UNIT} with |put |)?{_Q}(?: stands)? (?:at|in|near) the (start|beginning|middle|centre|end) of "
            r"(?:an?|the|\w+)? ?(?:sentences?|texts?|lines?)", plain
        ):  # fmt: skip
            return self._placed(quoted[0], match.group(1))
        if match := re.fullmatch(rf"{_Q}(?: alone| only| by itself)?|only {_Q}", plain):
            return self._alone(quoted)
        if match := re.fullmatch(rf"(?:{_Q} repeated|repeat {_Q}|{_Q}) (\d{{1,2}}) times", plain):
            return self._exactly(" ".join([quoted[0]] * int(match.group(1))))
        if match := re.fullmatch(rf"lists? of ({several})", plain):
            return self._list_of(list(quoted))
        if q == 0 and (match := re.fullmatch(r"lists? of ([\w -]+)", plain)):
            return self._kinds(match.group(1))
        if match := re.fullmatch(rf"{_UNIT} (?:about|on|concerning|related to) (?:the |an? )?({_Q}|[\w -]+)", plain):
            return self._about(quoted[0] if q else match.group(1))
        return self._found([], [], plain) if re.fullmatch(rf"(?:random |any |ordinary )?{_UNIT}", plain) else None

    # --- real texts ----------------------------------------------------------------------------------------------
    def _found(self, with_: Sequence[str], without: Sequence[str], plain: str, *, every: bool = True) -> Writes:
        long = re.match(r"passages?|windows?|paragraphs?|texts?", plain) is not None
        together = all if every else any

        def write(draw: Draw) -> Iterator[Piece]:
            pool = self.writer.passages if long else self.writer.sentences
            for piece in _mixed(pool, draw):
                holds = not with_ or together(_holds(piece.text, w) for w in with_)
                if holds and not any(_holds(piece.text, w) for w in without):
                    yield piece
            if with_ and not long:
                for template in _mixed(_TEMPLATES, draw):
                    phrase = " and ".join(with_) if every else with_[int(draw.integers(len(with_)))]
                    yield Piece(template.format(phrase), how="a template with the words in it")

        return write

    def _about(self, topic: str) -> Writes:
        """Texts tagged with the topic, then those with most words of its kind (at least two, or the word itself)."""

        def write(draw: Draw) -> Iterator[Piece]:
            wanted = normal(re.sub(r"^(?:the|an?) ", "", topic.lower()))
            pool = _mixed(self.writer.passages, draw)
            tagged = [p for p in pool if p.source and any(wanted in normal(t) for t in p.source.tags)]
            kinds = {topic.lower(), wanted, *self._under(wanted)}
            scored = [(sum(w in kinds for w in set(re.findall(r"[a-z]+", p.text.lower()))), p) for p in pool]
            least = 1 if len(kinds) <= 2 else 2
            rest = sorted((s for s in scored if s[0] >= least), key=lambda s: -s[0])
            yield from dict.fromkeys([*tagged, *(p for _, p in rest)])

        return write

    # --- words in a place ----------------------------------------------------------------------------------------
    def _placed(self, phrase: str, where: str) -> Writes:
        """Real sentences that hold the phrase there; then it is put into other real sentences at that place."""

        def write(draw: Draw) -> Iterator[Piece]:
            pool = _mixed(self.writer.sentences, draw)
            yield from (p for p in pool if _stands(p.text, phrase, where))
            for piece in pool:
                if not _holds(piece.text, phrase):
                    text = _put(piece.text, phrase, where)
                    yield Piece(text, piece.source, f"put into a real sentence at the {where}")

        return write

    # --- lists and exact texts -----------------------------------------------------------------------------------
    def _exactly(self, text: str) -> Writes:
        return lambda draw: iter([Piece(text, how="exactly")])

    def _alone(self, phrases: Sequence[str]) -> Writes:
        return lambda draw: iter([Piece(p, how="alone") for p in phrases])

    def _list_of(self, items: list[str]) -> Writes:
        def write(draw: Draw) -> Iterator[Piece]:
            forms: tuple[Callable[[Sequence[str]], str], ...] = (
                ", ".join, "\n".join, lambda i: "\n".join(f"- {x}" for x in i),
                lambda i: "\n".join(f"{k}. {x}" for k, x in enumerate(i, start=1)),
            )  # fmt: skip
            for turn in range(24):
                order = [items[int(i)] for i in draw.permutation(len(items))] if turn else items
                yield Piece(forms[turn % 4](order if len(items) > 1 else items * (3 + turn % 4)), how="a list")

        return write

    def _kinds(self, kind: str) -> Writes | None:
        """Words of the discover split that fall under a noun, eight at a time, common ones first."""
        known = sorted(self._under(normal(kind)), key=lambda w: (-self.writer.vocabulary[w], w))[:40]
        if len(known) < 2:
            raise UsageError(
                f"the discover split of {self.writer.corpus.name} has fewer than two {kind}: "
                'name them, as in  a list of "apples" and "pears"'
            )

        def write(draw: Draw) -> Iterator[Piece]:
            for _ in range(24):
                chosen = [known[int(i)] for i in draw.permutation(len(known))[:8]]
                yield Piece(", ".join(chosen), how=f"words of the corpus under {kind}")

        return write

    def _under(self, kind: str) -> set[str]:
        """Words of the vocabulary whose most frequent noun meaning falls under a kind."""
        words = self.writer.words
        if words is None:
            return set()
        roots = {s.offset for s in words.senses(kind)[:3]}
        found: set[str] = set()
        for word in self.writer.vocabulary if roots else ():
            for sense in words.senses(word)[:1]:
                if roots & {sense.offset, *(h.offset for h in words.hypernyms(sense))}:
                    found.add(word)
        return found


# --- strings -----------------------------------------------------------------------------------------------------


T = TypeVar("T")


def _quoted(plain: str) -> tuple[str, list[str]]:
    """The forms in which quotation marks may be left out, with the phrase replaced by the mark of a quoted one."""
    match = re.fullmatch(rf"({_UNIT} {_HAVE}|{_UNIT} {_LACK}) (?:the words? |the |an? )?([\w' -]+)", plain)
    if match is not None and " of " not in f" {match.group(1)} ":
        return f"{match.group(1)} {_Q}", [match.group(2)]
    match = re.fullmatch(
        r"(?:the words? )?([\w' -]+?) ((?:at|in|near) the (?:start|beginning|middle|centre|end) of .+)", plain
    )
    if match is not None:
        return f"{_Q} {match.group(2)}", [match.group(1)]
    return plain, []


def _mixed(pieces: Sequence[T], draw: Draw) -> list[T]:
    return [pieces[int(i)] for i in draw.permutation(len(pieces))]


def _pattern(phrase: str) -> re.Pattern[str]:
    """The phrase as whole words; marks at its ends need no word edge. Small letters match capitals too."""
    left, right = (r"(?<![\w-])" if phrase[:1].isalnum() else ""), (r"(?![\w-])" if phrase[-1:].isalnum() else "")
    return re.compile(f"{left}{re.escape(phrase)}{right}", 0 if any(c.isupper() for c in phrase) else re.IGNORECASE)


def _holds(text: str, phrase: str) -> bool:
    return _pattern(phrase).search(text) is not None


def _stands(text: str, phrase: str, where: str) -> bool:
    """Whether the phrase stands at the start, in the middle (not the first or last two words) or at the end."""
    match = _pattern(phrase).search(text)
    if match is None:
        return False
    before, after = len(re.findall(r"\w+", text[: match.start()])), len(re.findall(r"\w+", text[match.end() :]))
    if where in ("start", "beginning"):
        return before == 0
    return after == 0 if where == "end" else before >= 2 and after >= 2


def _put(text: str, phrase: str, where: str) -> str:
    """The phrase put into a sentence; nothing else changes but the space around it (and the old first capital)."""
    if where in ("start", "beginning"):
        first = text.split(" ", 1)[0].lower()
        rest = text[:1].lower() + text[1:] if first in _OPENERS else text
        return f"{phrase[:1].upper()}{phrase[1:]} {rest}"
    if where == "end":
        body = text.rstrip('.!?"”’) ')
        return f"{body} {phrase}{text[len(body) :]}"
    gaps = [m.start() for m in re.finditer(r" (?=\w)", text)]
    at = gaps[len(gaps) // 2] if gaps else len(text)
    return f"{text[:at]} {phrase}{text[at:]}"
