"""What one more participant costs in a full room: `python -m benchmarks.roster`.

10,000 people join, one per turn of the loop, hence one commit each. Reported is the CPU time of the
last 100 joins over that of the first 100 (target: at most 2), where an app observes how many there
are, and where it observes `remote_participants`, a tuple that has to be built anew each time. The
peer is the same session with a roster that is copied whole at every change. Each figure is the best
of several storms, with the contenders taking turns, and CPU time of the thread rather than time:
other programs' turns do not count.
"""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Any, Final, cast

from utd_rx.models import frozen_map
from utd_rx.models.events import ParticipantConnected, ParticipantNameChanged
from utd_rx.models.participant import RemoteParticipant
from utd_rx.models.seats import UTDSeatGrid
from utd_rx.models.token import UTDTokenResponse
from utd_rx.sessions.audio_room import UTDAudioRoomSession
from utd_rx.testing.room import FakeRoom

PEOPLE: Final = 10_000
WINDOW: Final = 100
STORMS: Final = 5

PEOPLE_EVENTS: Final = [
    ParticipantConnected(RemoteParticipant(f"user-{i}", sid=f"PA_{i}")) for i in range(PEOPLE)
]
CONTENDERS: Final = {"layers": frozen_map.SMALL, "whole copies": 10**9}
"""What `FrozenMap` takes for small enough to be copied."""


class Engine:
    """As much of the engine port as joining needs."""

    async def mint(self) -> UTDTokenResponse:
        return UTDTokenResponse("token", "ws://127.0.0.1:1", "room", "bearer")

    async def get_seats(self, room: str) -> UTDSeatGrid:
        return UTDSeatGrid()

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
    for observed in ("how many there are", "remote_participants"):
        best: dict[str, list[float]] = {}
        for _ in range(STORMS):
            for name, small in CONTENDERS.items():
                frozen_map.SMALL = small  # type: ignore[misc] # final for everybody else
                windows = asyncio.run(storm(observe_people=observed == "remote_participants"))
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


if __name__ == "__main__":
    main()
