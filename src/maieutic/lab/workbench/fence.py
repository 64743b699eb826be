"""Stimulus text as data: delimiters that the text cannot forge, and characters that cannot hide.

The mark of a fence is drawn from everything the text could have come from (or is random), so no text written beforehand
can hold it; one that holds it all the same has it broken up. What this does not do: decide what a reader makes of the
words inside; a model may still believe them. Scores are what exposes a label that came out of a stimulus.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from maieutic.lab.prelude import broken, fenced, visible

_LENGTH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """Delimiters of one session.

    Attributes:
        stimulus: mark of stimulus text (``<text MARK>…</text MARK>``).
        output: mark of what a program printed, in which stimulus text may stand bare.
    """

    stimulus: str
    output: str

    @classmethod
    def of(cls, *parts: str) -> Fence:
        """The fence that belongs to these contents: repeatable, yet no content can be written to hold its own digest.

        Args:
            parts: fingerprints of the corpora shown, the seed, and a random string where repeating is not wanted.
        """
        digest = hashlib.sha256("\0".join(("maieutic-fence", *parts)).encode("utf-8", "surrogatepass")).hexdigest()
        return cls(stimulus=digest[:_LENGTH], output=digest[_LENGTH : 2 * _LENGTH])

    @property
    def marks(self) -> tuple[str, str]:
        """Marks that must not stand in any text; that of stimulus text first."""
        return (self.stimulus, self.output)

    def text(self, text: str) -> str:
        """Stimulus text on one line between the delimiters, nothing in it hidden (see `prelude.plain`)."""
        return fenced(text, self.marks)

    def printed(self, output: str) -> str:
        """What a program printed, between delimiters of its own; its lines stay lines."""
        shown = broken(visible(output.replace("\r\n", "\n")), (self.output,))
        return f"<output {self.output}>\n{shown.rstrip()}\n</output {self.output}>"
