"""How good an SAE is, on held-out text, beside PCA of the same size and random weights.

* ``fvu``: squared error of x' as a share of the variance of x, over all positions: 0 perfect, 1 no better than the mean.
  A few positions with very large activations can decide it, so ``fvu_each`` is the same for each position, averaged.
* ``l0``: latents active at a position, on average. ``dead``: share of latents that are never active on that text.
* ``recovered``: how much of the harm of setting the site to zero is undone when x' stands there instead:
  (loss at zero - loss with x') / (loss at zero - loss untouched), cross-entropy of the next token.

Beside it, each with the SAE's ``l0`` numbers a position: ``pca`` the first components, ``pca-top`` the largest coefficients of
each position (a dictionary of all components), ``random`` the same architecture with random weights. Mean and components
come from the discover split, everything that is told from the split that is asked for (``select``; the test split stays unseen by
whoever chooses among SAEs). Intervals are over documents. What this module does not do: train, or judge single latents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from maieutic.progress import Report, silent
from maieutic.readings import FloatArray, Reading, cluster_weights, from_sums, wilson
from maieutic.stimuli import Corpus
from maieutic.stimuli.base import Split
from maieutic.studies.sae.activations import Activations, Rows, gather
from maieutic.studies.sae.loss import Replace, token_losses
from maieutic.subjects import LanguageSubject, Subject
from maieutic.subjects.lenses.sae import Sae

#: positions of the discover split that mean and components come from
BASIS = 16_384
#: positions that pass through an SAE at once
_AT_ONCE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What was measured.

    Attributes:
        readings: by reconstruction (``sae`` first) and name.
        dead: share of latents that are never active. loss: untouched and at zero.
        tokens: positions behind the variance. loss_tokens: behind the losses. documents: of them.
        split: which part of which corpus.
        k: numbers a position that PCA was given.
    """

    readings: Mapping[str, Mapping[str, Reading]]
    dead: Reading
    loss: Mapping[str, Reading]
    tokens: int
    loss_tokens: int
    documents: int
    corpus: str
    split: str
    k: int

    def to_json(self) -> dict[str, Any]:
        return {
            "corpus": self.corpus, "split": self.split, "tokens": self.tokens, "loss_tokens": self.loss_tokens,
            "documents": self.documents, "k": self.k, "dead": self.dead.to_json(),
            "loss": {n: r.to_json() for n, r in self.loss.items()},
            "readings": {w: {n: r.to_json() for n, r in own.items()} for w, own in self.readings.items()},
        }  # fmt: skip

    def lines(self) -> list[str]:
        """In words, a line each."""
        told = [
            f"{self.corpus}, {self.split} split: {self.tokens:,} tokens of {self.documents} documents, "
            f"{self.loss_tokens:,} of them for the loss",
            f"dead latents: {self.dead}",
            *(f"loss, {n}: {r}" for n, r in self.loss.items()),
        ]
        for what, own in self.readings.items():
            told += [f"{what:8} {name:10} {reading}" for name, reading in own.items()]
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
    """A way to put activations into few numbers and back: ``active`` counts them, ``[...]``."""

    name: str
    put: Replace
    active: Callable[[Tensor], Tensor]


def measure_sae(
    subject: Subject,
    sae: Sae,
    site: str,
    corpus: Corpus,
    *,
    split: Split = "select",
    tokens: int = 32_768,
    loss_tokens: int = 8192,
    seed: int = 0,
    report: Report = silent,
) -> Metrics:
    """Measure an SAE.

    Args:
        subject: the model. sae: its numbers. site: where it stands.
        corpus: texts. split: which part is told about.
        tokens: positions for the variance. loss_tokens: for the losses.
        seed: of the choice of texts, of the random weights and of the bootstrap.
        report: called with progress.

    Cost: ``tokens + 16,384`` positions up to the site, and six whole passes over ``loss_tokens``.

    Raises:
        UserError: pictures, an empty split, or activations that are not finite.
    """
    basis = gather(subject, corpus, site, tokens=BASIS, chunk=BASIS, seed=seed).rows(0, report=report)
    held = gather(subject, corpus, site, tokens=tokens, chunk=max(tokens, 1) + 4096, seed=seed + 1, split=split)
    rows = held.rows(0, report=report)
    x = torch.from_numpy(rows)
    active = _mean_active(sae, x)
    k = min(max(round(active), 1), held.hidden)
    codes = (_sae_code("sae", sae), *_pca(basis, k), _sae_code("random", sae.random(seed, centre=_mean_of(basis))))
    groups = [t.group or t.id for t in held.chunks[0]]
    number = {g: i for i, g in enumerate(sorted(set(groups)))}
    clusters = np.repeat([number[g] for g in groups], held.lengths[0]).astype(np.int64)
    readings = {c.name: _reconstructed(c, x, clusters, len(number), seed) for c in codes}
    loss, recovered, scored = _losses(subject, held, codes, loss_tokens, seed, report)
    return Metrics(
        readings={n: {**own, **recovered[n]} for n, own in readings.items()}, dead=_dead(sae, x), loss=loss,
        tokens=len(rows), loss_tokens=scored, documents=len(number), corpus=corpus.name, split=split, k=k,
    )  # fmt: skip


def _sae_code(name: str, sae: Sae) -> _Code:
    return _Code(name=name, put=sae.reconstruct, active=lambda x: (sae.encode(x) > 0).sum(dim=-1))


