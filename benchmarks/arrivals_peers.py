"""The contenders of `benchmarks.arrivals`, each in a process of its own, where its loop is watched.

`python -m benchmarks.arrivals_peers bare|room|session`, told by a line of JSON where to join.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final, cast

PATIENCE: Final = 180.0
TICK: Final = 0.002

Known = Callable[[], int]


class Pulse:
    """Notes how long the loop stood still at a time, at the longest: in seconds, some of which
    another program may have had, and in CPU seconds of the loop's thread."""

    def __init__(self) -> None:
        self.stall = self.busy = 0.0

    async def beat(self) -> None:
        at, spent = time.perf_counter(), time.thread_time()
        while True:
            await asyncio.sleep(TICK)
            now, more = time.perf_counter(), time.thread_time()
            self.stall = max(self.stall, now - at - TICK)
            self.busy = max(self.busy, more - spent)
            at, spent = now, more


async def bare(stack: AsyncExitStack, url: str, token: str) -> Known:
    """LiveKit's own client, with a listener as its guide has it."""
    from livekit import rtc

    room, heard = rtc.Room(), []
    room.on("participant_connected", lambda participant: heard.append(participant.identity))
    await room.connect(url, token)
    stack.push_async_callback(room.disconnect)
    return lambda: len(heard)


async def room(stack: AsyncExitStack, url: str, token: str) -> Known:
    """`UTDRoom`, with a listener of its events."""
    from utd_rx.models.events import ParticipantConnected, RoomEvent
    from utd_rx.rtc.room import UTDRoom

    joined, heard = await stack.enter_async_context(UTDRoom()), 0

    def hear(events: tuple[RoomEvent, ...]) -> None:
        nonlocal heard
        heard += sum(isinstance(event, ParticipantConnected) for event in events)

    joined.listen(hear)
    await joined.connect(url, token)
    return lambda: heard


async def session(stack: AsyncExitStack, url: str, token: str) -> Known:
    """A session of an audio room, whose `remote_participants` are observed."""
    from benchmarks.roster import Engine
    from utd_rx.models.token import UTDTokenResponse
    from utd_rx.rtc.room import UTDRoom
    from utd_rx.sessions.audio_room import UTDAudioRoomSession

    class Minted(Engine):
        async def mint(self) -> UTDTokenResponse:
            return UTDTokenResponse(token, url, "room", "bearer")

    joined = UTDAudioRoomSession(
        "me", "room", is_host=False, room=UTDRoom(), engine=cast("Any", Minted())
    )
    await stack.enter_async_context(joined)
    people: list[int] = [0]
    joined.remote_participants.subscribe(lambda present: people.append(len(present)))
    await joined.join()
    return lambda: people[-1]


CONTENDERS: Final[dict[str, Callable[[AsyncExitStack, str, str], Awaitable[Known]]]] = {
    "bare": bare,
    "room": room,
    "session": session,
}


async def main(contender: str) -> None:
    """Join, wait until everybody is known, and print what it took."""
    told = json.loads(sys.stdin.readline())
    async with AsyncExitStack() as stack:
        pulse = Pulse()
        known = await CONTENDERS[contender](stack, told["url"], told["token"])
        begun, cpu = time.perf_counter(), time.process_time()
        beating = asyncio.create_task(pulse.beat(), name="pulse")
        while known() < told["people"] and time.perf_counter() < begun + PATIENCE:  # noqa: ASYNC110 - bare has no event
            await asyncio.sleep(TICK)
        seconds, spent = time.perf_counter() - begun, time.process_time() - cpu
        beating.cancel()
        figures = {"known": known(), "seconds": seconds, "cpu": spent}
        print(json.dumps({**figures, "stall": pulse.stall, "busy": pulse.busy}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
