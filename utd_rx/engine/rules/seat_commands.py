"""What can be asked of a seat grid, and who asks."""

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
    """Return who acts, for what nobody can do namelessly.

    Raises:
        Refusal: 422.
    """
    if actor.identity is None:
        raise invalid("identity is required")
    return actor.identity


@frozen
class SetUpSeats:
    """Make or change the grid; what is None stays as it is (§7.2, 13)."""

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
