"""Turn the picture packages into the library: which files, what they are called, trimmed, shrunk, grouped.

Kept are photo-like stamps: flat drawings (most neighbouring pixels equal), tiny and nearly transparent pictures are
left out, because networks trained on photos do not recognise drawings as their objects. Grouped together, hence never
on two sides of a split: namesakes among stamps and pictures with nearly equal difference hashes, mirrored or not.
Splits follow from the groups' names by hash. What this module does not do: compose scenes, or fetch.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from maieutic.stimuli.base import SPLIT_EDGES, SPLITS, split_of
from maieutic.stimuli.library import Picture
from maieutic.stimuli.licences import Licence, licence_of, read_copyright
from maieutic.stimuli.naming import name_picture
from maieutic.stimuli.near import Clusters, Look, look_of, near_looks
from maieutic.stimuli.qt_resources import ResourceError, read_resources
from maieutic.stimuli.wordnet import Wordnet

if TYPE_CHECKING:
    from PIL.Image import Image

#: longest side of a prepared stamp, and shortest side of a prepared photo, in pixels
STAMP_SIDE, PHOTO_SIDE = 256, 288
_SMALLEST_STAMP = 41
#: pictures that make a concept worth balancing, and group suffixes tried
_CONCEPT, _SUFFIXES = 6, 400
_DRAWN_FOLDERS = frozenset({"symbols", "flags", "cartoon", "roadsigns", "easter", "hanukkah", "body_parts"})
# fmt: off
_DRAWN_STEMS = frozenset((
    "Santa", "bow", "button", "confetti", "final-roll-call", "fireworks", "fireworks2", "ghost", "hedgehog",
    "jackolantern_mean", "lightningbolt", "party-hat", "party-horn-in", "party-horn-out", "pizza",
    "rugby_goal_posts", "santahat", "sedan_police", "star", "stocking",
))
# fmt: on
_KEPT_ANYWAY = frozenset({"traffic_cone", "7spoke256", "toilet"})
_RESOURCES = ("categorization", "erase", "explore_farm_animals", "explore_monuments", "explore_world_animals")
#: folder inside the resource → folder that says what kind of thing it shows
_PHOTO_FOLDERS = {"fishes": ("animals", "fish"), "animals": ("animals",), "monuments": ("town", "monuments"),
                  "tools": ("household", "tools"), "others": ("household",),
                  "renewable": ("town", "energy")}  # fmt: skip
_TEXTURES_LEFT_OUT = frozenset({"Legacy"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A picture before it is grouped."""

    picture: Picture
    image: Image
    look: Look
    namesake: str


def prepare(target: Path, roots: Mapping[str, Path]) -> tuple[list[Picture], dict[str, str]]:
    """Write the prepared pictures under ``target``; gives them in the order of their keys, and their attribution."""
    database = roots.get("wordnet-base")
    wordnet = Wordnet(database / "usr/share/wordnet") if database is not None else None
    attribution: dict[str, str] = {}
    if wordnet is not None:
        attribution["wordnet-base"] = (
            "WordNet 3.0 (names of kinds): © 2006 Princeton University; licence kept beside it"
        )
    found: list[_Found] = []
    if "tuxpaint-stamps-default" in roots:
        found += _stamps(roots["tuxpaint-stamps-default"], wordnet, attribution)
    if "gcompris-qt-data" in roots:
        found += _photos(roots["gcompris-qt-data"], wordnet, attribution)
    if "gimp-data" in roots:
        found += _textures(roots["gimp-data"], attribution)
    found.sort(key=lambda f: f.picture.key)
    pictures: list[Picture] = []
    groups = balanced([f.picture for f in found], _groups(found))
    for item, group in zip(found, groups, strict=True):
        path = target / item.picture.file
        path.parent.mkdir(parents=True, exist_ok=True)
        item.image.save(path, format="WEBP", lossless=True, exact=True, quality=0, method=0)
        pictures.append(replace(item.picture, group=group))
    return pictures, dict(sorted(attribution.items()))


def _groups(found: list[_Found]) -> list[str]:
    clusters = Clusters(len(found))
    clusters.join_equal(f.namesake for f in found)
    for i, j in near_looks([f.look for f in found]):
        clusters.join(i, j)
    return [found[root].picture.key for root in clusters.roots()]


