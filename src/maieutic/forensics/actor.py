"""Actor: whoever can act again. What every experiment on an action asks, and what it has cost so far.

An actor scores a fixed continuation (white box) or draws fresh answers. It does not decide what is shown, nor whether an
answer is the act. Implementations: ``actor_subject.py`` (a language subject), ``actor_model.py`` (any Inspect model, by
its answers alone), ``actor_policy.py`` (a Python function).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from maieutic.errors import UsageError, UserError
from maieutic.forensics.action import Action, Context, Message, Sampling
from maieutic.readings import Cost

if TYPE_CHECKING:
    from maieutic.subjects.base import TokenSpan


class TooLongError(UserError):
    """A transcript does not fit into the model's context; it is never cut silently."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One fresh answer, or why there is none (a refusal of the provider, an error)."""

    message: Message | None
    failed: str | None = None

    def __post_init__(self) -> None:
        assert (self.message is None) == (self.failed is not None), "a sample is a message or a failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What an actor was asked so far. Two of them subtract: after minus before is the cost of what lies between.

    Attributes:
        passes: contexts for which a fixed continuation was scored.
        samples: fresh answers drawn.
        tokens: tokens that went through the network, read or written (characters / 4 of a policy).
        reused: tokens that were not read again, because a prefix was kept.
        dollars: where a price is known.
        seconds: wall time.
    """

    passes: int = 0
    samples: int = 0
    tokens: int = 0
    reused: int = 0
    dollars: float = 0.0
    seconds: float = 0.0

    @property
    def calls(self) -> int:
        """Forward passes and samples together: the unit in which methods are compared."""
        return self.passes + self.samples

    def __add__(self, other: Spent) -> Spent:
        return self._each(other, 1)

    def __sub__(self, other: Spent) -> Spent:
        return self._each(other, -1)

    def _each(self, other: Spent, sign: int) -> Spent:
        return Spent(
            passes=self.passes + sign * other.passes,
            samples=self.samples + sign * other.samples,
            tokens=self.tokens + sign * other.tokens,
            reused=self.reused + sign * other.reused,
            dollars=self.dollars + sign * other.dollars,
            seconds=self.seconds + sign * other.seconds,
        )

    def cost(self) -> Cost:
        """The same as the cost of a reading."""
        return Cost(measurements=self.calls, tokens=self.tokens, dollars=self.dollars, seconds=self.seconds)


@runtime_checkable
class Actor(Protocol):
    """What can act again.

    Attributes:
        name: for the record.
        white_box: whether ``logprobs`` can be asked.
        spent: all that was asked so far.
    """

    name: str
    white_box: bool
    spent: Spent

    def logprobs(self, contexts: Sequence[Context], continuation: str) -> list[float]:
        """Natural log-probability of a fixed continuation after each context, summed over its tokens.

        Raises:
            UsageError: not a white box.
            TooLongError: a context does not fit.
        """
        ...

    def samples(
        self, contexts: Sequence[Context], *, n: int, seed: int, sampling: Sampling | None = None
    ) -> list[list[Sample]]:
        """``n`` fresh answers after each context, ``[context][sample]``. The same seed gives the same answers.

        Answers of the contexts of one call are independent of each other, and so are calls with different seeds. With
        temperature 0 the seed changes nothing.

        Args:
            contexts: what is shown.
            n: answers each.
            seed: of the first answer.
            sampling: settings; ``None``: the actor's own.

        Raises:
            TooLongError: a context does not fit.
        """
        ...

    def tokens(self, text: str) -> list[TokenSpan]:
        """How the actor cuts a text; words where it does not tell."""
        ...


def open_actor(model: Any, *, action: Action | None = None, **options: Any) -> Actor:
    """An actor of whatever may act: an actor, a language subject, a policy function, or a name.

    Args:
        model: an ``Actor``; a ``LanguageSubject``; a function ``(messages, rng) -> Message | str``; the name of a subject
            (``smollm2-135m``, ``hf:FOLDER``) or ``provider/model`` of Inspect.
        action: whose tools and sampling settings the actor is given.
        options: passed on to ``SubjectActor``, ``ModelActor`` or ``PolicyActor``.

    Raises:
        UsageError: nothing of that kind can act.
        MissingExtraError: Inspect is not installed.
    """
    if action is not None:
        options = {"sampling": action.sampling, **options}
    if isinstance(model, str):
        return _named(model, action, options)
    if isinstance(model, Actor):
        return model
    if callable(model):
        from maieutic.forensics.actor_policy import Policy, PolicyActor

        return PolicyActor(cast(Policy, model), **options)
    from maieutic.subjects.language import LanguageSubject

    if isinstance(model, LanguageSubject):
        from maieutic.forensics.actor_subject import SubjectActor

        return SubjectActor(model, **_with_tools(action, options))
    raise UsageError(f"{type(model).__name__} cannot act: give a language subject, a function or provider/model")


def _named(name: str, action: Action | None, options: dict[str, Any]) -> Actor:
    from maieutic.subjects.registry import PREFIXES, load_subject, packaged_subjects

    if name.startswith(PREFIXES) or name in {p.name for p in packaged_subjects()} or "/" not in name:
        return open_actor(load_subject(name), action=action, **options)
    from maieutic.forensics.actor_model import ModelActor

    return ModelActor(name, **_with_tools(action, options))


def _with_tools(action: Action | None, options: dict[str, Any]) -> dict[str, Any]:
    return options if action is None or not action.tools else {"tools": action.tools, **options}
