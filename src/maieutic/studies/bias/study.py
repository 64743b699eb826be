"""The study: read the outputs of all trials once, weigh every contrast, confirm on the held-out half what one half suggests.

A contrast becomes a *bias* only when all of this holds: its adjusted p on the discovery half is at most ``alpha``; on the
other half, where other bases (and other fillers, where there are enough) stand, it has the same sign and a p, adjusted by
Holm over all candidates, of at most ``alpha``; its interval over the whole material leaves out 0; and where placebo edits
were measured it differs from its placebo in the same direction. Effects of an untrained copy and on other outputs stand
beside and decide nothing: a bias that the architecture alone gives is one all the same.

What this module does not do: make stimuli, or claim anything beyond this output and this material.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from maieutic.errors import UsageError, UserError
from maieutic.progress import Report, silent
from maieutic.readings import Reading
from maieutic.studies.bias import paired
from maieutic.studies.bias.design import Halves, Material, Trial, cells_of, halves_of
from maieutic.studies.bias.outputs import Output, Read, Reader
from maieutic.subjects import Subject

#: what a contrast is called in the end
BIAS, UNCONFIRMED, PLACEBO, NOTHING = "bias", "not confirmed", "no more than its placebo", "nothing found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Half:
    """A contrast on one half: its effect, p, p adjusted over what was tested there (``None``: not tested).

    ``least`` is the smallest p that so few bases and fillers allow.
    """

    effect: Reading
    p: float | None
    adjusted: float | None
    least: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Filler:
    """One of the things that stand for a level: its mean difference from the reference over bases."""

    name: str
    effect: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A pair: keys of the two stimuli, and their outputs. ``why``: typical, or largest."""

    reference: str
    level: str
    before: float
    after: float
    why: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One contrast of one output.

    Attributes:
        output, attribute, level, reference: what was compared.
        bases, clusters, fillers: how many stand behind it; ``random``: whether fillers count as drawn from many.
        effect: mean paired difference over the whole material, in the output's unit.
        dz: the same over the standard deviation between clusters.
        spread: the same over the standard deviation of the output between different things.
        p, adjusted: over the whole material, and adjusted over every contrast.
        discovery, confirmation: the two halves.
        placebo, above: the placebo's effect, and the effect less it.
        untrained, untrained_spread: the same effect on an untrained copy, in its unit and over its own spread.
        specific: effect less the mean effect on other outputs; ``rank``: share of these that move less.
        verdict, why: what follows by the rule above.
    """

    output: str
    attribute: str
    level: str
    reference: str
    bases: int
    clusters: int
    fillers: tuple[int, int]
    random: bool
    effect: Reading
    dz: float | None
    spread: float | None
    p: float | None
    adjusted: float | None
    discovery: Half
    confirmation: Half
    placebo: Reading
    above: Reading
    untrained: Reading
    untrained_spread: float | None
    specific: Reading
    rank: float | None
    verdict: str = NOTHING
    why: str = ""
    by_filler: tuple[Filler, ...] = ()
    examples: tuple[Example, ...] = ()

    @property
    def is_bias(self) -> bool:
        return self.verdict == BIAS

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class BiasStudy:
    """Everything a study found. ``material`` serves the report's examples and is not part of the JSON."""

    subject: str
    fingerprint: str
    material: Material = field(repr=False)
    outputs: tuple[str, ...]
    spreads: Mapping[str, float | None]
    findings: tuple[Finding, ...]
    stimuli: int
    control: str
    alpha: float
    seed: int
    notes: tuple[str, ...]

    @property
    def biases(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.is_bias)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: settings, notes, findings with every reading."""
        return {
            "study": "bias",
            "subject": self.subject,
            "fingerprint": self.fingerprint,
            "material": self.material.name,
            "outputs": list(self.outputs),
            "spreads": dict(self.spreads),
            "stimuli": self.stimuli,
            "control": self.control,
            "alpha": self.alpha,
            "seed": self.seed,
            "notes": [*self.notes, *self.material.notes],
            "findings": [f.to_json() for f in self.findings],
        }


def run_bias(
    subject: Subject,
    material: Material,
    outputs: Sequence[Output],
    *,
    control: paired.Control = "holm",
    alpha: float = 0.05,
    untrained: bool = True,
    seed: int = 0,
    read: Sequence[Read] | None = None,
    report: Report = silent,
) -> BiasStudy:
    """Measure every contrast of a material on some outputs of a subject.

    Args:
        subject: what is studied.
        material: trials; its modality is the subject's.
        outputs: see ``parse_output``; contrasts of all of them are adjusted together.
        control: of the many tests of the discovery half: ``holm`` or ``bh``; the confirmation always takes Holm.
        alpha: at most this chance of calling anything a bias when nothing is.
        untrained: measure an untrained copy beside.
        seed: of the halves, the bootstrap and the untrained weights.
        read: the outputs, where ``read_all`` has been called already.
        report: called with progress.

    Cost: one pass a stimulus, two with the untrained copy; then milliseconds a contrast.

    Raises:
        UsageError: the material is of the other modality, no output, alpha no chance.
        UserError: too few bases for two halves, or an output that is no number.
    """
    if material.modality != subject.modality:
        raise UsageError(
            f"{subject.name} reads {subject.modality}s, {material.name} holds {material.modality}s: give others"
        )
    if not outputs:
        raise UsageError("no output to study: name one, as in  --output class:817")
    if not 0 < alpha < 1 or control not in ("holm", "bh"):
        raise UsageError(f"alpha {alpha} with {control!r}: give a chance between 0 and 1, and holm or bh")
    halves = halves_of(material, seed=seed)
    read = read_all(subject, material, outputs, report=report) if read is None else read
    fresh, reason = _untrained(subject, material, outputs, untrained, seed, report)
    weighed: list[Finding] = []
    with report("weigh", material.name) as step:
        total = len(outputs) * len(material.contrasts())
        for i, output in enumerate(outputs):
            twin = None if fresh is None else fresh[i]
            for attribute, level in material.contrasts():
                weighed.append(_weighed(material, output, read[i], twin, reason, attribute, level, halves, seed))
                step(len(weighed), total)
    findings = _decided(weighed, control, alpha)
    return BiasStudy(
        subject=subject.name,
        fingerprint=subject.fingerprint,
        material=material,
        outputs=tuple(o.name for o in outputs),
        spreads={o.name: spread_of(material, r) for o, r in zip(outputs, read, strict=True)},
        findings=tuple(findings),
        stimuli=len(material.stimuli()),
        control=control,
        alpha=alpha,
        seed=seed,
        notes=tuple(_notes(material, halves, findings, alpha)),
    )


# --- reading -------------------------------------------------------------------------------------------------------


def read_all(subject: Subject, material: Material, outputs: Sequence[Output], *, report: Report = silent) -> list[Read]:
    """Every output at every stimulus, each shown once."""
    reader = Reader(subject, outputs)
    every = list(material.stimuli().values())
    size = max(subject.batch_size, 1) * 4
    with report("measure", subject.name) as step:
        for at in range(0, len(every), size):
            batch = every[at : at + size]
            reader.read([t.key for t in batch], [t.load() for t in batch])
            step(min(at + size, len(every)), len(every))
    return reader.found


def _untrained(
    subject: Subject, material: Material, outputs: Sequence[Output], wanted: bool, seed: int, report: Report
) -> tuple[list[Read] | None, str]:
    """The same of an untrained copy, or why there is none; placebos are left out."""
    if not wanted:
        return None, "not asked for"
    try:
        copy = subject.untrained(seed)
    except UserError as error:
        return None, str(error)
    kept = replace(material, trials=tuple(t for t in material.trials if t.role != "placebo"))
    return read_all(copy, kept, outputs, report=report), ""


def spread_of(material: Material, read: Read) -> float | None:
    """Standard deviation of an output between different things: those shown for it, else the bases at their references."""
    keys = [t.key for t in material.trials if t.role == "spread"]
    if keys:
        values = [read.values[k] for k in keys]
    else:
        bases: dict[str, list[float]] = {}
        for t in material.trials:
            if t.role == "level" and t.level == material.references[t.attribute]:
                bases.setdefault(t.base, []).append(read.values[t.key])
        values = [float(np.mean(v)) for v in bases.values()]
    spread = float(np.std(values, ddof=1)) if len(values) > 2 else 0.0
    return spread if spread > 0 else None


# --- weighing ------------------------------------------------------------------------------------------------------


def _weighed(
    material: Material,
    output: Output,
    read: Read,
    twin: Read | None,
    reason: str,
    attribute: str,
    level: str,
    halves: Halves,
    seed: int,
) -> Finding:
    """A contrast without its verdict."""
    cells = cells_of(material, read.values, attribute, level)
    if cells is None:
        raise UserError(
            f"no base has both {level!r} and {material.references[attribute]!r} of {attribute!r}: pair them"
        )
    whole, test = paired.effect(cells, seed=seed), paired.test_of(cells, seed=seed)
    n = int(np.isfinite(cells.differences()).sum())
    placebo, above = _placebo(material, read, attribute, level, whole, cells, seed)
    untrained, own = _of_twin(material, twin, reason, attribute, level, seed)
    spread = spread_of(material, read)
    specific, rank = _specific(material, read, attribute, level, whole.value, seed)
    return Finding(
        output=output.name, attribute=attribute, level=level, reference=material.references[attribute], bases=n,
        clusters=cells.n_clusters, fillers=(cells.level.shape[1], cells.reference.shape[1]),
        random=test is not None and len(test.parts) > 1,
        effect=whole.reading("effect", n=n, details={} if test is None else {"parts": test.parts, "least": test.least}),
        dz=paired.standardised(cells), spread=None if spread is None else whole.value / spread,
        p=None if test is None else test.p, adjusted=None,
        discovery=_half(material, read, attribute, level, halves, 0, seed),
        confirmation=_half(material, read, attribute, level, halves, 1, seed),
        placebo=placebo, above=above, untrained=untrained, untrained_spread=own, specific=specific, rank=rank,
        by_filler=_by_filler(material, cells, attribute, level), examples=_examples(material, read, attribute, level, whole.value),
    )  # fmt: skip


def _half(material: Material, read: Read, attribute: str, level: str, halves: Halves, half: int, seed: int) -> Half:
    cells = cells_of(material, read.values, attribute, level, halves=halves, half=half)
    if cells is None:
        return Half(effect=Reading.unmeasured("effect", "no base of this half has both levels"), p=None, adjusted=None)
    test = paired.test_of(cells, seed=seed)
    found = paired.effect(cells, seed=seed).reading("effect", n=len(cells.clusters))
    if test is None:
        return Half(effect=found, p=None, adjusted=None)
    return Half(effect=found, p=test.p, adjusted=None, least=test.least)


def _placebo(
    material: Material, read: Read, attribute: str, level: str, whole: paired.Estimate, cells: paired.Cells, seed: int
) -> tuple[Reading, Reading]:
    """The placebo edit's effect and what the edit does more; of texts, one half of the reference's fillers for the other."""
    edits = cells_of(material, read.values, attribute, level, role="placebo")
    if edits is not None:
        other = paired.effect(edits, seed=seed)
        n = len(edits.clusters)
        if n != len(cells.clusters):
            return other.reading("placebo", n=n), Reading.unmeasured("above placebo", "not every base has a placebo")
        return other.reading("placebo", n=n), (whole - other).reading("above placebo", n=n)
    side = cells.reference if cells.reference.shape[1] >= 2 * paired.RANDOM else cells.level
    if cells.same or side.shape[1] < 2 * paired.RANDOM:
        why = "no placebo edit, and too few fillers to set half of them against the other"
        return Reading.unmeasured("placebo", why), Reading.unmeasured("above placebo", why)
    mixed = np.random.default_rng(seed).permutation(side.shape[1])
    half = len(mixed) // 2
    swapped = paired.Cells(level=side[:, mixed[:half]], reference=side[:, mixed[half:]], clusters=cells.clusters)
    found = paired.effect(swapped, seed=seed).reading("placebo", n=len(cells.clusters))
    return found, Reading.unmeasured(
        "above placebo", "swapped names of one group are shown beside, the exchange test uses them"
    )


def _of_twin(
    material: Material, twin: Read | None, reason: str, attribute: str, level: str, seed: int
) -> tuple[Reading, float | None]:
    if twin is None:
        return Reading.unmeasured("untrained", reason), None
    cells = cells_of(material, twin.values, attribute, level)
    assert cells is not None, "the same trials as of the trained one"
    found, spread = paired.effect(cells, seed=seed), spread_of(material, twin)
    return found.reading("untrained", n=len(cells.clusters)), None if spread is None else found.value / spread


def _specific(
    material: Material, read: Read, attribute: str, level: str, value: float, seed: int
) -> tuple[Reading, float | None]:
    """The effect less the mean effect on other outputs, and the share of those that move less."""
    if not read.apart:
        return Reading.unmeasured("specific", "this output has no others of its kind"), None
    cells = cells_of(material, read.apart, attribute, level)
    assert cells is not None, "the same trials as before"
    found = paired.effect(cells, seed=seed).reading("specific", n=len(cells.clusters))
    sides = [
        [t for t in material.trials if t.attribute == attribute and t.level == v and t.role == "level"]
        for v in (level, material.references[attribute])
    ]
    # every base has the same fillers, so the mean over trials is the mean over bases
    high, low = (np.mean([read.beside[t.key] for t in side], axis=0) for side in sides)
    return found, float(np.mean(np.abs(high - low) < abs(value)))


def _by_filler(material: Material, cells: paired.Cells, attribute: str, level: str) -> tuple[Filler, ...]:
    own = [t for t in material.trials if t.attribute == attribute and t.level == level and t.role == "level"]
    names = list(dict.fromkeys(t.filler for t in own))
    if len(names) != cells.level.shape[1] or len(names) < 2:
        return ()
    base = cells.reference if cells.same else cells.reference.mean(axis=1, keepdims=True)
    means = np.nanmean(cells.level - base, axis=0)
    return tuple(Filler(name=n, effect=float(m)) for n, m in zip(names, means, strict=True))


def _examples(material: Material, read: Read, attribute: str, level: str, value: float) -> tuple[Example, ...]:
    """The pair nearest to the mean effect, and the one that moves most in its direction."""
    own = [t for t in material.trials if t.attribute == attribute and t.role == "level"]
    low: dict[str, Trial] = {}
    for t in own:
        if t.level == material.references[attribute]:
            low.setdefault(t.base, t)
    pairs = [(low[t.base], t) for t in own if t.level == level and t.base in low]
    if not pairs or not math.isfinite(value):
        return ()
    moves = [read.values[b.key] - read.values[a.key] for a, b in pairs]
    sign = 1.0 if value >= 0 else -1.0
    typical = min(range(len(pairs)), key=lambda i: (abs(moves[i] - value), pairs[i][1].key))
    largest = max(range(len(pairs)), key=lambda i: (sign * moves[i], pairs[i][1].key))
    found: list[Example] = []
    for i, why in {typical: "typical", largest: "largest"}.items():
        a, b = pairs[i]
        found.append(
            Example(reference=a.key, level=b.key, before=read.values[a.key], after=read.values[b.key], why=why)
        )
    return tuple(found)


# --- deciding ------------------------------------------------------------------------------------------------------


def _decided(weighed: Sequence[Finding], control: paired.Control, alpha: float) -> list[Finding]:
    """Adjust, confirm, and give every contrast its verdict."""
    whole = _adjusted([f.p for f in weighed], "holm")
    first = _adjusted([f.discovery.p for f in weighed], control)
    candidates = [a is not None and a <= alpha for a in first]
    second = _adjusted([f.confirmation.p if c else None for f, c in zip(weighed, candidates, strict=True)], "holm")
    found: list[Finding] = []
    for f, w, a, b in zip(weighed, whole, first, second, strict=True):
        f = replace(
            f, adjusted=w, discovery=replace(f.discovery, adjusted=a), confirmation=replace(f.confirmation, adjusted=b)
        )
        verdict, why = _verdict(f, alpha)
        found.append(replace(f, verdict=verdict, why=why))
    return found


def _adjusted(p: Sequence[float | None], control: paired.Control) -> list[float | None]:
    """Adjusted over those that were tested; the others stay untested."""
    places = [i for i, v in enumerate(p) if v is not None]
    found: list[float | None] = [None] * len(p)
    for i, v in zip(places, paired.adjusted([p[i] or 0.0 for i in places], control), strict=True):
        found[i] = v
    return found


def _verdict(f: Finding, alpha: float) -> tuple[str, str]:
    a, b = f.discovery, f.confirmation
    if a.adjusted is None or a.effect.value is None:
        return NOTHING, "the discovery half could not be tested"
    if a.adjusted > alpha:
        return NOTHING, f"adjusted p {a.adjusted:.2g} on the discovery half"
    if b.adjusted is None or b.effect.value is None:
        return UNCONFIRMED, "the held-out half could not be tested"
    if np.sign(a.effect.value) != np.sign(b.effect.value):
        return UNCONFIRMED, "the held-out half goes the other way"
    if b.adjusted > alpha:
        return UNCONFIRMED, f"adjusted p {b.adjusted:.2g} on the held-out half"
    value, low, high = f.effect.value, f.effect.low, f.effect.high
    if value is None or low is None or high is None or low <= 0 <= high:
        return UNCONFIRMED, "the interval over all bases and fillers holds 0"
    if f.placebo.value is not None and f.above.measured and not _same_way(value, f.above):
        return PLACEBO, "an edit as large that leaves the attribute alone does as much"
    return BIAS, "found on one half and confirmed on the other"


def _same_way(value: float, above: Reading) -> bool:
    if above.low is None or above.high is None:
        return False
    return above.low > 0 if value > 0 else above.high < 0


def _notes(material: Material, halves: Halves, findings: Sequence[Finding], alpha: float) -> list[str]:
    notes = [f"{len(halves.clusters)} independent bases, half of them for discovery, half held out"]
    beyond = [f for f in findings if f.discovery.least * len(findings) > alpha]
    if beyond:
        notes.append(
            f"WARNING: {len(beyond)} of {len(findings)} contrasts have too few bases or fillers in the discovery half to be "
            f"found by Holm among so many (the smallest p is {max(f.discovery.least for f in beyond):.2g}): give more of them, "
            "fewer attributes or outputs, or --control bh"
        )
    fixed = sorted({f"{f.attribute}: {f.level}" for f in findings if not f.random})
    if fixed:
        notes.append(
            f"{len(fixed)} contrasts have fewer than {paired.RANDOM} fillers a side: their p-values are about the very "
            "pictures or words that stand for the level"
        )
    return notes
