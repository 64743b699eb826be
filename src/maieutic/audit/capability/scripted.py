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
peaks, before = Counter(), Counter()
for e in lab.exemplars(24, where="top"):
    if e.value < 0.3: continue
    words = [(t.strip().lower(), v) for t, v in e.tokens]
    at = max(range(len(words)), key=lambda i: words[i][1])
    peaks[words[at][0]] += 1
    if at: before[words[at - 1][0]] += 1
ideas = [w for w, _ in peaks.most_common(8) if w.isalpha()]
leads = [w for w, _ in before.most_common(2) if w.isalpha()]
h = lab.hypothesize("one of the words " + ", ".join(ideas) if ideas else "nothing at all")
g = lab.hypothesize("what stands right after " + " or ".join(leads) if leads else "nothing at all, really")
print(ideas, leads)
"""
_MEASURE = """
def follows(x, w):
    words = [(t.strip().lower(), v) for t, v in x.tokens]
    at = max(range(len(words)), key=lambda i: words[i][1])
    return x.value >= 0.5 and at > 0 and words[at - 1][0] == w
tried, led = [], []
for w in ideas:
    tried += [(w, x) for x in lab.measure([w, f"they saw the {w} again"], expect=0.9, because=f"is it {w}?", hypothesis=h)]
for w in leads:
    texts = [f"they saw the {w} again", f"a {w} table stood there"]
    led += [(w, x) for x in lab.measure(texts, expect=0.5, because=f"is it what follows {w}?", hypothesis=g)]
others = lab.measure(["they saw the table again", "on some days it rained"], expect=0.05, because="is it anything?", hypothesis=h)
for w, x in tried + led: print(w, x)
for x in others: print(x)
"""
_ANSWER = """
held = [w for w in ideas if [x for v, x in tried if v == w and x.value >= 0.5 and not any(follows(x, l) for l in leads)]]
after = [w for w in leads if all(follows(x, w) for v, x in led if v == w)]
quiet = max((x.value for x in others), default=0.0) < 0.3
mine, theirs = [x for w, x in tried if w in held], [x for w, x in led if w in after]
if after and quiet:
    lab.judge(g, "supported", evidence=theirs, because="it moves with the word before")
    lab.judge(h, "rejected", evidence=[x for _, x in tried] or theirs, because="the words do not do it by themselves")
    lab.submit("any token right after " + " or ".join(f'"{w}"' for w in after), confidence=0.8, evidence=theirs)
elif held and quiet:
    lab.judge(h, "supported", evidence=mine, because="these words do it by themselves")
    lab.judge(g, "rejected", evidence=[x for _, x in led] or mine, because="it does not move with the word before")
    lab.submit("the words " + ", ".join(f'"{w}"' for w in held), confidence=0.8, evidence=mine)
else:
    lab.submit(unexplained="neither the words at the peaks nor those before them do it by themselves")
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


def register(model: str | None) -> bool:
    """Make ``scripted/researcher`` known, when it is asked for; gives whether it was."""
    if model != f"scripted/{NAME}":
        return False
    from maieutic.llm.scripted import script

    script(NAME, researcher)
    return True
