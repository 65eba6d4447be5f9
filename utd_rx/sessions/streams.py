"""What an app sees of a session, whatever feeds it: a room, or a recording of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar, cast

from reactivex import Observable
from reactivex import operators as ops

from utd_rx.errors import UTDStreamException
from utd_rx.models.ban import UTDBanNotice
from utd_rx.models.chat import ChatMessage
from utd_rx.models.connection import UTDConnectionState
from utd_rx.models.events import DataReceived, RoomEvent
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import LocalParticipant, RemoteParticipant
from utd_rx.models.role import UTDRole
from utd_rx.models.seats import Invitation, InvitationAnswer, SpeakRequest, UTDSeat, UTDSeatGrid
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.chat import is_app_data
from utd_rx.protocol.data import invitation_answer
from utd_rx.protocol.publishing import Publishing
from utd_rx.protocol.session import SessionState
from utd_rx.state import Machine, StateSubject

St = TypeVar("St")
T = TypeVar("T")


class SessionStreams(ABC, Generic[St]):
    """The streams all session types have; each is a `StateSubject` on one machine.

    Attributes:
        type: The product type.
        connected: Whether media flows now.
        connection_state: The lifecycle of the connection.
        can_publish: Whether this client may publish now, as the server grants it: in an audio
            room, seat and permission both.
        remote_participants: The others, in the order they came. While it is observed each commit
            that changes them costs their number; `select` what you need in a large room.
        active_speakers: Identities that speak now, loudest first.
        microphone_enabled: Whether others can hear this client's microphone.
        roles: Role by identity, of everybody in the room who has one.
        chat_locked: Whether the audience may not write in the chat.
        chat_history: The last 300 chat messages, oldest first.
        banned: This client is banned; told once, until a join succeeds.
        failure: Why the session is not connected, None while it is or was not meant to be.
        state: The whole state, one frozen value.
    """

    type: UTDStreamType

    def __init__(self, machine: Machine[St, Any, Any], events: Observable[RoomEvent]) -> None:
        self._machine = machine
        self._events = events
        self.state: StateSubject[St] = machine.select(lambda state: state, name="state")
        self.connected = self._select(lambda s: s.connection.is_connected, "connected")
        self.connection_state: StateSubject[UTDConnectionState] = self._select(
            lambda s: s.connection.state, "connection_state"
        )
        self.can_publish = self._select(lambda s: s.microphone.is_granted, "can_publish")
        self.remote_participants: StateSubject[tuple[RemoteParticipant, ...]] = self._select(
            lambda s: s.roster.participants, "remote_participants"
        )
        self.active_speakers: StateSubject[tuple[str, ...]] = self._select(
            lambda s: s.roster.active_speakers, "active_speakers"
        )
        self.microphone_enabled = self._select(lambda s: s.microphone.is_on, "microphone_enabled")
        self.roles: StateSubject[FrozenMap[str, UTDRole]] = self._select(
            lambda s: s.roles.known, "roles"
        )
        self.chat_locked = self._select(lambda s: s.chat.is_locked, "chat_locked")
        self.chat_history: StateSubject[tuple[ChatMessage, ...]] = self._select(
            lambda s: s.chat.history, "chat_history"
        )
        self.banned: StateSubject[UTDBanNotice | None] = self._select(
            lambda s: s.bans.notice, "banned"
        )
        self.failure: StateSubject[UTDStreamException | None] = self._select(
            lambda s: s.connection.failure, "failure"
        )
        self._publishing: StateSubject[Publishing] = self._select(
            lambda s: s.microphone, "publishing"
        )

    @abstractmethod
    def _common(self, state: St) -> SessionState:
        """Return the part of the state that all session types share."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """Who this client is in the room."""

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

    @property
    def local_participant(self) -> LocalParticipant | None:
        """This client's own participant, None before the first connection."""
        return self._common(self._machine.state).roster.local

    def select(self, f: Callable[[St], T], *, name: str = "") -> StateSubject[T]:
        """Derive a stream from the whole state; see `utd_rx.state.Store.select`."""
        return self._machine.select(f, name=name)

    def _select(self, f: Callable[[SessionState], T], name: str) -> StateSubject[T]:
        common = self._common
        return self._machine.select(lambda state: f(common(state)), name=name)


class AudioRoomStreams(SessionStreams[AudioRoomState]):
    """The streams of an audio room.

    Attributes:
        room_name: The un-prefixed name.
        seats: The grid as the engine last told it, never optimistic.
        my_seat: The seat this client sits on, None when it has none.
        pending_requests: Who waits for a seat in request mode, in order; `age` says how long.
        invitations: The open offers of a seat to this client, oldest first, as the engine lists
            them. Of an engine that lists none each is only what a message says, and proven when
            it is accepted.
    """

    type = UTDStreamType.AUDIO_ROOM
    room_name: str

    def __init__(
        self, machine: Machine[AudioRoomState, Any, Any], events: Observable[RoomEvent]
    ) -> None:
        super().__init__(machine, events)
        self.seats: StateSubject[UTDSeatGrid] = self.select(lambda s: s.seats.grid, name="seats")
        self.my_seat: StateSubject[UTDSeat | None] = self.select(
            lambda s: s.my_seat, name="my_seat"
        )
        self.pending_requests: StateSubject[tuple[SpeakRequest, ...]] = self.select(
            lambda s: s.seats.grid.requests, name="pending_requests"
        )
        self.invitations: StateSubject[tuple[Invitation, ...]] = self.select(
            lambda s: s.speakers.invitations, name="invitations"
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

    def _common(self, state: AudioRoomState) -> SessionState:
        return state.session
