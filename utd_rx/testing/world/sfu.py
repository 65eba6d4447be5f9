"""`VirtualSfu`: the media server of a world, without sockets and codecs.

To the engine it is a `Media`, to a `WorldRoom` what livekit-server is to `UTDRoom`. It knows no
rules of the engine's; what happens in a room is in `sfu_room`. Each call of the engine takes turns
of the loop, so that what a client is told of two calls comes in two batches, as it does in life.

What is otherwise than in life, so that a test need not wait for it: what happens is told within the
same instant, where life takes milliseconds, 50 for what a publisher takes away and up to 3 s for
who publishes nothing (`silent_news`). What is otherwise because nobody decides by it: `RoomUpdated`
and `ConnectionQualityChanged` never come. Sound and pictures arrive as they were sent.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from utd_rx.engine.media import (
    ABANDONED_ROOM_SECONDS,
    EMPTY_ROOM_SECONDS,
    MediaParticipant,
    MediaRoom,
)
from utd_rx.engine.media_facts import MediaReport
from utd_rx.engine.rules.roles import Grant
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.connection import DisconnectReason
from utd_rx.ports.data import DataMessage
from utd_rx.protocol.wire.tokens import expired_at, out_of_date
from utd_rx.testing.world.network import Link
from utd_rx.testing.world.sfu_participant import SfuClient, VirtualParticipant, permission_of
from utd_rx.testing.world.sfu_room import VirtualRoom
from utd_rx.testing.world.tokens import RoomTicket

DEPARTURE: Final = 20.0
"""Seconds that a room outlives its last participant, unless the engine made it
(docs/livekit.md, "Rooms")."""

TURNS: Final = 4
"""Turns of the loop that a call of the engine takes: an HTTP exchange (1 to 4 ms) comes behind what
is written to an open socket at the same moment, which a client here has read within two turns."""

LEEWAY: Final = 60.0
"""Seconds of clock skew that are forgiven (docs/livekit.md, "Tokens")."""


class VirtualSfu:
    """A media server on the running loop's time; implements `engine.media.Media`.

    Args:
        report: Takes what the engine is to be told, in order; returns at once.
        read_token: Returns what a token says, or raises `ValueError` when it is none.
        wall: Unix time in seconds.
        silent_news: Seconds for which news of who publishes nothing is collected; livekit-server
            takes 3 (docs/livekit.md, "News of the silent").
    """

    def __init__(
        self,
        report: Callable[[MediaReport], None],
        read_token: Callable[[str], RoomTicket],
        *,
        wall: Callable[[], float] = time.time,
        silent_news: float = 0.0,
    ) -> None:
        self._report = report
        self._read_token = read_token
        self.wall = wall
        self._silent_news = silent_news
        self._rooms: dict[str, VirtualRoom] = {}
        self._numbers = Counter[str]()
        self._expiries: dict[str, asyncio.TimerHandle] = {}
        self._renewed: dict[str, RoomTicket] = {}

    # -- clients --------------------------------------------------------------------------------

    def ticket(self, token: str) -> RoomTicket:
        """Return what a token says, or raise `UNAUTHORIZED`."""
        try:
            ticket = self._renewed.get(token) or self._read_token(token)
        except ValueError as error:
            raise _unauthorized(token, self.wall()) from error
        if ticket.expires_at + LEEWAY < self.wall():
            raise _unauthorized(token, self.wall())
        return ticket

    def token(self, ticket: RoomTicket) -> str:
        """Return a token that says it, as the server sends a newer one."""
        known = (token for token, other in self._renewed.items() if other == ticket)
        token = next(known, f"renewed.{len(self._renewed)}")
        self._renewed[token] = ticket
        return token

    def join(
        self, ticket: RoomTicket, client: SfuClient, link: Link, *, auto_subscribe: bool
    ) -> tuple[VirtualRoom, VirtualParticipant]:
        """Let a client in, in a room that is made when there is none; `SERVER` when it is full."""
        room = self._rooms.get(ticket.room) or self._open(ticket.room)
        if room.is_full and ticket.identity not in room.people:
            raise UTDStreamException(
                "Joining failed: the server refused the join; the room may be full.",
                code=UTDErrorCode.SERVER,
            )
        who = room.join(ticket, client, link, auto_subscribe=auto_subscribe)
        self._expect(room, None)
        return room, who

    # -- the engine -----------------------------------------------------------------------------

    async def open_room(self, room: str, metadata: str, most: int = 0) -> MediaRoom:
        """Make the room, unless it is there; one that is there stays as it is."""
        await _exchange()
        found = self._rooms.get(room) or self._open(room, metadata, most, ABANDONED_ROOM_SECONDS)
        return found.info()

    async def close_room(self, room: str) -> bool:
        await _exchange()
        return self._close(room, DisconnectReason.ROOM_DELETED)

    async def list_rooms(self) -> tuple[MediaRoom, ...]:
        await _exchange()
        return tuple(room.info() for room in self._rooms.values())

    async def list_participants(self, room: str) -> tuple[MediaParticipant, ...]:
        await _exchange()
        found = self._rooms.get(room)
        return () if found is None else tuple(who.info() for who in found.people.values())

    async def get_participant(self, room: str, identity: str) -> MediaParticipant | None:
        await _exchange()
        _, who = self._find(room, identity)
        return None if who is None else who.info()

    async def remove(self, room: str, identity: str) -> bool:
        return await self._change(
            room, identity, lambda r, who: r.leave(who, DisconnectReason.PARTICIPANT_REMOVED)
        )

    async def set_grant(self, room: str, identity: str, grant: Grant) -> bool:
        permission = permission_of(grant)
        return await self._change(room, identity, lambda r, who: r.set_permission(who, permission))

    async def set_metadata(self, room: str, identity: str, metadata: str) -> bool:
        return await self._change(room, identity, lambda r, who: r.set_metadata(who, metadata))

    async def set_room_metadata(self, room: str, metadata: str) -> bool:
        await _exchange()
        found = self._rooms.get(room)
        if found is not None:
            found.set_room_metadata(metadata)
        return found is not None

    async def send(
        self, room: str, message: Mapping[str, object], to: tuple[str, ...] | None
    ) -> None:
        await _exchange()
        data = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
        if (found := self._rooms.get(room)) is not None:
            # No destination is everybody (docs/livekit.md, "Rooms").
            found.send_data(None, DataMessage(data, to=to or None))

    async def mute(self, room: str, identity: str, track: str, *, is_muted: bool) -> bool:
        await _exchange()
        found, who = self._find(room, identity)
        if found is None or who is None or track not in who.tracks:
            return False
        found.set_muted(who, track, is_muted)
        return True

    async def aclose(self) -> None:
        """End every room. Idempotent."""
        for name in tuple(self._rooms):
            self._close(name, DisconnectReason.SERVER_SHUTDOWN)

    # -- inside ---------------------------------------------------------------------------------

    async def _change(
        self, room: str, identity: str, change: Callable[[VirtualRoom, VirtualParticipant], None]
    ) -> bool:
        await _exchange()
        found, who = self._find(room, identity)
        if found is None or who is None:
            return False
        change(found, who)
        return True

    def _find(
        self, room: str, identity: str
    ) -> tuple[VirtualRoom, VirtualParticipant] | tuple[None, None]:
        found = self._rooms.get(room)
        who = None if found is None else found.people.get(identity)
        return (None, None) if found is None or who is None else (found, who)

    def _open(
        self, name: str, metadata: str = "", most: int = 0, departure: float = DEPARTURE
    ) -> VirtualRoom:
        room = self._rooms[name] = VirtualRoom(
            name,
            self._new_sid("RM"),
            new_sid=self._new_sid,
            report=self._report,
            on_empty=lambda: self._expect(room, departure),
            wall=self.wall,
            silent_news=self._silent_news,
            metadata=metadata,
            most=most,
        )
        room.report("room_started")
        self._expect(room, EMPTY_ROOM_SECONDS)
        return room

    def _expect(self, room: VirtualRoom, seconds: float | None) -> None:
        """End the room after `seconds` without anybody; None while somebody is there."""
        if (timer := self._expiries.pop(room.name, None)) is not None:
            timer.cancel()
        if seconds is not None and self._rooms.get(room.name) is room:
            loop = asyncio.get_running_loop()
            close = partial(self._close, room.name, DisconnectReason.ROOM_CLOSED)
            self._expiries[room.name] = loop.call_later(seconds, close)

    def _close(self, name: str, reason: DisconnectReason) -> bool:
        room = self._rooms.pop(name, None)
        if room is None:
            return False
        self._expect(room, None)
        room.close(reason)
        room.report("room_finished")
        return True

    def _new_sid(self, kind: str) -> str:
        self._numbers[kind] += 1
        return f"{kind}_{self._numbers[kind]}"


async def _exchange() -> None:
    """Take as long as a call of the engine takes."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


def _unauthorized(token: str, now: float) -> UTDStreamException:
    why = out_of_date(token, now) or "the server refused the token"
    return UTDStreamException(
        f"Joining failed: {why}; fetch a new one.",
        code=UTDErrorCode.UNAUTHORIZED,
        expired_at=expired_at(token, now),
    )
