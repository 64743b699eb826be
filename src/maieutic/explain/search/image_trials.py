"""Experiments on one unit: paste, remove, hide, strip of colour, change the background; predict, then measure.

For each concept a rule leans on:

- *sufficient?* stamps of the concept on neutral backgrounds against near misses (its siblings) on the same backgrounds;
- *necessary?* strong scenes with the thing taken out, and the same thing on other backgrounds;
- *by what?* strong scenes with the thing as a silhouette, in grey, or with its upper or lower half hidden.

An effect is the share of the unit's excess over rest that is kept, ``sum(edited - rest) / sum(original - rest)``, with
a 90 % interval from resampled scenes. A concept is refuted only when pasting *and* removing it both do next to nothing:
some things cannot be tested by cut-outs, and then nothing is concluded. Nothing here chooses the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.predicates.base import Predicate
from maieutic.explain.predicates.image import plural
from maieutic.explain.search.image_edits import BRIEF, MAIN, REMOVE, Edit
from maieutic.explain.search.image_rules import Rule, Target
from maieutic.explain.search.image_stage import Stage
from maieutic.explain.search.image_table import ImageTable
from maieutic.explain.search.image_words import clause_worth, concepts_in
from maieutic.explain.views_image import KINDS, ImageViewer
from maieutic.lab.lab import Lab, Question
from maieutic.lab.ledger import Entry
from maieutic.stimuli.base import Stimulus

Floats = NDArray[np.float64]
_SCENES = 6
_STAMPS = 8
_RESAMPLES = 400
#: a kept share or a difference smaller than this is "next to nothing" on the unit's 0-1 scale
_LITTLE = 0.10
#: an image below this share of full scale has nothing to lose to an edit
_WEAK = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one group of experiments showed.

    Attributes:
        kind: ``paste``, ``remove``, ``background``, ``silhouette``, ``grey``, ``upper hidden``, ``lower hidden``.
        subject: what it is about, in words.
        concepts: the concepts questioned.
        effect, low, high: kept share, or for ``paste`` the difference on the 0-1 scale, with its 90 % interval; for
            ``part`` what the part reaches alone, as a share of the whole thing.
        n: scenes or stamps behind it.
        sentence: the result in words.
        supports: whether it came out as the rule says; ``None`` when the rule says nothing about it.
        refutes: the concept is a bystander (set on the combined verdict only).
        broader: the wider kind that the experiment asks to try instead.
        evidence: ledger ids.
    """

    kind: str
    subject: str
    concepts: tuple[str, ...]
    effect: float
    low: float
    high: float
    n: int
    sentence: str
    supports: bool | None = None
    refutes: bool = False
    broader: str = ""
    evidence: tuple[str, ...] = ()


@dataclass(kw_only=True)
class _Bench:
    """What the trials of one unit share: the lab, the rule's predictions, the stage, and what may still be spent."""

    lab: Lab
    viewer: ImageViewer
    predicate: Predicate
    stage: Stage
    left: int
    findings: list[Finding] = field(default_factory=list[Finding])

    def measure(
        self, stimuli: Sequence[Stimulus], kind: str, hypothesis: str, pairs: Sequence[Entry] = ()
    ) -> list[Entry]:
        """Predict, then measure; nothing when the allowance does not cover all of them."""
        if not stimuli or len(stimuli) > min(self.left, self.lab.remaining):
            return []
        self.left -= len(stimuli)
        questions = [
            Question(
                stimulus=s,
                hypothesis=hypothesis,
                kind=kind,
                expect=float(self.predicate.evaluate(self.viewer(s))[0]),
                pair=pairs[i].id if pairs else None,
            )
            for i, s in enumerate(stimuli)
        ]
        return self.lab.measure(questions)

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.lab.seed)


