"""Messages between the host and a worker: JSON with arrays and images beside it as plain bytes.

A message is two lengths (four bytes each, big-endian), a JSON list ``[kind, body, sizes]`` and the bytes of the arrays
and images that the body names. What crosses: ``None``, bool, int, float, str, list, dict with text keys, numpy arrays of
numbers, PIL images as raw pixels. Both ends use this file, so it imports the standard library only; numpy and PIL when a
value needs them.

Protected: the host against any bytes from a worker. Lengths are checked before anything is read, nesting and counts before
JSON is parsed, sizes of arrays and images against the bytes that came; nothing is unpickled, decompressed or executed, and
an image is never decoded (raw pixels cannot be a decompression bomb). Not protected: what the receiver does with the values.
"""

from __future__ import annotations

import json
import math
import re
import struct
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

LENGTHS = struct.Struct(">II")
#: the key of everything that is no plain JSON
MARK = "$"
DTYPES = frozenset(("|b1", "|i1", "|u1", *(f"<{k}{n}" for k in "iu" for n in (2, 4, 8)), "<f2", "<f4", "<f8"))
MODES = {"L": 1, "RGB": 3, "RGBA": 4}
#: dimensions of an array
AXES = 8
# the closing quote is optional and nothing is tried twice: text that never ends takes one pass
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class WireError(ValueError):
    """Bytes that are no message, or a message over a limit."""


class Bounds(NamedTuple):
    """Largest message accepted; see ``Limits`` for the fields."""

    message: int
    text: int
    values: int
    depth: int
    pixels: int


class Message(NamedTuple):
    """One message: what it is and what it says."""

    kind: str
    body: Any


# --- values to bytes -----------------------------------------------------------------------------------------------


def encode(kind: str, body: Any, *, depth: int = 64) -> list[bytes]:
    """The parts of a message, to be written one after the other.

    Raises:
        TypeError: a value of a kind that does not cross, with where it stands.
        ValueError: values nested deeper than ``depth``.
    """
    blobs: list[bytes] = []
    packed = _pack(body, blobs, depth)
    text = json.dumps([kind, packed, [len(b) for b in blobs]], separators=(",", ":")).encode("ascii")
    total = sum(map(len, blobs))
    if max(len(text), total) >= 1 << 32:
        raise ValueError("the values take 4 GiB or more: send fewer at once")
    return [LENGTHS.pack(len(text), total) + text, *blobs]


def _pack(value: Any, blobs: list[bytes], depth: int) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if depth <= 0:
        raise ValueError("values are nested too deep (or hold themselves): flatten them")
    if isinstance(value, list | tuple):
        return [_pack(v, blobs, depth - 1) for v in value]
    if isinstance(value, dict):
        return _pack_dict(value, blobs, depth)
    return _pack_block(value, blobs)


def _pack_dict(value: dict[Any, Any], blobs: list[bytes], depth: int) -> Any:
    wrong = next((k for k in value if not isinstance(k, str)), None)
    if wrong is not None or None in value:
        raise TypeError(f"a dict with the key {wrong!r} cannot cross: use texts as keys")
    if MARK in value:
        return {MARK: ["dict", [[k, _pack(v, blobs, depth - 1)] for k, v in value.items()]]}
    return {k: _pack(v, blobs, depth - 1) for k, v in value.items()}


def _pack_block(value: Any, blobs: list[bytes]) -> Any:
    numpy, pictures = sys.modules.get("numpy"), sys.modules.get("PIL.Image")
    if numpy is not None:
        if isinstance(value, numpy.generic):
            value = numpy.asarray(value)
            if value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
                return value.item()
        if isinstance(value, numpy.ndarray):
            return _pack_array(value, blobs)
    if pictures is not None and isinstance(value, pictures.Image):
        return _pack_image(value, blobs)
    allowed = "None, bool, int, float, str, list, dict, numpy arrays and PIL images can"
    raise TypeError(f"a {type(value).__name__} cannot cross between the program and the lab: {allowed}")


def _pack_array(value: Any, blobs: list[bytes]) -> Any:
    plain = value.astype(value.dtype.newbyteorder("<"), order="C", copy=False)
    if plain.dtype.str not in DTYPES or plain.ndim > AXES:
        raise TypeError(f"an array of {value.dtype} with {value.ndim} axes cannot cross: convert it to float or int")
    blobs.append(plain.tobytes())
    return {MARK: ["array", len(blobs) - 1, plain.dtype.str, list(plain.shape)]}


def _pack_image(value: Any, blobs: list[bytes]) -> Any:
    if value.mode not in MODES:
        value = value.convert("RGBA" if "A" in value.mode or "transparency" in value.info else "RGB")
    blobs.append(value.tobytes())
    return {MARK: ["image", len(blobs) - 1, value.mode, list(value.size)]}


def check_size(parts: list[bytes], bounds: Bounds) -> None:
    """Refuse early, and in words for the sender, what the receiver would refuse.

    Raises:
        ValueError: the message is larger than ``bounds`` allow.
    """
    text, blob = len(parts[0]), sum(map(len, parts[1:]))
    if text > bounds.text or blob > bounds.message:
        most = f"{bounds.message >> 20} MiB of arrays and images and {bounds.text >> 20} MiB of anything else"
        raise ValueError(f"that is too much for one call (at most {most}): send less at once")


