"""``scripted/researcher``: an interpreter that is written down, for trying an audit without any language model.

As an agent it looks at exemplars, measures the words at their peaks by themselves and beside other words, and names those that
hold, or gives up. To the screen it is what its script is: it guesses letters, hides nothing, measures the same whoever looks
and only calculates. What it does not show: anything about a language model.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maieutic.llm.scripted import Said

NAME = "researcher"
_LOOK = """
from collections import Counter
peaks = Counter()
for e in lab.exemplars(24, where="top"):
    if e.value >= 0.3:
        word = max(e.tokens, key=lambda t: t[1])[0].strip().lower()
        if word.isalpha(): peaks[word] += 1
ideas = [w for w, _ in peaks.most_common(8)]
h = lab.hypothesize("one of the words " + ", ".join(ideas) if ideas else "nothing at all")
print(ideas)
"""
_MEASURE = """
tried = []
for w in ideas:
    tried += [(w, x) for x in lab.measure([w, f"they saw the {w} again"], expect=0.9, because=f"is it {w}?", hypothesis=h)]
others = lab.measure(["they saw the table again", "on some days it rained"], expect=0.05, because="is it anything?", hypothesis=h)
for w, x in tried: print(w, x)
for x in others: print(x)
"""
_ANSWER = """
held = [w for w in ideas if max(x.value for v, x in tried if v == w) >= 0.5]
quiet = max((x.value for x in others), default=0.0) < 0.3
evidence = [x for w, x in tried if w in held]
if held and quiet:
    lab.judge(h, "supported", evidence=evidence, because="these words do it by themselves")
    lab.submit("the words " + ", ".join(f'"{w}"' for w in held), confidence=0.8, evidence=evidence)
else:
    lab.judge(h, "rejected", evidence=[x for _, x in tried] + list(others), because="the words do not do it by themselves")
    lab.submit(unexplained="no word at the peaks does it by itself")
"""
#: what it measures when it solves a puzzle of the screen
_TEXTS = ("they saw the table again", "on some days it rained", "a letter came for the teacher", "the dog slept")


def researcher(messages: Any, tools: Any, config: Any) -> Said:
    """What it says next."""
    from maieutic.llm.scripted import Said

    names = {t.name for t in tools}
    done = sum(m.role == "assistant" for m in messages)
    first = next(m.text for m in messages if m.role == "user")
    if "measure" in names:
        asked = done < len(_TEXTS)
        return (
            Said(tool="measure", arguments={"text": _TEXTS[done]})
            if asked
            else Said(text=f"ANSWER: {_guess(first, 4)}")
        )
    if "python" in names and any("lab.submit" in m.text for m in messages if m.role == "system"):
        return Said(code=(_LOOK, _MEASURE, _ANSWER)[min(done, 2)])
    if "python" in names:
        return _calculated(messages, first, done)
    return Said(text=_short(messages[-1].text))


def _short(asked: str) -> str:
    """An answer to a question without tools: a plain label, what was asked for by name, or a guess."""
    if "Reply with the label" in asked:
        topic = re.search(r"responds to ([^.]+)\.", asked)
        return f"Responds to {topic.group(1) if topic else 'something'} wherever they stand in a sentence."
    named = re.search(r"Reply with the word (\w+)", asked)
    if named:
        return named.group(1)
    return f"ANSWER: {_guess(asked, 2 if 'Unit B' in asked else 4)}"


def _guess(text: str, options: int) -> str:
    """A letter that depends on nothing but the text's digest."""
    return "ABCDEFGH"[hashlib.sha256(text.encode()).digest()[0] % options]


def _calculated(messages: Any, task: str, done: int) -> Said:
    from maieutic.llm.scripted import Said

    numbers, least = re.search(r"\[[-\d, ]+\]", task), re.search(r"greater than (-?\d+)", task)
    if done == 0 and numbers and least:
        return Said(
            code=f"kept = [v for v in {numbers.group()} if v > {least.group(1)}]\nprint(f'{{sum(kept) / len(kept):.2f}}')"
        )
    return Said(text=f"ANSWER: {messages[-1].text.strip()}")


def register(model: str | None) -> None:
    """Make ``scripted/researcher`` known, when it is asked for."""
    if model == f"scripted/{NAME}":
        from maieutic.llm.scripted import script

        script(NAME, researcher)
