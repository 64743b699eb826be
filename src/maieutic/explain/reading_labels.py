"""Read a label that somebody else wrote: English text -> predicate, without a language model.

For labels that come as text only (from another tool, a data base, a person), so that they can be scored like our own.
Read are: quoted words, affixes and phrases; lists of examples; named classes (numbers, months, past tense ...); content
words by their meaning (a lexicon's synonyms and kinds); context after ``after``, ``in``, ``at the start of``; exceptions
after ``except``. What cannot be read is left out and named, and a label of which nothing can be read has no predicate.

What this does not do: understand. Metaphor, tone, grammar beyond the list below, anything that comes *after* a token, and
knowledge of the world are lost, so a low score of a read label may be the reader's fault and not the label's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from maieutic.explain.predicates.base import And, Not, Or, Predicate, Scaled
from maieutic.explain.predicates.text import (
    HasAffix,
    NumberRange,
    Position,
    PreviousIs,
    Structure,
    TokenClass,
    TokenIn,
    WithinLast,
    WordIn,
)
from maieutic.explain.predicates.text_meaning import EndsPhrase, Means, WordForm, known
from maieutic.explain.text_words import CLOSED_CLASSES

#: strength left to words whose context does not hold, and to modifiers beside the noun that they modify
_OUT_OF_CONTEXT, _MODIFIER = 0.3, 0.4
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
    text = _LEAD.sub("", " ".join(label.translate(_QUOTES).split())).strip(" .")
    text = _EMPTY.sub(" ", text)
    main, _, minus = _split(text, _EXCEPT)
    predicate = _with_context(main, notes)
    if predicate is not None and minus:
        without = _with_context(minus, notes)
        if without is not None:
            predicate = And(parts=(predicate, Not(part=without)))
    return LabelReading(
        label=label,
        predicate=predicate,
        understood=() if predicate is None else tuple(dict.fromkeys(notes.used)),
        ignored=tuple(dict.fromkeys(notes.ignored)),
    )


class _Notes:
    """What was used of a label, and what was not."""

    def __init__(self) -> None:
        self.used: list[str] = []
        self.ignored: list[str] = []


# --- the words a label is written in -------------------------------------------------------------------------------

_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "`": '"', "‘": "'", "’": "'"})
_LEAD = re.compile(
    r"^(?:(?:this|the)\s+)?(?:neuron|unit|feature|latent|channel|it)?\s*(?:mostly\s+|strongly\s+)?"
    r"(?:fires|activates|responds|looks|is active|is looking|detects|represents)\s*(?:on|for|to|when|at|in|upon)?\s*[:,]?\s*",
    re.IGNORECASE,
)
#: says nothing about which tokens are meant
_EMPTY = re.compile(
    r"\b(?:and nothing else|but nothing else|and only th(?:at|ose)|in general|generally|specifically|particularly|especially|"
    r"mainly|mostly|usually|often|typically|only|all|any|every|various|different|many|certain|specific)\b",
    re.IGNORECASE,
)
_EXCEPT = re.compile(
    r"[,;]?\s*\b(?:except(?: for| when| in)?|excluding|but not|and not|not including|other than|rather than|apart from)\b",
    re.IGNORECASE,
)
_EXAMPLES = re.compile(
    r"[,;(]?\s*\b(?:such as|like|including|for example|for instance|e\.?g\.?)[,:]?\s*", re.IGNORECASE
)
_CONTEXT = re.compile(
    r"\b(?P<after>(?:immediately |right |directly |just )?(?:after|following)|(?:that |which )?(?:come|comes|follow|follows)"
    r"(?: right| directly| immediately)?(?: after)?|preceded by)\b"
    r"|\b(?P<before>before|followed by|preceding|that precedes?|leading up to|prior to)\b"
    r"|\b(?P<start>(?:at|in|near|from) the (?:very )?(?:start|beginning)s? of|(?:that |which )?"
    r"(?:starts?|begins?|beginning|starting)"
    r"(?= (?:a|the|each|every|new)?\s*(?:sentence|line|paragraph|text|document)))\b"
    r"|\b(?P<end>(?:at|in|near) the (?:very )?ends? of|(?:that |which )?ends?(?= (?:a|the)? ?(?:sentence|line|text)))\b"
    r"|\b(?P<inside>inside(?: of)?|within|enclosed (?:in|by)|surrounded by|between)\b"
    r"|\b(?P<around>in (?:the )?(?:context|contexts|setting|presence|case) of|"
    r"in(?: a| an| the)?(?: passages?| texts?| sentences?) about|"
    r"when (?:discussing|describing|talking about)|during|in)\b",
    re.IGNORECASE,
)
_OR = re.compile(r"\s*(?:,\s*(?:and|or|as well as)\b|;|,|\b(?:and|or|as well as|and/or)\b|/)\s*", re.IGNORECASE)
_ABOUT = re.compile(
    r"\b(?:(?:related|relating|pertaining|referring|belonging|linked|tied|connected) to|associated with|about|concerning|"
    r"involving|regarding|describing|denoting|indicating|expressing|representing|"
    r"that (?:describe|denote|indicate|express|mean|name|refer to)s?|"
    r"that (?:is|are)|of)\b",
    re.IGNORECASE,
)
_LITERAL = re.compile(r'"([^"]+)"|(?<!\w)\'([^\']+)\'(?!\w)')
_AFFIX = re.compile(
    r"\b(?P<start>(?:start|begin)(?:s|ning|ing)? (?:with|in))\b|\b(?P<end>(?:end|ending|ends) (?:with|in)|suffix(?:ed with)?)\b",
    re.IGNORECASE,
)
_LETTERS = re.compile(r'(?:the )?(?:letters? |prefix |suffix )?["\']?-?([A-Za-z]{1,6})-?["\']?(?=$|[\s,;])')
#: nouns that stand for "tokens", so that the rest of the phrase says which ones
_GENERAL_WORDS = """
word words term terms token tokens phrase phrases reference references mention mentions instance instances example
examples name names noun-phrase concept concepts idea ideas type types kind kinds form forms occurrence occurrences use uses
usage text texts passage passages language expression expressions thing things item items character characters symbol symbols
letter letters something anything part parts piece pieces one ones element elements variation variations category related
string strings sentence sentences topic topics entity entities context content following preceding other another same first
last next the a an this that these those its their his her to from on for with by as at of in is are be being been was were
who whom whose which what where when how it they them there here etc general specific not no has have having used using
within into over under up out off so than then also both either each more most some such several
"""
_GENERAL = frozenset(_GENERAL_WORDS.split())
#: words of labels -> classes of tokens; plural or singular
_CLASSES: tuple[tuple[str, Predicate], ...] = (
    (r"(?:plural|plurals)(?: nouns?| forms?| words?)?", WordForm(name="plural nouns")),
    (r"(?:verbs? in (?:the )?)?(?:simple )?past[- ]tense(?: verbs?| forms?)?", WordForm(name="past tense")),
    (r"(?:present participles?|gerunds?|progressive verbs?|-?ing (?:verbs?|forms?))", WordForm(name="present participles")),
    (r"comparatives?(?: adjectives?| forms?)?", WordForm(name="comparative forms")),
    (r"superlatives?(?: adjectives?| forms?)?", WordForm(name="superlative forms")),
    (r"adjectives?", WordForm(name="adjectives")),
    (r"adverbs?", WordForm(name="adverbs")),
    (r"(?:action )?verbs?", WordForm(name="verbs")),
    (r"proper (?:nouns?|names?)|names? of (?:people|persons|places)", TokenClass(name="capitalised")),
    (r"(?:common )?nouns?", WordForm(name="nouns")),
    (r"capitali[sz]ed(?: words?| letters?)?|capital letters?|upper-?case(?: words?| letters?)?",
     Or(parts=(TokenClass(name="capitalised"), TokenClass(name="capital letters only")))),
    (r"all[- ]caps|acronyms?|abbreviations?|initialisms?", TokenClass(name="capital letters only")),
    (r"lower-?case(?: words?| letters?)?", TokenClass(name="lower case")),
    (r"years?|dates?", NumberRange(low=1500, high=2100)),
    (r"numbers?|numerals?|digits?|numeric(?:al)?(?: values?)?|quantities",
     Or(parts=(TokenClass(name="numbers"), TokenClass(name="number words")))),
    (r"punctuation(?: marks?)?", TokenClass(name="punctuation")),
    (r"commas?", TokenClass(name="commas")),
    (r"periods?|full stops?", TokenClass(name="full stops")),
    (r"semi-?colons?", TokenClass(name="semicolons")),
    (r"colons?", TokenClass(name="colons")),
    (r"hyphens?|dashes?", TokenIn(words=("-", "--", "–", "—"))),
    (r"question marks?", TokenIn(words=("?",))),
    (r"exclamation (?:marks?|points?)", TokenIn(words=("!",))),
    (r"quotation marks?|quotes?|quote marks?", TokenClass(name="quotation marks")),
    (r"(?:opening|open|left) (?:brackets?|parenthes[ei]s)", TokenClass(name="opening brackets")),
    (r"(?:closing|close|right) (?:brackets?|parenthes[ei]s)", TokenClass(name="closing brackets")),
    (r"brackets?|parenthes[ei]s",
     Or(parts=(TokenClass(name="opening brackets"), TokenClass(name="closing brackets")))),
    (r"new ?lines?|line breaks?", TokenClass(name="line breaks")),
    (r"white ?space|spaces", TokenClass(name="white space")),
    (r"operators?|math(?:ematical)? symbols?", TokenClass(name="operators")),
    (r"code|programming", Structure(name="in code")),
    (r"(?:interrogatives?|question words?|wh-words?)", TokenClass(name="question words")),
    (r"questions?", Or(parts=(TokenClass(name="question words"), TokenIn(words=("?",))))),
    (r"negations?|negative words?|negatives", TokenClass(name="negations")),
    (r"(?:definite |indefinite )?articles?|determiners?", TokenClass(name="articles and determiners")),
    (r"prepositions?", TokenClass(name="prepositions")),
    (r"conjunctions?|connectives?",
     Or(parts=(TokenClass(name="coordinating words"), TokenClass(name="subordinating words")))),
    (r"possessive(?: pronouns?| words?)?s?", TokenClass(name="possessives")),
    (r"(?:personal |first[- ]person |second[- ]person |third[- ]person )?pronouns?",
     Or(parts=(TokenClass(name="personal pronouns"), TokenClass(name="possessives")))),
    (r"modals?(?: verbs?)?|auxiliar(?:y|ies)(?: verbs?)?", TokenClass(name="modal verbs")),
    (r"months?", TokenClass(name="months")),
    (r"days? of the week|weekdays?", TokenClass(name="days of the week")),
    (r"ordinals?(?: numbers?)?", TokenClass(name="ordinals")),
    (r"compass points?|cardinal directions?", TokenClass(name="compass points")),
    (r"contractions?", TokenClass(name="contractions")),
    (r"stop ?words?|function words?",
     Or(parts=tuple(TokenClass(name=n) for n in ("articles and determiners", "prepositions", "coordinating words")))),
)  # fmt: skip
_CLASS_RES = tuple((re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])", re.IGNORECASE), p) for pattern, p in _CLASSES)


# --- parts of a label ----------------------------------------------------------------------------------------------


def _split(text: str, at: re.Pattern[str]) -> tuple[str, re.Match[str] | None, str]:
    """The text before and after the first match that lies outside quotation marks."""
    for match in at.finditer(text):
        if text[: match.start()].count('"') % 2 == 0:
            return text[: match.start()].strip(" ,;("), match, text[match.end() :].strip(" ,;)")
    return text, None, ""


def _with_context(text: str, notes: _Notes) -> Predicate | None:
    """``X after Y``: the phrase X where its context holds, less elsewhere."""
    head, match, tail = _split(text, _CONTEXT)
    if match is None or not tail:
        return _choices(text, notes)
    relation = str(match.lastgroup)
    own = _choices(head, notes) if head else None
    if relation == "around" and match.group().lower() == "in" and own is None:
        return _choices(tail, notes)
    context = _context(relation, tail, notes)
    if context is None:
        return own
    if own is None:
        return context
    return Or(parts=(And(parts=(own, context)), Scaled(part=own, strength=_OUT_OF_CONTEXT)))


def _context(relation: str, tail: str, notes: _Notes) -> Predicate | None:
    """Where a phrase stands, or ``None`` when that cannot be known at the token (what comes after it)."""
    low = tail.lower()
    place = next((p for words, p in _PLACES[relation] if re.search(rf"\b(?:{words})", low)), None) if (
        relation in _PLACES
    ) else None  # fmt: skip
    if place is not None:
        notes.used.append(f"{relation} {tail}")
        return place
    if relation in ("before", "end"):
        notes.ignored.append(f"{relation} {tail}")
        return None
    about = _with_context(tail, notes)
    if about is None:
        return None
    if relation == "after":
        return Or(parts=(PreviousIs(part=about), Scaled(part=WithinLast(part=about, n=_NEAR), strength=0.5)))
    return WithinLast(part=about, n=_AROUND)


_PLACES: dict[str, tuple[tuple[str, Predicate], ...]] = {
    "start": (
        ("sentence", Structure(name="at the start of a sentence")),
        ("line|paragraph", Structure(name="first on the line")),
        ("text|document|passage|string|prompt", Position(first=0, last=0)),
        ("word", TokenClass(name="beginnings of words")),
    ),
    "end": (("sentence", TokenClass(name="sentence ends")), ("line|paragraph", TokenClass(name="line breaks"))),
    "inside": (
        ("parenthes|round bracket", Structure(name="inside parentheses")),
        ("square bracket", Structure(name="inside square brackets")),
        ("brace|curly", Structure(name="inside braces")),
        ("bracket", Or(parts=tuple(Structure(name=f"inside {b}") for b in ("parentheses", "square brackets", "braces")))),
        ("quot", Structure(name="inside quotation marks")),
        ("comment", Structure(name="inside a comment")),
    ),
    "around": (("code", Structure(name="in code")), ("prose", Structure(name="in prose"))),
}  # fmt: skip


def _choices(text: str, notes: _Notes) -> Predicate | None:
    """Alternatives joined by ``and``, ``or`` and commas, with their examples; the strongest counts."""
    main, _, examples = _split(text, _EXAMPLES)
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
    for match in _OR.finditer(text):
        if text[: match.start()].count('"') % 2 == 0:
            pieces.append(text[start : match.start()])
            start = match.end()
    return [p for p in (*pieces, text[start:]) if p.strip()]


def _any(found: Sequence[Predicate]) -> Predicate | None:
    unique = list(dict.fromkeys(found))
    return None if not unique else unique[0] if len(unique) == 1 else Or(parts=tuple(unique))


def _phrase(text: str, notes: _Notes) -> Predicate | None:
    """One phrase: affixes, quoted words, named classes, else what its content words mean."""
    affix = _AFFIX.search(text)
    if affix is not None and (letters := _LETTERS.match(text[affix.end() :].strip())):
        notes.used.append(affix.group() + f" {letters.group(1)}")
        ends = letters.group(1).lower()
        return HasAffix(prefix=ends) if affix.lastgroup == "start" else HasAffix(suffix=ends)
    quoted = [a or b for a, b in _LITERAL.findall(text)]
    if quoted:
        notes.used += [f'"{q}"' for q in quoted]
        return _any([_word(q.strip().lower()) for q in quoted])
    for pattern, predicate in _CLASS_RES:
        found = pattern.search(text)
        if found is not None:
            notes.used.append(found.group())
            return _narrowed(predicate, text[: found.start()] + " " + text[found.end() :], notes)
    return _meaning(text, notes)


def _word(quoted: str) -> Predicate:
    """A word, a part of a word (``-ing``, ``un-``), a mark, or a phrase that a label quotes."""
    if len(quoted) > 1 and quoted.startswith("-") and quoted[1:].isalpha():
        return Or(parts=(HasAffix(suffix=quoted[1:]), TokenIn(words=(quoted[1:], quoted))))
    if len(quoted) > 1 and quoted.endswith("-") and quoted[:-1].isalpha():
        return HasAffix(prefix=quoted[:-1])
    if re.search(r"\s", quoted):
        return EndsPhrase(phrase=quoted)
    return Or(parts=(TokenIn(words=(quoted,)), WordIn(words=(quoted,))))


def _narrowed(predicate: Predicate, rest: str, notes: _Notes) -> Predicate:
    """A class with the meaning that goes with it: ``verbs of motion``, ``negative adjectives``."""
    meaning = _meaning(rest, notes)
    if meaning is None:
        return predicate
    return Or(parts=(And(parts=(predicate, meaning)), Scaled(part=predicate, strength=_MODIFIER)))


def _meaning(text: str, notes: _Notes) -> Predicate | None:
    """Content words by meaning: the head noun of each part, modifiers for less."""
    found: list[Predicate] = []
    for part in _ABOUT.split(text):
        words = [w for w in re.findall(r"[^\W\d_]+(?:['-][^\W\d_]+)*", part.lower()) if w not in _GENERAL]
        if not words:
            continue
        if len(words) > 1 and known(" ".join(words)):
            words = [" ".join(words)]
        for i, word in enumerate(words):
            notes.used.append(word)
            meant = _closed(word) or Means(word=word)
            found.append(meant if i == len(words) - 1 else Scaled(part=meant, strength=_MODIFIER))
    return _any(found)


def _closed(word: str) -> Predicate | None:
    """A closed class that is called by this word (``colours`` with its spellings), beside the meaning of its name."""
    spellings = {word, word.replace("color", "colour")}
    name = next((n for n in CLOSED_CLASSES if n in spellings or n.removesuffix("s") in spellings), None)
    return None if name is None else Or(parts=(TokenClass(name=name), Means(word=word)))
