"""What crosses a room port when data tracks are published and received."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from utd_rx.errors import invalid
from utd_rx.models.data_tracks import DataTrackFrame
from utd_rx.ports.methods import text

MAX_DATA_TRACK: Final = 256
"""Bytes of a data track's name, as livekit-server has it."""

MAX_DATA_FRAME: Final = 1024 * 1024
"""Bytes of a frame; LiveKit splits it into packets, and who loses one loses the frame."""

DataFramesSink: TypeAlias = Callable[[DataTrackFrame], None]
"""Takes one frame, on its own loop; never raises."""


def data_track_name(value: str) -> str:
    """Return the name of a data track, or raise `VALIDATION`."""
    if not text(value, "the name of a data track", MAX_DATA_TRACK):
        raise invalid("the name of a data track is not empty")
    return value


def require_data_frame(frame: DataTrackFrame) -> None:
    """Check that a frame can be sent."""
    if not 0 < len(frame.payload) <= MAX_DATA_FRAME:
        rule = f"a frame of a data track holds 1 to {MAX_DATA_FRAME} bytes"
        raise invalid(f"{rule}; this one has {len(frame.payload)}")
