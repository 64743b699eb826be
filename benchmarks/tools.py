"""What the embedded tools that make and read stimuli cost, and how often the reader of pictures names the right thing.

    python benchmarks/tools.py

Medians on one thread, over pictures of 60 concepts and five instructions for texts. The reader names every stamp and photo of
the *select* split from its pixels; a name is right when it is one of the picture's own concepts, and specific when it is no broad
word (animal, building ...). Needs the packaged data (``maieutic fetch``).
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

from maieutic.readings import share_reading
from maieutic.stimuli import load_corpus
from maieutic.stimuli.describe import EmbeddedDescriber
from maieutic.stimuli.describe_reader import neighbour_names
from maieutic.stimuli.edit_compositor import SceneEditor
from maieutic.stimuli.imagine import Compositor
from maieutic.stimuli.library import open_library
from maieutic.stimuli.photos import square
from maieutic.stimuli.studio import Studio, normal
from maieutic.stimuli.write import CorpusWriter

BROAD = {"animal", "mammal", "plant", "food", "monument", "building", "vehicle"}


def each_ms(do: Callable[[Any], object], inputs: Iterable[Any]) -> float:
    """Median milliseconds of a call."""
    took: list[float] = []
    for given in inputs:
        started = time.perf_counter()
        do(given)
        took.append(1e3 * (time.perf_counter() - started))
    return statistics.median(took)


def costs() -> None:
    """Time each tool."""
    draw, started = Compositor(), time.perf_counter()
    draw("a gorilla on grass")
    print(f"first picture (reads library and WordNet): {time.perf_counter() - started:.1f} s")
    concepts = list(draw.finder.studio.concepts())[:60]
    pictures = [p for c in concepts for p in draw(f"a {c} on stone", n=1)]
    edit, describe, name = SceneEditor(), EmbeddedDescriber(), neighbour_names(None)
    print(f"imagine: {each_ms(lambda c: draw(f'a {c} on wood', n=1), concepts):.0f} ms a picture")
    print(f"edit: {each_ms(lambda p: edit(p, 'make it smaller and put it on a grey background'), pictures):.0f} ms")
    print(f"describe: {each_ms(lambda p: describe([p]), pictures):.0f} ms a picture whose recipe is known")
    started = time.perf_counter()
    name(pictures[0].content)
    print(f"reader, once for the library: {time.perf_counter() - started:.0f} s")
    print(f"reader: {each_ms(lambda p: name(p.content), pictures[:20]):.0f} ms a picture")
    write = CorpusWriter(load_corpus("prose", fetch=False))
    write('sentences with "oil"', n=8)
    asked = [f'sentences with "{w}"' for w in ("war", "north", "school", "people")]
    print(f"write: {each_ms(lambda q: write(q, n=8), asked):.0f} ms a call of eight texts")


def names() -> None:
    """Name the pictures of the select split."""
    library, read = open_library(fetch=False), neighbour_names(None)
    studio = Studio(split="select", library=library)
    pictures = [*studio.stamps(), *studio.photos()]
    right, special = list[bool](), 0
    for p in pictures:
        image = studio.paste(p, "#c8c8c8", scale=0.8).render() if p.kind == "stamp" else square(library.image(p.key))
        found = read(image)
        if found:
            right.append(found[0] in {normal(c) for c in p.concepts})
            special += right[-1] and found[0] not in BROAD
    share = share_reading("right", right)
    print(f"reader: {len(right)} of {len(pictures)} named; right: {sum(right)}, {share}; {special} of them specific")


if __name__ == "__main__":
    print(f"load {os.getloadavg()[0]:.1f}")
    costs()
    names()
