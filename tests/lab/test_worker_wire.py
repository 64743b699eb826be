"""The wire between host and worker: exact bytes, round trips, and what must be refused."""

from __future__ import annotations

import contextlib
import json
import struct
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from maieutic.lab.worker import wire

BOUNDS = wire.Bounds(message=1 << 20, text=1 << 20, values=500, depth=8, pixels=100)


def there_and_back(value: Any, bounds: wire.Bounds = BOUNDS) -> Any:
    return decoded(wire.encode("call", value, depth=bounds.depth), bounds).body


def decoded(parts: list[bytes], bounds: wire.Bounds = BOUNDS) -> wire.Message:
    data = b"".join(parts)
    text, total = wire.lengths(data[:8], bounds)
    assert len(data) == 8 + text + total
    return wire.decode(data[8 : 8 + text], data[8 + text :], bounds)


def raw(message: Any, blob: bytes = b"") -> wire.Message:
    return wire.decode(json.dumps(message).encode(), blob, BOUNDS)


def test_a_message_has_exactly_these_bytes() -> None:
    # ["out","hi",[]] has 15 characters and nothing follows it
    assert wire.encode("out", "hi") == [b'\x00\x00\x00\x0f\x00\x00\x00\x00["out","hi",[]]']
    parts = wire.encode("x", np.array([1, 2], dtype=np.int16))
    assert parts[1] == b"\x01\x00\x02\x00", "two little-endian numbers of two bytes"
    assert parts[0][8:] == b'["x",{"$":["array",0,"<i2",[2]]},[4]]'


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3) | st.just("$"), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
@settings(max_examples=60, deadline=None)
def test_plain_values_come_back_equal(value: Any) -> None:
    roomy = BOUNDS._replace(depth=64, values=10_000)
    clean = json.loads(json.dumps(value).encode("ascii"))  # the same value; half characters are replaced on the way
    assert there_and_back(value, roomy) == _replaced(clean)


