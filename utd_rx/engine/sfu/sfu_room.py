"""A room: its participants, who hears of what and when, and who receives which track.

News of a participant that publishes nothing is collected for `silent_update_interval`, as on
livekit-server; a publisher's news and an urgent change (permission, metadata) go out at once and
take what was collected about the same participant along (docs/livekit.md, "News of the silent").
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

from livekit.protocol import models, room, rtc

from utd_rx.engine.sfu import data_messages, quality, tokens
from utd_rx.engine.sfu.answers import enabled_codecs
from utd_rx.engine.sfu.publications import Publication, new_sid
from utd_rx.engine.sfu.sfu_participant import Reason, SfuContext, SfuParticipant, State
from utd_rx.engine.sfu.speakers import UPDATE_INTERVAL, changed_levels

_COUNTS_INTERVAL: Final = 5.0

T = TypeVar("T")


class RoomFullError(Exception):
    """`max_participants` is reached."""


class SfuRoom:
    """See the module. Implements `sfu_participant.ParticipantOwner`."""

    def __init__(self, name: str, context: SfuContext, now: float) -> None:
        self.name = name
        self.sid = new_sid("RM")
        self.context = context
        self.metadata = ""
        self.is_closed = False
        self._max_participants = 0
        self._empty_timeout = context.options.empty_timeout
        self._departure_timeout = context.options.departure_timeout
        self._created_at = now
        self._left_at: float | None = None  # when the last participant went
        self._created_at_ms = int(time.time() * 1000)
        self._participants: dict[str, SfuParticipant] = {}
        self._pending: dict[str, models.ParticipantInfo] = {}
        self._flush_at = now + context.options.silent_update_interval
        self._levels: dict[str, float] = {}
        self._qualities: dict[str, models.ConnectionQuality] = {}
        self._qualities_at = now + quality.UPDATE_INTERVAL
        self._speakers_at = now + UPDATE_INTERVAL
        self._counts: tuple[int, int] = (0, 0)
        self._counts_at = now + _COUNTS_INTERVAL

    def __iter__(self) -> Iterator[SfuParticipant]:
        return iter(tuple(self._participants.values()))

    def get(self, identity: str) -> SfuParticipant | None:
        return self._participants.get(identity)

    def configure(self, request: room.CreateRoomRequest) -> None:
        """Apply what the CreateRoom call that makes it sets; 0 and empty keep."""
        self._max_participants = request.max_participants or self._max_participants
        self.metadata = request.metadata or self.metadata
        self._departure_timeout = request.departure_timeout or self._departure_timeout
        self._empty_timeout = request.empty_timeout or self._empty_timeout

    def info(self) -> models.Room:
        participants, publishers = self._count()
        return models.Room(
            sid=self.sid,
            name=self.name,
            empty_timeout=int(self._empty_timeout),
            departure_timeout=int(self._departure_timeout),
            max_participants=self._max_participants,
            creation_time=self._created_at_ms // 1000,
            creation_time_ms=self._created_at_ms,
            enabled_codecs=enabled_codecs(),
            metadata=self.metadata,
            num_participants=participants,
            num_publishers=publishers,
        )

    def _count(self) -> tuple[int, int]:
        everybody = self._participants.values()
        return len(everybody), sum(one.is_publisher for one in everybody)

    # -- coming and going ---------------------------------------------------------------------

    def add(
        self, claims: tokens.AccessClaims, request: rtc.JoinRequest, host: str, now: float
    ) -> SfuParticipant:
        """Admit a participant, or raise `RoomFullError`; an older one of that identity ends."""
        old = self._participants.get(claims.identity)
        if old is None and 0 < self._max_participants <= len(self._participants):
            raise RoomFullError
        participant = SfuParticipant(self, self.context, claims, request, host, now)
        if old is not None:
            old.close(Reason.DUPLICATE_IDENTITY)
        self._participants[claims.identity] = participant
        return participant

    def on_joined(self, participant: SfuParticipant) -> None:
        """Its JoinResponse went out: others may hear of it."""
        participant.state = State.JOINED
        participant.touch()
        self.publish_info(participant, skip_self=True)

    def on_active(self, participant: SfuParticipant) -> None:
        self.publish_info(participant, skip_self=True)
        self.notify("participant_joined", participant)
        participant.subscriptions.request_keyframes(self.context.now())

    def on_closed(self, participant: SfuParticipant, *, was_active: bool) -> None:
        """It closed; its publications are still listed in it."""
        if self._participants.get(participant.identity) is participant:
            del self._participants[participant.identity]
        for publication in participant.publications:
            if publication.is_live:
                self._end_publication(participant, publication)
        self._levels.pop(participant.sid, None)
        self.publish_info(participant, skip_self=True)
        event = "participant_left" if was_active else "participant_connection_aborted"
        self.notify(event, participant)
        if not self._participants:
            self._left_at = self.context.now()

    def is_expired(self, now: float) -> bool:
        """Whether nobody has been here for longer than the room's timeouts."""
        if self._participants:
            return False
        if self._left_at is None:
            return now >= self._created_at + self._empty_timeout
        return now >= self._left_at + self._departure_timeout

    def close(self, reason: models.DisconnectReason) -> None:
        """Send everybody away. Idempotent."""
        if self.is_closed:
            return
        self.is_closed = True
        for participant in self:
            participant.close(reason)
        self.notify("room_finished")

    # -- news ---------------------------------------------------------------------------------

    def publish_info(
        self, participant: SfuParticipant, *, is_urgent: bool = False, skip_self: bool = False
    ) -> None:
        """Tell the room what `participant` is now, at once or with the next batch."""
        info = participant.info()
        due: list[models.ParticipantInfo] = []
        if not participant.permission.hidden:
            due = self._collect(info, is_urgent or participant.is_publisher)
            self._broadcast_infos(due)
        if not skip_self and info not in due:
            participant.send(update=rtc.ParticipantUpdate(participants=[info]))

    def _collect(
        self, info: models.ParticipantInfo, is_immediate: bool
    ) -> list[models.ParticipantInfo]:
        due: list[models.ParticipantInfo] = []
        pending = self._pending.pop(info.identity, None)
        if pending is not None and pending.sid != info.sid:
            # Another session of the same identity: its end and the news go together.
            pending.state = State.DISCONNECTED
            due.append(pending)
            is_immediate = True
        if is_immediate:
            due.append(info)
        else:
            self._pending[info.identity] = info
        return due

    def _broadcast_infos(self, infos: list[models.ParticipantInfo]) -> None:
        if infos:
            self.broadcast(update=rtc.ParticipantUpdate(participants=infos))

    def broadcast(self, **message: Any) -> None:
        """Send one field of a SignalResponse to everybody who has joined."""
        encoded = rtc.SignalResponse(**message).SerializeToString()
        for participant in self._participants.values():
            if participant.state in (State.JOINED, State.ACTIVE):
                participant.send_encoded(encoded)

    def others(self, participant: SfuParticipant) -> list[models.ParticipantInfo]:
        """The other visible participants, for a join or a resume."""
        return [
            one.info()
            for one in self._participants.values()
            if one is not participant
            and one.state in (State.JOINED, State.ACTIVE)
            and not one.permission.hidden
        ]

    def set_metadata(self, metadata: str) -> None:
        self.metadata = metadata
        self._send_room_update()

    def _send_room_update(self) -> None:
        self._counts = self._count()
        self.broadcast(room_update=rtc.RoomUpdate(room=self.info()))

    def notify(
        self,
        event: str,
        participant: SfuParticipant | None = None,
        track: models.TrackInfo | None = None,
    ) -> None:
        info = participant.info() if participant is not None else None
        self.context.webhooks.notify(event, self.info(), info, track)

    def on_data(self, sender: SfuParticipant, label: str, message: bytes) -> None:
        data_messages.deliver_from_client(self, sender, label, message)

    # -- tracks -------------------------------------------------------------------------------

    def on_published(self, participant: SfuParticipant, publication: Publication) -> None:
        """A track went live."""
        participant.touch()
        self.publish_info(participant, skip_self=True)
        self.notify("track_published", participant, publication.info)
        for subscriber in self:
            self._reconcile_one(subscriber, participant, publication)
        if self._count() != self._counts:
            self._send_room_update()

    def on_unpublished(self, participant: SfuParticipant, publication: Publication) -> None:
        """A live track is gone; its participant stays."""
        self._end_publication(participant, publication)
        participant.touch()
        self.publish_info(participant, is_urgent=True, skip_self=True)

    def _end_publication(self, participant: SfuParticipant, publication: Publication) -> None:
        for subscriber in self:
            subscriber.subscriptions.remove(publication.sid)
            subscriber.wishes.pop(publication.sid, None)
            subscriber.blocked.discard(publication.sid)
        self.notify("track_unpublished", participant, publication.info)

    def reconcile(self, participant: SfuParticipant) -> None:
        """Make `participant` receive exactly what it shall, and others of it what they shall."""
        for other in self:
            for publication in other.publications:
                self._reconcile_one(participant, other, publication)
            for publication in participant.publications:
                self._reconcile_one(other, participant, publication)

    def _reconcile_one(
        self, subscriber: SfuParticipant, publisher: SfuParticipant, publication: Publication
    ) -> None:
        if subscriber is publisher or not publication.is_live or not subscriber.has_offered:
            return
        if publisher.permission.hidden:  # nobody knows whose track it would be
            return
        sid = publication.sid
        is_wished = subscriber.wishes.get(sid, subscriber.settings.auto_subscribe)
        is_wanted = is_wished and subscriber.permission.can_subscribe
        is_allowed = _may_receive(publisher, subscriber, sid)
        if is_wanted and is_allowed == (sid in subscriber.blocked):
            (subscriber.blocked.discard if is_allowed else subscriber.blocked.add)(sid)
            subscriber.send(
                subscription_permission_update=rtc.SubscriptionPermissionUpdate(
                    participant_sid=publisher.sid, track_sid=sid, allowed=is_allowed
                )
            )
        if is_wanted and is_allowed:
            subscriber.subscriptions.add(publication)
        else:
            subscriber.subscriptions.remove(sid)

    # -- time ---------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        for participant in self:
            participant.tick(now)
        if now >= self._flush_at:
            self._flush_at = now + self.context.options.silent_update_interval
            infos, self._pending = list(self._pending.values()), {}
            self._broadcast_infos(infos)
        if now >= self._speakers_at:
            self._speakers_at = now + UPDATE_INTERVAL
            self._update_speakers(now)
        if now >= self._qualities_at:
            self._qualities_at = now + quality.UPDATE_INTERVAL
            self._update_qualities(now)
        if now >= self._counts_at:
            self._counts_at = now + _COUNTS_INTERVAL
            if self._count() != self._counts:
                self._send_room_update()

    def _update_qualities(self, now: float) -> None:
        infos = {
            one.sid: quality.rate(one.sid, one.publications.loss(), one.transport.silence(now))
            for one in self._participants.values()
            if one.is_active
        }
        qualities = {sid: info.quality for sid, info in infos.items()}
        before, self._qualities = self._qualities, qualities
        if any(before.get(sid) != value for sid, value in qualities.items()):
            for receiver, updates in self._who_hears_of(infos):
                receiver.send(connection_quality=rtc.ConnectionQualityUpdate(updates=updates))

    def _update_speakers(self, now: float) -> None:
        levels = {one.sid: one.publications.level(now) for one in self._participants.values()}
        audible = {sid: level for sid, level in levels.items() if level > 0}
        changed = changed_levels(self._levels, audible)
        self._levels = audible
        # livekit-server 1.13.5, too, tells nobody who stops receiving that the sound is over.
        infos = {
            sid: models.SpeakerInfo(sid=sid, level=level, active=level > 0)
            for sid, level in changed.items()
        }
        for receiver, speakers in self._who_hears_of(infos):
            receiver.send(speakers_changed=rtc.SpeakersChanged(speakers=speakers))

    def _who_hears_of(self, news: Mapping[str, T]) -> Iterator[tuple[SfuParticipant, list[T]]]:
        """What of `news`, by sid, is about each participant itself or whom it receives."""
        for receiver in self:
            receives = receiver.subscriptions.receives_from
            due = [one for sid, one in news.items() if sid == receiver.sid or receives(sid)]
            if due:
                yield receiver, due


def _may_receive(publisher: SfuParticipant, subscriber: SfuParticipant, track_sid: str) -> bool:
    permission = publisher.subscription_permission
    if permission.all_participants:
        return True
    return any(
        one.all_tracks or track_sid in one.track_sids
        for one in permission.track_permissions
        if subscriber.sid == one.participant_sid or subscriber.identity == one.participant_identity
    )
