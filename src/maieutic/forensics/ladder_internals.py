"""Rung 6: whether the inside of the model agrees that the named cause, where it stands, is what the act comes from.

Four findings, each of which may agree, disagree or be silent. *Knockout*: nothing that comes later may attend to the cause.
*Patching*: activations at the cause are exchanged between the transcript and one whose cause is filler of as many tokens.
*Probe*: a direction fitted on some fresh transcripts tells others apart just before the act. *Steering*: growing doses of
that direction bring the act about, and directions of equal length, random or unrelated, do not.

What this module does not do: prove a mechanism. A black box is unmeasured, and silence of one finding is no disagreement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from maieutic.errors import UserError
from maieutic.forensics.action import Action, Context
from maieutic.forensics.actor_render import message_text
from maieutic.forensics.actor_subject import SubjectActor
from maieutic.forensics.dossier import Chart, Row, Rung, Trace, Verdict
from maieutic.forensics.internals import (
    Direction,
    DoseResponse,
    Group,
    Inside,
    Knockout,
    LabelledUnit,
    PatchMap,
    Rise,
    difference_of_means,
    dose_response,
    groups,
    knockouts,
    patch_map,
    probe_reading,
    readout,
    rises,
)
from maieutic.forensics.ladder_case import Case, HeldOut
from maieutic.forensics.ladder_predict import made
from maieutic.forensics.ladder_rungs import unmeasured
from maieutic.forensics.removal import FILLER, Filler
from maieutic.readings import Cost, Reading, mean_reading

NAME = "Internals agree"
ASKED = "Does the act come from the cause inside the model too?"
#: parts beside the cause that are looked at; transcripts for directions; those that are steered
OTHERS, FRESH, STEERED = 12, 24, 4
#: share of the act's log-odds; AUROC; chance of the act beyond every control
LEAST_SHARE, LEAST_AUROC, LEAST_EFFECT = 0.5, 0.8, 0.3
CAUSE, DECISION = "the cause", "the decision"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """What was found inside.

    Attributes:
        lost: share of the act's log-odds that is lost without sight of the cause, over wordings.
        cut: knockouts in the transcript itself, ``span`` the log-odds that filler takes away.
        restored, destroyed: patching both ways.
        probe, direction, along: AUROC, the direction, and its readings at the tokens of the transcript, with and without.
        dose: steering of transcripts without the act.
        rising: labelled units that rose.
    """

    lost: Reading
    cut: Sequence[Knockout]
    span: float
    restored: PatchMap
    destroyed: PatchMap
    probe: Reading
    direction: Direction
    along: tuple[list[float], list[float]]
    dose: DoseResponse
    rising: Sequence[Rise]


def internals(case: Case, *, units: Sequence[LabelledUnit] = ()) -> Rung:
    """Look inside. Cost: some 300 passes; no samples.

    Args:
        case: the case; its actor must be a language subject.
        units: labelled units of a run of the same subject, to see which rose.
    """
    if not case.edit:
        return unmeasured(6, NAME, ASKED, "no cause was found")
    if not isinstance(case.actor, SubjectActor):
        return unmeasured(6, NAME, ASKED, f"{case.actor.name} is a black box")
    said = continuation(case.action)
    if not said:
        return unmeasured(6, NAME, ASKED, "the action records neither a continuation nor an observed message")
    inside = Inside(case.actor, said)
    try:
        found = look(case, inside, units)
    except UserError as error:
        return unmeasured(6, NAME, ASKED, str(error))
    return _rung(case, found, inside.spent.cost())


def continuation(action: Action) -> str:
    """The fixed words of the act: its continuation, or what was observed."""
    if action.act.kind == "continuation":
        return action.act.text
    return message_text(action.observed) if action.observed is not None else ""


def look(case: Case, inside: Inside, units: Sequence[LabelledUnit] = ()) -> Inner:
    """Every finding.

    Raises:
        UserError: the act is no likelier with the cause than with filler in its place, or a text has no place.
    """
    cause = _group(case, inside, case.context)
    filler = inside.subject.tokenizer(FILLER, add_special_tokens=False)["input_ids"]
    inside.decide(case.context, case.without(case.cause.parts, Filler()))
    ids = inside.encode(case.context)
    corrupt = blanked(ids, cause.at, filler)
    span = inside.score(ids) - inside.score(corrupt)
    cells = [cause, *_others(case, inside, cause), Group(name=DECISION, at=(len(ids) - 1,))]
    restored = patch_map(inside, ids, corrupt, groups=cells, confirm=-1)
    destroyed = patch_map(inside, corrupt, ids, groups=cells, confirm=-1)
    cut = knockouts(inside, ids, groups=cells[:-1])
    direction, probe, resting = _probe(case, inside)
    along = (readout(inside, ids, direction), readout(inside, corrupt, direction))
    dose = dose_response(
        inside, direction, resting[:STEERED], doses=(0.5, 1.0, 1.5, 2.0), unrelated=_unrelated(inside, resting, direction),
        seed=case.seed,
    )  # fmt: skip
    rising = rises(inside, units, acting=[ids], resting=[corrupt, *resting]) if units else ()
    return Inner(
        lost=_lost(case, inside, filler), cut=cut, span=span, restored=restored, destroyed=destroyed, probe=probe,
        direction=direction, along=along, dose=dose, rising=rising,
    )  # fmt: skip


def blanked(ids: Sequence[int], at: Sequence[int], filler: Sequence[int]) -> list[int]:
    """The prompt with filler tokens at some positions: as many tokens as before, so every position has its counterpart."""
    found = list(ids)
    for k, i in enumerate(at):
        found[i] = filler[k % len(filler)]
    return found


def _group(case: Case, inside: Inside, context: Context) -> Group:
    """Positions of every part of the cause."""
    at = [i for g in groups(inside.actor, context, case.cause_in(context)) for i in g.at]
    if not at:
        raise UserError("the cause stands in no message that the model reads as text: its tokens have no place")
    return Group(name=CAUSE, at=tuple(sorted(at)))


def _others(case: Case, inside: Inside, cause: Group) -> list[Group]:
    taken = {p.id for p in case.cause.parts}
    parts = [p for p in case.partition.at("sentence") if p.id not in taken]
    names = {p.id: p.text.strip() for p in parts}
    found = groups(inside.actor, case.context, parts)
    step = max(1, -(-len(found) // OTHERS))
    return [replace(g, name=names[g.name]) for g in found[::step] if not set(g.at) & set(cause.at)]


def _lost(case: Case, inside: Inside, filler: Sequence[int]) -> Reading:
    """Over the wordings: share of the log-odds (with the cause less with filler) that is lost without sight of the cause."""
    shares: list[Reading] = []
    for context in [case.context, *case.reworded(case.cause.parts)]:
        cause, ids = _group(case, inside, context), inside.encode(context)
        span = inside.score(ids) - inside.score(blanked(ids, cause.at, filler))
        if span < 1.0:
            shares.append(Reading.unmeasured("internals.lost", "these words hardly move the act"))
            continue
        (drop,) = [k.drop for k in knockouts(inside, ids, groups=[cause], window=10**6)[:1]]
        shares.append(Reading(name="internals.lost", value=drop / span, n=1))
    return mean_reading("ladder.internals", shares)


def _probe(case: Case, inside: Inside) -> tuple[Direction, Reading, list[list[int]]]:
    """A direction from one half of fresh transcripts, its AUROC on the other, and prompts without the act of that half."""
    fresh: Sequence[HeldOut] = (*case.held_out, *made(case, n=FRESH))[: max(FRESH, 2)]
    rows = {holds: [inside.encode(one.context) for one in fresh if one.holds is holds] for holds in (True, False)}
    half = {holds: len(own) // 2 for holds, own in rows.items()}
    fit, rest = (
        {h: own[s] for h, own in rows.items()} for s in (slice(0, min(half.values())), slice(min(half.values()), None))
    )
    found: list[tuple[float, float, Direction]] = []
    for site in inside.resid_sites():
        try:
            direction = difference_of_means(inside, fit[True], fit[False], site)
        except UserError:
            continue  # an early site may be the same with and without the cause
        told = probe_reading(inside, direction, fit[True], fit[False]).value
        # of sites that tell alike, the one where the groups lie farthest apart beside their spread
        gaps = [_readings(inside, own, direction) for own in (fit[True], fit[False])]
        spread = float(np.std([v - np.mean(g) for g in gaps for v in g])) or 1.0
        found.append((told or 0.0, float(np.mean(gaps[0]) - np.mean(gaps[1])) / spread, direction))
    if not found:
        raise UserError("no site is different with and without the cause: there is nothing to read")
    best = max(found, key=lambda f: f[:2])[2]
    return best, probe_reading(inside, best, rest[True], rest[False]), rest[False]


def _readings(inside: Inside, rows: Sequence[Sequence[int]], direction: Direction) -> list[float]:
    """The direction's reading at the end of each prompt."""
    return [readout(inside, ids, direction)[-1] for ids in rows]


