"""Writes PNG files: pictures of eight bits of grey for each pixel."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _DEPTH = 0, 8


def image(rows: Sequence[bytes], *, comment: str) -> bytes:
    """A picture of these rows, a byte for each pixel, all of the same length, with a comment."""
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), _DEPTH, _GREY, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), level=1)
    return _SIGNATURE + b"".join(
        (
            _chunk(b"IHDR", header),
            _chunk(b"tEXt", b"Comment\0" + comment.encode("latin-1", "replace")),
            _chunk(b"IDAT", pixels),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
