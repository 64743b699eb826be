"""The table of explainers, and the one call that runs any of them.

Plug-ins register under the entry-point group ``maieutic.explainers``: a callable ``Lab -> Explanation`` whose keyword
arguments are its options. One that has a ``check`` attribute is asked before a campaign whether its options will do; its
``immaterial`` attribute names options that do not change what it finds; ``most`` tells what a unit may cost at most.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import entry_points
from inspect import Parameter, signature
from typing import Any, Protocol, cast

from maieutic import plugins
from maieutic.errors import UsageError, did_you_mean
from maieutic.explain.explanation import Explanation, Viewer
from maieutic.lab import Budget, Lab
from maieutic.stimuli.base import Corpus
from maieutic.subjects.base import Subject

_GROUP = "maieutic.explainers"


class Explainer(Protocol):
    """Anything that turns a Lab into an Explanation; keyword arguments are its options."""

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


def _agent(lab: Lab, **options: Any) -> Explanation:
    from maieutic.explain.agent import explain_with_agent

    return explain_with_agent(lab, **options)


def _one_shot(lab: Lab, **options: Any) -> Explanation:
    from maieutic.explain.one_shot import explain_one_shot

    return explain_one_shot(lab, **options)


_BUILT_IN: Mapping[str, tuple[Callable[..., Explanation], str]] = {
    "search": (_search, "hypotheses from exemplars over the whole range, tested by experiments; no LLM"),
    "search-no-experiments": (_search_without_experiments, "the same search with the experiments switched off"),
    "token-table": (_token_table, "every token with its mean activation: no label, a bound for token identity"),
    "lookup": (_lookup, "one shot: what the top exemplars share (the baseline and control)"),
    "one-shot": (_one_shot, "exemplars into a language model once, as delphi does; needs --model"),
    "agent": (_agent, "a (V)LM that designs experiments, as programs in a jail or step by step; needs --model"),
}
#: where the real function of a built-in explainer with options stands: its signature and its ``check``
_WITH_OPTIONS: Mapping[str, str] = {
    "agent": "maieutic.explain.agent:explain_with_agent",
    "one-shot": "maieutic.explain.one_shot:explain_one_shot",
}


def explainers() -> dict[str, str]:
    """Names of all explainers with one line each."""
    plugged = {e.name: f"plug-in {e.value}" for e in entry_points(group=_GROUP)}
    return {**{name: what for name, (_, what) in _BUILT_IN.items()}, **plugged}


def explain(
    lab: Lab, explainer: str | Explainer = "search", *, budget: Budget | None = None, **options: Any
) -> Explanation:
    """Explain the lab's unit.

    Args:
        lab: the unit with its atlas; its ledger receives the experiments.
        explainer: a name from ``explainers()``, or a callable.
        budget: replaces the lab's budget.
        options: of the explainer (``agent``: see ``maieutic.explain.agent.explain_with_agent``).

    Returns:
        The explanation, able to ``predict``. A unit that nothing explains comes back abstained, with the reason.

    Raises:
        UsageError: no explainer of that name, or an option that it does not have.
    """
    if budget is not None:
        lab.budget = budget
    run: Callable[..., Explanation] = _resolve(explainer) if isinstance(explainer, str) else explainer
    _has(explainer, options)
    found = run(lab, **options)
    return replace(found, viewer=found.viewer or viewer_of(lab.subject, lab.corpus))


def _has(explainer: str | Explainer, options: Mapping[str, Any]) -> None:
    known = options_of(explainer) if options else ()
    other = next((o for o in options if o not in known), None)
    if other is not None:
        has = f"it has {', '.join(known)}" if known else "it has none"
        raise UsageError(f"{explainer} has no option {other!r}{did_you_mean(other, known)}: {has}")


def options_of(explainer: str | Explainer) -> tuple[str, ...]:
    """Names of an explainer's options."""
    kinds = (Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    parameters = list(signature(_real(explainer)).parameters.values())[1:]
    return tuple(p.name for p in parameters if p.kind in kinds)


def material(explainer: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that an explanation depends on: those given, without a server's address and the like."""
    immaterial: tuple[str, ...] = getattr(_real(explainer), "immaterial", ())
    return {k: v for k, v in options.items() if v is not None and k not in immaterial}


def check_explainer(explainer: str, **options: Any) -> None:
    """Whether an explainer could start with these options, before any unit is touched.

    Raises:
        UserError: an option that it does not have, or what is missing (a model, a package, a jail).
    """
    _has(explainer, options)
    check = getattr(_real(explainer), "check", None)
    if check is not None:
        check(**options)


def most_of(explainer: str, options: Mapping[str, Any]) -> tuple[int, float | None] | None:
    """Language-model tokens and dollars that one unit may cost at most with these options.

    Zero for explainers that ask no model (none of their options is called ``model``); dollars are ``None`` where the
    model has no price in the user's table; ``None`` where the explainer does not say.
    """
    tell = getattr(_real(explainer), "most", None)
    if tell is not None:
        return tell(**options)
    return None if "model" in options_of(explainer) else (0, 0.0)


def _real(explainer: str | Explainer) -> Callable[..., Any]:
    if not isinstance(explainer, str):
        return explainer
    # looking through installed packages for plug-ins takes longer than all else a driver does for a unit
    found = plugins.find(explainer, _WITH_OPTIONS, "") if explainer in _WITH_OPTIONS else None
    return found or _resolve(explainer)


def _resolve(name: str) -> Explainer:
    if name in _BUILT_IN:
        return _BUILT_IN[name][0]
    plugged = plugins.find(name, {}, _GROUP)
    if plugged is None:
        raise plugins.unknown("explainer", name, tuple(explainers()))
    return cast(Explainer, plugged)


def viewer_of(subject: Subject, corpus: Corpus | None = None) -> Viewer:
    """What turns a subject's stimuli into the views that predicates read. Views are cached inside it: share it."""
    if subject.modality == "text":
        from maieutic.explain.viewer_text import text_viewer

        return text_viewer(subject)
    from maieutic.explain.views_image import ImageViewer, shared_viewer

    return ImageViewer(subject) if corpus is None else shared_viewer(subject, corpus)
