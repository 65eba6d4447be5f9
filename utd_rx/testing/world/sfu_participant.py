"""One connection to a room of the virtual SFU, as the server has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Iterable
from functools import partial
from typing import Protocol, TypeVar

from attrs import define, evolve, field, frozen

from utd_rx.engine.media import MediaParticipant, MediaTrack
from utd_rx.engine.rules.roles import Grant
from utd_rx.models import events as ev
from utd_rx.models.audio import AudioFrame
from utd_rx.models.data_tracks import DataTrackInfo
from utd_rx.models.participant import (
    LocalParticipant,
    Participant,
    ParticipantPermission,
    RemoteParticipant,
    TrackPublication,
)
from utd_rx.models.video import VideoFrame
from utd_rx.testing.world.network import Lane, Link
from utd_rx.testing.world.sealing import Seal
from utd_rx.testing.world.tokens import RoomTicket

P = TypeVar("P", bound=Participant)


class SfuClient(Protocol):
    """The client at the other end; each method returns at once and never raises."""

    def hear(self, events: Iterable[ev.RoomEvent]) -> None:
        """Signalling: the server says what happened in the room."""

    def take_ticket(self, ticket: RoomTicket) -> None:
        """Signalling: the server gives a newer token."""

    def take_data(self, message: ev.DataReceived, seal: Seal | None) -> None:
        """A data message arrived; `sender` is who sent it, whoever knows them."""

    def take_media(self, track_sid: str, frame: AudioFrame | VideoFrame, seal: Seal | None) -> None:
        """A frame of a subscribed track arrived."""

    def take_seal(self, identity: str, seal: Seal | None) -> None:
        """What somebody publishes comes under a seal from now on."""


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
    data_tracks: dict[str, DataTrackInfo] = field(factory=dict)
    receives: dict[str, int] = field(factory=dict)  # how many frames a track had had before
    wishes: dict[str, bool] = field(factory=dict)  # which tracks its client asked for, or not
    speakers: tuple[str, ...] = ()
    is_told: bool = False
    seal: Seal | None = None
    data_seal: Seal | None = None
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

    def wants(self, sid: str) -> bool:
        """Whether it is to receive a track."""
        return self.permission.can_subscribe and self.wishes.get(sid, self.auto_subscribe)

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

    @property
    def local(self) -> LocalParticipant:
        """What is told of it to its client."""
        return self._as(LocalParticipant, {})

    def seen_by(self, other: VirtualParticipant) -> RemoteParticipant:
        """What is told of it to `other`."""
        who = self._as(RemoteParticipant, other.receives)
        return evolve(who, data_tracks=tuple(self.data_tracks.values()))

    def _as(self, kind: type[P], receives: Container[str]) -> P:
        return kind(
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
