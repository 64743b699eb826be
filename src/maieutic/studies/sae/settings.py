"""How an SAE is trained: one frozen record, which a checkpoint is checked against.

Symbols of Gao et al. 2024 ("Scaling and evaluating sparse autoencoders") stand in brackets. What this module does not do: anything.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from maieutic.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """Settings of the trainer.

    Attributes:
        latents: how many (n). k: of them active at a position (k).
        tokens: distinct positions of the discover split that are read at most.
        steps: of the optimiser; ``None``: as many as pass over the tokens ``epochs`` times.
        epochs: passes over the tokens where ``steps`` is not given.
        batch: positions of a step.
        lr: of Adam at full height; ``None``: 4e-4 x sqrt(2^14 / latents), twice the rule of Gao et al. (app. A.3), for few steps.
        warmup, decay: shares of the steps in which the rate rises to, and falls from, its full height.
        aux: weight of the loss that revives dead latents (alpha, 1/32). aux_k: dead latents of a position that may help
            (k_aux); ``None``: the power of two next to half the width of the site.
        dead_after: positions without being active after which a latent counts as dead.
        centre: where the decoder's bias begins: at the geometric median of activations (Gao et al., app. A.1) or at their mean.
        clip: largest norm of a gradient.
        seed: of the order of texts, of the batches and of the first weights.
        chunk: positions in memory at once, in whole texts; batches mix positions of a chunk.
        cache: bytes of activations kept on disk while training; what does not fit is read from the model again.
        save_every: steps between checkpoints.
        precision: ``bf16`` encodes in bfloat16 (for accelerators; slower on most CPUs).
    """

    latents: int = 2048
    k: int = 32
    tokens: int = 400_000
    steps: int | None = None
    epochs: float = 4.0
    batch: int = 1024
    lr: float | None = None
    warmup: float = 0.05
    decay: float = 0.2
    aux: float = 1 / 32
    aux_k: int | None = None
    dead_after: int = 100_000
    centre: Literal["median", "mean"] = "median"
    clip: float = 1.0
    seed: int = 0
    chunk: int = 65_536
    cache: int = 4 << 30
    save_every: int = 200
    precision: Literal["float32", "bf16"] = "float32"

    def __post_init__(self) -> None:
        for name in ("latents", "k", "tokens", "batch", "chunk", "dead_after", "save_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name.replace('_', ' ')} is {getattr(self, name)}: give 1 or more")
        if self.k >= self.latents:
            raise UsageError(
                f"{self.k} of {self.latents} latents active is not sparse: give a smaller k or more latents"
            )
        if self.steps is not None and self.steps < 1:
            raise UsageError(f"steps is {self.steps}: give 1 or more")
        if self.batch > self.chunk:
            raise UsageError(f"a batch of {self.batch} does not fit into a chunk of {self.chunk}: give a smaller batch")

    @property
    def rate(self) -> float:
        """The learning rate at full height."""
        return self.lr if self.lr is not None else 4e-4 * (2**14 / self.latents) ** 0.5

    def dead_k(self, hidden: int) -> int:
        """k_aux for a site of that width."""
        return self.aux_k if self.aux_k is not None else 1 << max(round(hidden / 2).bit_length() - 1, 0)

    def height(self, step: int, steps: int) -> float:
        """Share of the full learning rate at a step: a line up, level, a line down to 0."""
        up, down = max(round(self.warmup * steps), 1), max(round(self.decay * steps), 1)
        return min((step + 1) / up, 1.0, (steps - step) / down)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
