"""A room of the virtual SFU: who is in it, who hears of what, and who receives which track.

What it does and in which order is livekit-server's (docs/livekit.md, "What the code relies on" and
"What a client expects of an SFU"), as far as a client can see it. What goes to clients are room
events, as `UTDRoom` makes them of LiveKit's; what the engine is told are `MediaReport`s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from attrs import evolve

from utd_rx.engine.media import MediaRoom
from utd_rx.engine.media_facts import MediaReport
from utd_rx.errors import UTDStreamException
from utd_rx.models import events as ev
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.data_tracks import DataTrackInfo
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import ParticipantPermission, TrackPublication
from utd_rx.ports.data import DataMessage, SelfDescription, attributes
from utd_rx.testing.world.network import Lane, Link, LinkNews
from utd_rx.testing.world.sealing import Seal
from utd_rx.testing.world.sfu_media import MediaFlow
from utd_rx.testing.world.sfu_participant import (
    SfuClient,
    Track,
    VirtualParticipant,
    grant_of,
    permission_of,
)
from utd_rx.testing.world.tokens import RoomTicket

SILENCE: Final = 20.0
"""Seconds after which a client that is not heard of is gone (docs/livekit.md, "Resuming")."""


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
        self.media = MediaFlow(self.people)

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
            evolve(permission_of(ticket.grant), can_update_metadata=ticket.can_update_metadata),
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

    def abandon(self, who: VirtualParticipant) -> None:
        """The client is gone, and what it said of that may not arrive."""
        who.unwatch()
        self._miss(who)

    def snapshot(self, who: VirtualParticipant) -> ev.RoomSnapshot:
        """Return the room as `who` sees it."""
        return ev.RoomSnapshot(
            self.name,
            who.local,
            sid=self.sid,
            metadata=self.metadata,
            remotes=tuple(other.seen_by(who) for other in self._others(who)),
        )

    def close(self, reason: DisconnectReason) -> None:
        """End the room for everybody."""
        for who in tuple(self.people.values()):
            self.leave(who, reason)
        if self._flushing is not None:
            self._flushing.cancel()
        self.media.close()

    def _mind(self, who: VirtualParticipant, news: LinkNews) -> None:
        """Notice that a client is not heard of any more, as late as a server does."""
        if news in (LinkNews.CLOSED, LinkNews.CUT):
            self._miss(who)
        elif news is LinkNews.OPENED and who.silence is not None:
            who.silence.cancel()
            who.silence = None

    def _miss(self, who: VirtualParticipant) -> None:
        if who.silence is None and not who.is_over:
            reason, loop = DisconnectReason.CONNECTION_TIMEOUT, asyncio.get_running_loop()
            who.silence = loop.call_later(SILENCE, self.leave, who, reason)

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
        if metadata:
            self._change(who, SelfDescription(metadata=metadata))

    def describe(self, who: VirtualParticipant, said: SelfDescription) -> str:
        """Change what somebody says of itself; returns why not, "" when it is so."""
        if not who.permission.can_update_metadata:
            return "does not have permission to update own metadata"
        try:
            attributes({**who.ticket.attributes, **(said.attributes or {})})
        except UTDStreamException:
            return "exceeds attributes size limit"
        self._change(who, said)
        return ""

    def _change(self, who: VirtualParticipant, said: SelfDescription) -> None:
        before = who.local
        known = {**who.ticket.attributes, **(said.attributes or {})}
        who.metadata = said.metadata or who.metadata
        who.ticket = evolve(
            who.ticket,
            name=said.name or who.ticket.name,
            metadata=who.metadata,
            attributes=FrozenMap((key, value) for key, value in known.items() if value),
        )
        if events := ev.changes(before, who.local):
            self._announce(who, is_urgent=True)
            self._broadcast(None, *events)

    def set_permission(self, who: VirtualParticipant, permission: ParticipantPermission) -> None:
        """Change what somebody may; tracks that are not allowed any more end."""
        before, who.permission = who.permission, permission
        if permission == before:
            return
        for sid, track in tuple(who.tracks.items()):
            if not permission.allows(track.publication.source):
                self.unpublish(who, sid)
        for sid in () if permission.can_publish_data else tuple(who.data_tracks):
            self.unpublish_data_track(who, sid)
        if permission.can_subscribe is not before.can_subscribe:
            for other in self._others(who):
                for sid in other.tracks:
                    self._reconcile(who, other, sid)
        self._announce(who, is_urgent=True)
        self._broadcast(None, ev.ParticipantPermissionsChanged(who.identity, permission))
        self.push_ticket(who)

    def push_ticket(self, who: VirtualParticipant) -> None:
        """Give a client the token to come back with, of what holds now."""
        who.ticket = evolve(
            who.ticket,
            metadata=who.metadata,
            grant=grant_of(who.permission),
            can_update_metadata=who.permission.can_update_metadata,
        )
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
                seal = None if sender is None else sender.data_seal
                other.data.send(partial(other.client.take_data, told, seal))

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
        for other in self._others(who):
            news = evolve(who.seen_by(other), tracks=(), data_tracks=())
            other.tell(ev.ParticipantConnected(news), ev.ParticipantActive(who.identity))

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

    def reseal(self, who: VirtualParticipant, seal: Seal | None) -> None:
        """Take what somebody publishes from now on for sent under a seal."""
        who.seal = seal
        for other in self._others(who):
            if other.down is not None and not other.receives.keys().isdisjoint(who.tracks):
                other.down.send(partial(other.client.take_seal, who.identity, seal))

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

    def publish_data_track(self, who: VirtualParticipant, name: str) -> DataTrackInfo | None:
        """Take a new data track; None when it is not allowed."""
        if who.is_over or not who.permission.can_publish_data:
            return None
        track = DataTrackInfo(self._new_sid("DTR"), name)
        who.data_tracks[track.sid] = track
        self._announce(who, is_urgent=True)
        self._broadcast(who, ev.DataTrackPublished(who.identity, track))
        return track

    def unpublish_data_track(self, who: VirtualParticipant, sid: str) -> None:
        """End a data track."""
        if (track := who.data_tracks.pop(sid, None)) is not None:
            self._broadcast(who, ev.DataTrackUnpublished(who.identity, track))

    def set_muted(self, who: VirtualParticipant, sid: str, is_muted: bool) -> None:
        """Mute or unmute a track, for everybody who knows of it."""
        track = who.tracks.get(sid)
        if track is None or track.publication.is_muted is is_muted:
            return
        publication = evolve(track.publication, is_muted=is_muted)
        who.tracks[sid] = evolve(track, publication=publication)
        kind = ev.TrackMuted if is_muted else ev.TrackUnmuted
        self._broadcast(None, kind(who.identity, publication))

    def set_subscribed(self, other: VirtualParticipant, sid: str, is_wanted: bool) -> None:
        """Let somebody receive a track, or not, as its client asks; what is gone stays so."""
        for who in self._others(other):
            if sid in who.tracks:
                other.wishes[sid] = is_wanted
                self._reconcile(other, who, sid)

    def _end_track(self, who: VirtualParticipant, sid: str) -> None:
        track = who.tracks.pop(sid)
        self.media.end(sid)
        for other in self.people.values():
            other.receives.pop(sid, None)
            other.wishes.pop(sid, None)
        self.report("track_unpublished", who, track=track)

    def _reconcile(self, other: VirtualParticipant, who: VirtualParticipant, sid: str) -> None:
        """Let `other` receive a track of `who`, or not, as it may; what ends is not told
        (docs/livekit.md, "Events")."""
        if not other.wants(sid):
            other.receives.pop(sid, None)
        elif sid not in other.receives:
            # Media comes behind the news of its track, and not with it.
            asyncio.get_running_loop().call_soon(self._subscribed, other, who, sid)

    def _subscribed(self, other: VirtualParticipant, who: VirtualParticipant, sid: str) -> None:
        track = who.tracks.get(sid)
        is_late = sid in other.receives or other.is_over or not other.wants(sid)
        if track is None or is_late:
            return
        other.receives[sid] = self.media.frames[sid]
        other.tell(ev.TrackSubscribed(who.identity, evolve(track.publication, is_subscribed=True)))
        if other.down is not None:
            other.down.send(partial(other.client.take_seal, who.identity, who.seal))
        if sum(sid in one.receives for one in self.people.values()) == 1:
            who.tell(ev.LocalTrackSubscribed(sid))
