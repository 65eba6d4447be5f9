"""The kinds of sessions, a row for each: what a shell, a recorder and a replay must know of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType
from typing import Any, Final, Generic, TypeAlias, TypeVar

import attrs
from attrs import field, frozen

from utd_rx.models import agent_events, events
from utd_rx.models.stream_type import EnginelessType, SessionType, UTDStreamType
from utd_rx.models.typed_json import DecodeError, decode, encode, teach
from utd_rx.protocol import audio_room, call, chat, live_stream, promises, room, waiting
from utd_rx.protocol.agent import promises as agent_promises
from utd_rx.protocol.agent import session as agent_session
from utd_rx.protocol.agent.session import AgentState
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.call import CallState
from utd_rx.protocol.data import SEATS_IN_ROOM, STAGE_IN_ROOM, Decoder, RoomKey
from utd_rx.protocol.deadlines import earliest
from utd_rx.protocol.facts import (
    Effect,
    Fact,
    agent,
    calls,
    connection,
    media,
    people,
    seats,
    stage,
    subscribing,
    words,
)
from utd_rx.protocol.live_promises import ON_STAGE
from utd_rx.protocol.live_stream import LiveStreamState
from utd_rx.protocol.room import PlainRoomState
from utd_rx.protocol.session import SessionState
from utd_rx.protocol.waiting import Promise, Waiting

St = TypeVar("St", bound=Waiting)

# Inside the class `type` is the product type.
Types: TypeAlias = tuple[type, ...]
StateType: TypeAlias = type[Any]


def _all(base: type, *modules: ModuleType) -> Types:
    """Return every value class of the `modules` that is a `base`."""
    return tuple(
        kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, base) and attrs.has(kind)
        if kind is not base
    )


@frozen
class Kind(Generic[St]):
    """One kind of session.

    `begin` makes the state to begin with, from the identity and whether it claims to be host;
    `rules` and `deadline` know nothing of waits. It can be told `facts`, which a recording of it
    holds, asks its shell for `effects`, each of which has a handler, waits for `promises`, listens
    to the engine's messages that have `decoders`, and reads the `room_keys` of room metadata.

    `step` returns the state after a fact, its waits among it, and what it calls for; total.
    """

    type: SessionType
    state: StateType
    begin: Callable[[str, bool], St] = field(repr=False)
    rules: waiting.Step[St] = field(repr=False)
    deadline: Callable[[St], float | None] = field(repr=False)
    facts: Types = field(repr=False)
    effects: Types = field(repr=False)
    promises: Types = field(repr=False)
    decoders: Mapping[str, Decoder] = field(factory=dict, repr=False)
    room_keys: tuple[RoomKey[Any], ...] = field(default=(), repr=False)
    is_moderated: bool = True
    """Whether hosts and admins may mute, kick, ban, give roles and lock the chat in it."""

    events: StateType = field(default=events.RoomEvent, repr=False)
    """The base of those facts that `session.events` tells as well."""

    step: waiting.Step[St] = field(init=False, repr=False)

    @step.default
    def _step(self) -> waiting.Step[St]:
        return partial(waiting.step, self.rules)

    def next_deadline(self, state: St) -> float | None:
        return earliest(self.deadline(state), waiting.next_deadline(state))


def _claiming(claims_host: bool) -> SessionState:
    return SessionState(is_host=claims_host, claims_host=claims_host)


COMMON_NOUNS: Final = (connection, media, people, subscribing, waiting, words)
"""Of every session in a room."""

AUDIO_ROOM_NOUNS: Final = (*COMMON_NOUNS, seats)
AUDIO_ROOM: Final = Kind(
    type=UTDStreamType.AUDIO_ROOM,
    state=AudioRoomState,
    begin=lambda identity, claims_host: AudioRoomState(identity, _claiming(claims_host)),
    rules=audio_room.step,
    deadline=audio_room.next_deadline,
    facts=(*_all(Fact, *AUDIO_ROOM_NOUNS), *_all(events.RoomEvent, events)),
    effects=_all(Effect, *AUDIO_ROOM_NOUNS),
    promises=(*promises.ANY_SESSION, *promises.SEATED),
    decoders=audio_room.DECODERS,
    room_keys=(SEATS_IN_ROOM, chat.LOCK_IN_ROOM),
)

LIVE_STREAM_NOUNS: Final = (*COMMON_NOUNS, stage)
LIVE_STREAM: Final = Kind(
    type=UTDStreamType.LIVE_STREAM,
    state=LiveStreamState,
    begin=lambda identity, claims_host: LiveStreamState(identity, _claiming(claims_host)),
    rules=live_stream.step,
    deadline=live_stream.next_deadline,
    facts=(*_all(Fact, *LIVE_STREAM_NOUNS), *_all(events.RoomEvent, events)),
    effects=_all(Effect, *LIVE_STREAM_NOUNS),
    promises=(*promises.ANY_SESSION, *ON_STAGE),
    decoders=live_stream.DECODERS,
    room_keys=(STAGE_IN_ROOM, chat.LOCK_IN_ROOM),
)

CALL_NOUNS: Final = (*COMMON_NOUNS, calls)


def _call(type_: UTDStreamType) -> Kind[CallState]:
    return Kind(
        type=type_,
        state=CallState,
        begin=lambda identity, _: CallState(identity, type_.has_video),
        rules=call.step,
        deadline=call.next_deadline,
        facts=(*_all(Fact, *CALL_NOUNS), *_all(events.RoomEvent, events)),
        effects=_all(Effect, *CALL_NOUNS),
        promises=promises.ANY_SESSION,
        decoders=call.DECODERS,
        room_keys=(call.CALL_IN_ROOM, chat.LOCK_IN_ROOM),
        is_moderated=False,
    )


AUDIO_CALL: Final = _call(UTDStreamType.AUDIO_CALL)
VIDEO_CALL: Final = _call(UTDStreamType.VIDEO_CALL)

_ASKED: Final = (connection.AskPlace, people.AskBan, people.FetchRole)
"""What only an engine can answer."""

_ANSWERED: Final = (
    *(connection.JoinAdmitted, connection.PlaceAsked),
    *_all(Fact, people),
)
"""What only an engine tells."""

ROOM: Final = Kind(
    type=EnginelessType.ROOM,
    state=PlainRoomState,
    begin=lambda identity, _: PlainRoomState(identity),
    rules=room.step,
    deadline=room.next_deadline,
    facts=(
        *(fact for fact in _all(Fact, *COMMON_NOUNS) if fact not in _ANSWERED),
        *_all(events.RoomEvent, events),
    ),
    effects=tuple(effect for effect in _all(Effect, *COMMON_NOUNS) if effect not in _ASKED),
    promises=promises.ANY_ROOM,
    is_moderated=False,
)

VOICE_AGENT: Final = Kind(
    type=EnginelessType.VOICE_AGENT,
    state=AgentState,
    begin=lambda identity, claims_host: AgentState(),
    rules=agent_session.step,
    deadline=agent_session.next_deadline,
    # The agent's voice goes past the rules.
    facts=(
        *_all(Fact, agent, waiting),
        connection.DeadlinePassed,
        *(
            event
            for event in _all(agent_events.AgentEvent, agent_events)
            if event is not agent_events.AgentAudio
        ),
    ),
    effects=_all(Effect, agent, waiting),
    promises=_all(waiting.Promise, agent_promises),
    is_moderated=False,
    events=agent_events.AgentEvent,
)

KINDS: Final[dict[SessionType, Kind[Any]]] = {
    kind.type: kind for kind in (AUDIO_ROOM, LIVE_STREAM, AUDIO_CALL, VIDEO_CALL, ROOM, VOICE_AGENT)
}


def _promises() -> dict[str, type]:
    return {one.__name__: one for kind in KINDS.values() for one in kind.promises}


def _write_promise(value: object) -> object:
    name = type(value).__name__
    if _promises().get(name) is not type(value):  # nobody could read it
        raise KeyError(name)
    return [name, encode(value)]


def _read_promise(wire: object) -> object:
    if not isinstance(wire, list):
        raise DecodeError(f"expected list, got {type(wire).__name__}")
    name, fields = wire
    return decode(_promises()[name], fields)


teach(Promise, (_write_promise, _read_promise))
