"""What a session's rules are told and what they ask for, beside the events of the room port.

Facts are past tense and never raise: whoever reports them is the authority. Effects are what the
shell must do; their results come back as facts, with the epoch (a local attempt) or generation
(the server's snapshots) they belong to, so that late ones are recognised.
"""

from __future__ import annotations

from attrs import frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.ban import UTDBanNotice
from utd_rx.models.chat import ChatMessage
from utd_rx.models.events import RoomSnapshot
from utd_rx.models.participant import TrackPublication
from utd_rx.models.role import UTDRole
from utd_rx.models.seats import Invitation, InvitationAnswer, UTDSeatGrid
from utd_rx.protocol.wire.speakers import ListedInvitation


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
class RejoinFailed:
    """Connecting anew in an outage failed; `jitter`, from 0 to 1, spreads the next attempts."""

    epoch: int
    error: UTDStreamException
    jitter: float


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
class ModeHinted:
    """A message without a sender claims that the grid has this layout now."""

    mode_id: str | None
    seat_count: int | None


@frozen
class QueueHinted:
    """A message without a sender claims that this speak request is, or is not, pending now."""

    request_id: int
    is_pending: bool


@frozen
class InvitationHinted:
    """A message without a sender claims that this offer was made."""

    invitation: Invitation


@frozen
class InvitationsListed:
    """The engine said what this client was offered; asked for in join `epoch`."""

    epoch: int
    invitations: tuple[ListedInvitation, ...]


@frozen
class InvitationsNotListed:
    """The engine did not say; `is_absent`: it has no such list at all."""

    epoch: int
    is_absent: bool


@frozen
class InvitationAnswered:
    """The offer is over: accepted, declined, or the engine knows no such offer."""

    invitation_id: int


@frozen
class InvitationAnswerHinted:
    """A message without a sender claims that an offer was accepted or declined."""

    answer: InvitationAnswer


@frozen
class SpeakRequested:
    """The app waits for this request to be approved, to speak at once; None: not any more."""

    request_id: int | None


@frozen
class SeatGridFetched:
    """A `GET` answered; `generation` and `answers` are what the state's were when it was asked.

    Without `answers` it overlapped no other one.
    """

    grid: UTDSeatGrid
    generation: int
    answers: int | None = None


@frozen
class SeatsNotFetched:
    """A `GET` failed."""

    error: UTDStreamException


@frozen
class RoleHinted:
    """A message without a sender claims that somebody's role is this now; None: one not known."""

    identity: str
    role: UTDRole | None


@frozen
class RoleFetched:
    """The engine said which role somebody has; `generation` is what it was when it was asked."""

    identity: str
    role: UTDRole | None
    generation: int


@frozen
class RoleNotFetched:
    """The engine did not say."""

    identity: str


@frozen
class BanHinted:
    """A message without a sender claims that `identity`, None for this client, is banned."""

    identity: str | None
    notice: UTDBanNotice


@frozen
class LockHinted:
    """A message without a sender claims that the chat is, or is not, locked now."""

    is_locked: bool


@frozen
class BanAnswered:
    """The engine said whether the removal that ended join `epoch` was a ban; None: it did not."""

    epoch: int
    is_banned: bool | None


@frozen
class ChatSent:
    """A chat message of this client is on its way."""

    message: ChatMessage


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
    """Ask `GET /seats`; answer with `SeatGridFetched` of the same generation and answers."""

    generation: int
    answers: int = 0


@frozen
class FetchInvitations:
    """Ask what this client was offered; answer with `InvitationsListed` of the same epoch."""

    epoch: int


@frozen
class FetchRole:
    """Ask which role `identity` has; answer with `RoleFetched` of the same generation."""

    identity: str
    generation: int


@frozen
class AskBan:
    """Ask whether this client is banned; answer with `BanAnswered` of the same epoch."""

    epoch: int


@frozen
class Rejoin:
    """Connect anew with the last token; answer with `Reconnected` or `RejoinFailed`."""

    epoch: int


@frozen
class DisconnectRoom:
    """Take the media connection down: the outage lasted too long."""
