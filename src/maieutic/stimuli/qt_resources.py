"""Qt's binary resource files (.rcc): a small archive inside one file, read without Qt.

Format (versions 1 to 3): a header, a tree of fixed-size nodes, UTF-16 names, and data blocks that may be compressed
with zlib. What this module does not do: zstd-compressed blocks (they are skipped), writing, locales.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

_COMPRESSED, _FOLDER, _ZSTD = 1, 2, 4


class ResourceError(ValueError):
    """The bytes are not a Qt resource file."""


def read_resources(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Every file in the archive as (path, content), in the order of the tree.

    Raises:
        ResourceError: not such a file, or cut short.
    """
    try:
        magic, version, tree, blocks, names = struct.unpack_from(">4s4I", data)
        if magic != b"qres" or version not in (1, 2, 3):
            raise ResourceError("not a Qt resource file of version 1, 2 or 3")
        node = 14 if version == 1 else 22  # later versions end in a time stamp of 8 bytes

        def name(position: int) -> str:
            (length,) = struct.unpack_from(">H", data, names + position)
            start = names + position + 6  # length, then a hash of 4 bytes
            return data[start : start + 2 * length].decode("utf-16-be")

        def walk(index: int, path: str) -> Iterator[tuple[str, bytes]]:
            position, flags = struct.unpack_from(">IH", data, tree + index * node)
            here = path if index == 0 else f"{path}/{name(position)}".lstrip("/")
            if flags & _FOLDER:
                count, first = struct.unpack_from(">II", data, tree + index * node + 6)
                for child in range(first, first + count):
                    yield from walk(child, here)
            elif not flags & _ZSTD:
                (start,) = struct.unpack_from(">I", data, tree + index * node + 10)
                (length,) = struct.unpack_from(">I", data, blocks + start)
                block = data[blocks + start + 4 : blocks + start + 4 + length]
                # a compressed block begins with its unpacked length
                yield here, zlib.decompress(block[4:]) if flags & _COMPRESSED else block

        yield from walk(0, "")
    except (struct.error, zlib.error, UnicodeDecodeError) as error:
        raise ResourceError(f"damaged Qt resource file: {error}") from error
