"""Requests to speak and invitations (docs/contract.md, "Speakers"): commands on a `SeatState`.

| | comes from | ends by |
| --- | --- | --- |
| request | the user, in request mode | approve, reject, cancel, sitting, leaving, free mode |
| invitation | a host or admin, in either mode | accept, decline, sitting, 60 s, a party leaving |

Requests live in the grid, so everybody sees the queue in order; invitations are between two. A
rule returns the new state and whom to tell; what follows for seats and permissions is derived by
`seat_state.commit`, as for every other seat command.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve

from utd_rx.engine.rules import grids
from utd_rx.engine.rules.effects import Push, TellModerators
from utd_rx.engine.rules.refusal import Refusal, conflict, forbidden, invalid, not_found
from utd_rx.engine.rules.roles import Actor
from utd_rx.engine.rules.seat_state import Changed, OpenInvitation, SeatState
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.seats import Invitation, SpeakRequest, UTDSeat, UTDSeatMode
from utd_rx.protocol.wire.speakers import (
    invitation_answer_to_push,
    invitation_to_push,
    request_answer_to_push,
    request_to_push,
)

INVITATION_SECONDS: Final = 60.0
"""How long an invitation lives (docs/contract.md, "Offers")."""

MAX_REQUESTS: Final = 100
"""Every `_seat_update` carries the queue, and the SFU's messages end at 64 KiB."""


def invitations_of(seats: SeatState, identity: str, now: float) -> tuple[OpenInvitation, ...]:
    """Return what `identity` was offered and may still accept, oldest first."""
    return tuple(
        one
        for one in seats.invitations
        if one.invitation.target == identity and one.expires_at > now
    )


def request(seats: SeatState, actor: Actor, now: float, created_at: str) -> Changed:
    """Ask for a seat; `created_at` is the time of asking, ISO 8601 UTC."""
    identity, grid = actor.somebody(), seats.grid
    if grid.mode is not UTDSeatMode.REQUEST:
        raise conflict("seats are free to take here; there is nothing to request")
    grids.refuse_seated(grid, identity, "you already sit")
    if grid.request_of(identity) is not None:
        raise conflict("your request is pending already")
    if len(grid.requests) >= MAX_REQUESTS:
        raise conflict("too many requests are pending; try again later")
    asked = SpeakRequest(seats.next_id, identity, created_at)
    grid = evolve(grid, requests=(*grid.requests, asked))
    told = TellModerators("_speaker_request", FrozenMap(request_to_push(asked)))
    found = evolve(seats, grid=grid, next_id=seats.next_id + 1)
    return found, (told,), {"request_id": asked.id}


def cancel(seats: SeatState, actor: Actor, now: float) -> Changed:
    """Withdraw one's own request; without one it does nothing."""
    mine = seats.grid.request_of(identity := actor.somebody())
    return _without_request(seats, identity), (), {"request_id": mine and mine.id}


def approve(seats: SeatState, actor: Actor, now: float, id_: int) -> Changed:
    """Seat whoever asked."""
    asked = _pending(seats, id_)
    seat = grids.first_free(seats.grid)
    found = evolve(seats, grid=grids.occupy(seats.grid, seat, asked.identity))
    answer = request_answer_to_push(asked, seat.index)
    told = Push("_speaker_request_approved", FrozenMap(answer), (asked.identity,))
    return found, (told,), answer


def reject(seats: SeatState, actor: Actor, now: float, id_: int) -> Changed:
    asked = _pending(seats, id_)
    answer = request_answer_to_push(asked, None)
    told = Push("_speaker_request_rejected", FrozenMap(answer), (asked.identity,))
    return _without_request(seats, asked.identity), (told,), answer


def invite(
    seats: SeatState, actor: Actor, now: float, target: str, seat_index: int | None = None
) -> Changed:
    """Offer `target` a seat: the one at `seat_index`, any when it is None."""
    inviter = actor.somebody()
    if target == inviter:
        raise invalid("you cannot invite yourself; take a seat instead")
    if target not in seats.connected:
        raise not_found(f"{target!r} is not in this room")
    grids.refuse_seated(seats.grid, target, f"{target!r} already sits")
    if invitations_of(seats, target, now):
        raise conflict(f"{target!r} was invited already")
    if seat_index is not None:
        grids.free_seat(seats.grid, target, seat_index)
    invitation = Invitation(seats.next_id, inviter, target, seat_index)
    kept = tuple(one for one in seats.invitations if one.invitation.target != target)
    open_ = OpenInvitation(invitation, now + INVITATION_SECONDS)
    found = evolve(seats, invitations=(*kept, open_), next_id=seats.next_id + 1)
    told = Push("_speaker_invitation", FrozenMap(invitation_to_push(invitation)), (target,))
    return found, (told,), {"invitation_id": invitation.id}


def accept(seats: SeatState, actor: Actor, now: float, id_: int) -> Changed:
    invitation = _offered(seats, actor.somebody(), id_, now)
    grids.refuse_seated(seats.grid, invitation.target, "you already sit")
    seat = _invited_seat(seats, invitation)
    answer = invitation_answer_to_push(invitation, seat.index)
    told = Push("_speaker_invitation_accepted", FrozenMap(answer), (invitation.inviter,))
    grid = grids.occupy(seats.grid, seat, invitation.target)
    found = evolve(_without_offer(seats, invitation), grid=grid)
    return found, (told,), {"invitation_id": invitation.id, "seat_index": seat.index}


def decline(seats: SeatState, actor: Actor, now: float, id_: int) -> Changed:
    invitation = _offered(seats, actor.somebody(), id_, now)
    answer = invitation_answer_to_push(invitation, None)
    told = Push("_speaker_invitation_declined", FrozenMap(answer), (invitation.inviter,))
    return _without_offer(seats, invitation), (told,), {"invitation_id": invitation.id}


def _pending(seats: SeatState, id_: int) -> SpeakRequest:
    for asked in seats.grid.requests:
        if asked.id == id_:
            return asked
    raise not_found(f"there is no pending request {id_}")


def _offered(seats: SeatState, identity: str, id_: int, now: float) -> Invitation:
    for one in seats.invitations:
        if one.invitation.id == id_ and one.expires_at > now:
            if one.invitation.target != identity:
                raise forbidden("this invitation is for somebody else")
            return one.invitation
    raise not_found(f"there is no invitation {id_}; they last {INVITATION_SECONDS:.0f} s")


def _invited_seat(seats: SeatState, invitation: Invitation) -> UTDSeat:
    """Return the seat offered, the first free one if it is gone: it was not held."""
    if invitation.seat_index is not None:
        try:
            return grids.free_seat(seats.grid, invitation.target, invitation.seat_index)
        except Refusal:
            pass
    return grids.first_free(seats.grid)


def _without_request(seats: SeatState, identity: str) -> SeatState:
    return evolve(seats, grid=grids.without_requests(seats.grid, {identity}))


def _without_offer(seats: SeatState, invitation: Invitation) -> SeatState:
    kept = tuple(one for one in seats.invitations if one.invitation != invitation)
    return evolve(seats, invitations=kept)