# --- bytes to values -----------------------------------------------------------------------------------------------


def lengths(head: bytes, bounds: Bounds) -> tuple[int, int]:
    """Bytes of JSON and of blobs that follow the first eight.

    Raises:
        WireError: more than ``bounds`` allow.
    """
    text, total = LENGTHS.unpack(head)
    if text > bounds.text or total > bounds.message:
        raise WireError(f"a message of {text + total} bytes is over the limit")
    return text, total


def decode(text: bytes, blob: bytes, bounds: Bounds) -> Message:
    """The message in these bytes.

    Raises:
        WireError: they are no message, or one over a limit.
    """
    _check_shape(text, bounds)
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a message that is no JSON ({type(error).__name__})") from error
    match parsed:
        case [str(kind), body, [*sizes]] if all(type(s) is int and s >= 0 for s in sizes) and sum(sizes) == len(blob):
            return Message(kind, _Reader(_cut(blob, sizes), bounds).value(body, bounds.depth))
        case _:
            raise WireError("a message of an unknown form")


def _check_shape(text: bytes, bounds: Bounds) -> None:
    """Refuse JSON whose nesting or count could hurt the parser, before it is parsed."""
    opened = text.count(b"[") + text.count(b"{")
    if opened + text.count(b",") > 4 * bounds.values:
        raise WireError("a message of too many values")
    limit = 4 * (bounds.depth + 1)  # a tag adds levels
    if opened <= limit:
        return
    depth = deepest = 0
    for byte in _STRINGS.sub(b"", text).translate(None, _NOT_BRACKETS):
        depth += 1 if byte in b"[{" else -1
        deepest = max(deepest, depth)
    if deepest > limit:
        raise WireError("a message nested too deep")


def _cut(blob: bytes, sizes: list[int]) -> list[memoryview]:
    view, at, parts = memoryview(blob), 0, list[memoryview]()
    for size in sizes:
        parts.append(view[at : at + size])
        at += size
    return parts


class _Reader:
    """Turns parsed JSON into values; counts them, and takes each blob once."""

    def __init__(self, blobs: list[memoryview], bounds: Bounds) -> None:
        self._blobs, self._bounds, self._left = blobs, bounds, bounds.values
        self._taken: set[int] = set()

    def value(self, node: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth < 0:
            raise WireError("a message of too many values, or nested too deep")
        if isinstance(node, str):
            return _clean(node)
        if isinstance(node, list):
            return [self.value(v, depth - 1) for v in node]
        if isinstance(node, dict):
            if MARK not in node:
                return {_clean(k): self.value(v, depth - 1) for k, v in node.items()}
            return self._marked(node, depth)
        return node

    def _marked(self, node: dict[str, Any], depth: int) -> Any:
        match node[MARK] if len(node) == 1 else None:
            case ["array", int(index), str(dtype), [*shape]]:
                return self._array(self._take(index), dtype, shape)
            case ["image", int(index), str(mode), [int(width), int(height)]]:
                return self._image(self._take(index), mode, width, height)
            case ["dict", [*pairs]] if all(_is_pair(p) for p in pairs):
                return {_clean(k): self.value(v, depth - 1) for k, v in pairs}
            case _:
                raise WireError("a value of an unknown form")

    def _take(self, index: int) -> memoryview:
        if isinstance(index, bool) or not 0 <= index < len(self._blobs) or index in self._taken:
            raise WireError("a value that names bytes which did not come")
        self._taken.add(index)
        return self._blobs[index]

    def _array(self, blob: memoryview, dtype: str, shape: list[Any]) -> Any:
        plain = all(type(n) is int and 0 <= n < 1 << 40 for n in shape)
        if dtype not in DTYPES or len(shape) > AXES or not plain or math.prod(shape) * int(dtype[2:]) != len(blob):
            raise WireError("an array whose shape does not fit its bytes")
        import numpy

        try:
            if dtype == "|b1":  # bytes other than 0 and 1 are no truth values
                return numpy.array(numpy.frombuffer(blob, dtype="|u1").reshape(shape) != 0)
            return numpy.frombuffer(blob, dtype=dtype).reshape(shape).copy()
        except ValueError as error:  # an empty array of impossible width
            raise WireError("an array whose shape does not fit its bytes") from error

    def _image(self, blob: memoryview, mode: str, width: int, height: int) -> Any:
        if not (width > 0 and height > 0 and width * height <= self._bounds.pixels):
            raise WireError(f"an image of {width} x {height} pixels is over the limit")
        if mode not in MODES or width * height * MODES[mode] != len(blob):
            raise WireError("an image whose size does not fit its bytes")
        from PIL import Image

        return Image.frombytes(mode, (width, height), bytes(blob))


def _is_pair(node: Any) -> bool:
    return isinstance(node, list) and len(node) == 2 and isinstance(node[0], str)


def _clean(text: str) -> str:
    """The text with halves of characters replaced, so that it can be stored as UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def receive(read: Callable[[int], bytes], bounds: Bounds) -> Message:
    """The next message, from a function that gives exactly so many bytes."""
    text, total = lengths(read(LENGTHS.size), bounds)
    return decode(read(text), read(total), bounds)
