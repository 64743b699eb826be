"""Corpora from what a user has: lists, folders of images or texts, JSONL, CSV, a saved Hugging Face dataset.

Everything unreadable ends in one line that says what to do; a few bad files among good ones are skipped and counted
in the corpus' notes. Long texts are cut into windows; a document (a file, a ``document`` field, else each text) stays
on one side of the split, and so do near-duplicates. What this module does not do: download, or guess labels.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from maieutic.errors import MissingExtraError, UsageError, UserError
from maieutic.stimuli.base import Corpus, Stimulus
from maieutic.stimuli.grouping import grouped, image_groups
from maieutic.stimuli.near import Look, look_of
from maieutic.stimuli.texts import Document, choose, cut, text_corpus
from maieutic.stimuli.windows import LENGTH

if TYPE_CHECKING:
    from PIL.Image import Image

TEXT_SUFFIXES = frozenset({".txt", ".md", ".py", ".rst", ".tex", ".js", ".c", ".h", ".java", ".go", ".rs"})
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm"})
#: a text at most this long stays one stimulus
_ONE_WINDOW = LENGTH * 1.5


# --- texts -------------------------------------------------------------------------------------------------------


def from_texts(
    texts: Iterable[str],
    *,
    tags: Sequence[str | Sequence[str]] | None = None,
    documents: Sequence[str] | None = None,
    name: str = "texts",
    window: int | None = None,
    size: int | None = None,
) -> Corpus:
    """A corpus of texts.

    Args:
        texts: the texts; each is one stimulus unless ``window`` is given.
        tags: a label, or several, per text.
        documents: what each text is part of; texts of one document share a split. Default: each text by itself.
        name: of the corpus.
        window: cut texts into windows of about so many characters.
        size: keep so many stimuli (a deterministic choice spread over documents).

    Raises:
        UserError: no text, an element that is not a string, or lists of different lengths.
    """
    items = list(texts)
    for i, text in enumerate(items):
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UserError(f"text {i} is a {type(text).__name__}, not a string: give a list of strings")
    _same_length("tags", tags, len(items))
    _same_length("documents", documents, len(items))
    made = [
        Document(
            name=documents[i] if documents is not None else f"text {i}",
            text=text,
            tags=_labels(tags[i]) if tags is not None else (),
            source="user",
        )
        for i, text in enumerate(items)
    ]
    return _text_corpus(name, made, window=window, size=size)


def _text_corpus(
    name: str,
    documents: Sequence[Document],
    *,
    window: int | None,
    size: int | None,
    notes: Sequence[str] = (),
) -> Corpus:
    pairs: list[tuple[Document, str]] = []
    empty = 0
    for document in documents:
        short = window is None or len(document.text) <= _ONE_WINDOW
        pieces = cut([document], length=None if short else window)
        empty += not pieces
        pairs += pieces
    if not pairs:
        raise UserError(f"corpus {name!r} is empty: give at least one text that is not blank")
    said = [*notes, *([f"{empty} blank texts left out"] if empty else [])]
    if size is not None:
        pairs = [pairs[i] for i in choose(pairs, size)]
    return text_corpus(name, pairs, attribution={"user": "your own data"}, notes=said)


def read_text(path: Path) -> str:
    """A text file's content; ``UserError`` when it is binary or not UTF-8."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror}): check the path and its permissions") from error
    if b"\0" in data[:65536]:
        raise UserError(f"{path} is a binary file, not text: give .txt, .md, .py or .jsonl files")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start}): convert it, as with  iconv -t UTF-8") from error


def texts_from_files(paths: Sequence[Path], *, name: str, size: int | None = None) -> Corpus:
    """A corpus of text files, a document each, tagged with their folder and suffix.

    One bad file is an error; among several the bad ones are skipped and noted.
    """
    documents, skipped = _each(paths, _file_document)
    if not documents:
        raise UserError(str(skipped[0]) if skipped else f"no text files in {name}: put .txt, .md or .py files there")
    return _text_corpus(name, documents, window=LENGTH, size=size, notes=_skipped(skipped))


