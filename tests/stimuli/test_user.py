"""A user's own data, good and bad."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maieutic.errors import MissingExtraError, UsageError, UserError
from maieutic.stimuli.base import SPLITS, Corpus
from maieutic.stimuli.corpora import load_corpus
from maieutic.stimuli.user import read_text


def noise(seed: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 6, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


# --- texts -------------------------------------------------------------------------------------------------------


def test_texts_keep_their_order_tags_and_documents() -> None:
    texts = [f"text number {i} about things" for i in range(12)]
    corpus = Corpus.from_texts(texts, tags=["even" if i % 2 == 0 else ["odd", "x"] for i in range(12)])
    assert [s.content for s in corpus] == texts
    assert corpus[0].tags == ("even",) and corpus[1].tags == ("odd", "x")
    assert {s.split for s in corpus} == set(SPLITS)
    together = Corpus.from_texts(texts, documents=["a", "b", "c", "d"] * 3)
    assert [s.group for s in together[:4]] == ["a", "b", "c", "d"]
    assert len({(s.group, s.split) for s in together}) == 4


def test_duplicates_and_blanks_are_left_out_and_said() -> None:
    corpus = Corpus.from_texts(["one text here", "another text there", "one text here", "  \n", "third of them all"])
    assert len(corpus) == 3
    assert "1 blank texts left out" in corpus.notes and "1 exact duplicate left out" in corpus.notes


def test_a_subset_is_fair_and_nested() -> None:
    texts = [f"text number {i}" for i in range(50)]
    small, large = (Corpus.from_texts(texts, size=n) for n in (10, 30))
    assert len(small) == 10 and {s.id for s in small} < {s.id for s in large}


def test_bad_texts_are_one_line() -> None:
    with pytest.raises(UserError, match="is empty: give at least one text"):
        Corpus.from_texts([])
    with pytest.raises(UserError, match="is empty"):
        Corpus.from_texts(["", "  "])
    with pytest.raises(UserError, match="text 1 is a int"):
        Corpus.from_texts(["a", 3])  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="1 tags for 2 stimuli"):
        Corpus.from_texts(["a", "b"], tags=["x"])


def test_a_folder_of_texts_is_a_document_a_file(tmp_path: Path) -> None:
    for i in range(4):
        text = "\n\n".join(f"Paragraph {j} of file {i}. " + f"Words {i}{j} and more. " * 20 for j in range(4))
        (tmp_path / f"file{i}.md").write_text(text, encoding="utf-8")
    corpus = load_corpus(tmp_path)
    assert len({s.group for s in corpus}) == 4 and len(corpus) >= 16
    assert all(len(s.content) < 700 for s in corpus)
    # a list of files gives the same stimuli
    listed = load_corpus([tmp_path / f"file{i}.md" for i in range(4)])
    assert {s.id for s in listed} == {s.id for s in corpus}


def test_binary_and_foreign_files_as_text(tmp_path: Path) -> None:
    (tmp_path / "program.txt").write_bytes(b"\x7fELF\0\0\0")
    with pytest.raises(UserError, match="is a binary file, not text"):
        load_corpus(tmp_path / "program.txt")
    (tmp_path / "latin.txt").write_bytes("größe".encode("latin-1"))
    with pytest.raises(UserError, match="is not UTF-8 .* iconv"):
        read_text(tmp_path / "latin.txt")
    (tmp_path / "good.txt").write_text("a good text", encoding="utf-8")
    corpus = load_corpus(tmp_path)
    assert len(corpus) == 1 and corpus.notes[0].startswith("2 unreadable skipped: ")


def test_jsonl(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    rows = [{"text": f"row {i} has a text", "tags": ["t", str(i % 2)], "document": f"d{i // 2}"} for i in range(10)]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")
    corpus = load_corpus(str(path))
    assert len(corpus) == 10 and corpus[3].tags == ("t", "1") and corpus[3].group == "d1"
    path.write_text('{"text": "fine"}\n{"body": "no text"}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"row 2 of mine.jsonl has no field 'text' \(it has body\)"):
        load_corpus(path)
    path.write_text('{"text": "fine"}\nnot json\n', encoding="utf-8")
    with pytest.raises(UserError, match="line 2 of .* is not JSON"):
        load_corpus(path)
    path.write_text("[1]\n", encoding="utf-8")
    with pytest.raises(UserError, match="line 1 of .* is not an object"):
        load_corpus(path)
    path.write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="has no rows"):
        load_corpus(path)
    path.write_text('{"text": 5}\n', encoding="utf-8")
    with pytest.raises(UserError, match="has a 'text' that is a int"):
        load_corpus(path)


def test_csv_of_texts(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([["text", "tags"], ["first, with a comma", "a"], ["second text", "b"]])
    corpus = load_corpus(path)
    assert [(s.content, s.tags) for s in corpus] == [("first, with a comma", ("a",)), ("second text", ("b",))]


# --- images ------------------------------------------------------------------------------------------------------


def test_images_from_pictures_paths_and_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    noise(1).save(path)
    array = np.asarray(noise(2))
    corpus = Corpus.from_images([noise(0), path, str(path), array, array / 255.0, array[..., 0]], tags=list("abcdef"))
    # the path twice, and the same array as bytes and as floats, are exact duplicates
    assert len(corpus) == 4 and "2 exact duplicates left out" in corpus.notes
    assert np.array_equal(np.asarray(corpus[2].content), array)
    assert all(s.content.mode == "RGB" for s in corpus) and corpus[1].tags == ("b",)


def test_transparent_pictures_lie_on_white(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (10, 10), (255, 0, 0, 0))
    assert (np.asarray(Corpus.from_images([clear])[0].content) == 255).all()


def test_a_folder_of_images_takes_tags_from_its_folders(tmp_path: Path) -> None:
    for i in range(6):
        folder = tmp_path / ("cats" if i % 2 else "dogs")
        folder.mkdir(exist_ok=True)
        noise(i).save(folder / f"{i}.png")
    corpus = load_corpus(tmp_path)
    assert len(corpus) == 6 and {s.tags for s in corpus} == {("cats",), ("dogs",)}
    (tmp_path / "labels.csv").write_text("file,tags\ndogs/0.png,poodle;small\ncats/1.png,\n", encoding="utf-8")
    named = load_corpus(tmp_path)
    assert [s.tags for s in named] == [("poodle", "small"), ()]
    assert len(load_corpus(tmp_path / "labels.csv")) == 2
    (tmp_path / "wrong.csv").write_text("file_name,tags\na,b\n", encoding="utf-8")
    with pytest.raises(UserError, match="has no field 'text'"):
        load_corpus(tmp_path / "wrong.csv")


def test_one_broken_image_is_skipped_and_all_broken_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG not really")
    with pytest.raises(UserError, match="none of the 1 images can be read: .*broken.png cannot be read as an image"):
        load_corpus(tmp_path)
    for i in range(3):
        noise(i).save(tmp_path / f"{i}.png")
    corpus = load_corpus(tmp_path)
    assert len(corpus) == 3 and "1 unreadable skipped" in corpus.notes[0] and "broken.png" in corpus.notes[0]


@pytest.mark.parametrize("bad", [np.zeros((4,)), np.zeros((4, 4, 7)), np.zeros((0, 4)), object()])
def test_things_that_are_no_pictures(bad: object) -> None:
    with pytest.raises(UserError, match="image 0 is not a picture"):
        Corpus.from_images([bad])


def test_near_duplicates_of_images_share_a_split() -> None:
    images = [noise(i, (80, 80)) for i in range(8)]
    darker = [Image.eval(image, lambda v: max(0, v - 6)) for image in images]
    corpus = Corpus.from_images([*images, *darker])
    assert [s.group for s in corpus][:8] == [s.group for s in corpus][8:]
    assert len({s.group for s in corpus}) == 8


# --- anything ----------------------------------------------------------------------------------------------------


def test_wrong_names_and_paths(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no corpus 'fotos' \(did you mean 'photos'\?\)"):
        load_corpus("fotos")
    with pytest.raises(UserError, match="no file or folder .*missing.jsonl"):
        load_corpus(tmp_path / "missing.jsonl")
    with pytest.raises(UserError, match="holds no images .* and no texts"):
        load_corpus(tmp_path)
    with pytest.raises(UsageError, match="size 0 is not a number of stimuli"):
        load_corpus("python", size=0)
    with pytest.raises(UserError, match="is empty: give at least one image"):
        Corpus.from_images([])


def test_datasets_are_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'maieutic\[datasets\]'"):
        load_corpus(f"hf-dataset:{tmp_path}")
