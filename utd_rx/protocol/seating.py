"""One seat command at a time, then speak.

A command that waits for a seat (take, move, accept an invitation) tells the state when it begins
and ends. Two at a time would wait for seats that exclude each other, so the second is refused. Who
is to speak on the seat does so when it is theirs, unless the app switched the microphone off after
the command began: the later word wins, as between two toggles.
"""

from __future__ import annotations

from attrs import frozen

from utd_rx.errors import ConflictReason, conflict
from utd_rx.protocol.facts.seats import SeatingEnded, SeatingStarted, SpeakRequested
from utd_rx.protocol.publishing import Publishing


@frozen
class Seating:
    """The seat command under way.

    Args:
        speaks: Whether to speak then; None leaves the microphone as it is.
        stated: The number of the app's last word about the microphone when it began.
    """

    speaks: bool | None
    stated: int


def require_free(seating: Seating | None) -> None:
    """Check that no other command waits for a seat.

    Raises:
        UTDStreamException: `CONFLICT`, busy.
    """
    if seating is not None:
        raise conflict(ConflictReason.BUSY, "another command is waiting for a seat")


def require_unsaid(seating: Seating | None, microphone: Publishing) -> None:
    """Check that the app did not switch the microphone off since the command began.

    Raises:
        UTDStreamException: `CONFLICT`, overtaken.
    """
    if seating is not None and microphone.is_overtaken(seating.stated):
        raise conflict(ConflictReason.OVERTAKEN, "a later set_microphone won")


def is_overtaken(fact: object, microphone: Publishing) -> bool:
    """Whether `fact` is a wish to speak and the app has said something about that since."""
    return isinstance(fact, SpeakRequested) and fact.stated != microphone.stated


def step(seating: Seating | None, fact: object, microphone: Publishing) -> Seating | None:
    """Return the command under way after `fact`; total."""
    match fact:
        case SeatingStarted(speaks=speaks):
            return Seating(speaks, microphone.stated)
        case SeatingEnded():
            return None
        case _:
            return seating
