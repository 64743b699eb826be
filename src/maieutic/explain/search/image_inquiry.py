"""Experiments between rival rules of an image unit: ask what tells them apart, then check what the winner foretells.

Rivals start with a prior from how well they fit the pictures, and `inquiry` shows the candidates (`image_probes`) of
greatest expected information until one is left. The winner then foretells pictures that nobody asked about; when
several come out otherwise, its own variants join and the inquiry goes on with all that was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maieutic.explain.search.image_columns import Columns
from maieutic.explain.search.image_probes import Recipe, recipes
from maieutic.explain.search.image_rivals import LOOSE, Rival, Seen, rivals_of
from maieutic.explain.search.image_rules import Rule, Target
from maieutic.explain.search.image_stage import Stage
from maieutic.explain.search.image_table import ImageTable
from maieutic.explain.search.inquiry import Answer, Hypothesis, Probe, inquire
from maieutic.lab.lab import Lab, Question
from maieutic.lab.ledger import Entry

Floats = NDArray[np.float64]
#: fit that makes a rival one nat likelier, for units with and without a crisp rule; and what a condition costs, nats
_CRISP_NAT, _BLURRED_NAT, _ATOM = 0.012, 0.006, 0.35
#: measurements of one inquiry, and of one check; checks that may fail before the rivals are thought over; rounds
_ASKED, _CHECKED, _FAILED, _ROUNDS = 24, 8, 2, 2
#: foretold values that count as a clear yes and a clear no
_YES, _NO = 0.6, 0.2
#: fit given up for a simpler rule where no experiment decides
_SLACK = 0.005
#: spread of outcomes around predictions
_SPREADS = (0.14, 0.34)
_OUTLIER = 0.05
#: predictions this near are the same
_ALIKE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the experiments came to.

    Attributes:
        rivals: what was asked about, with the belief in each, ``[rival]``.
        best: number of the most believed.
        sure: belief in all rivals that say the same as the best of every picture that was made.
        foretold: share of pictures, on which the winner says a clear yes or no, that came out so; ``None`` without any.
        checked: number of those pictures.
        entries: everything measured, in order.
        why_not: for each rival the measurement that spoke most against it.
    """

    rivals: tuple[Rival, ...]
    belief: Floats
    best: int
    sure: float
    foretold: float | None
    checked: int
    entries: tuple[Entry, ...]
    why_not: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class _Asked:
    """Everything measured so far, with the recipes of what was shown."""

    recipes: list[Recipe]
    entries: list[Entry]

    def columns(self) -> Columns:
        return Columns([r.view() for r in self.recipes])

    @property
    def outcomes(self) -> Floats:
        return np.array([e.scaled for e in self.entries])


def settle(
    lab: Lab,
    table: ImageTable,
    target: Target,
    rules: Sequence[Rule],
    seen: Seen,
    stage: Stage,
    *,
    crisp: bool,
    most: int,
) -> Verdict:
    """Ask which rule holds.

    Args:
        rules: candidates from the fit, best first.
        crisp: whether some rule fits the pictures nearly perfectly; then small differences in fit decide little.
        most: measurements allowed. Where no rule fits (below ``LOOSE``) none is made: no rival foretells enough.
    """
    rivals = rivals_of(table, target, rules, seen)
    if most < 1 or rivals[0].fit < LOOSE:
        return _unasked(rivals)
    nat = _CRISP_NAT if crisp else _BLURRED_NAT
    spread = _spread(rivals[0], target)
    asked, pool = _Asked(recipes=[], entries=[]), list[Recipe]()
    strong, weak = stage.scenes(strong=True, n=6), stage.scenes(strong=False, n=6)
    for turn in range(_ROUNDS):
        pool = [r for r in recipes(stage, rivals, strong, weak) if not any(r == old for old in asked.recipes)]
        rivals = _distinct(rivals, Columns([r.view() for r in pool]), seen)
        prior = _prior(rivals, nat)
        belief = _belief(rivals, prior, asked, spread)
        if pool:
            _ask(lab, rivals, belief, pool, asked, spread=spread, most=min(_ASKED, most - len(asked.entries)))
            belief = _belief(rivals, prior, asked, spread)
        best = int(np.argmax(np.round(belief, 9)))
        failed = _check(lab, rivals[best], pool, asked, most=min(_CHECKED, most - len(asked.entries)), seed=lab.seed)
        if failed < _FAILED or turn + 1 == _ROUNDS:
            break
        more = rivals_of(table, target, [rivals[best].rule, *[r.rule for r in rivals[:2]]], seen)
        known = {r.rule.predicate for r in rivals}
        rivals = [*rivals, *(r for r in more if r.rule.predicate not in known)]
    return _verdict(rivals, _belief(rivals, _prior(rivals, nat), asked, spread), asked, pool)


