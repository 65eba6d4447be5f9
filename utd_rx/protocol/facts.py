"""What a session's rules are told and what they ask for, beside the events of the room port.

Facts are past tense and never raise: whoever reports them is the authority. Effects are what the
shell must do; their results come back as facts, with the epoch (a local attempt) or generation
(the server's snapshots) they belong to, so that late ones are recognised.
"""

from __future__ import annotations

from attrs import frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.events import RoomSnapshot
from utd_rx.models.participant import TrackPublication
from utd_rx.models.seats import UTDSeatGrid


@frozen
class JoinStarted:
    """A join was begun; results of an earlier one are late from now on."""


@frozen
class JoinSucceeded:
    epoch: int
    snapshot: RoomSnapshot


@frozen
class JoinFailed:
    epoch: int
    error: UTDStreamException


@frozen
class LeaveStarted:
    """The app leaves; the media connection goes down behind it."""


@frozen
class DeadlinePassed:
    """The session's timer fired; which deadlines passed is read from the state."""


@frozen
class MicrophoneWanted:
    """The app switched the microphone on or off."""

    enabled: bool


@frozen
class MicrophonePublished:
    epoch: int
    track: TrackPublication


@frozen
class MicrophoneFailed:
    epoch: int
    error: UTDStreamException


@frozen
class MicrophoneMuted:
    epoch: int
    muted: bool


@frozen
class MicrophoneUnpublished:
    epoch: int


@frozen
class SeatGridReceived:
    """Room metadata carries this grid; only the engine writes there."""

    grid: UTDSeatGrid


@frozen
class SeatGridHinted:
    """A message without a sender claims this grid; the engine's, or a newcomer's forgery."""

    grid: UTDSeatGrid


@frozen
class SeatGridFetched:
    """A `GET` answered; `generation` is what the state's was when it was asked."""

    grid: UTDSeatGrid
    generation: int


@frozen
class SeatsNotFetched:
    """A `GET` failed."""

    error: UTDStreamException


@frozen
class PublishMicrophone:
    epoch: int


@frozen
class MuteMicrophone:
    epoch: int
    track_sid: str
    muted: bool


@frozen
class UnpublishMicrophone:
    epoch: int
    track_sid: str


@frozen
class CancelMicrophone:
    """Abandon the operation begun in `epoch`, and whatever it may have opened."""

    epoch: int


@frozen
class FetchSeats:
    """Ask `GET /seats`; answer with `SeatGridFetched` of the same generation."""

    generation: int


@frozen
class DisconnectRoom:
    """Take the media connection down: the outage lasted too long."""