def _file_document(path: Path) -> Document:
    tags = tuple(t for t in (path.parent.name, path.suffix.lstrip(".")) if t)
    return Document(name=str(path), text=read_text(path), tags=tags, source="user")


def texts_from_rows(
    rows: Iterable[Mapping[str, Any]], *, name: str, size: int | None = None, window: int | None = LENGTH
) -> Corpus:
    """A corpus of rows with a ``text`` field, and optionally ``tags`` (string or list) and ``document``."""
    documents: list[Document] = []
    for i, row in enumerate(rows):
        text = row.get("text")
        if not isinstance(text, str):
            has = ", ".join(map(str, row)) or "nothing"
            problem = "has no field 'text'" if text is None else f"has a 'text' that is a {type(text).__name__}"
            raise UserError(f"row {i + 1} of {name} {problem} (it has {has}): name the field with the string 'text'")
        document = str(row.get("document") or f"row {i + 1}")
        documents.append(Document(name=document, text=text, tags=_labels(row.get("tags")), source="user"))
    if not documents:
        raise UserError(f"{name} has no rows: give one JSON object a line with a 'text' field")
    return _text_corpus(name, documents, window=window, size=size)


def jsonl_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """The objects of a JSON-lines file; ``UserError`` with the number of the first bad line."""
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row: Any = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"line {number} of {path} is not JSON ({error.msg}): give one object a line") from error
        if not isinstance(row, dict):
            raise UserError(f'line {number} of {path} is not an object: write  {{"text": "..."}}')
        yield cast("dict[str, Any]", row)


def csv_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file with a header line."""
    rows = list(csv.DictReader(io.StringIO(read_text(path))))
    if not rows:
        raise UserError(f"{path} has no rows: the first line names the columns, as in  file,tags")
    return rows


# --- images ------------------------------------------------------------------------------------------------------


def from_images(
    images: Iterable[Any],
    *,
    tags: Sequence[str | Sequence[str]] | None = None,
    documents: Sequence[str] | None = None,
    name: str = "images",
    size: int | None = None,
) -> Corpus:
    """A corpus of images.

    Args:
        images: ``PIL.Image`` pictures, paths, or arrays ``[height, width]`` or ``[height, width, 3 or 4]`` (bytes, or
            floats in 0 to 1).
        tags: a label, or several, per image.
        documents: what each image is part of (a video, a patient); they share a split. Default: each by itself, near-
            duplicates together.
        name: of the corpus.
        size: keep so many (a deterministic choice).

    Raises:
        UserError: no image, one that cannot be read while it is the only one, or lists of different lengths.
    """
    items = list(images)
    _same_length("tags", tags, len(items))
    _same_length("documents", documents, len(items))
    if not items:
        raise UserError(f"corpus {name!r} is empty: give at least one image")
    seen: list[_Seen]
    seen, skipped = _each(list(enumerate(items)), lambda item: _look_at(*item))
    if not seen:
        raise UserError(f"none of the {len(items)} images can be read: {skipped[0]}")
    if size is not None and size < len(seen):
        seen = sorted(sorted(seen, key=lambda s: s.id)[:size], key=lambda s: s.number)
    stimuli = [
        Stimulus(
            id=s.id,
            modality="image",
            load=s.load,
            tags=_labels(tags[s.number]) if tags is not None else (),
            source="user",
        )
        for s in seen
    ]
    names = [documents[s.number] if documents is not None else f"image {s.id[:12]}" for s in seen]
    groups = image_groups([s.look for s in seen], names)
    final, notes = grouped(stimuli, groups)
    return Corpus(
        name=name,
        modality="image",
        stimuli=final,
        attribution={"user": "your own data"},
        notes=(*_skipped(skipped), *notes),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A user's image after it was looked at once: what is kept of it (a file's pixels are not)."""

    number: int
    id: str
    look: Look
    load: Callable[[], Image]


