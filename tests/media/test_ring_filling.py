"""A writer without descriptors for its ring loses what comes, leaks nothing, and tries again."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from utd_rx.media.frames import FrameWriter
from utd_rx.media.hosted_speaker import VoiceProgress
from utd_rx.media.lending import announce_ring
from utd_rx.media.levels import LevelWriter
from utd_rx.media.pictures import PictureWriter
from utd_rx.media.pipe import Pipe
from utd_rx.media.voice_progress import ProgressWriter
from utd_rx.media.wire import RingMade
from utd_rx.models.audio import AudioFrame
from utd_rx.models.device_state import SpeakerState
from utd_rx.models.video import VideoFrame
from utd_rx.testing.contracts import PATIENCE

SOUND = AudioFrame(np.zeros((480, 1), np.int16), 48_000)
PICTURE = VideoFrame(np.zeros((16, 16, 3), np.uint8), 0.0)

NEEDED = 5
"""Memory, bell, what `mmap` keeps of the memory, and a copy of both for the other end."""

WRITERS: dict[str, tuple[type, Any]] = {
    "sound": (FrameWriter, (SOUND,)),
    "a picture": (PictureWriter, PICTURE),
    "a level": (LevelWriter, SpeakerState(level=-3.0)),
    "a voice": (ProgressWriter, VoiceProgress(fed=1.0)),
}


@contextmanager
def room_for(descriptors: int) -> Iterator[None]:
    """Let this process open so many more."""
    free = [os.dup(0) for _ in range(descriptors + 1)]
    for descriptor in free:
        os.close(descriptor)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[-1], limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def opened() -> int:
    return len(tuple(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("left", range(NEEDED + 1))
@pytest.mark.parametrize("what", WRITERS)
async def test_it_is_made_whole_or_not_at_all_and_when_there_is_room(what: str, left: int) -> None:
    kind, value = WRITERS[what]
    came = asyncio.Queue[RingMade]()

    def take(message: RingMade, descriptors: tuple[int, ...]) -> None:
        came.put_nowait(message)
        for descriptor in descriptors:
            os.close(descriptor)

    pipe, other = (Pipe(end, take, print) for end in socket.socketpair())
    writer = kind(partial(announce_ring, pipe, 1))
    before = opened()
    with room_for(left):
        writer.write(value)
    assert (opened() > before) is (left >= NEEDED)
    if what == "sound":
        assert writer.lost == (left < NEEDED)
    writer.write(value)
    other.attach()
    async with asyncio.timeout(PATIENCE):
        assert (await came.get()).number == 1
    assert came.empty()
    writer.close()
    assert opened() == before
    pipe.close()
    other.close()
