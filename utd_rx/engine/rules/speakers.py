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

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from attrs import evolve

from utd_rx.engine.rules import grids
from utd_rx.engine.rules.commands import (
    AcceptInvitation,
    Actor,
    ApproveRequest,
    CancelRequest,
    DeclineInvitation,
    Invite,
    Outcome,
    RejectRequest,
    RequestSeat,
    SpeakerCommand,
    identity_of,
)
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
    """Carry out `item` for `actor`.

    Whether the actor's role may command it at all was decided by `utd_rx.engine.authorization`.

    Raises:
        Refusal: Nothing has changed then.
    """
    found, pushes, outcome = _RULES[type(item)](seats, actor, item, now, attributes)
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


def _request(
    seats: SeatState, actor: Actor, item: RequestSeat, now: float, attributes: Attributes
) -> _Result:
    identity = identity_of(actor)
    grid = seats.grid
    if grid.mode is not UTDSeatMode.REQUEST:
        raise conflict("seats are free to take here; there is nothing to request")
    grids.refuse_seated(grid, identity, "you already sit on a seat")
    if any(request.identity == identity for request in grid.requests):
        raise conflict("your request is pending already")
    if len(grid.requests) >= MAX_REQUESTS:
        raise conflict("too many requests are pending; try again later")
    request = SpeakRequest(seats.next_id, identity, item.created_at)
    found = evolve(
        seats,
        grid=evolve(grid, requests=(*grid.requests, request)),
        next_id=seats.next_id + 1,
    )
    told = TellModerators("_speaker_request", FrozenMap(request_to_push(request)))
    return found, (told,), Outcome(request.id, identity)


def _cancel(
    seats: SeatState, actor: Actor, item: CancelRequest, now: float, attributes: Attributes
) -> _Result:
    identity = identity_of(actor)
    mine = next((r for r in seats.grid.requests if r.identity == identity), None)
    outcome = Outcome(None if mine is None else mine.id, identity)
    return _without_request(seats, identity), (), outcome


def _approve(
    seats: SeatState, actor: Actor, item: ApproveRequest, now: float, attributes: Attributes
) -> _Result:
    request = _pending(seats, item.id)
    seat = grids.first_free(seats.grid)
    identity = request.identity
    found = evolve(seats, grid=grids.occupy(seats.grid, seat, identity, attributes(identity)))
    answer = request_answer_to_push(request, seat.index)
    told = Push("_speaker_request_approved", FrozenMap(answer), (identity,))
    return found, (told,), Outcome(request.id, identity, seat.index)


def _reject(
    seats: SeatState, actor: Actor, item: RejectRequest, now: float, attributes: Attributes
) -> _Result:
    request = _pending(seats, item.id)
    answer = request_answer_to_push(request, None)
    told = Push("_speaker_request_rejected", FrozenMap(answer), (request.identity,))
    found = _without_request(seats, request.identity)
    return found, (told,), Outcome(request.id, request.identity)


def _invite(
    seats: SeatState, actor: Actor, item: Invite, now: float, attributes: Attributes
) -> _Result:
    inviter = identity_of(actor)
    if item.target == inviter:
        raise invalid("you cannot invite yourself; take a seat instead")
    if item.target not in seats.connected:
        raise not_found(f"{item.target!r} is not in this room")
    grids.refuse_seated(seats.grid, item.target, f"{item.target!r} already sits on a seat")
    if any(o.invitation.target == item.target and o.expires_at > now for o in seats.invitations):
        raise conflict(f"{item.target!r} was invited already")
    if item.seat_index is not None:
        grids.free_seat(seats.grid, item.target, item.seat_index)
    invitation = Invitation(seats.next_id, inviter, item.target, item.seat_index)
    kept = tuple(one for one in seats.invitations if one.invitation.target != item.target)
    found = evolve(
        seats,
        invitations=(*kept, OpenInvitation(invitation, now + INVITATION_SECONDS)),
        next_id=seats.next_id + 1,
    )
    told = Push("_speaker_invitation", FrozenMap(invitation_to_push(invitation)), (item.target,))
    return found, (told,), Outcome(invitation.id, item.target)


def _accept(
    seats: SeatState, actor: Actor, item: AcceptInvitation, now: float, attributes: Attributes
) -> _Result:
    invitation = _offered(seats, actor, item.id, now)
    grids.refuse_seated(seats.grid, invitation.target, "you already sit on a seat")
    seat = _invited_seat(seats, invitation)
    grid = grids.occupy(seats.grid, seat, invitation.target, attributes(invitation.target))
    answer = invitation_answer_to_push(invitation, seat.index)
    told = Push("_speaker_invitation_accepted", FrozenMap(answer), (invitation.inviter,))
    found = evolve(_without_offer(seats, invitation), grid=grid)
    return found, (told,), Outcome(invitation.id, invitation.target, seat.index)


def _decline(
    seats: SeatState, actor: Actor, item: DeclineInvitation, now: float, attributes: Attributes
) -> _Result:
    invitation = _offered(seats, actor, item.id, now)
    answer = invitation_answer_to_push(invitation, None)
    told = Push("_speaker_invitation_declined", FrozenMap(answer), (invitation.inviter,))
    outcome = Outcome(invitation.id, invitation.target)
    return _without_offer(seats, invitation), (told,), outcome


_Rule: TypeAlias = Callable[[SeatState, Actor, Any, float, Attributes], _Result]

# Any: a table cannot say that the type of its key is the type of the rule's third argument.
_RULES: Final[Mapping[type[SpeakerCommand], _Rule]] = {
    RequestSeat: _request,
    CancelRequest: _cancel,
    ApproveRequest: _approve,
    RejectRequest: _reject,
    Invite: _invite,
    AcceptInvitation: _accept,
    DeclineInvitation: _decline,
}


def _pending(seats: SeatState, id_: int) -> SpeakRequest:
    for request in seats.grid.requests:
        if request.id == id_:
            return request
    raise not_found(f"there is no pending request {id_}")


def _offered(seats: SeatState, actor: Actor, id_: int, now: float) -> Invitation:
    identity = identity_of(actor)
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
