"""maieutic: automated interpretability whose labels are scored on held-out and causal evidence.

Importing this is cheap: torch and the rest load with the first call that needs them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maieutic.campaign import open_run
    from maieutic.errors import UserError
    from maieutic.explain import Explanation, explain
    from maieutic.harvest import Atlas, harvest
    from maieutic.lab import Budget, Lab
    from maieutic.readings import Cost, Reading
    from maieutic.report import write_report
    from maieutic.score import score
    from maieutic.stimuli import Corpus, Stimulus, load_corpus
    from maieutic.subjects import Subject, Unit, function_subject, load_subject, module_subject

__version__ = "0.1.0"

_HOMES = {
    "Atlas": "harvest",
    "Budget": "lab",
    "Corpus": "stimuli",
    "Cost": "readings",
    "Explanation": "explain",
    "Lab": "lab",
    "Reading": "readings",
    "Stimulus": "stimuli",
    "Subject": "subjects",
    "Unit": "subjects",
    "UserError": "errors",
    "explain": "explain",
    "function_subject": "subjects",
    "harvest": "harvest",
    "load_corpus": "stimuli",
    "load_subject": "subjects",
    "module_subject": "subjects",
    "open_run": "campaign",
    "score": "score",
    "write_report": "report",
}

__all__ = [
    "Atlas",
    "Budget",
    "Corpus",
    "Cost",
    "Explanation",
    "Lab",
    "Reading",
    "Stimulus",
    "Subject",
    "Unit",
    "UserError",
    "explain",
    "function_subject",
    "harvest",
    "load_corpus",
    "load_subject",
    "module_subject",
    "open_run",
    "score",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'maieutic' has no attribute {name!r}")
    return getattr(import_module(f"maieutic.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


class _Package(ModuleType):
    """Keeps ``mt.harvest``, ``mt.explain`` and ``mt.score`` the verbs, though rooms of the same names exist.

    Importing a room would otherwise put the module in the verb's place.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
