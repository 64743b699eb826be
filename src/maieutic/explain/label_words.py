"""The words that labels are written in: lead-ins, joints, relations and names of classes of tokens. Read by ``reading_labels``.

Tables only; they hold common ways to say things in English and know no particular label.
"""

from __future__ import annotations

import re

from maieutic.explain.predicates.base import Or, Predicate
from maieutic.explain.predicates.text import NumberRange, Position, Structure, TokenClass, TokenIn
from maieutic.explain.predicates.text_meaning import WordForm

QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "`": '"', "‘": "'", "’": "'"})
LEAD = re.compile(
    r"^(?:(?:this|the)\s+)?(?:neuron|unit|feature|latent|channel|it)?\s*(?:mostly\s+|strongly\s+)?"
    r"(?:fires|activates|responds|looks|is active|is looking|detects|represents)\s*(?:on|for|to|when|at|in|upon)?\s*[:,]?\s*",
    re.IGNORECASE,
)
#: says nothing about which tokens are meant
EMPTY = re.compile(
    r"\b(?:and nothing else|but nothing else|and only th(?:at|ose)|in general|generally|specifically|particularly|especially|"
    r"mainly|mostly|usually|often|typically|all|any|every|various|different|many|certain|specific|"
    r"in (?:the|a|an) (?:passage|sentence|text|document|string|input|prompt|sequence)s?(?!\s+(?:about|where|when|that|which)))\b",
    re.IGNORECASE,
)
EXCEPT = re.compile(
    r"[,;]?\s*\b(?:except(?: for| when| in)?|excluding|but not|and not|not including|other than|rather than|apart from)\b",
    re.IGNORECASE,
)
EXAMPLES = re.compile(
    r"[,;(]?\s*\b(?:such as|like|including|for example|for instance|e\.?g\.?)(?=[\s,:])[,:]?\s*", re.IGNORECASE
)
CONTEXT = re.compile(
    r"\b(?P<when>(?:but )?(?:only )?(?:when|if|where)(?: it is| they are| it\'s)?(?= (?:negated|preceded|followed|quoted|capitali[sz]ed)))\b"
    r"|\b(?P<after>(?:immediately |right |directly |just )?(?:after|following)|(?:that |which )?(?:come|comes|follow|follows)"
    r"(?: right| directly| immediately)?(?: after)?|preceded by)\b"
    r"|\b(?P<before>(?:where|whose|when|such that) the (?:next|following) (?:word|token) (?:is|will be|would be|may be|could be)"
    r"(?: likely)?(?: to be)?|(?:which |that )?(?:is |are )?(?:likely to be )?followed by|(?:right |just |immediately )?before|preceding|(?:that |which )?precedes?|leading up to|prior to)\b"
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
OR = re.compile(r"\s*(?:,\s*(?:and|or|as well as)\b|;|,|\b(?:and|or|as well as|and/or)\b|/)\s*", re.IGNORECASE)
ABOUT = re.compile(
    r"\b(?:(?:related|relating|pertaining|referring|belonging|linked|tied|connected) to|associated with|about|concerning|"
    r"involving|regarding|describing|denoting|indicating|expressing|representing|"
    r"that (?:describe|denote|indicate|express|mean|name|refer to)s?|"
    r"that (?:is|are)|of)\b",
    re.IGNORECASE,
)
LITERAL = re.compile(r'"([^"]+)"|(?<!\w)\'([^\']+)\'(?!\w)')
AFFIX = re.compile(
    r"\b(?P<start>(?:start|begin)(?:s|ning|ing)? (?:with|in))\b|\b(?P<end>(?:end|ending|ends) (?:with|in)|suffix(?:ed with)?)\b",
    re.IGNORECASE,
)
LETTERS = re.compile(r'(?:the )?(?:letters? |prefix |suffix )?["\']?-?([A-Za-z]{1,6})-?["\']?(?=$|[\s,;])')
#: nouns that stand for "tokens", so that the rest of the phrase says which ones
GENERAL_WORDS = """
word words term terms token tokens phrase phrases reference references mention mentions instance instances example
examples name names noun-phrase concept concepts idea ideas type types kind kinds form forms occurrence occurrences use uses
usage text texts passage passages language expression expressions thing things item items character characters symbol symbols
letter letters something anything part parts piece pieces one ones element elements variation variations category related
string strings sentence sentences topic topics entity entities context content following preceding other another same first
last next position positions place places point points spot spots sequence sequences the a an this that these those its their his her to from on for with by as at of in is are be being been was were
who whom whose which what where when how it they them there here etc general specific not no has have having used using
within into over under up out off so than then also both either each more most some such several
"""
GENERAL = frozenset(GENERAL_WORDS.split())
#: words of labels -> classes of tokens; plural or singular
CLASSES: tuple[tuple[str, Predicate], ...] = (
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
    (r"(?:sequences? of |strings? of )?(?:numbers?|numerals?|digits?|numeric(?:al)?(?: values?)?|quantities)",
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
    (r"negations?|negative words?", Or(parts=(TokenClass(name="negations"), TokenIn(words=("'t", "n't"))))),
    (r"(?:definite |indefinite )?articles?|determiners?", TokenClass(name="articles and determiners")),
    (r"negated", Or(parts=(TokenClass(name="negations"), TokenIn(words=("'t", "n't"))))),
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
    (r"(?:stop|function|common|frequent) ?words?",
     Or(parts=tuple(TokenClass(name=n) for n in ("articles and determiners", "prepositions", "coordinating words")))),
)  # fmt: skip
CLASS_RES = tuple((re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])", re.IGNORECASE), p) for pattern, p in CLASSES)
#: places that a context names
PLACES: dict[str, tuple[tuple[str, Predicate], ...]] = {
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

#: makes a context a condition
ONLY = re.compile(r"\b(?:but )?(?:only|strictly|exclusively|just)\b", re.IGNORECASE)
NUMBERS = re.compile(
    r"\b(?:numbers?|numerals?|values?|integers?|amounts?|quantities|quantity|years?|percentages?)\b", re.IGNORECASE
)
_AMOUNT = r"((?:\d[\d,.]*|an?|one|two|three|four|five|six|seven|eight|nine|ten|hundred|thousand|million|billion|trillion)(?: (?:hundred|thousand|million|billion|trillion))*)"
#: limits on numbers; the name of the group that matched says which kind
LIMITS = (
    re.compile(rf"\b(?:between|from) {_AMOUNT} (?:and|to) {_AMOUNT}(?P<between>)", re.IGNORECASE),
    re.compile(rf"\b(?:greater|larger|bigger|higher|more) than {_AMOUNT}(?P<above>)", re.IGNORECASE),
    re.compile(rf"\b(?:over|above|exceeding|at least) {_AMOUNT}(?P<above>)", re.IGNORECASE),
    re.compile(rf"\b(?:less|smaller|lower|fewer) than {_AMOUNT}(?P<below>)", re.IGNORECASE),
    re.compile(rf"\b(?:under|below|at most|up to) {_AMOUNT}(?P<below>)", re.IGNORECASE),
    re.compile(r"(?P<single>\b(?:single|one)[- ]digit\b)", re.IGNORECASE),
    re.compile(r"(?P<double>\b(?:double|two)[- ]digit\b)", re.IGNORECASE),
    re.compile(r"(?P<large>\b(?:large|big|huge|high)\b)", re.IGNORECASE),
    re.compile(r"(?P<small>\b(?:small|low)\b)", re.IGNORECASE),
)
SIZES: dict[str, tuple[float, float]] = {
    "single": (0.0, 9.0),
    "double": (10.0, 99.0),
    "large": (1000.0, 1e15),
    "small": (0.0, 20.0),
}
NUMBER_WORDS: dict[str, float] = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "hundred": 100, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12,
}  # fmt: skip
