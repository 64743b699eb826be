"""The arms of the study: one regulariser each, with its strength, and the controls without which it says nothing.

An arm changes the model's architecture (activation, extra LayerNorm, start of the biases), the loss (L1 on activations,
dropout), or the weights after each step (proximal L1, magnitude pruning, weight-sparse training), and nothing else. Its
*strength* is the one number that its sweep changes. Sources and definitions: Elhage et al. 2022 (SoLU); Zhu & Gupta 2017
(pruning); Gao et al. 2025 (weight-sparse); Jermyn et al. 2022 (negative bias); Li et al. 2022 (why ReLU is a control).

What this module does not do: build models or train them. The numbers here were chosen on seeds from 100 on, which no
preset runs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Literal

from maieutic.errors import UsageError, did_you_mean

Activation = Literal["gelu", "relu", "topk", "solu"]
WeightRule = Literal["none", "l1", "pruning", "weight-sparse"]
#: the fields that may be an arm's strength
Strength = Literal[
    "l1_activations", "top_k_share", "temperature", "weight_l1", "sparsity", "keep", "bias_init", "dropout"
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How large a model is before its arm widens it.

    Attributes:
        layers, d_model, d_mlp, heads: of the transformer. context: tokens that it sees.
    """

    layers: int = 3
    d_model: int = 64
    d_mlp: int = 256
    heads: int = 4
    context: int = 32

    def __post_init__(self) -> None:
        numbers = asdict(self)
        if min(numbers.values()) < 1 or self.d_model % self.heads:
            raise UsageError(
                f"no model has the shape {numbers}: d_model is a multiple of heads, and all are at least 1"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What one group of models has that the others lack.

    Attributes:
        name: short stable name, as in files and on the command line.
        what: one line for people.
        activation: of the MLPs. mlp_norm: whether a LayerNorm follows it.
        temperature: of SoLU; 1 is the published one.
        top_k_share: share of an MLP's units that ``topk`` keeps, in (0, 1].
        l1_activations: coefficient of the L1 loss: mean over layers and tokens of the sum over units of the magnitude.
        weight_rule: what happens to the matrices of the blocks after each step.
        weight_l1: ``l1``: the soft threshold of a step is the learning rate times this.
        sparsity: ``pruning``: share of entries that are 0 in the end.
        keep: ``weight-sparse``: share of entries that are not 0 in the end.
        anneal: share of the steps after which ``pruning`` and ``weight-sparse`` have reached their end.
        width: factor on the model's and the MLPs' width and on the heads; with ``keep = 1 / width**2`` as many nonzero
            entries in each matrix as the dense model has.
        lr_factor: factor on the learning rate.
        bias_init: where the biases before the activation start. dropout: after attention and MLP.
        trained: whether it is trained at all.
        strength: the field that a sweep changes; ``None`` when there is none. strengths: its values, weakest first.
        control: whether it is a control and no treatment.
    """

    name: str
    what: str
    activation: Activation = "gelu"
    mlp_norm: bool = False
    temperature: float = 1.0
    top_k_share: float = 0.25
    l1_activations: float = 0.0
    weight_rule: WeightRule = "none"
    weight_l1: float = 0.0
    sparsity: float = 0.0
    keep: float = 1.0
    anneal: float = 0.5
    width: int = 1
    lr_factor: float = 1.0
    bias_init: float = 0.0
    dropout: float = 0.0
    trained: bool = True
    strength: Strength | None = None
    strengths: tuple[float, ...] = ()
    control: bool = False

    @property
    def value(self) -> float | None:
        """How strong it is; ``None`` for an arm without a strength."""
        return None if self.strength is None else float(getattr(self, self.strength))

    @property
    def label(self) -> str:
        """Name and strength: ``relu-l1@0.001``."""
        return self.name if self.value is None else f"{self.name}@{self.value:g}"

    def at(self, strength: float | None) -> Arm:
        """The same arm at another strength; ``None``: as it is.

        Raises:
            UsageError: it has no strength.
        """
        if strength is None:
            return self
        if self.strength is None:
            raise UsageError(f"the arm {self.name} has no strength: leave it out")
        return replace(self, **{self.strength: float(strength)})  # pyright: ignore[reportArgumentType]


def _table(*arms: Arm) -> dict[str, Arm]:
    assert len({a.name for a in arms}) == len(arms)
    return {a.name: a for a in arms}


#: every arm at its headline strength
ARMS: dict[str, Arm] = _table(
    Arm(name="gelu", what="dense GELU: what every arm is compared with", control=True),
    Arm(name="relu", what="ReLU: sparse without being asked, the control of every sparse arm", activation="relu",
        control=True),
    Arm(name="relu-l1", what="ReLU with an L1 loss on its activations", activation="relu", l1_activations=1e-3,
        strength="l1_activations", strengths=(3e-4, 1e-3, 3e-3)),
    Arm(name="topk", what="the largest activations of each token, the others 0", activation="topk", top_k_share=1 / 8,
        strength="top_k_share", strengths=(1 / 4, 1 / 8, 1 / 16)),
    Arm(name="solu", what="SoLU without a LayerNorm", activation="solu", strength="temperature",
        strengths=(2.0, 1.0, 0.5)),
    Arm(name="solu-ln", what="SoLU and a LayerNorm, as published", activation="solu", mlp_norm=True,
        strength="temperature", strengths=(2.0, 1.0, 0.5)),
    Arm(name="gelu-ln", what="GELU and a LayerNorm: what the LayerNorm does alone", mlp_norm=True, control=True),
    Arm(name="weight-l1", what="L1 on weights, as a proximal step", weight_rule="l1", weight_l1=0.15,
        strength="weight_l1", strengths=(0.05, 0.15, 0.4)),
    Arm(name="pruning", what="magnitude pruning along a cubic schedule", weight_rule="pruning", sparsity=0.75,
        anneal=0.7, strength="sparsity", strengths=(0.5, 0.75, 0.9)),
    Arm(name="weight-sparse", what="only the largest weights from step to step; wider, with as many nonzero weights as "
        "the dense model", weight_rule="weight-sparse", keep=0.25, width=2, anneal=0.7, lr_factor=2.0,
        strength="keep", strengths=(0.5, 0.25, 0.1)),
    Arm(name="bias-init", what="biases before the activation that start below 0", activation="relu", bias_init=-0.5,
        strength="bias_init", strengths=(-0.25, -0.5, -1.0)),
    Arm(name="dropout", what="dropout after attention and MLP", dropout=0.1, strength="dropout",
        strengths=(0.05, 0.1, 0.2)),
    Arm(name="untrained", what="GELU as it starts: what the measures find where nothing was learnt", trained=False,
        control=True),
)  # fmt: skip


def arm(name: str, strength: float | None = None) -> Arm:
    """The arm of that name, at a strength or at its headline one.

    Raises:
        UsageError: no such arm, or it has no strength.
    """
    if name not in ARMS:
        raise UsageError(f"no arm {name!r}{did_you_mean(name, ARMS)}: choose from {', '.join(ARMS)}")
    return ARMS[name].at(strength)
