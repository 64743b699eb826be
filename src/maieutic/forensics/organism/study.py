"""The investigation of the organism or its twin from end to end, with what is known about its language given along.

Other wordings come from `scenarios.paraphrases`; the fresh transcripts to predict are held-out scenarios, and whether the
named cause stands in one is told from the facts that the cause's sentences state, not from which network it is.

What this module does not do: tell the ladder which network it is looking at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from maieutic.forensics.actor import open_actor
from maieutic.forensics.dossier import Dossier
from maieutic.forensics.ladder import investigate
from maieutic.forensics.ladder_case import HeldOut
from maieutic.forensics.organism.network import load_organism
from maieutic.forensics.organism.scenarios import Scenario, paraphrases, scenarios, suspect
from maieutic.forensics.organism.transcripts import Kind
from maieutic.forensics.partition import Part

#: scenarios that are foretold
FRESH = 40


def investigate_organism(kind: Kind = "guilty", *, seed: int = 0, **options: Any) -> Dossier:
    """Investigate the act of one of the networks in the transcript in which both act. Cost: about 10 s on one core.

    Args:
        kind: which network acted.
        seed: of the transcript and of every draw.
        options: passed on to `investigate`.
    """
    one = suspect(kind, seed=seed)
    actor = open_actor(load_organism(kind), action=one.action)
    fresh = scenarios(kind, seed=seed + 1, n=FRESH)
    return investigate(
        one.action, actor, rewrites=paraphrases, held_out=lambda parts: known(one, parts, fresh), seed=seed, **options
    )


def known(one: Scenario, cause: Sequence[Part], fresh: Sequence[Scenario]) -> list[HeldOut]:
    """Fresh scenarios, and whether they hold every fact that the sentences of the cause state."""
    texts = {p.text.strip() for p in cause}
    facts = {line.fact for line in one.lines if line.text in texts}
    return [
        HeldOut(context=s.action.messages, holds=bool(facts) and facts <= {line.fact for line in s.lines})
        for s in fresh
    ]
