"""`FakeRoom`: a room port without a network, driven by the test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import count

from attrs import evolve

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFrame, AudioInput, AudioInputStream, FrameSink
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.events import (
    DataReceived,
    Disconnected,
    LocalTrackPublished,
    LocalTrackUnpublished,
    ParticipantPermissionsChanged,
    RoomEvent,
    RoomSnapshot,
    TrackMuted,
    TrackUnmuted,
)
from utd_rx.models.participant import (
    LocalParticipant,
    ParticipantPermission,
    TrackKind,
    TrackPublication,
    TrackSource,
)
from utd_rx.ports.data import data_message
from utd_rx.ports.room import EventSink

LISTENER = ParticipantPermission(can_subscribe=True, can_publish=False, can_publish_data=True)
"""What a listener in an audio room is granted."""


class FakeRoom:
    """A room whose server is the test: it grants, revokes, sends and disconnects.

    It keeps the promises of `RoomPort` and passes the same contract suite as `UTDRoom`.

    Attributes:
        snapshot: What the next `connect` returns.
        connect_error: What the next `connect` raises, once.
        gate: `connect` and `publish_audio` wait for it; set it to let them through.
        sent: The data messages sent, as `(payload, topic, destinations)`.
    """

    def __init__(self, identity: str, *, room_name: str = "room") -> None:
        self.snapshot = RoomSnapshot(
            room_name, LocalParticipant(identity, sid="PA_local", permission=LISTENER)
        )
        self.connect_error: UTDStreamException | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.sent: list[tuple[bytes, str, tuple[str, ...] | None]] = []
        self.is_connected = False
        self._sinks: list[EventSink] = []
        self._address: tuple[str, str] | None = None
        self._sids = count(1)
        self._tracks: dict[str, TrackPublication] = {}
        self._receivers: dict[str, list[FrameSink]] = {}

    # --- the server's side ---

    def emit(self, *events: RoomEvent) -> None:
        """Let the server report `events`."""
        for sink in list(self._sinks):
            sink(events)

    def grant(self, *, can_publish: bool) -> None:
        """Grant or revoke publishing; revoking takes the tracks down, as a server does."""
        local = self.snapshot.local
        permission = evolve(local.permission, can_publish=can_publish)
        self.snapshot = evolve(self.snapshot, local=evolve(local, permission=permission))
        self.emit(ParticipantPermissionsChanged(local.identity, permission))
        if not can_publish:
            for track in list(self._tracks.values()):
                self._drop(track.sid)

    def push(self, payload: bytes, *, sender: str | None = None, topic: str = "") -> None:
        """Deliver a data message; without a sender it is the engine's."""
        self.emit(DataReceived(payload, sender, topic))

    def lose(self, reason: DisconnectReason = DisconnectReason.UNKNOWN) -> None:
        """End the connection from the server's side."""
        self.is_connected = False
        self._tracks.clear()
        self.emit(Disconnected(reason))

    def play(self, track_sid: str, frame: AudioFrame) -> None:
        """Let a frame of a remote track arrive."""
        for sink in list(self._receivers.get(track_sid, ())):
            sink(frame)

    @property
    def tracks(self) -> tuple[TrackPublication, ...]:
        """What is published now."""
        return tuple(self._tracks.values())

    # --- the port ---

    def listen(self, sink: EventSink) -> Callable[[], None]:
        """See `RoomPort.listen`."""
        self._sinks.append(sink)
        return lambda: self._sinks.remove(sink) if sink in self._sinks else None

    async def connect(self, url: str, token: str, *, auto_subscribe: bool = True) -> RoomSnapshot:
        """See `RoomPort.connect`."""
        if self.is_connected:
            raise UTDStreamException("already connected", code=UTDErrorCode.CONFLICT)
        await self.gate.wait()
        error, self.connect_error = self.connect_error, None
        if error is not None:
            raise error
        self.is_connected = True
        self._address = (url, token)
        return self.snapshot

    async def reconnect(self) -> RoomSnapshot:
        """See `RoomPort.reconnect`."""
        if self._address is None:
            raise UTDStreamException("never joined", code=UTDErrorCode.CONFLICT)
        return await self.connect(*self._address)

    async def disconnect(self) -> None:
        """See `RoomPort.disconnect`."""
        if self.is_connected:
            self.lose(DisconnectReason.CLIENT_INITIATED)

    async def aclose(self) -> None:
        """See `RoomPort.aclose`."""
        await self.disconnect()

    async def publish_audio(
        self,
        source: AudioInput,
        *,
        name: str = "microphone",
        track_source: TrackSource = TrackSource.MICROPHONE,
    ) -> TrackPublication:
        """See `RoomPort.publish_audio`."""
        self._require_connected()
        if not self.snapshot.local.permission.allows(track_source):
            raise UTDStreamException("not granted", code=UTDErrorCode.FORBIDDEN)
        await self.gate.wait()
        sid = f"TR_{next(self._sids)}"
        track = TrackPublication(sid, name, TrackKind.AUDIO, track_source)
        self._tracks[sid] = track
        self.emit(LocalTrackPublished(track))
        return track

    async def unpublish(self, track_sid: str) -> None:
        """See `RoomPort.unpublish`."""
        self._drop(track_sid)

    async def set_muted(self, track_sid: str, muted: bool) -> None:
        """See `RoomPort.set_muted`."""
        track = self._tracks.get(track_sid)
        if track is None or track.is_muted is muted:
            return
        track = self._tracks[track_sid] = evolve(track, is_muted=muted)
        identity = self.snapshot.local.identity
        self.emit(TrackMuted(identity, track) if muted else TrackUnmuted(identity, track))

    async def send_data(
        self,
        data: bytes,
        *,
        reliable: bool = True,
        topic: str = "",
        destination_identities: Sequence[str] | None = None,
    ) -> None:
        """See `RoomPort.send_data`."""
        self._require_connected()
        message = data_message(data, topic=topic, to=destination_identities)
        if not self.snapshot.local.permission.can_publish_data:
            raise UTDStreamException("data is not granted", code=UTDErrorCode.FORBIDDEN)
        self.sent.append((message.data, message.topic, message.to))

    async def receive_audio(self, track_sid: str, sink: FrameSink) -> AudioInputStream:
        """See `RoomPort.receive_audio`."""
        self._require_connected()
        sinks = self._receivers.setdefault(track_sid, [])
        sinks.append(sink)
        return _FakeStream(lambda: sinks.remove(sink) if sink in sinks else None)

    def _drop(self, track_sid: str) -> None:
        track = self._tracks.pop(track_sid, None)
        if track is not None:
            self.emit(LocalTrackUnpublished(track))

    def _require_connected(self) -> None:
        if not self.is_connected:
            raise UTDStreamException("not connected", code=UTDErrorCode.CONFLICT)


class _FakeStream:
    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._ended = asyncio.Event()

    async def wait_ended(self) -> None:
        await self._ended.wait()

    async def aclose(self) -> None:
        self._stop()
        self._ended.set()
