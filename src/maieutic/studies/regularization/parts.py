"""The parts of a model's measurement, each one function of (model, corpus, what is asked), as `measuring.PARTS` names them.

What this module does not do: measure itself; it calls what does, with the plan that the study's configuration names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from maieutic.errors import UsageError
from maieutic.studies.regularization.behaving import measure_behaviour
from maieutic.studies.regularization.documents import StudyCorpus
from maieutic.studies.regularization.editing.cases import known_facts
from maieutic.studies.regularization.editing.measure import measure_editing, measure_interference
from maieutic.studies.regularization.editing.plan import edit_plan
from maieutic.studies.regularization.facts import FactsCorpus
from maieutic.studies.regularization.facts_world import Fact
from maieutic.studies.regularization.measuring import Asked
from maieutic.studies.regularization.model import Gpt
from maieutic.studies.regularization.rows import Row


def interpretability(model: Gpt, corpus: StudyCorpus, asked: Asked) -> Sequence[Row]:
    """Interpretability and hiding; the plan may name some of the measures only: ``full:neurons,circuits``."""
    from maieutic.studies.regularization.interpreting.measure import PARTS, measure_interpretability
    from maieutic.studies.regularization.interpreting.plan import interpret_plan

    name, _, some = asked.plan.partition(":")
    parts = tuple(p.strip() for p in some.split(",")) if some else tuple(PARTS)
    return measure_interpretability(
        model, corpus, seed=asked.seed, plan=interpret_plan(name), common=_common(corpus, asked), parts=parts
    )


def explainer(model: Gpt, corpus: StudyCorpus, asked: Asked) -> Sequence[Row]:
    """A sample of units through an explainer of the user's choice, which is not told the arm: ``by-NAME.score`` and so on."""
    from maieutic.studies.regularization.editing.sites import frozen
    from maieutic.studies.regularization.interpreting.explained import Explaining, explained_rows
    from maieutic.studies.regularization.interpreting.material import read_material
    from maieutic.studies.regularization.interpreting.neurons import labelled_layers
    from maieutic.studies.regularization.interpreting.plan import interpret_plan

    wanted = asked.options
    plan = replace(interpret_plan("quick"), explained=wanted["units"])
    who = Explaining(explainer=wanted["name"], options=wanted["options"], measurements=wanted["measurements"])
    with frozen(model):
        material = read_material(model, corpus, seed=asked.seed, plan=plan)
        found = explained_rows(material, labelled_layers(material), explaining=who)
    return [_renamed(row, f"by-{wanted['name']}") for row in found]


def _renamed(row: Row, prefix: str) -> Row:
    name = f"{prefix}.{row.measure.partition('.')[2]}"
    return replace(row, measure=name, reading=replace(row.reading, name=name))


def behaviour(model: Gpt, corpus: StudyCorpus, asked: Asked) -> Sequence[Row]:
    """Knowledge and behaviour."""
    return measure_behaviour(model, corpus, seed=asked.seed)


def known(model: Gpt, corpus: StudyCorpus, asked: Asked) -> Sequence[int]:
    """Indices of the facts that the model knows, ascending."""
    return sorted(known_facts(model, _facts(corpus)))


def editing(model: Gpt, corpus: StudyCorpus, asked: Asked) -> Sequence[Row]:
    """Editability, on the facts that the compared models have in common.

    With the plan ``interference`` only what facts share before any edit.
    """
    facts = _facts(corpus)
    if asked.plan == "interference":
        return measure_interference(model, facts, plan=edit_plan("quick"), seed=asked.seed)
    plan = replace(edit_plan(asked.plan), forget=asked.forget)
    return measure_editing(model, facts, seed=asked.seed, plan=plan, common=_common(corpus, asked), gold=asked.gold)


def _common(corpus: StudyCorpus, asked: Asked) -> list[Fact] | None:
    """The facts that all compared models know."""
    if asked.common is None or not isinstance(corpus, FactsCorpus):
        return None
    indices = frozenset(asked.common)
    return [f for f in corpus.facts if f.index in indices]


def _facts(corpus: StudyCorpus) -> FactsCorpus:
    """The facts corpus.

    Raises:
        UsageError: the corpus has no facts.
    """
    if not isinstance(corpus, FactsCorpus):
        raise UsageError(f"the {corpus.name} corpus has no facts to edit: leave editing out of [measuring]")
    return corpus