def _pca(basis: Rows, k: int) -> tuple[_Code, _Code]:
    """The first k components, and the k largest coefficients of each position."""
    mean, components = principal(basis)
    first, every, centre = torch.from_numpy(components[:k]), torch.from_numpy(components), torch.from_numpy(mean)

    def top(x: Tensor) -> Tensor:
        seen = (x - centre) @ every.T
        places = seen.abs().topk(k, dim=-1).indices
        return torch.zeros_like(seen).scatter_(-1, places, seen.gather(-1, places)) @ every + centre

    def number(x: Tensor) -> Tensor:
        return torch.full(x.shape[:-1], k)

    plain = _Code(name="pca", put=lambda x: (x - centre) @ first.T @ first + centre, active=number)
    return plain, _Code(name="pca-top", put=top, active=number)


def principal(rows: Rows) -> tuple[Rows, Rows]:
    """Mean ``[hidden]`` and principal components ``[component, hidden]``, the largest variance first.

    Signs are such that the largest entry of each is positive.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    centred = rows - mean
    _, vectors = np.linalg.eigh(centred.T @ centred)
    found = vectors.T[::-1]
    signs = np.sign(found[np.arange(len(found)), np.abs(found).argmax(axis=1)])
    return mean.astype(np.float32), np.ascontiguousarray(found * signs[:, None], np.float32)


def _mean_of(rows: Rows) -> Tensor:
    return torch.from_numpy(rows.mean(axis=0, dtype=np.float64).astype(np.float32))


def _mean_active(sae: Sae, x: Tensor) -> float:
    return sum(float((sae.encode(p) > 0).sum()) for p in x.split(_AT_ONCE)) / len(x)


def _dead(sae: Sae, x: Tensor) -> Reading:
    seen = torch.zeros(sae.latents, dtype=torch.bool)
    for part in x.split(_AT_ONCE):
        seen |= (sae.encode(part) > 0).any(dim=0)
    dead = sae.latents - int(seen.sum())
    low, high = wilson(dead, sae.latents)
    details = {"interval": "Wilson, over latents", "tokens": len(x)}
    return Reading(name="dead", value=dead / sae.latents, low=low, high=high, n=sae.latents, details=details)


def _reconstructed(code: _Code, x: Tensor, clusters: np.ndarray, documents: int, seed: int) -> dict[str, Reading]:
    """Errors and sizes of one code."""
    mean = x.mean(dim=0)
    errors, spread, active = (np.zeros(len(x)) for _ in range(3))
    for start in range(0, len(x), _AT_ONCE):
        part, at = x[start : start + _AT_ONCE], slice(start, start + _AT_ONCE)
        errors[at] = (part - code.put(part)).double().square().sum(dim=-1).numpy()
        spread[at] = (part - mean).double().square().sum(dim=-1).numpy()
        active[at] = code.active(part).numpy()
    weights = cluster_weights(documents, seed=seed)
    each = errors / np.maximum(spread, 1e-30)
    columns = np.stack([errors, spread, each, active, np.ones(len(x))], axis=1)

    def share(top: int, bottom: int) -> Callable[[FloatArray], FloatArray]:
        return lambda sums: sums[..., top] / sums[..., bottom]

    return {
        name: from_sums(columns, share(*of), clusters=clusters, weights=weights).reading(name, n=len(x))
        for name, of in (("fvu", (0, 1)), ("fvu_each", (2, 4)), ("l0", (3, 4)))
    }


def _losses(
    subject: Subject, held: Activations, codes: Sequence[_Code], most: int, seed: int, report: Report
) -> tuple[dict[str, Reading], dict[str, dict[str, Reading]], int]:
    """Losses untouched and at zero; of each code its loss and what it recovers; tokens scored."""
    if not isinstance(subject, LanguageSubject):
        why = f"{subject.name} says no tokens, so it has no loss on texts"
        none = {n: Reading.unmeasured(n, why) for n in ("untouched", "zero")}
        return none, {c.name: {"recovered": Reading.unmeasured("recovered", why)} for c in codes}, 0
    ways: dict[str, Replace | None] = {"untouched": None, "zero": torch.zeros_like, **{c.name: c.put for c in codes}}
    rows: list[FloatArray] = []
    groups: list[str] = []
    scored, texts = 0, list(zip(held.chunks[0], held.lengths[0], strict=True))
    with report("loss", held.site) as step:
        for text, length in texts:
            if scored >= most:
                break
            losses = np.stack([token_losses(subject, held.site, text.content, put) for put in ways.values()], axis=1)
            rows.append(losses)
            groups += [text.group or text.id] * len(losses)
            scored += length
            step(min(scored, most), most)
    names, clusters = np.unique(groups, return_inverse=True)
    columns = np.concatenate([np.concatenate(rows), np.ones((len(groups), 1))], axis=1)
    weights = cluster_weights(len(names), seed=seed)

    def reading(name: str, statistic: Callable[[FloatArray], FloatArray]) -> Reading:
        found = from_sums(columns, statistic, clusters=clusters.astype(np.int64), weights=weights)
        return found.reading(name, n=len(groups), undefined="setting the site to zero does no harm")

    def mean(i: int) -> Callable[[FloatArray], FloatArray]:
        return lambda sums: sums[..., i] / sums[..., -1]

    def undone(i: int) -> Callable[[FloatArray], FloatArray]:
        def share(sums: FloatArray) -> FloatArray:
            harm = sums[..., 1] - sums[..., 0]
            return np.where(harm > 0, (sums[..., 1] - sums[..., i]) / harm, np.nan)

        return share

    plain = {name: reading(name, mean(i)) for i, name in enumerate(ways) if i < 2}
    own = {
        c.name: {"loss": reading("loss", mean(i)), "recovered": reading("recovered", undone(i))}
        for i, c in enumerate(codes, start=2)
    }
    return plain, own, len(groups)
