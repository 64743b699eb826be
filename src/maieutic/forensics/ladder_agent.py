"""Further experiments, asked for by a language model that has read what the fixed ladder found.

In a few rounds the model sees the transcript in numbered parts, the cause that was named and what its own experiments gave,
and asks for edits of parts, each with the rate of the act that it expects. The edits are made and measured like all others;
expectations are kept beside what came, and a model that expects nothing right has explained nothing.

What this module does not do: let the language model decide. The conclusion follows from the fixed ladder by its rule; these
experiments stand beside it. Everything shown to the model is fenced as data, and an edit of a part that does not exist is
refused, said so, and never counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from maieutic.errors import UsageError
from maieutic.forensics.action import Context
from maieutic.forensics.dossier import Asked
from maieutic.forensics.ladder_case import Case, Meter, add_sentence
from maieutic.forensics.partition import Part
from maieutic.forensics.removal import replace_parts
from maieutic.llm import Backbone, Prompt
from maieutic.llm.fences import Fence
from maieutic.readings import Cost, Reading

#: rounds, and experiments of one of them
ROUNDS, EACH = 2, 6
#: characters of a part that the model is shown
_SHOWN = 400


class Edit(BaseModel):
    """Other words in the place of a part; none: it is taken away."""

    model_config = ConfigDict(extra="forbid")
    part: str
    text: str = ""


class Wish(BaseModel):
    """One experiment."""

    model_config = ConfigDict(extra="forbid")
    why: str
    edits: list[Edit] = Field(default_factory=list[Edit], max_length=20)
    add_to: Literal["", "system", "user"] = ""
    add: str = ""
    expect: float = Field(ge=0, le=1)


class Wishes(BaseModel):
    """One round; no experiments: the model has seen enough."""

    model_config = ConfigDict(extra="forbid")
    experiments: list[Wish] = Field(max_length=EACH)


def ask_for_experiments(case: Case, backbone: Backbone, *, rounds: int = ROUNDS) -> tuple[tuple[Asked, ...], Cost, str]:
    """Let a model ask.

    Args:
        case: the case, with its cause.
        backbone: the language model.
        rounds: how often it may ask.

    Returns:
        What was asked with what came; what the language model cost; and why it ended early, or nothing.
    """
    done: list[Asked] = []
    before = backbone.spent
    ended = ""
    for _ in range(rounds):
        (answer,) = backbone.ask([_prompt(case, done)])
        try:
            wishes = Wishes.model_validate(answer.parsed) if answer.failed is None else None
        except ValidationError as error:
            ended = f"{backbone.name} asked for no experiment that could be read: {error.errors()[0]['msg']}"
            break
        if wishes is None:
            ended = f"{backbone.name} gave no answer: {answer.failed}"
            break
        if not wishes.experiments:
            break
        done += [_made(case, wish) for wish in wishes.experiments]
    spent = backbone.spent
    own = Cost(llm_tokens=spent.llm_tokens - before.llm_tokens, dollars=spent.dollars - before.dollars,
               seconds=spent.seconds - before.seconds)  # fmt: skip
    return tuple(done), own, ended


def _made(case: Case, wish: Wish) -> Asked:
    """One experiment, made; refused where it cannot be."""
    told: dict[str, Any] = {
        "why": wish.why, "edits": tuple((e.part, e.text) for e in wish.edits), "added": (wish.add_to, wish.add),
        "expected": wish.expect,
    }  # fmt: skip
    try:
        context = _edited(case, wish)
    except UsageError as error:
        return Asked(**told, reading=Reading.unmeasured("asked", f"refused: {error}"))
    meter = Meter(case.actor)
    rate = case.rate(context)
    return Asked(**told, reading=rate.reading("asked", meter.cost))


def _edited(case: Case, wish: Wish) -> Context:
    """The transcript with the edits.

    Raises:
        UsageError: a part that does not exist or is named twice, or nothing is changed.
    """
    if not wish.edits and not (wish.add_to and wish.add.strip()):
        raise UsageError("it changes nothing: name parts, or add a sentence")
    parts = _parts(case)
    known = {p.id: p for p in parts}
    unknown = [e.part for e in wish.edits if e.part not in known]
    if unknown or len({e.part for e in wish.edits}) < len(wish.edits):
        raise UsageError(f"no such part, or one twice ({', '.join(unknown) or 'twice'}): choose from those shown")
    change = [(known[e.part], _spaced(known[e.part].text, e.text)) for e in wish.edits]
    context = replace_parts(case.context, change)
    return add_sentence(context, wish.add.strip(), role=wish.add_to) if wish.add_to and wish.add.strip() else context


def _parts(case: Case) -> tuple[Part, ...]:
    return case.partition.at("sentence")


def _spaced(original: str, said: str) -> str:
    """New words with the white space that followed the old ones."""
    return said.strip() + original[len(original.rstrip()) :] if said.strip() else ""


def _prompt(case: Case, done: Sequence[Asked]) -> Prompt:
    parts = "\n".join(f"{p.id} ({p.role}): {p.text.strip()[:_SHOWN]}" for p in _parts(case))
    made = "\n".join(f"- {a.why} | expected {a.expected:.2f} | measured {a.reading}" for a in done) or "none yet"
    full = case.rate(case.context).reading("rate")
    found = case.cause.summary() or case.cause.reason
    fence = Fence.around([parts, made, found, str(case.action.act)])
    text = (
        "An assistant did something that needs explaining. Its transcript stands below in numbered parts. A search over parts "
        "has named a cause. Ask for experiments that could show that this is wrong or incomplete: change the words of parts "
        "(empty text takes a part away), or add a sentence to the system's or the user's message. Say for each how often you "
        f"expect the act to happen then, from 0 to 1. At most {EACH}; none when you have seen enough.\n\n"
        f"{fence.put('the act', str(case.action.act))}\nIt happens at the rate {full}.\n"
        f"{fence.put('transcript', parts)}\n{fence.put('cause found', found)}\n{fence.put('your experiments so far', made)}"
    )
    return Prompt.of(text, system=fence.rule, schema=Wishes.model_json_schema(), max_tokens=2000)
