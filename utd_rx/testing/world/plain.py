"""The plain rooms of a `FakeWorld`: what of it needs no engine."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, Unpack

from utd_rx.engine.media import Media
from utd_rx.models.participant import ParticipantPermission
from utd_rx.sessions.room import PlainRoomOptions, RoomSession
from utd_rx.testing.world.loop_world import ALL_GRANTED, LOBBY, TOKEN_SECONDS, LoopWorld

T = TypeVar("T")


class PlainRooms:
    """Base of `FakeWorld`."""

    _world: LoopWorld

    @property
    def media_server(self) -> Media:
        """The API of the media server, which in life takes its secret: coroutines that mute a
        track, remove somebody, or change what they may, whatever an engine thinks of it."""
        return self._world.media_server

    def room_token(
        self,
        identity: str,
        room: str = LOBBY,
        *,
        name: str = "",
        permission: ParticipantPermission = ALL_GRANTED,
        seconds: float = TOKEN_SECONDS,
    ) -> str:
        """Return a token for a plain room of this world.

        Args:
            identity: Who joins with it.
            room: Which room.
            name: Their display name.
            permission: What they may do there.
            seconds: How long it holds.
        """
        make = self._world.room_token
        return self._act(
            lambda: make(identity, room, name=name, permission=permission, seconds=seconds)
        )

    def room_session(
        self,
        identity: str,
        room: str = LOBBY,
        *,
        token: str | None = None,
        **options: Unpack[PlainRoomOptions],
    ) -> RoomSession:
        """Make a session of a plain room without joining, to watch its streams from the start.

        Args:
            identity: Who joins.
            room: Which room.
            token: As `room_token` makes it; without one and a `token_source`, one that grants all.
            options: As of `RoomSession`.
        """
        make = self._world.room_session
        return self._act(lambda: make(identity, room, token=token, **options))

    def open_room(
        self,
        identity: str,
        room: str = LOBBY,
        *,
        token: str | None = None,
        **options: Unpack[PlainRoomOptions],
    ) -> RoomSession:
        """Let somebody join a plain room, which has no engine, and return their session.

        Args:
            identity: Who joins.
            room: Which room.
            token: As of `room_session`.
            options: As of `RoomSession`.

        Raises:
            UTDStreamException: As `utd_rx.open_room`.
        """
        return self._do(self._world.open_room(identity, room, token=token, **options))

    def _act(self, what: Callable[[], T]) -> T:
        raise NotImplementedError

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        raise NotImplementedError
