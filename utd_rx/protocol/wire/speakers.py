"""Speak requests and invitations as the engine pushes them (docs/contract.md, "Speakers" and
"Data messages").

| push | to | payload |
| --- | --- | --- |
| `_speaker_request` | hosts, admins | `request_id, identity, created_at` |
| `_speaker_request_approved`, `_rejected` | requester | `request_id, identity, seat_index?` |
| `_speaker_invitation` | invitee | `invitation_id, {inviter,target}_identity, seat_index?` |
| `_speaker_invitation_accepted`, `_declined` | inviter | the same |

In an approval or acceptance `seat_index` is where they sit now.

`GET …/speakers/invitations`, which only our engine has, answers `{invitations: [{the same,
expires_in}]}`: what the caller was offered, and for how many seconds it still stands.
"""

from __future__ import annotations

from attrs import frozen

from utd_rx.models.seats import Invitation, SpeakRequest
from utd_rx.protocol.wire.reading import (
    Json,
    read_int,
    read_list,
    read_number,
    read_object,
    read_text,
    without_none,
)
from utd_rx.protocol.wire.seats import invitation_from_wire


@frozen
class ListedInvitation:
    """An invitation as the engine lists it; `expires_in` None when it does not say."""

    invitation: Invitation
    expires_in: float | None = None


def request_to_push(request: SpeakRequest) -> dict[str, object]:
    """Write the payload of `_speaker_request`."""
    return {**request_answer_to_push(request, None), "created_at": request.created_at}


def request_answer_to_push(request: SpeakRequest, seat_index: int | None) -> dict[str, object]:
    """Write the payload of `_speaker_request_approved` or, without a seat, `_rejected`."""
    return without_none(request_id=request.id, identity=request.identity, seat_index=seat_index)


def request_id_from_push(wire: Json) -> int | None:
    """Read whose request, or the answer to which, it is; None without the id or an identity."""
    id_ = read_int(wire.get("request_id"))
    if id_ is None:  # the queue in `_seats` calls it `id`, so a push of another engine may as well
        id_ = read_int(wire.get("id"))
    return None if read_text(wire.get("identity")) is None else id_


def invitation_to_push(invitation: Invitation) -> dict[str, object]:
    """Write the payload of `_speaker_invitation`; `seats.invitation_from_wire` reads it."""
    return invitation_answer_to_push(invitation, invitation.seat_index)


def invitation_answer_to_push(invitation: Invitation, seat_index: int | None) -> dict[str, object]:
    """Write the payload of `_speaker_invitation_accepted` or, without a seat, `_declined`."""
    return without_none(
        invitation_id=invitation.id,
        inviter_identity=invitation.inviter,
        target_identity=invitation.target,
        seat_index=seat_index,
    )


def invitation_to_rest(invitation: Invitation, *, expires_in: float) -> dict[str, object]:
    """Write an entry of the list; rounded, because clocks are not that exact."""
    return {**invitation_to_push(invitation), "expires_in": round(expires_in, 3)}


def invitations_from_wire(wire: object) -> tuple[ListedInvitation, ...]:
    """Read the list; entries that name no invitation are dropped."""
    return tuple(
        ListedInvitation(invitation, read_number(entry.get("expires_in")))
        for entry in map(read_object, read_list(wire))
        if (invitation := invitation_from_wire(entry)) is not None
    )
