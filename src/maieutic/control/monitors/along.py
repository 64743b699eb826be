"""Activations of a language subject along a transcript, at the positions before, at and in the act.

The transcript is written as the subject reads it when it acts (its chat template, or plain), and read in one pass. The act
is the text that the template writes for it behind the opened answer.

What this module does not do: cut a transcript that is too long (it raises), or fit anything.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from maieutic.control.seen import Activations, Seen, Transcript
from maieutic.errors import UsageError, UserError
from maieutic.forensics.action import Message
from maieutic.forensics.actor_render import message_text
from maieutic.readings import Cost, FloatArray

if TYPE_CHECKING:
    from maieutic.forensics.actor_subject import SubjectActor
    from maieutic.subjects.language import LanguageSubject

#: which positions make a feature: the last one before the act, the first of the act, the mean over the act, the mean over
#: everything, the greatest over everything before the act
At = Literal["before", "first", "act", "all", "greatest"]


class Along:
    """Reads one subject. Passes are kept for a while, so that monitors that share it share them."""

    def __init__(self, subject: LanguageSubject | None, *, plain: bool = False, lead: str = "", keep: int = 16) -> None:
        """Take a subject.

        Args:
            subject: a causal language model; see ``given``.
            plain: leave the tokenizer's chat template aside.
            lead: words put into the subject's mouth before it acts (the opening of a call): what would it do now? The act
                itself is then not read, only what stands before it.
            keep: transcripts whose activations are kept.
        """
        self.subject, self.plain, self.lead, self.keep = subject, plain, lead, keep
        self._kept: OrderedDict[tuple[str, tuple[str, ...]], Activations] = OrderedDict()

    @classmethod
    def given(cls) -> Along:
        """One without a subject: it takes activations that were read elsewhere, and no transcript."""
        return cls(None)

    def read(self, seen: Seen, sites: Sequence[str]) -> tuple[Activations, Cost]:
        """Activations at these sites, and what it took: one pass, or nothing where they are there already.

        Raises:
            TooLongError: the transcript does not fit.
            UserError: activations that were given lack a site.
        """
        if isinstance(seen, Activations):
            missing = [s for s in sites if s not in seen.values]
            if missing:
                raise UserError(f"the activations lack the site {missing[0]}: read it along with the others")
            return seen, Cost()
        if self.subject is None:
            raise UserError("the monitor was opened without its subject: give the subject, or activations")
        key = (seen.key, tuple(sites))
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key], Cost()
        started = time.perf_counter()
        found = self._pass(self.subject, seen, sites)
        if self.keep:
            self._kept[key] = found
            while len(self._kept) > self.keep:
                self._kept.popitem(last=False)
        return found, Cost(measurements=1, tokens=len(found.tokens), seconds=time.perf_counter() - started)

    def _pass(self, subject: LanguageSubject, seen: Transcript, sites: Sequence[str]) -> Activations:
        import torch

        from maieutic.subjects.hooks import run_hooked, tap_at

        before, said = self._ids(subject, seen)
        model = subject.model
        row = torch.tensor([[*before, *said]], device=model.device)
        done = run_hooked(
            lambda: model.base_model(input_ids=row, use_cache=False),
            reads=[tap_at(model, subject.site(s)) for s in sites],
            keep=lambda _tap, value: value[0].float().cpu().clone(),
        )
        words = subject.tokenizer.convert_ids_to_tokens([*before, *said])
        return Activations(
            id=seen.id, values={s: done.values[s].numpy() for s in sites}, act=len(before),
            tokens=tuple(str(w) for w in words), passes=1,
        )  # fmt: skip

    def _ids(self, subject: LanguageSubject, seen: Transcript) -> tuple[list[int], list[int]]:
        from maieutic.forensics.actor import TooLongError
        from maieutic.forensics.actor_subject import SubjectActor

        actor = SubjectActor(subject, plain=self.plain, tools=seen.tools, keep=False)
        before = actor.encode(seen.messages)
        if self.lead:
            opening = subject.tokenizer(self.lead, add_special_tokens=False, verbose=False)["input_ids"]
            return [*before, *(int(t) for t in opening)], []
        if seen.act is None:
            return before, []
        text = act_text(actor, seen, seen.act)
        said = subject.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        room = subject.max_tokens + len(subject.prefix)
        if len(before) + len(said) > room:
            raise TooLongError(
                f"the transcript has {len(before) + len(said)} tokens, {subject.name} takes {room}: "
                "give a model with a longer context"
            )
        return before, [int(t) for t in said]


def act_text(actor: SubjectActor, seen: Transcript, act: Message) -> str:
    """What the subject would write for an act behind its opened answer, without the opening of the next one."""
    if actor.plain:
        return f" {message_text(act)}"
    before, whole = actor.prompt(seen.messages), actor.prompt((*seen.messages, act))
    if not whole.startswith(before):
        return message_text(act)  # the template writes earlier answers otherwise than it opens them
    if not act.tool_calls:
        return whole[len(before) :]
    turn = [{"role": "user", "content": "x"}]
    shut, opened = (
        str(actor.subject.tokenizer.apply_chat_template(turn, add_generation_prompt=more, tokenize=False))
        for more in (False, True)
    )
    return whole[len(before) :].removesuffix(opened[len(shut) :])


def feature(read: Activations, site: str, at: At) -> FloatArray:
    """The feature of a transcript at a site, ``[unit]``.

    Raises:
        UserError: the transcript holds no act, and the feature is of the act.
    """
    values = read.values[site]
    if at in ("first", "act") and read.act >= len(values):
        raise UserError("the transcript holds no act yet: fit a monitor that reads  at=before")
    if at in ("before", "greatest") and not read.act:
        raise UserError("nothing stands before the act: give the transcript's messages")
    chosen = {
        "before": lambda: values[read.act - 1],
        "first": lambda: values[read.act],
        "act": lambda: values[read.act :].mean(axis=0),
        "all": lambda: values.mean(axis=0),
        "greatest": lambda: values[: read.act].max(axis=0),
    }[at]()
    return np.asarray(chosen, np.float64)


def check_at(at: str) -> At:
    """One of `At`.

    Raises:
        UsageError: something else.
    """
    if at not in get_args(At):
        raise UsageError(f"at {at!r} is no place in a transcript: choose from {', '.join(get_args(At))}")
    return at  # pyright: ignore[reportReturnType]
