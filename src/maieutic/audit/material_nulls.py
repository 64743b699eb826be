"""Units that mean nothing, as rules of a planted subject: those of an untrained network, and shuffled ones.

They stand beside planted units in one subject, so that neither name nor tokens nor harvest tells them apart. What this
module does not do: train anything; an untrained unit's values follow from its seed and the text alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from maieutic.subjects.planted import TextRule, TextView, Truth

#: sizes of the untrained network
_WIDTH, _HIDDEN, _HEADS = 32, 64, 4


@dataclass(frozen=True)
class Untrained(TextRule):
    """A neuron of a causal transformer block with random weights: attention, then one hidden layer, read after a GELU.

    ``unit``: which of its hidden neurons. Scaled such that a strong activation is about 1.
    """

    seed: int
    unit: int

    def truth(self, view: TextView) -> Truth:
        rows = [_mixed(self.seed, tuple(tokens)) for tokens in view.split(np.array(view.tokens, dtype=object))]
        z = np.concatenate([np.zeros((0, _WIDTH)), *rows]) @ _weights(self.seed)[3][:, self.unit]
        return z / (1.0 + np.exp(-1.702 * z)) / 3.0

    def say(self) -> str:
        return "nothing: nobody trained it"


@dataclass(frozen=True)
class Shuffled(TextRule):
    """The values of another rule, but at other positions of other texts.

    A text, known or new, has the values of a text of ``pool`` that its content chooses by hash, moved round by hash:
    the same values as often as before, that nothing in the text has to do with.
    """

    part: TextRule
    pool: tuple[str, ...]
    seed: int

    def truth(self, view: TextView) -> Truth:
        values = _pooled(self.part, self.pool)
        return np.concatenate([np.zeros(0), *(self._row(values, t) for t in view.split(np.array(view.tokens)))])

    def _row(self, values: NDArray[np.float64], tokens: NDArray[np.str_]) -> NDArray[np.float64]:
        digest = hashlib.sha256(f"{self.seed}:{' '.join(tokens)}".encode("utf-8", "surrogatepass")).digest()
        start = int.from_bytes(digest[:8], "big") % len(values)
        return np.resize(np.roll(values, -start), len(tokens)) if len(tokens) else np.zeros(0)

    def say(self) -> str:
        return "nothing: its values stand elsewhere"


@lru_cache(maxsize=32)
def _pooled(part: TextRule, pool: tuple[str, ...]) -> NDArray[np.float64]:
    return part.truth(TextView(pool))


@lru_cache(maxsize=4)
def _weights(seed: int) -> tuple[NDArray[np.float64], ...]:
    """Query, key, value ``[width, width]`` and the hidden layer ``[width, hidden]``."""
    rng = np.random.default_rng([seed, 71])
    square = [rng.standard_normal((_WIDTH, _WIDTH)) / np.sqrt(_WIDTH) for _ in range(3)]
    return (*square, rng.standard_normal((_WIDTH, _HIDDEN)) / np.sqrt(_WIDTH))


@lru_cache(maxsize=65536)
def _embedding(seed: int, token: str) -> NDArray[np.float64]:
    digest = hashlib.sha256(f"{seed}|{token}".encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big")).standard_normal(_WIDTH)


@lru_cache(maxsize=2048)
def _mixed(seed: int, tokens: tuple[str, ...]) -> NDArray[np.float64]:
    """What the hidden layer is given at every position of a text, ``[position, width]``; all units share it."""
    if not tokens:
        return np.zeros((0, _WIDTH))
    x = np.stack([_embedding(seed, t) for t in tokens])
    query, key, value, _ = _weights(seed)
    q, k, v = (np.stack(np.split(x @ w, _HEADS, axis=1)) for w in (query, key, value))
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(_WIDTH / _HEADS)
    scores = np.where(np.tril(np.ones((len(x), len(x)), dtype=bool)), scores, -np.inf)
    share = np.exp(scores - scores.max(axis=-1, keepdims=True))
    after = x + np.concatenate(list((share / share.sum(axis=-1, keepdims=True)) @ v), axis=1)
    return (after - after.mean(axis=1, keepdims=True)) / (after.std(axis=1, keepdims=True) + 1e-6)
