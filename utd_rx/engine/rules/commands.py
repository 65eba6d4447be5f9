"""What can be asked about seats and about speaking, and who asks."""

from __future__ import annotations

from typing import TypeAlias

from attrs import field, frozen

from utd_rx.engine.rules.refusal import invalid
from utd_rx.engine.rules.roles import Role
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.seats import UTDSeatMode


@frozen
class Actor:
    """Who commands: an identity, its role in this room, its seat attributes.

    `identity` None is the owner's backend, which vouches with the app secret.
    """

    identity: str | None
    role: Role = Role.AUDIENCE
    attributes: FrozenMap[str, str] = field(factory=FrozenMap)

    @property
    def is_admin(self) -> bool:
        """Whether the host is out of its reach."""
        return self.role is Role.ADMIN


def identity_of(actor: Actor) -> str:
    """Return who acts, for what nobody can do namelessly: 422 then."""
    if actor.identity is None:
        raise invalid("identity is required")
    return actor.identity


@frozen
class SetUpSeats:
    """Make or change the grid; what is None stays as it is."""

    count: int | None = None
    mode: UTDSeatMode | None = None
    mode_id: str | None = None
    host_seat: int | None = None


@frozen
class TakeSeat:
    index: int


@frozen
class LeaveSeat:
    """Stand up; without a seat it does nothing."""


@frozen
class MoveSeat:
    target: int


@frozen
class KickSeat:
    index: int


@frozen
class LockSeat:
    """Lock a seat; whoever sits there loses it."""

    index: int


@frozen
class UnlockSeat:
    index: int


@frozen
class MuteSeat:
    index: int
    is_muted: bool


SeatCommand: TypeAlias = (
    SetUpSeats | TakeSeat | LeaveSeat | MoveSeat | KickSeat | LockSeat | UnlockSeat | MuteSeat
)


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
