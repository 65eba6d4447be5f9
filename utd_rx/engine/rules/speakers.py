"""Requests to speak and invitations (docs/contract.md, "Speakers").

| | comes from | ends by |
| --- | --- | --- |
| request | the user, in request mode | approve, reject, cancel, sitting, leaving, free mode |
| invitation | a host or admin, in either mode | accept, decline, sitting, 60 s, a party leaving |

Requests live in the grid, so everybody sees the queue in order; invitations are between two. A
rule returns the new state and whom to tell; what follows for seats and permissions is derived by
`seat_state.commit`, as for every other seat command.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from attrs import evolve

from utd_rx.engine.rules import commands, grids
from utd_rx.engine.rules.commands import Actor, Outcome, SpeakerCommand, identity_of
from utd_rx.engine.rules.effects import Effects, Push, TellModerators
from utd_rx.engine.rules.refusal import Refusal, conflict, forbidden, invalid, not_found
from utd_rx.engine.rules.seat_state import OpenInvitation, SeatState, commit
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

Attributes: TypeAlias = Callable[[str], FrozenMap[str, str]]
"""What the grid shows about a member who sits down."""

_Result: TypeAlias = tuple[SeatState, Effects, Outcome]


def command(
    seats: SeatState, actor: Actor, item: SpeakerCommand, now: float, attributes: Attributes
) -> _Result:
    """Carry out `item` for `actor`, whose role was let pass by `utd_rx.engine.authorization`."""
    match item:
        case commands.RequestSeat(created_at):
            found, pushes, outcome = _request(seats, identity_of(actor), created_at)
        case commands.CancelRequest():
            found, pushes, outcome = _cancel(seats, identity_of(actor))
        case commands.ApproveRequest(id_):
            found, pushes, outcome = _approve(seats, id_, attributes)
        case commands.RejectRequest(id_):
            found, pushes, outcome = _reject(seats, id_)
        case commands.Invite(target, seat_index):
            found, pushes, outcome = _invite(seats, identity_of(actor), target, seat_index, now)
        case commands.AcceptInvitation(id_):
            found, pushes, outcome = _accept(seats, identity_of(actor), id_, now, attributes)
        case commands.DeclineInvitation(id_):
            found, pushes, outcome = _decline(seats, identity_of(actor), id_, now)
    after, effects = commit(seats, found, now)
    # The grid first: whoever hears of an approval finds the seat taken.
    return after, (*effects, *pushes), outcome


def invitations_of(seats: SeatState, identity: str, now: float) -> tuple[OpenInvitation, ...]:
    """Return what `identity` was offered and may still accept, oldest first."""
    return tuple(
        one
        for one in seats.invitations
        if one.invitation.target == identity and one.expires_at > now
    )


def _request(seats: SeatState, identity: str, created_at: str) -> _Result:
    grid = seats.grid
    if grid.mode is not UTDSeatMode.REQUEST:
        raise conflict("seats are free to take here; there is nothing to request")
    grids.refuse_seated(grid, identity, "you already sit on a seat")
    if any(request.identity == identity for request in grid.requests):
        raise conflict("your request is pending already")
    if len(grid.requests) >= MAX_REQUESTS:
        raise conflict("too many requests are pending; try again later")
    request = SpeakRequest(seats.next_id, identity, created_at)
    grid = evolve(grid, requests=(*grid.requests, request))
    found = evolve(seats, grid=grid, next_id=seats.next_id + 1)
    told = TellModerators("_speaker_request", FrozenMap(request_to_push(request)))
    return found, (told,), Outcome(request.id, identity)


def _cancel(seats: SeatState, identity: str) -> _Result:
    mine = next((r for r in seats.grid.requests if r.identity == identity), None)
    outcome = Outcome(None if mine is None else mine.id, identity)
    return _without_request(seats, identity), (), outcome


def _approve(seats: SeatState, id_: int, attributes: Attributes) -> _Result:
    request = _pending(seats, id_)
    seat = grids.first_free(seats.grid)
    identity = request.identity
    found = evolve(seats, grid=grids.occupy(seats.grid, seat, identity, attributes(identity)))
    answer = request_answer_to_push(request, seat.index)
    told = Push("_speaker_request_approved", FrozenMap(answer), (identity,))
    return found, (told,), Outcome(request.id, identity, seat.index)


def _reject(seats: SeatState, id_: int) -> _Result:
    request = _pending(seats, id_)
    answer = request_answer_to_push(request, None)
    told = Push("_speaker_request_rejected", FrozenMap(answer), (request.identity,))
    found = _without_request(seats, request.identity)
    return found, (told,), Outcome(request.id, request.identity)


def _invite(
    seats: SeatState, inviter: str, target: str, seat_index: int | None, now: float
) -> _Result:
    if target == inviter:
        raise invalid("you cannot invite yourself; take a seat instead")
    if target not in seats.connected:
        raise not_found(f"{target!r} is not in this room")
    grids.refuse_seated(seats.grid, target, f"{target!r} already sits on a seat")
    if any(o.invitation.target == target and o.expires_at > now for o in seats.invitations):
        raise conflict(f"{target!r} was invited already")
    if seat_index is not None:
        grids.free_seat(seats.grid, target, seat_index)
    invitation = Invitation(seats.next_id, inviter, target, seat_index)
    kept = tuple(one for one in seats.invitations if one.invitation.target != target)
    open_ = OpenInvitation(invitation, now + INVITATION_SECONDS)
    found = evolve(seats, invitations=(*kept, open_), next_id=seats.next_id + 1)
    told = Push("_speaker_invitation", FrozenMap(invitation_to_push(invitation)), (target,))
    return found, (told,), Outcome(invitation.id, target)


def _accept(
    seats: SeatState, identity: str, id_: int, now: float, attributes: Attributes
) -> _Result:
    invitation = _offered(seats, identity, id_, now)
    grids.refuse_seated(seats.grid, invitation.target, "you already sit on a seat")
    seat = _invited_seat(seats, invitation)
    grid = grids.occupy(seats.grid, seat, invitation.target, attributes(invitation.target))
    answer = invitation_answer_to_push(invitation, seat.index)
    told = Push("_speaker_invitation_accepted", FrozenMap(answer), (invitation.inviter,))
    found = evolve(_without_offer(seats, invitation), grid=grid)
    return found, (told,), Outcome(invitation.id, invitation.target, seat.index)


def _decline(seats: SeatState, identity: str, id_: int, now: float) -> _Result:
    invitation = _offered(seats, identity, id_, now)
    answer = invitation_answer_to_push(invitation, None)
    told = Push("_speaker_invitation_declined", FrozenMap(answer), (invitation.inviter,))
    outcome = Outcome(invitation.id, invitation.target)
    return _without_offer(seats, invitation), (told,), outcome


def _pending(seats: SeatState, id_: int) -> SpeakRequest:
    for request in seats.grid.requests:
        if request.id == id_:
            return request
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
    return evolve(seats, grid=grids.without_requests(seats.grid, frozenset({identity})))


def _without_offer(seats: SeatState, invitation: Invitation) -> SeatState:
    kept = tuple(one for one in seats.invitations if one.invitation != invitation)
    return evolve(seats, invitations=kept)
