"""Explainers of black boxes without a language model: ``search``, and the baselines it stands beside.

``search`` on strings: programs of one step, then of two, from the language of ``find_steps``, that give the output of *every*
probe; on numbers: see ``find_numbers``. It abstains when nothing does. ``identity`` gives the input back, ``constant`` the
commonest output, ``table`` what it saw (numbers: a straight line between neighbouring probes) and else the input. ``table`` is no
explanation: it shows how much of a score needs none.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from maieutic.bench import find_steps as steps
from maieutic.bench.find_box import BoxLab, Failed, Program
from maieutic.bench.find_infer import INFER
from maieutic.bench.find_steps import Pairs, Step, explains

#: multi-character probes: case, digits, marks, spaces at every place, repeats, short and long
PROBES = (
    "The 3 Quick brown foxes jumped, over 12 lazy dogs!", "hello world", "Mississippi", "", "a", "Zoe",
    "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", "  two spaces  inside and around ",
    "radar", "snake_case-and.dots", "New York City", "aAbBcC", "x1y2z3", "!?#%&", "12", "banana",
    "Good morning Vienna", "zzz", "level 42", "MiXeD CaSe", "one", "to", "cat dog", "e", "rhythm", "queue",
    "book-keeper", "  lead", "trail  ", "A man a plan", "7", "Hi!", "programming", "aeiou", "  ", "tab\tline",
    "U.S.A.", "Xylophone9",
)  # fmt: skip
_LETTERS = string.ascii_letters + string.digits
#: numbers are probed on a grid that avoids the halves that they are tested on
_WIDE, _DENSE = 128, 4.0


def search(lab: BoxLab) -> Program:
    """The simplest program that explains every probe, or an abstention."""
    if lab.box.kind == "numeric":
        from maieutic.bench.find_numbers import search_numbers

        return search_numbers(lab)
    pairs = _asked(lab)
    if not pairs:
        return Program.unexplained("the box takes none of the probes", explainer="search", calls=len(lab.tried))
    found = next(solutions(pairs), None)
    if found is None:
        why = f"no program of one or two steps gives all {len(pairs)} probes"
        return Program.unexplained(why, explainer="search", calls=len(lab.tried))
    label = ", then ".join(s.words for s in found)
    return Program(
        label=label, predict=chained(found), explainer="search", confidence=0.95 if len(found) == 1 else 0.9,
        calls=len(lab.tried),
    )  # fmt: skip


def _asked(lab: BoxLab) -> list[tuple[str, str]]:
    """Probes with their outputs, as far as the budget goes; single characters last."""
    chosen = [*PROBES, *_LETTERS][: lab.remaining]
    chosen = list(dict.fromkeys(chosen))
    return [(x, y) for x, y in zip(chosen, lab.call(chosen), strict=True) if isinstance(y, str)]


def chained(program: Sequence[Step]) -> Callable[[str], str]:
    def run(text: str) -> str:
        for step in program:
            text = step.run(text)
        return text

    return run


# --- strings -------------------------------------------------------------------------------------------------------


def solutions(pairs: Pairs) -> Iterator[tuple[Step, ...]]:
    """Programs that explain all pairs, the simplest first: nothing, one step, two steps."""
    fixed = steps.fixed()
    if all(x == y for x, y in pairs):
        yield (Step("the text itself", str),)
    for step in _one(pairs, fixed):
        yield (step,)
    for first in (*fixed, *_first_steps(pairs, fixed)):
        middle = _after(first, pairs)
        if middle is None:
            continue
        for second in _one(middle, fixed):
            yield (first, second)


def _one(pairs: Pairs, fixed: Sequence[Step]) -> Iterator[Step]:
    """Single steps that explain all pairs."""
    few, rest = pairs[:3], pairs[3:]
    for step in fixed:
        if explains(step, few) and explains(step, rest):
            yield step
    for family in INFER:
        try:
            candidates = list(family(pairs))
        except (IndexError, ValueError):
            continue
        for step in candidates:
            if explains(step, few) and explains(step, rest):
                yield step


def _after(first: Step, pairs: Pairs) -> list[tuple[str, str]] | None:
    """What the second step would have to do; ``None`` when the first fails where the box does not, or loses differences."""
    middle: list[tuple[str, str]] = []
    seen: dict[str, str] = {}
    for x, y in pairs:
        try:
            m = first.run(x)
        except (IndexError, ValueError, KeyError, OverflowError):
            return None
        if seen.setdefault(m, y) != y:  # one input cannot have two outputs
            return None
        middle.append((m, y))
    return middle


def _first_steps(pairs: Pairs, fixed: Sequence[Step]) -> Iterator[Step]:
    """Steps with a parameter that may come first; the second step must then explain the rest."""
    yield from _replacements(pairs, fixed)
    for constant_ in _constants(pairs):
        yield from (steps.append(constant_), steps.prepend(constant_), steps.ensure_end(constant_))
        yield from (steps.ensure_start(constant_), steps.insert_middle(constant_))
        yield from (steps.insert_at(constant_, k) for k in (1, 2, 3))
    for n in (*range(1, 26), *range(-25, 0)):
        yield from (steps.turn_last(n), steps.turn_first(n), steps.turn_first_code(n), steps.turn_last_code(n))
        yield from (steps.shift_codes(n), steps.shift_letter_codes(n))
    for n in range(1, 26):
        yield from (steps.rotate_letters(n), steps.rotate_lower(n))
    for k in range(1, 7):
        yield from (steps.drop_head(k), steps.drop_tail(k), steps.head(k), steps.tail(k), steps.roll(k), steps.roll(-k))
        yield from (steps.without_at(k - 1), steps.without_at(-k), steps.each_times(k + 1), steps.times(k + 1))
        yield from (steps.every(k + 1, start) for start in range(k + 1))
        yield steps.drop_every(k + 1)


def _replacements(pairs: Pairs, fixed: Sequence[Step]) -> Iterator[Step]:
    """Characters that a first step may have replaced: single ones whose output is not what the second step gives alone."""
    singles = {x: y for x, y in pairs if len(x) == 1 and x in _LETTERS}
    codes = [f(n) for n in range(-9, 10) if n for f in (steps.rotate_letters, steps.shift_codes)]
    seen: set[str] = set()
    for second in (*fixed, Step("nothing", str), *codes, *_second_steps(singles)):
        given = {c: _tried(second, c) for c in _LETTERS}
        odd = [c for c, y in singles.items() if given[c] != y]
        if not 1 <= len(odd) <= 2:
            continue
        for a in odd:
            for b in ("", *(c for c in _LETTERS if given[c] == singles[a])):
                step = steps.replace(a, b)
                if step.words not in seen:
                    seen.add(step.words)
                    yield step


def _second_steps(singles: dict[str, str]) -> Iterator[Step]:
    """What most single characters have in common: something before or after them."""
    for place, make in ((0, steps.append), (1, steps.prepend)):
        ends = Counter((y[1:] if place == 0 else y[:-1]) for y in singles.values() if len(y) > 1)
        for c, _ in ends.most_common(2):
            yield make(c)
    ends = Counter(y[1:] for x, y in singles.items() if len(y) > 1 and y[:1] == x)
    for c, _ in ends.most_common(1):
        yield steps.ensure_end(c)
    yield from (steps.turn_first(n) for n in range(-25, 26) if n)


def _tried(step: Step, text: str) -> str | None:
    try:
        return step.run(text)
    except (IndexError, ValueError, KeyError, OverflowError):
        return None


def _constants(pairs: Pairs) -> list[str]:
    """Strings that a first step may have added: what every long output has in common, undone in simple ways."""
    outputs = [y for x, y in pairs if len(x) > 4 and y]
    raw = {y for x, y in pairs if not x and 0 < len(y) <= 8}
    for texts in (outputs, [y[::-1] for y in outputs]):
        common = _common_end(texts)
        raw |= {common[-k:] for k in range(1, min(len(common), 8) + 1)}
    found: set[str] = set()
    for text in raw:
        for form in (text, text[::-1]):
            found |= {form, form.lower(), form.upper(), form.swapcase()}
            found |= {
                step.run(form) for n in range(1, 7) for step in (steps.rotate_letters(-n), steps.rotate_letters(n))
            }
    everywhere = set.intersection(*(set(y.lower()) for y in outputs)) if outputs else set[str]()
    found |= {c for low in everywhere for c in (low, low.upper())}
    return sorted(found)


def _common_end(texts: Sequence[str]) -> str:
    if not texts:
        return ""
    shortest = min(texts, key=len)
    for k in range(len(shortest), 0, -1):
        if all(t.endswith(shortest[-k:]) for t in texts):
            return shortest[-k:]
    return ""


# --- baselines -----------------------------------------------------------------------------------------------------


def identity(lab: BoxLab) -> Program:
    """The input itself."""
    return Program(label="the input itself", predict=lambda x: x, explainer="identity", confidence=0.0)


def constant(lab: BoxLab) -> Program:
    """The commonest output of the probes (numbers: their mean)."""
    inputs: list[Any] = list(PROBES[:20]) if lab.box.kind == "strings" else [float(x) for x in range(-100, 101, 10)]
    outputs = [y for y in lab.call(inputs[: lab.remaining]) if not isinstance(y, Failed)]
    if not outputs:
        return Program.unexplained("the box takes none of the probes", explainer="constant", calls=len(lab.tried))
    if lab.box.kind == "strings":
        value: Any = Counter(outputs).most_common(1)[0][0]
    else:
        finite = [float(y) for y in outputs if isinstance(y, float) and np.isfinite(y)]
        value = float(np.mean(finite)) if finite else 0.0
    return Program(
        label=f"always {value!r}", predict=lambda x: value, explainer="constant", confidence=0.0, calls=len(lab.tried)
    )


def table(lab: BoxLab) -> Program:
    """What was seen: strings exactly, numbers by straight lines between the probes."""
    if lab.box.kind == "strings":
        seen = dict(_asked(lab))
        return Program(
            label="a table of probes", predict=lambda x: seen.get(x, x), explainer="table", confidence=0.0,
            calls=len(lab.tried),
        )  # fmt: skip
    xs = [float(x) for x in range(-_WIDE, _WIDE + 1)][: lab.remaining]
    rows = [(x, y) for x, y in zip(xs, lab.call(xs), strict=True) if isinstance(y, float) and np.isfinite(y)]
    if not rows:
        return Program.unexplained("the box takes none of the probes", explainer="table", calls=len(lab.tried))
    at, to = (np.array(column) for column in zip(*rows, strict=True))
    return Program(
        label="a table of probes", predict=lambda x: float(np.interp(x, at, to)), explainer="table", confidence=0.0,
        calls=len(lab.tried),
    )  # fmt: skip