def _distinct(rivals: Sequence[Rival], pool: Columns, seen: Seen) -> list[Rival]:
    """Of rivals that say the same of every picture there is, the simplest and best fitting."""
    kept: dict[bytes, Rival] = {}
    for r in sorted(rivals, key=lambda r: (r.atoms, -r.fit)):
        said = [c.column for c in r.rule.clauses]  # on discover
        said += [columns.of(r.rule.predicate) for columns in (pool, seen.columns) if columns.views]
        strengths = np.array([*r.rule.strengths, r.rule.base], dtype=np.float32)
        whole = strengths[-1] + np.column_stack(said[: len(r.rule.clauses)]) @ strengths[:-1]
        key = b"".join(np.round(np.clip(v, 0.0, 1.0), 2).tobytes() for v in (whole, *said[len(r.rule.clauses) :]))
        kept.setdefault(key, r)
    return sorted(kept.values(), key=lambda r: -r.fit)


def _prior(rivals: Sequence[Rival], nat: float) -> Floats:
    fit, atoms = np.array([r.fit for r in rivals]), np.array([r.atoms for r in rivals])
    return (fit - fit.max()) / nat - _ATOM * (atoms - atoms.min())


def _spread(rival: Rival, target: Target) -> float:
    """Standard deviation of active images around what the leading rule predicts, within reason."""
    columns = np.column_stack([c.column for c in rival.rule.clauses])
    predicted = np.clip(rival.rule.base + columns @ np.array(rival.rule.strengths), 0.0, 1.0)
    high = target.levels[0]
    return float(np.clip(np.std((target.y - predicted)[high]), *_SPREADS)) if high.any() else _SPREADS[1]


def _belief(rivals: Sequence[Rival], prior: Floats, asked: _Asked, spread: float) -> Floats:
    """Posterior of each rival after everything measured."""
    log = prior.copy()
    if asked.entries:
        columns = asked.columns()
        foretold = np.stack([columns.of(r.rule.predicate) for r in rivals]).astype(np.float64)
        bell = np.exp(-0.5 * ((asked.outcomes[None] - foretold) / spread) ** 2) / (spread * np.sqrt(2 * np.pi))
        log = log + np.log((1 - _OUTLIER) * bell + _OUTLIER / 1.5).sum(axis=1)
    raised = np.exp(log - log.max())
    return raised / raised.sum()


def _ask(
    lab: Lab,
    rivals: Sequence[Rival],
    belief: Floats,
    pool: Sequence[Recipe],
    asked: _Asked,
    *,
    spread: float,
    most: int,
) -> Answer | None:
    columns = Columns([r.view() for r in pool])
    foretold = np.stack([columns.of(r.rule.predicate) for r in rivals], axis=1).astype(np.float64)
    probes = [Probe(stimulus=r.stimulus, kind=r.kind, foretold=f) for r, f in zip(pool, foretold, strict=True)]
    hypotheses = [
        Hypothesis(words=r.rule.predicate.describe(), predicate=r.rule.predicate, weight=float(np.log(max(b, 1e-12))))
        for r, b in zip(rivals, belief, strict=True)
    ]
    question = f"{hypotheses[int(np.argmax(belief))].words}, or what came along with it"
    answer = inquire(lab, hypotheses, probes, question=question, most=max(most, 0), spread=spread)
    by_probe = {id(p): r for p, r in zip(probes, pool, strict=True)}
    asked.recipes += [by_probe[id(p)] for p in answer.probes]
    asked.entries += answer.entries
    return answer


