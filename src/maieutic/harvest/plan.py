"""What is read in which order: batches of like length, and shards, which are fixed ranges of batches.

Both depend on the corpus and the batch size alone, never on time, on who works or on how many do. How a corpus is cut into
shards changes no byte of a harvest, only how much is lost when one is interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from maieutic.stimuli.base import SPLITS, Corpus, Split, Stimulus
from maieutic.subjects.reading import plan_batches

#: good enough to plan batches by, without tokenising twice
CHARACTERS_PER_TOKEN = 4
#: positions of a shard: about 15 s of a small model on one core
SHARD_TOKENS, SHARD_IMAGES = 8192, 256
#: a shard's summaries are kept and merged, so a shard of many units has more positions: one for so many units
UNITS_PER_TOKEN, UNITS_PER_IMAGE = 2, 32


@dataclass(frozen=True, slots=True)
class Batch:
    """Stimuli of one split (corpus indices) that may go through together, and their positions, roughly."""

    split: Split
    stimuli: tuple[int, ...]
    positions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A job: which batches, by number."""

    number: int
    batches: tuple[Batch, ...]

    @property
    def stimuli(self) -> int:
        """How many."""
        return sum(len(b.stimuli) for b in self.batches)


def plan(
    corpus: Corpus, *, batch_size: int, everything: bool, content: Callable[[Stimulus], Any | None]
) -> list[Batch]:
    """Batches of one split each, stimuli of like length together; the same for the same corpus.

    Args:
        corpus: texts are loaded here, to know their lengths.
        batch_size: most stimuli in a batch.
        everything: all three splits, or discover alone.
        content: gives a stimulus' content, or ``None`` where it cannot be had: then it is left out.
    """
    out: list[Batch] = []
    for split in SPLITS if everything else SPLITS[:1]:
        chosen = [i for i, s in enumerate(corpus.stimuli) if s.split == split]
        lengths = [1] * len(chosen)
        if corpus.modality == "text":
            texts = {i: text for i in chosen if (text := content(corpus[i])) is not None}
            chosen = list(texts)
            lengths = [len(text) // CHARACTERS_PER_TOKEN + 1 for text in texts.values()]
        for places in plan_batches(lengths, batch_size):
            out.append(Batch(split, tuple(chosen[j] for j in places), sum(lengths[j] for j in places)))
    return out


def shards(batches: Sequence[Batch], *, modality: str, units: int) -> list[Shard]:
    """Ranges of batches of about `SHARD_TOKENS` tokens or `SHARD_IMAGES` images, more where there are many units."""
    text = modality == "text"
    size = max(SHARD_TOKENS, units // UNITS_PER_TOKEN) if text else max(SHARD_IMAGES, units // UNITS_PER_IMAGE)
    out: list[Shard] = []
    collected: list[Batch] = []
    for n, batch in enumerate(batches):
        collected.append(batch)
        if sum(b.positions for b in collected) >= size or n == len(batches) - 1:
            out.append(Shard(number=len(out), batches=tuple(collected)))
            collected = []
    return out
