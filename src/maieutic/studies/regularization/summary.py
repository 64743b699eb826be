"""A study in plain words, one page: what was run, what each claim's answer is, which arm stands where, what to be careful of.

What this module does not do: anything that the figures do not carry; every sentence repeats a verdict or a number.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean

from maieutic.studies.regularization.arms import ARMS
from maieutic.studies.regularization.config import BASELINE
from maieutic.studies.regularization.headlines import PRIMARY, Headline, absent, compared_arms
from maieutic.studies.regularization.run import Study

WORDS = {"supported": "The data support it.", "against": "The data speak against it.",
         "undecided": "The data do not decide it."}  # fmt: skip


def summary_lines(study: Study) -> list[str]:
    """The page as lines of text."""
    return [*what_was_run(study), *claims(study), *arms_in_words(study), *cautions(study)]


def what_was_run(study: Study) -> Iterator[str]:
    """Models, seeds, and what failed."""
    c = study.config
    finished = [m for m in study.table.models if m.step is None]
    yield (
        f"{len(finished)} models of {len(c.arms)} kinds, {len(c.seeds)} seeds each, trained for {c.training.steps} steps on "
        f"the corpus '{c.corpus.name}'; {len(study.table.models) - len(finished)} checkpoints of {BASELINE.upper()} on its way."
    )
    if study.table.missing:
        yield f"{len(study.table.missing)} models or parts failed or are missing; each is listed with its reason."


def claims(study: Study) -> Iterator[str]:
    """Each claim with its answer and the first reasons."""
    for a in study.answers:
        yield f"{a.id} {a.verdict.upper()}: {a.claim} {WORDS[a.verdict]} {'; '.join(a.because[:3])}."


def arms_in_words(study: Study) -> Iterator[str]:
    """One line for each arm: its primary measures, and what is reliable of them beside GELU at equal tokens."""
    for arm in study.config.arms:
        values = [f"{h.title.lower()} {_mean(study, arm, h)}" for h in PRIMARY]
        yield f"{arm}, {ARMS[arm].what}: {', '.join(values)}{_beside(study, arm)}."


def _beside(study: Study, arm: str) -> str:
    if arm not in compared_arms(study.config):
        return ""
    found = [(h, c) for h in PRIMARY for c in study.findings.of(h, "tokens") if c.arm == arm]
    if not any(c.reading.measured for _, c in found):
        return f" (not compared: {absent(study.table, arm)})" if not study.table.of(arm) else " (not compared)"
    told = [f"{h.title.lower()} {c.verdict}" for h, c in found if c.verdict in ("better", "worse", "more", "less")]
    return f" ({'; '.join(told) or 'no reliable difference'} beside {BASELINE.upper()})"


def _mean(study: Study, arm: str, headline: Headline) -> str:
    values = [headline.of(m) for m in study.table.of(arm).values()]
    known = [v for v in values if v is not None]
    if not known:
        return "unmeasured"
    return f"{fmean(known):.3f}{'' if len(known) == len(values) else f' (of {len(known)} of {len(values)} seeds)'}"


def null_words(study: Study) -> str:
    """What the comparison of GELU with itself says of all the others."""
    f = study.findings
    if not f.null_ran:
        return f"The null was not run: there is no second group of {BASELINE.upper()} models (null_seeds)."
    if f.null_differs:
        names = ", ".join(c.measure for c in f.null_differs)
        return (
            f"THE NULL FAILED: two groups of {BASELINE.upper()} models that differ in nothing but seeds seem to differ in {names}. "
            "Differences of this size in these measures mean nothing here."
        )
    ran = sum(c.reading.measured for c in f.null)
    return f"The null holds: two groups of {BASELINE.upper()} models differ in none of {ran} headline measures."


def cautions(study: Study) -> Iterator[str]:
    """What to be careful of."""
    yield null_words(study)
    yield (
        f"With {len(study.config.seeds)} seeds only large differences are reliable: no difference seen is not the same as no "
        "difference. These are small models of a small corpus."
    )
