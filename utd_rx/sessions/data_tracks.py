"""Data tracks of a session: those it publishes, and those of others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from reactivex import Observable

from utd_rx.errors import ConflictReason, UTDStreamException, conflict
from utd_rx.models import checks
from utd_rx.models.data_tracks import DataTrackFrame
from utd_rx.ports.data_tracks import data_track_name
from utd_rx.ports.room import RoomPort
from utd_rx.protocol.roster import data_track_sid
from utd_rx.protocol.waiting import Waiting
from utd_rx.sessions.commands import command
from utd_rx.sessions.media_view import MediaView
from utd_rx.sessions.remote_media import Emit, followed
from utd_rx.sessions.runner import Runner

St = TypeVar("St", bound=Waiting)


class PublishedDataTrack:
    """A data track that this client publishes; leaving `async with` ends it.

    In a connection that follows it is published again by the first frame, unless it was ended.

    Attributes:
        name: By which others know it.
    """

    def __init__(self, name: str, number: int, runner: Runner[Any], room: RoomPort) -> None:
        self.name = name
        self._number = number
        self._runner = runner
        self._room = room
        self._publishing = asyncio.Lock()
        self._is_ended = False

    def __repr__(self) -> str:
        return f"<PublishedDataTrack {self.name!r}>"

    async def push(self, payload: bytes, *, user_timestamp: int | None = None) -> None:
        """Send a frame to whoever receives the track; what gets lost on the way nobody is told.

        Args:
            payload: 1 byte to 1 MiB.
            user_timestamp: A number of your own for it, 0 to 2**64 - 1.

        Raises:
            UTDStreamException: `VALIDATION` what cannot be sent; `RATE_LIMITED` frames come faster
                than LiveKit takes them, so this one was not sent; `CONFLICT` not joined, or ended
                by `unpublish`; what `publish_data_track` raises, where it is to be published
                again.

        Cancelling is safe; the frame may have been sent.
        """
        frame = DataTrackFrame(checks.payload(payload, "payload"), user_timestamp)
        self._runner.require_here()
        self._require_going_on()
        self._runner.require_joined()
        number = self._number
        try:
            await self._room.push_data_frame(number, frame)
        except UTDStreamException as error:
            if error.reason is not ConflictReason.LEFT:
                raise
            await self._publish_again(number)
            await self._room.push_data_frame(self._number, frame)

    async def unpublish(self) -> None:
        """End it for everybody. Idempotent; cancelling is safe."""
        self._runner.require_here()
        self._is_ended = True
        async with self._publishing:  # else it would be there again
            await self._room.unpublish_data_track(self._number)

    async def __aenter__(self) -> PublishedDataTrack:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.unpublish()

    async def _publish_again(self, lost: int) -> None:
        async with self._publishing:
            self._require_going_on()
            if self._number == lost:
                self._number = await self._room.publish_data_track(self.name)

    def _require_going_on(self) -> None:
        if self._is_ended:
            message = f"the data track {self.name!r} was unpublished: publish_data_track anew"
            raise conflict(ConflictReason.CLOSED, message)


class DataTracking(MediaView[St]):
    """The part of a session that publishes data tracks, and receives others'."""

    _runner: Runner[St]
    _room: RoomPort

    @command
    async def publish_data_track(self, name: str) -> PublishedDataTrack:
        """Publish a data track: small frames of bytes, the newest of which count, as those of a
        sensor or a position; LiveKit loses what it cannot deliver in time.

        Args:
            name: By which others know it, 1 to 256 bytes, one of a kind among this client's.

        Raises:
            UTDStreamException: `VALIDATION` no name; `FORBIDDEN` sending data is not granted;
                `CONFLICT` not joined, left meanwhile, or published already; `RATE_LIMITED` the
                media server takes no more (the embedded one 64); `TIMEOUT`; `SERVER` it refuses
                for any other reason.

        Cancelling is safe: it is not published.
        """
        self._runner.require_joined()
        number = await self._room.publish_data_track(name)
        return PublishedDataTrack(name, number, self._runner, self._room)

    def data_track(self, identity: str, name: str) -> Observable[DataTrackFrame]:
        """Return the frames of `identity`'s data track of that name, as `audio` what is heard.

        Cold: each observer receives on its own, on the session's loop, and while nobody observes
        nothing is sent here. It follows the track through its end and the next one of its name,
        and completes with the session. `data_tracks` of a participant says which there are.

        Raises:
            UTDStreamException: `VALIDATION` for what is no identity or name.
        """
        who, called = checks.identity(identity), data_track_name(name)

        def begin(sid: str, emit: Emit[DataTrackFrame]) -> Awaitable[int]:
            return self._room.read_data_track(sid, emit)

        return followed(
            self._runner,
            f"data track {called!r} of {who}",
            lambda roster: data_track_sid(roster, who, called),
            begin,
            self._room.unread_data_track,
        )
