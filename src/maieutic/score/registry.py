"""Scorers by name, and ``score``: the one call that runs some of them on an explanation.

A scorer is a callable from a ``Request`` to named readings. Built-in ones are imported when first asked for; others
come from the entry-point group ``maieutic.scorers`` (``name = "package.module:callable"``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, cast

from maieutic import plugins
from maieutic.errors import StoreError, UsageError
from maieutic.explain.explanation import Explanation
from maieutic.explain.registry import explain, viewer_of
from maieutic.harvest import Atlas, harvest
from maieutic.lab import Lab
from maieutic.readings import Reading
from maieutic.score.controls import Controls, without_controls
from maieutic.score.loading import loadable, one_line
from maieutic.score.shared import Shared
from maieutic.stimuli.base import Corpus
from maieutic.subjects.base import Subject, Unit

GROUP = "maieutic.scorers"
BUILT_IN: Mapping[str, str] = {
    "predictive": "maieutic.score.predictive:predictive_scorer",
    "generative": "maieutic.score.generative:generative_scorer",
    "discrimination": "maieutic.score.discrimination:discrimination_scorer",
    "interventional": "maieutic.score.interventional:interventional_scorer",
    "detection": "maieutic.score.judged.detection:detection",
    "fuzzing": "maieutic.score.judged.fuzzing:fuzzing",
    "simulation": "maieutic.score.judged.simulation:simulation",
    "embedding": "maieutic.score.judged.embedding:embedding",
    "delphi-detection": "maieutic.score.judged.delphi:delphi_detection",
    "delphi-fuzzing": "maieutic.score.judged.delphi:delphi_fuzzing",
}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a scorer is given.

    Attributes:
        found: the explanation, bound to a viewer.
        subject, unit, corpus: what it is about; scorers read the test split (thresholds: discover; choices: select).
        atlas: a harvest of that corpus, when there is one; saves measuring it again.
        controls: what the run provides to stand beside the score.
        seed: of everything random.
        shared: what the units of a run have in common, worked out once.
        options: of scorers that have some (``judge`` ...).
    """

    found: Explanation
    subject: Subject
    unit: Unit
    corpus: Corpus
    atlas: Atlas | None = None
    controls: Controls = field(default_factory=Controls)
    seed: int = 0
    shared: Shared = field(default_factory=Shared)
    options: Mapping[str, Any] = field(default_factory=dict)


class Scorer(Protocol):
    """Request -> readings, whose names begin with the scorer's own.

    A scorer with options names them in an attribute ``options`` and may have a ``check(**options)``, which raises a
    ``UserError`` before anything is measured.
    """

    def __call__(self, request: Request, /) -> Mapping[str, Reading]: ...


def scorer_names() -> tuple[str, ...]:
    """Every scorer there is, sorted."""
    return plugins.names(BUILT_IN, GROUP)


def load_scorer(name: str) -> Scorer:
    """The scorer of that name; ``UsageError`` with the known names otherwise."""
    found = plugins.find(name, BUILT_IN, GROUP)
    if found is None:
        raise plugins.unknown("scorer", name, scorer_names())
    return cast(Scorer, found)


def check_scorers(names: Sequence[str], options: Mapping[str, Any] | None = None) -> None:
    """Whether these scorers could start with these options, before anything is measured.

    Raises:
        UsageError: an unknown scorer, or an option that none of them has.
        UserError: what is missing (a judge, a package), with what to do about it.
    """
    given = {k: v for k, v in (options or {}).items() if v is not None}
    scorers = {name: load_scorer(name) for name in names}
    known = {name: tuple[str, ...](getattr(s, "options", ())) for name, s in scorers.items()}
    other = next((o for o in given if not any(o in has for has in known.values())), None)
    if other is not None:
        has = ", ".join(sorted({o for names in known.values() for o in names})) or "none"
        raise UsageError(f"no scorer of {', '.join(names)} has the option {other!r}: they have {has}")
    for name, scorer in scorers.items():
        check = getattr(scorer, "check", None)
        if check is not None:
            check(**{k: v for k, v in given.items() if k in known[name]})


