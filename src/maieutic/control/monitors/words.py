"""A black-box monitor without a language model: logistic regression on the words of the transcript and of the act.

A word counts once however often it stands there; words of the act are features of their own, pairs of neighbouring words
too. It is small, offline and easily fooled: other words for the same thing are unknown to it. That is what it is for:
the baseline that a monitor ought to beat.

What this module does not do: look at activations, or understand order beyond pairs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from maieutic.control.monitors.base import SUSPICION, MonitorKind, Unseen, failed, text_of
from maieutic.control.monitors.linear import FOLDS, Linear, choose
from maieutic.control.monitors.saving import read_about, read_arrays, write_monitor
from maieutic.control.seen import Case, Seen, Transcript
from maieutic.errors import UserError
from maieutic.forensics.actor_render import message_text
from maieutic.readings import FloatArray, Reading

_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, kw_only=True)
class WordsMonitor:
    """Words to suspicion.

    Attributes:
        name: for people.
        vocabulary: features, in the order of the weights.
        model: the classifier.
        unseen: whether pictures may be ignored.
        about: how it was fitted.
    """

    name: str
    vocabulary: tuple[str, ...] = field(repr=False)
    model: Linear = field(repr=False)
    unseen: Unseen = "refuse"
    about: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)

    def __call__(self, seen: Sequence[Seen], /) -> list[Reading]:
        """See `Monitor`. Cost: no forward pass."""
        return [self._one(one) for one in seen]

    def _one(self, seen: Seen) -> Reading:
        shown = text_of(seen, unseen=self.unseen)
        if isinstance(shown, str):
            return failed(shown)
        found = features(shown)
        x = np.array([[float(word in found) for word in self.vocabulary]])
        parts = self.model.parts(x)[0]
        top = [i for i in np.argsort(-np.abs(parts), kind="stable")[:8].tolist() if x[0, i]]
        known = sum(word in found for word in self.vocabulary)
        details: dict[str, Any] = {
            "words": [[self.vocabulary[i], round(float(parts[i]), 3)] for i in top],
            "known": known,
        }
        return Reading(name=SUSPICION, value=float(self.model.probabilities(x)[0]), n=1, details=details)

    def save(self, folder: Path) -> None:
        """See `Saved`."""
        about = {"name": self.name, "unseen": self.unseen, "vocabulary": list(self.vocabulary), **self.about}
        write_monitor(folder, "words", about, self.model.arrays())

    @classmethod
    def load(cls, folder: Path) -> WordsMonitor:
        """Read one; `UserError` where there is none."""
        about = read_about(folder)
        known = ("maieutic_monitor", "kind", "name", "unseen", "vocabulary")
        return cls(
            name=about["name"], vocabulary=tuple(about["vocabulary"]), unseen=about["unseen"],
            model=Linear.of_arrays(read_arrays(folder)), about={k: v for k, v in about.items() if k not in known},
        )  # fmt: skip


def features(transcript: Transcript) -> set[str]:
    """Words and pairs of a transcript; those of the act begin with ``act:``."""
    found: set[str] = set()
    for message in transcript.messages:
        found |= _grams(message_text(message))
    if transcript.act is not None:
        found |= {f"act:{gram}" for gram in _grams(message_text(transcript.act))}
    return found


def _grams(text: str) -> set[str]:
    words = [w.lower() for w in _WORD.findall(text)]
    return {*words, *(f"{a} {b}" for a, b in zip(words, words[1:], strict=False))}


def fit_words(
    cases: Sequence[Case],
    *,
    name: str = "words",
    at_most: int = 2000,
    in_cases: int = 2,
    unseen: Unseen = "refuse",
    folds: int = FOLDS,
    seed: int = 0,
) -> WordsMonitor:
    """Fit on the text of cases.

    Args:
        cases: transcripts with the truth.
        name: for people.
        at_most: features: those that stand in most cases.
        in_cases: a feature must stand in so many.
        unseen: ``ignore`` to judge transcripts with pictures by their text alone.
        folds: parts of the scenarios, among which the penalty is chosen.
        seed: of the parts.

    Raises:
        UserError: too few cases, or one that is no transcript.
    """
    shown: list[Transcript] = []
    for case in cases:
        text = text_of(case.seen, unseen=unseen)
        if isinstance(text, str):
            raise UserError(
                f"the case {case.seen.id} cannot be fitted on ({text}): leave it out, or give  -o unseen=ignore"
            )
        shown.append(text)
    found = [features(t) for t in shown]
    counts = Counter(word for words in found for word in words)
    ranked = sorted((w for w, c in counts.items() if in_cases <= c < len(found)), key=lambda w: (-counts[w], w))
    vocabulary = tuple(sorted(ranked[:at_most]))
    if not vocabulary:
        raise UserError("no word stands in two cases and not in all: give more cases")
    x: FloatArray = np.array([[float(w in words) for w in vocabulary] for words in found])
    attack = np.array([c.attack for c in cases], np.bool_)
    chosen = choose({"words": x}, attack, [c.scenario for c in cases], folds=folds, seed=seed)
    about = {
        "cases": len(cases), "attacks": int(attack.sum()), "penalty": chosen.penalty,
        "folds_auroc": round(chosen.auroc["words"], 4),
    }  # fmt: skip
    return WordsMonitor(name=name, vocabulary=vocabulary, model=chosen.model, unseen=unseen, about=about)


#: what the registry knows
KIND = MonitorKind(fit=fit_words, load=WordsMonitor.load)
