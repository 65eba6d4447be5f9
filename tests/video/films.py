"""Video files for tests, of a pattern whose frames are numbered."""

from __future__ import annotations

import struct
from pathlib import Path

import av

from utd_rx.video import TestPattern

PATTERN = TestPattern(320, 180)


def film(path: Path, frames: int, fps: int = 25) -> Path:
    """Write so many frames of `PATTERN`, numbered from 0."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for number in range(frames):
            picture = av.VideoFrame.from_ndarray(PATTERN.picture(number), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def turn(path: Path) -> None:
    """Have an MP4 say that it is to be shown turned clockwise by a right angle, as a phone's."""
    data = bytearray(path.read_bytes())
    # ISO/IEC 14496-12, 8.3.2: the matrix of a track's header of version 0.
    matrix = data.index(b"tkhd") + 4 + 4 + 20 + 16
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