def _look_at(number: int, item: Any) -> _Seen:
    from maieutic.stimuli.scenes import image_id

    picture, load = _opened(item, number)
    return _Seen(number=number, id=image_id(picture), look=look_of(picture), load=load)


def _opened(item: Any, number: int) -> tuple[Image, Callable[[], Image]]:
    """An image as RGB, and how to get it again (files stay on disk)."""
    from PIL import Image as Pictures

    if isinstance(item, str | Path):
        path = Path(item)
        return read_image(path), lambda: read_image(path)
    if isinstance(item, Pictures.Image):
        picture = _rgb(item)
        return picture, lambda: picture
    try:
        array = np.asarray(item)
        if array.ndim not in (2, 3) or not array.size or (array.ndim == 3 and array.shape[2] not in (3, 4)):
            raise TypeError(f"shape {array.shape}")
        if np.issubdtype(array.dtype, np.floating):
            array = (np.clip(array, 0, 1) * 255).round()
        picture = _rgb(Pictures.fromarray(array.astype(np.uint8)))
    except (TypeError, ValueError) as error:
        raise UserError(
            f"image {number} is not a picture ({error}): give a PIL image, a path, or an array [height, width, 3]"
        ) from error
    return picture, lambda: picture


def read_image(path: Path) -> Image:
    """A picture file as RGB, transparent parts on white, turned as the camera was held; ``UserError`` otherwise."""
    from PIL import Image as Pictures
    from PIL import ImageOps, UnidentifiedImageError

    try:
        with Pictures.open(path) as image:
            return _rgb(ImageOps.exif_transpose(image) or image)
    except FileNotFoundError as error:
        raise UserError(f"no file {path}: check the path") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Pictures.DecompressionBombError) as error:
        reason = "not an image format that is known" if isinstance(error, UnidentifiedImageError) else str(error)
        raise UserError(f"{path} cannot be read as an image ({reason}): replace or remove it") from error


def _rgb(image: Image) -> Image:
    from PIL import Image as Pictures

    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Pictures.new("RGB", image.size, "white")
        ground.paste(image, (0, 0), image)
        return ground
    return image.convert("RGB")


def images_from_folder(folder: Path, *, size: int | None = None) -> Corpus:
    """A corpus of a folder's images; tags from ``labels.csv``/``tags.csv`` (``file,tags``) there, else sub-folders."""
    paths = sorted((p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES), key=lambda p: p.as_posix())
    for name in ("labels.csv", "tags.csv"):
        if (folder / name).is_file():
            return images_from_csv(folder / name, size=size)
    tags = [path.relative_to(folder).parts[:-1] for path in paths]
    return from_images(paths, tags=tags, name=folder.name, size=size)


def images_from_csv(table: Path, *, size: int | None = None) -> Corpus:
    """A corpus of the images named in a CSV with the columns ``file`` and (optional) ``tags`` (split at ``;``)."""
    rows = csv_rows(table)
    if "file" not in rows[0]:
        raise UserError(f"{table} has the columns {', '.join(rows[0])}: name the one with the paths 'file'")
    paths = [table.parent / row["file"] for row in rows]
    tags = [[t.strip() for t in (row.get("tags") or "").split(";") if t.strip()] for row in rows]
    documents = [row["document"] for row in rows] if "document" in rows[0] else None
    return from_images(paths, tags=tags, documents=documents, name=table.stem, size=size)


# --- anything ----------------------------------------------------------------------------------------------------