def _replaced(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_replaced(v) for v in value]
    return {_replaced(k): _replaced(v) for k, v in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i2", "<u4", ">i4", "i8", "f2", "f4", ">f8"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 3)])
def test_arrays_keep_values_shape_and_kind(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(int(np.prod(shape)), dtype="i4").reshape(shape).astype(dtype)
    back = there_and_back([array, array.T])
    for sent, got in zip((array, array.T), back, strict=True):
        assert got.shape == sent.shape
        assert got.dtype == sent.dtype.newbyteorder("=")
        assert np.array_equal(got, sent)
    assert back[0].flags.writeable, "a view of the message would be read-only and keep it alive"


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_images_keep_every_pixel(mode: str) -> None:
    picture = Image.effect_noise((5, 4), 90).convert(mode)
    back = there_and_back({"image": picture})["image"]
    assert (back.mode, back.size) == (mode, (5, 4))
    assert back.tobytes() == picture.tobytes()


def test_other_modes_arrive_as_colours() -> None:
    red = Image.new("P", (2, 2))
    red.putpalette([255, 0, 0])
    assert there_and_back(red).getpixel((1, 1)) == (255, 0, 0)


def test_numbers_of_numpy_arrive_as_plain_numbers() -> None:
    back = there_and_back([np.float32(0.5), np.int64(-3), np.bool_(True)])
    assert back == [0.5, -3, True]
    assert [type(v) for v in back] == [float, int, bool]


@pytest.mark.parametrize(
    "value", [{1, 2}, b"bytes", object(), 1j, {"a": {3: 4}}, np.array(["text"]), np.array([None]), np.array([1j])]
)
def test_what_cannot_cross_is_refused_by_the_sender(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot cross"):
        wire.encode("call", value)


def test_a_value_that_holds_itself_is_refused_by_the_sender() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="too deep"):
        wire.encode("call", loop)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_nesting_is_refused_from_the_first_level_too_many() -> None:
    assert there_and_back(nested(8)) == nested(8)
    with pytest.raises(ValueError, match="too deep"):
        there_and_back(nested(9))
    with pytest.raises(wire.WireError, match="too deep"):
        raw(["call", nested(9), []])


def test_values_are_counted() -> None:
    # the list itself and its numbers: 1 + 499 = 500
    assert len(there_and_back([0] * 499)) == 499
    with pytest.raises(wire.WireError, match="too many"):
        there_and_back([0] * 500)


def test_images_are_refused_from_the_first_pixel_too_many() -> None:
    assert there_and_back(Image.new("L", (10, 10))).size == (10, 10)
    with pytest.raises(wire.WireError, match="11 x 10"):
        there_and_back(Image.new("L", (11, 10)))


def test_lengths_are_refused_before_anything_is_read() -> None:
    assert wire.lengths(struct.pack(">II", 1 << 20, 1 << 20), BOUNDS) == (1 << 20, 1 << 20)
    for text, blob in (((1 << 20) + 1, 0), (0, (1 << 20) + 1), ((1 << 32) - 1, (1 << 32) - 1)):
        with pytest.raises(wire.WireError, match="over the limit"):
            wire.lengths(struct.pack(">II", text, blob), BOUNDS)


@pytest.mark.parametrize(
    ("message", "blob"),
    [
        ({"kind": "out"}, b""),
        (["out", "x"], b""),
        (["out", "x", [1]], b""),
        (["out", "x", [True]], b"x"),
        (["out", "x", [-1, 2]], b"x"),
        ([5, "x", []], b""),
        (["c", {"$": ["pickle", "x"]}, []], b""),
        (["c", {"$": 5}, []], b""),
        (["c", {"$": ["dict", [["a", 1, 2]]]}, []], b""),
        (["c", {"$": ["dict", [[1, 2]]]}, []], b""),
        (["c", {"$": ["dict", []], "more": 1}, []], b""),
        (["c", {"$": ["array", 0, "|O", [1]]}, [8]], b"x" * 8),
        (["c", {"$": ["array", 0, "|V8", [1]]}, [8]], b"x" * 8),
        (["c", {"$": ["array", 0, "<f8", [2]]}, [8]], b"x" * 8),
        (["c", {"$": ["array", 0, "<f8", [-1]]}, [8]], b"x" * 8),
        (["c", {"$": ["array", 0, "<f8", [True]]}, [8]], b"x" * 8),
        (["c", {"$": ["array", 0, "<f8", [0, 1 << 39]]}, [0]], b""),
        (["c", {"$": ["array", 0, "<f8", [0, 1 << 60]]}, [0]], b""),
        (["c", {"$": ["array", 0, "<f8", [1] * 9]}, [8]], b"x" * 8),
        (["c", {"$": ["array", 1, "<f8", [1]]}, [8]], b"x" * 8),
        (["c", {"$": ["array", True, "<f8", [1]]}, [0, 8]], b"x" * 8),
        (["c", [{"$": ["array", 0, "<f8", [1]]}] * 2, [8]], b"x" * 8),
        (["c", {"$": ["image", 0, "RGB", [2, 2]]}, [11]], b"x" * 11),
        (["c", {"$": ["image", 0, "CMYK", [2, 2]]}, [16]], b"x" * 16),
        (["c", {"$": ["image", 0, "L", [-2, -2]]}, [4]], b"x" * 4),
        (["c", {"$": ["image", 0, "L", [0, 5]]}, [0]], b""),
    ],
)
def test_malformed_messages_are_refused(message: Any, blob: bytes) -> None:
    try:
        got = raw(message, blob)
    except wire.WireError:
        return
    # an empty array of great width is odd, but holds nothing: either answer is safe
    assert isinstance(got.body, np.ndarray) and got.body.size == 0


def test_truth_values_are_true_or_false_whatever_the_bytes() -> None:
    message = raw(["c", {"$": ["array", 0, "|b1", [3]]}, [3]], b"\x00\x01\xff")
    assert message.body.view("u1").tolist() == [0, 1, 1]


def test_halves_of_characters_are_replaced() -> None:
    assert raw(["out", "a\ud800b", []]).body == "a?b"


@given(st.binary(max_size=200), st.binary(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_bytes_give_a_message_or_a_wire_error(text: bytes, blob: bytes) -> None:
    with contextlib.suppress(wire.WireError):
        wire.decode(text, blob, BOUNDS)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_damaged_message_gives_a_message_or_a_wire_error(data: st.DataObject) -> None:
    value = {"a": [1, {"$": "x"}], "b": np.arange(3.0), "c": Image.new("L", (2, 2))}
    whole = bytearray(b"".join(wire.encode("call", value)))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        text, total = wire.lengths(bytes(whole[:8]), BOUNDS)
        wire.decode(bytes(whole[8 : 8 + text]), bytes(whole[8 + text : 8 + text + total]), BOUNDS)
    except wire.WireError:
        pass


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 1_000_000,
        b'{"a":' * 200_000,
        b'["out", "' + b'\\"' * 500_000,
        b'["out", "' + b"[" * 1_000_000 + b'", []]',
        b'["out", ' + b"9" * 1_000_000 + b", []]",
    ],
    ids=["brackets", "keys", "quotes", "brackets in a text", "one number"],
)
def test_text_made_to_hurt_parsers_is_dealt_with_at_once(text: bytes) -> None:
    started = time.monotonic()
    with contextlib.suppress(wire.WireError):
        wire.decode(text, b"", BOUNDS)
    assert time.monotonic() - started < 1.5, "each takes a pass or two; anything quadratic would take hours"
