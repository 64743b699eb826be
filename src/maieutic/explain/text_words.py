"""Closed-class word lists and spelling classes of tokens: the vocabulary that predicates about text are written in.

The lists are short and written by hand; they hold what a person would call "a preposition" or "a month", not a lexicon.
Nothing here looks at context: a class of a token is a function of the word it ends (see ``views_text``).
"""

from __future__ import annotations

from functools import lru_cache

_LISTS: dict[str, str] = {
    "articles and determiners": "a an the this that these those each every either neither another such",
    "demonstratives": "this that these those",
    "prepositions": (
        "of in to for with on at from by about into over after under between through during before without "
        "against among within along across behind toward towards upon beside besides beyond above below near "
        "since until off per via throughout despite amid"
    ),
    "personal pronouns": (
        "i you he she it we they me him her us them myself yourself himself herself itself ourselves themselves"
    ),
    "possessives": "my your his her its our their mine yours hers ours theirs",
    "forms of be": "be is are was were been being am",
    "forms of have": "have has had having",
    "modal verbs": "will would shall should can could may might must ought cannot",
    "coordinating words": "and or but nor yet so",
    "subordinating words": (
        "because although though while if unless when whenever where whereas since until that whether as than"
    ),
    "question words": "who whom whose which what when where why how",
    "negations": "not no never none nothing nobody nor neither without cannot n't nowhere hardly",
    "quantifiers": (
        "all most some any many much few several both each every more less enough half half-a-dozen various numerous"
    ),
    "comparatives": (
        "more less most least better worse best worst larger smaller greater fewer higher lower than further"
    ),
    "number words": (
        "zero one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty sixty "
        "hundred thousand million billion trillion dozen"
    ),
    "ordinals": "first second third fourth fifth sixth seventh eighth ninth tenth last next",
    "months": (
        "january february march april may june july august september october november december jan feb mar "
        "apr jun jul aug sep sept oct nov dec"
    ),
    "days of the week": "monday tuesday wednesday thursday friday saturday sunday",
    "time words": (
        "year years month months week weeks day days hour hours minute minutes second seconds century "
        "centuries decade decades today yesterday tomorrow now then ago later earlier recently soon already"
    ),
    "units of measure": (
        "km m cm mm sq kg kw kwh mi miles meters metres percent % per cent tons barrels cu ft nm mw gw "
        "hectares acres feet bytes bits"
    ),
    "money": "$ dollar dollars euro euros cents pounds budget tax taxes debt revenue revenues currency gdp",
    "colours": "red green blue white black yellow orange purple brown gray grey pink gold silver",
    "compass points": (
        "north south east west northern southern eastern western northeast northwest southeast southwest central"
    ),
    "adverbs of degree": "very too so quite rather almost nearly just only even still also well much more most",
    "family words": (
        "mother father sister brother son daughter wife husband parent parents child children family uncle "
        "aunt cousin grandmother grandfather"
    ),
    "government words": (
        "government congress president state states law laws minister ministers senate house court courts "
        "constitution election elections party parties union federal legislature republic"
    ),
    "war words": "war army navy military forces force weapons soldiers troops peace defense security attack enemy",
    "programming keywords": (
        "def class return if elif else for while import from try except finally with as pass raise lambda "
        "yield assert del global nonlocal not and or in is none true false self print async await"
    ),
    "code literals": "none true false null",
    "greetings and courtesy": "hello hi please thanks thank welcome sorry fellow gentlemen",
    "country words": (
        "america american united states china chinese russia russian france french german germany british "
        "britain mexico spain spanish european europe africa african asia indian india japan japanese"
    ),
    "speech verbs": "say says said tell told ask asked speak spoke state stated report reported declare declared",
    "contractions": "'s 't 're 've 'll 'd 'm n't s t re ve ll",
}

#: word -> the closed classes it belongs to, in a fixed order
_MEMBERS: dict[str, tuple[str, ...]] = {}
for _name, _words in _LISTS.items():
    for _word in dict.fromkeys(_words.split()):
        _MEMBERS[_word] = (*_MEMBERS.get(_word, ()), _name)

CLOSED_CLASSES: dict[str, tuple[str, ...]] = {n: tuple(dict.fromkeys(w.split())) for n, w in _LISTS.items()}

#: endings that mark a kind of word, with what a person calls it
SUFFIX_CLASSES: dict[str, str] = {
    end: f"words ending in -{end}"
    for end in (
        [
            "ing",
            "ed",
            "ly",
            "tion",
            "ment",
            "ness",
            "ity",
            "est",
            "able",
            "ous",
            "ive",
            "al",
            "er",
            "ize",
            "ism",
            "ist",
            "ful",
            "less",
            "ent",
            "ance",
            "ence",
            "s",
        ]
    )
}

_QUOTES = "\"'`‘’“”«»"
_OPEN, _CLOSE = "([{<", ")]}>"
_OPERATORS = "=+-*/%<>!&|^~@"
_MARKS = {".": "full stops", ",": "commas", ":": "colons", ";": "semicolons", "-": "hyphens", "_": "underscores"}


@lru_cache(maxsize=65536)
def spelling_classes(piece: str) -> tuple[str, ...]:
    """What a token without outer spaces looks like: ``numbers``, ``capitalised``, ``opening brackets`` ..."""
    if not piece:
        return ("white space",)
    if piece.isspace():
        return ("line breaks", "white space") if "\n" in piece else ("white space",)
    if piece.isdigit():
        return ("numbers", "single digits") if len(piece) == 1 else ("numbers",)
    letters = [c for c in piece if c.isalpha()]
    out: list[str] = []
    if letters:
        out += _letter_classes(piece, letters)
    else:
        out += _mark_classes(piece)
    return tuple(out)


def _letter_classes(piece: str, letters: list[str]) -> list[str]:
    out = ["letters"]
    if len(letters) == 1 and len(piece) == 1:
        out.append("single letters")
    if all(c.isupper() for c in letters):
        out.append("capital letters only" if len(letters) > 1 else "capitalised")
    elif letters[0].isupper():
        out.append("capitalised")
    elif all(c.islower() for c in letters):
        out.append("lower case")
    if any(ord(c) > 127 for c in letters):
        out.append("letters outside English")
    if len(letters) < len(piece.strip("'’")):
        out.append("letters mixed with marks")
    return out


def _mark_classes(piece: str) -> list[str]:
    out = ["punctuation"]
    tests = (
        ("quotation marks", any(c in _QUOTES for c in piece)),
        ("opening brackets", piece[-1] in _OPEN),
        ("closing brackets", any(c in _CLOSE for c in piece)),
        ("operators", any(c in _OPERATORS for c in piece)),
        ("sentence ends", piece[0] in ".!?"),
        ("several marks together", len(piece) > 1),
        ("comment marks", piece[0] == "#" or piece in {"//", "/*"}),
        ("symbols outside English", any(ord(c) > 127 for c in piece)),
    )
    out += [name for name, holds in tests if holds]
    if piece in _MARKS:
        out.append(_MARKS[piece])
    return out


@lru_cache(maxsize=65536)
def word_classes(word: str) -> tuple[str, ...]:
    """Closed classes and suffix classes of a lower-case word."""
    out = list(_MEMBERS.get(word, ()))
    if word.isalpha() and len(word) >= 4:
        out += [name for end, name in SUFFIX_CLASSES.items() if word.endswith(end) and len(word) >= len(end) + 2]
    if word.isalpha():
        out.append("long words" if len(word) >= 9 else "short words" if len(word) <= 3 else "middling words")
    if word.isalpha() and word not in _MEMBERS and len(word) > 2:
        out.append("content words")
    return tuple(out)
