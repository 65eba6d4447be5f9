"""Whether the broadcast of a live stream is over (docs/contract.md, "Stage").

| | over | goes on |
| --- | --- | --- |
| the engine's word: metadata `_stage.live`, or its answer | turned false | turned true |
| `_live_ended` of the host, whom the transport names | at once | 3 s later, see below |
| the host's own command | once it is done, unless the engine says that it goes on | |
| the host publishes, or unmutes, a track | | at once |
| `_live_ended` without a sender | as the engine then says | |

The host's word may be late, and of a broadcast before this one, or the host may come back to one
that the engine kept for them: 3 s after either the host is looked at.
Who publishes then, or is there and live by the engine's word, goes on. A track may be late, too:
one that was told after that word and is gone by then began nothing.

An engine that says nothing of `live` is asked first; then the message without a sender is believed
as soon as no host is in the room, up to 10 s after it: the engine sends it for a host who did not
come back, and a newcomer may be told the host's own without a name. From anybody else it is a
forgery.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve, frozen

from utd_rx.models import events as e
from utd_rx.models.participant import TrackPublication
from utd_rx.models.role import UTDRole
from utd_rx.protocol import data
from utd_rx.protocol.deadlines import earliest
from utd_rx.protocol.facts import stage as facts
from utd_rx.protocol.facts.connection import JoinSucceeded
from utd_rx.protocol.session import SessionState
from utd_rx.protocol.stage import StageCopy, has_ended

HINT_SECONDS: Final = 10.0
"""How long after a message without a sender the host may still be in the room."""

LATE_SECONDS: Final = 3.0
"""When a host's word, or return, is held against what they publish: messages and tracks overtake
each other."""


@frozen
class Broadcast:
    """It has been and `is_over`, by the host's word if `checked_at` is to come.

    A message without a sender claims it until `claimed_until`; `disproved` counts the claims that
    nothing bore out.
    """

    is_over: bool = False
    checked_at: float | None = None
    claimed_until: float | None = None
    disproved: int = 0


def step(
    broadcast: Broadcast, fact: object, now: float, *, before: StageCopy, session: SessionState
) -> Broadcast:
    """Return the broadcast after `fact`, which left the session as it is here; total.

    `before` is the copy of the stage as `fact` met it.
    """
    match fact:
        case JoinSucceeded():
            return Broadcast(disproved=broadcast.disproved)
        case facts.LiveStopped():
            return broadcast if before.stage.is_live else _over(broadcast)
        case facts.LiveEndHinted() if before.stage.is_live is None and not broadcast.is_over:
            until = broadcast.claimed_until or now + HINT_SECONDS
            return evolve(broadcast, claimed_until=until)
        case e.DataReceived() if is_from_host(fact, session):
            return evolve(_over(broadcast), checked_at=now + LATE_SECONDS)
        case e.ParticipantConnected(participant=who) if is_host(session, who.identity):
            return _doubted(broadcast, now)
        case e.TrackPublished(identity=who) | e.TrackUnmuted(identity=who):
            goes_on = is_host(session, who)
        case e.LocalTrackPublished():
            goes_on = session.is_host
        case e.Reconnected():
            if not _is_host_on(session):
                return _doubted(broadcast, now) if hosts_of(session) else broadcast
            goes_on = True
        case _:
            return broadcast
    return evolve(broadcast, is_over=False) if goes_on else broadcast


def judged(
    broadcast: Broadcast, now: float, *, before: StageCopy, stage: StageCopy, session: SessionState
) -> Broadcast:
    """Return the broadcast after what the engine has said, and time."""
    if has_ended(before.stage, stage.stage):
        return _over(broadcast)
    if stage.stage.is_live and not before.stage.is_live:
        return _on(broadcast)
    if broadcast.checked_at is not None and now >= broadcast.checked_at:
        broadcast = evolve(broadcast, checked_at=None)
        if _is_host_on(session) or (stage.stage.is_live and hosts_of(session)):
            broadcast = _on(broadcast)
        elif not _host_tracks(session):
            broadcast = _over(broadcast)
    until = broadcast.claimed_until
    if until is None:
        return broadcast
    if stage.stage.is_live is not None:
        return evolve(broadcast, claimed_until=None)
    is_answered = not (stage.is_stale or stage.is_asked)
    if is_answered and not hosts_of(session):
        return _over(broadcast)
    if now >= until:
        return evolve(broadcast, claimed_until=None, disproved=broadcast.disproved + 1)
    return broadcast


def is_host(session: SessionState, identity: str) -> bool:
    """Whether `identity` hosts, as the engine wrote in their metadata."""
    return session.roles.known.get(identity) is UTDRole.HOST


def is_from_host(event: e.DataReceived, session: SessionState) -> bool:
    """Whether `event` is the host's word that the broadcast is over."""
    is_theirs = event.sender is not None and is_host(session, event.sender)
    return is_theirs and data.type_of(event) == data.LIVE_ENDED


def hosts_of(session: SessionState) -> tuple[str, ...]:
    """Return who of those in the room hosts; this client may be among them."""
    return tuple(who for who, role in session.roles.known.items() if role is UTDRole.HOST)


def disconnected(broadcast: Broadcast) -> Broadcast:
    """Return the broadcast of a connection that is over: what was over stays so."""
    return Broadcast(broadcast.is_over, disproved=broadcast.disproved)


def next_deadline(broadcast: Broadcast) -> float | None:
    return earliest(broadcast.checked_at, broadcast.claimed_until)


def _is_host_on(session: SessionState) -> bool:
    """Whether a host publishes, and is not only there."""
    return any(not track.is_muted for track in _host_tracks(session))


def _host_tracks(session: SessionState) -> list[TrackPublication]:
    hosts = [session.roster.find(who) for who in hosts_of(session)]
    return [track for who in hosts if who is not None for track in who.tracks]


def _on(broadcast: Broadcast) -> Broadcast:
    return evolve(broadcast, is_over=False, checked_at=None) if broadcast.is_over else broadcast


def _doubted(broadcast: Broadcast, now: float) -> Broadcast:
    """Return the broadcast after the host came: what is over may go on, if the engine says so."""
    return evolve(broadcast, checked_at=now + LATE_SECONDS) if broadcast.is_over else broadcast


def _over(broadcast: Broadcast) -> Broadcast:
    return Broadcast(is_over=True, disproved=broadcast.disproved)
