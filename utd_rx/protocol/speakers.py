"""Requests to speak and invitations, as the one who is asked sees them (facts/utd-engine.md §4.2).

Theory of operation. The queue is part of the grid (`seats`), so everybody knows it; what is here
belongs to this client alone. An *offer* is a hint: no endpoint lists invitations, so only the
engine's answer to accepting one proves it. It is shown while somebody could accept it:

| begins | ends |
| --- | --- |
| a message says so, to me, and I do not sit | answered; 60 s; I sit; the inviter left; the connection is over |

A request that is approved seats this client and grants it publishing, in two messages; whoever
asked in order to speak is heard when both are there, at the latest `GRANT_TIMEOUT` after the seat:

| `request_id` | `opens_by` | |
| --- | --- | --- |
| set | None | waiting for the approval; ends when the request has been seen and is gone |
| None | set | seated by it, waiting for the grant; ends by the seat, the time, or the microphone |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import evolve, frozen

from utd_rx.models.events import ParticipantDisconnected
from utd_rx.models.seats import Invitation, UTDSeatGrid
from utd_rx.protocol.facts import (
    InvitationAnswered,
    InvitationHinted,
    MicrophoneWanted,
    SpeakRequested,
)

INVITATION_SECONDS: Final = 60.0
"""How long the engine keeps an invitation (facts/utd-engine.md §7.2, 14)."""

GRANT_TIMEOUT: Final = 10.0
"""Seconds from the seat to the grant, at most (facts/utd-engine.md §4.2)."""

MAX_OFFERS: Final = 8
"""The engine keeps one for each target; what comes beyond these is a flood, and is dropped."""


@frozen
class Offer:
    """An invitation, and when it ends by itself, in monotonic seconds."""

    invitation: Invitation
    expires_at: float


@frozen
class Speakers:
    """What this client was offered, and what it asked for; see the module's tables."""

    offers: tuple[Offer, ...] = ()
    request_id: int | None = None
    is_seen: bool = False
    opens_by: float | None = None

    @property
    def invitations(self) -> tuple[Invitation, ...]:
        """The open invitations, oldest first."""
        return tuple(offer.invitation for offer in self.offers)


def step(
    speakers: Speakers, fact: object, now: float, *, identity: str, grid: UTDSeatGrid
) -> Speakers:
    """Return the state after `fact`, which left the grid as it is here; total."""
    match fact:
        case InvitationHinted(invitation=invitation) if invitation.target == identity:
            speakers = _offered(speakers, invitation, now)
        case InvitationAnswered(invitation_id=id_):
            speakers = _without(speakers, lambda invitation: invitation.id == id_)
        case ParticipantDisconnected(identity=who):
            speakers = _without(speakers, lambda invitation: invitation.inviter == who)
        case SpeakRequested(request_id=request_id):
            speakers = evolve(speakers, request_id=request_id, is_seen=False, opens_by=None)
        case MicrophoneWanted(enabled=False):
            speakers = evolve(speakers, request_id=None, opens_by=None)
        case _:
            pass
    return _at(_seated_or_not(speakers, now, identity, grid), now)


def opens(speakers: Speakers, is_granted: bool) -> tuple[Speakers, bool]:
    """Return whether the microphone is to be opened now, once."""
    if speakers.opens_by is None or not is_granted:
        return speakers, False
    return evolve(speakers, opens_by=None), True


def next_deadline(speakers: Speakers) -> float | None:
    """Return when time alone changes something, None for never."""
    ends = [offer.expires_at for offer in speakers.offers]
    if speakers.opens_by is not None:
        ends.append(speakers.opens_by)
    return min(ends, default=None)


def _offered(speakers: Speakers, invitation: Invitation, now: float) -> Speakers:
    known = any(offer.invitation.id == invitation.id for offer in speakers.offers)
    if known or len(speakers.offers) >= MAX_OFFERS:
        return speakers
    offer = Offer(invitation, now + INVITATION_SECONDS)
    return evolve(speakers, offers=(*speakers.offers, offer))


def _seated_or_not(speakers: Speakers, now: float, identity: str, grid: UTDSeatGrid) -> Speakers:
    if grid.seat_of(identity) is None:
        speakers = evolve(speakers, opens_by=None) if speakers.opens_by is not None else speakers
        if speakers.request_id is None:
            return speakers
        if grid.is_pending(speakers.request_id):
            return speakers if speakers.is_seen else evolve(speakers, is_seen=True)
        return evolve(speakers, request_id=None, is_seen=False) if speakers.is_seen else speakers
    if speakers.offers:
        speakers = evolve(speakers, offers=())
    if speakers.request_id is None:
        return speakers
    return evolve(speakers, request_id=None, is_seen=False, opens_by=now + GRANT_TIMEOUT)


def _at(speakers: Speakers, now: float) -> Speakers:
    if any(offer.expires_at <= now for offer in speakers.offers):
        live = tuple(offer for offer in speakers.offers if offer.expires_at > now)
        speakers = evolve(speakers, offers=live)
    if speakers.opens_by is not None and now >= speakers.opens_by:
        speakers = evolve(speakers, opens_by=None)
    return speakers


def _without(speakers: Speakers, is_over: Callable[[Invitation], bool]) -> Speakers:
    if not any(is_over(offer.invitation) for offer in speakers.offers):
        return speakers
    kept = tuple(offer for offer in speakers.offers if not is_over(offer.invitation))
    return evolve(speakers, offers=kept)
