"""What can be asked about speaking: requests for a seat and invitations to one."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen


@frozen
class RequestSeat:
    """Ask for a seat; `created_at` is the time of asking, ISO 8601 UTC."""

    created_at: str


@frozen
class CancelRequest:
    """Withdraw one's own request; without one it does nothing."""


@frozen
class ApproveRequest:
    """Seat whoever asked."""

    id: int


@frozen
class RejectRequest:
    id: int


@frozen
class Invite:
    """OpenInvitation `target` a seat: the one at `seat_index`, any when it is None."""

    target: str
    seat_index: int | None = None


@frozen
class AcceptInvitation:
    id: int


@frozen
class DeclineInvitation:
    id: int


SpeakerCommand: TypeAlias = (
    RequestSeat
    | CancelRequest
    | ApproveRequest
    | RejectRequest
    | Invite
    | AcceptInvitation
    | DeclineInvitation
)


@frozen
class Outcome:
    """What came of a command: the request or invitation, whom it is about, where they sit now."""

    id: int | None
    identity: str
    seat_index: int | None = None