def balanced(pictures: Sequence[Picture], groups: Sequence[str]) -> list[str]:
    """The groups with one suffix for all, so chosen that the splits of the hash hold every concept in fair shares.

    Some three hundred clusters fall unevenly: without this no dog, or no primate, may lie in a split. The choice looks
    at names only, never at a model. Of 400 suffixes the one with the smallest sum over concepts of six pictures or more
    of (count - expected)² / (expected + 1) is taken.
    """
    kinds = [("kind:" + p.kind, *p.concepts) for p in pictures]
    names = [c for c, n in sorted(Counter(c for k in kinds for c in dict.fromkeys(k)).items()) if n >= _CONCEPT]
    if not names:
        return list(groups)
    column = {name: i for i, name in enumerate(names)}
    members = np.zeros((len(pictures), len(names)))
    for row, concepts in enumerate(kinds):
        members[row, [column[c] for c in concepts if c in column]] = 1
    shares = np.diff([0.0, *SPLIT_EDGES])
    expected = shares[:, None] * members.sum(axis=0)

    def unfairness(suffix: int) -> float:
        sides = np.array([SPLITS.index(split_of(f"{g} {suffix}")) for g in groups])
        counts = np.stack([members[sides == s].sum(axis=0) for s in range(len(SPLITS))])
        return float(((counts - expected) ** 2 / (expected + 1)).sum())

    best = min(range(_SUFFIXES), key=lambda suffix: (unfairness(suffix), suffix))
    return [f"{group} {best}" for group in groups]


def _describe(
    key: str,
    kind: Literal["stamp", "photo", "texture"],
    named: tuple[str, tuple[str, ...]],
    folders: tuple[str, ...],
    image: Image,
    source: str,
    namesake: str,
) -> _Found:
    picture = Picture(
        key=key,
        kind=kind,
        name=named[0],
        concepts=named[1],
        folders=folders,
        group="",
        source=source,
        file=f"{kind}s/{re.sub(r'[^A-Za-z0-9_-]+', '-', key.partition(':')[2])}.webp",
        size=image.size,
        hash=hashlib.sha256(repr((image.mode, image.size)).encode() + image.tobytes()).hexdigest()[:32],
    )
    return _Found(picture=picture, image=image, look=look_of(image), namesake=namesake)


# --- stamps ------------------------------------------------------------------------------------------------------


def _stamps(root: Path, wordnet: Wordnet | None, attribution: dict[str, str]) -> Iterator[_Found]:
    from PIL import Image as Pictures

    base = root / "usr/share/tuxpaint/stamps"
    package = "tuxpaint-stamps-default"
    licences = read_copyright(root / "usr/share/doc" / package / "copyright")
    attribution[package] = f"Tux Paint stamps (Debian package {package}): " + (
        str(licences[0]) if licences else "GPL-2; © Bill Kendrick and contributors"
    )
    seen: set[str] = set()
    for path in sorted(base.rglob("*.png"), key=lambda p: p.as_posix()):
        folders = path.relative_to(base).parts[:-1]
        if not _may_be_photo(path.stem, folders):
            continue
        original = Pictures.open(path).convert("RGBA")
        image = _trimmed(original)
        if image is None or (path.stem not in _KEPT_ANYWAY and not photo_like(original)):
            continue
        key = "stamp:" + "/".join((*folders, path.stem))
        found = _describe(key, "stamp", _named(path, folders, wordnet), folders, image, package, "")
        if found.picture.hash in seen:
            continue  # some stamps lie in two folders
        seen.add(found.picture.hash)
        yield replace(found, namesake=f"stamp {found.picture.name}")


def _may_be_photo(stem: str, folders: tuple[str, ...]) -> bool:
    if stem in _KEPT_ANYWAY:
        return True
    drawn_clothes = stem.startswith("t_") and "clothes" in folders
    return not (set(folders) & _DRAWN_FOLDERS or stem in _DRAWN_STEMS or stem.endswith("_mirror") or drawn_clothes)


def _named(path: Path, folders: tuple[str, ...], wordnet: Wordnet | None) -> tuple[str, tuple[str, ...]]:
    texts = (path.with_suffix(".txt"), path.with_name(path.name + ".txt"))
    caption = next((t.read_text(encoding="utf-8", errors="replace") for t in texts if t.is_file()), "")
    named = name_picture(path.stem, caption.partition("\n")[0], folders, wordnet)
    return named.name, named.concepts


def _trimmed(image: Image) -> Image | None:
    """Cut to the object, at most 256 px; ``None`` when little is left."""
    from PIL import Image as Pictures

    seen = np.asarray(image.getchannel("A")) > 24
    box = Pictures.fromarray(seen).getbbox()
    if box is None:
        return None
    image = image.crop(box)
    if max(image.size) < _SMALLEST_STAMP:
        return None
    # resampling premultiplied colours keeps the colour of transparent pixels from bleeding into the edge
    image.thumbnail((STAMP_SIDE, STAMP_SIDE), Pictures.Resampling.LANCZOS)
    return image


