import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from maieutic.stimuli.base import SPLITS, Corpus, split_of
from maieutic.stimuli.grouping import assign_splits, image_groups, text_groups
from maieutic.stimuli.near import look_of


@given(st.lists(st.text(min_size=1, max_size=8), min_size=3, max_size=40, unique=True))
def test_three_groups_or_more_leave_no_split_empty(groups: list[str]) -> None:
    splits, _ = assign_splits(groups)
    assert set(splits) == set(groups)
    assert set(splits.values()) == set(SPLITS)


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=12, unique=True), st.randoms())
def test_splits_do_not_depend_on_order(groups: list[str], random: object) -> None:
    shuffled = list(groups)
    random.shuffle(shuffled)  # pyright: ignore[reportAttributeAccessIssue]
    assert assign_splits(groups)[0] == assign_splits(shuffled)[0]


def test_large_corpora_split_by_hash_alone() -> None:
    groups = [f"document {i}" for i in range(400)]
    splits, notes = assign_splits(groups)
    assert splits == {g: split_of(g) for g in groups}
    assert notes == ()
    # 400 draws at 0.5 / 0.2 / 0.3: standard deviations 10, 8 and 9; five of them either side
    counts = [list(splits.values()).count(s) for s in SPLITS]
    assert abs(counts[0] - 200) < 50 and abs(counts[1] - 80) < 40 and abs(counts[2] - 120) < 45


def test_too_few_groups_are_said() -> None:
    one, notes = assign_splits(["a"])
    assert one == {"a": "discover"} and "select and test are empty" in notes[0]
    two, notes = assign_splits(["a", "b"])
    assert sorted(two.values()) == ["discover", "test"] and "select is empty" in notes[0]


def test_near_duplicates_pull_their_documents_together() -> None:
    shared = " ".join(f"token{i}" for i in range(40))
    texts = ["about rain and wind over hills", shared, "a third and different subject here", shared + " and more"]
    assert text_groups(texts, ["a", "b", "c", "d"]) == ["a", "b", "c", "b"]
    # windows of one document stay together whatever they say
    assert text_groups(texts, ["a", "b", "a", "d"]) == ["a", "b", "a", "b"]


def test_a_picture_its_mirror_and_its_brighter_copy_are_one_group() -> None:
    rng = np.random.default_rng(0)

    def blurry(seed: int) -> Image.Image:
        coarse = np.random.default_rng(seed).integers(0, 255, (8, 8, 3)).astype(np.uint8)
        return Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC)

    first, other = blurry(1), blurry(2)
    mirror = first.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    noisy = np.clip(np.asarray(first).astype(int) + rng.integers(-4, 5, (96, 96, 3)), 0, 255).astype(np.uint8)
    looks = [look_of(image) for image in (first, other, mirror, Image.fromarray(noisy))]
    groups = image_groups(looks, ["a", "b", "c", "d"])
    assert groups == ["a", "b", "a", "a"]


def test_no_split_shares_an_id_a_group_or_a_near_duplicate() -> None:
    rng = np.random.default_rng(3)
    vocabulary = [f"w{i}" for i in range(500)]
    texts: list[str] = []
    for _ in range(120):
        text = " ".join(rng.choice(vocabulary, 40))
        texts.append(text)
        if rng.random() < 0.3:
            texts.append(text + " " + " ".join(rng.choice(vocabulary, 5)))
    corpus = Corpus.from_texts(texts)
    assert len(corpus) == len(texts)
    groups = {split: {s.group for s in corpus.split(split)} for split in SPLITS}
    ids = {split: {s.id for s in corpus.split(split)} for split in SPLITS}
    beginnings = {split: {" ".join(s.content.split()[:20]) for s in corpus.split(split)} for split in SPLITS}
    for kinds in (groups, ids, beginnings):
        assert not kinds["discover"] & kinds["select"]
        assert not kinds["discover"] & kinds["test"]
        assert not kinds["select"] & kinds["test"]
