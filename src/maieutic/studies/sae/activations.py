"""What an SAE is trained on: activations of a subject at a site over the discover split, streamed in chunks of whole texts.

Texts stand in a seeded order, taken until there are enough tokens. A chunk is read from the model the first time it is asked for
and, while there is room, kept in a file; later it comes from there. Passes are deterministic, so both give the same numbers,
and a run that was killed goes on with what it had.

Positions of the prefix (an attention sink with outlier activations) are not among them, as in every harvest. What this module
does not do: read the other splits, or keep more than one chunk in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UsageError, UserError
from maieutic.progress import Report, silent
from maieutic.stimuli import Corpus, Stimulus
from maieutic.stimuli.base import Split
from maieutic.store import writing
from maieutic.subjects import Subject, plan_batches

if TYPE_CHECKING:
    import torch

Rows = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Activations:
    """Chunks of activations.

    Attributes:
        subject, site: where they are read.
        chunks: texts of each. lengths: their positions.
        folder: where chunks are kept; ``None``: nowhere.
        keep: how many of the first chunks are kept.
    """

    subject: Subject
    site: str
    chunks: tuple[tuple[Stimulus, ...], ...]
    lengths: tuple[tuple[int, ...], ...]
    folder: Path | None = None
    keep: int = 0

    @property
    def hidden(self) -> int:
        """Width of the site."""
        width = self.subject.site(self.site).width
        assert width is not None
        return width

    @property
    def sizes(self) -> tuple[int, ...]:
        """Positions of each chunk."""
        return tuple(sum(own) for own in self.lengths)

    @property
    def tokens(self) -> int:
        """Positions of all chunks."""
        return sum(self.sizes)

    def fetch(self, *, report: Report = silent) -> None:
        """Read what there is room for, chunk by chunk; what is there already is left alone."""
        for number in range(min(self.keep, len(self.chunks))):
            if self.folder is not None and not self._file(number).is_file():
                self.rows(number, report=report)

    def _file(self, number: int) -> Path:
        assert self.folder is not None
        return self.folder / f"{number:05d}.npy"

    def rows(self, number: int, *, report: Report = silent) -> Rows:
        """Activations of a chunk, float32 ``[position, hidden]``.

        Raises:
            UserError: the model gives values that are not finite.
        """
        file = None if self.folder is None or number >= self.keep else self._file(number)
        if file is not None and file.is_file():
            found: Rows = np.load(file, allow_pickle=False)
            if found.shape == (self.sizes[number], self.hidden):
                return found
        made = read_rows(self.subject, self.site, self.chunks[number], self.lengths[number], report=report)
        if file is not None:
            with writing(file) as temporary, temporary.open("wb") as opened:
                np.save(opened, made)
        return made


def gather(
    subject: Subject,
    corpus: Corpus,
    site: str,
    *,
    tokens: int,
    chunk: int,
    seed: int,
    split: Split = "discover",
    folder: Path | None = None,
    cache: int = 0,
) -> Activations:
    """Choose the texts. Cost: their tokens are counted, and nothing is passed through the model.

    Args:
        subject, site: where activations are read.
        corpus: of texts. split: which part of it.
        tokens: positions to take; fewer where the split has no more. chunk: positions in memory at once.
        seed: of the order.
        folder, cache: where chunks are kept, and how many bytes of them.

    Raises:
        UsageError: pictures, a site without a width, or an empty split.
    """
    if subject.modality != "text":
        raise UsageError(f"{subject.name} reads images: SAEs are trained on texts here; bring one trained elsewhere")
    width = subject.site(site).width
    if width is None:
        raise UsageError(f"{site} does not say how many units it has: choose another site")
    texts = sorted(corpus.split(split), key=lambda s: s.id)
    chunks: list[list[Stimulus]] = [[]]
    lengths: list[list[int]] = [[]]
    total = 0
    for i in np.random.default_rng([seed, 11]).permutation(len(texts)).tolist():
        if total >= tokens:
            break
        own = len(subject.tokens(texts[i].content))
        if own:
            if lengths[-1] and sum(lengths[-1]) + own > chunk:
                chunks.append([])
                lengths.append([])
            chunks[-1].append(texts[i])
            lengths[-1].append(own)
            total += own
    if not total:
        raise UsageError(f"the {split} split of {corpus.name} is empty: give a larger corpus")
    return Activations(
        subject=subject, site=site, chunks=tuple(map(tuple, chunks)), lengths=tuple(map(tuple, lengths)), folder=folder,
        keep=cache // (4 * width * min(chunk, total)),
    )  # fmt: skip


def read_rows(
    subject: Subject, site: str, texts: Sequence[Stimulus], lengths: Sequence[int], *, report: Report = silent
) -> Rows:
    """What stands at a site at every position of some texts, text after text: float32 ``[position, hidden]``.

    Raises:
        UserError: the model gives values that are not finite.
    """
    parts: list[Rows] = [np.zeros((0, 0), np.float32)] * len(texts)

    def taker(batch: Sequence[int]) -> Callable[[str, torch.Tensor, Sequence[int], Sequence[int]], None]:
        def take(_site: str, values: torch.Tensor, places: Sequence[int], real: Sequence[int]) -> None:
            for row, (place, n) in enumerate(zip(places, real, strict=True)):
                # a copy: later layers may write into what stands there
                parts[batch[place]] = values[row, :n].float().cpu().numpy().copy()

        return take

    done = 0
    with report("activations", site) as step:
        for batch in plan_batches(lengths, subject.per_pass):
            subject.stream([texts[i].content for i in batch], [site], taker(batch))
            done += len(batch)
            step(done, len(texts))
    rows = np.concatenate(parts)
    if not np.isfinite(rows).all():
        raise UserError(
            f"{subject.name} gives values at {site} that are not finite: choose another site, or float32 weights"
        )
    return rows
