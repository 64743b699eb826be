"""Which stimuli can be read: those that do not load, or for which the subject gives no finite values, are left out and counted.

A batch that fails is repeated one stimulus at a time, so that a bad one costs itself only. Errors of use (an unknown site) and
errors that are no ``UserError`` pass through: they say something about the program and not about a stimulus.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from maieutic.errors import UsageError, UserError
from maieutic.stimuli.base import Stimulus
from maieutic.subjects.base import Subject, Unit, Values

#: with more than this share left out there is nothing to go on with; looked at early once so many were lost
MOST_LOST, EARLY = 0.5, 50


@dataclass(kw_only=False)
class Readable:
    """Keeps count of what could not be read.

    Attributes:
        subject: name, for messages.
        failed: stimulus id -> why.
        read_so_far: stimuli read since this was made.
    """

    subject: str
    failed: dict[str, str] = field(default_factory=dict[str, str])
    read_so_far: int = 0

    def content(self, stimulus: Stimulus) -> Any:
        """The content, or ``None`` after noting why it cannot be had."""
        try:
            return stimulus.content
        except Exception as error:  # loaders may be anyone's: a missing file, a damaged picture, a lost connection
            self.failed[stimulus.id] = f"it did not load ({line(error)})"
            return None

    def read(self, subject: Subject, stimuli: Sequence[Stimulus], unit: Unit) -> dict[int, Values]:
        """Values ``[position]`` of one unit by place in ``stimuli``; what cannot be read is left out."""
        loaded = [i for i, s in enumerate(stimuli) if self.content(s) is not None]
        parts = self._passes(loaded, stimuli, lambda chosen: subject.read([stimuli[i] for i in chosen], [unit]))
        return {i: v[:, 0] for chosen, values in parts for i, v in zip(chosen, values, strict=True)}

    def check_early(self) -> None:
        """Stop before the end once very many were left out; see ``check``."""
        if len(self.failed) >= EARLY:
            self.check(len(self.failed) + self.read_so_far)

    def check(self, total: int, *, discover: Sequence[Stimulus] | None = None) -> None:
        """Stop when most of the stimuli, or all that are for discovering, were left out.

        Raises:
            UserError: how many, and why the first.
        """
        nothing = discover is not None and all(s.id in self.failed for s in discover)
        if self.failed and (len(self.failed) > MOST_LOST * max(total, 1) or nothing):
            stimulus, why = next(iter(self.failed.items()))
            raise UserError(
                f"{self.subject}: {len(self.failed)} of {max(total, len(self.failed))} stimuli could not be read, the first "
                f"({stimulus[:12]}) because {why}: fix the model or the files, or leave these stimuli out"
            )

    def _passes(
        self, places: list[int], stimuli: Sequence[Stimulus], run: Callable[[list[int]], Any]
    ) -> list[tuple[list[int], Any]]:
        """The results of one pass, or of single ones when it failed."""
        if not places:
            return []
        try:
            return [(places, run(places))]
        except UsageError:
            raise
        except UserError as error:
            if len(places) == 1:
                self.failed[stimuli[places[0]].id] = f"the subject could not read it ({line(error)})"
                return []
        return [part for i in places for part in self._passes([i], stimuli, run)]


def line(error: BaseException) -> str:
    """An error as one line; what is no error of the user is named by its type."""
    text = " ".join(str(error).split()) or "no message"
    return text[:300] if isinstance(error, UserError) else f"{type(error).__name__}: {text}"[:300]
