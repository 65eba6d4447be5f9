"""What one more participant costs in a full room: `python -m benchmarks.roster`.

10,000 people join, one per turn of the loop, hence one commit each. Reported is the CPU time of the
last 100 joins over that of the first 100 (target: at most 2), where an app observes how many there
are, where it observes `remote_participants`, a tuple that has to be built anew each time, and where
the host of a live stream observes `viewer_count`, with what each viewer takes of memory. The
peer is the same session with a roster that is copied whole at every change. Each figure is the best
of several storms, with the contenders taking turns, and CPU time of the thread rather than time:
other programs' turns do not count.
"""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, cast

from utd_rx.models import frozen_map
from utd_rx.models.events import ParticipantConnected, ParticipantNameChanged
from utd_rx.models.participant import RemoteParticipant
from utd_rx.models.seats import UTDSeatGrid
from utd_rx.models.stage import Stage, UTDStageMember
from utd_rx.models.token import UTDTokenResponse
from utd_rx.ports.engine import StageReply
from utd_rx.sessions.audio_room import UTDAudioRoomSession
from utd_rx.sessions.live_stream import UTDLiveStreamSession
from utd_rx.testing.room import FakeRoom

PEOPLE: Final = 10_000
WINDOW: Final = 100
STORMS: Final = 5


def arrivals() -> list[ParticipantConnected]:
    return [
        ParticipantConnected(RemoteParticipant(f"user-{i}", sid=f"PA_{i}")) for i in range(PEOPLE)
    ]


PEOPLE_EVENTS: Final = arrivals()
CONTENDERS: Final = {"layers": frozen_map.SMALL, "whole copies": 10**9}
"""What `FrozenMap` takes for small enough to be copied."""


STAGE: Final = Stage(tuple(UTDStageMember(who) for who in ("me", "user-0", "user-5000")), 1, False)


class Engine:
    """As much of the engine port as joining needs."""

    async def mint(self) -> UTDTokenResponse:
        return UTDTokenResponse("token", "ws://127.0.0.1:1", "room", "bearer")

    async def get_seats(self, room: str) -> UTDSeatGrid:
        return UTDSeatGrid()

    async def get_stage(self, room: str) -> StageReply:
        return StageReply(STAGE, ())

    async def speaker_invitations(self, room: str) -> tuple[()]:
        return ()


def make_session() -> tuple[FakeRoom, UTDAudioRoomSession]:
    room, engine = FakeRoom("me"), Engine()
    session = UTDAudioRoomSession(
        "me", "room", is_host=False, room=room, engine=cast("Any", engine)
    )
    return room, session


async def storm(*, observe_people: bool) -> list[float]:
    """CPU seconds of each window of joins, one join per turn of the loop."""
    room, session = make_session()
    async with session:
        await session.join()
        sizes: list[int] = []
        session.select(lambda s: len(s.session.roster.remotes)).subscribe(sizes.append)
        if observe_people:
            session.remote_participants.subscribe(lambda people: None)
        windows = []
        gc.collect()
        for first in range(0, PEOPLE, WINDOW):
            begun = time.thread_time()
            for event in PEOPLE_EVENTS[first : first + WINDOW]:
                room.emit(event)
                await asyncio.sleep(0)
            windows.append(time.thread_time() - begun)
        assert sizes[-1] == PEOPLE
        assert len(sizes) == PEOPLE + 1
        return windows


async def viewers() -> list[float]:
    """As `storm`, of a live stream whose host observes how many watch."""
    room = FakeRoom("me")
    session = UTDLiveStreamSession(
        "me", "room", is_host=True, room=room, engine=cast("Any", Engine())
    )
    async with session:
        await session.join()
        await session.stage.until(bool)
        counts: list[int] = []
        session.viewer_count.subscribe(counts.append)
        windows = []
        gc.collect()
        for first in range(0, PEOPLE, WINDOW):
            begun = time.thread_time()
            for event in PEOPLE_EVENTS[first : first + WINDOW]:
                room.emit(event)
                await asyncio.sleep(0)
            windows.append(time.thread_time() - begun)
        assert counts[-1] == PEOPLE - 2
        return windows


def viewer_bytes() -> float:
    """What a viewer takes of the host's memory."""
    tracemalloc.start()

    async def held() -> int:
        room = FakeRoom("me")
        engine = cast("Any", Engine())
        session = UTDLiveStreamSession("me", "room", is_host=True, room=room, engine=engine)
        async with session:
            await session.join()
            before = tracemalloc.get_traced_memory()[0]
            room.emit(*arrivals())
            await session.viewer_count.until(PEOPLE - 2)
            gc.collect()
            return tracemalloc.get_traced_memory()[0] - before

    try:
        return asyncio.run(held()) / PEOPLE
    finally:
        tracemalloc.stop()


async def at_once() -> float:
    """CPU seconds of everybody joining in one turn of the loop."""
    room, session = make_session()
    async with session:
        await session.join()
        sizes: list[int] = []
        session.remote_participants.subscribe(lambda people: sizes.append(len(people)))
        begun = time.thread_time()
        room.emit(*PEOPLE_EVENTS)
        await asyncio.sleep(0)
        spent = time.thread_time() - begun
        assert sizes == [0, PEOPLE]
        return spent


async def renames() -> float:
    """CPU seconds of a change to somebody in a full room, with `remote_participants` observed."""
    room, session = make_session()
    async with session:
        await session.join()
        session.remote_participants.subscribe(lambda people: None)
        room.emit(*PEOPLE_EVENTS)
        await asyncio.sleep(0)
        begun = time.thread_time()
        for i in range(WINDOW):
            room.emit(ParticipantNameChanged(f"user-{i * WINDOW}", "new"))
            await asyncio.sleep(0)
        return (time.thread_time() - begun) / WINDOW


def main() -> None:
    storms: dict[str, Callable[[], Coroutine[Any, Any, list[float]]]] = {
        "how many there are": partial(storm, observe_people=False),
        "remote_participants": partial(storm, observe_people=True),
        "viewer_count": viewers,
    }
    for observed, measure_storm in storms.items():
        best: dict[str, list[float]] = {}
        for _ in range(STORMS):
            for name, small in CONTENDERS.items():
                frozen_map.SMALL = small  # type: ignore[misc] # final for everybody else
                windows = asyncio.run(measure_storm())
                best[name] = [*map(min, best.get(name, windows), windows)]
        print(f"observing {observed}, us per join and commit")
        for name, windows in best.items():
            first, last = (window / WINDOW * 1e6 for window in (windows[0], windows[-1]))
            mean = sum(windows) / PEOPLE * 1e6
            print(
                f"  {name:>12}: first {WINDOW} {first:6.1f}, last {WINDOW} {last:7.1f}, "
                f"ratio {last / first:5.2f}; mean {mean:6.1f}"
            )
    measures = {
        "everybody in one turn of the loop, one delivery": at_once,
        f"a new name among {PEOPLE}, one commit": renames,
    }
    for what, measure in measures.items():
        print(f"{what}, observing remote_participants, ms")
        for name, small in CONTENDERS.items():
            frozen_map.SMALL = small  # type: ignore[misc] # as above
            best_time = min(asyncio.run(measure()) for _ in range(STORMS))
            print(f"  {name:>12}: {best_time * 1e3:8.3f}")
    frozen_map.SMALL = CONTENDERS["layers"]  # type: ignore[misc] # as above
    print(f"a viewer among {PEOPLE}, bytes: {viewer_bytes():.0f}")


if __name__ == "__main__":
    main()
