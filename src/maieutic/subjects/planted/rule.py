"""Rule: what a planted unit computes, in exact arithmetic. Noise, and what it is planted in, are not its business."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Truth = NDArray[np.float64]


class Rule(ABC):
    """What a planted unit computes: truth in [0, 1] at every position, without noise."""

    @abstractmethod
    def truth(self, view: Any) -> Truth:
        """``[position]``; ``view`` is the ``TextView`` of texts, or the ``Seen`` of an image (one position)."""


@dataclass(frozen=True)
class Nothing(Rule):
    """Never fires (a dead unit; also the truth of pure noise)."""

    def truth(self, view: Any) -> Truth:
        return np.zeros(len(view) if hasattr(view, "__len__") else 1)
