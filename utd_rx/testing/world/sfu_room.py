"""A room of the virtual SFU: who is in it, who hears of what, and who receives which track.

What it does and in which order is livekit-server's (docs/livekit.md, "What the code relies on" and
"What a client expects of an SFU"), as far as a client can see it. What goes to clients are room
events, as `UTDRoom` makes them of LiveKit's; what the engine is told are `MediaReport`s.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, Protocol

from attrs import define, evolve, field, frozen

from utd_rx.audio.levels import level_dbfs
from utd_rx.engine.media import MediaParticipant, MediaRoom, MediaTrack
from utd_rx.engine.media_facts import MediaReport
from utd_rx.engine.rules.roles import Grant
from utd_rx.engine.sfu.speakers import UPDATE_INTERVAL, SpeechMeter
from utd_rx.models import events as ev
from utd_rx.models.audio import AudioFrame
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.participant import (
    LocalParticipant,
    ParticipantPermission,
    RemoteParticipant,
    TrackPublication,
)
from utd_rx.models.video import VideoFrame
from utd_rx.ports.data import DataMessage
from utd_rx.testing.world.network import Lane, Link, LinkNews
from utd_rx.testing.world.tokens import RoomTicket

SILENCE: Final = 20.0
"""Seconds after which a client that is not heard of is gone (docs/livekit.md, "Resuming")."""


class SfuClient(Protocol):
    """The client at the other end; each method returns at once and never raises."""

    def hear(self, events: Iterable[ev.RoomEvent]) -> None:
        """Signalling: the server says what happened in the room."""

    def take_ticket(self, ticket: RoomTicket) -> None:
        """Signalling: the server gives a newer token."""

    def take_data(self, message: ev.DataReceived) -> None:
        """A data message arrived; `sender` is who sent it, whoever knows them."""

    def take_media(self, track_sid: str, frame: AudioFrame | VideoFrame) -> None:
        """A frame of a subscribed track arrived."""


def permission_of(grant: Grant) -> ParticipantPermission:
    """Return what the SFU lets somebody do of whom the engine says so."""
    return ParticipantPermission(
        can_subscribe=grant.can_subscribe,
        can_publish=grant.can_publish,
        can_publish_data=grant.can_publish_data,
        can_publish_sources=grant.sources,
    )


def grant_of(permission: ParticipantPermission) -> Grant:
    """Return a permission in the engine's words."""
    return Grant(
        can_publish=permission.can_publish,
        can_subscribe=permission.can_subscribe,
        can_publish_data=permission.can_publish_data,
        sources=permission.can_publish_sources,
    )


@frozen
class Track:
    """A published track, as the server has it."""

    publication: TrackPublication
    width: int = 0
    height: int = 0

    @property
    def media(self) -> MediaTrack:
        """What the engine is told of it."""
        it = self.publication
        kind = it.kind.name.lower()
        return MediaTrack(it.sid, kind, it.source, it.is_muted, self.width, self.height)


@define(eq=False)
class VirtualParticipant:
    """One connection to a room, as the server has it; `is_told` says that others know of it."""

    ticket: RoomTicket
    sid: str
    client: SfuClient
    link: Link
    auto_subscribe: bool
    joined_at: float
    permission: ParticipantPermission
    metadata: str
    tracks: dict[str, Track] = field(factory=dict)
    receives: dict[str, int] = field(factory=dict)  # how many frames a track had had before
    speakers: tuple[str, ...] = ()
    is_told: bool = False
    is_over: bool = False
    down: Lane | None = None  # None while the client's signal connection is broken
    data: Lane = field(init=False)
    media: Lane = field(init=False)
    silence: asyncio.TimerHandle | None = None
    unwatch: Callable[[], None] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.data = Lane(self.link, is_data=True)
        self.media = Lane(self.link, is_data=True, keeps=False)
        self.down = Lane(self.link)

    @property
    def identity(self) -> str:
        return self.ticket.identity

    def tell(self, *events: ev.RoomEvent) -> None:
        """Say what happened; dropped between connections: a resume tells all."""
        if self.down is not None:
            self.down.send(partial(self.client.hear, events))

    def info(self) -> MediaParticipant:
        """What the engine is told of it."""
        return MediaParticipant(
            identity=self.identity,
            sid=self.sid,
            name=self.ticket.name,
            joined_at=self.joined_at,
            metadata=self.metadata,
            attributes=self.ticket.attributes,
            grant=grant_of(self.permission),
            tracks=tuple(track.media for track in self.tracks.values()),
        )

    def seen_by(self, other: VirtualParticipant | None) -> RemoteParticipant:
        """What is told of it to `other`, None for what nobody receives."""
        receives = {} if other is None else other.receives
        return RemoteParticipant(
            self.identity,
            sid=self.sid,
            name=self.ticket.name,
            metadata=self.metadata,
            attributes=self.ticket.attributes,
            permission=self.permission,
            tracks=tuple(
                evolve(track.publication, is_subscribed=sid in receives)
                for sid, track in self.tracks.items()
            ),
        )


