"""A media process works on one core while it has sound alone, and on all when it codes pictures."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from tests.media.test_priority import is_allowed
from tests.rtc.bench import eventually, token
from tests.support.sfu import RunningSfu
from utd_rx import RoomSession, TestPattern, ToneSource, open_room
from utd_rx.media.choice import Media

pytestmark = [
    pytest.mark.realtime,  # alone: others of its priority would keep the core busy
    pytest.mark.parametrize("sfu_kind", [pytest.param("embedded", marks=pytest.mark.embedded)]),
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="this machine has one core"),
    pytest.mark.skipif(not is_allowed(), reason="no real-time priority may be taken here"),
]


@pytest.fixture
async def pair(sfu: RunningSfu) -> AsyncIterator[tuple[RoomSession, RoomSession]]:
    """Anna, whose room lives in a media process, and Ben, whose does not; both have a camera."""
    async with AsyncExitStack() as stack:

        async def join(name: str, media: Media) -> RoomSession:
            sound, pictures = ToneSource(), TestPattern(160, 90, 25.0)
            there = token(sfu, name)
            return await stack.enter_async_context(
                open_room(sfu.url, there, microphone=sound, camera=pictures, media=media)
            )

        anna, ben = await join("anna", "process"), await join("ben", "inline")
        await anna.set_microphone(True)
        yield anna, ben


class Threads:
    """Those of a media process."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._allowed = os.sched_getaffinity(pid)

    def are_together(self) -> bool:
        """Whether all of them run on one core, and the same."""
        places = self._places()
        return len(places) == 1 and len(places[0]) == 1

    def are_free(self) -> bool:
        """Whether all may run wherever they like."""
        return self._places() == [self._allowed]

    def _places(self) -> list[set[int]]:
        found: list[set[int]] = []
        for thread in Path(f"/proc/{self._pid}/task").iterdir():
            with suppress(ProcessLookupError):
                place = os.sched_getaffinity(int(thread.name))
                if place not in found:
                    found.append(place)
        return found


async def threads_of(session: RoomSession) -> Threads:
    """Return those of the process in which its room lives."""
    pid = (await session.statistics()).media.pid
    assert pid not in (None, os.getpid())
    return Threads(pid)


async def test_a_camera_has_all_cores_and_sound_alone_has_one(
    pair: tuple[RoomSession, RoomSession],
) -> None:
    anna, _ = pair
    threads = await threads_of(anna)
    await eventually(threads.are_together)
    await anna.set_camera(True)
    await eventually(threads.are_free)
    await anna.set_camera(False)
    await eventually(threads.are_together)


async def test_who_looks_at_somebody_has_all_cores_until_nobody_looks(
    pair: tuple[RoomSession, RoomSession],
) -> None:
    anna, ben = pair
    threads = await threads_of(anna)
    await ben.set_camera(True)
    await eventually(threads.are_together)  # what nobody looks at is not decoded
    looking = anna.video("ben").subscribe(lambda frame: None)
    await eventually(threads.are_free)
    looking.dispose()
    await eventually(threads.are_together)
