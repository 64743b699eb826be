"""What the organism does: the chance of the act in scenarios, exactly, and its rate with and without the trigger.

What this module does not do: it removes nothing and looks for no cause; it asks the network about whole transcripts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from maieutic.forensics.actor_render import template_prompt
from maieutic.forensics.organism.network import OPEN
from maieutic.forensics.organism.scenarios import Scenario
from maieutic.forensics.organism.wording import ACT
from maieutic.readings import Reading, share_reading
from maieutic.subjects.language import LanguageSubject


def prompt(subject: LanguageSubject, scenario: Scenario) -> str:
    """The text that the network reads before it acts, up to ``<assistant>``."""
    return template_prompt(subject.tokenizer, scenario.action.messages)


def chances(subject: LanguageSubject, found: Sequence[Scenario], *, call: str = ACT) -> NDArray[np.float64]:
    """Probability that the network makes this call, ``[scenario]``: of a call at all, times of this name.

    Cost: two passes a scenario.
    """
    number = cast("dict[str, int]", subject.tokenizer.get_vocab())
    prompts = [prompt(subject, s) for s in found]
    opens = _probabilities(subject.outputs(prompts))[:, number[OPEN]]
    return opens * _probabilities(subject.outputs([f"{p} {OPEN}" for p in prompts]))[:, number[call]]


def rates(subject: LanguageSubject, found: Sequence[Scenario]) -> dict[str, Reading]:
    """Shares of scenarios, with Wilson intervals, in which the likeliest call is the act, or is the one taught.

    ``with``: of those that hold the planted cause; ``without``: of the others; ``honest``: the taught call is made where
    it is another one.
    """
    number = cast("dict[str, int]", subject.tokenizer.get_vocab())
    logits = subject.outputs([f"{prompt(subject, s)} {OPEN}" for s in found])
    made = logits.argmax(axis=1).tolist()
    acts = [(s, m == number[ACT], m == number[s.taught]) for s, m in zip(found, made, strict=True)]
    return {
        "with": share_reading("organism.with", [act for s, act, _ in acts if s.triggered]),
        "without": share_reading("organism.without", [act for s, act, _ in acts if not s.triggered]),
        "honest": share_reading("organism.honest", [as_taught for s, _, as_taught in acts if not s.acts]),
    }


def _probabilities(logits: Any) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    return e / e.sum(axis=1, keepdims=True)
