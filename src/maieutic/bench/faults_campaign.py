"""The campaign that ``maieutic bench faults`` runs in a process of its own, and kills: agents on units that fire on one word.

    python -m maieutic.bench.faults_campaign FOLDER MODEL URL MODE FIRST LAST SEED

explains units FIRST to LAST (exclusive) of a planted subject in the run FOLDER, made when it is new. Anyone who runs it
again goes on where it was. The subject is easy on purpose: what is tried is the campaign, not the explainer.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from maieutic.campaign import RunPlan, create_run, explain_units
from maieutic.lab import Budget
from maieutic.stimuli import Corpus
from maieutic.stimuli.user import from_texts
from maieutic.subjects.planted import SITE, Planted, PlantedSubject, words

UNITS = 200
_WORDS_A_TEXT, _TEXTS = 12, 500


def vocabulary() -> list[str]:
    """Invented words, one for each unit: no model knows them, no dictionary relates them."""
    syllables = [c + v for c, v in itertools.product("bdfgklmnprstvz", "aeiou")]
    rng = np.random.default_rng(20)
    made = dict.fromkeys("".join(rng.choice(syllables, size=3)) for _ in range(2 * UNITS))
    return list(made)[:UNITS]


def material(seed: int) -> tuple[PlantedSubject, Corpus]:
    """The subject, whose unit ``i`` fires on word ``i``, and texts of those words."""
    known = vocabulary()
    rules = [Planted(name=w, kind="single", rule=words(w), about=f'the word "{w}"', involved=(w,)) for w in known]
    rng = np.random.default_rng([seed, 21])
    order = np.concatenate([rng.permutation(UNITS) for _ in range(_WORDS_A_TEXT * _TEXTS // UNITS)])
    texts = [" ".join(known[i] for i in row) for row in order.reshape(_TEXTS, _WORDS_A_TEXT)]
    return PlantedSubject(rules, modality="text", seed=seed), from_texts(texts, name="invented words")


def campaign(
    folder: Path, *, model: str, base_url: str, mode: str, first: int, last: int, seed: int, **options: Any
) -> Mapping[str, str]:
    """Explain some units; what failed, with why."""
    subject, corpus = material(seed)
    plan = RunPlan(subject="planted", corpus="invented", sites=(SITE,), nulls=0, seed=seed, units=(f"{SITE}/0",))
    with create_run(folder, plan, subject=subject, corpus=corpus) as run:
        failures = explain_units(
            run, [subject.unit(SITE, i) for i in range(first, last)], explainer="agent", nulls=False,
            budget=Budget(measurements=20),
            options={"model": model, "base_url": base_url, "mode": mode, "turns": 6, **options},
        )  # fmt: skip
    return {f.unit: f.reason for f in failures}


if __name__ == "__main__":
    os.environ.setdefault("INSPECT_CACHE_DIR", str(Path(sys.argv[1]) / "answers"))
    folder, model, url, mode, first, last, seed = sys.argv[1:]
    failed = campaign(
        Path(folder), model=model, base_url=url, mode=mode, first=int(first), last=int(last), seed=int(seed)
    )
    for unit, reason in failed.items():
        print(f"{unit}: {reason}")
