"""What a causal model has read of a text, kept, so that passes which differ at the last token only cost one token each.

Values at a token depend on it and on those before it. A change at the last token therefore leaves alone what attention kept of
the others (keys and values, layer by layer), and one text can be continued by many changed last tokens at once.

Not every language model is causal: some look both ways over a prompt. So the first text of a subject is read in both ways, and
where they differ callers read whole texts, as they do for models that keep something else than keys and values (recurrent
states, compressed caches).

What this module does not do: keep what was read between calls.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

#: last tokens of one pass, at most and at least, and the tokens before them that they have copies of, all together
_MOST, _LEAST, _COPIED = 64, 4, 4096
#: layers of transformers' caches that hold keys and values of tokens, and nothing that is changed in place
_PLAIN = ("DynamicLayer", "DynamicSlidingWindowLayer")


def alike(found: Tensor, wanted: Tensor) -> bool:
    """Whether two rows of logits are the same but for rounding, which half precision does a thousand times as much of."""
    near = 1e-3 if wanted.dtype == torch.float32 else 0.03
    return bool((found.float() - wanted.float()).abs().max() <= near * wanted.float().abs().max())


def rows_of(before: int) -> int:
    """How many last tokens one pass takes behind so many tokens: each has its own copy of the keys and values before it."""
    return max(_LEAST, min(_MOST, _COPIED // max(before, 1)))


def kept_of(said: Any, length: int) -> Any:
    """The cache in what a model said of ``length`` tokens, or ``None`` if it keeps something else."""
    cache: Any = getattr(said, "past_key_values", None)
    layers: Any = getattr(cache, "layers", None)
    if type(cache).__name__ != "DynamicCache" or not layers:
        return None
    plain = all(type(layer).__name__ in _PLAIN for layer in layers)
    return cache if plain and cache.get_seq_length() == length else None


def repeated(cache: Any, rows: int) -> Any:
    """The same cache for a batch of so many equal texts. It grows without changing the one given, whose memory it shares."""
    again = copy.copy(cache)
    again.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in again.layers:
        # layers that share another's keys hold none
        if layer.is_initialized:
            layer.keys = layer.keys.expand(rows, *layer.keys.shape[1:])
            layer.values = layer.values.expand(rows, *layer.values.shape[1:])
    return again