def score(
    found: Explanation,
    subject: Subject,
    unit: Unit,
    corpus: Corpus,
    scorers: Sequence[str] = ("predictive",),
    *,
    atlas: Atlas | None = None,
    controls: Controls | None = None,
    seed: int = 0,
    shared: Shared | None = None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Reading]:
    """Test an explanation on evidence that no explainer has seen.

    Args:
        found: the explanation; bound to a viewer of the subject and corpus if it is not bound yet.
        subject: the model.
        unit: which of its units.
        corpus: its test split is scored.
        scorers: names; see ``scorer_names``.
        atlas: a harvest of the corpus; without one the corpus is harvested now (one forward pass).
        controls: what a run provides (``maieutic.score.controls``); what it lacks is ``unmeasured``. Without any, the
            constant and the one-shot label (made here from the discover split) stand beside the score.
        seed: of resampling and subsampling.
        shared: a memory to share between the units of a run.
        options: of scorers that have some: ``judge`` (``provider/model`` or a backbone) and ``base_url`` of judged ones.

    Returns:
        Readings by name: for ``predictive`` the headline, ``predictive.pearson`` and the other columns, and for each
        control ``predictive.control.<name>`` and ``predictive.beats.<name>``; likewise for the other scorers. What
        cannot be measured (the subject gives NaN, the label raises, a scorer of a plug-in fails) is unmeasured with its
        reason; stimuli that fail to load are left out and counted.

    Raises:
        UsageError: unknown scorer or option, no judge, or a corpus of another modality than the subject.
    """
    check_scorers(scorers, options)  # all names are checked before anything is measured
    chosen = [load_scorer(name) for name in scorers]
    if corpus.modality != subject.modality:
        what = f"{subject.name} reads {subject.modality}, the corpus {corpus.name} is {corpus.modality}"
        raise UsageError(f"{what}: give a corpus of the subject's modality")
    viewer = found.viewer or viewer_of(subject, corpus)
    if controls is None:
        atlas, controls = _own_controls(subject, unit, corpus, atlas)
    request = Request(
        found=found.bound(viewer), subject=subject, unit=unit, corpus=corpus, atlas=atlas,
        controls=controls.bound(viewer), seed=seed, shared=shared or Shared(), options=dict(options or {}),
    )  # fmt: skip
    readings: dict[str, Reading] = {}
    for name, scorer in zip(scorers, chosen, strict=True):
        readings |= _scored(name, scorer, request)
    return readings


def _scored(name: str, scorer: Scorer, request: Request) -> Mapping[str, Reading]:
    """The scorer's readings; one that raises leaves its headline and controls unmeasured, and the run goes on."""
    try:
        return scorer(request)
    except StoreError:
        raise
    except Exception as error:  # scorers and subjects may be anyone's: what they raise is the reason
        why = f"the scorer failed: {one_line(error)}"
        return {name: Reading.unmeasured(name, why)} | without_controls(name, why)


def _own_controls(subject: Subject, unit: Unit, corpus: Corpus, atlas: Atlas | None) -> tuple[Atlas | None, Controls]:
    """A harvest, and from it the one-shot label; without a harvest, why there is none."""
    try:
        atlas = atlas or _harvested(subject, unit, corpus)
        return atlas, Controls(one_shot=explain(Lab(subject, unit, atlas), "lookup"))
    except Exception as error:
        return atlas, Controls(missing={"one_shot": f"the one-shot label could not be made: {one_line(error)}"})


def _harvested(subject: Subject, unit: Unit, corpus: Corpus) -> Atlas:
    try:
        return harvest(subject, corpus, [unit.site], keep=[unit])
    except Exception:
        kept, failed = loadable(corpus.stimuli)
        if not failed:
            raise
        return harvest(subject, replace(corpus, stimuli=kept), [unit.site], keep=[unit])
