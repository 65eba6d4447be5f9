"""The seat grid of an audio room, its speak requests and invitations."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from attrs import field, frozen

from utd_rx.models import html
from utd_rx.models.asked import moment_of, seconds_since
from utd_rx.models.checks import typed
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.value import Value


class UTDSeatMode(Enum):
    """How one comes by a seat; `value` is the spelling on the wire."""

    FREE = "free"
    REQUEST = "request"


@frozen(field_transformer=typed)
class UTDSeat(Value):
    """One seat; publishing is sitting on one (docs/contract.md, "Seats")."""

    index: int
    identity: str | None = None
    is_locked: bool = False
    reserved_for: str | None = None
    attributes: FrozenMap[str, str] = field(factory=FrozenMap)

    @property
    def is_occupied(self) -> bool:
        """Whether somebody sits on it."""
        return self.identity is not None

    @property
    def is_empty(self) -> bool:
        """Whether nobody sits on it and it is not locked."""
        return self.identity is None and not self.is_locked

    def is_available_to(self, identity: str) -> bool:
        """Whether `identity` may sit down: empty, unlocked, reserved for nobody else."""
        return self.is_empty and self.reserved_for in (None, identity)


@frozen(field_transformer=typed)
class SpeakRequest(Value):
    """Somebody waits for a seat in request mode; `created_at` is ISO 8601 UTC."""

    id: int
    identity: str
    created_at: str | None = None

    @property
    def asked_at(self) -> datetime | None:
        """When it was made, by the engine's clock; None when the engine did not say."""
        return moment_of(self.created_at)

    def age(self, at: datetime) -> float | None:
        """Return for how many seconds it has waited by `at`, an aware time; None when unknown.

        Never negative: the engine's clock may be ahead of this one.
        """
        return seconds_since(self.created_at, at)


@frozen(field_transformer=typed)
class Invitation(Value):
    """An offer to take a seat, from `inviter` to `target`."""

    id: int
    inviter: str
    target: str
    seat_index: int | None = None


@frozen(field_transformer=typed)
class InvitationAnswer(Value):
    """What became of an offer: accepted, then its `seat_index` is where they sit, or declined."""

    invitation: Invitation
    is_accepted: bool


@frozen(field_transformer=typed)
class UTDSeatGrid(Value):
    """All seats of a room, by index, with the pending speak requests in order.

    `revision` grows with every change of the local engine's grid; the original engine sends none.
    """

    seats: tuple[UTDSeat, ...] = ()
    mode: UTDSeatMode = UTDSeatMode.FREE
    mode_id: str | None = None
    requests: tuple[SpeakRequest, ...] = ()
    revision: int | None = None

    def _repr_html_(self) -> str:
        rows: list[tuple[object, ...]] = []
        for seat in self.seats:
            reserved = "" if seat.reserved_for is None else f"for {seat.reserved_for}"
            rows.append((seat.index, seat.identity, "locked" if seat.is_locked else reserved))
        waiting = tuple(asked.identity for asked in self.requests)
        return html.table([*rows, ("waiting", waiting)] if waiting else rows, ("seat", "who", ""))

    @property
    def count(self) -> int:
        """How many seats there are."""
        return len(self.seats)

    def seat_of(self, identity: str) -> UTDSeat | None:
        """Return the seat `identity` sits on, None when it has none."""
        return next((seat for seat in self.seats if seat.identity == identity), None)

    def occupant_of(self, index: int) -> str | None:
        """Return who sits on seat `index`, None when nobody does or there is no such seat."""
        return self.seats[index].identity if 0 <= index < self.count else None

    def request_of(self, identity: str) -> SpeakRequest | None:
        """Return the pending request of `identity`, None when it has none."""
        return next((asked for asked in self.requests if asked.identity == identity), None)

    def is_pending(self, request_id: int) -> bool:
        """Whether the request is in the queue."""
        return any(asked.id == request_id for asked in self.requests)
