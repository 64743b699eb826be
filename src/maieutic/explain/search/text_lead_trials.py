"""Experiments on the leads of a graded unit: does the word fire again, and how much of its context does that take?

An exemplar's last 1, 2, 3 and 5 tokens are put into other texts; the shortest ending that keeps half of the
activation is what the unit responds to, as far as that exemplar goes. All leads are measured together, in two rounds,
so that a language model runs full batches. A lead that does not fire in a shortened text is dropped from the label; a
context that is not needed is dropped from the lead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from maieutic.explain.predicates.base import Predicate
from maieutic.explain.predicates.text import WordIn
from maieutic.explain.search.text_edits import Case, Editor, holds
from maieutic.explain.search.text_experiments import Ask, Trials, ask, foretold
from maieutic.explain.search.text_fit import Part
from maieutic.explain.search.text_leads import Lead
from maieutic.explain.search.text_setting import Setting
from maieutic.lab import Entry

_CASES, _EDITS = 2, 1
#: tokens of an exemplar's end that are tried in other texts
_ENDINGS = (1, 2, 3, 5)


@dataclass(frozen=True, slots=True)
class _Probe:
    """One measurement of the second round: which lead, which of its exemplars, and what was done."""

    lead: int
    base: Entry
    kind: str
    text: str
    ending: str = ""
    tokens: int = 0


def try_leads(
    setting: Setting, trials: Trials, found: Sequence[Lead], prediction: Predicate
) -> tuple[Trials, list[Lead]]:
    """Test the words that graded strengths rest on.

    Returns:
        The trials with the new evidence, and the leads that stand, as they stand. Cost: at most 8 measurements a lead.
    """
    editor = Editor(setting)
    shown = [(k, c) for k, lead in enumerate(found) for c in _cases(setting, editor, lead)][
        : max(setting.lab.remaining, 0)
    ]
    said = [f"responds to {found[k].text()}: does a shortened text keep the activation?" for k, _ in shown]
    looked = ask(setting, [(c.text, c.target, None) for _, c in shown], hypothesis=said, kind="look")
    firing = [(k, c, e) for (k, c), e in zip(shown, looked, strict=True) if e.scaled >= max(0.1, 0.4 * c.target)]
    probes = _probes(editor, found, firing)[: max(setting.lab.remaining, 0)]
    rows: list[Ask] = [(p.text, holds(setting, p.text, prediction), p.base.id) for p in probes]
    asked: list[Entry] = []
    for kind, question in (
        ("context", "is its context needed?"),
        ("paste", "how much of the text before it does it take?"),
    ):
        at = [i for i, p in enumerate(probes) if p.kind == kind]
        said = [f"responds to {found[probes[i].lead].text()}: {question}" for i in at]
        asked += ask(setting, [rows[i] for i in at], hypothesis=said, kind=kind)
    ordered = [p for kind in ("context", "paste") for p in probes if p.kind == kind]
    return _judged(trials, found, looked, firing, list(zip(ordered, asked, strict=True)))


def _cases(setting: Setting, editor: Editor, lead: Lead) -> list[Case]:
    column = np.zeros(len(setting.discover.target))
    column[list(lead.positions[:6])] = 1.0
    return editor.cases(column, _CASES)


def _probes(editor: Editor, found: Sequence[Lead], firing: Sequence[tuple[int, Case, Entry]]) -> list[_Probe]:
    out: list[_Probe] = []
    seen: set[int] = set()
    for k, case, entry in firing:
        lead = found[k]
        if lead.context is not None:
            word = WordIn(words=(lead.word,))
            itself = Part(word, np.zeros(0), False, "token")
            out += [_Probe(k, entry, "context", c.text) for c in editor.without(case, lead.context, [itself], _EDITS)]
        if k not in seen:
            seen.add(k)
            endings = {n: editor.ending(case, n) for n in _ENDINGS}
            out += [_Probe(k, entry, "paste", editor.elsewhere(e, case.token), e, n) for n, e in endings.items()]
    return out


def _judged(
    trials: Trials,
    found: Sequence[Lead],
    looked: Sequence[Entry],
    firing: Sequence[tuple[int, Case, Entry]],
    probed: Sequence[tuple[_Probe, Entry]],
) -> tuple[Trials, list[Lead]]:
    considered = list(trials.considered)
    stand: list[Lead] = []
    for k, lead in enumerate(found):
        label = f"responds to {lead.text()}"
        if not any(j == k for j, _, _ in firing):
            considered.append((label, "a shortened text does not keep the activation"))
            continue
        kept = _kept(probed, k, "context")
        if lead.context is not None and kept is not None and kept >= 0.6:
            considered.append((label, f"the context is not needed: without it {kept:.0%} remains"))
            lead = replace(lead, context=None)
        enough = [p for p, e in probed if p.lead == k and p.kind == "paste" and e.scaled >= 0.5 * p.base.scaled]
        if enough and enough[0].tokens > 1:
            considered.append((f'"{lead.word}" alone', "not enough: in another text the unit stays below half"))
            lead = replace(lead, phrase=enough[0].ending)
        elif enough:
            lead = replace(lead, context=None)
        stand.append(lead)
    entries = [*looked, *(e for _, e in probed)]
    outcomes = [foretold(e) for e in entries]
    return replace(
        trials,
        evidence=(*trials.evidence, *(e.id for e in entries)),
        considered=tuple(considered),
        passed=float(np.mean(outcomes)) if outcomes else trials.passed,
    ), stand


def _kept(probed: Sequence[tuple[_Probe, Entry]], k: int, kind: str) -> float | None:
    shares = [e.scaled / p.base.scaled for p, e in probed if p.lead == k and p.kind == kind]
    return float(np.median(shares)) if shares else None
