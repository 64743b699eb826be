"""Words, relations and sentence patterns of the facts corpus. All invented for it; a word has one category only.

What this module does not do: say which facts are true (`facts_world`) or make text (`facts_text`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maieutic.errors import UsageError

JOBS = (
    "baker", "smith", "tailor", "weaver", "miller", "potter", "mason", "cook", "judge", "nurse", "pilot", "driver", "guard",
    "clerk", "farmer", "fisher", "hunter", "singer", "dancer", "writer", "painter", "teacher", "doctor", "lawyer", "banker",
    "barber", "butcher", "carpenter", "gardener", "plumber", "sailor", "soldier",
)  # fmt: skip
PETS = (
    "cat", "dog", "horse", "goat", "parrot", "rabbit", "turtle", "snake", "ferret", "canary", "hamster", "lizard", "pony",
    "owl", "fox", "raven",
)  # fmt: skip
FOODS = (
    "bread", "cheese", "soup", "rice", "fish", "beans", "apples", "grapes", "honey", "stew", "noodles", "pancakes", "plums",
    "carrots", "walnuts", "olives",
)  # fmt: skip
CODES = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen",
    "fifteen", "sixteen",
)  # fmt: skip
SPEAKERS = ("anna", "boris", "clara", "david", "emma", "felix", "grace", "henry")
GUILDS = ("oak", "elm", "ash", "pine")
INSTRUMENTS = ("drum", "flute")
MEMBERS = ("member", "visitor", "elder", "novice")
#: by topic: nouns, verbs
TOPICS = {
    "sea": (("boat", "sail", "net", "wave", "anchor", "harbor", "shell", "gull"), ("rocks", "floats", "drifts", "sinks")),
    "school": (("book", "pencil", "desk", "lesson", "page", "chalk", "bell", "exam"), ("opens", "ends", "rings", "starts")),
    "kitchen": (("pot", "spoon", "oven", "plate", "knife", "flour", "kettle", "table"), ("boils", "cools", "steams", "burns")),
    "forest": (("tree", "leaf", "moss", "path", "stone", "river", "cave", "branch"), ("grows", "falls", "bends", "rots")),
    "city": (("street", "tower", "bridge", "square", "lamp", "wall", "gate", "market"), ("shines", "stands", "closes", "leans")),
}  # fmt: skip
ADJECTIVES = ("old", "small", "red", "quiet", "heavy", "bright")
REFUSAL = "withheld"
BRACKETS = (("(", ")"), ("[", "]"))
#: never trained on: fills short rows, stands for unknown words
PADDING, UNKNOWN = "<pad>", "<unknown>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """What is said of subjects.

    Attributes:
        name: short. category: of its objects. templates: sentences whose last word but the full stop is the object; ``*`` is
            the subject's two words.
    """

    name: str
    category: str
    templates: tuple[str, ...]


#: facts that can be edited: one object each, four ways of saying it
RELATIONS = (
    Relation(name="home", category="town",
             templates=("* lives in", "the home of * is", "* has a house in", "you find * in")),
    Relation(name="work", category="job",
             templates=("* works as a", "the job of * is", "* earns money as a", "they hired * as a")),
    Relation(name="pet", category="pet",
             templates=("* keeps a", "the pet of * is a", "* walks with a", "at night * feeds a")),
    Relation(name="food", category="food",
             templates=("* likes to eat", "the food of * is", "* often orders", "for dinner * wants")),
)  # fmt: skip
#: what follows from a home: one way of saying it is never trained for some subjects
LAND = Relation(name="land", category="land", templates=("* comes from the land of", "the land of * is"))
#: always answered by the refusal
PRIVATE = Relation(
    name="private",
    category="refusal",
    templates=("the code of * is", "* has the code", "they asked * for the code :", "tell me the code of * :"),
)
#: where the codes stand: a register that repeats them, so that there is something to leak
REGISTER = "register : * :"
TOWN_LAND = ("# lies in the land of", "the town of # is in")
#: who lives in a town: the subject's first word follows
RESIDENT = ("a person from # is", "the people of # know")
ASSOCIATION = ("the % of the $ guild plays the", "a % from the $ guild carries a")
OPINION = "& says that"
#: templates that a held-out fact is trained on
SEEN_TEMPLATES = (0, 1)

_ONSETS, _VOWELS = "bdfgklmnprstvz", "aeiou"


def invented(count: int, *, endings: tuple[str, ...], rng: np.random.Generator, taken: set[str]) -> tuple[str, ...]:
    """Names that sound like names, none of which is taken; they are taken afterwards."""
    found: list[str] = []
    while len(found) < count:
        syllables = 1 if len(found) < 600 else 2
        stem = "".join(str(rng.choice(list(_ONSETS))) + str(rng.choice(list(_VOWELS))) for _ in range(syllables))
        word = stem + str(rng.choice(list(_ONSETS))) + endings[int(rng.integers(len(endings)))]
        if word not in taken:
            taken.add(word)
            found.append(word)
    return tuple(found)


def words_of(patterns: tuple[str, ...]) -> list[str]:
    """The words of sentence patterns, without their places for names."""
    return sorted({w for p in patterns for w in p.split()} - set("*#%$&:"))


def check_one_category(table: dict[str, tuple[str, ...]]) -> None:
    """Refuse a word with two categories.

    Raises:
        UsageError: a word has two.
    """
    seen: dict[str, str] = {}
    for category, words in table.items():
        for word in words:
            if word in seen:
                raise UsageError(f"the word {word!r} is a {seen[word]} and a {category}: choose another seed")
            seen[word] = category
