"""What is told and asked about the connection."""

from __future__ import annotations

from attrs import frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.events import RoomSnapshot
from utd_rx.protocol.facts import Effect, Fact


@frozen
class JoinStarted(Fact):
    """A join was begun; results of an earlier one are late from now on."""


@frozen
class JoinAdmitted(Fact):
    """The engine minted a token for join `epoch`; `role` is what it granted, None: not told."""

    epoch: int
    role: str | None


@frozen
class JoinSucceeded(Fact):
    """The media room is there."""

    epoch: int
    snapshot: RoomSnapshot


@frozen
class JoinFailed(Fact):
    """It is not, or what the session type needs besides it did not come."""

    epoch: int
    error: UTDStreamException


@frozen
class RejoinFailed(Fact):
    """Connecting anew in an outage failed; `jitter`, from 0 to 1, spreads the next attempts."""

    epoch: int
    error: UTDStreamException
    jitter: float


@frozen
class PlaceAsked(Fact):
    """The engine said who holds this client's identity; `is_ours`: nobody who joined later."""

    epoch: int
    is_ours: bool


@frozen
class LeaveStarted(Fact):
    """The app leaves; the media connection goes down behind it."""


@frozen
class CloseStarted(Fact):
    """The app closes the session: nothing is heard any more, and what is known stays readable."""


@frozen
class DeadlinePassed(Fact):
    """The session's timer fired; which deadlines passed is read from the state."""


@frozen
class Rejoin(Effect):
    """Connect anew, `mints` with a fresh token; answer with `Reconnected` or `RejoinFailed`."""

    epoch: int
    mints: bool = False


@frozen
class AskPlace(Effect):
    """Ask the engine whether somebody who joined later holds this identity; `PlaceAsked`."""

    epoch: int


@frozen
class DisconnectRoom(Effect):
    """Take the media connection down: the outage lasted too long."""