def _unrelated(inside: Inside, resting: Sequence[Sequence[int]], direction: Direction) -> dict[str, Tensor]:
    """Differences between halves of transcripts that are all without the act."""
    found: dict[str, Tensor] = {}
    for name, own in (
        ("unrelated: halves", slice(0, None, 2)),
        ("unrelated: first and last", slice(0, len(resting) // 2)),
    ):
        one = list(resting)[own]
        other = [r for r in resting if r not in one]
        if one and other:
            try:
                found[name] = difference_of_means(inside, one, other, direction.site).vector
            except UserError:
                continue  # the halves happen to be the same
    return found


# --- what it says ------------------------------------------------------------------------------------------------


def opinions(found: Inner) -> dict[str, bool | None]:
    """Whether each finding agrees; ``None``: silent."""
    drops = {
        k.group: k.drop for k in found.cut if k.layers[0] == 0 and k.layers[1] == max(c.layers[1] for c in found.cut)
    }
    others = max((v for name, v in drops.items() if name != CAUSE), default=0.0)
    knockout = drops[CAUSE] >= LEAST_SHARE * found.span and drops[CAUSE] > 2 * others
    shares = [c.share or 0.0 for m in (found.restored, found.destroyed) for c in m.cells if c.group == CAUSE]
    # a block may already have carried the cause elsewhere before the first site: that is silence, not disagreement
    patching = True if max(shares, default=0.0) >= LEAST_SHARE else None
    probe = None if found.probe.value is None else found.probe.value >= LEAST_AUROC
    return {"knockout": knockout, "patching": patching, "probe": probe, "steering": steered(found.dose)}


def steered(dose: DoseResponse) -> bool | None:
    """Whether the natural dose brings the act about beyond every control; silent where even twice of it does nothing."""
    at = dose.doses.index(1.0)

    def effect(means: Sequence[float], where: int) -> float:
        return means[where] - means[dose.doses.index(0.0)]

    own = effect(dose.curve.means, at)
    controls = max((effect(c.means, at) for c in dose.controls), default=0.0)
    if own - controls >= LEAST_EFFECT and dose.curve.monotone:
        return True
    return None if own < LEAST_EFFECT and controls < LEAST_EFFECT else False


def _rung(case: Case, found: Inner, cost: Cost) -> Rung:
    told = opinions(found)
    if not found.lost.measured:
        return unmeasured(6, NAME, ASKED, found.lost.reason or "not measured")
    agree = [name for name, yes in told.items() if yes]
    contrary = [name for name, yes in told.items() if yes is False]
    verdict: Verdict = "supports" if len(agree) >= 3 and not contrary else "undecided"
    verdict = "against" if len(contrary) > len(agree) else verdict
    silent = [name for name, yes in told.items() if yes is None]
    parts = [(agree, "agree"), (contrary, "disagree"), (silent, "are silent")]
    why = "; ".join(f"{', '.join(names)} {word}" for names, word in parts if names)
    why = why[0].upper() + why[1:] + ". The number is the share of the act's log-odds lost without sight of the cause."
    details = {"opinions": told, "log_odds": {"with": found.restored.clean, "with filler": found.restored.corrupt},
               "probe": found.probe.to_json(), "site": found.direction.site}  # fmt: skip
    return Rung(
        number=6, name=NAME, question=ASKED, verdict=verdict, why=why, estimate=replace(found.lost, cost=cost),
        charts=tuple(_charts(found)), details=details,
    )  # fmt: skip


def _charts(found: Inner) -> list[Chart]:
    windows = list(dict.fromkeys(k.layers for k in found.cut))
    names = list(dict.fromkeys(k.group for k in found.cut))
    drops = {(k.group, k.layers): k.drop / found.span for k in found.cut}
    label = ["all layers", *(f"layers {a} to {b}" if a != b else f"layer {a}" for a, b in windows[1:])]
    charts = [
        Chart(title="Attention knockout: share of the act's log-odds lost when nothing later may look at a part",
              columns=tuple(label), cells=tuple((n, tuple(drops.get((n, w)) for w in windows)) for n in names)),
        _patched("Patching: share of the act brought back by a part's activations", found.restored),
        _patched("Patching the other way: share of the act destroyed by filler's activations", found.destroyed),
        _along(found),
        _doses(found.dose),
    ]  # fmt: skip
    if found.rising:
        rows = tuple(Row(name=f"{r.key}: {r.label}", reading=r.auroc) for r in found.rising[:10])
        charts.append(Chart(title="Labelled units that rose before the act: how well each tells it (AUROC)", rows=rows))
    return charts


def _patched(title: str, patches: PatchMap) -> Chart:
    sites = list(dict.fromkeys(c.site for c in patches.cells))
    sites = sites if len(sites) <= 8 else [sites[i] for i in np.linspace(0, len(sites) - 1, 8).astype(int).tolist()]
    names = list(dict.fromkeys(c.group for c in patches.cells))
    cells = tuple((n, tuple(patches.share(s, n) for s in sites)) for n in names)
    return Chart(title=title, columns=tuple(s.removesuffix(".resid") for s in sites), cells=cells, folded=True)


def _along(found: Inner) -> Chart:
    own, other = found.along
    count = min(len(own), len(other))
    values = [*own[:count], *other[:count]]
    return Chart(
        title=f"The probe's reading along the transcript, at {found.direction.site} "
        f"(AUROC on fresh transcripts: {found.probe})",
        low=min(values), high=max(values), x=tuple(float(i) for i in range(count)), x_title="token",
        lines=(Trace(name="as it was", y=tuple(own[:count]), own=True),
               Trace(name="with filler for the cause", y=tuple(other[:count]))),
    )  # fmt: skip


def _doses(dose: DoseResponse) -> Chart:
    curves = [dose.curve, *dose.controls]
    at, none = dose.doses.index(1.0), dose.doses.index(0.0)
    fall = dose.curve.fluency[at] - dose.curve.fluency[none]
    return Chart(
        title=f"Steering at {dose.site}: chance of the act by dose, in transcripts without the cause "
        f"(at dose 1 a token of the transcript is {abs(fall):.2f} {'less' if fall < 0 else 'more'} likely in log-probability)",
        x=dose.doses, x_title="dose, in natural differences",
        lines=tuple(Trace(name=c.name, y=tuple(c.means), own=c is dose.curve) for c in curves),
    )  # fmt: skip
