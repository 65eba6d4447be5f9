"""What an app sees of a session, whatever feeds it: a room, or a recording of one.

The streams of each kind are declared once, here; a live session and its replay are both a view.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final, TypeVar, cast

from reactivex import Observable
from reactivex import operators as ops

from utd_rx.models.ban import UTDBanNotice
from utd_rx.models.call import UTDCall, UTDCallEndReason, UTDCallStatus
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.role import UTDRole
from utd_rx.models.seats import Invitation, InvitationAnswer, SpeakRequest, UTDSeat, UTDSeatGrid
from utd_rx.models.stage import StageRequest, UTDStageMember
from utd_rx.models.stream_type import EnginelessType, UTDStreamType
from utd_rx.protocol.agent.session import AgentState
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.call import CallState
from utd_rx.protocol.chat import is_plain_data
from utd_rx.protocol.data import invitation_answer
from utd_rx.protocol.kinds import AUDIO_ROOM, LIVE_STREAM, ROOM
from utd_rx.protocol.live_stream import LiveStreamState
from utd_rx.protocol.room import PlainRoomState
from utd_rx.protocol.waiting import Waiting
from utd_rx.sessions.agent_view import AgentView
from utd_rx.sessions.media_view import MediaView, common
from utd_rx.sessions.view import Stream, View

St = TypeVar("St", bound=Waiting)


class SessionView(MediaView[St]):
    """The streams that all sessions of an engine have."""

    type: UTDStreamType

    roles: Stream[FrozenMap[str, UTDRole]] = common(
        lambda s: s.roles.known, "Role by identity, of everybody in the room who has one."
    )
    chat_locked = common(
        lambda s: s.chat.is_locked, "Whether the audience may not write in the chat."
    )
    banned: Stream[UTDBanNotice | None] = common(
        lambda s: s.bans.notice, "This client is banned; told once, until a join succeeds."
    )

    @property
    def is_host(self) -> bool:
        """Whether this client is the host: a claim, until a join says what was granted."""
        return self._session.is_host


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


class RoomView(MediaView[PlainRoomState]):
    """The streams of a session in a plain room."""

    _IN_HTML = ("connection_state", "failure", "remote_participants", "microphone_enabled")
    kind = ROOM
    type = EnginelessType.ROOM
    _is_data = staticmethod(is_plain_data)

    @property
    def identity(self) -> str:
        """Who this client is in the room; before the first connection what its token says, ""
        when that is not known."""
        return self._session.identity or str(self._machine.state.identity)

    @property
    def room_name(self) -> str:
        """The room's name; before the first connection what the token says, "" when that is not
        known."""
        return self._session.roster.room_name or self._room_name


VIEWS: Final[dict[type, type[View[Any]]]] = {
    AudioRoomState: AudioRoomView,
    LiveStreamState: LiveStreamView,
    CallState: CallView,
    PlainRoomState: RoomView,
    AgentState: AgentView,
}
"""The view of each kind of session, by its state."""
