"""What an app sees of a session, whatever feeds it: a room, or a recording of one.

The streams of each kind are declared once, here; a live session and its replay are both a view.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar, cast

from reactivex import Observable
from reactivex import operators as ops
from reactivex.abc import SchedulerBase

from utd_rx.errors import UTDStreamException
from utd_rx.models import checks
from utd_rx.models.ban import UTDBanNotice
from utd_rx.models.call import UTDCall, UTDCallEndReason, UTDCallStatus
from utd_rx.models.chat import ChatMessage
from utd_rx.models.connection import UTDConnectionState
from utd_rx.models.events import DataReceived, RoomEvent
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import LocalParticipant, RemoteParticipant
from utd_rx.models.role import UTDRole
from utd_rx.models.seats import Invitation, InvitationAnswer, SpeakRequest, UTDSeat, UTDSeatGrid
from utd_rx.models.stage import StageRequest, UTDStageMember
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.agent.session import AgentState
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.call import CallState
from utd_rx.protocol.chat import is_app_data
from utd_rx.protocol.data import invitation_answer
from utd_rx.protocol.kinds import AUDIO_ROOM, LIVE_STREAM
from utd_rx.protocol.live_stream import LiveStreamState
from utd_rx.protocol.session import SessionState
from utd_rx.protocol.waiting import Waiting
from utd_rx.sessions.agent_view import AgentView
from utd_rx.sessions.view import Stream, View
from utd_rx.state import held_for

St = TypeVar("St", bound=Waiting)
T = TypeVar("T")


def _common(read: Callable[[SessionState], T], doc: str) -> Stream[T]:
    return Stream(lambda state: read(state.session), doc)


class SessionView(View[St]):
    """The streams that all sessions in a room have."""

    type: UTDStreamType
    _room_name: str

    connected = _common(lambda s: s.connection.is_connected, "Whether media flows now.")
    connection_state: Stream[UTDConnectionState] = _common(
        lambda s: s.connection.state, "The lifecycle of the connection."
    )
    can_publish = _common(
        lambda s: s.microphone.is_granted,
        "Whether this client may publish now, as the server grants it: in an audio room, seat and "
        "permission both.",
    )
    remote_participants: Stream[tuple[RemoteParticipant, ...]] = _common(
        lambda s: s.roster.participants,
        "The others, in the order they came. While it is observed each commit that changes them "
        "costs their number; `select` what you need in a large room.",
    )
    active_speakers: Stream[tuple[str, ...]] = _common(
        lambda s: s.roster.active_speakers, "Identities that speak now, loudest first."
    )
    microphone_enabled = _common(
        lambda s: s.microphone.is_on, "Whether others can hear this client's microphone."
    )
    microphone_failure: Stream[UTDStreamException | None] = _common(
        lambda s: s.microphone.failure,
        "Why the microphone could not be published or ended, None once something else is asked.",
    )
    camera_enabled = _common(
        lambda s: s.publications.camera.is_on, "Whether others can see this client's camera."
    )
    camera_failure: Stream[UTDStreamException | None] = _common(
        lambda s: s.publications.camera.trouble,
        "Why the camera could not be published or ended, None once something else is asked; or "
        "that it is unplugged, until it is back.",
    )
    screen_share_enabled = _common(
        lambda s: s.publications.screen.is_on, "Whether others can see this client's screen."
    )
    screen_share_failure: Stream[UTDStreamException | None] = _common(
        lambda s: s.publications.screen.trouble,
        "Why the screen could not be published or ended, None once something else is asked; or "
        "that it is lost, until it is back.",
    )
    roles: Stream[FrozenMap[str, UTDRole]] = _common(
        lambda s: s.roles.known, "Role by identity, of everybody in the room who has one."
    )
    chat_locked = _common(
        lambda s: s.chat.is_locked, "Whether the audience may not write in the chat."
    )
    chat_history: Stream[tuple[ChatMessage, ...]] = _common(
        lambda s: s.chat.history, "The last 300 chat messages, oldest first."
    )
    banned: Stream[UTDBanNotice | None] = _common(
        lambda s: s.bans.notice, "This client is banned; told once, until a join succeeds."
    )
    failure: Stream[UTDStreamException | None] = _common(
        lambda s: s.connection.failure,
        "Why the session is not connected, None while it is or was not meant to be.",
    )

    @property
    def room_name(self) -> str:
        """The un-prefixed name."""
        return self._room_name

    @property
    def identity(self) -> str:
        """Who this client is in the room; "" before the first connection."""
        return self._session.identity

    @property
    def is_host(self) -> bool:
        """Whether this client is the host: a claim, until a join says what was granted."""
        return self._session.is_host

    @property
    def local_participant(self) -> LocalParticipant | None:
        """This client's own participant, None before the first connection."""
        return self._session.roster.local

    @property
    def events(self) -> Observable[RoomEvent]:
        """Every room event as a typed frozen value, hot, after the commit it is part of."""
        return self._events

    @property
    def data(self) -> Observable[DataReceived]:
        """The app's own data messages, hot: neither the engine's, nor forged ones, nor chat."""
        return cast("Observable[DataReceived]", self._events.pipe(ops.filter(is_app_data)))

    def messages(self, topic: str) -> Observable[DataReceived]:
        """Return those of `data` that were sent with `topic`."""
        is_on_topic: Callable[[DataReceived], bool] = lambda message: message.topic == topic  # noqa: E731
        return self.data.pipe(ops.filter(is_on_topic))

    def speaking_for(
        self,
        identity: str,
        seconds: float,
        *,
        pause: float = 1.0,
        scheduler: SchedulerBase | None = None,
    ) -> Observable[str]:
        """Emit `identity` once it has spoken for `seconds`, each time it does so.

        Args:
            identity: Whose voice; `active_speakers` says who speaks.
            seconds: For how long.
            pause: Seconds of silence that end it; people draw breath.
            scheduler: As of `held_for`.

        Raises:
            UTDStreamException: `VALIDATION`: no identity, or times that are none.
        """
        checks.identity(identity)
        speaks: Callable[[tuple[str, ...]], bool] = lambda speakers: identity in speakers  # noqa: E731
        return self.active_speakers.pipe(
            held_for(speaks, seconds, pause=pause, scheduler=scheduler),
            ops.map(lambda _: identity),
        )

    @property
    def _summary(self) -> str:
        how = "closed" if self._machine.closed else self.connection_state.value.value
        return f"{self.room_name!r} as {self.identity!r}, {how}"

    @property
    def _names(self) -> tuple[str, str]:
        return self.identity, self.room_name

    @property
    def _session(self) -> SessionState:
        session: SessionState = self._machine.state.session
        return session


