"""Live streams on an engine whose time a test sets ahead, and what their people see."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any, Final, Unpack

from attrs import frozen
from reactivex.abc import DisposableBase

from tests.e2e.house import PATIENCE, House
from tests.e2e.phones import SkippingClock
from tests.rtc.pictures import Eye
from utd_rx import TestPattern, TrackSource, UTDLiveStreamSession
from utd_rx.engine import LocalEngine
from utd_rx.models.participant import RemoteParticipant
from utd_rx.rooms import LiveStreamOptions

PATTERN: Final = TestPattern(160, 90, 25.0)
MICROPHONE, CAMERA = TrackSource.MICROPHONE, TrackSource.CAMERA

FEW: Final = 5
"""Frames of 0.2 s."""

AT_ONCE: Final = 25
"""Frames of one second, which a busy machine may hold when their camera is off."""


class Show(House):
    """An engine, and everybody in the rooms of its live streams; its time is `clock`'s."""

    def __init__(self, engine: LocalEngine, stack: AsyncExitStack, clock: SkippingClock) -> None:
        super().__init__(engine, stack)
        self.clock = clock

    async def attend(
        self, identity: str, room: str = "show", **options: Unpack[LiveStreamOptions]
    ) -> UTDLiveStreamSession:
        """Join as `identity`, whose camera is a test pattern; left with the house."""
        client = await self.client()
        options = {"camera": PATTERN, "name": identity.title(), **options}
        return await self.enter(await client.join_live_stream(identity, room, **options))

    async def knows(self, *identities: str, room: str = "show", patience: float = PATIENCE) -> None:
        """Wait until the engine has heard that exactly these are connected."""
        async with asyncio.timeout(patience):
            rooms = self.engine.core.rooms
            while set(rooms.all()[room].sessions) != set(identities):  # noqa: ASYNC110 - nobody says
                await asyncio.sleep(0.01)


@frozen(eq=False)
class Viewing:
    """What one session sees of somebody."""

    session: UTDLiveStreamSession
    whom: str
    eye: Eye

    async def frames(self, count: int = FEW) -> None:
        """Wait for so many frames more, all of which show a later picture than the one before.

        Of a camera in several layers that need not be so where the layer changes.
        """
        seen = len(self.eye.numbers)
        await self.eye.see(count)
        numbers = self.eye.numbers[seen:]
        assert numbers == sorted(set(numbers))


@contextmanager
def viewing(
    session: UTDLiveStreamSession, whom: str, *, max_height: int | None = None
) -> Iterator[Viewing]:
    """Look at somebody's camera until the end of the block, whatever becomes of its track."""
    eye = Eye()
    looking: DisposableBase = session.video(whom, max_height=max_height).subscribe(eye.take)
    try:
        yield Viewing(session, whom, eye)
    finally:
        looking.dispose()


async def sees(session: UTDLiveStreamSession, whom: str, *sources: TrackSource) -> None:
    """Wait until `session` receives exactly these sources of somebody, none of them muted."""

    def is_so(remotes: tuple[RemoteParticipant, ...]) -> bool:
        shown = {
            track.source
            for remote in remotes
            if remote.identity == whom
            for track in remote.tracks
            if track.is_subscribed and not track.is_muted
        }
        return shown == set(sources)

    await session.remote_participants.until(is_so, timeout=PATIENCE)


async def on_stage(session: UTDLiveStreamSession, *identities: str) -> None:
    """Wait until exactly these are on the stage."""
    await session.stage.until(
        lambda stage: tuple(member.identity for member in stage) == identities, timeout=PATIENCE
    )


async def hands(session: UTDLiveStreamSession, *identities: str) -> None:
    """Wait until `session`, which moderates, sees exactly these hands up, in that order."""
    await session.stage_requests.until(
        lambda asked: tuple(one.identity for one in asked) == identities, timeout=PATIENCE
    )


def values(stream: Any) -> list[Any]:
    """Collect every value of a stream, from the present one on."""
    found: list[Any] = []
    stream.subscribe(found.append)
    return found
