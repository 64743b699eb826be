"""How many MLP units compute a behaviour: the smallest set that keeps it when every other unit stands at its mean.

Behaviours: ``recall`` of facts that the model knows, and ``nesting``: which bracket closes. Units of all layers are ranked by
attribution (gradient of the answer's margin times activation minus mean, averaged along the way from the means), then the
number that is kept is searched for at which 90 % of the answers that were right still are. Units that are not kept write
their mean over text ("mean ablation"; Gao et al. 2025, "Weight-sparse transformers have interpretable circuits", who learn
their masks instead and find smaller circuits).

Rows of a behaviour ``B``: ``circuit.B.units``, ``.share`` of all units, ``.edges`` (non-zero weights between kept units and the
residual stream), ``.random`` (units needed when the order is drawn), ``.without`` (share still right when only the circuit stands
at its mean). ``circuit.units`` and ``circuit.edges`` are those of recall, in a corpus without facts of nesting. Circuit and
check share their questions, so this says what suffices for these, not what generalises.

What this module does not do: choose attention heads, or single weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from maieutic.readings import Reading
from maieutic.studies.regularization.asking import padded
from maieutic.studies.regularization.documents import Documents
from maieutic.studies.regularization.facts import FactsCorpus
from maieutic.studies.regularization.interpreting.material import Material, hooked
from maieutic.studies.regularization.model import Gpt
from maieutic.studies.regularization.rows import Row

BEHAVIOURS = ("recall", "nesting")
#: share of the answers that must stay right
KEPT = 0.9
#: right answers without which a behaviour is not there
FEWEST = 16
#: share of closings that a model which knows them gets right
ABLE = 0.8
#: points between the means and the activations at which gradients are taken
POINTS = 4
_MEASURES = ("units", "share", "edges", "random", "without")
_BETTER = {"units": -1, "share": -1, "edges": -1, "random": 0, "without": 0}
PAIRS = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, eq=False, kw_only=True)
class Questions:
    """Prompts with their answers.

    Attributes:
        ids: ``[row, position]``, filled up on the right. last: place of each one's last token. answers: ``[row]``.
        options: tokens that could be the answer, ``[option]``; all when ``None``.
    """

    ids: Tensor
    last: Tensor
    answers: Tensor
    options: Tensor | None = None

    def at(self, rows: Tensor) -> Questions:
        """Some rows."""
        return Questions(ids=self.ids[rows], last=self.last[rows], answers=self.answers[rows], options=self.options)

    def margins(self, model: Gpt) -> Tensor:
        """Logit of the answer minus the largest of the others, ``[row]``; above 0: right."""
        logits = model(self.ids)[torch.arange(len(self.ids)), self.last]
        if self.options is not None:
            allowed = torch.full_like(logits, -torch.inf)
            allowed[:, self.options] = 0
            logits = logits + allowed
        own = logits.gather(1, self.answers[:, None])[:, 0]
        return own - logits.scatter(1, self.answers[:, None], -torch.inf).amax(dim=1)


@dataclass(frozen=True, eq=False, kw_only=True)
class Circuit:
    """The units that suffice.

    Attributes:
        kept: bool ``[layer, unit]``. right: share still right with them. without: with all others but not with them.
    """

    kept: Tensor
    right: float
    without: float

    @property
    def units(self) -> int:
        """How many."""
        return int(self.kept.sum())


# --- questions -------------------------------------------------------------------------------------------------------


def recall_questions(material: Material) -> Questions | str:
    """Questions for facts that the model answers right, or why there are none."""
    corpus = material.corpus
    if not isinstance(corpus, FactsCorpus):
        return f"the corpus {corpus.name} has no facts to ask for"
    facts = [f for f in corpus.facts if material.facts is None or f.index in material.facts]
    order = np.random.default_rng(material.seed).permutation(len(facts))
    prompts = [corpus.prompt(facts[n]) for n in order]
    if not prompts:
        return "no fact is known to all compared models"
    ids, last = padded(prompts)
    return _right(material, Questions(ids=ids, last=last, answers=torch.tensor([p.answer for p in prompts])))


def nesting_questions(material: Material) -> Questions | str:
    """Texts that go on with a closing bracket, each kind equally often, or why there are none."""
    words = [w.strip() for w in material.corpus.words]
    closing = {n: w for n, w in enumerate(words) if w in PAIRS.values()}
    found = closings(material.documents, words)
    kinds = [np.array([k for k, (r, p) in enumerate(found) if material.documents.ids[r, p + 1] == c]) for c in closing]
    kinds = [k for k in kinds if len(k)]
    if len(kinds) < 2:
        return "the corpus has no two kinds of brackets to tell apart"
    rng = np.random.default_rng(material.seed)
    each = min(min(map(len, kinds)), max(material.plan.asked // len(kinds), 1) * 2)
    chosen = [found[int(k)] for kind in kinds for k in np.sort(rng.permutation(kind)[:each])]
    width = material.documents.ids.shape[1] - 1
    ids = torch.zeros(len(chosen), width, dtype=torch.long)
    for n, (row, place) in enumerate(chosen):
        ids[n, : place + 1] = torch.as_tensor(material.documents.ids[row, : place + 1])
    answers = torch.tensor([int(material.documents.ids[r, p + 1]) for r, p in chosen])
    asked = Questions(
        ids=ids, last=torch.tensor([p for _, p in chosen]), answers=answers,
        options=torch.tensor(sorted({int(a) for a in answers})),
    )  # fmt: skip
    with torch.no_grad():
        able = float((asked.margins(material.model) > 0).float().mean())
    if able < ABLE:
        return f"the model closes {able:.0%} of the brackets right, and {ABLE:.0%} show that it can"
    return _right(material, asked)


def closings(documents: Documents, words: list[str]) -> list[tuple[int, int]]:
    """(document, position) before every bracket that closes the innermost one open, outside of all that is closed wrong."""
    found: list[tuple[int, int]] = []
    rows: list[list[int]] = documents.ids.tolist()
    for row, ids in enumerate(rows):
        waiting: list[str] = []  # what would close each bracket that is open
        for place, token in enumerate(ids):
            word = words[token]
            if word in PAIRS:
                waiting.append(PAIRS[word])
            elif waiting and word == waiting[-1]:
                waiting.pop()
                found.append((row, place - 1))
    return found


def _right(material: Material, asked: Questions) -> Questions | str:
    """Those that the model answers right, as many as the plan asks."""
    with torch.no_grad():
        rows = torch.nonzero(asked.margins(material.model) > 0)[:, 0]
    if len(rows) < FEWEST:
        return f"the model answers {len(rows)} questions right, and {FEWEST} are needed"
    if len(rows) > material.plan.asked:
        spread = torch.linspace(0, len(rows) - 1, material.plan.asked).round().long()
        rows = rows[spread]
    return asked.at(rows)


# --- circuits --------------------------------------------------------------------------------------------------------


def attributions(model: Gpt, asked: Questions, means: Mapping[str, Tensor], *, points: int = POINTS) -> Tensor:
    """What each unit adds to the margin of an answer beside its mean, ``[question, layer, unit]``.

    Gradients are averaged over ``points`` places half-way along equal steps from all units at their means to none; ``points``
    1 with the activations themselves would be the plain gradient.
    """
    sites = list(means)
    full: dict[str, Tensor] = {}
    with torch.no_grad(), hooked(model, sites, lambda s, out: full.__setitem__(s, out)):
        asked.margins(model)
    total = torch.zeros(len(asked.ids), len(sites), next(iter(means.values())).shape[0])
    for n in range(points):
        share, seen = (n + 0.5) / points, dict[str, Tensor]()

        def between(site: str, out: Tensor, share: float = share, seen: dict[str, Tensor] = seen) -> Tensor:
            moved = means[site] + share * (out - means[site])
            seen[site] = moved if moved.requires_grad else moved.requires_grad_()
            return seen[site]

        with torch.enable_grad(), hooked(model, sites, between):
            grads = torch.autograd.grad(asked.margins(model).sum(), [seen[s] for s in sites])
        for layer, (site, grad) in enumerate(zip(sites, grads, strict=True)):
            total[:, layer] += (grad * (full[site] - means[site])).sum(dim=1) / points
    return total


@torch.no_grad()
def share_right(model: Gpt, asked: Questions, kept: Tensor, means: Mapping[str, Tensor]) -> float:
    """Share of the questions that are answered right with only some units, ``kept`` bool ``[layer, unit]``."""
    rows = dict(zip(means, kept, strict=True))
    with hooked(model, list(means), lambda s, out: torch.where(rows[s], out, means[s])):
        return float((asked.margins(model) > 0).float().mean())


def smallest(order: Tensor, enough: Callable[[int], bool]) -> int:
    """A least number of units in an order that are enough; all of them are taken to be.

    Tried in doublings from none, then bisected: a unit more can also do harm, and this finds the small sets first.
    """
    below, found = -1, 0
    while found < len(order) and not enough(found):
        below, found = found, min(max(1, 2 * found), len(order))
    while found - below > 1:
        middle = (below + found) // 2
        below, found = (below, middle) if enough(middle) else (middle, found)
    return found


def find_circuit(
    model: Gpt, asked: Questions, means: Mapping[str, Tensor], *, order: Tensor | None = None, share: float = KEPT
) -> Circuit:
    """The smallest first part of a ranking of units that keeps ``share`` of right answers right.

    Two rankings are tried, by mean attribution and by mean magnitude of it: behind a LayerNorm units that many answers lean on,
    some up and some down, are needed as well. The smaller circuit counts.

    Args:
        means: of each unit over text, by hook point, ``[unit]``.
        order: indices into ``[layer * unit]``; the two by attribution when not given.
    """
    shape = (len(means), next(iter(means.values())).shape[0])
    if order is None:
        added = attributions(model, asked, means).flatten(1)
        orders = [x.argsort(descending=True, stable=True) for x in (added.mean(dim=0), added.abs().mean(dim=0))]
    else:
        orders = [order]

    def first(ranking: Tensor, count: int) -> Tensor:
        kept = torch.zeros(shape[0] * shape[1], dtype=torch.bool)
        kept[ranking[:count]] = True
        return kept.view(shape)

    def enough(ranking: Tensor) -> Callable[[int], bool]:
        return lambda count: share_right(model, asked, first(ranking, count), means) >= share

    tried = [first(ranking, smallest(ranking, enough(ranking))) for ranking in orders]
    kept = min(tried, key=lambda k: int(k.sum()))
    return Circuit(
        kept=kept, right=share_right(model, asked, kept, means), without=share_right(model, asked, ~kept, means)
    )


def edges(model: Gpt, kept: Tensor) -> int:
    """Weights that are not 0 between kept units and the residual stream."""
    counts = [
        int(mlp.up.weight[own].count_nonzero()) + int(mlp.down.weight[:, own].count_nonzero())
        for mlp, own in zip(model.mlps(), kept, strict=True)
    ]
    return sum(counts)


def unit_means(material: Material) -> dict[str, Tensor]:
    """Mean of what every unit writes, behind any extra LayerNorm, over discover; by hook point."""
    places = material.truths.places["discover"]
    found: dict[str, Tensor] = {}
    for act in material.acts:
        norm = act.replace(".act", ".norm")
        # without a LayerNorm the module there hands on what it gets
        values = material.values[norm if norm in material.values else act]
        found[norm] = torch.from_numpy(values[places].mean(axis=0, dtype=np.float64)).float()
    return found


# --- rows ------------------------------------------------------------------------------------------------------------


def circuit_rows(material: Material) -> list[Row]:
    """All rows of this module; a behaviour that the model does not have is unmeasured.

    Cost: about 1 CPU second a behaviour at the presets' shape, more where more random orders are tried.
    """
    asked = {"recall": recall_questions(material), "nesting": nesting_questions(material)}
    means = unit_means(material)
    found: list[Reading] = []
    for name in BEHAVIOURS:
        found += _readings(material, name, asked[name], means)
    # the headline is the behaviour that the corpus is about
    main = "recall" if isinstance(material.corpus, FactsCorpus) else "nesting"
    for measure in ("units", "edges"):
        own = next(r for r in found if r.name == f"circuit.{main}.{measure}")
        found.append(replace(own, name=f"circuit.{measure}", details={**own.details, "behaviour": main}))
    return [_row(r) for r in found]


def _row(reading: Reading) -> Row:
    better = _BETTER[reading.name.rsplit(".", 1)[1]]
    assert better in (-1, 0, 1)
    return Row(about="interpretability", measure=reading.name, reading=reading, better=better)


def _readings(material: Material, name: str, asked: Questions | str, means: Mapping[str, Tensor]) -> list[Reading]:
    if isinstance(asked, str):
        return [Reading.unmeasured(f"circuit.{name}.{m}", asked) for m in _MEASURES]
    model, found = material.model, find_circuit(material.model, asked, means)
    drawn = torch.Generator().manual_seed(material.seed)
    orders = [torch.randperm(found.kept.numel(), generator=drawn) for _ in range(material.plan.orders)]
    random = [find_circuit(model, asked, means, order=o).units for o in orders]
    values = {
        "units": found.units,
        "share": found.units / found.kept.numel(),
        "edges": edges(model, found.kept),
        "random": float(np.mean(random)),
        "without": found.without,
    }
    details = {"right": found.right, "kept": KEPT, "by layer": found.kept.sum(dim=1).tolist()}
    return [
        Reading(name=f"circuit.{name}.{m}", value=float(v), n=len(asked.ids), details=details)
        for m, v in values.items()
    ]
