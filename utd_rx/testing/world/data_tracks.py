"""Data tracks of one connection of a world: messages of a topic, lossy as LiveKit's frames are."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.data_tracks import DataTrackFrame, DataTrackInfo
from utd_rx.models.events import DataReceived
from utd_rx.models.participant import ParticipantPermission
from utd_rx.ports.data import MAX_DATA, DataMessage
from utd_rx.ports.data_tracks import DataFramesSink, data_track_name, require_data_frame
from utd_rx.testing.world.sfu_participant import VirtualParticipant
from utd_rx.testing.world.sfu_room import VirtualRoom
from utd_rx.testing.world.wire import Wire

FRAMES: Final = "utd_rx world: frames of data tracks"

PIECE: Final = MAX_DATA - 1_000
"""Bytes of a frame in one message."""


@frozen
class _FramePiece:
    """A piece of a frame; `is_last` ends it."""

    sid: str
    data: bytes
    user_timestamp: int | None
    is_last: bool


class WorldDataTracks:
    """What it publishes, and reads of others'."""

    def __init__(self, wire: Wire, numbers: Iterator[int]) -> None:
        self._wire = wire
        self._numbers = numbers
        self._own: dict[int, DataTrackInfo] = {}
        self._reading: dict[int, tuple[str, DataFramesSink]] = {}
        self._parts: dict[str, bytes] = {}

    # -- commands -------------------------------------------------------------------------------

    async def publish(self, name: str) -> int:
        """See `RoomPort`, as for the rest."""
        self._require(data_track_name(name))
        given_up = False
        answers: list[DataTrackInfo | None] = []

        def take(track: DataTrackInfo | None) -> None:
            answers.append(track)
            if given_up and track is not None:
                self._end(track)

        try:
            await self._wire.ask(lambda room, who: room.publish_data_track(who, name), take)
        except BaseException:
            given_up = True
            raise
        if answers[0] is None:
            raise _forbidden()
        number = next(self._numbers)
        self._own[number] = answers[0]
        return number

    def push(self, number: int, frame: DataTrackFrame) -> None:
        """See `RoomPort`."""
        require_data_frame(frame)
        if number not in self._own:
            raise conflict(ConflictReason.LEFT, "The data track is not published any more.")
        for piece in _pieces(self._own[number].sid, frame):
            message = DataMessage(pickle.dumps(piece), topic=FRAMES, reliable=False)
            self._send(message)

    def unpublish(self, number: int) -> None:
        """See `RoomPort`."""
        if (track := self._own.pop(number, None)) is not None:
            self._end(track)

    def read(self, sid: str, sink: DataFramesSink) -> int:
        """See `RoomPort`."""
        if not self._wire.has_data_track(sid):
            raise UTDStreamException(f"There is no data track {sid}.", code=UTDErrorCode.NOT_FOUND)
        number = next(self._numbers)
        self._reading[number] = sid, sink
        return number

    def unread(self, number: int) -> None:
        """See `RoomPort`."""
        self._reading.pop(number, None)

    # -- facts ----------------------------------------------------------------------------------

    def take(self, message: DataReceived) -> None:
        """Take a message of the topic."""
        piece: _FramePiece = pickle.loads(message.payload)  # noqa: S301 - our own words
        data = self._parts.pop(piece.sid, b"") + piece.data
        if not piece.is_last:
            self._parts[piece.sid] = data
            return
        for sid, sink in tuple(self._reading.values()):
            if sid == piece.sid:
                sink(DataTrackFrame(data, piece.user_timestamp))

    def enforce(self, permission: ParticipantPermission) -> None:
        """End what is not allowed any more."""
        if not permission.can_publish_data:
            self._own.clear()

    def republish(self, room: VirtualRoom, who: VirtualParticipant) -> None:
        """In a full reconnect: publish everything anew."""
        for number, track in tuple(self._own.items()):
            anew = room.publish_data_track(who, track.name)
            if anew is None:
                del self._own[number]
            else:
                self._own[number] = anew

    def lose(self) -> None:
        """The connection ended."""
        self._own.clear()
        self._reading.clear()
        self._parts.clear()

    # -- inside ---------------------------------------------------------------------------------

    def _require(self, name: str) -> None:
        if not self._wire.permission.can_publish_data:
            raise _forbidden()
        if any(track.name == name for track in self._own.values()):
            raise conflict(ConflictReason.ALREADY, f"The data track {name!r} is published already.")

    def _end(self, track: DataTrackInfo) -> None:
        self._wire.post(lambda room, who: room.unpublish_data_track(who, track.sid))

    def _send(self, message: DataMessage) -> None:
        self._wire.send_data(lambda room, who: room.send_data(who, message))


def _pieces(sid: str, frame: DataTrackFrame) -> Iterator[_FramePiece]:
    data = frame.payload
    for at in range(0, len(data), PIECE):
        is_last = at + PIECE >= len(data)
        yield _FramePiece(sid, data[at : at + PIECE], frame.user_timestamp, is_last)


def _forbidden() -> UTDStreamException:
    return UTDStreamException("Sending data is not granted.", code=UTDErrorCode.FORBIDDEN)
