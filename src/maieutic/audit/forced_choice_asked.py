"""The forced choice put to a weak trusted model: it sees one label and four sets of examples, and names a set.

What this module does not do: choose the examples (``forced_choice``), or take no answer for a wrong one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.audit.finding import Finding
from maieutic.audit.forced_choice import NAME, SETS, STATISTIC, Choice, chosen
from maieutic.audit.heldout import HeldOut
from maieutic.audit.plain_text import normalised
from maieutic.llm import Prompt, Turn
from maieutic.llm.fences import Fence
from maieutic.readings import Reading
from maieutic.score.judged.options import judge_with
from maieutic.score.judged.prompts import small

_LETTERS = "ABCD"
_SYSTEM = (
    "You are given a description of what one unit of a neural network responds to, and four sets of examples. In one set "
    "the unit responded to every example; the other sets belong to other units. Which set does the description fit best? "
    "Answer with one JSON object and nothing else, with the letter of that set; guess when you cannot tell."
)
_SCHEMA = {
    "type": "object",
    "properties": {"set": {"type": "string", "enum": list(_LETTERS)}},
    "required": ["set"],
    "additionalProperties": False,
}


def asked_choices(held: HeldOut, questions: Sequence[Choice], *, judge: Any, seed: int) -> Finding:
    """The finding of a model's choices; unmeasured without one. Cost: a prompt a question."""
    name = f"{NAME}.judged"
    if judge is None:
        return Finding(audit=NAME, statistic=STATISTIC, reading=Reading.unmeasured(name, "no judge was given"))
    model = judge_with({"judge": judge})
    answers = model.ask([_prompt(held, q, seed) for q in questions])
    picked: dict[str, bool] = {}
    failures: dict[str, str] = {}
    for q, answer in zip(questions, answers, strict=True):
        if answer.failed is not None:
            failures[q.answer.item.id] = answer.failed
        else:
            picked[q.answer.item.id] = _LETTERS.index(answer.parsed["set"]) == q.right
    return chosen(name, picked, {**model.told(), "failed": failures})


def _prompt(held: HeldOut, q: Choice, seed: int) -> Prompt:
    label = normalised(q.answer.explanation.label)
    if held.exam.modality == "image":
        return _pictures(held, q, label, seed)
    shown = [[_text(held, e) for e in examples] for examples in q.sets]
    fence = Fence.around([label, *(t for s in shown for t in s)], seed=seed)
    parts = [fence.put("description", label)]
    parts += [
        fence.put(f"set {letter}, example {n}", text)
        for letter, texts in zip(_LETTERS, shown, strict=True)
        for n, text in enumerate(texts, start=1)
    ]
    return Prompt(system=f"{_SYSTEM}\n\n{fence.rule}", turns=(Turn(text="\n\n".join(parts)),), schema=_SCHEMA)


def _pictures(held: HeldOut, q: Choice, label: str, seed: int) -> Prompt:
    fence = Fence.around([label], seed=seed)
    images = tuple(small(held.sample.stimuli[int(e[0])].content) for examples in q.sets for e in examples)
    order = ", ".join(f"{len(examples)} of set {letter}" for letter, examples in zip(_LETTERS, q.sets, strict=True))
    text = f"{fence.put('description', label)}\n\nThe pictures below are, in this order: {order}."
    return Prompt(system=f"{_SYSTEM}\n\n{fence.rule}", turns=(Turn(text=text, images=images),), schema=_SCHEMA)


def _text(held: HeldOut, positions: NDArray[np.int64]) -> str:
    """The words of an example: the tokens at its positions."""
    ends = np.cumsum(held.sample.lengths)
    n = int(np.searchsorted(ends, positions[0], side="right"))
    start = int(ends[n]) - held.sample.lengths[n]
    stimulus = held.sample.stimuli[n]
    spans = held.exam.items[0].subject.tokens(stimulus.content)
    if len(spans) != held.sample.lengths[n]:  # one value a text: the whole of it is the example
        return str(stimulus.content)
    return str(stimulus.content)[spans[int(positions[0]) - start].start : spans[int(positions[-1]) - start].end]


assert len(_LETTERS) == SETS
