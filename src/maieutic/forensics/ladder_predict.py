"""Rung 5: the hypothesis foretells fresh transcripts before they are run.

For each transcript the prediction is the rate of the act with the cause or without it, by whether the cause stands there.
The predictions are written down, and their digest with them, before the first answer is drawn. Their Brier score stands
beside that of the best constant guess, which is given the outcome: 1 - own / constant is the share of it that is explained.

Fresh transcripts are given (`HeldOut`); otherwise they are made from this one, with random other parts taken away and the
cause kept or taken away. Those are near the transcript that the hypothesis came from, and say less.

What this module does not do: invent scenarios with a language model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from maieutic.forensics.dossier import Chart, Row, Rung
from maieutic.forensics.ladder_case import Case, HeldOut, Meter, Rate
from maieutic.forensics.ladder_rungs import unmeasured, verdict_above
from maieutic.forensics.removal import Filler, remove_parts
from maieutic.readings import Estimate, FloatArray, Reading, cluster_weights, from_sums

NAME, ASKED = "Pre-registered prediction", "Does the hypothesis foretell transcripts that it has not seen?"
#: fresh transcripts that are made, and answers to each
MADE, ANSWERS = 16, 4
#: share of the constant guess's score that must be explained
LEAST = 0.25


def predict(case: Case) -> Rung:
    """Foretell, then look. Cost: `ANSWERS` samples a transcript."""
    if not case.edit:
        return unmeasured(5, NAME, ASKED, "no cause was found, so there is no hypothesis to test")
    fresh = case.held_out or made(case, n=MADE)
    meter = Meter(case.actor)
    foretold = register(case, fresh)
    digest = hashlib.sha256(json.dumps([round(p, 6) for p in foretold]).encode()).hexdigest()
    rates = [case.rate(one.context, samples=ANSWERS) for one in fresh]
    known = [(p, one, r) for p, one, r in zip(foretold, fresh, rates, strict=True) if r.tally.n]
    if len(known) < max(4, len(fresh) // 2):
        return unmeasured(5, NAME, ASKED, f"only {len(known)} of {len(fresh)} fresh transcripts gave an answer")
    estimate, own, constant = _scores([p for p, _, _ in known], [r for _, _, r in known])
    made_here = "" if case.held_out else " The transcripts were made from this one."
    details = {"brier": own, "brier_constant": constant, "digest": digest, "predictions": foretold,
               "given": bool(case.held_out)}  # fmt: skip
    reading = estimate.reading(
        "ladder.predict", n=sum(r.tally.n for _, _, r in known), details=details,
        undefined="every fresh answer was the same, so there was nothing to foretell",
    )  # fmt: skip
    if not reading.measured:
        return unmeasured(5, NAME, ASKED, reading.reason or "not measured")
    why = (
        f"Brier score {own:.3f} against {constant:.3f} of the best constant guess, on {len(known)} fresh transcripts; "
        f"the number below is the share explained.{made_here}"
    )
    return Rung(
        number=5, name=NAME, question=ASKED, verdict=verdict_above(reading, LEAST), why=why,
        estimate=replace(reading, cost=meter.cost),
        charts=(Chart(title="Rate of the act in fresh transcripts", rows=_rows(known)),), details=details,
    )  # fmt: skip


def register(case: Case, fresh: Sequence[HeldOut]) -> list[float]:
    """Predicted rates, from what was measured before: with the cause, and with it taken away."""
    high, low = (_shrunk(rate) for rate in (case.rate(case.context), case.removed(case.edit)))
    return [high if one.holds else low for one in fresh]


def made(case: Case, *, n: int) -> tuple[HeldOut, ...]:
    """Transcripts with a third of the other parts replaced by filler, every second one without the cause."""
    rng = np.random.default_rng([case.seed, 5])
    cause = {p.id for p in case.cause.parts}
    others = [p for p in case.partition.leaves if p.id not in cause]
    found: list[HeldOut] = []
    for i in range(n):
        gone = [p for p in others if rng.random() < 1 / 3]
        gone += [] if i % 2 else list(case.edit)
        found.append(HeldOut(context=remove_parts(case.context, gone, Filler()), holds=bool(i % 2)))
    return tuple(found)


def _shrunk(rate: Rate) -> float:
    return (rate.tally.happened + 0.5) / (rate.tally.n + 1)


def _scores(foretold: Sequence[float], rates: Sequence[Rate]) -> tuple[Estimate, float, float]:
    """Share of the constant guess's Brier score that is explained, and both scores; clustered by transcript."""
    yes = np.array([r.tally.happened for r in rates], np.float64)
    n = np.array([r.tally.n for r in rates], np.float64)
    p = np.array(foretold)
    own = yes * (1 - p) ** 2 + (n - yes) * p**2

    def share(sums: FloatArray) -> FloatArray:
        errors, happened, tries = np.moveaxis(sums, -1, 0)
        rate = happened / tries
        constant = rate * (1 - rate)
        return np.where(constant > 1e-9, 1 - errors / tries / constant, np.nan)

    rate = yes.sum() / n.sum()
    estimate = from_sums(
        np.stack([own, yes, n], axis=1), share, clusters=np.arange(len(rates)), weights=cluster_weights(len(rates))
    )
    return estimate, float(own.sum() / n.sum()), float(rate * (1 - rate))


def _rows(known: Sequence[tuple[float, HeldOut, Rate]]) -> tuple[Row, ...]:
    rows: list[Row] = []
    for holds in (True, False):
        own = [(p, r) for p, one, r in known if one.holds is holds]
        if not own:
            continue
        total = own[0][1]
        for _, rate in own[1:]:
            total = total + rate
        said = "stands there" if holds else "does not"
        rows.append(
            Row(name=f"the cause {said}: foretold", reading=Reading(name="foretold", value=own[0][0], n=len(own)))
        )
        rows.append(Row(name=f"the cause {said}: seen", reading=total.reading("seen"), own=True))
    return tuple(rows)
