"""What is told and asked about seats, requests to speak and invitations."""

from __future__ import annotations

from attrs import frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.seats import Invitation, InvitationAnswer, UTDSeatGrid
from utd_rx.protocol.facts import Effect, Fact
from utd_rx.protocol.wire.speakers import ListedInvitation


@frozen
class SeatGridReceived(Fact):
    """Room metadata carries this grid; only the engine writes there."""

    grid: UTDSeatGrid


@frozen
class SeatGridHinted(Fact):
    """A message without a sender claims this grid; the engine's, or a newcomer's forgery."""

    grid: UTDSeatGrid


@frozen
class ModeHinted(Fact):
    """A message without a sender claims that the grid has this layout now."""

    mode_id: str | None
    seat_count: int | None


@frozen
class QueueHinted(Fact):
    """A message without a sender claims that this speak request is, or is not, pending now."""

    request_id: int
    is_pending: bool


@frozen
class InvitationHinted(Fact):
    """A message without a sender claims that this offer was made."""

    invitation: Invitation


@frozen
class InvitationAnswerHinted(Fact):
    """A message without a sender claims that an offer was accepted or declined."""

    answer: InvitationAnswer


@frozen
class InvitationsListed(Fact):
    """The engine said what this client was offered; asked for in join `epoch`."""

    epoch: int
    invitations: tuple[ListedInvitation, ...]


@frozen
class InvitationsNotListed(Fact):
    """The engine did not say; `is_absent`: it has no such list at all."""

    epoch: int
    is_absent: bool


@frozen
class InvitationAnswered(Fact):
    """The offer is over: accepted, declined, or the engine knows no such offer."""

    invitation_id: int


@frozen
class SpeakRequested(Fact):
    """The app asked in order to speak, after its word number `stated` about the microphone."""

    request_id: int
    stated: int = 0


@frozen
class SpeakingForgone(Fact):
    """The app does not wait for that any more; `request_id` None: whichever it was."""

    request_id: int | None = None


@frozen
class SeatGridFetched(Fact):
    """A `GET` answered; `generation` and `answers` are what the state's were when it was asked.

    Without `answers` it overlapped no other one. `wait_id` is the command's that asked.
    """

    grid: UTDSeatGrid
    generation: int
    answers: int | None = None
    wait_id: int | None = None


@frozen
class SeatsNotFetched(Fact):
    """A `GET` failed."""

    error: UTDStreamException
    wait_id: int | None = None


@frozen
class SeatingStarted(Fact):
    """A command that waits for a seat was begun in join `epoch`; `speaks` then, None: as before."""

    speaks: bool | None
    epoch: int


@frozen
class SeatingEnded(Fact):
    """That of join `epoch` is over."""

    epoch: int


@frozen
class FetchSeats(Effect):
    """Ask `GET /seats`; `SeatGridFetched` of the same three, or `SeatsNotFetched`."""

    generation: int
    answers: int = 0
    wait_id: int | None = None


@frozen
class FetchInvitations(Effect):
    """Ask what this client was offered; answer with `InvitationsListed` of the same epoch."""

    epoch: int
