"""The words that labels are written in: lead-ins, joints, relations and names of classes of tokens. Read by ``reading_labels``.

Tables only; they hold common ways to say things in English and know no particular label.
"""

from __future__ import annotations

import re

from maieutic.explain.predicates.base import Or, Predicate
from maieutic.explain.predicates.text import NumberRange, Position, Structure, TokenClass, TokenIn
from maieutic.explain.predicates.text_meaning import WordForm
from maieutic.explain.predicates.text_patterns import HasCharacter, InText, Pattern

QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "`": '"', "‘": "'", "’": "'"})
LEAD = re.compile(
    r"^(?:(?:this|the)\s+)?(?:neuron|unit|feature|latent|channel|it)?\s*(?:mostly\s+|strongly\s+)?"
    r"(?:fires|activates|responds|looks|is active|is looking|detects|represents)\s*(?:on|for|to|when|"
    r"at|in|upon)?\s*[:,]?\s*",
    re.IGNORECASE,
)
#: says nothing about which tokens are meant
EMPTY = re.compile(
    r"\b(?:and nothing else|but nothing else|and only th(?:at|ose)|in general|generally|specifically|"
    r"particularly|especially|"
    r"mainly|mostly|usually|often|typically|all|any|every|various|different|many|certain|specific|an? number of|"
    r"in (?:the|a|an) (?:passage|sentence|text|document|string|input|prompt|"
    r"sequence)s?(?!\s+(?:about|where|when|that|which)))\b",
    re.IGNORECASE,
)
EXCEPT = re.compile(
    r"[,;]?\s*\b(?:except(?: for| when| in)?|excluding|but not|and not|not including|other than|"
    r"rather than|apart from)\b",
    re.IGNORECASE,
)
EXAMPLES = re.compile(
    r"[,;(]?\s*\b(?:such as|like|including|for example|for instance|e\.?g\.?)(?=[\s,:])[,:]?\s*", re.IGNORECASE
)
CONTEXT = re.compile(
    r"\b(?P<given>(?:if and only if|only if|if|only when|when) (?:they|it|these|those)"
    r"(?: (?:is|are|occurs?|appears?|comes?|stands?|refers? to|relates? to|means?|denotes?|describes?)(?: in| to)?)+)\b"
    r"|\b(?P<when>(?:but )?(?:only )?(?:when|if|where)(?: it is| they are| it\'s)?(?= (?:negated|"
    r"preceded|followed|quoted|capitali[sz]ed)))\b"
    r"|\b(?P<after>(?:immediately |right |directly |just )?(?:after|following)|(?:that |"
    r"which )?(?:come|comes|follow|follows)"
    r"(?: right| directly| immediately)?(?: after)?|pr[eo]c?ceeded by|preceded by)\b"
    r"|\b(?P<before>(?:where|whose|when|such that) the (?:next|following) (?:word|token) (?:is|"
    r"will be|would be|may be|could be)"
    r"(?: likely)?(?: to be)?|(?:which |that )?(?:is |are )?(?:likely to be )?followed by|(?:right |"
    r"just |immediately )?before|preceding|(?:that |which )?precedes?|leading up to|prior to)\b"
    r"|\b(?P<start>(?:at|in|near|from) the (?:very )?(?:start|beginning)s? of|(?:that |which )?"
    r"(?:starts?|begins?|beginning|starting)"
    r"(?= (?:a|the|each|every|new)?\s*(?:sentence|line|paragraph|text|document)))\b"
    r"|\b(?P<end>(?:at|in|near) the (?:very )?ends? of|(?:that |which )?ends?(?= (?:a|the)? ?(?:sentence|line|text)))\b"
    r"|\b(?P<inside>inside(?: of)?|within|enclosed (?:in|by)|surrounded by|between)\b"
    r"|\b(?P<around>in (?:the )?(?:context|contexts|setting|presence|case) of|"
    r"in(?: a| an| the)?(?: passages?| texts?| sentences?) about|"
    r"when (?:discussing|describing|talking about)|during|"
    r"(?<!ending )(?<!ends )(?<!end )(?<!beginning )(?<!begin )(?<!starting )(?<!start )in)\b",
    re.IGNORECASE,
)
OR = re.compile(r"\s*(?:,\s*(?:and|or|as well as)\b|;|,|\b(?:and|or|as well as|and/or)\b|/)\s*", re.IGNORECASE)
ABOUT = re.compile(
    r"\b(?:(?:related|relating|pertaining|referring|belonging|linked|tied|connected) to|"
    r"associated with|about|concerning|"
    r"involving|regarding|describing|denoting|indicating|expressing|representing|"
    r"that (?:describe|denote|indicate|express|mean|name|refer to)s?|"
    r"that (?:is|are)|of)\b",
    re.IGNORECASE,
)
LITERAL = re.compile(r'"([^"]+)"|(?<!\w)\'([^\']+)\'(?!\w)')
AFFIX = re.compile(
    r"\b(?P<start>(?:start|begin)(?:s|ning|ing)? (?:with|in))\b|\b(?P<end>(?:end|ending|"
    r"ends) (?:with|in)|suffix(?:ed with)?)\b",
    re.IGNORECASE,
)
LETTERS = re.compile(r'(?:the )?(?:letters? |prefix |suffix )?["\']?-?([A-Za-z]{1,6})-?["\']?(?=$|[\s,;])')
#: nouns that stand for "tokens", so that the rest of the phrase says which ones
GENERAL_WORDS = """
word words term terms token tokens phrase phrases reference references mention mentions instance instances example
examples name names noun-phrase concept concepts idea ideas type types kind kinds form forms occurrence occurrences use
uses usage text texts passage passages language expression expressions thing things item items character characters
symbol symbols letter letters something anything part parts piece pieces one ones element elements variation variations
category related string strings sentence sentences topic topics entity entities context content following preceding
other another same first last next position positions place places point points spot spots sequence sequences the a an
this that these those its their his her to from on for with by as at of in is are be being been was were who whom whose
which what where when how it they them there here etc general specific not no has have having used using within into
over under up out off so than then also both either each more most some such several
"""
GENERAL = frozenset(GENERAL_WORDS.split())
#: words of labels -> classes of tokens; plural or singular
CLASSES: tuple[tuple[str, Predicate], ...] = (
    (r"(?:html|xml|mark-?up)(?: tags?| elements?| code)?", Pattern(name="HTML tags")),
    (r"(?:int|integer)s? variables?", Pattern(name="integer variables")),
    (r"(?:numeric(?:al)?|number|float(?:ing[- ]point)?) variables?", Pattern(name="numeric variables")),
    (r"(?:string|text|character) variables?", Pattern(name="text variables")),
    (r"variables?(?: names?)?", Pattern(name="variables")),
    (r"urls?|links?|web addresses", Pattern(name="links")),
    (r"e-?mail addresses", Pattern(name="e-mail addresses")),
    (r"math(?:ematical|s)? (?:expressions?|formulas?|equations?|notation)|equations?|formulas?|"
     r"formulae", Pattern(name="formulas")),
    (r"amounts? of money|prices?|monetary (?:amounts?|values?)", Pattern(name="amounts of money")),
    (r"percentages?", Pattern(name="percentages")),
    (r"times? of (?:the )?day|clock times?", Pattern(name="times of day")),
    (r"durations?(?: of time)?|(?:amounts|periods|lengths|spans) of time|time (?:phrases?|periods?|"
     r"spans?|expressions?)",
     Pattern(name="time phrases")),
    (r"similes?", Pattern(name="similes")),
    (r"(?:first |last |personal )?names? of (?:\w+ )?(?:characters?|people|persons?)|"
     r"characters?' names?|named characters?|proper names?",
     Pattern(name="names")),
    (r"(?:uncommon|rare|unusual|infrequent|obscure) words?", WordForm(name="rare words")),
    (r"less[- ]than(?: (?:symbols?|signs?))", HasCharacter(character="<")),
    (r"greater[- ]than(?: (?:symbols?|signs?))", HasCharacter(character=">")),
    (r"equals?(?: (?:symbols?|signs?))", HasCharacter(character="=")),
    (r"(?:hash(?:tag)?|pound) (?:symbols?|signs?)|hashtags?", HasCharacter(character="#")),
    (r"at (?:symbols?|signs?)", HasCharacter(character="@")),
    (r"percent (?:symbols?|signs?)", HasCharacter(character="%")),
    (r"dollar (?:symbols?|signs?)", HasCharacter(character="$")),
    (r"ampersands?", HasCharacter(character="&")),
    (r"asterisks?", HasCharacter(character="*")),
    (r"underscores?", HasCharacter(character="_")),
    (r"apostrophes?", HasCharacter(character="'")),
    (r"(?:forward )?slash(?:es)?", HasCharacter(character="/")),
    (r"(?:plural|plurals)(?: nouns?| forms?| words?)?", WordForm(name="plural nouns")),
    (r"(?:verbs? in (?:the )?)?(?:simple )?past[- ]tense(?: verbs?| forms?)?", WordForm(name="past tense")),
    (r"(?:present participles?|gerunds?|progressive verbs?|-?ing (?:verbs?|"
     r"forms?))", WordForm(name="present participles")),
    (r"comparatives?(?: adjectives?| forms?)?", WordForm(name="comparative forms")),
    (r"superlatives?(?: adjectives?| forms?)?", WordForm(name="superlative forms")),
    (r"adjectives?", WordForm(name="adjectives")),
    (r"adverbs?", WordForm(name="adverbs")),
    (r"(?:action )?verbs?", WordForm(name="verbs")),
    (r"proper nouns?|names? of places", TokenClass(name="capitalised")),
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
    "around": (
        ("html|xml|markup", InText(part=Pattern(name="HTML tags"))),
        ("code|program|software", Structure(name="in code")), ("prose", Structure(name="in prose"))),
}  # fmt: skip

