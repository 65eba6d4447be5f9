"""One seat command at a time, then speak.

A command that waits for a seat (take, move, accept an invitation) tells the state when it begins
and ends: two at a time would wait for seats that exclude each other. It belongs to its join: the
answer to one of an older join may still be on its way, and is nobody's concern. Who is to speak on
the seat does so when it is theirs, unless the app switched the microphone off since: the later word
wins.
"""

from __future__ import annotations

from attrs import frozen

from utd_rx.errors import ConflictReason, UTDStreamException, conflict
from utd_rx.models.seats import Invitation, UTDSeat, UTDSeatGrid
from utd_rx.protocol.facts.seats import SeatingEnded, SeatingStarted, SpeakRequested
from utd_rx.protocol.publishing import Publishing
from utd_rx.protocol.speakers import is_none


@frozen
class Seating:
    """The seat command under way in join `epoch`, begun at word number `stated`.

    `speaks` None changes nothing.
    """

    speaks: bool | None
    stated: int
    epoch: int


def require_free(seating: Seating | None) -> None:
    """Raise `CONFLICT`, busy, when another command waits for a seat."""
    if seating is not None:
        raise conflict(ConflictReason.BUSY, "another command is waiting for a seat")


def require_unsaid(seating: Seating | None, microphone: Publishing) -> None:
    """Raise `CONFLICT`, overtaken, when the app switched the microphone off since it began."""
    if seating is not None and microphone.is_overtaken(seating.stated):
        raise conflict(ConflictReason.OVERTAKEN, "a later set_microphone won")


def seat_in_doubt(given: int | None, offered: Invitation | None) -> int | None:
    """Return the offered seat when accepting it may have seated nobody, None where it has.

    An engine whose yes does not say which seat was `given` may have given none.
    """
    return offered.seat_index if given is None and offered is not None else None


def seat_to_take(in_doubt: int, grid: UTDSeatGrid, identity: str) -> int | None:
    """Return that seat when `identity` sits nowhere in the `grid` of since, None otherwise."""
    return in_doubt if grid.seat_of(identity) is None else None


def is_accepted_already(
    refusal: UTDStreamException, offered: Invitation | None, seat: UTDSeat | None
) -> bool:
    """Whether an offer that the engine does not know any more is that which seated this client,
    before a restart of the app perhaps: then it has a `seat`, the offered one where that is known.
    """
    if seat is None or not is_none(refusal):
        return False
    return offered is None or offered.seat_index in (None, seat.index)


def is_overtaken(fact: object, microphone: Publishing) -> bool:
    """Whether `fact` is a wish to speak and the app has said something about that since."""
    return isinstance(fact, SpeakRequested) and fact.stated != microphone.stated


def step(
    seating: Seating | None, fact: object, microphone: Publishing, epoch: int
) -> Seating | None:
    """Return the command under way in the join of `epoch` after `fact`; total."""
    if isinstance(fact, SeatingStarted):
        return Seating(fact.speaks, microphone.stated, fact.epoch)
    is_over = isinstance(fact, SeatingEnded) and fact.epoch == epoch
    return None if seating is None or is_over or seating.epoch != epoch else seating