def _check(lab: Lab, best: Rival, pool: Sequence[Recipe], asked: _Asked, *, most: int, seed: int) -> int:
    """Show pictures on which the winner says a clear yes or no, half each, of as many kinds as there are.

    Returns how many came out otherwise.
    """
    left = [r for r in pool if not any(r is old for old in asked.recipes)]
    most = min(most, lab.remaining)
    if not left or most < 2:
        return 0
    said = Columns([r.view() for r in left]).of(best.rule.predicate)
    yes = _varied([r for r, v in zip(left, said, strict=True) if v >= _YES], most // 2)
    no = _varied([r for r, v in zip(left, said, strict=True) if v <= _NO], most - len(yes))
    chosen = [*yes, *no]
    expected = {id(r): float(v) for r, v in zip(left, said, strict=True)}
    words = best.rule.predicate.describe()
    questions = [
        Question(stimulus=r.stimulus(), hypothesis=words, kind=r.kind, expect=round(expected[id(r)], 4)) for r in chosen
    ]
    entries = lab.measure(questions)
    asked.recipes += chosen
    asked.entries += entries
    return sum(abs(e.scaled - expected[id(r)]) > 0.5 for r, e in zip(chosen, entries, strict=True))


def _varied(some: Sequence[Recipe], n: int) -> list[Recipe]:
    """The first of every kind before a second of any."""
    count: dict[str, int] = {}
    ranked: list[tuple[int, int, Recipe]] = []
    for at, r in enumerate(some):
        count[r.kind] = count.get(r.kind, 0) + 1
        ranked.append((count[r.kind], at, r))
    return [r for _, _, r in sorted(ranked, key=lambda t: t[:2])[:n]]


def _unasked(rivals: Sequence[Rival]) -> Verdict:
    """Without experiments: the simplest rule that fits nearly as well as the best."""
    order = sorted(range(len(rivals)), key=lambda k: (rivals[k].atoms, -rivals[k].fit))
    bar = max(r.fit for r in rivals) - _SLACK
    best = next(k for k in order if rivals[k].fit >= bar)
    log = _prior(rivals, _BLURRED_NAT)
    belief = np.exp(log - log.max()) / np.exp(log - log.max()).sum()
    return Verdict(
        rivals=tuple(rivals), belief=belief, best=best, sure=float(belief[best]), foretold=None, checked=0, entries=(),
        why_not=tuple("fits the corpus less well or says more" for _ in rivals),
    )  # fmt: skip


def _verdict(rivals: Sequence[Rival], belief: Floats, asked: _Asked, pool: Sequence[Recipe]) -> Verdict:
    best = int(np.argmax(np.round(belief, 9)))
    if not asked.entries:
        return _unasked(rivals)
    columns, made = asked.columns(), Columns([r.view() for r in (*asked.recipes, *pool)])
    foretold = np.stack([columns.of(r.rule.predicate) for r in rivals]).astype(np.float64)
    said = np.stack([made.of(r.rule.predicate) for r in rivals])
    alike = np.abs(said - said[best]).max(axis=1) <= _ALIKE
    mine, y = foretold[best], asked.outcomes
    clear = (mine >= _YES) | (mine <= _NO)
    right = np.abs(mine - y) <= 0.4
    return Verdict(
        rivals=tuple(rivals), belief=belief, best=best, sure=float(belief[alike].sum()), checked=int(clear.sum()),
        foretold=float(right[clear].mean()) if clear.any() else None, entries=tuple(asked.entries),
        why_not=tuple(_against(row, mine, asked.entries) for row in foretold),
    )  # fmt: skip


def _against(foretold: Floats, mine: Floats, entries: Sequence[Entry]) -> str:
    """The measurement that spoke most against a rival where it and the winner differ."""
    gaps = [abs(f - e.scaled) - abs(m - e.scaled) for f, m, e in zip(foretold, mine, entries, strict=True)]
    k = int(np.argmax(gaps))
    if gaps[k] < 0.25:
        return "less likely on the corpus, and no experiment told them apart"
    return f"{entries[k].id} ({entries[k].kind}) gave {entries[k].scaled:.2f} where it foretells {foretold[k]:.2f}"
