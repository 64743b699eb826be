"""Detection and fuzzing as EleutherAI's delphi counts them, so that numbers can be put side by side.

The same: windows of 32 tokens; 50 firing ones (ten equal-count bins by largest activation, five of each) and 50 resting
ones; shuffled, 5 a prompt, so 20 prompts; worked examples before the question; the answer a list of 0 and 1; probability
P(1) / (P(0) + P(1)) over the top five alternatives; tokens from 0.3 of the window's largest activation marked; in resting
windows ceil(mean number of marks) random tokens marked; the score balanced accuracy. A unit that rests at exactly 0, as
latents of sparse autoencoders do, fires wherever it is above 0.

Different, on purpose: windows come from the test split, which no explainer saw (delphi draws both from one list, and up to
20 of its 50 test windows are train windows); prompts that fail are counted, and their items are unmeasured; the wording
is ours; texts stand in fences. Units that are not silent at rest fire above our threshold, where delphi would call every
window firing. With fewer than 50 windows of either kind the counts would differ: unmeasured.

Source of the counts and formulas: github.com/EleutherAI/delphi (Paulo et al., arXiv 2410.13928). As there, neither score
sees what a label leaves out or claims too much: comparison only.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from maieutic.explain.one_shot_windows import marked
from maieutic.llm import Answer, Prompt, Turn
from maieutic.llm.fences import Fence
from maieutic.score.judged.asking import Written, chance_of_one
from maieutic.score.judged.fuzzing import untokened
from maieutic.score.judged.material import Material, Window
from maieutic.score.judged.prompts import ALTERNATIVES, BLANK
from maieutic.score.judged.sampling import MARKED, Item, draw, uniform
from maieutic.score.judged.scoring import Judged
from maieutic.score.judged.yes_no import YesNo

WINDOWS, QUANTILES, SHOWN = 50, 10, 5
_LIST = re.compile(r"\[[^\[\]]*\]")
_MARKS = ("<<", ">>")
_DETECT = (
    "You are a careful judge of descriptions of features that occur in short texts. You get the description of one feature "
    f"and {SHOWN} examples. For each example decide whether the feature occurs in it. Answer with one list of {SHOWN} "
    "numbers, 1 where it occurs and 0 where it does not, in the order of the examples, and nothing else."
)
_FUZZ = (
    "You are a careful judge of descriptions of features that occur in short texts. You get the description of one feature "
    f"and {SHOWN} examples in which some tokens stand between << and >>. For each example decide whether the feature "
    f"occurs in exactly the marked tokens. Answer with one list of {SHOWN} numbers, 1 where the marks are right for the "
    "feature and 0 where they are not, in the order of the examples, and nothing else."
)
#: worked examples of our own: description, texts with marks, answer when marks count, answer when they do not
_WORKED: tuple[tuple[str, tuple[str, ...], list[int], list[int]], ...] = (
    (
        "names of musical instruments",
        ("she tuned the<< violin>> before noon", "the<< train>> left without her piano", "a quiet<< evening>> by the lake",
         "two<< drums>> and a borrowed<< flute>>", "the price of<< copper>> fell again"),
        [1, 0, 0, 1, 0],
        [1, 1, 0, 1, 0],
    ),
    (
        "the word that follows a number",
        ("we waited 40<< minutes>> in the rain", "nobody<< answered>> the door", "it took 3 attempts to<< open>> it",
         "of the 12<< apples>> none was ripe", "a letter from<< home>> came late"),
        [1, 0, 0, 1, 0],
        [1, 0, 1, 1, 0],
    ),
)  # fmt: skip


def quantiles(windows: Sequence[Window], *, seed: int) -> list[Window]:
    """50 windows: five of each tenth of the windows ranked by their largest activation; the remainder is dropped."""
    ranked = sorted(windows, key=lambda w: (-w.top, w.key))
    size, rng = len(ranked) // QUANTILES, draw("quantiles", seed)
    bins = [ranked[i * size : (i + 1) * size] for i in range(QUANTILES)]
    return [w for b in bins for w in uniform(b, WINDOWS // QUANTILES, rng)]


def strengths(material: Material, window: Window) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Activation as a sparse latent has it: 0 at rest."""
    return window.values if material.silent else np.where(window.active, window.scaled, 0.0)


def split(material: Material) -> tuple[list[Window], list[Window]]:
    """Firing and resting windows."""
    peaks = [(w, float(strengths(material, w).max()) > 0) for w in material.windows]
    return [w for w, fires in peaks if fires], [w for w, fires in peaks if not fires]


