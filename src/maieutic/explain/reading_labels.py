"""Read a label that somebody else wrote: English text -> predicate, without a language model.

For labels that come as text only (from another tool, a data base, a person), so that they can be scored like our own.
Read are: quoted words, affixes and phrases; lists of examples; named classes (numbers, months, past tense ...); content
words by their meaning (a lexicon's synonyms and kinds); context after ``after``, ``in``, ``at the start of``; exceptions
after ``except``. What cannot be read is left out and named, and a label of which nothing can be read has no predicate.

What this does not do: understand. Metaphor, tone, grammar beyond the list below, and
knowledge of the world are lost, so a low score of a read label may be the reader's fault and not the label's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from maieutic.explain.label_words import (
    ABOUT,
    AFFIX,
    CLASS_RES,
    CONTEXT,
    EMPTY,
    EXAMPLES,
    EXCEPT,
    GENERAL,
    LEAD,
    LETTERS,
    LIMITS,
    LITERAL,
    NEGATED,
    NUMBER_WORDS,
    NUMBERS,
    ONLY,
    OR,
    ORDINALS,
    PLACES,
    QUOTES,
    REPEATED,
    SIZES,
    TOPICS,
    WHICH,
)
from maieutic.explain.predicates.base import And, Not, Or, Predicate, Scaled
from maieutic.explain.predicates.text import HasAffix, NumberRange, PreviousIs, TokenClass, TokenIn, WithinLast, WordIn
from maieutic.explain.predicates.text_meaning import EndsPhrase, Means, NextIs, WordForm, known
from maieutic.explain.predicates.text_patterns import HasCharacter, Near, NthDistinct, Repeated
from maieutic.explain.text_words import CLOSED_CLASSES

#: strength of words whose context does not hold, of modifiers beside their noun, and of words of a whole topic class
_OUT_OF_CONTEXT, _MODIFIER, _TOPIC = 0.3, 0.4, 0.6
#: how far "in the context of" and "after" reach, in tokens
_NEAR, _AROUND = 4, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelReading:
    """What was made of a label.

    Attributes:
        label: the text.
        predicate: its executable form; ``None`` when nothing of it was understood.
        understood: parts that have become part of the predicate, in words.
        ignored: words that were not used.
    """

    label: str
    predicate: Predicate | None
    understood: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def read_label(label: str) -> LabelReading:
    """The executable form of a label text, as far as it can be read. Deterministic; needs no network and no model.

    Without the lexicon (``maieutic fetch`` brings it) meanings shrink to spelling.
    """
    notes = _Notes()
    text = LEAD.sub("", " ".join(label.translate(QUOTES).split())).strip(" .")
    text = EMPTY.sub(" ", text)
    main, _, minus = _split(text, EXCEPT)
    predicate = _with_context(main, notes)
    if predicate is not None and minus:
        notes.strict = True
        without = _apart(_with_context(minus, notes), predicate)
        if without is not None:
            predicate = And(parts=(predicate, Not(part=without)))
    return LabelReading(
        label=label,
        predicate=predicate,
        understood=() if predicate is None else tuple(dict.fromkeys(notes.used)),
        ignored=tuple(dict.fromkeys(notes.ignored)),
    )


def _apart(minus: Predicate | None, main: Predicate) -> Predicate | None:
    """The exception without what the label names as well: "motion on feet, but not motion in the air"."""
    if not isinstance(minus, Or):
        return None if minus == main else minus
    named = set(main.parts) if isinstance(main, Or) else {main}
    return _any([p for p in minus.parts if p not in named])


class _Notes:
    """What was used of a label, and what was not. ``strict``: conditions hold wholly or not at all (in exceptions)."""

    def __init__(self) -> None:
        self.strict = False
        self.used: list[str] = []
        self.ignored: list[str] = []


# --- parts of a label ----------------------------------------------------------------------------------------------


def _split(text: str, at: re.Pattern[str]) -> tuple[str, re.Match[str] | None, str]:
    """The text before and after the first match that lies outside quotation marks."""
    for match in at.finditer(text):
        if text[: match.start()].count('"') % 2 == 0:
            return text[: match.start()].strip(" ,;("), match, text[match.end() :].strip(" ,;)")
    return text, None, ""


def _with_context(text: str, notes: _Notes) -> Predicate | None:
    """``X after Y``: the phrase X where its context holds, less elsewhere (not at all when the label says "only")."""
    compared = _comparison(text, notes)
    if compared is not None:
        return compared
    head, match, tail = _split(text, CONTEXT)
    if match is None or not tail:
        return _choices(ONLY.sub(" ", text), notes)
    relation, strict = str(match.lastgroup), bool(ONLY.search(head + " " + match.group()))
    own = _choices(ONLY.sub(" ", head), notes) if head else None
    if relation == "around" and match.group().lower() == "in" and own is None:
        return _with_context(tail, notes)
    context = _context(relation, tail, notes, alone=own is None)
    if context is None:
        return own
    if own is None:
        return context
    both = And(parts=(own, context))
    return both if strict or notes.strict else Or(parts=(both, Scaled(part=own, strength=_OUT_OF_CONTEXT)))


def _context(relation: str, tail: str, notes: _Notes, *, alone: bool) -> Predicate | None:
    """Where a phrase stands, or ``None`` when that cannot be read. ``alone``: the label says nothing else."""
    places = PLACES.get("around" if relation == "given" else relation, ())
    place = next((p for words, p in places if re.search(rf"\b(?:{words})", tail.lower())), None)
    if place is not None:
        notes.used.append(f"{relation} {tail}")
        return place
    if relation == "end":
        notes.ignored.append(f"{relation} {tail}")
        return None
    about = _with_context(tail, notes)
    if about is None:
        return None
    if relation == "before":
        return NextIs(part=about)
    if relation == "given":
        return Near(part=about)
    if relation == "after":
        loose = Scaled(part=WithinLast(part=about, n=_NEAR), strength=0.5)
        return PreviousIs(part=about) if alone else Or(parts=(PreviousIs(part=about), loose))
    return WithinLast(part=about, n=_NEAR) if relation == "when" else Near(part=about, n=_AROUND)


def _comparison(text: str, notes: _Notes) -> Predicate | None:
    """``numbers greater than one million``, ``between 3 and 10``, ``single digit numbers``, ``large numbers``."""
    if not NUMBERS.search(text):
        return None
    match = next((m for pattern in LIMITS if (m := pattern.search(text))), None)
    if match is None:
        return None
    kind, said = str(match.lastgroup), [_number(g) for g in match.groups() if g and _number(g) is not None]
    if kind in SIZES:
        low, high = SIZES[kind]
    elif kind == "between" and len(said) == 2 and None not in said:
        low, high = sorted(float(v) for v in said if v is not None)
    elif said and said[0] is not None:
        low, high = (said[0], inf) if kind == "above" else (0.0, said[0])
    else:
        return None
    notes.used.append(match.group())
    return NumberRange(low=low, high=min(high, 1e15))


def _number(words: str) -> float | None:
    """``1,000``, ``2.5 million``, ``one hundred``; ``None`` when it is no number."""
    total, seen = 1.0, False
    for word in re.findall(r"\d[\d,]*(?:\.\d+)?|[a-z]+", words.lower()):
        value = float(word.replace(",", "")) if word[0].isdigit() else NUMBER_WORDS.get(word)
        if value is None:
            continue
        total, seen = total * value, True
    return total if seen else None


def _choices(text: str, notes: _Notes) -> Predicate | None:
    """Alternatives joined by ``and``, ``or`` and commas, with their examples; the strongest counts."""
    main, _, examples = _split(text, EXAMPLES)
    found = [p for piece in _pieces(main) if (p := _phrase(piece, notes)) is not None]
    for piece in _pieces(examples):
        bare = re.sub(r"^(?:the|a|an)\s+", "", piece.strip(" .)\"'").lower())
        if bare and bare not in ("etc", "others"):
            notes.used.append(f'"{bare}"')
            found.append(_word(bare))
    return _any(found)


def _pieces(text: str) -> list[str]:
    """The text cut at ``and``, ``or``, commas and slashes outside quotation marks."""
    pieces, start = list[str](), 0
    for match in OR.finditer(text):
        if text[: match.start()].count('"') % 2 == 0:
            pieces.append(text[start : match.start()])
            start = match.end()
    return [p for p in (*pieces, text[start:]) if p.strip()]


def _any(found: Sequence[Predicate]) -> Predicate | None:
    unique = list(dict.fromkeys(found))
    return None if not unique else unique[0] if len(unique) == 1 else Or(parts=tuple(unique))


def _phrase(text: str, notes: _Notes) -> Predicate | None:
    """One phrase: affixes, quoted words, named classes, else what its content words mean."""
    affix = AFFIX.search(text)
    if affix is not None and (letters := LETTERS.match(text[affix.end() :].strip())):
        notes.used.append(affix.group() + f" {letters.group(1)}")
        ends = letters.group(1).lower()
        found = HasAffix(prefix=ends) if affix.lastgroup == "start" else HasAffix(suffix=ends)
        kind = _phrase(text[: affix.start()], notes)
        return found if kind is None else And(parts=(found, kind))
    narrowed = _which(text, notes)
    if narrowed is not None:
        return narrowed
    quoted = [a or b for a, b in LITERAL.findall(text)]
    if quoted:
        notes.used += [f'"{q}"' for q in quoted]
        return _any([_word(q.strip().lower()) for q in quoted])
    digits = re.findall(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?(?![\w])", text)
    if digits:
        notes.used += digits
        return WordIn(words=tuple(d.strip(",") for d in digits))
    for pattern, predicate in CLASS_RES:
        found = pattern.search(text)
        if found is not None:
            notes.used.append(found.group())
            rest = text[: found.start()] + " " + text[found.end() :]
            return _ordered(predicate, rest) or _narrowed(predicate, rest, notes)
    return _meaning(text, notes)


def _ordered(predicate: Predicate, rest: str) -> Predicate | None:
    """``the second named character``, ``names repeated several times``."""
    nth = next((n for word, n in ORDINALS.items() if re.search(rf"\b{word}\b", rest, re.IGNORECASE)), None)
    if nth is not None:
        return NthDistinct(part=predicate, nth=nth)
    return Repeated(part=predicate) if REPEATED.search(rest) else None


def _which(text: str, notes: _Notes) -> Predicate | None:
    """``motion that uses feet``: the first part where the clause holds too, less elsewhere."""
    head, match, clause = _split(text, WHICH)
    if match is None or not head or not clause:
        return None
    own = _phrase(head, notes)
    if own is None:
        return None
    held = _phrase(NEGATED.sub(" ", clause), notes)
    if held is None:
        return own
    both = And(parts=(own, Not(part=held) if NEGATED.search(clause) else held))
    return both if notes.strict else Or(parts=(both, Scaled(part=own, strength=_OUT_OF_CONTEXT)))


def _word(quoted: str) -> Predicate:
    """A word, a part of a word (``-ing``, ``un-``), a mark, or a phrase that a label quotes."""
    if len(quoted) > 1 and quoted.startswith("-") and quoted[1:].isalpha():
        return Or(parts=(HasAffix(suffix=quoted[1:]), TokenIn(words=(quoted[1:], quoted))))
    if len(quoted) > 1 and quoted.endswith("-") and quoted[:-1].isalpha():
        return HasAffix(prefix=quoted[:-1])
    if re.search(r"\s", quoted):
        return EndsPhrase(phrase=quoted)
    if len(quoted) == 1 and not quoted.isalnum():
        return HasCharacter(character=quoted)
    return Or(parts=(TokenIn(words=(quoted,)), WordIn(words=(quoted,))))


def _narrowed(predicate: Predicate, rest: str, notes: _Notes) -> Predicate:
    """A class with the meaning that goes with it: ``verbs of motion``, ``negative adjectives``."""
    meaning = _meaning(rest, notes)
    if meaning is None:
        return predicate
    if not isinstance(predicate, WordForm):  # a number or a mark has no meaning of its own: what stands beside it has
        meaning = Near(part=meaning)
    return Or(parts=(And(parts=(predicate, meaning)), Scaled(part=predicate, strength=_MODIFIER)))


def _meaning(text: str, notes: _Notes) -> Predicate | None:
    """Content words by meaning: the head noun of each part, modifiers for less."""
    found: list[Predicate] = []
    for part in ABOUT.split(text):
        words = [w for w in re.findall(r"[^\W\d_]+(?:['-][^\W\d_]+)*", part.lower()) if w not in GENERAL]
        if not words:
            continue
        if len(words) > 1 and known(" ".join(words)):
            words = [" ".join(words)]
        for i, word in enumerate(words):
            notes.used.append(word)
            meant = _closed(word) or _topic(word) or Means(word=word)
            found.append(meant if i == len(words) - 1 else Scaled(part=meant, strength=_MODIFIER))
    return _any(found)


def _topic(word: str) -> Predicate | None:
    """A topic class of the lexicon that is called by this word, beside the word's own meaning."""
    names = TOPICS.get(word) or TOPICS.get(word.removesuffix("s"))
    if names is None:
        return None
    return Or(parts=(Means(word=word), *(Scaled(part=TokenClass(name=n), strength=_TOPIC) for n in names)))


def _closed(word: str) -> Predicate | None:
    """A closed class that is called by this word (``colours`` with its spellings), beside the meaning of its name."""
    spellings = {word, word.replace("color", "colour")}
    name = next((n for n in CLOSED_CLASSES if n in spellings or n.removesuffix("s") in spellings), None)
    return None if name is None else Or(parts=(TokenClass(name=name), Means(word=word)))
