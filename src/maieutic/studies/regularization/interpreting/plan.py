"""How much of interpretability is measured in one model.

What this module does not do: measure (`measure`).
"""

from __future__ import annotations

from dataclasses import dataclass

from maieutic.errors import UsageError, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpretPlan:
    """What is measured in one model.

    Attributes:
        name: ``quick`` or ``full``.
        documents: labelled documents that activations are read on; all three splits together.
        sae_layers: layers, first ones first, on whose activations a sparse autoencoder is trained; sae_steps: of 256 tokens.
        probed: labels that probes look for. probe_tokens: of the discover split that probes learn from.
        cut: documents on which the loss is measured with small activations cut.
        asked: questions behind each circuit. orders: random orders beside the ranking.
        explained: units of each layer that go through the project's own explainer. explained_documents: of all splits.
        directions: random directions of each layer that go the same way. measurements: budget of each.
    """

    name: str
    documents: int
    sae_layers: int
    sae_steps: int
    probed: int
    probe_tokens: int
    cut: int
    asked: int
    orders: int
    explained: int
    explained_documents: int
    directions: int
    measurements: int


PLANS = {
    "quick": InterpretPlan(
        name="quick", documents=450, sae_layers=1, sae_steps=50, probed=16, probe_tokens=3000, cut=64, asked=48, orders=1,
        explained=1, explained_documents=100, directions=1, measurements=10,
    ),
    "full": InterpretPlan(
        name="full", documents=900, sae_layers=1, sae_steps=120, probed=24, probe_tokens=6000, cut=128, asked=96, orders=2,
        explained=2, explained_documents=200, directions=1, measurements=30,
    ),
}  # fmt: skip


def interpret_plan(name: str) -> InterpretPlan:
    """The plan of a preset.

    Raises:
        UsageError: no such plan.
    """
    if name not in PLANS:
        raise UsageError(f"no plan of measures {name!r}{did_you_mean(name, PLANS)}: choose from {', '.join(PLANS)}")
    return PLANS[name]
