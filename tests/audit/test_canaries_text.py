"""Text exams: twins are exchangeable to the last mention, nothing but the texts tells roles, and truth is what is planted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from maieutic.audit.canaries import make_exam
from maieutic.audit.canary_draw import drawn
from maieutic.audit.canary_kinds import KINDS, OFTEN
from maieutic.audit.canary_words import (
    PEOPLE,
    PLAIN,
    SENSITIVE,
    SETTINGS,
    STRINGS,
    STRINGS_SENSITIVE,
    TEMPLATES,
    THINGS,
    WHEN,
)
from maieutic.audit.exam import NULLS, Exam, Item, sit
from maieutic.audit.material_nulls import Shuffled, Untrained
from maieutic.errors import UsageError
from maieutic.explain.explanation import Explanation
from maieutic.explain.predicates.text import TokenIn
from maieutic.lab import Budget, Lab
from maieutic.score.against_truth import agreement
from maieutic.stimuli.base import SPLITS, Stimulus
from maieutic.subjects.planted import TextView, words, words_of

PAIRS = 5


@pytest.fixture(scope="module")
def exam() -> Exam:
    return make_exam(modality="text", seed=110, pairs=PAIRS, ordinary=2, nulls=4)


def _corpus(exam: Exam) -> Sequence[Stimulus]:
    return exam.items[0].atlas.corpus.stimuli


def _active(item: Item, stimuli: Sequence[Stimulus]) -> int:
    """Texts on which the unit is truly active somewhere."""
    assert item.planted is not None
    return sum(bool(t.max(initial=0.0) >= 0.5) for t in item.planted.truth(stimuli))


# --- words ---------------------------------------------------------------------------------------------------------


def test_no_word_stands_for_two_things() -> None:
    fields = [*SENSITIVE, *SETTINGS, *THINGS]
    counts = Counter(w for f in fields for w in f.words)
    around = set(words_of(" ".join([*PEOPLE, *TEMPLATES, *PLAIN, *WHEN])))
    starts = [f.words[0] for f in (*STRINGS_SENSITIVE, *STRINGS)]
    assert max(counts.values()) == 1
    assert not around & set(counts)
    assert all(re.fullmatch("[a-z]+", w) and len(f.words) == 4 for f in fields for w in f.words)
    assert not [w for w in (*counts, *around) if w.startswith(tuple(starts))]
    assert not [s for s in starts if any(o != s and o.startswith(s) for o in starts)]
    assert len({f.concept for f in (*SENSITIVE, *STRINGS_SENSITIVE)}) >= 10


@pytest.mark.packaged
def test_names_of_both_sides_say_equally_little() -> None:
    """A label that only names the concept is read for at most three of its four words, on either side."""
    from maieutic.explain.reading_labels import read_label
    from maieutic.explain.viewer_text import TextViewer
    from maieutic.subjects.planted import PlantedSubject

    view = TextViewer(PlantedSubject([], modality="text"))
    read: dict[str, list[int]] = {"sensitive": [], "settings": []}
    for name, fields in (("sensitive", SENSITIVE), ("settings", SETTINGS)):
        for field in fields:
            predicate = read_label(field.concept).predicate
            hit = 0 if predicate is None else sum(predicate.evaluate(view(w)).max() > 0 for w in field.words)
            read[name].append(int(hit))
    assert max(map(max, read.values())) <= 3
    assert abs(float(np.mean(read["sensitive"])) - float(np.mean(read["settings"]))) < 0.75


def test_largest_exam_has_words_enough() -> None:
    units = drawn(pairs=24, ordinary=12, rng=np.random.default_rng(0))
    used = [w for u in units for w in (*u.told.words, *u.told.companions)]
    assert len(units) == 60 and len(set(used)) == len(used)
    assert {u.told.kind for u in units if u.role == "sensitive"} == set(KINDS)
    with pytest.raises(UsageError, match="fewer"):
        drawn(pairs=60, ordinary=0, rng=np.random.default_rng(0))


def test_small_exams_are_about_many_concepts() -> None:
    units = [u for u in drawn(pairs=10, ordinary=0, rng=np.random.default_rng(3)) if u.role == "sensitive"]
    assert len({u.concept for u in units if not KINDS[u.told.kind].invented}) == 8


# --- exchangeable --------------------------------------------------------------------------------------------------


def test_twins_are_as_often_active_in_every_split(exam: Exam) -> None:
    for pair in range(PAIRS):
        one, other = (next(i for i in exam.of(role) if i.pair == pair) for role in ("sensitive", "benign"))
        assert one.kind == other.kind and len(one.neighbour) == len(other.neighbour)
        for split in SPLITS:
            some = [s for s in _corpus(exam) if s.split == split]
            assert _active(one, some) == _active(other, some)
            if split == "test":
                assert _active(one, some) >= 8


def test_twins_say_each_word_equally_often(exam: Exam) -> None:
    """Word k of the one as often as word k of the other, in every split; companions too."""
    counts = {s: Counter(words_of(" ".join(str(t.content) for t in _corpus(exam) if t.split == s))) for s in SPLITS}
    drawn_ = drawn(pairs=PAIRS, ordinary=2, rng=np.random.default_rng([110, 41]))
    for one, other in zip(drawn_[: 2 * PAIRS : 2], drawn_[1 : 2 * PAIRS : 2], strict=True):
        assert (one.role, other.role, one.pair) == ("sensitive", "benign", other.pair)
        for a, b in zip(
            (*one.told.words, *one.told.companions), (*other.told.words, *other.told.companions), strict=True
        ):
            assert [counts[s][a] for s in SPLITS] == [counts[s][b] for s in SPLITS]


def test_occasions_are_what_the_kinds_say() -> None:
    """Class: of 24 mentions 24 % 10 -> the 10th and 20th are alone; beside them 2 companions by themselves."""
    said = KINDS["class"].occasions(OFTEN["discover"])
    assert len(said) == 24 + 2
    assert sum("{c[" in m for o in said for m in o) == 24 - 2 + 2
    assert Counter(re.findall(r"w\[(\d)\]", str(said))) == {str(k): 6 for k in range(4)}
    assert KINDS["spurious"].occasions(3) == [("the {w[0]} {c[0]}",)] * 3


def test_splits_share_no_text(exam: Exam) -> None:
    ids = [s.id for s in _corpus(exam)]
    assert len(set(ids)) == len(ids)
    assert [s.id for s in exam.natural] == [s.id for s in _corpus(exam) if s.split == "test"]
    known = {str(s.content) for s in _corpus(exam) if s.split != "test"}
    assert not known & {str(s.content) for some in exam.edited.values() for s in some}


# --- nothing tells -------------------------------------------------------------------------------------------------


def test_nothing_beside_the_texts_tells_a_role(exam: Exam) -> None:
    corpus = exam.items[0].atlas.corpus
    seen = [corpus.name, *(s.source for s in corpus), *(t for s in corpus for t in s.tags), *corpus.notes]
    seen = list(dict.fromkeys(seen))
    for item in exam.items:
        lab = Lab(item.subject, item.unit, item.atlas, budget=Budget())
        site = lab.subject.site(lab.unit.site)
        seen += [item.id, lab.unit.key, lab.unit.name, lab.subject.name, site.name, site.module, site.what]
        seen += [str(p) for p in (lab.unit.vector, lab.unit.offset)]
    shown = " ".join(seen).lower()
    told = {i.role for i in exam.items} | {w for i in exam.items for w in (*i.concept.split(), i.kind) if w}
    assert not [w for w in told | {"planted", "canary", "exam", "audit"} if w in shown]
    assert len({(id(i.subject), id(i.atlas), i.unit.site) for i in exam.items}) == 1
    assert [i.unit.index for i in exam.items] == list(range(len(exam.items)))


def test_order_is_drawn() -> None:
    orders = [
        [i.role for i in make_exam(modality="text", seed=s, pairs=2, ordinary=1, nulls=2).items]
        for s in (111, 112, 113)
    ]
    assert len({tuple(o) for o in orders}) > 1
    assert all(Counter(o) == Counter(orders[0]) for o in orders)


def test_same_seed_same_exam(exam: Exam) -> None:
    def told(e: Exam) -> list[object]:
        edits = {k: [s.id for s in v] for k, v in e.edited.items()}
        return [e.items[0].subject.fingerprint, e.items[0].atlas.corpus.fingerprint, edits, [i.role for i in e.items]]

    assert told(make_exam(modality="text", seed=110, pairs=PAIRS, ordinary=2, nulls=4)) == told(exam)
    assert told(make_exam(modality="text", seed=114, pairs=PAIRS, ordinary=2, nulls=4))[1] != told(exam)[1]


# --- what is planted -----------------------------------------------------------------------------------------------


def test_edits_have_both_sides_of_every_rule(exam: Exam) -> None:
    for item in exam.of("sensitive", "benign", "ordinary"):
        assert item.planted is not None
        some = exam.edited[item.id]
        active = _active(item, some)
        assert active >= 5 and len(some) - active >= 3, (item.kind, active, len(some))
    assert not set(exam.edited) & {i.id for i in exam.of(*NULLS)}


def test_only_edits_tell_a_spurious_cause_from_its_companion(exam: Exam) -> None:
    for item in exam.of("sensitive", "benign"):
        if item.kind != "spurious":
            continue
        assert item.planted is not None
        by_companion = Explanation(
            unit=item.unit.key, label="x", predicate=TokenIn(words=item.neighbour), explainer="hand", confidence=1.0
        ).bound(exam.viewer)
        natural, _ = agreement(by_companion, item.planted, exam.natural)
        edited, _ = agreement(by_companion, item.planted, exam.edited[item.id])
        assert natural == 1.0 and edited is not None and edited < 0.8


def test_nulls_are_null(exam: Exam) -> None:
    corpus = list(_corpus(exam))
    values = {i.role: np.concatenate(i.subject.read(corpus, [i.unit]))[:, 0] for i in exam.of(*NULLS)}
    assert set(values) == set(NULLS)
    assert np.ptp(values["dead"]) == 0.0
    assert values["noise"].std() == pytest.approx(1.0, abs=0.05)
    assert values["untrained"].std() > 0.05
    assert {i.role: i.planted is None for i in exam.of(*NULLS)} == {
        "dead": False, "noise": False, "untrained": True, "shuffled": True,
    }  # fmt: skip


TEXTS = tuple(f"the mill by stream {'old ' * (i % 3)}number {i} stood" for i in range(60))


def test_shuffled_unit_has_the_values_but_not_where_they_belong() -> None:
    part, view = words("mill", "stood"), TextView(TEXTS)
    truth, found = part.truth(view), Shuffled(part=part, pool=TEXTS, seed=5).truth(view)
    assert found.mean() == pytest.approx(truth.mean(), rel=0.2)
    assert abs(float(np.corrcoef(truth, found)[0, 1])) < 0.15
    again = Shuffled(part=part, pool=TEXTS, seed=5).truth(TextView(TEXTS[7:8]))
    np.testing.assert_array_equal(again, view.split(found)[7])  # a text has its values by itself, too


def test_untrained_unit_looks_back_only_and_at_context() -> None:
    rule = Untrained(seed=3, unit=1)
    short, long, other = (
        rule.truth(TextView([t])) for t in ("a mill by the", "a mill by the old stream", "no mill by the")
    )
    np.testing.assert_allclose(long[: len(short)], short, atol=1e-12)
    assert abs(other[1] - short[1]) > 1e-6
    assert len(rule.truth(TextView([""]))) == 0


# --- asking --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small() -> Exam:
    """Two pairs: a class, and a spurious one."""
    return make_exam(modality="text", seed=116, pairs=2, ordinary=0, nulls=1)


def test_search_recalls_both_sides(small: Exam) -> None:
    marks = sit(small, "search", budget=Budget(measurements=200)).marks
    assert [m.recalled for m in marks if m.role in ("sensitive", "benign")] == [True] * 4
    assert not [m for m in marks if m.role == "dead" and m.answered]


def test_search_without_experiments_falls_for_companions(small: Exam) -> None:
    marks = sit(small, "search-no-experiments").marks
    by_kind = {k: [m for m in marks if m.kind == k] for k in ("class", "spurious")}
    assert all(m.recalled for m in by_kind["class"])
    assert all(not m.recalled and m.natural == 1.0 for m in by_kind["spurious"])


def test_asked_for_nonsense() -> None:
    with pytest.raises(UsageError, match="'text' or 'image'"):
        make_exam(modality="sound", seed=0)  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="at least one unit"):
        make_exam(modality="text", seed=0, pairs=0, ordinary=0, nulls=4)
    with pytest.raises(UsageError):
        make_exam(modality="text", seed=0, pairs=-1)
