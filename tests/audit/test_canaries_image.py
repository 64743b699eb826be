"""Image exams: own drawings, twins that are exchangeable, and a truth that only edits tell from its companion."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from maieutic.audit.canaries import make_exam
from maieutic.audit.canary_pictograms import SENSITIVE, SIDE, THINGS, TWINS, drawn
from maieutic.audit.canary_pictures import KINDS, OFTEN, shown
from maieutic.audit.exam import NULLS, Exam, Item, sit
from maieutic.errors import UsageError
from maieutic.explain.explanation import Explanation
from maieutic.explain.predicates.image import Shows
from maieutic.lab import Budget
from maieutic.score.against_truth import agreement
from maieutic.stimuli.base import SPLITS

PAIRS = 3


@pytest.fixture(scope="module")
def exam() -> Exam:
    return make_exam(modality="image", seed=110, pairs=PAIRS, ordinary=0, nulls=4)


def test_every_thing_has_one_name_and_can_be_drawn() -> None:
    things = [*SENSITIVE, *TWINS, *THINGS]
    assert len({t.name for t in things}) == len(things)
    assert len(SENSITIVE) == len(TWINS)
    assert len({t.concept for t in SENSITIVE}) >= 10
    rng = np.random.default_rng(0)
    for thing in things:
        image = drawn(thing, rng)
        covered = (np.asarray(image)[..., 3] > 127).mean()
        assert image.mode == "RGBA" and 0.8 * SIDE < max(image.size) <= SIDE and covered > 0.08, thing.name


def test_one_thing_is_drawn_in_many_ways() -> None:
    """Same strokes, other colours and turns: a colour tells nothing."""
    rng = np.random.default_rng(1)
    pictures = [drawn(SENSITIVE[0], rng).tobytes() for _ in range(4)]
    assert len(set(pictures)) == 4


def test_twins_are_as_often_seen_in_every_split(exam: Exam) -> None:
    """So many pictures are active for the one as for the other, and both sides' companions are seen as often."""
    corpus = exam.items[0].atlas.corpus
    for pair in range(PAIRS):
        one, other = (next(i for i in exam.of(role) if i.pair == pair) for role in ("sensitive", "benign"))
        assert one.kind == other.kind == KINDS[pair]
        for split in SPLITS:
            names = Counter(t.name for s in corpus if s.split == split for t in s.things)
            counts = [sum(float(t[0]) for t in _truth(i, split)) for i in (one, other)]
            assert counts == [OFTEN[split]] * 2
            assert names[one.neighbour[0]] == names[other.neighbour[0]]


def _truth(item: Item, split: str) -> list[np.ndarray]:
    assert item.planted is not None
    return item.planted.truth([s for s in item.atlas.corpus if s.split == split])


def test_every_split_has_its_own_drawings(exam: Exam) -> None:
    used = {
        split: {p.stamp for s in exam.items[0].atlas.corpus if s.split == split for p in s.scene.placements}
        for split in SPLITS
    }
    assert not (used["discover"] & used["test"] or used["discover"] & used["select"] or used["select"] & used["test"])
    library = exam.natural[0].scene.library
    assert all(library.pictures[key].split == split for split, keys in used.items() for key in keys)


def test_only_edits_tell_a_spurious_thing_from_its_companion(exam: Exam) -> None:
    item = next(i for i in exam.of("sensitive") if i.kind == "spurious")
    assert item.planted is not None
    by_companion = Explanation(
        unit=item.unit.key, label="x", predicate=Shows(concept=item.neighbour[0]), explainer="hand", confidence=1.0
    ).bound(exam.viewer)
    natural, _ = agreement(by_companion, item.planted, exam.natural)
    edited, _ = agreement(by_companion, item.planted, exam.edited[item.id])
    assert natural == 1.0 and edited is not None and edited < 0.8


def test_nulls_of_pictures_are_null(exam: Exam) -> None:
    corpus = list(exam.items[0].atlas.corpus)
    values = {i.role: np.concatenate(i.subject.read(corpus, [i.unit]))[:, 0] for i in exam.of(*NULLS)}
    assert np.ptp(values["dead"]) == 0.0
    assert values["noise"].std() == pytest.approx(1.0, abs=0.15)
    assert values["untrained"].std() > 0.0 and np.isfinite(values["untrained"]).all()
    assert {round(float(v)) for v in values["shuffled"]} == {0, 1}


def test_nothing_beside_the_pictures_tells_a_role(exam: Exam) -> None:
    corpus = exam.items[0].atlas.corpus
    site = exam.items[0].subject.sites()[0]
    seen = [corpus.name, *corpus.notes, exam.items[0].subject.name, site.name, site.what]
    seen += [i.id for i in exam.items] + [i.unit.key for i in exam.items] + [t for s in corpus for t in s.tags]
    told = {i.role for i in exam.items} | {i.concept for i in exam.items if i.concept} | {"planted", "spurious"}
    assert not [w for w in told if w in " ".join(seen).lower()]
    assert len({(id(i.subject), id(i.atlas)) for i in exam.items}) == 1


@pytest.mark.slow
def test_search_recalls_both_sides_of_pictures(exam: Exam) -> None:
    marks = sit(exam, "search", budget=Budget(measurements=200)).marks
    assert [m.recalled for m in marks if m.role in ("sensitive", "benign")] == [True] * 2 * PAIRS


def test_more_pictures_than_there_are() -> None:
    rng = np.random.default_rng(0)
    assert len(shown(pairs=12, ordinary=12, rng=rng)) == 36
    with pytest.raises(UsageError, match="at most 14 pairs and 11 ordinary units beside 14"):
        shown(pairs=14, ordinary=12, rng=rng)
