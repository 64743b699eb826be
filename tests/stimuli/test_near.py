import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from maieutic.stimuli.near import Clusters, difference_hash, near_hashes, near_texts, shingles

WORDS = st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta", "epsilon", "zeta"]), min_size=0, max_size=14)


def test_shingles_are_runs_of_five_words() -> None:
    # 7 words give 7 - 5 + 1 = 3 runs; case and punctuation do not count
    assert len(shingles("The cat, the dog and the mouse.")) == 3
    assert np.array_equal(shingles("the cat the dog and the mouse"), shingles("The cat, the dog and the mouse."))
    assert len(shingles("two words")) == 1
    assert len(shingles("...")) == 0


def test_one_changed_word_keeps_two_texts_together() -> None:
    text = " ".join(f"word{i}" for i in range(30))
    # of 26 shingles one changed word in the middle breaks 5: 21 / 26 = 0.81 stay
    assert near_texts([text, "something else entirely", text.replace("word15", "other")]) == [(0, 2)]


def _brute(texts: list[str], threshold: float) -> set[frozenset[int]]:
    """Connected components by comparing every pair with Python sets."""
    clusters = Clusters(len(texts))
    sets = [set(shingles(t).tolist()) for t in texts]
    for i, j in itertools.combinations(range(len(texts)), 2):
        smaller = min(len(sets[i]), len(sets[j]))
        if smaller and len(sets[i] & sets[j]) >= threshold * smaller:
            clusters.join(i, j)
    groups: dict[int, set[int]] = {}
    for i, root in enumerate(clusters.roots()):
        groups.setdefault(root, set()).add(i)
    return {frozenset(g) for g in groups.values()}


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=8))
def test_pairs_equal_comparing_everything_with_everything(lists: list[list[str]]) -> None:
    texts = [" ".join(words) for words in lists]
    clusters = Clusters(len(texts))
    for i, j in near_texts(texts, threshold=0.5):
        assert i < j
        clusters.join(i, j)
    groups: dict[int, set[int]] = {}
    for i, root in enumerate(clusters.roots()):
        groups.setdefault(root, set()).add(i)
    assert {frozenset(g) for g in groups.values()} == _brute(texts, 0.5)


def test_a_passage_repeated_everywhere_stays_one_cluster() -> None:
    texts = ["the same five words repeated in every country profile of the book"] * 60
    clusters = Clusters(60)
    for i, j in near_texts(texts):
        clusters.join(i, j)
    assert set(clusters.roots()) == {0}


def test_a_root_is_the_first_member_whatever_the_order() -> None:
    clusters = Clusters(5)
    clusters.join(4, 2)
    clusters.join(2, 1)
    clusters.join_equal(["a", "b", "c", "a", "d"])
    assert clusters.roots() == [0, 1, 1, 0, 1]


def test_a_difference_hash_counts_rising_edges() -> None:
    # brightness rises from left to right: every one of the 64 bits is set; mirrored, none is
    ramp = Image.fromarray(np.tile(np.arange(0, 252, 4, dtype=np.uint8), (64, 1)))
    assert difference_hash(ramp) == 2**64 - 1
    assert difference_hash(ramp.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == 0


def test_hashes_within_six_bits_are_near() -> None:
    assert near_hashes([0, 0b111111, 0b1111111, 2**64 - 1]) == [(0, 1), (1, 2)]
    assert near_hashes([5]) == []