class VirtualRoom:
    """One room; `report` takes what the engine is told, `wall` is Unix time in seconds, and news of
    who publishes nothing is collected for `silent_news` seconds."""

    def __init__(
        self,
        name: str,
        sid: str,
        *,
        new_sid: Callable[[str], str],
        report: Callable[[MediaReport], None],
        on_empty: Callable[[], None],
        wall: Callable[[], float],
        silent_news: float,
        metadata: str = "",
        most: int = 0,
    ) -> None:
        self.name, self.sid, self.metadata = name, sid, metadata
        self.most = most
        self.created_at = wall()
        self.people: dict[str, VirtualParticipant] = {}
        self._new_sid, self._report, self._on_empty, self._wall = new_sid, report, on_empty, wall
        self._silent_news = silent_news
        self._pending: dict[str, VirtualParticipant] = {}
        self._flushing: asyncio.TimerHandle | None = None
        self.forwarded = Counter[str]()  # frames by track
        self._ears: dict[str, set[SfuClient]] = {}  # who looks at or listens to a track now
        self._meters: dict[str, tuple[VirtualParticipant, SpeechMeter]] = {}
        self._metering: asyncio.TimerHandle | None = None

    @property
    def is_full(self) -> bool:
        return 0 < self.most <= len(self.people)

    def info(self) -> MediaRoom:
        """What the engine is told of it."""
        return MediaRoom(
            self.name, self.sid, len(self.people), self.most, self.created_at, self.metadata
        )

    # -- who is here ----------------------------------------------------------------------------

    def join(
        self, ticket: RoomTicket, client: SfuClient, link: Link, *, auto_subscribe: bool
    ) -> VirtualParticipant:
        """Let somebody in; an older connection of that identity ends."""
        old = self.people.get(ticket.identity)
        new = VirtualParticipant(
            ticket,
            self._new_sid("PA"),
            client,
            link,
            auto_subscribe,
            self._wall(),
            permission_of(ticket.grant),
            ticket.metadata,
        )
        new.unwatch = link.watch(partial(self._mind, new))
        if old is not None:
            self.leave(old, DisconnectReason.DUPLICATE_IDENTITY)
        self.people[ticket.identity] = new
        self.report("participant_joined", new)
        self._announce(new, is_urgent=old is not None)
        for other in self._others(new):
            for sid in other.tracks:
                self._reconcile(new, other, sid)
        return new

    def leave(self, who: VirtualParticipant, reason: DisconnectReason) -> None:
        """End a connection, by whomever; idempotent."""
        if who.is_over:
            return
        who.is_over = True
        who.unwatch()
        if who.silence is not None:
            who.silence.cancel()
        who.tell(ev.Disconnected(reason))
        if self.people.get(who.identity) is who:
            del self.people[who.identity]
        for sid in tuple(who.tracks):
            self.unpublish(who, sid)
        self._pending.pop(who.identity, None)
        if who.is_told:
            self._broadcast(None, ev.ParticipantDisconnected(who.identity, reason))
        self.report("participant_left", who, reason=reason)
        if not self.people:
            self._on_empty()

    def resume(self, who: VirtualParticipant) -> None:
        """Use a new signal connection from now on."""
        if who.down is not None:
            who.down.close()
        who.down = Lane(who.link)

    def detach(self, who: VirtualParticipant) -> None:
        """The client's signal connection broke; media and data go on."""
        if who.down is not None:
            who.down.close()
            who.down = None

    def snapshot(self, who: VirtualParticipant) -> ev.RoomSnapshot:
        """Return the room as `who` sees it."""
        me = who.seen_by(None)
        return ev.RoomSnapshot(
            self.name,
            LocalParticipant(
                me.identity, me.sid, me.name, me.metadata, me.attributes, me.permission, me.tracks
            ),
            sid=self.sid,
            metadata=self.metadata,
            remotes=tuple(other.seen_by(who) for other in self._others(who)),
        )

    def close(self, reason: DisconnectReason) -> None:
        """End the room for everybody."""
        for who in tuple(self.people.values()):
            self.leave(who, reason)
        for timer in (self._flushing, self._metering):
            if timer is not None:
                timer.cancel()

    def _mind(self, who: VirtualParticipant, news: LinkNews) -> None:
        """Notice that a client is not heard of any more, as late as a server does."""
        if news in (LinkNews.CLOSED, LinkNews.CUT) and who.silence is None:
            reason = DisconnectReason.CONNECTION_TIMEOUT
            loop = asyncio.get_running_loop()
            who.silence = loop.call_later(SILENCE, self.leave, who, reason)
        elif news is LinkNews.OPENED and who.silence is not None:
            who.silence.cancel()
            who.silence = None

    # -- what is told ---------------------------------------------------------------------------

    def report(
        self,
        event: str,
        who: VirtualParticipant | None = None,
        *,
        reason: DisconnectReason = DisconnectReason.UNKNOWN,
        track: Track | None = None,
    ) -> None:
        """Tell the engine."""
        info = None if who is None else who.info()
        told = None if track is None else track.media
        self._report(MediaReport(event, self.name, self.sid, info, reason, told))

    def set_room_metadata(self, metadata: str) -> None:
        """Change the room's metadata."""
        if metadata != self.metadata:
            self.metadata = metadata
            self._broadcast(None, ev.RoomMetadataChanged(metadata))

    def set_metadata(self, who: VirtualParticipant, metadata: str) -> None:
        """Change somebody's metadata; an empty one keeps it, as LiveKit has it."""
        if metadata and metadata != who.metadata:
            who.metadata = metadata
            self._announce(who, is_urgent=True)
            self._broadcast(None, ev.ParticipantMetadataChanged(who.identity, metadata))

    def set_permission(self, who: VirtualParticipant, permission: ParticipantPermission) -> None:
        """Change what somebody may; tracks that are not allowed any more end."""
        before, who.permission = who.permission, permission
        if permission == before:
            return
        for sid, track in tuple(who.tracks.items()):
            if not permission.allows(track.publication.source):
                self.unpublish(who, sid)
        if permission.can_subscribe is not before.can_subscribe:
            for other in self._others(who):
                for sid in other.tracks:
                    self._reconcile(who, other, sid)
        self._announce(who, is_urgent=True)
        self._broadcast(None, ev.ParticipantPermissionsChanged(who.identity, permission))
        self.push_ticket(who)

    def push_ticket(self, who: VirtualParticipant) -> None:
        """Give a client the token to come back with, of what holds now."""
        who.ticket = evolve(who.ticket, metadata=who.metadata, grant=grant_of(who.permission))
        if who.down is not None:
            who.down.send(partial(who.client.take_ticket, who.ticket))

    def send_data(self, sender: VirtualParticipant | None, message: DataMessage) -> None:
        """Deliver a data message; without a sender it is the server API's."""
        if sender is not None and (sender.is_over or not sender.permission.can_publish_data):
            return
        told = ev.DataReceived(
            message.data,
            None if sender is None else sender.identity,
            message.topic,
            message.reliable,
        )
        for other in self.people.values():
            if other is not sender and (message.to is None or other.identity in message.to):
                other.data.send(partial(other.client.take_data, told))

    def _announce(self, who: VirtualParticipant, *, is_urgent: bool = False) -> None:
        """Let others know of somebody, who publishes nothing, now or with what is collected."""
        if who.is_told:
            return
        if self._silent_news and not is_urgent:
            self._pending[who.identity] = who
            if self._flushing is None:
                loop = asyncio.get_running_loop()
                self._flushing = loop.call_later(self._silent_news, self._flush)
            return
        self._pending.pop(who.identity, None)
        who.is_told = True
        news = evolve(who.seen_by(None), tracks=())
        self._broadcast(who, ev.ParticipantConnected(news), ev.ParticipantActive(who.identity))

    def _flush(self) -> None:
        self._flushing = None
        for who in tuple(self._pending.values()):
            self._announce(who, is_urgent=True)

    def _broadcast(self, besides: VirtualParticipant | None, *events: ev.RoomEvent) -> None:
        for other in tuple(self.people.values()):
            if other is not besides:
                other.tell(*events)

    def _others(self, who: VirtualParticipant) -> list[VirtualParticipant]:
        return [other for other in self.people.values() if other is not who]

    # -- tracks ---------------------------------------------------------------------------------

    def publish(self, who: VirtualParticipant, track: Track) -> TrackPublication | None:
        """Take a new track; None when it is not allowed."""
        if who.is_over or not who.permission.allows(track.publication.source):
            return None
        publication = evolve(track.publication, sid=self._new_sid("TR"))
        track = who.tracks[publication.sid] = evolve(track, publication=publication)
        self._announce(who, is_urgent=True)
        self._broadcast(who, ev.TrackPublished(who.identity, publication))
        self.report("track_published", who, track=track)
        for other in self._others(who):
            self._reconcile(other, who, publication.sid)
        return publication

    def unpublish(self, who: VirtualParticipant, sid: str) -> None:
        """End a track; its participant stays."""
        track = who.tracks.get(sid)
        if track is None:
            return
        gone = track.publication
        for other in self._others(who):
            left = [ev.TrackUnpublished(who.identity, gone)]
            if sid in other.receives:
                other.tell(ev.TrackUnsubscribed(who.identity, gone), *left)
            else:
                other.tell(*left)
        self._end_track(who, sid)

    def set_muted(self, who: VirtualParticipant, sid: str, is_muted: bool) -> None:
        """Mute or unmute a track, for everybody who knows of it."""
        track = who.tracks.get(sid)
        if track is None or track.publication.is_muted is is_muted:
            return
        publication = evolve(track.publication, is_muted=is_muted)
        who.tracks[sid] = evolve(track, publication=publication)
        kind = ev.TrackMuted if is_muted else ev.TrackUnmuted
        self._broadcast(None, kind(who.identity, publication))

    def _end_track(self, who: VirtualParticipant, sid: str) -> None:
        track = who.tracks.pop(sid)
        self._meters.pop(sid, None)
        self._ears.pop(sid, None)
        for other in self.people.values():
            other.receives.pop(sid, None)
        self.report("track_unpublished", who, track=track)

    def _reconcile(self, other: VirtualParticipant, who: VirtualParticipant, sid: str) -> None:
        """Let `other` receive a track of `who`, or not, as it may; what ends is not told
        (docs/livekit.md, "Events")."""
        if not other.auto_subscribe or not other.permission.can_subscribe:
            other.receives.pop(sid, None)
        elif sid not in other.receives:
            # Media comes behind the news of its track, and not with it.
            asyncio.get_running_loop().call_soon(self._subscribed, other, who, sid)

    def _subscribed(self, other: VirtualParticipant, who: VirtualParticipant, sid: str) -> None:
        track = who.tracks.get(sid)
        is_late = sid in other.receives or other.is_over or not other.permission.can_subscribe
        if track is None or is_late:
            return
        other.receives[sid] = self.forwarded[sid]
        other.tell(ev.TrackSubscribed(who.identity, evolve(track.publication, is_subscribed=True)))
        if sum(sid in one.receives for one in self.people.values()) == 1:
            who.tell(ev.LocalTrackSubscribed(sid))

    # -- media ----------------------------------------------------------------------------------

    def attend(self, sid: str, client: SfuClient) -> None:
        """Let a client have the frames of a track from now on."""
        self._ears.setdefault(sid, set()).add(client)

    def forward(self, who: VirtualParticipant, sid: str, frame: AudioFrame | VideoFrame) -> None:
        """Pass a frame on to those who have a use for it, and listen to it for who speaks."""
        track = who.tracks.get(sid)
        if track is None or track.publication.is_muted:
            return
        self.forwarded[sid] += 1
        ears = self._ears.get(sid, ())
        for other in self.people.values():
            if other.client in ears and sid in other.receives:
                other.media.send(partial(other.client.take_media, sid, frame))
        if isinstance(frame, AudioFrame):
            _, meter = self._meters.setdefault(sid, (who, SpeechMeter()))
            now = asyncio.get_running_loop().time()
            level = min(127, round(-level_dbfs(frame.samples)))
            meter.observe(level, frame.duration * 1000.0, now)
            if self._metering is None:
                self._meter_soon()

    def _meter_soon(self) -> None:
        loop = asyncio.get_running_loop()
        self._metering = loop.call_later(UPDATE_INTERVAL, self._tell_speakers)

    def _tell_speakers(self) -> None:
        self._metering = None
        now = asyncio.get_running_loop().time()
        levels = {
            sid: (who, level)
            for sid, (who, meter) in self._meters.items()
            if (level := meter.level(now)) > 0
        }
        loudest = sorted(levels, key=lambda sid: levels[sid][1], reverse=True)
        for other in self.people.values():
            heard = (sid for sid in loudest if sid in other.tracks or sid in other.receives)
            speakers = tuple(dict.fromkeys(levels[sid][0].identity for sid in heard))
            if speakers != other.speakers:
                other.speakers = speakers
                other.tell(ev.ActiveSpeakersChanged(speakers))
        if levels or any(other.speakers for other in self.people.values()):
            self._meter_soon()
