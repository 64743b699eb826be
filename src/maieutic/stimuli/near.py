"""Near-duplicates: which texts share most of their words in order, and which pictures look alike.

Texts: exact shared word 5-shingles through an inverted index (sort and count with numpy). At corpus sizes of a few
ten thousand windows this takes a second and needs neither random hashing nor a dependency, as MinHash would; beyond
about a million windows MinHash becomes the better choice. Pictures: 64-bit difference hashes within a small Hamming
distance. What this module does not find: paraphrases, translations, crops, rotations.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

#: share of the smaller text's shingles that makes two texts near-duplicates
TEXT_THRESHOLD = 0.35
#: words per shingle
SHINGLE = 5
#: bits of 64 in which two difference hashes of near-duplicates may differ
IMAGE_THRESHOLD = 6
_POSTINGS = 24


class Clusters:
    """Union-find over 0..n-1; the root of a cluster is its smallest member, so results do not depend on order."""

    def __init__(self, n: int) -> None:
        self.parent = list(range(n))

    def find(self, i: int) -> int:
        while self.parent[i] != i:
            self.parent[i] = self.parent[self.parent[i]]
            i = self.parent[i]
        return i

    def join(self, i: int, j: int) -> None:
        low, high = sorted((self.find(i), self.find(j)))
        self.parent[high] = low

    def join_equal(self, keys: Iterable[str]) -> None:
        """Join all positions that have the same key."""
        first: dict[str, int] = {}
        for i, key in enumerate(keys):
            self.join(i, first.setdefault(key, i))

    def roots(self) -> list[int]:
        return [self.find(i) for i in range(len(self.parent))]


def shingles(text: str) -> NDArray[np.uint64]:
    """Sorted distinct 64-bit hashes of a text's word 5-shingles; a shorter text is one shingle (none when empty)."""
    words = re.findall(r"\w+", text.lower())
    if not words:
        return np.empty(0, dtype=np.uint64)
    runs = [" ".join(words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1))]
    digests = [int.from_bytes(hashlib.blake2b(r.encode(), digest_size=8).digest(), "big") for r in runs]
    return np.unique(np.array(digests, dtype=np.uint64))


def near_texts(texts: Sequence[str], *, threshold: float = TEXT_THRESHOLD) -> list[tuple[int, int]]:
    """Pairs (i < j) of near-duplicate texts, enough to connect every cluster.

    Two texts are near-duplicates when they share at least ``threshold`` of the smaller one's shingles. A shingle that
    stands in more than 24 texts proposes only pairs with its first text: clusters stay connected and cost linear.
    """
    sets = [shingles(t) for t in texts]
    sizes = np.array([len(s) for s in sets], dtype=np.int64)
    if not sizes.sum():
        return []
    values = np.concatenate(sets)
    owners = np.repeat(np.arange(len(texts)), sizes)
    order = np.lexsort((owners, values))
    values, owners = values[order], owners[order]
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    ends = np.r_[starts[1:], len(values)]
    shared: dict[tuple[int, int], int] = {}
    crowded: set[tuple[int, int]] = set()
    for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
        members = owners[start:end].tolist()
        if len(members) > _POSTINGS:
            crowded.update((members[0], m) for m in members[1:])
            continue
        for a, i in enumerate(members):
            for j in members[a + 1 :]:
                shared[i, j] = shared.get((i, j), 0) + 1
    # counts are lower bounds for pairs that also share crowded shingles: count those exactly
    for pair in crowded:
        shared[pair] = len(np.intersect1d(sets[pair[0]], sets[pair[1]], assume_unique=True))
    return sorted(pair for pair, n in shared.items() if n >= threshold * min(sizes[pair[0]], sizes[pair[1]]))


def difference_hash(image: Image) -> int:
    """64 bits: whether each of 8 x 8 cells is brighter than its left neighbour (in a 9 x 8 greyscale thumbnail)."""
    from PIL import Image as Pictures

    small = np.asarray(image.convert("L").resize((9, 8), Pictures.Resampling.BILINEAR), dtype=np.int16)
    bits = (small[:, 1:] > small[:, :-1]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_hashes(hashes: Sequence[int], *, threshold: int = IMAGE_THRESHOLD) -> list[tuple[int, int]]:
    """Pairs (i < j) of difference hashes that differ in at most ``threshold`` bits. Cost: n²/2 comparisons in numpy."""
    if len(hashes) < 2:
        return []
    codes = np.array(hashes, dtype=np.uint64)
    found: list[tuple[int, int]] = []
    for i in range(len(codes) - 1):
        apart = np.bitwise_count(codes[i + 1 :] ^ codes[i])
        found += [(i, int(j) + i + 1) for j in np.flatnonzero(apart <= threshold)]
    return found


def colour_thumbnail(image: Image) -> NDArray[np.int16]:
    """Mean colours of 6 x 6 cells, ``[6, 6, 3]``, 0 to 255: tells a lemon from a tennis ball where outlines do not."""
    from PIL import Image as Pictures

    return np.asarray(image.convert("RGB").resize((6, 6), Pictures.Resampling.BOX), dtype=np.int16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What near-duplicates are recognised by, of a picture and of its mirror image: a picture and its mirror image are
    the same to a network trained with flips.
    """

    hashes: tuple[int, int]
    colours: tuple[NDArray[np.int16], NDArray[np.int16]]


def look_of(image: Image) -> Look:
    """The look of a picture (transparent parts on grey). Keeps nothing of the picture itself. Cost: milliseconds."""
    from PIL import Image as Pictures

    if image.mode == "RGBA":
        ground = Pictures.new("RGB", image.size, (128, 128, 128))
        ground.paste(image, (0, 0), image)
        image = ground
    mirror = image.transpose(Pictures.Transpose.FLIP_LEFT_RIGHT)
    return Look(
        hashes=(difference_hash(image), difference_hash(mirror)),
        colours=(colour_thumbnail(image), colour_thumbnail(mirror)),
    )


def near_looks(looks: Sequence[Look], *, colours: float = 16.0) -> list[tuple[int, int]]:
    """Pairs of pictures that look alike, mirrored or not: near hashes, and colour thumbnails that differ by at most
    ``colours`` grey levels on average (outlines alone do not tell a lemon from a tennis ball).
    """
    n = len(looks)
    hashes = [look.hashes[side] for side in (0, 1) for look in looks]
    thumbnails = [look.colours[side] for side in (0, 1) for look in looks]
    near = ((i, j) for i, j in near_hashes(hashes) if np.abs(thumbnails[i] - thumbnails[j]).mean() <= colours)
    return sorted({(min(i % n, j % n), max(i % n, j % n)) for i, j in near if i % n != j % n})
