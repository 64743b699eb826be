"""Interpretability of one model, as rows of the study.

Rows have the same names in every arm of a plan; what a model does not have is unmeasured with its reason. Intervals are
bootstraps over units, labels or documents of this one model, so they say nothing about other seeds of training.

What this module does not do: compare models (`maieutic.studies.regularization.comparing`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from maieutic.errors import UsageError, did_you_mean
from maieutic.studies.regularization.documents import StudyCorpus
from maieutic.studies.regularization.editing.sites import frozen
from maieutic.studies.regularization.facts_world import Fact
from maieutic.studies.regularization.interpreting.bands import band_rows
from maieutic.studies.regularization.interpreting.circuits import circuit_rows
from maieutic.studies.regularization.interpreting.explained import explained_rows
from maieutic.studies.regularization.interpreting.hiding import hiding_rows
from maieutic.studies.regularization.interpreting.material import Material, read_material
from maieutic.studies.regularization.interpreting.neurons import labelled_layers, neuron_rows
from maieutic.studies.regularization.interpreting.plan import InterpretPlan, interpret_plan
from maieutic.studies.regularization.interpreting.predicates import Labelled
from maieutic.studies.regularization.interpreting.probing import location_rows
from maieutic.studies.regularization.model import Gpt
from maieutic.studies.regularization.rows import Row

Part = Callable[[Material, list[Labelled]], list[Row]]
#: what is measured, in order
PARTS: Mapping[str, Part] = {
    "neurons": neuron_rows,
    "bands": band_rows,
    "hiding": hiding_rows,
    "locations": lambda material, _labelled: location_rows(material),
    "circuits": lambda material, _labelled: circuit_rows(material),
    "explained": explained_rows,
}


def measure_interpretability(
    model: Gpt,
    corpus: StudyCorpus,
    *,
    seed: int,
    plan: InterpretPlan | None = None,
    common: Sequence[Fact] | None = None,
    parts: Sequence[str] = tuple(PARTS),
) -> list[Row]:
    """Measure how well a model can be interpreted.

    Args:
        model: of the study; as it was afterwards.
        corpus: that it was trained on.
        seed: of rotations, shuffles, samples and starts: the same for models that are compared.
        plan: how much; ``quick`` by default.
        common: facts that every compared model knows, for circuits; what this model itself knows by default.
        parts: some of ``PARTS``; all by default.

    Returns:
        Rows of every part, in the order of ``PARTS``.

    Raises:
        UsageError: no such part.
        UserError: the plan reads too few documents for the labels of the corpus.
    """
    for name in parts:
        if name not in PARTS:
            raise UsageError(f"no part {name!r}{did_you_mean(name, PARTS)}: choose from {', '.join(PARTS)}")
    facts = None if common is None else frozenset(f.index for f in common)
    with frozen(model):
        material = read_material(model, corpus, seed=seed, plan=plan or interpret_plan("quick"), facts=facts)
        labelled = labelled_layers(material)
        return [row for name, part in PARTS.items() if name in parts for row in part(material, labelled)]
