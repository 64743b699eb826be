"""The whole way from packages to the corpus, on packages made here: stamps, a resource file, a pattern."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maieutic.errors import UserError
from maieutic.stimuli.base import SPLITS, Corpus
from maieutic.stimuli.library import open_library
from maieutic.stimuli.licences import licence_of, read_copyright
from maieutic.stimuli.naming import name_picture
from maieutic.stimuli.photos import load_photos
from maieutic.stimuli.prepare import photo_like, read_pattern
from maieutic.stimuli.qt_resources import ResourceError, read_resources
from maieutic.stimuli.wordnet import Wordnet


def resource(files: dict[str, bytes], *, version: int = 3, compress: bool = False, folder: str = "folder") -> bytes:
    """A Qt resource file with one folder, written from the format's description."""
    node = 14 if version == 1 else 22
    stamp = b"" if version == 1 else bytes(8)
    names, blocks, nodes = b"", b"", []
    places: list[int] = []
    for name in (folder, *files):
        places.append(len(names))
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
    nodes.append(struct.pack(">IHII", 0, 2, 1, 1) + stamp)
    nodes.append(struct.pack(">IHII", places[0], 2, len(files), 2) + stamp)
    for place, content in zip(places[1:], files.values(), strict=True):
        body = struct.pack(">I", len(content)) + zlib.compress(content) if compress else content
        nodes.append(struct.pack(">IHHHI", place, int(compress), 0, 0, len(blocks)) + stamp)
        blocks += struct.pack(">I", len(body)) + body
    assert all(len(n) == node for n in nodes)
    tree = 20
    start = tree + node * len(nodes)
    return b"qres" + struct.pack(">4I", version, tree, start, start + len(blocks)) + b"".join(nodes) + blocks + names


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("compress", [False, True])
def test_resource_files_are_read(version: int, compress: bool) -> None:
    files = {"owl.webp": b"owl" * 50, "größe.png": b""}
    assert dict(read_resources(resource(files, version=version, compress=compress))) == {
        "folder/owl.webp": b"owl" * 50,
        "folder/größe.png": b"",
    }


@pytest.mark.parametrize("data", [b"", b"qres", b"PK\x03\x04" * 10, resource({"a": b"b"})[:60]])
def test_damaged_resource_files_are_refused(data: bytes) -> None:
    with pytest.raises(ResourceError):
        list(read_resources(data))


def test_the_last_matching_paragraph_of_a_copyright_file_wins(tmp_path: Path) -> None:
    path = tmp_path / "copyright"
    path.write_text(
        "Format: x\n\nFiles: *\nCopyright: 2020 All\nLicense: GPL-3+\n\n"
        "Files: src/animals/*.jpg\n       src/more/owl.png\nCopyright: 2011 Ann\n  2012 Bob\n"
        "License: CC-BY-3.0\n text\n"
        "Comment: https://example.org/owl\n\nFiles: src/animals/bear.jpg\nCopyright: Cy\nLicense: CC0\n",
        encoding="utf-8",
    )
    licences = read_copyright(path)
    assert (
        str(licence_of("src/animals/owl.webp", licences)) == "CC-BY-3.0; © 2011 Ann 2012 Bob; https://example.org/owl"
    )
    assert str(licence_of("src/animals/bear.webp", licences)) == "CC0; © Cy"
    assert licence_of("src/other.png", licences) is None
    assert read_copyright(tmp_path / "none") == ()


def test_patterns_are_read() -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    data = struct.pack(">5I", 24 + 5, 1, 3, 2, 3) + b"GPAT" + b"name\0" + pixels.tobytes()
    image = read_pattern(data)
    assert image is not None and np.array_equal(np.asarray(image), pixels)
    assert read_pattern(data[:-1]) is None
    assert read_pattern(b"nothing of the kind, but long enough") is None


def test_drawings_and_ghosts_are_not_photo_like() -> None:
    rng = np.random.default_rng(0)
    noise = np.dstack([rng.integers(0, 255, (60, 60, 3)), np.full((60, 60), 255)]).astype(np.uint8)
    assert photo_like(Image.fromarray(noise))
    assert not photo_like(Image.new("RGBA", (60, 60), (200, 30, 30, 255)))
    faint = noise.copy()
    faint[:58, :, 3] = 0
    assert not photo_like(Image.fromarray(faint))


@pytest.mark.parametrize(
    ("stem", "caption", "folders", "name", "concepts"),
    [
        ("owl_snowy", "A very white owl.", ("animals", "birds"), "white owl", ("white owl", "owl", "bird", "animal")),
        ("seal", "", ("animals",), "seal", ("seal", "mammal", "animal")),
        ("seal2", "", ("household",), "seal", ("seal",)),
        ("geese", "Two geese, at rest!", ("animals", "birds"), "geese", ("geese", "goose", "bird", "animal")),
        ("zork", "Look at this.", ("animals", "birds"), "zork", ("zork", "bird", "animal")),
        ("leaningTowerOfPisa", "", ("town", "monuments"), "leaning tower of pisa", None),
    ],
)
def test_pictures_are_named(
    wordnet_folder: Path, stem: str, caption: str, folders: tuple[str, ...], name: str, concepts: tuple[str, ...] | None
) -> None:
    named = name_picture(stem, caption, folders, Wordnet(wordnet_folder))
    assert named.name == name
    assert concepts is None or named.concepts == concepts


def test_pictures_are_named_without_wordnet() -> None:
    assert name_picture("owl", "An owl.", ("animals", "birds"), None).concepts == ("owl", "bird", "animal")


