"""Output-side explanations of units: measured, labelled, scored on held-out contexts, and kept beside a run.

Outputs and label are chosen on discover contexts; every figure shown and every score is of test contexts. A run keeps one file
a unit, ``effects/<unit>.json``, written whole.

What this module does not do: write into the store (a running campaign may hold it), or render (`maieutic.report`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from maieutic.campaign.explaining import stored_explanation
from maieutic.campaign.run import Run
from maieutic.errors import StoreError, UsageError, UserError
from maieutic.explain.explanation import Explanation
from maieutic.explain.output.attribution import Attribution, attribute, z_scores
from maieutic.explain.output.describing import Description, describe
from maieutic.explain.output.model import OutputEffects, OutputShift
from maieutic.explain.output.steering import (
    Contexts,
    How,
    Steered,
    ablation_length,
    beside_of,
    contexts_of,
    natural_length,
    steer,
)
from maieutic.explain.output.vocabulary import Vocabulary
from maieutic.explain.predicates.base import Or, Predicate
from maieutic.explain.predicates.text_meaning import Means
from maieutic.harvest import Atlas, harvest, slug
from maieutic.lab.halves import LEAST, grouped
from maieutic.lab.outputs import output_names
from maieutic.progress import Report, silent
from maieutic.readings import Cost, FloatArray, Reading
from maieutic.score.output_side import agreement_readings, output_readings, words_reading
from maieutic.stimuli import Corpus
from maieutic.store import writing
from maieutic.subjects import Subject, Unit

FOLDER = "effects"
#: outputs shown on each side; random directions whose changes are kept on held-out contexts
SHOWN, EACH = 10, 8


@dataclass(frozen=True, kw_only=True)
class EffectsPlan:
    """How effects are measured.

    Attributes:
        how: ``raise`` the unit on neutral contexts, or ``ablate`` it where it is strongest.
        contexts: on either side: chosen on, and measured on.
        directions: random directions on the contexts that are chosen on; at least 4.
        seed: of contexts, directions and resamples.
        classes: names of the outputs: a file with one a line, or the names.
        embedder: sentence encoder that compares labels (``minilm``, ``hf:FOLDER``); ``None``: labels are compared by what
            they say of outputs only.
    """

    how: How = "raise"
    contexts: int = 24
    directions: int = 20
    seed: int = 0
    classes: str | Path | Sequence[str] | None = None
    embedder: str | None = None

    def __post_init__(self) -> None:
        if self.how not in ("raise", "ablate"):
            raise UsageError(f"effects come from how=raise or how=ablate, not {self.how!r}: choose one")
        if self.contexts < LEAST or self.directions < 4:
            raise UsageError(f"at least {LEAST} contexts and 4 directions carry an effect: ask for more")


@dataclass(eq=False, kw_only=True)
class Bench:
    """What units of one subject share: names of outputs, labels of other units."""

    subject: Subject
    corpus: Corpus
    plan: EffectsPlan
    vocabulary: Vocabulary
    output_sides: dict[str, tuple[str, Predicate]] = field(default_factory=dict[str, tuple[str, Predicate]])
    input_sides: dict[str, Predicate] = field(default_factory=dict[str, Predicate])


def bench_of(subject: Subject, corpus: Corpus, plan: EffectsPlan) -> Bench:
    """Names of the subject's outputs, made once. Cost: one pass of a short stimulus; of images a corpus' discover split."""
    first = sorted(corpus.split("discover"), key=lambda s: s.id)[:1]
    if not first:
        raise UsageError(f"{corpus.name} has no discover stimuli: give a larger corpus")
    size = int(subject.outputs([first[0].content]).shape[1])
    names = output_names(subject, given=plan.classes, corpus=corpus)
    return Bench(
        subject=subject, corpus=corpus, plan=plan, vocabulary=Vocabulary(names=names, size=size, seed=plan.seed)
    )


def effects_of(
    subject: Subject,
    unit: Unit,
    corpus: Corpus | None = None,
    *,
    atlas: Atlas | None = None,
    found: Explanation | None = None,
    plan: EffectsPlan | None = None,
    bench: Bench | None = None,
) -> OutputEffects:
    """What a unit does to the outputs, with a label, its score, and how far it agrees with the input side.

    Args:
        subject, unit: what is changed.
        corpus: contexts; the atlas' when left out.
        atlas: a harvest of the unit's site; harvested now otherwise.
        found: the unit's input-side explanation, for the agreement.
        plan: how much is measured.
        bench: shared between units of one subject.

    Cost: ``contexts * (directions + 2)`` passes to choose on and at most 18 a context to measure on, each over one short
    text or one image; logit attribution none. Causal language models read each text once, and one token for each change of it.

    Raises:
        UserError: the subject cannot be changed inside, has a single output, or the unit never moves.
    """
    started = time.perf_counter()
    if atlas is None:
        if corpus is None:
            raise UsageError("effects are measured on contexts: give a corpus, or an atlas")
        atlas = harvest(subject, corpus, [unit.site], keep=[unit])
    plan = plan or (bench.plan if bench else EffectsPlan())
    bench = bench or bench_of(subject, atlas.corpus, plan)
    done = _measured(bench, unit, atlas)
    said = describe(done.z, done.null, bench.vocabulary)
    readings = output_readings(
        said.predicate, done.held, done.held_contexts, bench.vocabulary,
        others=[p for k, (_, p) in bench.output_sides.items() if k != unit.key], reason=said.reason, seed=plan.seed,
    )  # fmt: skip
    readings |= _agreement(bench, unit, found, done)
    passes = len(done.contexts) * (2 + plan.directions) + len(done.held_contexts) * (2 + 2 * EACH)
    text = subject.modality == "text"
    cost = Cost(measurements=passes, images=0 if text else passes, seconds=time.perf_counter() - started)
    made = _found(bench, unit, done, said, readings, cost)
    return replace(made, input_label=found.label if found is not None and not found.abstained else "")


@dataclass(frozen=True, kw_only=True)
class _Done:
    """Changes of a unit on contexts to choose on and on held-out ones; ``z`` and ``null`` are of the former."""

    length: float
    contexts: Contexts
    held_contexts: Contexts
    held: Steered
    z: FloatArray
    null: FloatArray
    attribution: Attribution | None
    note: str


def _measured(bench: Bench, unit: Unit, atlas: Atlas) -> _Done:
    subject, plan = bench.subject, bench.plan
    mean = float(np.mean(atlas.sample(unit), dtype=np.float64)) if unit.index is None else atlas.moments(unit).mean
    make: dict[str, Any] = {"how": plan.how, "n": plan.contexts, "seed": plan.seed}
    contexts = contexts_of(subject, atlas, unit, "discover", **make)
    held = contexts_of(subject, atlas, unit, "test", **make)
    if len(contexts) < LEAST or len(held) < LEAST:
        raise UserError(f"{len(contexts)} and {len(held)} contexts are too few: give a larger corpus")
    length = natural_length(atlas, unit) if plan.how == "raise" else ablation_length(subject, unit, contexts, mean)
    if not length > 0:
        raise UserError(f"{unit.key} never moves on the corpus: there is no change to make")
    random, unrelated = beside_of(atlas, unit, n=plan.directions, seed=plan.seed)
    move: dict[str, Any] = {"length": length, "mean": mean, "how": plan.how}
    chosen = steer(subject, unit, contexts, beside=(random, ()), **move)
    measured = steer(subject, unit, held, beside=(random[:EACH], unrelated[:EACH]), each=EACH, **move)
    rest = [np.delete(chosen.random, i, axis=0) for i in range(len(random))]
    null = np.stack([z_scores(chosen.random[i][None], r)[0] for i, r in enumerate(rest)])
    attribution, note = None, ""
    try:
        texts = contexts.shown if subject.modality == "text" else ()
        attribution = attribute(subject, unit, contexts=texts, seed=plan.seed)
    except UserError as error:
        note = str(error) if subject.modality == "text" else "logit attribution is for language models"
    return _Done(
        length=length, contexts=contexts, held_contexts=held, held=measured, attribution=attribution, note=note,
        z=z_scores(chosen.own.mean(axis=0)[None], chosen.random)[0], null=null,
    )  # fmt: skip


def _agreement(bench: Bench, unit: Unit, found: Explanation | None, done: _Done) -> dict[str, Reading]:
    reason = "the unit has no input-side explanation"
    if found is not None and found.abstained:
        reason = f"the input side abstained: {found.reason}"
    given = None if found is None or found.abstained else on_names(found.predicate, bench.subject.modality)
    if found is not None and not found.abstained and given is None:
        reason = "the input label names no thing that an output could be"
    others = [p for k, p in bench.input_sides.items() if k != unit.key]
    return agreement_readings(
        given, done.z, done.null, bench.vocabulary, others=others, reason=reason, seed=bench.plan.seed
    )


def on_names(predicate: Predicate, modality: str) -> Predicate | None:
    """An input-side predicate as one over names of outputs: itself for texts; for images the things that it speaks of."""
    if modality == "text":
        return predicate
    things = dict.fromkeys(_things(predicate.to_json()))
    parts = tuple(Means(word=t, loose=False) for t in things)
    return None if not parts else parts[0] if len(parts) == 1 else Or(parts=parts)


def _things(data: Any) -> Iterator[str]:
    if isinstance(data, Mapping):
        if data.get("op") == "not":
            return
        yield from (str(data[k]) for k in ("concept", "a", "b") if isinstance(data.get(k), str))
        for value in data.values():
            yield from _things(value)
    elif isinstance(data, list):
        for value in data:
            yield from _things(value)


def _found(
    bench: Bench, unit: Unit, done: _Done, said: Description, readings: Mapping[str, Reading], cost: Cost
) -> OutputEffects:
    plan, names = bench.plan, bench.vocabulary.names
    inside = bench.vocabulary.readable if len(bench.vocabulary.readable) else np.arange(bench.vocabulary.size)
    order = inside[np.argsort(-done.z[inside], kind="stable")]
    fits = set(np.flatnonzero(bench.vocabulary.holds(said.predicate) >= 0.5).tolist()) if said.predicate else set[int]()
    a = done.attribution
    ranked = inside[np.argsort(-a.z[inside], kind="stable")] if a is not None else inside[:0]
    pairs = [tuple((names[int(i)], float(a.z[i])) for i in side) if a is not None else ()
             for side in (ranked[:SHOWN], ranked[::-1][:SHOWN])]  # fmt: skip
    return OutputEffects(
        unit=unit.key, subject=bench.subject.name, modality=bench.subject.modality, how=plan.how, length=done.length,
        contexts=len(done.contexts), held_out=len(done.held_contexts), directions=plan.directions,
        rises=_shifts(bench, done, order[:SHOWN], fits, up=True), falls=_shifts(bench, done, order[::-1][:SHOWN], fits, up=False),
        attributed_up=pairs[0], attributed_down=pairs[1], attribution_note=done.note,
        attribution_peak=None if a is None else a.peak,
        null_peak=None if a is None else float(np.quantile(a.null_peaks, 0.95)),
        label=said.label, predicate=said.predicate, reason=said.reason, bits=said.bits,
        null_bits=max(said.null_bits, default=0.0), readings=readings, cost=cost,
        settings={"seed": plan.seed, "contexts": plan.contexts, "directions": plan.directions, "names": names.source},
    )  # fmt: skip


def _shifts(bench: Bench, done: _Done, outputs: Any, fits: set[int], *, up: bool) -> tuple[OutputShift, ...]:
    """Outputs chosen elsewhere, with what became of them on held-out contexts."""
    sign = 1.0 if up else -1.0
    enough = len(set(done.held_contexts.groups.tolist())) >= LEAST
    others = np.concatenate([done.held.random, done.held.unrelated])
    rows: list[OutputShift] = []
    for i in [int(o) for o in outputs]:
        estimate = grouped(done.held.own[:, i], done.held_contexts.groups, seed=bench.plan.seed)
        low, high = (estimate.interval() if enough else None) or (None, None)
        beside = float(sign * (sign * others[:, i]).max()) if len(others) else 0.0
        near = None if low is None or high is None else low if up else high
        rows.append(
            OutputShift(
                output=i, name=bench.vocabulary.names[i], change=estimate.value, low=low, high=high,
                before=float(done.held.before[i]), after=float(done.held.after[i]), beside=beside,
                stands_out=near is not None and sign * near > max(sign * beside, 0.0),
                attributed=None if done.attribution is None else float(done.attribution.z[i]), fits=i in fits,
            )
        )  # fmt: skip
    return tuple(rows)


# --- a run's units -------------------------------------------------------------------------------------------------


def measure_effects(
    run: Run,
    units: Sequence[Unit] | None = None,
    *,
    plan: EffectsPlan | None = None,
    explainer: str = "search",
    report: Report = silent,
) -> tuple[list[OutputEffects], list[tuple[str, str]]]:
    """Effects of units of a run, kept in its folder. The run may be open for reading only.

    Units are measured one after another; labels of those before are the shuffled controls of those after, and once all are
    measured the first ones are not done again, so the controls of the first units are drawn sets.

    Args:
        run: an open run.
        units: which; ``None``: the run's own.
        plan: how much is measured.
        explainer: whose input-side labels the output side is set against.
        report: called with progress.

    Returns:
        Effects, and units that could not be measured with the reason.
    """
    plan = plan or EffectsPlan(seed=run.seed)
    chosen = list(run.units if units is None else units)
    bench = bench_of(run.subject, run.corpus, plan)
    explained = {u.key: stored_explanation(run, "main", u, explainer=explainer) for u in chosen}
    for key, found in explained.items():
        if found is not None and not found.abstained:
            given = on_names(found.predicate, run.subject.modality)
            bench.input_sides |= {key: given} if given is not None else {}
    done: list[OutputEffects] = []
    failed: list[tuple[str, str]] = []
    with report("effects", run.subject.name) as step:
        for number, unit in enumerate(chosen):
            step(number, len(chosen))
            try:
                effects = effects_of(
                    run.subject, unit, run.corpus, atlas=run.atlas, found=explained[unit.key], bench=bench
                )
            except UserError as error:
                failed.append((unit.key, str(error)))
                continue
            if effects.predicate is not None:
                bench.output_sides[unit.key] = (effects.label, effects.predicate)
            done.append(effects)
            write_effects(run.folder, effects)
        step(len(chosen), len(chosen))
    if plan.embedder is not None:
        done = _compared(run.folder, done, plan.embedder)
    return done, failed


def _compared(folder: Path, done: Sequence[OutputEffects], embedder: str) -> list[OutputEffects]:
    """The same effects with labels compared by their words, once all labels are known."""
    from maieutic.score.judged.embedder import load_embedder

    embed = load_embedder(embedder)
    found: list[OutputEffects] = []
    for effects in done:
        others = [e.label for e in done if e.label and e.unit != effects.unit]
        reading = words_reading(effects.label, effects.input_label, others, embed)
        found.append(replace(effects, readings={**effects.readings, reading.name: reading}))
        write_effects(folder, found[-1])
    return found


def write_effects(folder: Path, effects: OutputEffects) -> Path:
    """Write ``effects/<unit>.json`` into a run folder."""
    path = _file(folder, effects.unit)
    with writing(path) as temporary:
        temporary.write_text(json.dumps(effects.to_json(), indent=1, default=dict), encoding="utf-8")
    return path


def read_effects(folder: str | Path, unit: str) -> OutputEffects | None:
    """The effects of a unit that a run folder keeps; ``None`` when it has none.

    Args:
        folder: of the run.
        unit: its key.

    Raises:
        StoreError: the file is damaged.
    """
    path = _file(Path(folder), unit)
    if not path.is_file():
        return None
    try:
        return OutputEffects.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UserError) as error:
        raise StoreError(
            f"{path} is damaged ({type(error).__name__}): delete it and run  maieutic effects  again"
        ) from error


def _file(folder: Path, unit: str) -> Path:
    return folder / FOLDER / f"{slug(unit)}.json"