def run_trials(
    lab: Lab, table: ImageTable, target: Target, rule: Rule, viewer: ImageViewer, *, limit: int
) -> list[Finding]:
    """Question the (at most two) concepts the rule leans on most, or its visual features when it names no concept.

    Args:
        limit: measurements allowed; about 110 are wanted. With fewer the later experiments are left out.
    """
    bench = _Bench(
        lab=lab, viewer=viewer, predicate=rule.predicate, stage=Stage(table, target.y, seed=lab.seed), left=limit
    )
    foci = [c for c in leading_concepts(rule, target) if bench.stage.studio is None or bench.stage.stamps(c)]
    for i, concept in enumerate(foci[:2]):
        scenes = _strong_scenes(bench.stage, table, target, concept, _SCENES if i == 0 else _SCENES // 2)
        pasted = _paste(bench, concept, _STAMPS if i == 0 else _STAMPS // 2)
        removed = _strip(bench, concept, scenes, main=i == 0)
        if i == 0 and pasted:
            _part_alone(bench, concept, pasted)
        if pasted and removed and pasted.high < _LITTLE * 2 and pasted.low <= 0.02 and removed.low > 0.75:
            bench.findings.append(_verdict(concept, pasted, removed))
    if not bench.findings:
        _strip(bench, None, _strong_scenes(bench.stage, table, target, None, _SCENES), main=True)
    return bench.findings


def leading_concepts(rule: Rule, target: Target) -> list[str]:
    """The concepts that bring most of the rule's lift on strong images, strongest first."""
    total: dict[str, float] = {}
    for clause, worth in zip(rule.clauses, clause_worth(rule, target.levels).tolist(), strict=True):
        for concept in concepts_in(clause.predicate)[:1]:
            total[concept] = total.get(concept, 0.0) + worth
    return [c for c in sorted(total, key=lambda c: (-total[c], c)) if total[c] >= 0.1 and c not in KINDS]


def _strong_scenes(stage: Stage, table: ImageTable, target: Target, concept: str | None, n: int) -> list[Stimulus]:
    """The strongest images that show the concept and can be edited, one a group before a second of any.

    When there are not two scenes to edit, whole photos stand in: they can be greyed and half hidden.
    """
    order = np.argsort(-target.y, kind="stable")
    first: list[Stimulus] = []
    again: list[Stimulus] = []
    whole: list[Stimulus] = []
    seen: set[int] = set()
    for i in order[: max(len(order) // 4, 20)].tolist():
        view, group = table.views[i], int(table.groups[i])
        if target.y[i] < _WEAK or (concept and view.shares is not None and not view.share(concept)):
            continue
        if stage.can_edit(table.stimuli[i], concept):
            (again if group in seen else first).append(table.stimuli[i])
            seen.add(group)
        elif stage.can_edit_whole(table.stimuli[i]):
            whole.append(table.stimuli[i])
    found = [*first, *again]
    return (found if len(found) > 1 else [*found, *whole])[:n]


def _paste(bench: _Bench, concept: str, n: int) -> Finding | None:
    """Sufficiency: stamps of the concept against near misses on the same neutral backgrounds."""
    shown, missed = bench.stage.paste(concept, n), bench.stage.near_misses(concept, n)
    if len(shown) < 2 or len(missed) < 2:
        return None
    what = plural(concept)
    yes = bench.measure(shown, "paste", f"{what} alone drive the unit")
    no = bench.measure(missed, "near miss", f"things that are like {what} but are not do not")
    if not yes or not no:
        return None
    a, b = np.array([e.scaled for e in yes]), np.array([e.scaled for e in no])
    rng = bench.rng
    boot = [float(rng.choice(a, len(a)).mean() - rng.choice(b, len(b)).mean()) for _ in range(_RESAMPLES)]
    low, high = (float(q) for q in np.quantile(boot, (0.05, 0.95)))
    effect = float(a.mean() - b.mean())
    sentence = (
        f"{what} pasted on neutral backgrounds: {a.mean():.2f} of full scale, near misses on the same: {b.mean():.2f} "
        f"(difference {effect:+.2f} [{low:+.2f}, {high:+.2f}], {len(a)} and {len(b)} images)"
    )
    finding = Finding(
        kind="paste", subject=what, concepts=(concept,), effect=effect, low=low, high=high, n=len(a), sentence=sentence,
        supports=low > 0, evidence=tuple(e.id for e in (*yes, *no)),
    )  # fmt: skip
    bench.findings.append(finding)
    if effect < 0.3 * float(a.mean()) + 0.02:
        _widened(bench, concept, float(a.mean()), missed, no)
    return finding


def _widened(bench: _Bench, concept: str, level: float, missed: Sequence[Stimulus], entries: Sequence[Entry]) -> None:
    """Near misses as strong as the concept itself: name the narrowest kind that takes them in."""
    chains = [t.concepts for s in bench.stage.paste(concept, 3) for t in s.things if concept in t.concepts]
    above = next((c[c.index(concept) + 1 :] for c in chains), ())
    wider = None
    for kind in above:
        inside = [e for s, e in zip(missed, entries, strict=True) if any(kind in t.concepts for t in s.things)]
        if len(inside) < 3:
            continue
        if level < _WEAK or float(np.mean([e.scaled for e in inside])) < 0.7 * level:
            break
        wider = kind, inside
    if wider is None:
        return
    kind, inside = wider
    value = float(np.mean([e.scaled for e in inside]))
    bench.findings.append(
        Finding(
            kind="widen", subject=plural(concept), concepts=(concept,), effect=value, low=value, high=value,
            n=len(inside), broader=kind,
            sentence=f"too narrow: other {plural(kind)} reach {value:.2f} of full scale, {plural(concept)} {level:.2f}",
            evidence=tuple(e.id for e in inside),
        )
    )  # fmt: skip


def _part_alone(bench: _Bench, concept: str, pasted: Finding) -> None:
    """Whether a part that the concept is named after drives the unit alone (wheels, for wheeled vehicles)."""
    part = bench.stage.parts_named(concept)
    entries = bench.measure(bench.stage.paste(part, 3), "paste", f"{plural(part)} alone drive the unit") if part else []
    if part is None or len(entries) < 2 or pasted.effect <= 0:
        return
    alone = float(np.mean([e.scaled for e in entries]))
    whole = float(np.mean([bench.lab.ledger[i].scaled for i in pasted.evidence[: pasted.n]]))
    share = alone / max(whole, 1e-9)
    bench.findings.append(
        Finding(
            kind="part", subject=plural(part), concepts=(part,), effect=share, low=share, high=share, n=len(entries),
            sentence=f"{plural(part)} alone reach {alone:.2f} of full scale, {plural(concept)} {whole:.2f}",
            evidence=tuple(e.id for e in entries),
        )
    )  # fmt: skip


def _strip(bench: _Bench, concept: str | None, scenes: Sequence[Stimulus], *, main: bool) -> Finding | None:
    """Necessity and means: what is kept of strong scenes after each edit. Returns the finding on removal."""
    if len(scenes) < 2:
        return None
    what = plural(concept) if concept else "the scene"
    originals = bench.measure(scenes, "look", f"strong scenes with {what}")
    if not originals:
        return None
    removed: Finding | None = None
    edits = MAIN if main else BRIEF
    for edit in edits:
        made = [bench.stage.edit(s, edit, concept, number=k) for k, s in enumerate(scenes)]
        usable = [(m, o) for m, o in zip(made, originals, strict=True) if m is not None]
        entries = bench.measure(
            [m for m, _ in usable], edit.kind, edit.hypothesis.format(what=what), [o for _, o in usable]
        )
        if len(entries) < 2:
            continue
        finding = _kept(bench, edit, concept, what, [o for _, o in usable], entries)
        bench.findings.append(finding)
        if edit is REMOVE:
            removed = finding
    if concept is not None:
        _halves(bench, what)
    return removed


def _kept(
    bench: _Bench, edit: Edit, concept: str | None, what: str, before: Sequence[Entry], after: Sequence[Entry]
) -> Finding:
    """The kept share of an edit with its interval, and what it means for the label."""
    rest = bench.lab.scale[0]
    full, now = (np.array([e.value - rest for e in entries]) for entries in (before, after))
    rng = bench.rng
    draws = rng.integers(len(full), size=(_RESAMPLES, len(full)))
    boot = now[draws].sum(axis=1) / np.maximum(full[draws].sum(axis=1), 1e-9)
    effect = float(now.sum() / max(float(full.sum()), 1e-9))
    low, high = (float(q) for q in np.quantile(boot, (0.05, 0.95)))
    done = edit.done.format(what=what)
    sentence = f"{done} keeps {effect:.0%} [{low:.0%}, {high:.0%}] of the activation ({len(full)} strong images)"
    foreseen = [float(np.mean([e.expect or 0.0 for e in entries])) for entries in (before, after)]
    expected = foreseen[1] / max(foreseen[0], 1e-9)
    supports = None if not edit.predicted else bool((effect < 0.6) == (expected < 0.6))
    return Finding(
        kind=edit.kind, subject=what, concepts=(concept,) if concept else (), effect=effect, low=low, high=high,
        n=len(full), sentence=sentence, supports=supports,
        evidence=tuple(e.id for e in after),
    )  # fmt: skip


def _halves(bench: _Bench, what: str) -> None:
    """Compare hiding the upper with hiding the lower half: which half carries the unit."""
    halves = {f.kind: f for f in bench.findings if f.subject == what and f.kind in ("upper hidden", "lower hidden")}
    if len(halves) < 2:
        return
    upper, lower = halves["upper hidden"], halves["lower hidden"]
    gap = lower.effect - upper.effect
    if abs(gap) < 0.3 or min(upper.effect, lower.effect) > 0.6:
        return
    needed, spare = ("upper", lower) if gap > 0 else ("lower", upper)
    bench.findings.append(
        Finding(
            kind="half", subject=what, concepts=upper.concepts, effect=gap, low=gap, high=gap, n=upper.n,
            sentence=f"the {needed} half of {what} carries the unit: without the other half {spare.effect:.0%} is kept",
            evidence=(*upper.evidence, *lower.evidence),
        )
    )  # fmt: skip


def _verdict(concept: str, pasted: Finding, removed: Finding) -> Finding:
    """A bystander: it neither drives the unit alone nor is missed when it is gone."""
    return Finding(
        kind="verdict", subject=plural(concept), concepts=(concept,), effect=pasted.effect, low=pasted.low,
        high=pasted.high, n=pasted.n + removed.n, refutes=True, supports=False,
        sentence=f"bystander: pasting adds {pasted.effect:+.2f}, removing leaves {removed.effect:.0%}; clause dropped",
        evidence=(*pasted.evidence, *removed.evidence),
    )  # fmt: skip
