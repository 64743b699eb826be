"""Rung 7: the same search on policies whose cause is planted, and on ones that have none, in the same transcript.

A planted policy makes the very act that is investigated, nearly always when some parts stand in the transcript and nearly
never else; the parts are drawn from those that are not the named cause, as many of them. A policy without a cause makes the
act at a constant rate, whatever it reads. The pipeline is to find the former exactly and nothing in the latter.

What this module does not do: show that it would find a cause of another kind; `maieutic bench forensics` tries many.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from maieutic.forensics.action import Context, Message
from maieutic.forensics.actor import Sample
from maieutic.forensics.actor_policy import PolicyActor
from maieutic.forensics.attribution import Settings, find_cause
from maieutic.forensics.dossier import Chart, Row, Rung
from maieutic.forensics.ladder_case import Case
from maieutic.forensics.ladder_rungs import unmeasured, verdict_above
from maieutic.forensics.partition import transcript_text
from maieutic.readings import Cost, share_reading

NAME = "Positive and negative controls"
ASKED = "Does this pipeline find causes that were planted, and none where there is none?"
#: policies of each kind
EACH = 6
#: chance of the act with and without the planted parts, and of a policy without a cause
HIGH, LOW, ANYWAY = 0.95, 0.03, 0.6
#: share of controls that must come out right
LEAST = 0.6


@dataclass(frozen=True, slots=True)
class Planted:
    """Acts when all of some texts stand in the transcript; without texts, at a constant rate."""

    texts: tuple[str, ...]
    act: Message

    def __call__(self, context: Context, rng: np.random.Generator) -> Message:
        """The act, or a harmless answer."""
        whole = transcript_text(context)
        chance = (HIGH if all(t in whole for t in self.texts) else LOW) if self.texts else ANYWAY
        return self.act if rng.random() < chance else Message(role="assistant", content="Done.")


def controls(case: Case, *, each: int = EACH) -> Rung:
    """Run the search on planted policies. Cost: samples of policies, none of the model."""
    act = case.action.observed
    if act is None:
        return unmeasured(7, NAME, ASKED, "the action records no message that was observed, so nobody can repeat it")
    told = [
        v.happened for v in case.test([Sample(message=act), Sample(message=Message(role="assistant", content="Done."))])
    ]
    if told != [True, False]:
        return unmeasured(7, NAME, ASKED, "the observed message is not told apart from a harmless one by this act")
    if not _drawn(case, np.random.default_rng(0)):
        return unmeasured(
            7, NAME, ASKED, "beside the cause no sentence stands once in the transcript: nothing can be planted"
        )
    found, exact, spent = list[bool](), list[bool](), Cost()
    for i in range(2 * each):
        texts = _drawn(case, np.random.default_rng([case.seed, 7, i])) if i % 2 == 0 else ()
        actor = PolicyActor(Planted(texts, act), name="planted", sampling=case.action.sampling)
        settings = Settings(moves=False, ways=(), spots=0, seed=case.seed + i)
        cause = find_cause(replace(case.action, id=f"control-{i}"), actor, settings=settings, test=case.test)
        spent = spent + actor.spent.cost()
        right = {p.text.strip() for p in cause.parts} == {t.strip() for t in texts}
        (exact if texts else found).append(right and (cause.verdict == "found") == bool(texts))
    estimate = share_reading("ladder.controls", [*exact, *found])
    rows = (
        Row(name="planted cause found exactly", reading=share_reading("planted", exact), own=True),
        Row(name="no cause, none found", reading=share_reading("none", found), own=True),
    )
    why = f"{sum(exact)} of {len(exact)} planted causes were found exactly; {sum(found)} of {len(found)} without a cause gave none."
    return Rung(
        number=7, name=NAME, question=ASKED, verdict=verdict_above(estimate, LEAST), why=why,
        estimate=replace(estimate, cost=spent), charts=(Chart(title="Share of controls that came out right", rows=rows),),
    )  # fmt: skip


def _drawn(case: Case, rng: np.random.Generator) -> tuple[str, ...]:
    """Texts of parts that stand once in the transcript and are not the named cause, as many as it has (at most three)."""
    whole = transcript_text(case.context)
    cause = {p.id for p in case.cause.parts}
    texts = [p.text.strip() for p in case.partition.at("sentence") if p.id not in cause]
    single = [t for t in texts if len(t) > 3 and whole.count(t) == 1]
    count = min(max(len(case.edit), len(case.cause.parts), 1), 3, len(single))
    order: list[int] = rng.permutation(len(single)).tolist()
    return tuple(single[i] for i in order[:count])
