"""Unlearning: make a model forget some subjects, and compare it with a gold model that never saw their facts.

The gold model is trained anew from the same seed without a sentence that tells, or follows from, those facts
(`corpora.forgotten`). Forgetting well is answering as it does, which is not the same as answering wrong: TOFU (Maini et al. 2024)
compares distributions by a Kolmogorov-Smirnov test, here on P(true answer), beside the plain mean distance.

Four ways, each with the data that it needs and none that the gold model would give:

- ``none``: the model as it is (how far off doing nothing is);
- ``ascent``: gradient ascent on the answers to be forgotten, with answers to be retained in the loss, until the mean loss of
  the first is that of a guess among the relation's objects;
- ``uniform``: the same, towards the uniform distribution over the relation's objects;
- ``edit``: one MEMIT batch at the site chosen for edits, whose values are found for that uniform distribution.

What this module does not do: train gold models (`train` does), or look for what is left inside the model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from maieutic.readings import FloatArray
from maieutic.studies.regularization.asking import answers_of, ask, padded
from maieutic.studies.regularization.editing.cases import EDITED, part_of
from maieutic.studies.regularization.editing.evaluate import Drift, Text, drift_changed
from maieutic.studies.regularization.editing.fine_tune import scale, trainable
from maieutic.studies.regularization.editing.keys import Spread
from maieutic.studies.regularization.editing.memit import STIFFNESS, memit
from maieutic.studies.regularization.editing.sites import Site, down, patched
from maieutic.studies.regularization.editing.values import find_values
from maieutic.studies.regularization.facts import FactsCorpus, Prompt
from maieutic.studies.regularization.facts_world import Fact
from maieutic.studies.regularization.model import Gpt

Way = Literal["none", "ascent", "uniform", "edit"]
WAYS: tuple[Way, ...] = ("none", "ascent", "uniform", "edit")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetSettings:
    """How fine-tuning forgets; chosen on the dense model at seeds from 100 on.

    Attributes:
        steps: of Adam at most. rate: its learning rate, as a share of a matrix' root mean square.
        batch: prompts of either kind in a step. retain: weight of what is to be retained.
    """

    steps: int = 25
    rate: float = 0.002
    batch: int = 64
    retain: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be forgotten and what is not.

    Attributes:
        forget: facts. retain: facts that fine-tuning may use. tested: facts that must still be known; none of ``retain``.
        text: to measure drift on.
    """

    forget: tuple[Fact, ...]
    retain: tuple[Fact, ...]
    tested: tuple[Fact, ...]
    text: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What a model is like after unlearning.

    Attributes:
        distance: |P(true) - the gold model's P(true)|, mean over ways of asking, ``[fact to forget]``.
        recall: share of ways of asking in which the fact is still answered, ``[fact to forget]``; gold_recall: of the gold model.
        kolmogorov: largest distance between the distribution functions of P(true) in the two models.
        p: of that distance under the same distribution (two-sample test; facts' ways of asking taken as independent).
        retained: share of ways of asking in which a fact is still answered, ``[tested fact]``.
        drift: of text.
    """

    distance: FloatArray
    recall: FloatArray
    gold_recall: FloatArray
    kolmogorov: float
    p: float
    retained: FloatArray
    drift: Drift


def make_task(
    corpus: FactsCorpus, *, forget: AbstractSet[int], known: AbstractSet[int], text: Text, tested: int, seed: int
) -> Task:
    """The task for a set of facts to forget (indices): retained facts come from the subjects that are developed on.

    Args:
        known: indices of facts that the model knows; only such are retained or tested. tested: how many of them at most.
    """
    subjects = {corpus.facts[n].subject for n in forget}
    others = [f for f in corpus.facts if f.index in known and f.subject not in subjects]
    development = part_of(corpus, "development")
    kept = [f for f in others if f.subject not in development]
    return Task(
        forget=tuple(f for f in corpus.facts if f.index in forget),
        retain=tuple(f for f in others if f.subject in development),
        tested=tuple(Random(f"unlearn-{seed}").sample(kept, min(tested, len(kept)))),
        text=text,
    )


def unlearn(
    model: Gpt,
    corpus: FactsCorpus,
    task: Task,
    *,
    way: Way,
    site: Site,
    spread: Spread,
    seed: int,
    settings: ForgetSettings | None = None,
) -> dict[str, Tensor]:
    """New values of parameters by name, empty for ``none``. The model is put back. Inside `frozen`."""
    if way == "none":
        return {}
    if way == "edit":
        return _edited(model, corpus, task, site=site, spread=spread)
    return _tuned(model, corpus, task, way=way, seed=seed, settings=settings or ForgetSettings())


def _uniform(corpus: FactsCorpus, facts: Sequence[Fact], *, width: int) -> Tensor:
    """The uniform distribution over each fact's possible objects, ``[fact, token]``."""
    found = torch.zeros(len(facts), width)
    for n, fact in enumerate(facts):
        objects = torch.tensor(corpus.objects(fact.relation))
        found[n, objects] = 1.0 / len(objects)
    return found


def _edited(model: Gpt, corpus: FactsCorpus, task: Task, *, site: Site, spread: Spread) -> dict[str, Tensor]:
    asked = [[corpus.prompt(f, t) for t in EDITED] for f in task.forget]
    # the subject's other facts are to be forgotten too, so the facts that stay are others'
    kept = [[corpus.prompt(task.retain[n % len(task.retain)])] if task.retain else [] for n in range(len(asked))]
    owners = [f for f in task.forget for _ in EDITED]
    soft = _uniform(corpus, owners, width=model.config.vocabulary)
    values = find_values(model, asked, kept, site=site, soft=soft)
    weight = down(model, site.layer).weight
    return {f"{site.where}.weight": weight + memit(weight, values.keys, values.values, spread, stiffness=STIFFNESS)}


def _tuned(
    model: Gpt, corpus: FactsCorpus, task: Task, *, way: Way, seed: int, settings: ForgetSettings
) -> dict[str, Tensor]:
    rng = Random(f"forget-{seed}")
    asked = [(f, corpus.prompt(f, t)) for f in task.forget for t in EDITED]
    kept = corpus.prompts(task.retain, "seen")
    guess = sum(math.log(len(corpus.objects(f.relation))) for f in task.forget) / max(len(task.forget), 1)
    matrices = model.matrices()
    with trainable(model):
        optimiser = torch.optim.Adam(
            [{"params": [p], "lr": settings.rate * scale(p.detach())} for p in matrices.values()], betas=(0.9, 0.99)
        )
        masks = [p != 0 for p in matrices.values()]
        for _ in range(settings.steps):
            part = rng.sample(asked, min(settings.batch, len(asked)))
            stay = rng.sample(kept, min(settings.batch, len(kept)))
            logits = _logits(model, [p for _, p in part] + stay)
            told = F.cross_entropy(logits[: len(part)], answers_of([p for _, p in part]))
            if float(told.detach()) >= guess:
                break
            uniform = _uniform(corpus, [f for f, _ in part], width=model.config.vocabulary)
            away = -told if way == "ascent" else F.cross_entropy(logits[: len(part)], uniform)
            calm = F.cross_entropy(logits[len(part) :], answers_of(stay)) if stay else 0.0
            optimiser.zero_grad()
            (away + settings.retain * calm).backward()
            optimiser.step()
            with torch.no_grad():
                for parameter, mask in zip(matrices.values(), masks, strict=True):
                    parameter.mul_(mask)
        return {n: p.detach().clone() for n, p in matrices.items()}


def _logits(model: Gpt, prompts: Sequence[Prompt]) -> Tensor:
    ids, last = padded(prompts)
    return model(ids)[torch.arange(len(ids)), last]


def compare_with_gold(
    model: Gpt, corpus: FactsCorpus, task: Task, changes: Mapping[str, Tensor], *, gold: Gpt
) -> Forgotten:
    """What the model with those changes is like beside the gold model. Inside `frozen`, the gold model in evaluation mode."""
    from scipy.stats import ks_2samp

    forget, tested = corpus.prompts(task.forget), corpus.prompts(task.tested)
    with patched(model, changes):
        logits, retained = ask(model, forget), ask(model, tested)
    wanted = ask(gold, forget)
    answers = answers_of(forget)
    mine, golden = (x.softmax(dim=-1).gather(1, answers[:, None])[:, 0].double().numpy() for x in (logits, wanted))
    test: Any = ks_2samp(mine, golden)
    return Forgotten(
        distance=_per_fact(np.abs(mine - golden), len(task.forget)),
        recall=_per_fact((logits.argmax(dim=-1) == answers).double().numpy(), len(task.forget)),
        gold_recall=_per_fact((wanted.argmax(dim=-1) == answers).double().numpy(), len(task.forget)),
        kolmogorov=float(cast(float, test.statistic)),
        p=float(cast(float, test.pvalue)),
        retained=_per_fact((retained.argmax(dim=-1) == answers_of(tested)).double().numpy(), len(task.tested)),
        drift=drift_changed(model, changes, task.text),
    )


def _per_fact(values: FloatArray, facts: int) -> FloatArray:
    """Means over the ways of asking for each fact: every fact has as many, and they stand together."""
    return values.reshape(facts, -1).mean(axis=1) if facts else np.zeros(0)
