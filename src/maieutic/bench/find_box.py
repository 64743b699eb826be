"""Black boxes that map an input to an output, and what explains them: a program instead of a predicate.

A ``BlackBox`` takes strings to strings or numbers to numbers. An explainer of boxes is a callable ``BoxLab -> Program``: it may
call the box through its lab, within a budget, and gives back a callable with its description, or an abstention with its reason.
This is FIND's setting; explainers of activations (``maieutic.explain``) have nothing to say here and abstain.

What this module does not do: run foreign code (``find_sandbox`` does), or judge (``find`` does).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast

from maieutic import plugins
from maieutic.errors import BudgetExhaustedError
from maieutic.explain import explainers as explainers_of_activations

Kind = Literal["strings", "numeric"]
GROUP = "maieutic.box_explainers"


@dataclass(frozen=True, slots=True)
class Failed:
    """What a box gives for an input that it cannot take: the error in one line."""

    why: str


class BlackBox(Protocol):
    """Strings to strings, or floats to floats. ``call`` gives one output, or ``Failed``, for each input."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    def call(self, inputs: Sequence[Any], /) -> list[Any]: ...


@dataclass(frozen=True, kw_only=True)
class Program:
    """What an explainer says a box does.

    Attributes:
        label: in words.
        predict: one output for one input; may raise, which counts as no output. ``None`` when abstained.
        explainer: who says so.
        reason: why it abstained; ``None`` otherwise.
        confidence: 0 to 1.
        calls: inputs that were tried.
    """

    label: str
    predict: Callable[[Any], Any] | None
    explainer: str
    reason: str | None = None
    confidence: float = 0.5
    calls: int = 0

    @property
    def abstained(self) -> bool:
        return self.predict is None

    @classmethod
    def unexplained(cls, reason: str, *, explainer: str, calls: int = 0) -> Program:
        return cls(label="unexplained", predict=None, explainer=explainer, reason=reason, confidence=0.0, calls=calls)


@dataclass(kw_only=True)
class BoxLab:
    """Where an explainer questions one box; every call counts and is kept, in order.

    Attributes:
        budget: inputs that may be tried.
        seed: of everything random.
        tried: inputs with their outputs.
    """

    box: BlackBox
    budget: int = 300
    seed: int = 0
    tried: list[tuple[Any, Any]] = field(default_factory=list[tuple[Any, Any]])

    @property
    def remaining(self) -> int:
        return self.budget - len(self.tried)

    def call(self, inputs: Sequence[Any]) -> list[Any]:
        """Outputs of the box (``Failed`` where it raised).

        Raises:
            BudgetExhaustedError: more inputs than ``remaining``; nothing was tried.
        """
        if len(inputs) > self.remaining:
            raise BudgetExhaustedError(
                f"{len(inputs)} inputs asked, {self.remaining} left of {self.budget}: raise the budget"
            )
        outputs = self.box.call(list(inputs)) if inputs else []
        self.tried += zip(inputs, outputs, strict=True)
        return outputs


Explains = Callable[[BoxLab], Program]
_BUILT_IN: Mapping[str, str] = {
    "search": "maieutic.bench.find_search:search",
    "identity": "maieutic.bench.find_search:identity",
    "constant": "maieutic.bench.find_search:constant",
    "table": "maieutic.bench.find_search:table",
}


def explain_box(lab: BoxLab, explainer: str | Explains = "search") -> Program:
    """Explain a box.

    Args:
        lab: the box with its budget.
        explainer: ``search``, ``identity``, ``constant``, ``table``, a plug-in of the entry-point group
            ``maieutic.box_explainers``, or a callable. Explainers of activations are known by name and abstain.

    Raises:
        UsageError: no explainer of that name.
    """
    return (_resolved(explainer) if isinstance(explainer, str) else explainer)(lab)


def _resolved(name: str) -> Explains:
    found = plugins.find(name, _BUILT_IN, GROUP)
    if found is not None:
        return cast(Explains, found)
    if name in explainers_of_activations():
        return lambda lab: Program.unexplained("explains activations, not programs", explainer=name)
    raise plugins.unknown("explainer", name, sorted({*plugins.names(_BUILT_IN, GROUP), *explainers_of_activations()}))