@dataclass(frozen=True, kw_only=True)
class DelphiDetection(YesNo):
    """delphi's detection."""

    name: ClassVar[str] = "delphi-detection"
    against: ClassVar[tuple[str, ...]] = ("inactive",)
    marks: ClassVar[bool] = False

    def items(self, material: Material, *, seed: int) -> tuple[Item, ...] | str:
        """50 firing and 50 resting windows."""
        chosen = _chosen(material, seed=seed)
        if isinstance(chosen, str):
            return chosen
        firing, resting = chosen
        return (*(Item(kind="active", window=w) for w in firing), *(Item(kind="inactive", window=w) for w in resting))

    def prompt(self, label: str, items: Sequence[Item], *, seed: int) -> Prompt:
        """Worked examples, then the question."""
        shown = [marked(i.window.text, i.window.spans, i.marks, _MARKS) if self.marks else i.window.text for i in items]
        fence = Fence.around([label, *shown, *(t for _, texts, *_ in _WORKED for t in texts)], seed=seed)
        turns: list[Turn] = []
        for about, texts, right, anywhere in _WORKED:
            plain = texts if self.marks else tuple(t.replace("<<", "").replace(">>", "") for t in texts)
            turns.append(Turn(text=_asked(fence, about, plain)))
            turns.append(Turn(role="assistant", text=json.dumps(right if self.marks else anywhere)))
        turns.append(Turn(text=_asked(fence, label, shown)))
        system = _FUZZ if self.marks else _DETECT
        return Prompt(system=f"{system}\n\n{fence.rule}", turns=tuple(turns), logprobs=ALTERNATIVES)

    def parse(self, answer: Answer, n: int, /) -> tuple[list[Any], list[float | None]]:
        """The first list in square brackets; it has to have a number for each example."""
        found = _LIST.search(answer.text)
        said = [int(v) for v in re.findall(r"[01]", found.group())] if found else []
        if len(said) != n or not found or re.search(r"[2-9]|\d\d", found.group()):
            raise ValueError(f"no list of {n} verdicts in the answer")
        known = _chances(answer)
        return [bool(v) for v in said], known if len(known) == n else [None] * n


@dataclass(frozen=True, kw_only=True)
class DelphiFuzzing(DelphiDetection):
    """delphi's fuzzing with its default negatives: random tokens marked in resting windows."""

    name: ClassVar[str] = "delphi-fuzzing"
    against: ClassVar[tuple[str, ...]] = ("elsewhere",)
    marks: ClassVar[bool] = True

    def items(self, material: Material, *, seed: int) -> tuple[Item, ...] | str:
        """50 firing windows rightly marked, 50 resting ones with as many random marks as is usual."""
        chosen = untokened(material) or _chosen(material, seed=seed)
        if isinstance(chosen, str):
            return chosen
        firing, resting = chosen
        right = [Item(kind="active", window=w, marks=above(strengths(material, w))) for w in firing]
        usual, rng = math.ceil(np.mean([len(i.marks) for i in right])), draw("random marks", seed)
        wrong = [
            Item(kind="elsewhere", window=w, marks=tuple(uniform(range(len(w.spans)), usual, rng))) for w in resting
        ]
        return (*right, *wrong)


def above(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[int, ...]:
    """Positions at 0.3 of the largest value and above."""
    return tuple(np.flatnonzero((values >= MARKED * values.max()) & (values > 0)).tolist())


def _chosen(material: Material, *, seed: int) -> tuple[list[Window], list[Window]] | str:
    firing, resting = split(material)
    if min(len(firing), len(resting)) < WINDOWS:
        return (
            f"delphi asks {WINDOWS} firing and {WINDOWS} resting windows, the test split has {len(firing)} and "
            f"{len(resting)}: use a larger corpus, or the scorers detection and fuzzing"
        )
    return quantiles(firing, seed=seed), uniform(resting, WINDOWS, draw("resting", seed))


def _asked(fence: Fence, about: str, texts: Sequence[str]) -> str:
    examples = "\n".join(fence.put(f"example {i}", t) for i, t in enumerate(texts))
    return f"{fence.put('description', about or BLANK)}\n\n{examples}"


def _chances(answer: Answer) -> list[float | None]:
    """P("1") at each verdict of the first list."""
    written = Written.of(answer)
    found = _LIST.search(written.text)
    if found is None:
        return []
    return [chance_of_one(written.at(found.start() + m.start())) for m in re.finditer("[01]", found.group())]


delphi_detection = Judged(task=DelphiDetection())
delphi_fuzzing = Judged(task=DelphiFuzzing())
