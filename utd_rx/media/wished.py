"""What an app wants of a media room, kept where the app is, for a successor of it. Pure.

A room in a media process dies with it. `Wished` is what the app has asked for and was granted:
where it is joined, what it publishes, receives, serves and says of itself; each part knows whether
the room of this life has been told (`there`). What is told changes the wish, too: a track that the
server took is wanted no more. What a successor is to be told, `lacking` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias

from attrs import evolve, field, frozen

from utd_rx.errors import UTDStreamException
from utd_rx.media.wished_parts import (
    JoinedAt,
    LostTrack,
    OwnDataTrack,
    OwnTrack,
    SubscriptionWord,
    WishedReception,
)
from utd_rx.models import events as ev
from utd_rx.models.audio import AudioInput
from utd_rx.models.encryption import Encryption
from utd_rx.models.events import RoomSnapshot
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import TrackPublication
from utd_rx.models.video import VideoInput
from utd_rx.ports.data import SelfDescription
from utd_rx.protocol import roster as roster_rules
from utd_rx.protocol.roster import Roster

MAX_OVER: Final = 16
"""Own tracks remembered whose end was told; it may be told before their publication has answered.
"""

MAX_FORMER: Final = 4
"""Earlier sids of an own track that commands still know it by."""

StandingKey: TypeAlias = tuple[Any, ...]
"""The port's method and its arguments before the sink: `("serve", "echo")`."""


@frozen
class Wished:
    """What is wanted of one room; `is_there` while the room of this life is connected.

    `roster` is the room as this life's connection has told it. `is_reconnecting` as LiveKit says.
    While it is restored nobody is told anything; then, what became of own tracks (`own_news.py`).
    `fellows` were in it in the same process when that died: their sids then, by identity.
    """

    address: JoinedAt | None = None
    is_joined: bool = False
    is_there: bool = False
    is_restored: bool = True
    is_reconnecting: bool = False
    roster: Roster = field(factory=Roster)
    fellows: FrozenMap[str, str] = field(factory=FrozenMap)
    standing: FrozenMap[StandingKey, Callable[[Any], None]] = field(factory=FrozenMap)
    subscribed: FrozenMap[str, SubscriptionWord] = field(factory=FrozenMap)
    tracks: FrozenMap[str, OwnTrack] = field(factory=FrozenMap)
    receptions: FrozenMap[int, WishedReception] = field(factory=FrozenMap)
    data_tracks: FrozenMap[int, OwnDataTrack] = field(factory=FrozenMap)
    said: SelfDescription | None = None
    is_said: bool = True
    over: tuple[str, ...] = ()
    lost: tuple[LostTrack, ...] = ()

    def own(self, sid: str) -> OwnTrack | None:
        """Return the own track that has this sid, or had it in an earlier life."""
        known = self.tracks.get(sid)
        earlier = (own for own in self.tracks.values() if sid == own.known.sid or sid in own.former)
        return known or next(earlier, None)

    @property
    def keys(self) -> Encryption | None:
        """What it is encrypted with while it is joined."""
        return self.address.encryption if self.address is not None and self.is_joined else None

    @property
    def snapshot(self) -> RoomSnapshot:
        """The room as it is, with the own tracks that are muted and so not published there."""
        roster = self.roster
        assert roster.local is not None
        local = roster.local
        for own in self.tracks.values():
            if own.there is None and own.track.is_muted:
                local = local.with_track(own.track)
        return RoomSnapshot(
            roster.room_name, local, roster.room_sid, roster.metadata, roster.participants
        )


# --- what is asked, and what it led to ----------------------------------------------------------


def joined(wished: Wished, address: JoinedAt, snapshot: RoomSnapshot) -> Wished:
    """The app has joined: of what was before only what it serves goes on."""
    return Wished(
        address=address,
        is_joined=True,
        is_there=True,
        roster=roster_rules.from_snapshot(snapshot),
        standing=wished.standing,
    )


def encrypted(wished: Wished, encryption: Encryption) -> Wished:
    """The app encrypts with these keys from now on; the same where a room refuses them."""
    address, keys = wished.address, wished.keys
    if address is None or keys is None or not keys.differs_in_keys(encryption):
        return wished
    return evolve(wished, address=evolve(address, encryption=encryption))


def left(wished: Wished) -> Wished:
    """The app is not joined any more."""
    return Wished(address=wished.address, standing=wished.standing)


def renewed(wished: Wished, token: str) -> Wished:
    """The server gave a newer token."""
    address = wished.address
    return wished if address is None else evolve(wished, address=evolve(address, token=token))


