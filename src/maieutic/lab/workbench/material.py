"""Stimuli at the workbench: contents that come in by value, and the stimuli they are.

A text or picture that was handed out before is recognised by its content id, so that a scene keeps its exact edits and an
edited text its original. Stimuli of the test split are refused, whoever holds them. What this does not do: find
paraphrases of test stimuli or crops of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from maieutic.errors import UserError
from maieutic.stimuli.base import Corpus, Stimulus
from maieutic.stimuli.scenes import image_id
from maieutic.stimuli.texts import text_id, text_stimulus
from maieutic.subjects.base import Modality

#: largest side of a picture, and characters of a text, that are taken (those of the corpus may be larger)
LARGEST, LONGEST = 1024, 20_000
#: bytes of pictures and texts that a session may bring along or have made
ROOM = 512 << 20
#: bytes that a stimulus made by a tool counts as (it is drawn when it is needed)
_MADE = 200_000


@dataclass(kw_only=True)
class Material:
    """Everything shown so far, by content id.

    Attributes:
        corpora: whose test stimuli are refused.
        known: stimuli handed out or measured.
        kind: how each was made (``exemplar``, ``imagine``, ``substitute`` ...; ``own``: given by whoever asks).
        parent: id of the stimulus that another was edited from.
    """

    corpora: Sequence[Corpus]
    known: dict[str, Stimulus] = field(default_factory=dict[str, Stimulus])
    kind: dict[str, str] = field(default_factory=dict[str, str])
    parent: dict[str, str] = field(default_factory=dict[str, str])
    _held: int = 0

    def remember(self, stimulus: Stimulus, kind: str, *, parent: str | None = None, size: int = _MADE) -> Stimulus:
        """Keep a stimulus under its id; the first way it was made stays.

        Raises:
            UserError: it belongs to the test split, or the session holds too much.
        """
        self._refuse_test(stimulus)
        if stimulus.id not in self.known:
            if kind != "exemplar":
                self._held += size
                if self._held > ROOM:
                    raise UserError(f"this session has shown and made more than {ROOM >> 20} MiB: submit what you know")
            self.known[stimulus.id] = stimulus
            self.kind[stimulus.id] = kind
            if parent is not None and parent != stimulus.id:
                self.parent[stimulus.id] = parent
        return self.known[stimulus.id]

    def take(self, content: Any, modality: Modality) -> Stimulus:
        """The stimulus of a text or a PIL image.

        Raises:
            UserError: of the other modality, too large, empty, or of the test split.
        """
        if modality == "text":
            return self._text(content)
        return self._image(content)

    def _text(self, content: Any) -> Stimulus:
        if not isinstance(content, str):
            raise UserError(f"this unit reads texts, not {type(content).__name__}: give strings")
        if not content or len(content) > LONGEST:
            raise UserError(f"a text has 1 to {LONGEST:,} characters, not {len(content):,}: give another")
        known = self.known.get(text_id(content))
        return known or self.remember(
            text_stimulus(content, group=f"made {text_id(content)[:12]}"), "own", size=len(content)
        )

    def name(self, content: Any) -> str:
        """Content id of a picture given by value; nothing is kept.

        Raises:
            UserError: it is none.
        """
        return image_id(_picture(content))

    def _image(self, content: Any) -> Stimulus:
        picture = _picture(content)
        digest = image_id(picture)
        if digest in self.known:
            return self.known[digest]
        if min(picture.size) < 1 or max(picture.size) > LARGEST:
            raise UserError(f"a picture has sides of 1 to {LARGEST} pixels, not {picture.size}: resize it")
        made = Stimulus(id=digest, modality="image", load=lambda: picture, group=f"made {digest[:12]}")
        return self.remember(made, "own", size=3 * picture.width * picture.height)

    def _refuse_test(self, stimulus: Stimulus) -> None:
        names = {stimulus.id, _normal(stimulus)} if stimulus.modality == "text" else {stimulus.id}
        if stimulus.split == "test" or names & self._hidden:
            raise UserError("that stimulus belongs to the test split, which only scorers see: show another")

    @cached_property
    def _hidden(self) -> frozenset[str]:
        """Ids of the test stimuli; of texts also their normal forms."""
        test = {s.id: s for corpus in self.corpora for s in corpus.split("test")}
        return frozenset({*test, *(_normal(s) for s in test.values() if s.modality == "text")})


def _picture(content: Any) -> Any:
    """A PIL image or an array ``[height, width, 3]`` of bytes, as an RGB image."""
    from PIL import Image

    if getattr(content, "dtype", None) == np.uint8 and content.ndim == 3 and content.shape[2] == 3:
        content = Image.fromarray(content)
    if not hasattr(content, "convert") or not hasattr(content, "size"):
        raise UserError(f"this unit looks at pictures, not {type(content).__name__}: give PIL images")
    return content.convert("RGB")


def _normal(stimulus: Stimulus) -> str:
    """A text without case and without differences of white space."""
    return "normal " + text_id(" ".join(str(stimulus.content).split()).casefold())
