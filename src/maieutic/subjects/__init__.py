"""What is studied: models behind one small interface, read and intervened on at named sites.

What this room does not do: it knows no corpora, splits or runs. torch loads with the first subject, not here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from maieutic.subjects.base import Batch, Intervention, Modality, Site, Subject, TokenSpan, Unit, Values, raw
from maieutic.subjects.function import FunctionSubject, function_subject
from maieutic.subjects.reading import activation_maps, plan_batches, read_units, unit_columns
from maieutic.subjects.registry import PackagedSubject, fetch_all, load_subject, packaged_subjects

if TYPE_CHECKING:
    from maieutic.subjects.hooks import InterventionDidNothing
    from maieutic.subjects.language import LanguageSubject, TruncationWarning
    from maieutic.subjects.modules import TextModuleSubject, module_subject
    from maieutic.subjects.vision import ImageSubject, noise_images, scaled

#: names whose module imports torch
_LATE = {
    "ImageSubject": "vision",
    "InterventionDidNothing": "hooks",
    "LanguageSubject": "language",
    "TextModuleSubject": "modules",
    "TruncationWarning": "language",
    "module_subject": "modules",
    "noise_images": "vision",
    "scaled": "vision",
}

__all__ = [
    "Batch",
    "FunctionSubject",
    "ImageSubject",
    "Intervention",
    "InterventionDidNothing",
    "LanguageSubject",
    "Modality",
    "PackagedSubject",
    "Site",
    "Subject",
    "TextModuleSubject",
    "TokenSpan",
    "TruncationWarning",
    "Unit",
    "Values",
    "activation_maps",
    "fetch_all",
    "function_subject",
    "load_subject",
    "module_subject",
    "noise_images",
    "packaged_subjects",
    "plan_batches",
    "raw",
    "read_units",
    "scaled",
    "unit_columns",
]


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