#: makes a context a condition
ONLY = re.compile(r"\b(?:but )?(?:only|strictly|exclusively|just)\b", re.IGNORECASE)
NUMBERS = re.compile(
    r"\b(?:numbers?|numerals?|values?|integers?|amounts?|quantities|quantity|years?|percentages?)\b", re.IGNORECASE
)
_LARGE = r"(?:hundred|thousand|million|billion|trillion)"
_AMOUNT = rf"((?:\d[\d,.]*|an?|one|two|three|four|five|six|seven|eight|nine|ten|{_LARGE})(?: {_LARGE})*)"
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
#: ordinal words of "the second named character"
ORDINALS: dict[str, int] = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5}
#: content words that name a topic class of the lexicon, by stem
TOPICS: dict[str, tuple[str, ...]] = {
    "animal": ("noun.animal",), "plant": ("noun.plant",), "food": ("noun.food",), "body": ("noun.body",),
    "motion": ("verb.motion",), "movement": ("verb.motion",), "emotion": ("noun.feeling", "verb.emotion"),
    "feeling": ("noun.feeling", "verb.emotion"), "time": ("noun.time",), "people": ("noun.person",), "person": ("noun.person",),
    "place": ("noun.location",), "location": ("noun.location",), "communication": ("verb.communication", "noun.communication"),
    "speech": ("verb.communication",), "weather": ("verb.weather", "noun.phenomenon"), "perception": ("verb.perception",),
    "thought": ("verb.cognition", "noun.cognition"), "thinking": ("verb.cognition", "noun.cognition"),
    "substance": ("noun.substance",), "shape": ("noun.shape",), "quantity": ("noun.quantity",), "money": ("noun.possession",),
    "group": ("noun.group",), "event": ("noun.event",), "relation": ("noun.relation",), "conflict": ("verb.competition",),
    "competition": ("verb.competition",), "change": ("verb.change",), "creation": ("verb.creation",), "action": ("noun.act",),
}  # fmt: skip
#: a clause that narrows what stands before it
WHICH = re.compile(r"\b(?:that|which|who)\b(?! (?:is|are)\b)", re.IGNORECASE)
NEGATED = re.compile(
    r"\b(?:does ?n[o']t|do ?n[o']t|is ?n[o']t|are ?n[o']t|did ?n[o']t|not|never|without|no)\b", re.IGNORECASE
)
REPEATED = re.compile(
    r"\b(?:repeated|that (?:re-?occurs?|repeats?|appears? (?:again|more than once)))(?: \w+ times)?\b", re.IGNORECASE
)
