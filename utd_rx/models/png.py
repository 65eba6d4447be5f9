"""A picture as a PNG file: three chunks and zlib, so that a still needs no library."""

from __future__ import annotations

import struct
import zlib
from typing import Final

import numpy as np
import numpy.typing as npt

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_TRUE_COLOUR: Final = (
    8,
    2,
    0,
    0,
    0,
)  # bits, RGB, and the only compression, filter and no interlace


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return the file of uint8 RGB `(height, width, 3)` (ISO/IEC 15948); loses nothing."""
    height, width = pixels.shape[:2]
    # Each row begins with its filter. "Up", the difference to the row above, compresses well.
    rows = np.full((height, 1 + 3 * width), 2, np.uint8)
    flat = pixels.reshape(height, 3 * width)
    rows[:, 1:] = flat
    rows[1:, 1:] -= flat[:-1]
    header = struct.pack(">II5B", width, height, *_TRUE_COLOUR)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b"")
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum
