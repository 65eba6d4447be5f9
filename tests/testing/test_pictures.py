"""A picture shows what happened when, in a few lines that a person can read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import dedent

import pytest
from attrs import evolve, field, frozen

from tests.sessions.stage import Stage
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.call import UTDCall, UTDCallEndReason, UTDCallStatus
from utd_rx.models.chat import ChatMessage
from utd_rx.models.events import ParticipantConnected, Reconnecting, TrackMuted
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import (
    ParticipantPermission,
    RemoteParticipant,
    TrackPublication,
    TrackSource,
)
from utd_rx.models.role import UTDRole
from utd_rx.models.seats import SpeakRequest, UTDSeat, UTDSeatGrid, UTDSeatMode
from utd_rx.models.stage import StageRequest
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.state import Store
from utd_rx.testing import pictures
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.marbles import Mark, record
from utd_rx.testing.pictures import MAX_MOMENTS, Row, picture
from utd_rx.testing.told import MAX_WORDS, told


@frozen
class Question:
    at: float
    who: str
    call: str
    arguments: Mapping[str, object] = field(factory=dict)
    refused: UTDErrorCode | None = None


@pytest.fixture
def clock() -> Iterator[FakeClock]:
    clock = FakeClock(100.0)
    pictures.begin(clock.now)
    yield clock
    pictures.end(clock.now)
    pictures.begin()


def drawn(*rows: Row) -> str:
    return f"\n{picture(rows)}\n"


def expected(text: str) -> str:
    return dedent(text)


def test_a_state_holds_and_an_event_does_not() -> None:
    state = Row("anna.connected", (Mark(0.0, False), Mark(3.0, True)), is_state=True)
    event = Row("anna.events", (Mark(1.5, "x"), Mark(3.0, "y"), Mark(3.0, "z")), is_state=False)
    assert drawn(state, event) == expected("""
        seconds         0  1.5  3
        anna.connected  a-------b-----  a False, b True
        anna.events        a    (bc)    a 'x', b 'y', c 'z'
        """)


def test_a_stream_ends() -> None:
    ended = Row("ben", (Mark(0.0, 1), Mark(2.0, 2)), is_state=True, ended_at=2.0)
    going = Row("anna", (Mark(0.0, 1), Mark(5.0, 2)), is_state=True)
    assert drawn(ended, going) == expected("""
        seconds  0  2  5
        ben      a--b--|    a 1, b 2
        anna     a-----b--  a 1, b 2
        """)


def test_the_last_moments_are_drawn_and_what_held_before_is_known() -> None:
    busy = Row("busy", tuple(Mark(float(at), at) for at in range(50)), is_state=False)
    still = Row("still", (Mark(0.0, "as it was"),), is_state=True)
    head, _, last = picture([busy, still]).splitlines()
    assert head.split() == ["seconds", *map(str, range(50 - MAX_MOMENTS, 50))]
    assert last.startswith("still    a---")
    assert last.endswith("a 'as it was'")


def test_nothing_makes_no_picture() -> None:
    assert picture([]) == picture([Row("still", (), is_state=False)]) == ""


async def test_a_session_is_drawn_by_its_streams_and_events() -> None:
    clock = FakeClock(100.0)
    stage = Stage(clock=clock)
    pictures.begin()
    pictures.watch(stage.session, "me")
    await stage.session.join()
    stage.engine.seat(1, "me")
    await stage.session.seats.until(lambda grid: grid.occupant_of(1) == "me")
    stage.engine.room.emit(ParticipantConnected(RemoteParticipant("ben")))
    await stage.session.remote_participants.until(bool)
    await stage.session.aclose()
    shown = picture(pictures.rows())
    pictures.begin()
    rows = {line.split()[0]: line for line in shown.splitlines()}
    assert "DISCONNECTED, b CONNECTING, c CONNECTED" in rows["me.connection_state"]
    assert "[– me – –]" in rows["me.seats"]
    assert "(ben)" in rows["me.remote_participants"]
    assert "ParticipantConnected(ben)" in rows["me.events"]
    assert "me.banned" not in rows


def test_what_is_recorded_and_asked_is_on_the_page(clock: FakeClock) -> None:
    sent: list[Question] = []
    pictures.begin(sent=sent)
    record(Store(UTDSeatMode.FREE, lambda _, mode: mode).select(lambda mode: mode, name="mode"))
    sent.append(Question(101.0, "ben", "take_seat", FrozenMap({"room": "lobby", "index": 1})))
    sent.append(Question(102.0, "ben", "leave_seat", refused=UTDErrorCode.CONFLICT))
    assert f"\n{picture(pictures.rows())}\n" == expected("""
        seconds    100  101  102
        mode       a--------------  a FREE
        ben asked       a    b      a take_seat(1), b leave_seat() CONFLICT
        """)


async def test_a_new_page_is_empty(clock: FakeClock) -> None:
    session = Stage(clock=clock).session
    record(session.seats)
    pictures.watch(session, "me")
    assert pictures.rows()
    pictures.begin()
    assert pictures.rows() == []
    await session.aclose()


def test_values_are_told_in_few_words() -> None:
    """Of whatever is in a room."""
    call = UTDCall("call_1", UTDCallStatus.ENDED, UTDStreamType.AUDIO_CALL, caller_identity="anna")
    over = evolve(call, callee_identity="ben", end_reason=UTDCallEndReason.PEER_LOST)
    track = TrackPublication("TR_1", source=TrackSource.MICROPHONE)
    refused = UTDStreamException("no", code=UTDErrorCode.CONFLICT, reason=ConflictReason.BUSY)
    asking = UTDSeatGrid((UTDSeat(0),), requests=(SpeakRequest(1, "cleo"),))
    words = {
        "anna to ben ENDED, PEER_LOST": over,
        "TrackMuted('anna', microphone)": TrackMuted("anna", track),
        "may publish": ParticipantPermission(can_publish=True),
        "anna+microphone": RemoteParticipant("anna", tracks=(track,)),
        "CONFLICT, busy": refused,
        "[–], cleo asks": asking,
        "(dora, None)": (StageRequest("dora"), None),
        "{anna: HOST}": FrozenMap({"anna": UTDRole.HOST}),
        "anna: hello": ChatMessage("1", "hello", "anna"),
        "Reconnecting": Reconnecting(),
    }
    assert {text: told(value) for text, value in words.items()} == {text: text for text in words}
    assert len(told("x" * 500)) == MAX_WORDS
