"""Explainers: a Lab goes in, an Explanation (label, predicate, evidence, confidence, or an abstention) comes out."""

from maieutic.explain.explanation import Explanation, Viewer
from maieutic.explain.registry import Explainer, explain, explainers, viewer_of

__all__ = ["Explainer", "Explanation", "Viewer", "explain", "explainers", "viewer_of"]