def stands(wished: Wished, key: StandingKey, sink: Callable[[Any], None] | None) -> Wished:
    """The app serves or receives something from now on; None: it does not any more."""
    if sink is None:
        return evolve(wished, standing=wished.standing.remove(key))
    return evolve(wished, standing=wished.standing.set(key, sink))


def published(wished: Wished, source: AudioInput | VideoInput, track: TrackPublication) -> Wished:
    """A track was published, unless the server has ended it already."""
    if track.sid in wished.over:
        return wished
    now = as_told(wished, track)
    own = OwnTrack(source, now, now, track.sid)
    return evolve(wished, tracks=wished.tracks.set(track.sid, own))


def fed(wished: Wished, sid: str, source: VideoInput) -> Wished:
    """An own track has another source, whatever it is called by now."""
    own = wished.own(sid)
    return wished if own is None else _set(wished, evolve(own, source=source))


def muted(wished: Wished, sid: str, is_muted: bool) -> Wished:
    """The app said whether an own track is muted, likewise."""
    own = wished.own(sid)
    if own is None:
        return wished
    track, known = (evolve(one, is_muted=is_muted) for one in (own.track, own.known))
    return _set(wished, evolve(own, track=track, known=known))


def unpublished(wished: Wished, sid: str, error: UTDStreamException | None = None) -> Wished:
    """An own track is wanted no more; with an error where it failed."""
    own, lost = wished.tracks.get(sid), wished.lost
    sids = (sid,) if own is None or own.known.sid == sid else (sid, own.known.sid)
    if own is not None and not wished.is_restored:
        lost = (*lost, LostTrack(own.known, error))
    over = (*wished.over, *sids)[-MAX_OVER:]
    return evolve(wished, tracks=wished.tracks.remove(sid), over=over, lost=lost)


def subscribed(wished: Wished, sid: str, is_wanted: bool) -> Wished:
    """The app said what it receives; nothing while it is not joined."""
    if not wished.is_joined:
        return wished
    word = SubscriptionWord(is_wanted, there=wished.is_there)
    return evolve(wished, subscribed=wished.subscribed.set(sid, word))


def receives(wished: Wished, number: int, reception: WishedReception | None) -> Wished:
    """A reception has begun, or changed; None: it is wanted no more."""
    if reception is None:
        return evolve(wished, receptions=wished.receptions.remove(number))
    return evolve(wished, receptions=wished.receptions.set(number, reception))


def data_published(wished: Wished, number: int, own: OwnDataTrack | None) -> Wished:
    """A data track was published, here or again; None: it is wanted no more."""
    if own is None:
        return evolve(wished, data_tracks=wished.data_tracks.remove(number))
    return evolve(wished, data_tracks=wished.data_tracks.set(number, own))


def described(wished: Wished, said: SelfDescription) -> Wished:
    """The app has said something of itself, besides what it had said before."""
    before = wished.said or SelfDescription()
    attributes = {**(before.attributes or {}), **(said.attributes or {})}
    return evolve(
        wished,
        said=SelfDescription(
            name=said.name or before.name,
            metadata=said.metadata or before.metadata,
            attributes=attributes or None,
        ),
    )


# --- what is told -------------------------------------------------------------------------------


def told(wished: Wished, event: ev.RoomEvent) -> Wished:
    """Return it after what the room of this life has told; total."""
    if not wished.is_there:
        return wished
    step = roster_rules.step(wished.roster, event, is_reconnecting=wished.is_reconnecting)
    wished = evolve(wished, roster=step)
    match event:
        case ev.Disconnected():
            return left(wished)
        case ev.Reconnecting():
            return evolve(wished, is_reconnecting=True)
        case ev.Reconnected():
            return _only_here(evolve(wished, is_reconnecting=False))
        case ev.RoomMoved():
            return _only_here(wished)
        case ev.LocalTrackUnpublished(track=track):
            return unpublished(wished, track.sid)
        case ev.LocalTrackFailed(track_sid=sid, error=error):
            return unpublished(wished, sid, error)
        case ev.LocalTrackRepublished(track=track, previous_sid=sid):
            if (own := wished.tracks.get(sid)) is None:
                return wished
            # Of its mute this says what was so when it was asked for: mutes are told as such.
            return republished(wished, own, evolve(track, is_muted=own.track.is_muted))
        case ev.TrackMuted(track=track) | ev.TrackUnmuted(track=track):
            own = wished.tracks.get(track.sid)
            return wished if own is None else _set(wished, _now(wished, own, track))
        case ev.TrackUnpublished(track=track):
            return _without(wished, lambda sid: sid == track.sid)
        case ev.TrackUnsubscribed(track=track):
            return _without_received(wished, lambda sid: sid == track.sid)
        case ev.DataTrackUnpublished():
            return _only_here(wished)
        case ev.ParticipantDisconnected():
            return _only_here(wished)
        case (
            ev.ParticipantNameChanged(identity=identity)
            | ev.ParticipantMetadataChanged(identity=identity)
            | ev.ParticipantAttributesChanged(identity=identity)
        ) if identity == wished.roster.identity:
            return _followed(wished)
    return wished


