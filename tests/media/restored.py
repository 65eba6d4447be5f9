"""A room that outlives its media processes, and the fakes that are behind it."""

from __future__ import annotations

import asyncio
from typing import Any

from attrs import evolve

from tests.media.hosts import FakeHost
from utd_rx.errors import UTDStreamException
from utd_rx.media.restoring_room import RestoringRoom
from utd_rx.media.succession import Succession
from utd_rx.models import events as ev
from utd_rx.models.participant import (
    ParticipantPermission,
    RemoteParticipant,
    TrackKind,
    TrackPublication,
    TrackSource,
)
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.contracts import Batches
from utd_rx.testing.room import FakeRoom

ALL = ParticipantPermission(
    can_subscribe=True, can_publish=True, can_publish_data=True, can_update_metadata=True
)
VOICE = TrackPublication(
    "TR_voice", "microphone", TrackKind.AUDIO, TrackSource.MICROPHONE, is_subscribed=True
)
FACE = TrackPublication(
    "TR_face", "camera", TrackKind.VIDEO, TrackSource.CAMERA, is_subscribed=True
)
BEN = RemoteParticipant("ben", sid="PA_ben", tracks=(VOICE, FACE))


class Restored(Batches[ev.RoomEvent]):
    """What a test has: the room, all it told, and the rooms of the lives it has had.

    Attributes:
        permission: What the next room finds that it may do.
        remotes: Who is there then.
        joined_to: What it found when it joined.
        refusal: What joining it is answered with, once.
        errors: What starting the next processes raises, one each.
        early: What the next room tells before its join has answered.
        closed: Whether its gate is.
        room: The port.
        rooms: The room of each life.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.hosts: list[FakeHost] = []
        self.rooms: list[FakeRoom] = []
        self.permission = ALL
        self.remotes: tuple[RemoteParticipant, ...] = (BEN,)
        self.refusal: UTDStreamException | None = None
        self.errors: list[Exception] = []
        self.early: tuple[ev.RoomEvent, ...] = ()
        self.closed = False
        self.succession = Succession(self._start, self.clock)
        self.room = RestoringRoom(self.succession, self.serve_room)
        self.room.listen(self.take)

    def _start(self) -> FakeHost:
        if self.errors:
            raise self.errors.pop()
        self.hosts.append(FakeHost())
        return self.hosts[-1]

    def serve_room(self, host: FakeHost) -> Any:
        """Make a room in a process."""
        room = FakeRoom("me")
        local = evolve(room.snapshot.local, permission=self.permission)
        room.snapshot = evolve(room.snapshot, local=local, remotes=self.remotes)
        room.connect_error, self.refusal = self.refusal, None
        if self.closed:
            room.gate.clear()
        self.rooms.append(room)
        connect, early = room.connect, self.early

        async def told_at_once(*args: Any, **kwargs: Any) -> ev.RoomSnapshot:
            snapshot = await connect(*args, **kwargs)
            room.emit(*early)
            room.flush()
            return snapshot

        room.connect = told_at_once  # type: ignore[method-assign] # a fake
        return host.near(room)

    @property
    def now(self) -> FakeRoom:
        """The room of this life."""
        return self.rooms[-1]

    async def joined(self) -> Restored:
        """Join, and return this."""
        self.joined_to = await self.room.connect("wss://x", "token-1")
        return self

    def die(self) -> None:
        """Let the media process die."""
        self.hosts[-1].die()

    async def again(self, seconds: float = 0.0) -> ev.Reconnected:
        """Wait until the room is there again, some time after it died."""
        before = len(self.told)
        await turns(2)
        self.clock.advance(seconds)
        back: ev.Reconnected = await self.until(
            lambda event: isinstance(event, ev.Reconnected), after=before
        )
        return back

    def kinds(self, after: int = 0) -> list[type]:
        """Return what kinds of events were told."""
        return [type(event) for event in self.told[after:]]


async def turns(count: int = 8) -> None:
    """Let the loop turn a few times."""
    for _ in range(count):
        await asyncio.sleep(0)
