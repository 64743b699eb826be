"""Explainers: a Lab goes in, an Explanation (label, predicate, evidence, confidence, or an abstention) comes out."""

from maieutic.explain.explanation import Explanation, Viewer
from maieutic.explain.registry import (
    Explainer,
    check_explainer,
    explain,
    explainers,
    material,
    most_of,
    options_of,
    viewer_of,
)

__all__ = [
    "Explainer",
    "Explanation",
    "Viewer",
    "check_explainer",
    "explain",
    "explainers",
    "material",
    "most_of",
    "options_of",
    "viewer_of",
]
