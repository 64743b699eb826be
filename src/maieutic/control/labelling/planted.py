"""The labelling task with a planted truth, for tests and first tries: no network, no package, a second.

Each unit is exactly 1 at the tokens of its own words and 0 elsewhere, over texts of random words. So every score can be
worked out by hand: the reference, which names all the words, has 1. What this module does not do: resemble a network,
whose units answer in degrees and whose labels are never all there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from maieutic.control.labelling.submission import Submission, listed
from maieutic.control.labelling.units import Labelling, LabelUnit
from maieutic.explain.predicates.text import TokenIn
from maieutic.explain.viewer_text import TextViewer
from maieutic.stimuli.base import SPLITS, Split, Stimulus
from maieutic.subjects.function import function_subject

#: words of each unit; the first two are its concept
WORDS = (
    ("spy", "decoy", "gift", "bread", "milk", "salt"),
    ("river", "lake", "stone", "cloud", "snow", "wind"),
    ("red", "blue", "green", "amber", "violet", "brown"),
    ("queen", "king", "knight", "bishop", "castle", "pawn"),
)
#: words that no unit answers to
FILLER = ("qua", "zem", "bol", "tik", "ruv", "hox", "pem", "dax", "fip", "wug", "nim", "jop")
#: share of tokens that some unit answers to
SHARE = 0.06


def planted_labelling(*, texts: int = 40, tokens: int = 50, seed: int = 0) -> Labelling:
    """The task.

    Args:
        texts: of each split; every one is a document of its own.
        tokens: of each text.
        seed: of the texts.
    """
    rng = np.random.default_rng(seed)
    known = [w for words in WORDS for w in words]

    def drawn(split: Split, number: int) -> Stimulus:
        text = " ".join(str(rng.choice(known if rng.random() < SHARE else FILLER)) for _ in range(tokens))
        name = f"{split}-{number}"
        return Stimulus(id=name, modality="text", load=lambda: text, group=name, split=split)

    corpus: dict[Split, list[Stimulus]] = {s: [drawn(s, i) for i in range(texts)] for s in SPLITS}
    subject = function_subject(_silent, modality="text", name="planted-labelling")
    return Labelling(
        units=tuple(_unit(corpus, i, words) for i, words in enumerate(WORDS)), texts=corpus,
        viewer=TextViewer(subject, lexnames=None, text_level=False), about={"planted": True, "seed": seed},
    )  # fmt: skip


def _silent(texts: list[str]) -> list[list[float]]:
    """What tells the viewer that a token is what stands between spaces."""
    return [[0.0] * len(t.split()) for t in texts]


def _unit(corpus: Mapping[Split, Sequence[Stimulus]], number: int, words: tuple[str, ...]) -> LabelUnit:
    def label(count: int) -> Submission:
        return Submission(label=listed(words[:count]), predicate=TokenIn(words=words[:count]))

    values: dict[Split, list[NDArray[np.float32]]] = {
        s: [np.array([w in words for w in str(t.content).split()], np.float32) for t in corpus[s]] for s in SPLITS
    }
    return LabelUnit(
        id=f"unit-{number:02d}", key=f"planted/{number}", words=words, reference=label(len(words)),
        others={"trusted": label(4), "plain": label(5)}, exemplars=(f"qua <<{words[0]}>> zem",), values=values,
    )  # fmt: skip
