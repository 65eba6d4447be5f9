"""A room: its participants, who hears of what and when, and who receives which track.

News of a participant that publishes nothing is collected; a publisher's and an urgent change
(permission, metadata) go out at once (docs/livekit.md, "News of the silent"), as long as they are
few: then what is newest goes out when there is room again (`SfuParticipant.news`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from google.protobuf.message import Message
from livekit.protocol import models, room, rtc

from utd_rx.engine.sfu import data_messages, quality, tokens
from utd_rx.engine.sfu.answers import enabled_codecs
from utd_rx.engine.sfu.data_tracks import DataTrack
from utd_rx.engine.sfu.participant_ports import SfuContext
from utd_rx.engine.sfu.publications import Publication, new_sid
from utd_rx.engine.sfu.sfu_participant import Reason, SfuParticipant, State
from utd_rx.engine.sfu.speakers import UPDATE_INTERVAL, changed_levels

_COUNTS_INTERVAL: Final = 5.0
# What telling a room of somebody costs besides the bytes, in bytes.
_NEWS_OVERHEAD: Final = 1024

T = TypeVar("T")


class RoomFullError(Exception):
    """`max_participants` is reached."""


class SfuRoom:
    """Implements `sfu_participant.ParticipantOwner`."""

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
        self._pending: dict[str, tuple[float, models.ParticipantInfo]] = {}  # with when it is due
        self._flush_at = now + context.options.silent_update_interval
        self._levels: dict[str, float] = {}
        self._qualities: dict[str, rtc.ConnectionQualityInfo] = {}
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

    def add(
        self,
        claims: tokens.AccessClaims,
        request: rtc.JoinRequest,
        hosts: tuple[str, ...],
        now: float,
        *,
        has_two: bool = False,
    ) -> SfuParticipant:
        """Admit a participant, or raise `RoomFullError`; an older one of that identity ends."""
        old = self._participants.get(claims.identity)
        if old is None and 0 < self._max_participants <= len(self._participants):
            raise RoomFullError
        participant = SfuParticipant(
            self, self.context, claims, request, hosts, now, has_two=has_two
        )
        if old is not None:
            old.close(Reason.DUPLICATE_IDENTITY)
        self._participants[claims.identity] = participant
        return participant

    def on_joined(self, participant: SfuParticipant) -> None:
        """Its JoinResponse went out: others may hear of it."""
        participant.state = State.JOINED
        self.publish_info(participant, skip_self=True)

    def on_active(self, participant: SfuParticipant) -> None:
        self.publish_info(participant, skip_self=True)
        self.notify("participant_joined", participant=participant.info())
        participant.subscriptions.start(self.context.now())

    def on_closed(self, participant: SfuParticipant, *, was_active: bool) -> None:
        """It closed; its publications are still listed in it."""
        if self._participants.get(participant.identity) is participant:
            del self._participants[participant.identity]
        for publication in participant.publications:
            if publication.is_live:
                self._end_publication(participant, publication)
        for track in participant.data_tracks:
            self.on_data_unpublished(track)
        self._levels.pop(participant.sid, None)
        self.publish_info(participant, skip_self=True)
        event = "participant_left" if was_active else "participant_connection_aborted"
        self.notify(event, participant=participant.info())
        if not self._participants:
            self._left_at = self.context.now()

    def is_expired(self, now: float) -> bool:
        """Whether nobody has been here for longer than the room's timeouts."""
        end = self._created_at + self._empty_timeout
        if self._left_at is not None:
            end = self._left_at + self._departure_timeout
        return not self._participants and now >= end

    def close(self, reason: models.DisconnectReason) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        for participant in self:
            participant.close(reason)
        self.notify("room_finished")

    def publish_info(
        self, participant: SfuParticipant, *, is_urgent: bool = False, skip_self: bool = False
    ) -> None:
        """Something in its `info` changed: tell the room, at once or with the next batch."""
        participant.version += 1  # clients ignore an update with an older version
        info, now = participant.info(), self.context.now()
        due: list[models.ParticipantInfo] = []
        if not participant.permission.hidden:
            _, pending = self._pending.pop(info.identity, (now, None))
            wait = participant.news.wait(now)
            if pending is not None and pending.sid != info.sid:
                # Another session of the same identity: its end and the news go together.
                pending.state = State.DISCONNECTED
                due = [pending, info]
            elif not (is_urgent or participant.is_publisher):
                at = max(self._flush_at, now + wait) if wait else self._flush_at
                self._pending[info.identity] = at, info
            elif wait:
                self._pending[info.identity] = now + wait, info
            else:
                due = [info]
        self._broadcast_infos(due)
        if not skip_self and info not in due:
            participant.send(update=rtc.ParticipantUpdate(participants=[info]))

    def _broadcast_infos(self, infos: list[models.ParticipantInfo]) -> None:
        if not infos:
            return
        now = self.context.now()
        successors: list[SfuParticipant] = []
        for info in infos:
            about = self._participants.get(info.identity)
            if about is None:
                continue
            if about.sid == info.sid:
                about.news.spend(_NEWS_OVERHEAD + info.ByteSize(), now)
            else:
                successors.append(about)
        # Of one, the newest is enough; who reads slowly is not sent the ones before.
        only = infos[0].sid if len(infos) == 1 else ""
        self.broadcast(only, besides=successors, update=rtc.ParticipantUpdate(participants=infos))
        # A client looks at identities alone: what the session before it was allowed it would take
        # for its own, and what it is allowed itself, told next, for a grant that is taken away.
        for one in successors:
            if one.state in (State.JOINED, State.ACTIVE):
                rest = [it for it in infos if it.identity != one.identity or it.sid == one.sid]
                if rest:
                    one.send(update=rtc.ParticipantUpdate(participants=rest))

    def broadcast(
        self, about: str = "", *, besides: Sequence[SfuParticipant] = (), **message: Any
    ) -> None:
        """Send one field of a SignalResponse to everybody who has joined, `besides` some."""
        encoded = rtc.SignalResponse(**message).SerializeToString()
        for participant in self._participants.values():
            if participant.state in (State.JOINED, State.ACTIVE) and participant not in besides:
                participant.send_encoded(encoded, about)

    def others(self, participant: SfuParticipant) -> list[models.ParticipantInfo]:
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

    def _send_counts(self) -> None:
        if self._count() != self._counts:
            self._send_room_update()

    def _send_room_update(self) -> None:
        self._counts = self._count()
        self.broadcast(room_update=rtc.RoomUpdate(room=self.info()))

    def notify(self, event: str, **about: Message) -> None:
        self.context.webhooks.notify(event, room=self.info(), **about)

    def on_data(self, sender: SfuParticipant, label: str, message: bytes) -> Iterator[None]:
        return data_messages.deliver_from_client(self, sender, label, message)

    def on_published(self, participant: SfuParticipant, live: Sequence[Publication]) -> None:
        self.publish_info(participant, skip_self=True)
        for publication in live:
            self._notify_track("track_published", participant, publication)
            for subscriber in self:
                self._reconcile_one(subscriber, participant, publication)
        self._send_counts()

    def on_unpublished(self, participant: SfuParticipant, gone: Sequence[Publication]) -> None:
        """Live tracks are gone; their participant stays."""
        for publication in gone:
            self._end_publication(participant, publication)
        self.publish_info(participant, is_urgent=True, skip_self=True)

    def _end_publication(self, participant: SfuParticipant, publication: Publication) -> None:
        for subscriber in self:
            subscriber.subscriptions.forget(publication.sid)
            subscriber.wishes.pop(publication.sid, None)
            subscriber.blocked.discard(publication.sid)
        self._notify_track("track_unpublished", participant, publication)

    def _notify_track(
        self, event: str, participant: SfuParticipant, publication: Publication
    ) -> None:
        # The real server says no more of who publishes it; a track of 60 would name 60 otherwise.
        who = models.ParticipantInfo(
            sid=participant.sid, identity=participant.identity, name=participant.name
        )
        self.notify(event, participant=who, track=publication.info)

    def on_data_unpublished(self, track: DataTrack) -> None:
        for subscriber in self:
            subscriber.data_receptions.forget(track.info.sid)

    def reconcile(self, participant: SfuParticipant) -> None:
        """Make `participant` receive exactly what it shall, and others of it what they shall."""
        for other in self:
            for publication in other.publications:
                self._reconcile_one(participant, other, publication)
            for publication in participant.publications:
                self._reconcile_one(other, participant, publication)
            self._reconcile_data(participant, other)
            self._reconcile_data(other, participant)

    @staticmethod
    def _reconcile_data(subscriber: SfuParticipant, publisher: SfuParticipant) -> None:
        may_subscribe = subscriber.permission.can_subscribe and not publisher.permission.hidden
        for track in publisher.data_tracks if subscriber is not publisher else ():
            who = subscriber.sid, subscriber.identity
            is_allowed = may_subscribe and publisher.audience.may_receive(*who, track.info.sid)
            subscriber.data_receptions.reconcile(track, is_allowed=is_allowed)

    def _reconcile_one(
        self, subscriber: SfuParticipant, publisher: SfuParticipant, publication: Publication
    ) -> None:
        if subscriber is publisher or not publication.is_live or not subscriber.has_offered:
            return
        if publisher.permission.hidden:  # nobody knows whose track it would be
            return
        sid = publication.sid
        is_wished = subscriber.wishes.get(sid, subscriber.auto_subscribe)
        is_wanted = is_wished and subscriber.permission.can_subscribe
        is_allowed = publisher.audience.may_receive(subscriber.sid, subscriber.identity, sid)
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

    def tick(self, now: float) -> None:
        for participant in self:
            participant.tick(now)
        if now >= self._flush_at:
            self._flush_at = now + self.context.options.silent_update_interval
        self._broadcast_pending(now)
        if now >= self._speakers_at:
            self._speakers_at = now + UPDATE_INTERVAL
            self._update_speakers(now)
        if now >= self._qualities_at:
            self._qualities_at = now + quality.UPDATE_INTERVAL
            self._update_qualities(now)
        if now >= self._counts_at:
            self._counts_at = now + _COUNTS_INTERVAL
            self._send_counts()

    def _broadcast_pending(self, now: float) -> None:
        """Tell what is due, of each participant at its own time; the silent's in one message."""
        due = [info for at, info in self._pending.values() if at <= now]
        for info in due:
            del self._pending[info.identity]
            if info.is_publisher:
                self._broadcast_infos([info])
        self._broadcast_infos([info for info in due if not info.is_publisher])

    def _update_qualities(self, now: float) -> None:
        infos = {
            one.sid: quality.rate(one.sid, one.publications.loss(), one.connections.silence(now))
            for one in self._participants.values()
            if one.is_active
        }
        before, self._qualities = self._qualities, infos
        if any(before.get(sid) != info for sid, info in infos.items()):
            for receiver, updates in self._who_hears_of(infos):
                receiver.send(connection_quality=rtc.ConnectionQualityUpdate(updates=updates))

    def _update_speakers(self, now: float) -> None:
        levels = {one.sid: one.publications.level(now) for one in self._participants.values()}
        before, self._levels = self._levels, {sid: one for sid, one in levels.items() if one > 0}
        # livekit-server 1.13.5, too, tells nobody who stops receiving that the sound is over.
        infos = {
            sid: models.SpeakerInfo(sid=sid, level=level, active=level > 0)
            for sid, level in changed_levels(before, self._levels).items()
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
