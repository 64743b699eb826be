"""Read the parameters of string steps off examples: from (input, output) pairs to the steps that may explain them.

Each family looks at one or two telling pairs and proposes steps; whoever asks checks them on every pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from maieutic.bench import find_steps as steps
from maieutic.bench.find_steps import ONES, Pairs, Step

Family = Callable[[Pairs], Iterable[Step]]


def _longest(pairs: Pairs) -> tuple[str, str]:
    """The pair that shows most: the longest input with an output."""
    return max(pairs, key=lambda p: len(p[0]))


def _added(pairs: Pairs) -> Iterator[Step]:
    """What is added to the text: at the ends, in the middle, at a place."""
    x, y = _longest(pairs)
    extra = len(y) - len(x)
    if extra > 0:
        if y.startswith(x):
            yield steps.append(y[len(x) :])
        if y.endswith(x):
            yield steps.prepend(y[:extra])
        middle = len(x) // 2
        if y[:middle] == x[:middle] and y[middle + extra :] == x[middle:]:
            yield steps.insert_middle(y[middle : middle + extra])
        for k in range(1, 9):
            if y[:k] == x[:k] and y[k + extra :] == x[k:]:
                yield steps.insert_at(y[k : k + extra], k)
        if x and y[: len(x) - 1] == x[:-1] and y[-1] == x[-1]:
            yield steps.insert_before_last(y[len(x) - 1 : -1])
    grown = next(((a, b) for a, b in pairs if len(b) > len(a)), None)
    if grown is not None:
        a, b = grown
        if b.startswith(a):
            yield steps.ensure_end(b[len(a) :])
        if b.endswith(a):
            yield steps.ensure_start(b[: len(b) - len(a)])


def _replaced(pairs: Pairs) -> Iterator[Step]:
    """A character for another everywhere, or for nothing, or doubled."""
    for x, y in pairs:
        if x == y:
            continue
        i = next((i for i, (a, b) in enumerate(zip(x, y, strict=False)) if a != b), min(len(x), len(y)))
        if i < len(x):
            yield steps.replace(x[i], "")
            if i < len(y):
                yield steps.replace(x[i], y[i])
                for n in (2, 3, 4, 5):
                    yield steps.replace(x[i], y[i : i + n])
                yield from (
                    steps.put_at(y[i], i),
                    steps.put_at(y[i], i - len(x)),
                    steps.vowels_by(y[i]),
                    steps.consonants_by(y[i]),
                    steps.digits_by(y[i]),
                )
                yield from (steps.every_by(y[i], i + 1), steps.capital_every(i + 1))
        if i and len(y) > len(x):
            yield steps.double(x[i - 1])
        return


def _shifted(pairs: Pairs) -> Iterator[Step]:
    """Codes or letters moved by a number, everywhere or at an end."""
    found = next(((x, y) for x, y in pairs if x and len(x) == len(y) and x != y), None)
    if found is None:
        return
    x, y = found
    for place, near in ((0, steps.turn_first), (-1, steps.turn_last)):
        n = ord(y[place]) - ord(x[place])
        if n:
            yield from (near(n), near(n % 26 - 26 if n > 0 else n % 26))
            yield steps.turn_first_code(n) if place == 0 else steps.turn_last_code(n)
    moved = next(((a, b) for a, b in zip(x, y, strict=True) if a != b), None)
    if moved is not None:
        n = ord(moved[1]) - ord(moved[0])
        yield from (
            steps.shift_codes(n),
            steps.rotate_letters(n % 26),
            steps.shift_letter_codes(n),
            steps.shift_digits(n % 10),
        )
        yield steps.rotate_lower((ord(moved[1]) - ord(moved[0].lower())) % 26)


def _cut(pairs: Pairs) -> Iterator[Step]:
    """A part of the text, or the text turned around a place."""
    x, y = _longest(pairs)
    k, lost = len(y), len(x) - len(y)
    if 0 < k < len(x):
        yield from (steps.head(k), steps.tail(k), steps.drop_head(lost), steps.drop_tail(lost))
        for n in range(2, 7):
            yield steps.drop_every(n)
            for start in range(n):
                yield steps.every(n, start)
    if k == 1 and x:
        yield from (steps.at(i) for i in (*range(8), -1, -2, -3))
    if lost == 1:
        yield from (steps.without_at(i) for i in (*range(8), -1, -2, -3))
    if lost == 0 and x:
        yield from (make(n) for n in (1, 2, 3, 4, 5, 6, -1, -2, -3, -4, -5, -6) for make in (steps.roll, steps.move))
        yield from (steps.capital_at(n) for n in range(8))
        yield from (steps.swap(i, j) for i in range(6) for j in range(i + 1, 7))


def _repeated(pairs: Pairs) -> Iterator[Step]:
    """The text or its characters several times, or with something between."""
    x, y = _longest(pairs)
    if not x:
        return
    k = len(y) // len(x)
    if k > 1:
        yield from (steps.times(k), steps.each_times(k))
        joint = y[len(x) : len(y) - len(x)]
        yield steps.times(2, joint)
    if len(y) > len(x) > 1:
        yield steps.join_characters(y[1 : 1 + (len(y) - len(x)) // (len(x) - 1)])
        for n in range(1, 6):
            inserted = len(x) // n
            if inserted and len(y) - len(x) == inserted * (size := (len(y) - len(x)) // inserted):
                yield steps.insert_every(y[n : n + size], n)
        for size in (1, 2, 3):
            yield steps.append(y[-size:])
    words = x.split()
    if len(words) > 1 and y.startswith(words[0]):
        rest = y[len(words[0]) :]
        at_next = rest.find(words[1])
        if at_next >= 0:
            yield steps.join_words(rest[:at_next])


def _counted(pairs: Pairs) -> Iterator[Step]:
    """The same answer always, or how often a character occurs."""
    outputs = {y for _, y in pairs}
    if len(outputs) == 1:
        yield steps.constant(next(iter(outputs)))
    x, y = _longest(pairs)
    if y.isdigit() or y in ONES:
        for c in sorted({c for c in x if x.count(c) == (int(y) if y.isdigit() else ONES.index(y))}):
            yield steps.count(c, words=not y.isdigit())


INFER: tuple[Family, ...] = (_added, _replaced, _shifted, _cut, _repeated, _counted)