def photo_like(image: Image) -> bool:
    """Whether an RGBA cut-out looks like a photo: enough of it opaque, and neighbouring pixels mostly not equal."""
    step = max(1, max(image.size) // STAMP_SIDE)
    pixels = np.asarray(image, dtype=np.int16)[::step, ::step]
    opaque = pixels[..., 3] > 200
    if opaque.mean() < 0.06:
        return False
    apart = np.abs(np.diff(pixels[..., :3], axis=1)).max(axis=-1)
    both = opaque[:, 1:] & opaque[:, :-1]
    return bool(both.any()) and float((apart[both] <= 1).mean()) < 0.62


# --- photos ------------------------------------------------------------------------------------------------------


def _photos(root: Path, wordnet: Wordnet | None, attribution: dict[str, str]) -> Iterator[_Found]:
    package = "gcompris-qt-data"
    licences = read_copyright(root / "usr/share/doc" / package / "copyright")
    for resource in _RESOURCES:
        file = root / "usr/share/gcompris-qt/rcc" / f"{resource}.rcc"
        try:
            entries = sorted(read_resources(file.read_bytes())) if file.is_file() else []
        except ResourceError:
            continue
        for path, data in entries:
            parts = path.split("/")
            if path.endswith((".webp", ".jpg", ".png")) and "resource" in parts:
                found = _photo(resource, path.removeprefix("gcompris/"), data, wordnet, licences, attribution)
                if found is not None:
                    yield found


def _photo(
    resource: str,
    path: str,
    data: bytes,
    wordnet: Wordnet | None,
    licences: tuple[Licence, ...],
    attribution: dict[str, str],
) -> _Found | None:
    from PIL import Image as Pictures

    kind, stem = path.split("/")[-2], Path(path).stem
    if kind in ("alphabets", "numbers"):
        return None
    folders = _PHOTO_FOLDERS.get(kind, ("animals",) if resource == "erase" else ("town", "monuments"))
    image = Pictures.open(io.BytesIO(data)).convert("RGB")
    if min(image.size) < 100:
        return None
    scale = PHOTO_SIDE / min(image.size)
    if scale < 1:
        image = image.resize(
            (round(image.width * scale), round(image.height * scale)), Pictures.Resampling.LANCZOS, reducing_gap=3.0
        )
    named = name_picture(stem, "", folders, wordnet)
    source = _source(path, licences, attribution)
    # numbered photos show different things of one kind; the others are namesakes of the same building or animal
    plain = re.sub(r"[^a-z]", "", stem.lower())
    namesake = f"photo {resource}/{kind}/{stem}" if re.search(r"\d$", stem) else f"photo {plain}"
    key = f"photo:{resource}/{kind}/{stem}" if kind != "resource" else f"photo:{resource}/{stem}"
    return _describe(key, "photo", (named.name, named.concepts), folders, image, source, namesake)


def _source(path: str, licences: tuple[Licence, ...], attribution: dict[str, str]) -> str:
    licence = licence_of(path, licences)
    if licence is None:
        key, text = "gcompris-qt-data", (
            "GCompris (Debian package gcompris-qt-data): files that its copyright file does not list one by one; "
            "the package as a whole is GPL-3+, © the GCompris developers"
        )  # fmt: skip
    else:
        key = f"gcompris-qt-data:{Path(licence.patterns[0]).stem}"
        text = f"GCompris (Debian package gcompris-qt-data), {licence}"
    attribution[key] = text
    return key


# --- textures ----------------------------------------------------------------------------------------------------


def _textures(root: Path, attribution: dict[str, str]) -> Iterator[_Found]:
    from PIL import Image as Pictures

    package = "gimp-data"
    licences = read_copyright(root / "usr/share/doc" / package / "copyright")
    licence = licences[0].licence if licences else "GPL-3+"
    attribution[package] = f"GIMP patterns (Debian package {package}): {licence}; © the GIMP developers"
    base = root / "usr/share/gimp"
    for path in sorted(base.glob("*/patterns/**/*"), key=lambda p: p.as_posix()):
        if path.parent.name in _TEXTURES_LEFT_OUT or not path.is_file():
            continue
        if path.suffix == ".pat":
            image = read_pattern(path.read_bytes())
        elif path.suffix in (".jpg", ".png"):
            image = Pictures.open(path).convert("RGB")
        else:
            continue
        if image is None or min(image.size) < 24:
            continue
        image.thumbnail((256, 256), Pictures.Resampling.LANCZOS)
        stem = re.sub(r"[_\d]+", " ", path.stem).strip().lower()
        concepts = tuple(dict.fromkeys((stem, path.parent.name.lower(), "texture")))
        key = f"texture:{path.parent.name}/{path.stem}"
        yield _describe(key, "texture", (stem, concepts), (path.parent.name,), image, package, f"texture {stem}")


def read_pattern(data: bytes) -> Image | None:
    """A GIMP pattern (.pat) as RGB: header of 24 bytes and a name, then raw pixels; ``None`` when it is not one."""
    from PIL import Image as Pictures

    header, version, width, height, depth = (int.from_bytes(data[i : i + 4], "big") for i in range(0, 20, 4))
    modes = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
    if data[20:24] != b"GPAT" or version != 1 or depth not in modes or len(data) < header + width * height * depth:
        return None
    body = data[header : header + width * height * depth]
    return Pictures.frombytes(modes[depth], (width, height), body).convert("RGB")