def speckled(seed: int, size: tuple[int, int], mode: str = "RGBA") -> Image.Image:
    """A noisy picture of its own colours: photo-like, and unlike the others."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (7, 7, 3)).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    noisy = np.clip(np.asarray(coarse).astype(int) + rng.integers(-20, 20, (size[1], size[0], 3)), 0, 255)
    return Image.fromarray(noisy.astype(np.uint8)).convert(mode)


@pytest.fixture
def made(cache: Path) -> Path:
    """A cache with made-up packages: 14 stamps (two namesakes), 9 photos, 6 textures."""
    root = cache / "packages"
    stamps = root / "debian-tuxpaint-stamps-default"
    for i in range(14):
        folder = stamps / "usr/share/tuxpaint/stamps/animals" / ("birds" if i % 2 else "mammals")
        folder.mkdir(parents=True, exist_ok=True)
        speckled(i, (90, 70 + i)).save(folder / f"beast{i}.png")
        (folder / f"beast{i}.txt").write_text(f"A beast of kind {'abcdefghijklm'[i % 13]}.\n", encoding="utf-8")
    drawn = stamps / "usr/share/tuxpaint/stamps/symbols"
    drawn.mkdir()
    Image.new("RGBA", (80, 80), "red").save(drawn / "square.png")
    photos: dict[str, bytes] = {}
    for i in range(9):
        data = io.BytesIO()
        speckled(100 + i, (160, 120), "RGB").save(data, format="PNG")
        photos[f"castle{'abcdefghi'[i]}.png"] = data.getvalue()
    gcompris = root / "debian-gcompris-qt-data/usr/share/gcompris-qt/rcc"
    gcompris.mkdir(parents=True)
    (gcompris / "explore_monuments.rcc").write_bytes(resource(photos, folder="resource"))
    textures = root / "debian-gimp-data/usr/share/gimp/2.0/patterns/Stone"
    textures.mkdir(parents=True)
    for i in range(6):
        speckled(200 + i, (40, 40), "RGB").save(textures / f"slab{'abcdef'[i]}.png")
    for package in root.iterdir():
        (package / ".complete").write_text("made here\n", encoding="utf-8")
    return cache


def test_the_corpus_is_built_from_packages(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIEUTIC_OFFLINE", "1")
    library = open_library()
    assert [len(library.of(kind)) for kind in ("stamp", "photo", "texture")] == [14, 9, 6]
    assert {p.concepts for p in library.of("photo")} >= {("castlea", "castle", "monument", "building")}
    assert any("wordnet-base" in note for note in library.notes)
    # kinds repeat after 13 letters: the first and the last stamp are namesakes
    groups = {p.key: p.group for p in library.of("stamp")}
    assert groups["stamp:animals/birds/beast13"] == groups["stamp:animals/mammals/beast0"]
    corpus = load_photos()
    again = load_photos()
    assert corpus.fingerprint == again.fingerprint and len(corpus) >= 14 * 3
    assert {s.content.size for s in corpus} == {(256, 256)}
    small = load_photos(size=10)
    assert len(small) == 10 and {s.id for s in small} <= {s.id for s in corpus}
    assert len(load_photos(size=80)) == 80
    assert load_photos(seed=1).fingerprint != corpus.fingerprint
    _check_splits(corpus)


def _check_splits(corpus: Corpus) -> None:
    """No stamp, background, group or content on two sides; ids are those of the stored pixels."""
    from maieutic.stimuli.scenes import image_id

    for parts in (
        lambda s: [s.id],
        lambda s: [s.group],
        lambda s: [] if s.scene is None else [p.stamp for p in s.scene.placements],
        lambda s: [] if s.scene is None else [s.scene.background.key],
    ):
        sides = [{part for s in corpus.split(split) for part in parts(s)} for split in SPLITS]
        assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
    for stimulus in list(corpus)[:10]:
        assert image_id(stimulus.content) == stimulus.id
        assert stimulus.source in corpus.attribution
        if stimulus.scene is not None:
            assert image_id(stimulus.scene.render()) == stimulus.id


def test_a_damaged_cache_says_what_to_delete(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIEUTIC_OFFLINE", "1")
    corpus = load_photos(size=6)
    root = next(made.glob("photos-*"))
    for image in (root / "images").iterdir():
        image.write_bytes(image.read_bytes()[:20])
    with pytest.raises(UserError, match=r"is gone or damaged: delete .*photos-v\d"):
        _ = corpus[0].content
    manifest = next(root.glob("manifest-*"))
    manifest.write_text(manifest.read_text(encoding="utf-8")[:100], encoding="utf-8")
    with pytest.raises(UserError, match=r"manifest-0-6.jsonl is damaged .* delete it"):
        load_photos(size=6)
    manifest.unlink()
    # the manifest is made again, and with it the pictures that cannot be read
    assert load_photos(size=6).fingerprint == corpus.fingerprint


def test_a_full_disk_is_one_line(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIEUTIC_OFFLINE", "1")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "a.webp")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(UserError, match=r"No space left on device at a.webp: free some disk, or set MAIEUTIC_CACHE"):
        load_photos()
    monkeypatch.undo()
    assert not [p for p in made.glob("library-*") if (p / "library.json").exists()]


def test_without_any_package_the_error_says_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIEUTIC_OFFLINE", "1")
    with pytest.raises(UserError, match="there are no pictures yet: run  maieutic fetch"):
        load_photos()
