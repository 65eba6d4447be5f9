"""What an app sees of a session in a room, whoever gave it the token."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from reactivex import Observable
from reactivex import operators as ops
from reactivex.abc import SchedulerBase

from utd_rx.errors import UTDStreamException
from utd_rx.models import checks
from utd_rx.models.chat import ChatMessage
from utd_rx.models.connection import UTDConnectionState
from utd_rx.models.events import DataReceived, RoomEvent
from utd_rx.models.participant import LocalParticipant, Participant, RemoteParticipant
from utd_rx.models.room import RoomInfo
from utd_rx.models.transcript import TranscriptTurn
from utd_rx.protocol.chat import is_app_data
from utd_rx.protocol.session import SessionState
from utd_rx.protocol.waiting import Waiting
from utd_rx.sessions.view import Stream, View
from utd_rx.state import StateSubject, held_for

St = TypeVar("St", bound=Waiting)
T = TypeVar("T")


def common(read: Callable[[SessionState], T], doc: str) -> Stream[T]:
    """Return a stream that shows what all sessions in a room have."""
    return Stream(lambda state: read(state.session), doc)


class MediaView(View[St]):
    """The streams that all sessions in a room have."""

    _room_name: str
    _is_data: Callable[[RoomEvent], bool] = staticmethod(is_app_data)

    connected = common(lambda s: s.connection.is_connected, "Whether media flows now.")
    connection_state: Stream[UTDConnectionState] = common(
        lambda s: s.connection.state, "The lifecycle of the connection."
    )
    can_publish = common(
        lambda s: s.microphone.is_granted,
        "Whether this client may publish its microphone now, as the server grants it: in an audio "
        "room, seat and permission both.",
    )
    remote_participants: Stream[tuple[RemoteParticipant, ...]] = common(
        lambda s: s.roster.participants,
        "The others, in the order they came. While it is observed each commit that changes them "
        "costs their number; `select` what you need in a large room.",
    )
    active_speakers: Stream[tuple[str, ...]] = common(
        lambda s: s.roster.active_speakers, "Identities that speak now, loudest first."
    )
    room_info: Stream[RoomInfo] = common(
        lambda s: RoomInfo(s.roster.room_name, s.roster.room_sid, s.roster.metadata),
        "The room as the media server names it, with its metadata; it changes when this client is "
        "moved to another room.",
    )
    microphone_enabled = common(
        lambda s: s.microphone.is_on, "Whether others can hear this client's microphone."
    )
    microphone_failure: Stream[UTDStreamException | None] = common(
        lambda s: s.microphone.failure,
        "Why the microphone could not be published or ended, None once something else is asked.",
    )
    camera_enabled = common(
        lambda s: s.publications.camera.is_on, "Whether others can see this client's camera."
    )
    camera_failure: Stream[UTDStreamException | None] = common(
        lambda s: s.publications.camera.trouble,
        "Why the camera could not be published or ended, None once something else is asked; or "
        "that it is unplugged, until it is back.",
    )
    screen_share_enabled = common(
        lambda s: s.publications.screen.is_on, "Whether others can see this client's screen."
    )
    screen_share_failure: Stream[UTDStreamException | None] = common(
        lambda s: s.publications.screen.trouble,
        "Why the screen could not be published or ended, None once something else is asked; or "
        "that it is lost, until it is back.",
    )
    chat_history: Stream[tuple[ChatMessage, ...]] = common(
        lambda s: s.chat.history, "The last 300 chat messages, oldest first."
    )
    transcript: Stream[tuple[TranscriptTurn, ...]] = common(
        lambda s: s.transcript.turns,
        "The last 500 turns of what was said in the room, in the order they began, as whoever "
        "listens there, a voice agent for one, has written them down.",
    )
    failure: Stream[UTDStreamException | None] = common(
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
        return cast("Observable[DataReceived]", self._events.pipe(ops.filter(self._is_data)))

    def messages(self, topic: str) -> Observable[DataReceived]:
        """Return those of `data` that were sent with `topic`."""

        def is_on_topic(message: DataReceived) -> bool:
            return message.topic == topic

        return self.data.pipe(ops.filter(is_on_topic))

    def attribute(self, key: str, identity: str) -> StateSubject[str | None]:
        """Return what an attribute of somebody's is now, None while there is none, as a stream.

        Args:
            key: Which.
            identity: Whose; this client's own, too.

        Raises:
            UTDStreamException: `VALIDATION` for what is no identity or key.
        """
        checks.identity(identity)
        checks.identity(key, "key")

        def read(state: St) -> str | None:
            who: Participant | None = state.session.roster.find(identity)
            return None if who is None else who.attributes.get(key)

        return self.select(read, name=f"attribute {key}")

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

        def speaks(speakers: tuple[str, ...]) -> bool:
            return identity in speakers

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