def from_path(path: Path, *, size: int | None = None) -> Corpus:
    """A corpus of whatever a path is: a folder of images or of texts, a text file, ``.jsonl``, or ``.csv``."""
    if not path.exists():
        raise UserError(
            f"no file or folder {path}: check the path, or use a corpus by name (text, prose, python, photos)"
        )
    if path.is_dir():
        return _from_folder(path, size)
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return texts_from_rows(jsonl_rows(path), name=path.name, size=size)
    if suffix == ".csv":
        rows = csv_rows(path)
        if "file" in rows[0]:
            return images_from_csv(path, size=size)
        return texts_from_rows(rows, name=path.name, size=size)
    if suffix in IMAGE_SUFFIXES:
        return from_images([path], name=path.name, size=size)
    return texts_from_files([path], name=path.name, size=size)


def _from_folder(folder: Path, size: int | None) -> Corpus:
    files = sorted((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.as_posix())
    images = sum(p.suffix.lower() in IMAGE_SUFFIXES for p in files)
    texts = [p for p in files if p.suffix.lower() in TEXT_SUFFIXES]
    if images and images >= len(texts):
        return images_from_folder(folder, size=size)
    if texts:
        return texts_from_files(texts, name=folder.name, size=size)
    rows = [p for p in files if p.suffix.lower() == ".jsonl"]
    if rows:
        return texts_from_rows((row for p in rows for row in jsonl_rows(p)), name=folder.name, size=size)
    raise UserError(
        f"{folder} holds no images ({', '.join(sorted(IMAGE_SUFFIXES)[:4])}...) and no texts (.txt, .md, .py, .jsonl): "
        f"give another folder"
    )


def from_dataset(path: str, *, size: int | None = None) -> Corpus:
    """A dataset saved with ``save_to_disk`` (or a local file that ``datasets`` loads): column ``text`` or ``image``."""
    try:
        import datasets  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]
    except ImportError:
        raise MissingExtraError(package="datasets", extra="datasets", feature="hf-dataset: corpora") from None
    library = cast("Any", datasets)
    if not Path(path).exists():
        raise UserError(f"no saved dataset at {path}: save one with  dataset.save_to_disk('{path}')")
    try:
        data = library.load_from_disk(path)
    except (FileNotFoundError, ValueError) as error:
        raise UserError(f"{path} is not a saved dataset ({error}): save one with save_to_disk") from error
    if hasattr(data, "keys"):
        data = data[next(iter(sorted(data.keys(), key=lambda k: (k != "train", k))))]
    columns = list(data.column_names)
    name = Path(path).name
    if "image" in columns:
        rows = [data[i] for i in range(len(data))]
        named = getattr(data.features.get("label"), "int2str", str)
        labels = [named(r["label"]) if r.get("label") is not None else "" for r in rows] if "label" in columns else None
        return from_images([r["image"] for r in rows], tags=labels, name=name, size=size)
    if "text" not in columns:
        raise UserError(f"{path} has the columns {', '.join(columns)}: rename the one to study to 'text' or 'image'")
    return texts_from_rows((data[i] for i in range(len(data))), name=name, size=size)


# --- inside ------------------------------------------------------------------------------------------------------


def _labels(value: Any) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Sequence):
        return tuple(str(v) for v in cast("Sequence[Any]", value))
    return (str(value),)


def _same_length(what: str, values: Sequence[Any] | None, n: int) -> None:
    if values is not None and len(values) != n:
        raise UsageError(f"{len(values)} {what} for {n} stimuli: give one for each")


def _each(items: Iterable[Any], read: Callable[[Any], Any]) -> tuple[list[Any], list[UserError]]:
    """Read every item; what cannot be read is collected, not raised."""
    good: list[Any] = []
    bad: list[UserError] = []
    for item in items:
        try:
            good.append(read(item))
        except UserError as error:
            bad.append(error)
    return good, bad


def _skipped(errors: Sequence[UserError]) -> tuple[str, ...]:
    if not errors:
        return ()
    more = f" (and {len(errors) - 3} more)" if len(errors) > 3 else ""
    return (f"{len(errors)} unreadable skipped: " + "; ".join(str(e) for e in errors[:3]) + more,)