class AudioRoomView(SessionView[AudioRoomState]):
    """The streams of an audio room."""

    _IN_HTML = ("connection_state", "failure", "seats", "invitations", "microphone_enabled")
    kind = AUDIO_ROOM
    type = UTDStreamType.AUDIO_ROOM

    seats: Stream[UTDSeatGrid] = Stream(
        lambda s: s.seats.grid, "The grid as the engine last told it, never optimistic."
    )
    my_seat: Stream[UTDSeat | None] = Stream(
        lambda s: s.my_seat, "The seat this client sits on, None when it has none."
    )
    pending_requests: Stream[tuple[SpeakRequest, ...]] = Stream(
        lambda s: s.seats.grid.requests,
        "Who waits for a seat in request mode, in order; `age` says how long.",
    )
    invitations: Stream[tuple[Invitation, ...]] = Stream(
        lambda s: s.speakers.invitations,
        "The open offers of a seat to this client, oldest first, as the engine lists them. Of an "
        "engine that lists none each is only what a message says, and proven when it is accepted.",
    )

    @property
    def identity(self) -> str:
        """Who this client is in the room."""
        return self._machine.state.identity

    @property
    def invitation_answers(self) -> Observable[InvitationAnswer]:
        """What became of the invitations this client made, hot.

        It is what the engine's messages say: one may be lost, and within 3 s of their join a
        newcomer may forge one. Who sits is in `seats`.
        """
        answer_in = partial(invitation_answer, inviter=self.identity)
        answers = self._events.pipe(ops.map(answer_in), ops.filter(lambda one: one is not None))
        return cast("Observable[InvitationAnswer]", answers)