def republished(wished: Wished, own: OwnTrack, track: TrackPublication) -> Wished:
    """An own track has a new sid, in its place."""
    former = (*own.former, own.track.sid)[-MAX_FORMER:]
    now = evolve(_now(wished, own, track), there=track.sid, former=former)
    renamed = (
        (track.sid, now) if sid == own.track.sid else (sid, other)
        for sid, other in wished.tracks.items()
    )
    return evolve(wished, tracks=FrozenMap(renamed))


def died(wished: Wished, others: Iterable[Wished] = ()) -> Wished:
    """The room of this life is gone: its successor has been told nothing. `others` were served in
    the same process."""
    return evolve(
        wished,
        is_there=False,
        is_restored=not wished.is_joined,
        is_reconnecting=False,
        fellows=FrozenMap(_fellows(wished, others)),
        is_said=wished.said is None,
        subscribed=_all(wished.subscribed, there=False),
        tracks=_all(wished.tracks, there=None),
        receptions=_all(wished.receptions, there=None),
        data_tracks=_all(wished.data_tracks, there=None),
    )


def as_told(wished: Wished, track: TrackPublication) -> TrackPublication:
    """Return an own track muted or not as the room has told it, which may be before its publication
    has answered."""
    local = wished.roster.local
    here = () if local is None else local.tracks
    muted = (known.is_muted for known in here if known.sid == track.sid)
    return evolve(track, is_muted=next(muted, track.is_muted))


def remote_sids(wished: Wished) -> dict[str, bool]:
    """Return the remote tracks that are there, and whether each arrives."""
    tracks = (track for who in wished.roster.participants for track in who.tracks)
    here = {track.sid: track.is_subscribed for track in tracks}
    return here | {
        track.sid: True for who in wished.roster.participants for track in who.data_tracks
    }


def _now(wished: Wished, own: OwnTrack, track: TrackPublication) -> OwnTrack:
    return evolve(own, track=track, known=track if wished.is_restored else own.known)


def _set(wished: Wished, own: OwnTrack) -> Wished:
    return evolve(wished, tracks=wished.tracks.set(own.track.sid, own))


def _fellows(wished: Wished, others: Iterable[Wished]) -> Iterator[tuple[str, str]]:
    """Yield identity and sid of those who are joined in the same room as somebody else."""
    for other in others:
        here, there = wished.address, other.address
        if not other.is_joined or here is None or there is None or here.url != there.url:
            continue
        local, is_same = other.roster.local, wished.roster.room_name == other.roster.room_name
        if is_same and local is not None and local.identity != wished.roster.identity:
            yield local.identity, local.sid


def _only_here(wished: Wished) -> Wished:
    here = remote_sids(wished)
    return _without(wished, lambda sid: sid not in here)


def _without(wished: Wished, is_over: Callable[[str], bool]) -> Wished:
    """Return it without remote tracks that are gone."""
    wished = _without_received(wished, is_over)
    if not any(map(is_over, wished.subscribed)):
        return wished
    kept = ((sid, word) for sid, word in wished.subscribed.items() if not is_over(sid))
    return evolve(wished, subscribed=FrozenMap(kept))


def _without_received(wished: Wished, is_over: Callable[[str], bool]) -> Wished:
    receptions = wished.receptions
    if not any(is_over(one.track_sid) for one in receptions.values()):
        return wished
    kept = ((n, one) for n, one in receptions.items() if not is_over(one.track_sid))
    return evolve(wished, receptions=FrozenMap(kept))


def _followed(wished: Wished) -> Wished:
    """Return it once what the app said of itself is, or was changed by the server, as it is now."""
    said, local = wished.said, wished.roster.local
    if said is None or local is None or not wished.is_said:
        return wished
    has = local.attributes
    attributes = {key: has.get(key, "") for key in said.attributes or {}}
    now = SelfDescription(
        name=None if said.name is None else local.name or None,
        metadata=None if said.metadata is None else local.metadata or None,
        attributes=attributes or None,
    )
    return evolve(wished, said=now)


def _all(entries: FrozenMap[Any, Any], **changes: Any) -> FrozenMap[Any, Any]:
    return FrozenMap((key, evolve(entry, **changes)) for key, entry in entries.items())
