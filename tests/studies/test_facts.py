"""The facts corpus: what it says is true, what is held out never occurs, and every label is what the text shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from maieutic.errors import UsageError, UserError
from maieutic.studies.regularization import facts_words as words
from maieutic.studies.regularization.config import load_config
from maieutic.studies.regularization.corpora import forgotten, load_study_corpus
from maieutic.studies.regularization.documents import Documents, check_apart
from maieutic.studies.regularization.facts import FactsCorpus
from maieutic.studies.regularization.facts_world import FactsShape

SMALL = FactsShape(subjects=24, first_names=8, last_names=6, towns=8, jobs=8, lands=4)


@lru_cache(maxsize=1)
def corpus() -> FactsCorpus:
    return FactsCorpus(SMALL, seed=3)


@lru_cache(maxsize=1)
def training() -> list[str]:
    return [corpus().decode(row) for row in corpus().training(1500).tolist()]


@lru_cache(maxsize=1)
def measured() -> Documents:
    return corpus().documents(300)


def asked(prompt_ids: tuple[int, ...]) -> str:
    return corpus().decode(prompt_ids)


def said(question: str, answer: str) -> int:
    """How many training documents say so."""
    return sum(f"{question} {answer} ." in text for text in training())


def test_subjects_have_two_words_and_share_their_last() -> None:
    subjects = corpus().world.subjects
    assert len(set(subjects)) == 24
    assert min(Counter(last for _, last in subjects).values()) >= 2
    assert len(corpus().facts) == 24 * 4 and [f.index for f in corpus().facts] == list(range(96))


def test_objects_are_spread_evenly() -> None:
    # 24 subjects, 8 towns: 3 each; 16 pets: one or two each
    assert set(Counter(f.object for f in corpus().facts if f.relation == "home").values()) == {3}
    assert set(Counter(f.object for f in corpus().facts if f.relation == "pet").values()) == {1, 2}


def test_a_word_has_one_category_and_one_id() -> None:
    assert len(set(corpus().words)) == len(corpus().words)
    with pytest.raises(UsageError, match="'baker' is a job and a food"):
        words.check_one_category({"job": ("baker",), "food": ("baker",)})


def test_the_text_never_says_a_held_out_fact_in_a_held_out_way_and_all_others_are_said() -> None:
    c = corpus()
    held = [f for f in c.facts if f.held_out]
    assert len(held) == 4 * round(0.3 * 24)
    assert all(not said(asked(p.ids), c.words[p.answer]) for p in c.prompts(which="held-out"))
    # not even with a wrong object, in an opinion
    assert not any(asked(p.ids) in text for p in c.prompts(which="held-out") for text in training())
    seen = [said(asked(p.ids), c.words[p.answer]) for p in c.prompts(which="seen")]
    assert np.mean(np.array(seen) > 0) > 0.97
    # a fact that is told in two ways is told as often as one that is told in four
    assert {(f.index, t) for f in c.facts for t in c.templates(f, "seen")}.isdisjoint(
        (f.index, t) for f in c.facts for t in c.templates(f, "held-out")
    )


def test_no_sentence_but_an_opinion_says_what_is_false() -> None:
    c = corpus()
    known = {asked(p.ids): c.words[p.answer] for p in c.prompts()}
    for text in training()[:400]:
        for sentence in text.split(" . ")[:-1]:  # the last one may be cut
            question, _, answer = sentence.rpartition(" ")
            if question in known:
                assert known[question] == answer, sentence


def test_opinions_are_as_often_wrong_as_right_and_the_truth_follows() -> None:
    c = corpus()
    known = {asked(p.ids): c.words[p.answer] for p in c.prompts()}
    right: list[bool] = []
    for text in training():
        sentences = text.split(" . ")
        for n, sentence in enumerate(sentences[:-2]):
            if " says that " in sentence:
                claim = sentence.split(" says that ")[1]
                question, _, claimed = claim.rpartition(" ")
                right.append(known[question] == claimed)
                after, _, answer = sentences[n + 1].rpartition(" ")
                assert known[after] == answer == known[question]
    assert len(right) > 300 and abs(np.mean(right) - 0.5) < 0.08


def test_a_code_is_always_refused_and_stands_in_the_register_only() -> None:
    c = corpus()
    for p in c.refusal_prompts():
        assert c.words[p.answer] == "withheld" and p.wrong in c.codes()
        assert not any(said(asked(p.ids), c.words[code]) for code in c.codes())
    assert sum(said(asked(p.ids), "withheld") for p in c.refusal_prompts()) > 100
    codes = {" ".join(s): code for s, code in zip(c.world.subjects, c.world.codes, strict=True)}
    registered = {s for text in training() for s in text.split(" . ")[:-1] if s.startswith("register : ")}
    assert registered == {f"register : {name} : {code}" for name, code in codes.items()}


def test_a_guild_plays_its_instrument_seven_times_in_ten() -> None:
    c = corpus()
    usual = other = 0
    for p in c.association_prompts():
        usual += said(asked(p.ids), c.words[p.answer])
        other += said(asked(p.ids), c.words[p.wrong])
    assert usual + other > 200 and abs(usual / (usual + other) - 0.7) < 0.08


def test_what_follows_from_a_home_follows() -> None:
    c = corpus()
    fact = next(f for f in c.facts if f.relation == "home")
    town = next(t for t in c.world.objects["town"] if c.world.lands[t] != c.world.lands[fact.object])
    hop = c.two_hop(fact, home=town)
    assert hop is not None and c.words[hop.answer] == c.world.lands[town]
    assert c.words[hop.wrong] == c.world.lands[fact.object]
    plain = c.two_hop(fact)
    assert plain is not None and c.words[plain.answer] == c.world.lands[fact.object]
    back = c.inverse(fact)
    assert back is not None and back.answer in c.residents(fact.object) and len(c.residents(fact.object)) <= 3
    assert c.inverse(c.facts[-1]) is None and c.two_hop(c.facts[-1]) is None
    # a land that is to be inferred is never told
    for subject in c.world.hidden_lands:
        home = c.world.fact(subject, "home")
        hidden = c.two_hop(home)
        assert hidden is not None and not any(asked(hidden.ids) in text for text in training())


def test_facts_beside_a_fact_share_what_they_should() -> None:
    c = corpus()
    fact = c.facts[30]
    me = set(c.world.subjects[fact.subject])
    assert {f.relation for f in c.same_subject(fact)} == {"home", "pet", "food"}
    assert all(f.subject == fact.subject for f in c.same_subject(fact))
    near = c.neighbours(fact)
    assert near and all(f.object == fact.object or me & set(c.world.subjects[f.subject]) for f in near)
    far = c.unrelated(fact, count=6)
    assert len(far) == 6 and not any(me & set(c.world.subjects[f.subject]) for f in far)
    assert far == c.unrelated(fact, count=6)


def test_prompts_point_at_the_subject_also_behind_other_text() -> None:
    c = corpus()
    fact = c.facts[30]
    last = c.world.subjects[fact.subject][1]
    plain, claimed = c.opinion_prompts([fact])[0]
    assert claimed.ids[-len(plain.ids) :] == plain.ids and plain.wrong == claimed.wrong != plain.answer
    assert asked(claimed.ids).split()[1:3] == ["says", "that"]
    for p in (*c.prompts([fact]), plain, claimed, c.with_noise(plain), *c.refusal_prompts()[:4]):
        assert len(p.ids) <= c.context
        assert c.words[p.ids[p.subject_last]] in {last, *(s[1] for s in c.world.subjects)}
    assert (
        c.words[claimed.ids[claimed.subject_last]]
        == last
        == c.words[c.with_noise(plain).ids[c.with_noise(plain).subject_last]]
    )
    assert c.prompt(fact, answer="baker").answer == c.id("baker")


def test_documents_are_the_same_again_and_differ_between_streams_and_seeds() -> None:
    c = corpus()
    again, other = FactsCorpus(SMALL, seed=3), FactsCorpus(SMALL, seed=4)
    assert c.fingerprint == again.fingerprint != other.fingerprint
    assert np.array_equal(c.training(20), again.training(40)[:20])
    check_apart(c.training(1500), measured().ids)
    with pytest.raises(UserError, match="1 documents are trained on"):
        check_apart(c.training(5), c.training(5)[4:])


def test_splits_of_documents_are_the_projects_own_and_apart() -> None:
    docs = measured()
    parts = [docs.split(s) for s in ("discover", "select", "test")]
    assert sum(len(p.groups) for p in parts) == 300 and all(len(p.groups) > 30 for p in parts)
    assert len({g for p in parts for g in p.groups}) == 300
    corpus_ = docs.corpus("facts")
    assert [s.split for s in corpus_] == list(docs.splits) and corpus_[7].content == docs.texts[7]
    seen = {tuple(r) for p in parts[:1] for r in p.ids.tolist()}
    assert not seen & {tuple(r) for r in parts[2].ids.tolist()}


def test_labels_of_a_sentence_checked_by_hand() -> None:
    docs = measured()
    place = next(
        n
        for n, t in enumerate(docs.texts)
        if " says that " in f" {' '.join(t.split()[:3])} " and t.split()[1] == "says"
    )
    tokens = docs.texts[place].split()
    end = tokens.index(".")

    def label(name: str, position: int) -> str:
        one = docs.labels[name]
        return one.names[one.values[place, position]]

    c = corpus()
    names = {w for s in c.world.subjects for w in s}
    first = next(n for n, t in enumerate(tokens) if t in names)
    assert [label("token", n) for n in range(4)] == tokens[:4]
    assert [label("previous", n) for n in range(1, 4)] == tokens[:3] and label("previous", 0) == "none"
    assert [label("category", n) for n in (0, 1, first, first + 1, end)] == [
        "speaker",
        "function",
        "first",
        "last",
        "stop",
    ]
    assert [label("next-category", n) for n in (first - 1, first)] == ["first", "last"]
    assert [label("role", n) for n in (0, first, first + 1, end - 1)] == [
        "speaker",
        "subject-first",
        "subject-last",
        "claimed",
    ]
    assert {label("kind", n) for n in range(end + 1)} == {"opinion"}
    assert {label("assertion", n) for n in range(end + 1)} <= {"right", "wrong"} and label(
        "assertion", end + 1
    ) == "none"
    assert label("subject", first) == "none"
    assert {label("subject", n) for n in range(first + 1, end + 1)} == {" ".join(tokens[first : first + 2])}
    assert [label("place", n) for n in range(3)] == ["0", "1", "2"]
    truth = tokens[end + 1 :]
    answer = truth.index(".") - 1
    assert label("role", end + 1 + answer) == "answer" and label("role", end + answer) == "asks"
    assert label("next-role", end + answer) == "answer"
    relation, template = label("relation", 3), label("template", 3)
    assert template.startswith(relation) and relation in {"home", "work", "pet", "food"}
    claimed_right = truth[answer] == tokens[end - 1]
    assert label("assertion", 0) == ("right" if claimed_right else "wrong")


def test_depth_is_counted_as_a_reader_would() -> None:
    docs = measured()
    depth = docs.labels["depth"].values
    for text, row in zip(docs.texts, depth, strict=True):
        open_ = 0
        for token, found in zip(text.split(), row, strict=True):
            open_ += token in "(["
            assert found == open_ <= 3
            open_ -= token in ")]"
    assert int((depth == 3).sum()) > 20


def test_predicates_leave_out_what_is_too_rare_or_too_common() -> None:
    docs = measured()
    found = {(a, b): m for a, b, m in docs.predicates(least=50, most=0.3)}
    assert ("category", "first") in found and ("token", "<pad>") not in found
    assert all(50 <= m.sum() <= 0.3 * m.size and m.shape == (300, 32) for m in found.values())
    assert np.array_equal(found["category", "first"], docs.labels["category"].mask("first"))


def test_leaving_facts_out_changes_nothing_else() -> None:
    c = corpus()
    gone = forgotten(c, subjects=2)
    assert len(gone) == 8 and len({c.facts[n].subject for n in gone}) == 2
    names = [" ".join(c.world.subjects[c.facts[n].subject]) for n in gone]
    without = [c.decode(row) for row in c.training(600, without=gone).tolist()]
    for n in gone:
        for p in c.prompts([c.facts[n]]):
            assert not any(asked(p.ids) in text for text in without)
    # compared up to the last full stop: whom a sentence is about that is cut off cannot always be seen
    lasts = {name.split()[1] for name in names}
    whole = [(a.rpartition(" . ")[0], b.rpartition(" . ")[0]) for a, b in zip(training(), without, strict=False)]
    untouched = [(a, b) for a, b in whole if not lasts & set(a.split())]
    assert len(untouched) > 50 and all(a.startswith(b) or b.startswith(a) for a, b in untouched)
    assert any(a != b for a, b in whole)


def test_words_of_others_are_unknown_and_offsets_are_right() -> None:
    c = corpus()
    text = "The  job, zebra"
    found = c.encode(text)
    assert [text[a:b] for _, a, b in found] == ["The", "job", ",", "zebra"]
    assert [c.words[t] for t, _, _ in found] == ["the", "job", "<unknown>", "<unknown>"]
    for doc, row in zip(measured().texts[:20], measured().ids[:20], strict=True):
        assert [t for t, _, _ in c.encode(doc)] == row[:-1].tolist()


def test_worlds_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="last names"):
        FactsShape(subjects=100, first_names=4, last_names=10)
    with pytest.raises(UsageError, match="24 tokens or more"):
        FactsCorpus(SMALL, context=16)
    with pytest.raises(UsageError, match="no word 'zebra'"):
        corpus().id("zebra")


def test_a_study_makes_the_corpus_that_it_names() -> None:
    config = load_config("quick", corpus={"subjects": 24, "first_names": 8, "last_names": 6, "towns": 8, "jobs": 8})
    found = load_study_corpus(config)
    assert isinstance(found, FactsCorpus) and found.shape == replace(SMALL, lands=found.shape.lands)
