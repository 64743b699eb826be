"""A small language of string programs: steps such as "reverse" or "replace x by y".

The steps are what a programming textbook does with strings; none is taken from a benchmark. ``fixed()`` are steps without a
parameter, the functions below make those with one; ``find_infer`` reads parameters off examples. A step may raise on an input
(the first letter of an empty string); that is no explanation of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

Pairs = Sequence[tuple[str, str]]
VOWELS = "aeiouAEIOU"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what it does in words, and the function. Equal by its words."""

    words: str
    run: Callable[[str], str]


def explains(step: Step, pairs: Pairs) -> bool:
    """Whether the step gives every output; an error is a no."""
    try:
        return all(step.run(x) == y for x, y in pairs)
    except (IndexError, ValueError, KeyError, OverflowError):
        return False


# --- steps without a parameter -------------------------------------------------------------------------------------

_ONES: str = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
ONES: list[str] = [str(w) for w in _ONES.split()]
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def number_words(n: int) -> str:
    """``21`` -> ``twenty-one``, 0 to 99; digits above."""
    if n < 20:
        return ONES[n]
    if n > 99:
        return str(n)
    return _TENS[n // 10] + (f"-{ONES[n % 10]}" if n % 10 else "")


def _keep(test: Callable[[str], bool]) -> Callable[[str], str]:
    return lambda s: "".join(c for c in s if test(c))


def _each_word(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda s: " ".join(change(w) for w in s.split())


def _each_part(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda s: " ".join(change(w) for w in s.split(" "))


def _alternate(first: int) -> Callable[[str], str]:
    return lambda s: "".join(c.upper() if i % 2 == first else c.lower() for i, c in enumerate(s))


def _mirror(c: str) -> str:
    """A <-> z."""
    for base in (97, 65):
        if base <= ord(c) < base + 26:
            return chr(2 * base + 25 - ord(c))
    return c


def _squeezed(s: str) -> str:
    return "".join(c for i, c in enumerate(s) if not i or c != s[i - 1])


def _pairs_swapped(s: str) -> str:
    return "".join(s[i : i + 2][::-1] for i in range(0, len(s), 2))


_COUNTS: tuple[tuple[str, Callable[[str], int]], ...] = (
    ("characters", len),
    ("words", lambda s: len(s.split())),
    ("vowels", lambda s: sum(c in VOWELS for c in s)),
    ("consonants", lambda s: sum(c.isalpha() and c not in VOWELS for c in s)),
    ("letters", lambda s: sum(c.isalpha() for c in s)),
    ("capital letters", lambda s: sum(c.isupper() for c in s)),
    ("small letters", lambda s: sum(c.islower() for c in s)),
    ("digits", lambda s: sum(c.isdigit() for c in s)),
    ("spaces", lambda s: s.count(" ")),
    ("different characters", lambda s: len(set(s))),
    ("place of the first letter in the alphabet", lambda s: (ord(s[0].lower()) - 96) if s[0].isalpha() else 0),
    ("place of the last letter in the alphabet", lambda s: (ord(s[-1].lower()) - 96) if s[-1].isalpha() else 0),
)


def _counting() -> Iterator[Step]:
    for name, count in _COUNTS:
        what = name if name.startswith("place") else f"number of {name}"
        yield Step(f"give the {what}", lambda s, f=count: str(f(s)))
        yield Step(f"give the {what} in words", lambda s, f=count: number_words(f(s)))


def fixed() -> list[Step]:
    """Every step without a parameter, the plainest first."""
    plain: list[tuple[str, Callable[[str], str]]] = [
        ("lower case", str.lower),
        ("upper case", str.upper),
        ("capitalise the first letter, lower the rest", str.capitalize),
        ("title case", str.title),
        ("swap the case", str.swapcase),
        ("reverse", lambda s: s[::-1]),
        ("strip spaces at both ends", str.strip),
        ("strip spaces at the front", str.lstrip),
        ("strip spaces at the end", str.rstrip),
        ("delete white space", lambda s: "".join(s.split())),
        ("delete spaces", lambda s: s.replace(" ", "")),
        ("single spaces", lambda s: " ".join(s.split())),
        ("reverse the order of words", lambda s: " ".join(s.split()[::-1])),
        ("reverse each word", _each_word(lambda w: w[::-1])),
        ("reverse each word, keeping spaces", _each_part(lambda w: w[::-1])),
        ("capitalise each word", _each_word(str.capitalize)),
        ("capitalise each word, keeping spaces", _each_part(lambda w: w[:1].upper() + w[1:])),
        ("sort the words", lambda s: " ".join(sorted(s.split()))),
        ("first word", lambda s: s.split()[0]),
        ("last word", lambda s: s.split()[-1]),
        ("first letters of the words", lambda s: "".join(w[0] for w in s.split())),
        ("first letters of the words in capitals", lambda s: "".join(w[0].upper() for w in s.split())),
        ("longest word", lambda s: max(s.split(), key=len)),
        ("sort the characters", lambda s: "".join(sorted(s))),
        ("sort the characters backwards", lambda s: "".join(sorted(s, reverse=True))),
        ("sort the characters, case ignored", lambda s: "".join(sorted(s, key=str.lower))),
        ("each character once", lambda s: "".join(dict.fromkeys(s))),
        ("runs of a character once", _squeezed),
        ("characters that occur once", lambda s: "".join(c for c in s if s.count(c) == 1)),
        ("delete vowels", _keep(lambda c: c not in VOWELS)),
        ("delete consonants", _keep(lambda c: not c.isalpha() or c in VOWELS)),
        ("keep vowels", _keep(lambda c: c in VOWELS)),
        ("keep letters", _keep(str.isalpha)),
        ("keep digits", _keep(str.isdigit)),
        ("keep letters and digits", _keep(str.isalnum)),
        ("keep capital letters", _keep(str.isupper)),
        ("keep small letters", _keep(str.islower)),
        ("keep marks", _keep(lambda c: not c.isalnum() and not c.isspace())),
        ("keep letters and spaces", _keep(lambda c: c.isalpha() or c.isspace())),
        ("delete letters", _keep(lambda c: not c.isalpha())),
        ("delete digits", _keep(lambda c: not c.isdigit())),
        ("delete capital letters", _keep(lambda c: not c.isupper())),
        ("delete small letters", _keep(lambda c: not c.islower())),
        ("delete marks", _keep(lambda c: c.isalnum() or c.isspace())),
        ("swap the first and the last character", lambda s: s[-1] + s[1:-1] + s[0] if len(s) > 1 else s),
        ("swap the halves", lambda s: s[len(s) // 2 :] + s[: len(s) // 2]),
        ("swap neighbouring characters", _pairs_swapped),
        ("first half", lambda s: s[: len(s) // 2]),
        ("second half", lambda s: s[len(s) // 2 :]),
        ("reverse the first half", lambda s: s[: len(s) // 2][::-1] + s[len(s) // 2 :]),
        ("reverse the second half", lambda s: s[: len(s) // 2] + s[len(s) // 2 :][::-1]),
        ("middle character", lambda s: s[len(s) // 2]),
        ("append the text reversed", lambda s: s + s[::-1]),
        ("prepend the text reversed", lambda s: s[::-1] + s),
        ("append the first character", lambda s: s + s[0]),
        ("append the last character", lambda s: s + s[-1]),
        ("prepend the last character", lambda s: s[-1] + s),
        ("prepend the first character", lambda s: s[0] + s),
        ("append the length", lambda s: s + str(len(s))),
        ("double vowels", lambda s: "".join(c * 2 if c in VOWELS else c for c in s)),
        ("double consonants", lambda s: "".join(c * 2 if c.isalpha() and c not in VOWELS else c for c in s)),
        ("capital vowels", lambda s: "".join(c.upper() if c in VOWELS else c for c in s)),
        ("capital consonants", lambda s: "".join(c if c in VOWELS else c.upper() for c in s)),
        ("alternate case from a capital", _alternate(0)),
        ("alternate case from a small letter", _alternate(1)),
        ("small first letter", lambda s: s[:1].lower() + s[1:]),
        ("capital first letter", lambda s: s[:1].upper() + s[1:]),
        ("capital last letter", lambda s: s[:-1] + s[-1:].upper()),
        ("mirror the alphabet", lambda s: "".join(map(_mirror, s))),
        ("digits as words", lambda s: re.sub(r"\d", lambda m: ONES[int(m.group())], s)),
        ("whether it is a palindrome", lambda s: str(s == s[::-1])),
    ]
    return [Step(words, run) for words, run in plain] + list(_counting())


# --- steps with a parameter ----------------------------------------------------------------------------------------


def append(c: str) -> Step:
    return Step(f"append {c!r}", lambda s: s + c)


def prepend(c: str) -> Step:
    return Step(f"prepend {c!r}", lambda s: c + s)


def ensure_end(c: str) -> Step:
    return Step(f"append {c!r} unless it ends so", lambda s: s if s.endswith(c) else s + c)


def ensure_start(c: str) -> Step:
    return Step(f"prepend {c!r} unless it begins so", lambda s: s if s.startswith(c) else c + s)


def insert_middle(c: str) -> Step:
    return Step(f"insert {c!r} in the middle", lambda s: s[: len(s) // 2] + c + s[len(s) // 2 :])


def insert_at(c: str, k: int) -> Step:
    return Step(f"insert {c!r} at place {k}", lambda s: s[:k] + c + s[k:])


def insert_before_last(c: str) -> Step:
    return Step(f"insert {c!r} before the last character", lambda s: s[:-1] + c + s[-1:])


def replace(a: str, b: str) -> Step:
    return Step(f"replace {a!r} by {b!r}" if b else f"delete {a!r}", lambda s: s.replace(a, b))


def constant(c: str) -> Step:
    return Step(f"always {c!r}", lambda s: c)


def _turned(c: str, n: int) -> str:
    for base in (97, 65):
        if base <= ord(c) < base + 26:
            return chr((ord(c) - base + n) % 26 + base)
    return c


def rotate_letters(n: int) -> Step:
    return Step(f"shift letters by {n} in the alphabet", lambda s: "".join(_turned(c, n) for c in s))


def rotate_lower(n: int) -> Step:
    return Step(
        f"shift letters by {n} in the alphabet, lower case", lambda s: "".join(_turned(c.lower(), n) for c in s)
    )


def shift_codes(n: int) -> Step:
    return Step(f"shift every character code by {n}", lambda s: "".join(chr(ord(c) + n) for c in s))


def shift_letter_codes(n: int) -> Step:
    return Step(
        f"shift the code of letters by {n}", lambda s: "".join(chr(ord(c) + n) if c.isalpha() else c for c in s)
    )


def shift_digits(n: int) -> Step:
    return Step(f"add {n} to digits", lambda s: re.sub(r"\d", lambda m: str((int(m.group()) + n) % 10), s))


def _turned_raw(c: str, n: int) -> str:
    """Wraps only where the alphabet's own end is crossed, else the code moves."""
    for base in (97, 65):
        if base <= ord(c) < base + 26:
            return chr((ord(c) - base + n) % 26 + base)
    return chr(ord(c) + n) if c.isalpha() else c


def turn_last(n: int) -> Step:
    return Step(f"shift the last letter by {n}", lambda s: s[:-1] + _turned_raw(s[-1], n) if s else s)


def turn_first(n: int) -> Step:
    return Step(f"shift the first letter by {n}", lambda s: _turned_raw(s[0], n) + s[1:] if s else s)


def turn_first_code(n: int) -> Step:
    return Step(
        f"shift the code of the first letter by {n}",
        lambda s: chr(ord(s[0]) + n) + s[1:] if s and s[0].isalpha() else s,
    )


def turn_last_code(n: int) -> Step:
    return Step(
        f"shift the code of the last letter by {n}",
        lambda s: s[:-1] + chr(ord(s[-1]) + n) if s and s[-1].isalpha() else s,
    )


def head(k: int) -> Step:
    return Step(f"first {k} characters", lambda s: s[:k])


def tail(k: int) -> Step:
    return Step(f"last {k} characters", lambda s: s[-k:])


def drop_head(k: int) -> Step:
    return Step(f"drop the first {k} characters", lambda s: s[k:])


def drop_tail(k: int) -> Step:
    return Step(f"drop the last {k} characters", lambda s: s[:-k])


def every(k: int, start: int) -> Step:
    return Step(f"every {k}th character from place {start}", lambda s: s[start::k])


def drop_every(k: int) -> Step:
    return Step(f"drop every {k}th character", lambda s: "".join(c for i, c in enumerate(s) if (i + 1) % k))


def roll(k: int) -> Step:
    def run(s: str) -> str:
        n = k % len(s) if s else 0
        return s[n:] + s[:n]

    return Step(f"move the first {k} characters to the end" if k > 0 else f"move the last {-k} to the front", run)


def move(k: int) -> Step:
    """As ``roll``, but texts shorter than ``k`` stay as they are."""
    return Step(f"cut at place {k} and swap the parts", lambda s: s[k:] + s[:k])


def at(k: int) -> Step:
    return Step(f"the character at place {k}", lambda s: s[k])


def without_at(k: int) -> Step:
    return Step(
        f"delete the character at place {k}",
        lambda s: s[:k] + s[k + 1 :] if k >= 0 else s[: len(s) + k] + s[len(s) + k + 1 :],
    )


def put_at(c: str, k: int) -> Step:
    return Step(
        f"replace the character at place {k} by {c!r}",
        lambda s: (
            (s[:k] + c + s[k + 1 :] if k >= 0 else s[: len(s) + k] + c + s[len(s) + k + 1 :])
            if len(s) > abs(k + 0.5)
            else s
        ),
    )


def times(k: int, joint: str = "") -> Step:
    return Step(f"{k} times" + (f", joined by {joint!r}" if joint else ""), lambda s: joint.join([s] * k))


def each_times(k: int) -> Step:
    return Step(f"every character {k} times", lambda s: "".join(c * k for c in s))


def join_characters(joint: str) -> Step:
    return Step(f"{joint!r} between characters", lambda s: joint.join(s))


def join_words(joint: str) -> Step:
    return Step(f"join words by {joint!r}", lambda s: joint.join(s.split()))


def vowels_by(c: str) -> Step:
    return Step(f"replace vowels by {c!r}", lambda s: "".join(c if x in VOWELS else x for x in s))


def consonants_by(c: str) -> Step:
    return Step(
        f"replace consonants by {c!r}", lambda s: "".join(c if x.isalpha() and x not in VOWELS else x for x in s)
    )


def digits_by(c: str) -> Step:
    return Step(f"replace digits by {c!r}", lambda s: re.sub(r"\d", lambda _: c, s))


def every_by(c: str, k: int) -> Step:
    return Step(
        f"replace every {k}th character by {c!r}",
        lambda s: "".join(c if (i + 1) % k == 0 else x for i, x in enumerate(s)),
    )


def insert_every(c: str, k: int) -> Step:
    return Step(
        f"insert {c!r} after every {k}th character",
        lambda s: "".join(x + c if (i + 1) % k == 0 else x for i, x in enumerate(s)),
    )


def capital_at(k: int) -> Step:
    return Step(f"capital at place {k}", lambda s: s[:k] + s[k].upper() + s[k + 1 :] if len(s) > k else s)


def capital_every(k: int) -> Step:
    return Step(
        f"capital at every {k}th place",
        lambda s: "".join(x.upper() if (i + 1) % k == 0 else x for i, x in enumerate(s)),
    )


def double(c: str) -> Step:
    return Step(f"double {c!r}", lambda s: s.replace(c, c * 2))


def count(c: str, words: bool) -> Step:
    what = f"how often {c!r} occurs" + (" in words" if words else "")
    return Step(what, lambda s: number_words(s.count(c)) if words else str(s.count(c)))


def swap(i: int, j: int) -> Step:
    def run(s: str) -> str:
        if len(s) <= max(i, j):
            return s
        row = list(s)
        row[i], row[j] = row[j], row[i]
        return "".join(row)

    return Step(f"swap the characters at places {i} and {j}", run)
