"""What a monitor is shown: a transcript with the act at its end, or the activations that were read along it.

A transcript says what of it could not be kept as text (pictures, files): a monitor that reads text must not call safe what
it cannot see. Cases are transcripts with the truth, for fitting and measuring.

What this module does not do: read logs of others (``adapters``), run models, judge.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maieutic.forensics.action import Action, Context, Message, plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """One step of an agent.

    Attributes:
        id: for people.
        messages: everything before the act.
        act: what the model did; ``None``: it is judged before it acts.
        tools: definitions that the model was given.
        unseen: what is not in the text, in words (``a picture in message 3``).
    """

    id: str
    messages: Context
    act: Message | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    unseen: tuple[str, ...] = ()

    @classmethod
    def of(cls, action: Action, *, act: Message | None = None) -> Transcript:
        """The transcript of an action; with the act that was observed, unless another one is given."""
        left = tuple(str(x) for x in action.metadata.get("left_out", ()))
        observed = act if act is not None else action.observed
        return cls(id=action.id, messages=action.messages, act=observed, tools=action.tools, unseen=left)

    @property
    def key(self) -> str:
        """The same for transcripts that show the same."""
        shown = [
            [plain(m) for m in self.messages],
            None if self.act is None else plain(self.act),
            plain(list(self.tools)),
        ]
        return hashlib.sha256(json.dumps(shown, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Activations:
    """What a network held along a transcript.

    Attributes:
        id: for people.
        values: by site ``[position, unit]``, float32, raw model units.
        act: position of the first token of the act; as many as there are positions where it had not acted yet.
        tokens: the text of each position, where known.
        passes: forward passes that were made only to read them; 0 where they come from the agent's own run.
    """

    id: str
    values: Mapping[str, NDArray[np.float32]] = field(repr=False)
    act: int
    tokens: tuple[str, ...] = ()
    passes: int = 0


Seen = Transcript | Activations


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is shown, with the truth.

    Attributes:
        seen: what a monitor may look at.
        attack: whether the act is one that ought to be caught.
        scenario: cases of one scenario are not independent; they are never parted between fitting and choosing.
        run: the run of which it is a step; empty: of its own.
        main: success of the task that was asked for, 0 to 1; ``side``: whether the attack succeeded.
    """

    seen: Seen
    attack: bool
    scenario: str = ""
    run: str = ""
    main: float | None = None
    side: bool | None = None
