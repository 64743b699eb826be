"""Minimal sets of monotone questions against exhaustive search, and what their shape is called."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.forensics.attribution.minimal import Asked, hitting_sets, members, minimal_sets, spot_checks, structure

PARTS = 8
#: eight parts, some of them in groups
TREE = ((0, (1, 2)), 3, ((4, 5, 6), 7))
SETS = st.lists(st.integers(1, 2**PARTS - 1), min_size=1, max_size=5)


def minimal(sets: list[int]) -> set[int]:
    return {s for s in sets if not any(o != s and o & ~s == 0 for o in sets)}


def brute(sets: list[int]) -> set[int]:
    hits = [t for t in range(2**PARTS) if all(t & s for s in sets)]
    return minimal(hits)


@settings(max_examples=80, deadline=None)
@given(SETS)
def test_every_minimal_set_is_found_and_nothing_else(sets: list[int]) -> None:
    asked = Asked(ask=lambda kept: any(s & ~kept == 0 for s in sets))
    asked.learn(2**PARTS - 1, True)
    asked.learn(0, False)
    found = minimal_sets(asked, TREE)
    assert set(found.sufficient) == minimal(sets)
    assert set(found.necessary) == brute(sets)
    assert found.complete
    assert spot_checks(asked, found, 2**PARTS - 1, n=6, seed=0)


@settings(max_examples=60, deadline=None)
@given(SETS)
def test_hitting_sets_are_those_of_exhaustive_search(sets: list[int]) -> None:
    found = hitting_sets(sets)
    assert set(found) == brute(sets) and len(found) == len(set(found))


def test_one_part_among_many_costs_a_logarithm() -> None:
    tree = tuple(tuple(range(i, i + 16)) for i in range(0, 1024, 16))
    for cause in (0, 511, 1023):
        asked = Asked(ask=lambda kept, c=cause: bool(kept >> c & 1))
        asked.learn(2**1024 - 1, True)
        asked.learn(0, False)
        found = minimal_sets(asked, tree)
        assert found.sufficient == (1 << cause,) == found.necessary
        # log2 1024 = 10 to find it, one to see that it is enough, one to see that nothing else is
        assert asked.questions <= 12


def test_when_there_are_too_many_sets_it_says_so() -> None:
    asked = Asked(ask=lambda kept: kept.bit_count() >= 4)
    asked.learn(255, True)
    asked.learn(0, False)
    found = minimal_sets(asked, TREE, most=5)
    assert len(found.sufficient) == 5 and not found.complete


def test_a_question_that_is_not_monotone_is_noticed() -> None:
    # parts 1 to 7 together stop what part 0 does
    asked = Asked(ask=lambda kept: bool(kept & 1) and kept.bit_count() < 4)
    asked.learn(255, True)
    asked.learn(0, False)
    found = minimal_sets(asked, TREE)
    assert not spot_checks(asked, found, 255, n=8, seed=1)


@pytest.mark.parametrize(
    ("sets", "name"),
    [
        ([0b100], ("single", 1, 1)), ([0b111], ("and", 3, 3)), ([0b1, 0b10], ("or", 1, 2)),
        ([0b11, 0b101, 0b110], ("k-of-n", 2, 3)), ([0b11, 0b101], ("mixed", 2, 3)), ([0b1, 0b110], ("mixed", 1, 3)),
        ([0], ("none", 0, 0)),
    ],
)  # fmt: skip
def test_shapes_have_names(sets: list[int], name: tuple[str, int, int]) -> None:
    assert structure(sets) == name


def test_members_and_all_pairs() -> None:
    assert members(0b1010) == (1, 3)
    pairs = [sum(1 << i for i in c) for c in combinations(range(5), 2)]
    assert structure(pairs) == ("k-of-n", 2, 5)
