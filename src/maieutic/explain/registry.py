"""The table of explainers, and the one call that runs any of them.

Plug-ins register under the entry-point group ``maieutic.explainers``: a callable ``Lab -> Explanation``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import entry_points
from typing import Protocol, cast

from maieutic import plugins
from maieutic.errors import UsageError
from maieutic.explain.explanation import Explanation, Viewer
from maieutic.lab import Budget, Lab
from maieutic.stimuli.base import Corpus
from maieutic.subjects.base import Subject


class Explainer(Protocol):
    """Anything that turns a Lab into an Explanation."""

    def __call__(self, lab: Lab, /) -> Explanation: ...


def _search(lab: Lab) -> Explanation:
    if lab.subject.modality == "text":
        from maieutic.explain.search.text import explain_text

        return explain_text(lab)
    from maieutic.explain.search.image import explain_image

    return explain_image(lab)


def _search_without_experiments(lab: Lab) -> Explanation:
    if lab.subject.modality == "text":
        from maieutic.explain.search.text import explain_text

        return explain_text(lab, experiments=False)
    from maieutic.explain.search.image import explain_image

    return explain_image(lab, experiments=False)


def _lookup(lab: Lab) -> Explanation:
    if lab.subject.modality == "text":
        from maieutic.explain.lookup_text import lookup_text

        return lookup_text(lab)
    from maieutic.explain.lookup_image import lookup_image

    return lookup_image(lab)


def _token_table(lab: Lab) -> Explanation:
    if lab.subject.modality != "text":
        raise UsageError("token-table explains text units: choose another explainer for images")
    from maieutic.explain.lookup_text import lookup_text

    return lookup_text(lab, most=0, name="token-table")


_BUILT_IN: Mapping[str, tuple[Callable[[Lab], Explanation], str]] = {
    "search": (_search, "hypotheses from exemplars over the whole range, tested by experiments; no LLM"),
    "search-no-experiments": (_search_without_experiments, "the same search with the experiments switched off"),
    "token-table": (_token_table, "every token with its mean activation: no label, a bound for token identity"),
    "lookup": (_lookup, "one shot: what the top exemplars share (the baseline and control)"),
}


def explainers() -> dict[str, str]:
    """Names of all explainers with one line each."""
    plugged = {e.name: f"plug-in {e.value}" for e in entry_points(group="maieutic.explainers")}
    return {**{name: what for name, (_, what) in _BUILT_IN.items()}, **plugged}


def explain(lab: Lab, explainer: str | Explainer = "search", *, budget: Budget | None = None) -> Explanation:
    """Explain the lab's unit.

    Args:
        lab: the unit with its atlas; its ledger receives the experiments.
        explainer: a name from ``explainers()``, or a callable.
        budget: replaces the lab's budget.

    Returns:
        The explanation, able to ``predict``. A unit that nothing explains comes back abstained, with the reason.

    Raises:
        UsageError: no explainer of that name.
    """
    if budget is not None:
        lab.budget = budget
    found = _resolve(explainer)(lab) if isinstance(explainer, str) else explainer(lab)
    return replace(found, viewer=found.viewer or viewer_of(lab.subject, lab.corpus))


def _resolve(name: str) -> Explainer:
    if name in _BUILT_IN:
        return _BUILT_IN[name][0]
    plugged = plugins.find(name, {}, "maieutic.explainers")
    if plugged is None:
        raise plugins.unknown("explainer", name, tuple(explainers()))
    return cast(Explainer, plugged)


def viewer_of(subject: Subject, corpus: Corpus | None = None) -> Viewer:
    """What turns a subject's stimuli into the views that predicates read. Views are cached inside it: share it."""
    if subject.modality == "text":
        from maieutic.explain.views_text import TextViewer

        return TextViewer(subject)
    from maieutic.explain.views_image import ImageViewer

    return ImageViewer(subject, corpus)
