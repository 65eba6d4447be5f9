"""The kinds of sessions, a row for each: what a shell, a recorder and a replay must know of one.

What a kind adds is its rules (a state and a `step`), its row here, the streams an app sees
(`sessions.views`) and a façade over collaborators (`sessions`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeAlias, TypeVar, get_args

from attrs import field, frozen

from utd_rx.models import events
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol import audio_room, promises, waiting
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.data import Decoder
from utd_rx.protocol.deadlines import earliest
from utd_rx.protocol.facts.connection import ConnectionEffect, ConnectionFact
from utd_rx.protocol.facts.media import MediaEffect, MediaFact
from utd_rx.protocol.facts.people import PeopleEffect, PeopleFact
from utd_rx.protocol.facts.seats import SeatEffect, SeatFact
from utd_rx.protocol.session import SessionState
from utd_rx.protocol.waiting import Effects, WaitEffect, WaitFact, Waiting

St = TypeVar("St", bound=Waiting)

# Inside the class `type` is the product type.
Types: TypeAlias = tuple[type, ...]
StateType: TypeAlias = type[Any]

ROOM_EVENTS: Final[Types] = tuple(
    kind
    for kind in vars(events).values()
    if isinstance(kind, type)
    and issubclass(kind, events.RoomEvent)
    and kind is not events.RoomEvent
)
"""What a room tells; every kind of session hears all of it."""


def _types(*unions: Any) -> Types:
    """Return the members of closed unions; one of one member is that member."""
    return tuple(kind for union in unions for kind in (get_args(union) or (union,)))


@frozen
class Kind(Generic[St]):
    """One kind of session.

    Args:
        type: The product type.
        state: The class of its state.
        begin: Makes the state to begin with, from the identity and whether it claims to be host.
        rules: Its pure step, without waits.
        deadline: When the rules must hear that time has passed, None for never; without waits.
        facts: What it can be told: what a recording of it holds.
        effects: What it asks of its shell: each has a handler.
        promises: What its commands wait for.
        decoders: The engine's messages that it listens to.
    """

    type: UTDStreamType
    state: StateType
    begin: Callable[[str, bool], St] = field(repr=False)
    rules: waiting.Step[St] = field(repr=False)
    deadline: Callable[[St], float | None] = field(repr=False)
    facts: Types = field(repr=False)
    effects: Types = field(repr=False)
    promises: Types = field(repr=False)
    decoders: Mapping[str, Decoder] = field(repr=False)

    def step(self, state: St, fact: object, now: float) -> tuple[St, Effects]:
        """Return the state after `fact`, its waits among it, and what it calls for; total."""
        return waiting.step(self.rules, state, fact, now)

    def next_deadline(self, state: St) -> float | None:
        """Return when the session's timer must fire, in monotonic seconds; None for never."""
        return earliest(self.deadline(state), waiting.next_deadline(state))


def _audio_room(identity: str, claims_host: bool) -> AudioRoomState:
    session = SessionState(is_host=claims_host, claims_host=claims_host)
    return AudioRoomState(identity, session)


AUDIO_ROOM: Final = Kind(
    type=UTDStreamType.AUDIO_ROOM,
    state=AudioRoomState,
    begin=_audio_room,
    rules=audio_room.step,
    deadline=audio_room.next_deadline,
    facts=(*_types(ConnectionFact, MediaFact, PeopleFact, SeatFact, WaitFact), *ROOM_EVENTS),
    effects=_types(ConnectionEffect, MediaEffect, PeopleEffect, SeatEffect, WaitEffect),
    promises=(*promises.ANY_SESSION, *promises.SEATED),
    decoders=audio_room.DECODERS,
)

KINDS: Final[dict[UTDStreamType, Kind[Any]]] = {AUDIO_ROOM.type: AUDIO_ROOM}