class LiveStreamView(SessionView[LiveStreamState]):
    """The streams of a live stream."""

    _IN_HTML = ("connection_state", "failure", "stage", "stage_requests", "viewer_count")
    kind = LIVE_STREAM
    type = UTDStreamType.LIVE_STREAM

    stage: Stream[tuple[UTDStageMember, ...]] = Stream(
        lambda s: s.stage.stage.members,
        "Who may publish: the host first, then in the order of promotion, as the engine tells it.",
    )
    stage_requests: Stream[tuple[StageRequest, ...]] = Stream(
        lambda s: s.stage.requests,
        "Who has raised a hand, the oldest first, for hosts and admins; `age` says how long.",
    )
    hand_raised: Stream[bool] = Stream(
        lambda s: s.stage.is_hand_up, "Whether this client's own hand is up."
    )
    live_ended: Stream[bool] = Stream(
        lambda s: s.broadcast.is_over,
        "Whether the broadcast is over: the host ended it, or did not come back within the "
        "engine's time. False again when the host publishes again, or with the next join.",
    )
    viewer_count: Stream[int] = Stream(
        lambda s: s.viewer_count,
        "How many are in the room and not on the stage, this client among them.",
    )

    @property
    def identity(self) -> str:
        """Who this client is in the room."""
        return self._machine.state.identity


class CallView(SessionView[CallState]):
    """The streams of a call session; they are about the last call until the next one.

    All are read from one value, so they never contradict each other.
    """

    _IN_HTML = ("connection_state", "failure", "call", "duration")

    status: Stream[UTDCallStatus | None] = Stream(
        lambda s: s.status, "Where the call stands, None before the first one."
    )
    call_id: Stream[str | None] = Stream(
        lambda s: s.call_id, "The engine's id of it; None also where the callee was on a call."
    )
    call: Stream[UTDCall | None] = Stream(
        lambda s: s.call, "The whole, without credentials; None where there is no id."
    )
    peer: Stream[str | None] = Stream(
        lambda s: s.peer, "The identity at the other end, None while the engine has not told it."
    )
    peer_name: Stream[str | None] = Stream(
        lambda s: s.peer_name, "Their display name, None where there is none."
    )
    duration: Stream[float | None] = Stream(
        lambda s: s.duration,
        "Whole seconds since the answer, None before it; in the end, what the engine says.",
    )
    end_reason: Stream[UTDCallEndReason | None] = Stream(
        lambda s: s.end_reason, "Why it is over, None while it is not."
    )

    @property
    def identity(self) -> str:
        """Who this client is."""
        return self._machine.state.identity

    @property
    def _summary(self) -> str:
        call = "no call" if self.status.value is None else self.status.value.value
        peer = "" if self.peer.value is None else f" with {self.peer.value!r}"
        return f"as {self.identity!r}, {call}{peer}{', closed' if self._machine.closed else ''}"

    @property
    def room_name(self) -> str:
        """The room of the call, which is named by its id; "" before the first one."""
        return self._machine.state.call_id or ""


VIEWS: Final[dict[type, type[View[Any]]]] = {
    AudioRoomState: AudioRoomView,
    LiveStreamState: LiveStreamView,
    CallState: CallView,
    AgentState: AgentView,
}
"""The view of each kind of session, by its state."""
