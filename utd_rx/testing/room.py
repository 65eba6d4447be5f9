"""`FakeRoom`: a room port without a network, driven by the test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from itertools import count

from attrs import evolve

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict, invalid
from utd_rx.models import events as ev
from utd_rx.models.audio import AudioFrame, AudioInput
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.devices import DeviceKey
from utd_rx.models.encryption import Encryption
from utd_rx.models.participant import (
    LocalParticipant,
    ParticipantPermission,
    TrackKind,
    TrackPublication,
    TrackSource,
)
from utd_rx.models.statistics import RoomStatistics, TrackDirection, TrackStatistics
from utd_rx.models.video import VideoFormat, VideoFrame, VideoInput
from utd_rx.ports import living
from utd_rx.ports.living import Voice
from utd_rx.ports.room import EventSink, FramesSink, PicturesSink, height_asked
from utd_rx.protocol import roster
from utd_rx.protocol.roster import Roster
from utd_rx.testing.fake_data import FakeRoomData

_SOUND = (TrackSource.MICROPHONE, TrackSource.SCREEN_SHARE_AUDIO)
_PICTURES = (TrackSource.CAMERA, TrackSource.SCREEN_SHARE)

_numbers = count(1)  # those of two rooms differ, as LiveKit's do

LISTENER = ParticipantPermission(can_subscribe=True, can_publish=False, can_publish_data=True)
"""What a listener in an audio room is granted."""


class FakeRoom(FakeRoomData):
    """A room whose server is the test: it grants, revokes, sends and disconnects.

    Its commands are those of `RoomPort`; it passes the same contract suite as `UTDRoom`.

    Attributes:
        snapshot: What the next `connect` returns.
        connect_error: What the next `connect` raises, once.
        gate: `connect` and `publish` wait for it; set it to let them through.
        methods: The methods of the room, both sides.
        transfers: The texts and files, likewise.
        data_tracks: The data tracks, likewise.
        sent: The data messages sent, as `(payload, topic, destinations)`.
        tokens: Those it was joined with, in order.
        encryption: What it is encrypted with.
        sources: What each track that was published is fed from, by its sid.
        figures: What `statistics` tells of a track, by its sid; without one nothing was sent.
        round_trip: What it tells of the connection.
    """

    def __init__(self, identity: str, *, room_name: str = "room") -> None:
        super().__init__()
        self.snapshot = ev.RoomSnapshot(
            room_name, LocalParticipant(identity, sid="PA_local", permission=LISTENER)
        )
        self.connect_error: UTDStreamException | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.tokens: list[str] = []
        self.encryption: Encryption | None = None
        self.sources: dict[str, AudioInput | VideoInput] = {}
        self.figures: dict[str, TrackStatistics] = {}
        self.round_trip: float | None = None
        self.is_connected = False
        self._sinks: list[EventSink] = []
        self._told: list[ev.RoomEvent] = []
        self._roster = Roster()
        self._unseen: list[ev.RoomEvent] = []  # what the roster is still to hear, when it is asked
        self._address: tuple[str, str] | None = None
        self._tracks: dict[str, TrackPublication] = {}
        self._hearing: dict[int, tuple[str, FramesSink]] = {}
        self._routes: dict[int, tuple[str, Voice]] = {}
        self._views: dict[int, tuple[str, PicturesSink, int | None]] = {}

    # --- the server's side ---

    def emit(self, *events: ev.RoomEvent) -> None:
        """Let the server report `events`; what one turn of the loop brings is one batch."""
        self._unseen += events
        if not self._told:
            asyncio.get_running_loop().call_soon(self.flush)
        self._told += events

    def flush(self) -> None:
        """Deliver now what waits for this turn of the loop to end."""
        told, self._told = tuple(self._told), []
        for sink in list(self._sinks) if told else ():
            sink(told)

    def grant(self, *, can_publish: bool, can_update_metadata: bool = False) -> None:
        """Grant or revoke publishing; revoking takes the tracks down, as a server does."""
        local = self.snapshot.local
        permission = evolve(
            local.permission, can_publish=can_publish, can_update_metadata=can_update_metadata
        )
        self.snapshot = evolve(self.snapshot, local=evolve(local, permission=permission))
        self.emit(ev.ParticipantPermissionsChanged(local.identity, permission))
        if not can_publish:
            for sid in list(self._tracks):
                self._drop(sid)

    def push(self, payload: bytes, *, sender: str | None = None, topic: str = "") -> None:
        """Deliver a data message; without a sender it is the engine's."""
        self.emit(ev.DataReceived(payload, sender, topic))

    def lose(self, reason: DisconnectReason = DisconnectReason.UNKNOWN) -> None:
        """End the connection from the server's side."""
        self.is_connected = False
        self._tracks.clear()
        self._hearing.clear()
        self._views.clear()
        for _, voice in self._routes.values():
            voice.close()
        self._routes.clear()
        self._lose_data()
        self.emit(ev.Disconnected(reason))

    def play(self, track_sid: str, *frames: AudioFrame) -> None:
        """Let frames of a remote track arrive, as one batch."""
        for sid, sink in list(self._hearing.values()):
            if sid == track_sid:
                sink(frames)
        for sid, voice in list(self._routes.values()):
            for frame in frames if sid == track_sid else ():
                voice(frame)

    def show(self, track_sid: str, *frames: VideoFrame) -> None:
        """Let frames of a remote video arrive, one after the other."""
        for frame in frames:
            for sid, sink, _ in list(self._views.values()):
                if sid == track_sid:
                    sink(frame)

    @property
    def pulled(self) -> Mapping[str, int | None]:
        """The remote videos that somebody looks at, with the height that serves them all; None is
        the largest."""
        asked: dict[str, list[int | None]] = {}
        for sid, _, height in self._views.values():
            asked.setdefault(sid, []).append(height)
        return {
            sid: None if None in heights else max(height or 0 for height in heights)
            for sid, heights in asked.items()
        }

    @property
    def tracks(self) -> tuple[TrackPublication, ...]:
        """What is published now."""
        return tuple(self._tracks.values())

    # --- the port ---

    def listen(self, sink: EventSink) -> Callable[[], None]:
        self._sinks.append(sink)
        return lambda: self._sinks.remove(sink) if sink in self._sinks else None

    async def connect(
        self,
        url: str,
        token: str,
        *,
        auto_subscribe: bool = True,
        encryption: Encryption | None = None,
    ) -> ev.RoomSnapshot:
        if self.is_connected:
            raise conflict(ConflictReason.ALREADY, "already connected")
        await self.gate.wait()
        error, self.connect_error = self.connect_error, None
        if error is not None:
            raise error
        self.is_connected = True
        self.tokens.append(token)
        self.encryption = encryption
        self._address = (url, token)
        self._roster, self._unseen = roster.from_snapshot(self.snapshot), []
        self.flush()
        return self.snapshot

    async def reconnect(
        self, token: str | None = None, *, encryption: Encryption | None = None
    ) -> ev.RoomSnapshot:
        last = await self.newest_token()
        assert self._address is not None
        keys = encryption or self.encryption
        return await self.connect(self._address[0], token or last, encryption=keys)

    async def newest_token(self) -> str:
        if self._address is None:
            raise conflict(ConflictReason.NOT_JOINED, "never joined")
        return self._address[1]

    async def encrypt(self, encryption: Encryption) -> None:
        self._require_connected()
        if self.encryption is None or not self.encryption.differs_in_keys(encryption):
            raise invalid("joined without encryption, or with another kind of it")
        self.encryption = encryption

    async def disconnect(self) -> None:
        if self.is_connected:
            self.lose(DisconnectReason.CLIENT_INITIATED)
        self.flush()

    async def aclose(self) -> None:
        await self.disconnect()

    async def publish(
        self, source: AudioInput | VideoInput, track_source: TrackSource = TrackSource.MICROPHONE
    ) -> TrackPublication:
        self._require_connected()
        if not self.snapshot.local.permission.allows(track_source):
            raise UTDStreamException("not granted", code=UTDErrorCode.FORBIDDEN)
        is_sound = track_source in _SOUND
        if isinstance(source.format, VideoFormat) is is_sound:
            raise invalid(f"what it is given cannot be published as {track_source.name.lower()}")
        await self.gate.wait()
        sid = f"TR_{next(_numbers)}"
        kind = TrackKind.AUDIO if is_sound else TrackKind.VIDEO
        name, is_encrypted = track_source.name.lower(), self.encryption is not None
        track = TrackPublication(sid, name, kind, track_source, is_encrypted=is_encrypted)
        self._tracks[sid] = track
        self.sources[sid] = source
        self.emit(ev.LocalTrackPublished(track))
        return track

    async def unpublish(self, track_sid: str) -> None:
        self._drop(track_sid)

    async def replace(self, track_sid: str, source: VideoInput) -> None:
        track = self._tracks.get(track_sid)
        if track is None:
            return
        if track.kind is not TrackKind.VIDEO:
            raise invalid(f"{track_sid} is a track of sound")
        if not isinstance(getattr(source, "format", None), VideoFormat):
            raise invalid("what it is given cannot be published")
        await self.gate.wait()
        self.sources[track_sid] = source

    async def set_muted(self, track_sid: str, muted: bool) -> None:
        track = self._tracks.get(track_sid)
        if track is None or track.is_muted is muted:
            return
        track = self._tracks[track_sid] = evolve(track, is_muted=muted)
        identity = self.snapshot.local.identity
        self.emit(ev.TrackMuted(identity, track) if muted else ev.TrackUnmuted(identity, track))

    async def set_subscribed(self, track_sid: str, subscribed: bool) -> None:
        self._require_connected()
        for who in self._seen().participants:
            for track in who.tracks:
                if track.sid == track_sid and track.is_subscribed is not subscribed:
                    kind = ev.TrackSubscribed if subscribed else ev.TrackUnsubscribed
                    self.emit(kind(who.identity, evolve(track, is_subscribed=subscribed)))

    async def hear(self, track_sid: str, sink: FramesSink) -> int:
        self._require_subscribed(track_sid, _SOUND)
        reception = next(_numbers)
        self._hearing[reception] = (track_sid, sink)
        return reception

    async def unhear(self, reception: int) -> None:
        self._hearing.pop(reception, None)

    async def route(
        self, track_sid: str, speaker: DeviceKey, *, name: str = "", gain: float = 1.0
    ) -> int:
        self._require_subscribed(track_sid, _SOUND)
        voice: Voice = living.find(speaker).voice(name, gain=gain)
        route = next(_numbers)
        self._routes[route] = (track_sid, voice)
        return route

    async def set_gain(self, route: int, gain: float) -> None:
        if route in self._routes:
            self._routes[route][1].gain = gain

    async def unroute(self, route: int) -> None:
        _, voice = self._routes.pop(route, ("", None))
        if voice is not None:
            voice.close()

    async def look(
        self, track_sid: str, sink: PicturesSink, *, max_height: int | None = None
    ) -> int:
        height = height_asked(max_height)
        self._require_subscribed(track_sid, _PICTURES)
        view = next(_numbers)
        self._views[view] = (track_sid, sink, height)
        return view

    async def unlook(self, view: int) -> None:
        self._views.pop(view, None)

    async def statistics(self) -> RoomStatistics:
        self._require_connected()
        sent = (TrackDirection.SENT, self.snapshot.local.identity, self.tracks)
        received = (
            (
                TrackDirection.RECEIVED,
                who.identity,
                [one for one in who.tracks if one.is_subscribed],
            )
            for who in self._seen().participants
        )
        tracks = (
            self.figures.get(one.sid, TrackStatistics(direction, identity, one.sid, one.source))
            for direction, identity, published in (sent, *received)
            for one in published
        )
        return RoomStatistics(tuple(tracks), self.round_trip)

    def _drop(self, track_sid: str) -> None:
        track = self._tracks.pop(track_sid, None)
        if track is not None:
            self.emit(ev.LocalTrackUnpublished(track))

    def _require_subscribed(self, track_sid: str, sources: Collection[TrackSource]) -> None:
        self._require_connected()
        tracks = (track for who in self._seen().participants for track in who.tracks)
        here = (one for one in tracks if one.is_subscribed and one.source in sources)
        if track_sid not in (track.sid for track in here):
            raise UTDStreamException(f"{track_sid} is not here", code=UTDErrorCode.NOT_FOUND)

    def _seen(self) -> Roster:
        for event in self._unseen:
            self._roster = roster.step(self._roster, event, is_reconnecting=False)
        self._unseen = []
        return self._roster

    def _require_connected(self) -> None:
        if not self.is_connected:
            raise conflict(ConflictReason.NOT_JOINED, "not connected")
