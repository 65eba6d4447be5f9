"""One connection: a LiveKit room from its join to its end, with its tracks and its events.

Events run `LiveKit -> RemovalHold -> Translator -> effects on tracks -> sink`, and what one turn of
the loop brought is one delivery.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, cast

from utd_rx.errors import invalid
from utd_rx.models import events as ev
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.devices import CameraChoice
from utd_rx.models.encryption import Encryption
from utd_rx.models.participant import TrackSource
from utd_rx.models.video import VideoInput, switched
from utd_rx.ports.room import EventSink
from utd_rx.rtc import native, unread
from utd_rx.rtc.connector import leave
from utd_rx.rtc.data_streams import DataStreams
from utd_rx.rtc.data_tracks import DataTrackEnds
from utd_rx.rtc.describing import Describer
from utd_rx.rtc.encrypting import Cryptors, state_of
from utd_rx.rtc.hold import DEPARTURE, Raw, RemovalHold
from utd_rx.rtc.local_track import Input
from utd_rx.rtc.methods import Methods
from utd_rx.rtc.outbox import Outbox
from utd_rx.rtc.publisher import Publisher
from utd_rx.rtc.receiver import Receiver
from utd_rx.rtc.statistics import Statistics
from utd_rx.rtc.translate import Translator
from utd_rx.rtc.wishes import Wishes

if TYPE_CHECKING:
    from livekit import rtc

logger: Final = logging.getLogger("utd_rx.rtc")
LOST: Final = "a room event was lost"


class LiveRoom:
    """A room that is made before joining; call `joined` when the join succeeded."""

    def __init__(
        self,
        sink: EventSink,
        *,
        adaptive_stream: bool = True,
        encryption: Encryption | None = None,
    ) -> None:
        self._sink = sink
        self._adaptive_stream = adaptive_stream
        self._encryption = encryption
        self._loop = asyncio.get_running_loop()
        self.room: rtc.Room = native.new_room()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._batch: list[ev.RoomEvent] = []
        self._is_held = True
        self._intents: dict[TrackSource, int] = {}
        self._switching: defaultdict[TrackSource, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._hold = RemovalHold(self._translate, self._loop)
        self._closing: asyncio.Task[None] | None = None

    def joined(self) -> ev.RoomSnapshot:
        """Start to listen; returns the room as it is, before any event."""
        is_encrypted = self._encryption is not None
        self.cryptors = Cryptors(self.room, self.ended, self._encryption)
        self.publisher = Publisher(
            self.room, self.ended, self._tell, self._local_unpublished, self.cryptors.published
        )
        self._translator = Translator(
            self.room, self.publisher.is_over, reads_encrypted=is_encrypted
        )
        self.receiver = Receiver(
            self.room, adaptive_stream=self._adaptive_stream, reads_encrypted=is_encrypted
        )
        self.outbox = Outbox(self.room, self.ended)
        self.statistics = Statistics(self.room, self.ended)
        self.describer = Describer(self.room, self.ended)
        self.wishes = Wishes(self.room)
        self.streams = DataStreams(self.room, self.ended, self.read)
        self.methods = Methods(self.room, self.ended, self.read)
        self.data_tracks = DataTrackEnds(self.room, self.ended)
        native.listen(self.room, self._hear)
        self._stop_missing = unread.listen(self._knows, self._miss)
        return self._translator.snapshot

    async def begin(self) -> None:
        """Finish what a join does not do; when that fails, or is given up, leave."""
        try:
            await self.cryptors.begin()
        except BaseException:
            self._close_soon()
            raise

    def release(self) -> None:
        """Deliver events from now on; those that happened since the snapshot come first."""
        self._is_held = False
        self.deliver()

    def deliver(self) -> None:
        if self._batch and not self._is_held:
            batch, self._batch = self._batch, []
            self._sink(tuple(batch))

    async def aclose(self) -> None:
        """Leave and close everything, bounded in time. Idempotent; when cancelled, it goes on."""
        await asyncio.shield(self._close_soon())
        self.deliver()

    def _close_soon(self) -> asyncio.Task[None]:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="utd_rx.rtc: close room")
        return self._closing

    async def _close(self) -> None:
        # Reverse order of opening: first what uses the room, then the room.
        self.wishes.close()
        self.cryptors.close()
        await self.data_tracks.aclose()
        await self.streams.aclose()
        await self.receiver.aclose()
        await self.publisher.aclose()
        await leave(self.room)
        self._finish(DisconnectReason.CLIENT_INITIATED)
        await self.publisher.wait_tasks()

    def _finish(self, reason: DisconnectReason) -> None:
        """The connection is over; whoever races against it is let go."""
        if not self.ended.done():
            self._hold.flush()
            self._tell(ev.Disconnected(reason))
            self._stop_missing()
            self.ended.set_result(None)

    # -- encryption -----------------------------------------------------------------------------

    async def encrypt(self, encryption: Encryption) -> None:
        """Change the keys to those, which were checked; see `UTDRoom.encrypt`."""
        await self.cryptors.use(encryption)
        self._pass(self._translator.keys_changed())

    def read(self, identity: str) -> None:
        """Something of theirs that is no data message was read."""
        self._pass(self._translator.message_read(identity))

    def _knows(self, identity: str) -> bool:
        return identity in self.room.remote_participants

    def _miss(self, identity: str) -> None:
        if not self.ended.done():
            has_key = self.cryptors.has_key_of(identity)
            self._pass(self._translator.message_missed(identity, has_key=has_key))

    # -- events ---------------------------------------------------------------------------------

    def _hear(self, name: str, args: tuple[Any, ...]) -> None:
        if not self.ended.done():
            try:
                if name == "track_subscribed":
                    # Frames go on at once, also while the news of it waits.
                    self.receiver.subscribed(args[0])
                elif name == "local_track_republished":
                    # Also one that is over, of which there is no news.
                    self.publisher.republished(args[1], args[0].sid)
                    self.cryptors.published(args[0].sid)
                elif name == "e2ee_state_changed" and args[0] is not None:
                    state = state_of(args[1])
                    self.cryptors.told(args[0].identity, state)
                    self.receiver.gates.told(args[0].identity, state)
                elif name == DEPARTURE:
                    self.receiver.gates.left(args[0].identity)
                elif name == "data_track_published":
                    self.data_tracks.published(args[0])
                elif name == "data_track_unpublished":
                    args = tuple(self.data_tracks.gone(args[0]))
            except Exception:
                logger.exception(LOST)
            self._hold.push(Raw(name, args))

    def _translate(self, raw: Raw) -> None:
        if raw.name == "disconnected":
            reason = DisconnectReason(raw.args[0])
            # A server may say so of a client that did not: a session would take it for its own end.
            is_a_lie = reason is DisconnectReason.CLIENT_INITIATED and self._closing is None
            self._finish(DisconnectReason.UNKNOWN if is_a_lie else reason)
            self._close_soon()
        else:
            try:  # one event that cannot be told takes no other with it
                self._pass(self._translator.translate(*raw))
            except Exception:
                logger.exception(LOST)

    def _pass(self, events: Iterable[ev.RoomEvent]) -> None:
        if not self.ended.done():
            for event in events:
                self._effect(event)
                self._tell(event)

    def _effect(self, event: ev.RoomEvent) -> None:
        """What an event means for this side's tracks."""
        match event:
            case ev.ParticipantPermissionsChanged(identity=identity, permission=permission):
                if identity == self.room.local_participant.identity:
                    self.publisher.enforce(permission)
            case (
                ev.ParticipantNameChanged(identity=identity)
                | ev.ParticipantMetadataChanged(identity=identity)
                | ev.ParticipantAttributesChanged(identity=identity)
            ):
                if identity == self.room.local_participant.identity:
                    self.describer.changed()
            case ev.Reconnecting():
                self.publisher.interrupted()
            case ev.Reconnected(snapshot=snapshot):
                self.publisher.reconnected(snapshot.local.permission)
                self.receiver.reconcile(snapshot)
            case ev.RoomMoved(snapshot=snapshot):
                self.publisher.enforce(snapshot.local.permission)
                self.receiver.reconcile(snapshot)
            case ev.TrackMuted(identity, track) | ev.TrackUnmuted(identity, track):
                if identity == self.room.local_participant.identity:
                    self.publisher.mute_changed(track.sid, track.is_muted)
            case ev.LocalTrackRepublished(track=track, previous_sid=previous):
                self.statistics.end(previous)
                self.statistics.begin(track.sid)
            case ev.LocalTrackPublished(track=track) | ev.TrackSubscribed(track=track):
                self.statistics.begin(track.sid)
            case ev.LocalTrackUnpublished(track=track):
                self.statistics.end(track.sid)
            case ev.TrackUnsubscribed(track=track) | ev.TrackUnpublished(track=track):
                self.receiver.gone(track.sid)
                self.statistics.end(track.sid)

    def set_muted(self, sid: str, muted: bool) -> None:
        """Mute or unmute a local track and tell it."""
        track = self.publisher.set_muted(sid, muted)
        if track is not None:
            self._pass(self._translator.local_mute_changed(track))

    async def switch(self, track_source: TrackSource, enabled: bool, source: Input | None) -> None:
        """Publish or unmute `track_source`, or mute it, a screen unpublish; see
        `UTDRoom.set_microphone`."""
        if enabled:
            self.publisher.check(track_source)
        intent = self._intents[track_source] = self._intents.get(track_source, 0) + 1
        async with self._switching[track_source]:
            if intent != self._intents[track_source]:
                return
            track = self.publisher.find(track_source)
            if track is not None and not enabled and track_source is TrackSource.SCREEN_SHARE:
                await self.publisher.unpublish(track.sid)
            elif track is not None and (not enabled or source is None or source is track.source):
                self.set_muted(track.sid, not enabled)
            elif enabled and source is None:
                raise invalid(f"No {track_source.name.lower()} is published; pass its source.")
            elif enabled and source is not None:
                if track is not None:
                    await self.publisher.unpublish(track.sid)
                await self.publisher.publish(source, track_source)

    async def switch_camera(self, to: VideoInput | CameraChoice) -> VideoInput:
        """Feed the camera's track from another one; see `UTDRoom.switch_camera`."""
        async with self._switching[TrackSource.CAMERA]:
            track = self.publisher.find(TrackSource.CAMERA)
            if track is None:
                raise invalid("No camera is published: publish one with set_camera(True, …).")
            other = await switched(cast("VideoInput", track.source), to)
            await self.publisher.replace(track.sid, other)
            return other

    def _local_unpublished(self, sid: str) -> None:
        self._pass(self._translator.local_unpublished(sid))

    def _tell(self, event: ev.RoomEvent) -> None:
        if self.ended.done():
            return
        if not self._batch:
            self._loop.call_soon(self.deliver)
        self._batch.append(event)
