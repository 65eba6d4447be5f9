"""A media server and a clock without a network: what the REST tests run on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import jwt
from attrs import evolve, frozen

from utd_rx.engine.core import EngineCore
from utd_rx.engine.media import MediaParticipant, MediaRoom, MediaTrack, MediaUnavailable
from utd_rx.engine.rules.roles import Grant
from utd_rx.models.participant import TrackSource

WALL = 1_800_000_000.0


class FakeTimer:
    """A deadline of a `FakeClock`."""

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class FakeClock:
    """Time that passes only in `advance`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[FakeTimer] = []
        self.somebody_sleeps = asyncio.Event()

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return WALL + self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(when, callback)
        self.timers.append(timer)
        return timer

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        timer = self.call_at(self.now + seconds, wake)
        self.somebody_sleeps.set()
        try:
            await woken
        finally:
            timer.cancel()

    async def advance(self, seconds: float) -> None:
        """Let time pass, and what became due run until it waits for something again."""
        self.now += seconds
        due = [timer for timer in self.timers if timer.when <= self.now]
        self.timers = [timer for timer in self.timers if timer.when > self.now]
        for timer in due:
            if not timer.is_cancelled:
                timer.callback()
        await settle()


class HastyClock(FakeClock):
    """One on which nobody has to wait; its deadlines pass in `advance` all the same."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


async def settle() -> None:
    """Let every task that can run do so; nothing here waits for I/O."""
    for _ in range(50):
        await asyncio.sleep(0)


@frozen
class Sent:
    """A message the engine sent."""

    room: str
    message: Mapping[str, Any]
    to: tuple[str, ...] | None


class FakeMedia:
    """A media server that does what it is told; `is_down` makes every call fail."""

    def __init__(self) -> None:
        self.rooms: dict[str, MediaRoom] = {}
        self.people: dict[str, dict[str, MediaParticipant]] = {}
        self.sent: list[Sent] = []
        self.log: list[str] = []
        self.removed: list[tuple[str, str]] = []
        self.grants: list[tuple[str, Grant]] = []
        self.is_down = False
        self.is_closed = False
        self._next = 0

    def new_sid(self, kind: str) -> str:
        self._next += 1
        return f"{kind}_{self._next}"

    def _check(self, call: str) -> None:
        self.log.append(call)
        if self.is_down:
            raise MediaUnavailable("down")

    async def open_room(self, room: str, metadata: str, most: int = 0) -> MediaRoom:
        self._check("open_room")
        if room not in self.rooms:
            sid = self.new_sid("RM")
            self.rooms[room] = MediaRoom(room, sid, metadata=metadata, max_participants=most)
            self.people[room] = {}
        return self.rooms[room]

    async def close_room(self, room: str) -> bool:
        self._check("close_room")
        self.people.pop(room, None)
        return self.rooms.pop(room, None) is not None

    async def list_rooms(self) -> tuple[MediaRoom, ...]:
        self._check("list_rooms")
        return tuple(
            evolve(room, participant_count=len(self.people[name]))
            for name, room in self.rooms.items()
        )

    async def list_participants(self, room: str) -> tuple[MediaParticipant, ...]:
        self._check("list_participants")
        return tuple(self.people.get(room, {}).values())

    async def get_participant(self, room: str, identity: str) -> MediaParticipant | None:
        self._check("get_participant")
        return self.people.get(room, {}).get(identity)

    async def remove(self, room: str, identity: str) -> bool:
        self._check("remove")
        self.removed.append((room, identity))
        return self.people.get(room, {}).pop(identity, None) is not None

    async def set_grant(self, room: str, identity: str, grant: Grant) -> bool:
        self._check("set_grant")
        self.grants.append((identity, grant))
        found = self.people.get(room, {}).get(identity)
        if found is None:
            return False
        self.people[room][identity] = evolve(found, grant=grant)
        return True

    async def set_metadata(self, room: str, identity: str, metadata: str) -> bool:
        self._check("set_metadata")
        found = self.people.get(room, {}).get(identity)
        if found is None:
            return False
        self.people[room][identity] = evolve(found, metadata=metadata)
        return True

    async def set_room_metadata(self, room: str, metadata: str) -> bool:
        self._check("set_room_metadata")
        if room not in self.rooms:
            return False
        self.rooms[room] = evolve(self.rooms[room], metadata=metadata)
        return True

    async def send(
        self, room: str, message: Mapping[str, object], to: tuple[str, ...] | None
    ) -> None:
        self._check("send")
        self.sent.append(Sent(room, message, to))

    async def mute(self, room: str, identity: str, track: str, *, is_muted: bool) -> bool:
        self._check("mute")
        found = self.people[room][identity]
        tracks = tuple(
            evolve(known, is_muted=is_muted) if known.sid == track else known
            for known in found.tracks
        )
        self.people[room][identity] = evolve(found, tracks=tracks)
        return True

    async def aclose(self) -> None:
        self.is_closed = True

    # -- what happens on the SFU by itself

    async def connect(
        self, core: EngineCore, token: str, *, is_reported: bool = True
    ) -> MediaParticipant:
        """Join with `token`, and have the engine told, as a webhook would."""
        claims = jwt.decode(token, options={"verify_signature": False})
        video = claims["video"]
        sources = tuple(
            TrackSource[source.upper()] for source in video.get("canPublishSources", ())
        )
        who = MediaParticipant(
            identity=claims["sub"],
            sid=self.new_sid("PA"),
            name=claims.get("name", ""),
            metadata=claims.get("metadata", ""),
            grant=Grant(
                can_publish=video["canPublish"],
                can_subscribe=video["canSubscribe"],
                can_publish_data=video["canPublishData"],
                sources=sources,
            ),
            joined_at=WALL,
        )
        room = video["room"]
        if room not in self.rooms:
            self.rooms[room] = MediaRoom(room, self.new_sid("RM"))
            self.people[room] = {}
        self.people[room][who.identity] = who
        if is_reported:
            await core.participant_joined(core.rooms.engine_name(room) or "", who)
        return who

    async def disconnect(
        self, core: EngineCore, room: str, identity: str, grace: float = 20.0
    ) -> None:
        """Leave, and have the engine told."""
        who = self.people[room].pop(identity)
        await core.participant_left(core.rooms.engine_name(room) or "", identity, who.sid, grace)

    def publish(self, room: str, identity: str, kind: str = "audio") -> None:
        """Have a track."""
        found = self.people[room][identity]
        track = MediaTrack(self.new_sid("TR"), kind, TrackSource.MICROPHONE, is_muted=False)
        self.people[room][identity] = evolve(found, tracks=(*found.tracks, track))
