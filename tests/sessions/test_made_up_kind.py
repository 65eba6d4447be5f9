"""A kind of session is its rules, its row and its view: nothing else has to know of it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, cast

import pytest
from attrs import evolve, field, frozen

from tests.sessions.watching import settle
from utd_rx.models.events import DataReceived, RoomMetadataChanged
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol import data
from utd_rx.protocol import session as session_rules
from utd_rx.protocol.facts import Effect, Effects, Fact, seats
from utd_rx.protocol.kinds import AUDIO_ROOM, KINDS, Kind
from utd_rx.protocol.promises import ANY_SESSION
from utd_rx.protocol.session import SessionState
from utd_rx.protocol.waiting import Promise, Wait
from utd_rx.protocol.wire.reading import Json, parse_object, read_int
from utd_rx.sessions.commands import command
from utd_rx.sessions.recording import record
from utd_rx.sessions.replay import Replay, replay
from utd_rx.sessions.rules_runner import Handlers
from utd_rx.sessions.session import UTDSession
from utd_rx.sessions.view import Stream
from utd_rx.sessions.views import VIEWS, SessionView
from utd_rx.testing.engine import FakeEngine
from utd_rx.testing.room import FakeRoom

SECRET = "s3cr3t"


@frozen
class Theatre:
    identity: str
    session: SessionState = SessionState()
    waits: tuple[Wait, ...] = ()
    claps: int = 0
    act: int = 0
    said: str = field(default="", repr=False)


@frozen
class Clapped(Fact):
    claps: int


@frozen
class Cried(Fact):
    """What somebody cried is nobody's business."""

    what: str = field(repr=False)


@frozen
class Bow(Effect):
    claps: int


@frozen
class IsApplauded(Promise):
    says = "applause"
    claps: int

    def shows(self, state: Any) -> bool:
        return bool(state.claps >= self.claps)


def read_clapped(wire: Json) -> Clapped | None:
    claps = read_int(wire.get("claps"))
    return None if claps is None else Clapped(claps)


def act_in(metadata: str) -> int | None:
    return read_int((parse_object(metadata) or {}).get("_act"))


DECODERS = {"_clapped": data.Decoder(read_clapped, ("claps",), ("why",))}


def step(state: Theatre, fact: object, now: float) -> tuple[Theatre, Effects]:
    session, effects = session_rules.step(state.session, fact, now)
    state = evolve(state, session=session)
    metadata = data.metadata_in(fact)
    if metadata is not None:
        state = evolve(state, act=act_in(metadata) or 0)
    match data.decode(fact, DECODERS) if isinstance(fact, DataReceived) else fact:
        case Clapped(claps):
            return evolve(state, claps=claps), (*effects, Bow(claps))
        case Cried(what):
            return evolve(state, said=what), effects
    return state, effects


def without_seats(classes: tuple[type, ...]) -> tuple[type, ...]:
    return tuple(one for one in classes if one.__module__ != seats.__name__)


THEATRE: Kind[Theatre] = Kind(
    type=UTDStreamType.LIVE_STREAM,
    state=Theatre,
    begin=lambda identity, _: Theatre(identity),
    rules=step,
    deadline=lambda state: session_rules.next_deadline(state.session),
    facts=(*without_seats(AUDIO_ROOM.facts), Clapped, Cried),
    effects=(*without_seats(AUDIO_ROOM.effects), Bow),
    promises=(*ANY_SESSION, IsApplauded),
    decoders=DECODERS,
    room_keys=(data.RoomKey("_act", act_in, int),),
)


class TheatreView(SessionView[Theatre]):
    kind = THEATRE
    type = UTDStreamType.LIVE_STREAM

    claps: Stream[int] = Stream(lambda s: s.claps, "How much.")
    act: Stream[int] = Stream(lambda s: s.act, "Which.")
    said: Stream[str] = Stream(lambda s: s.said, "What somebody cried.")

    @property
    def identity(self) -> str:
        return self._machine.state.identity


class TheatreSession(UTDSession[Theatre], TheatreView):
    def _collaborate(self) -> tuple[Handlers, ...]:
        self.bows: list[int] = []

        async def bow(effect: Bow) -> None:
            self.bows.append(effect.claps)

        return ({Bow: bow},)

    @command
    async def cry(self, what: str) -> None:
        self._runner.offer(Cried(what))

    @command
    async def applause(self, claps: int) -> None:
        await self._runner.wait(IsApplauded(claps), self._runner.require_joined())


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, UTDStreamType.LIVE_STREAM, THEATRE)
    monkeypatch.setitem(cast("dict[type, type]", VIEWS), Theatre, TheatreView)


async def evening(session: TheatreSession, room: FakeRoom) -> None:
    await session.join()
    waiting = asyncio.ensure_future(session.applause(3))
    await settle()
    await session.cry(SECRET)
    room.emit(RoomMetadataChanged(json.dumps({"_act": 2, "else": SECRET})))
    wire = {"type": "_clapped", "claps": 3, "why": SECRET, "whom": SECRET}
    room.emit(DataReceived(json.dumps(wire).encode(), None))
    await waiting


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("keeps", [True, False])
async def test_a_made_up_kind_is_recorded_and_replayed(tmp_path: Path, keeps: bool) -> None:
    path = tmp_path / "theatre.jsonl"
    room = FakeRoom("me")
    session = TheatreSession("me", "hall", is_host=False, room=room, engine=FakeEngine(room))
    recording = record(session, path, keep_payloads=keeps)
    states: list[Theatre] = []
    session.state.subscribe(states.append)
    await evening(session, room)
    await session.aclose()
    await recording.aclose()
    assert (recording.failure, session.bows, states[-1].said) == (None, [3], SECRET)

    again = replay(path, Replay)
    assert isinstance(again, TheatreView)
    shown: list[Theatre] = []
    again.state.subscribe(shown.append)
    while again.step():
        pass
    assert again.journal.skipped == 0
    assert shown == [recording.redact(state) for state in states]
    assert (again.claps.value, again.act.value) == (3, 2)
    assert (SECRET in path.read_text()) is keeps
    assert any(wait.promise == IsApplauded(3) for state in shown for wait in state.waits)
