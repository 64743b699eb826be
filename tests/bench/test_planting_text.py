"""Planted text units: rules and structure by hand, causality, coverage, and no vocabulary that anybody could know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from maieutic.bench.bindings import bound
from maieutic.bench.swap import swapped, vocabulary
from maieutic.errors import UserError
from maieutic.harvest import harvest
from maieutic.score.against_truth_texts import fresh_texts
from maieutic.stimuli.base import Corpus
from maieutic.subjects.planted import (
    EACH,
    FAMILIES,
    LEAST,
    LEAST_RARE,
    SITE,
    SNR,
    After,
    All,
    At,
    Before,
    Either,
    Grade,
    Indented,
    Inside,
    NthWord,
    Number,
    OnLine,
    Passage,
    Planted,
    PlantedSubject,
    PlantedUnit,
    Spelled,
    TextRule,
    TextView,
    Without,
    Words,
    plant,
    tokens_of,
    words,
    words_of,
)

#: position:  0   1    2   3    4 5 6   7    8 9  10  11  12    13
TEXT = "The old mill stood. A new mill, by the old bridge!"
#: 0 def 1 run 2 ( 3 a 4 ) 5 : | 6 x 7 = 8 [ 9 1,234 is 1 , 234 (9 10 11) 12 ] 13 # 14 "  15 So 16 " | 17 end
CODE = 'def run(a):\n    x = [1,234] # "So"\nend'
TWO = dict.fromkeys(EACH, 2)


@pytest.mark.parametrize(
    ("rule", "at"),
    [
        (words("mill"), {2: 1.0, 7: 1.0}),
        (Words((("mill", 1.0), ("new", 0.5))), {2: 1.0, 6: 0.5, 7: 1.0}),
        (All((words("mill"), Before(words("old"), 3))), {2: 1.0}),  # one token before the first, six before the second
        (All((words("mill"), Before(words("old"), 6))), {2: 1.0, 7: 1.0}),
        (All((words("mill"), Without(Before(words("old"), 3)))), {7: 1.0}),
        (After(words("old")), {2: 1.0, 12: 1.0}),
        (After(words("old"), 2), {3: 1.0, 13: 1.0}),
        (Either((words("old"), words("by")), (1.0, 0.6)), {1: 1.0, 9: 0.6, 11: 1.0}),
        (Spelled("capital"), {0: 1.0, 5: 1.0}),
        (Spelled("ends", "ill"), {2: 1.0, 7: 1.0}),
        (Spelled("begins", "b"), {9: 1.0, 12: 1.0}),
        (Spelled("begins", "by"), {}),  # "by" is not longer
        (Spelled("letters", "5"), {3: 1.0, 12: 1.0}),
        (At("place", 0, 1), {0: 1.0, 1: 1.0}),
        (At("sentence"), {0: 1.0, 5: 1.0}),
        (NthWord(2), {1: 1.0, 6: 1.0}),
        (NthWord(4), {3: 1.0, 9: 1.0}),  # the comma does not count
        (Passage(words("old", "new"), 6, 2), {6: 1.0, 11: 1.0}),  # tokens 1 to 6, and 6 to 11
        (Grade("letters", 3, 6), {2: 1 / 3, 3: 2 / 3, 7: 1 / 3, 12: 1.0}),
        (Grade("near", -4, -1, words("new")), {7: 1.0, 8: 2 / 3, 9: 1 / 3}),
        (Grade("count", 0, 2, words("old", "new"), 5), {i: 0.5 for i in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)}),
        (Grade("place", 10, 14), {11: 0.25, 12: 0.5, 13: 0.75}),
    ],
)
def test_rules_by_hand(rule: TextRule, at: dict[int, float]) -> None:
    expected = np.zeros(14)
    expected[list(at)] = list(at.values())
    np.testing.assert_allclose(rule.truth(TextView([TEXT])), expected, atol=1e-12)
    assert rule.say()


@pytest.mark.parametrize(
    ("rule", "on"),
    [
        (Inside("("), [3, 4]),
        (Inside("["), [9, 10, 11, 12]),
        (Inside("#"), [14, 15, 16]),
        (Inside('"'), [15, 16]),
        (Indented(4), list(range(6, 17))),
        (At("line"), [0, 6, 17]),
        (OnLine(words("def")), [1, 2, 3, 4, 5]),
        (OnLine(words("x", "=")), list(range(7, 17))),
        (Number(1000, 2000), [11]),  # 1,234 is known only at its end
        (Number(0, 5), [9]),
        (Number(digits=3), [11]),
        (Grade("depth", 0, 1), [3, 4, 9, 10, 11, 12]),
        (Grade("indent", 0, 4), list(range(6, 17))),
    ],
)
def test_structure_by_hand(rule: TextRule, on: list[int]) -> None:
    assert len(tokens_of(CODE)) == 18
    assert np.flatnonzero(rule.truth(TextView([CODE])) == 1.0).tolist() == on


def test_large_numbers_are_stronger() -> None:
    # log10(9 + 1) = 1 and log10(999 + 1) = 3, on a scale from 0 to 4
    assert Grade("number", 0, 4).truth(TextView(["9 of 999"])).tolist() == pytest.approx([0.25, 0.0, 0.75])


def test_texts_of_one_view_do_not_see_one_another() -> None:
    rules = (Before(words("old"), 9), After(words("old")), Grade("near", -9, -1, words("old")), At("sentence"))
    view = TextView(["so old", "", "a mill"])
    for rule in (*rules, Passage(words("old"), 9), OnLine(words("old")), Inside("(")):
        alone = np.concatenate([rule.truth(TextView([t])) for t in ("so old", "a mill")])
        assert rule.truth(view).tolist() == alone.tolist()
    assert [len(part) for part in view.split(np.zeros(4))] == [2, 0, 2]


def test_only_the_units_that_are_asked_for_are_computed() -> None:
    class Broken(TextRule):
        def truth(self, view: TextView) -> Any:
            raise AssertionError("nobody asked")

        def say(self) -> str:
            return "broken"

    rules = [Planted(name=str(i), kind="single", rule=r, about="") for i, r in enumerate((Broken(), words("mill")))]
    subject = PlantedSubject(rules, modality="text")
    assert subject.read([TEXT, "mill"], [subject.unit(SITE, 1)])[1].tolist() == [[1.0]]
    assert subject.units()[1].truth([TEXT])[0].sum() == 2.0
    assert [r.shape for r in subject.read([TEXT], [])] == [(14, 0)]


@pytest.fixture(scope="module")
def units(corpora: dict[str, Corpus]) -> tuple[PlantedUnit, ...]:
    return plant(corpora["text"], seed=0, each={**TWO, "spurious": 3})


def test_truth_never_depends_on_what_follows(units: tuple[PlantedUnit, ...], corpora: dict[str, Corpus]) -> None:
    rng = np.random.default_rng(0)
    for stimulus in corpora["text"].stimuli[:6]:
        text = str(stimulus.content)
        tokens = tokens_of(text)
        cuts = rng.choice(len(tokens) - 1, size=6, replace=False).tolist()
        changed = [text[: tokens[i].end] + " ) other words, 12." for i in cuts]
        for unit in units:
            whole, *parts = unit.truth([text, *changed])
            for i, part in zip(cuts, parts, strict=True):
                assert part[: i + 1].tolist() == whole[: i + 1].tolist(), (unit.about, i)


def active(unit: PlantedUnit, corpus: Corpus, split: Any) -> int:
    return int(sum((t >= 0.5).sum() for t in unit.truth(corpus.split(split))))


def check(units: tuple[PlantedUnit, ...], corpus: Corpus) -> None:
    """What every planting promises: enough to find, choose and score, and no two units alike."""
    for unit in units:
        counts = {split: active(unit, corpus, split) for split in LEAST}
        least = LEAST_RARE if unit.kind == "rare" else LEAST
        assert all(n >= (least[s] if unit.explainable else 0) for s, n in counts.items()), (unit.about, counts)
        assert unit.explainable or not any(counts.values())
        assert unit.explainable == bool(unit.family)
    explained = [u for u in units if u.explainable]
    truths = np.stack([np.concatenate(u.truth(list(corpus.stimuli))) for u in explained])
    alike = np.corrcoef(truths) - np.eye(len(truths))
    assert alike.max() <= 0.9501, "two units have the same truth"
    assert len({u.name for u in units}) == len({u.about for u in explained}) + len(units) - len(explained) == len(units)


def test_planting_is_seeded_and_can_be_found_in_every_split(
    units: tuple[PlantedUnit, ...], corpora: dict[str, Corpus]
) -> None:
    corpus = corpora["text"]
    again = plant(corpus, seed=0, each={**TWO, "spurious": 3})
    assert [u.about for u in again] == [u.about for u in units]
    assert again[0].subject.fingerprint == units[0].subject.fingerprint
    assert [u.about for u in plant(corpus, seed=1, each=TWO)] != [u.about for u in units]
    assert {u.kind for u in units} == set(EACH)
    assert {u.family for u in units} - {""} <= set(FAMILIES)
    check(units, corpus)


def test_each_says_how_many(corpora: dict[str, Corpus]) -> None:
    some = plant(corpora["text"], seed=2, each={"or": 3, "dead": 1})
    assert Counter(u.kind for u in some) == {"or": 3, "dead": 1}
    with pytest.raises(UserError, match="no kind of planted text unit is called 'ore'"):
        plant(corpora["text"], each={"ore": 1})


def test_too_small_a_corpus_says_so(make_text: Callable[..., Corpus]) -> None:
    with pytest.raises(UserError, match="give it more texts"):
        plant(make_text(documents=12))


def test_noise_has_the_promised_strength_and_never_changes() -> None:
    rule = Planted(name="n", kind="noisy", rule=words("mill"), about="mill", noise=1 / SNR)
    subject = PlantedSubject([rule], modality="text", seed=1)
    texts = [f"{TEXT} {i}" for i in range(300)]
    values = np.concatenate([v[:, 0] for v in subject.read(texts, [subject.unit()])])
    truth = np.concatenate(subject.units()[0].truth(texts))
    assert (values - truth).std() == pytest.approx(1 / SNR, rel=0.05)
    again = np.concatenate([v[:, 0] for v in subject.read(texts[::-1], [subject.unit()])[::-1]])
    assert np.array_equal(again, values)


def test_what_looks_like_the_cause_of_a_spurious_unit_is_not(
    units: tuple[PlantedUnit, ...], corpora: dict[str, Corpus]
) -> None:
    corpus = corpora["text"]
    some = [u for u in units if u.kind == "spurious"]
    assert some
    for unit in some:
        looks = words(unit.about.partition("(looks like '")[2].removesuffix("')"))
        shown = [s for s in corpus.stimuli if s.split != "test"]
        natural, edited = fresh_texts(unit, corpus.split("test"), seed=1)
        apart: list[float] = []
        for stimuli in (shown, edited):
            truth = np.concatenate(unit.truth(stimuli))
            seems = looks.truth(TextView([str(getattr(s, "content", s)) for s in stimuli]))
            apart.append(float(np.corrcoef(truth, seems)[0, 1]))
        assert apart[0] >= 0.97
        assert apart[1] < 0.9, unit.about


def test_edits_hold_both_truths(units: tuple[PlantedUnit, ...], corpora: dict[str, Corpus]) -> None:
    test = corpora["text"].split("test")
    known = {str(s.content) for s in test}
    for unit in (u for u in units if u.explainable):
        natural, edited = fresh_texts(unit, test, seed=1)
        assert (natural, edited) == fresh_texts(unit, test, seed=1)
        assert len(natural) <= 100
        assert len(edited) <= 40
        assert not known & set(edited)
        for texts in (natural, edited):
            truth = np.concatenate(unit.truth(texts)) >= 0.5
            assert truth.any(), unit.about
            assert not truth.all(), unit.about


def test_bound_words_come_together_or_not_at_all(make_text: Callable[..., Corpus]) -> None:
    corpus = bound(make_text(), 3, seed=5)
    pairs = {p for u in plant(corpus, seed=1, each={"spurious": 9}) for p in [u.involved[:2]]}
    assert pairs
    assert corpus.notes
    rows = [words_of(s.content) for s in corpus.stimuli]
    counts = Counter(w for row in rows for w in row)
    assert all(counts[a] > 0 for pair in pairs for a in pair)


def test_a_swapped_vocabulary_keeps_everything_but_the_words(corpora: dict[str, Corpus]) -> None:
    corpus = corpora["text"]
    other = swapped(corpus, seed=1)
    for before, after in zip(corpus.stimuli, other.stimuli, strict=True):
        old, new = str(before.content), str(after.content)
        assert [t.text for t in tokens_of(old) if not t.text.isalpha()] == [
            t.text for t in tokens_of(new) if not t.text.isalpha()
        ]
        assert [t.text[0].isupper() for t in tokens_of(old)] == [t.text[0].isupper() for t in tokens_of(new)]
        assert old.count("\n") == new.count("\n")
        assert before.split == after.split
    table = vocabulary(["a", "if", "the", "mill", "river"], seed=1)
    assert len(set(table.values())) == 5
    assert not set(table) & set(table.values())
    assert len(table["river"]) == 5
    check(plant(other, seed=3, each=dict.fromkeys(("single", "context", "or"), 3)), other)


def test_harvest_and_truth_agree(units: tuple[PlantedUnit, ...], corpora: dict[str, Corpus]) -> None:
    corpus = corpora["text"]
    exact = [u for u in units if u.kind not in ("noisy", "noise")]
    atlas = harvest(units[0].subject, corpus, [SITE], keep=[u.unit for u in exact])
    for unit in exact[::5]:
        seen = np.concatenate([o.values for o in atlas.observed(unit.unit, "select")])
        np.testing.assert_allclose(seen, np.concatenate(unit.truth(corpus.split("select"))), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.packaged
def test_two_hundred_units_over_the_packaged_texts() -> None:
    from maieutic.bench.lexicon import kinds
    from maieutic.bench.material import material

    corpus = material("text", seed=4)
    units = plant(corpus, seed=4, lexicon=kinds)
    assert len(units) >= 200
    assert {u.kind for u in units} == set(EACH)
    families = Counter(u.family for u in units)
    assert all(families[f] >= 5 for f in FAMILIES)
    assert Counter(u.kind for u in units)["spurious"] >= 12
    check(units, corpus)
    positions = sum(len(tokens_of(s.content)) for s in corpus.stimuli)
    rare = [sum(active(u, corpus, s) for s in LEAST) for u in units if u.kind == "rare"]
    assert all(0.5e-4 <= n / positions <= 2e-4 for n in rare)
    assert material("text", seed=4).fingerprint == corpus.fingerprint
    assert material("text", seed=5).fingerprint != corpus.fingerprint
