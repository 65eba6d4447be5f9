"""What a session knew stays as it was when it closes, whatever is told behind that."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sessions.histories import values_of
from utd_rx.models.call import UTDCall, UTDCallStatus
from utd_rx.models.events import RoomSnapshot
from utd_rx.models.participant import LocalParticipant, RemoteParticipant
from utd_rx.models.seats import UTDSeat, UTDSeatGrid
from utd_rx.models.stage import Stage, UTDStageMember
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.facts.calls import CallAdopted
from utd_rx.protocol.facts.connection import CloseStarted, JoinStarted, JoinSucceeded, LeaveStarted
from utd_rx.protocol.kinds import AUDIO_ROOM, LIVE_STREAM, VIDEO_CALL, Kind
from utd_rx.protocol.waiting import WaitStarted
from utd_rx.protocol.wire.seats import grid_to_push
from utd_rx.protocol.wire.stage import stage_to_wire
from utd_rx.sessions.view import Stream
from utd_rx.sessions.views import VIEWS

HERE: Final = {
    "_seats": grid_to_push(UTDSeatGrid((UTDSeat(0, "me"),), revision=1)),
    "_stage": stage_to_wire(Stage((UTDStageMember("ana"),), 1, True)),
}
ANA: Final = RemoteParticipant("ana", metadata='{"role": "admin"}')
CALL: Final = UTDCall("call_1", UTDCallStatus.ACTIVE, UTDStreamType.VIDEO_CALL)
JOINED: Final = (
    JoinStarted(),
    JoinSucceeded(
        1, RoomSnapshot("room", LocalParticipant("me"), remotes=(ANA,), metadata=json.dumps(HERE))
    ),
)
OWN: Final = {"state", "connected", "connection_state", "failure", "can_publish"} | {
    f"{track}_{what}"
    for track in ("microphone", "camera", "screen_share")
    for what in ("enabled", "failure")
}
"""What is about the connection and what one publishes: that ends."""


def shown(state: Any) -> dict[str, object]:
    """What the streams of its view show, but for what ends."""
    owners = VIEWS[type(state)].__mro__
    streams = {name: one for owner in owners for name, one in vars(owner).items()}
    return {
        name: one.read(state)
        for name, one in streams.items()
        if isinstance(one, Stream) and name not in OWN
    }


def facts_of(kind: Kind[Any]) -> list[type]:
    """All but commands that begin to wait, which each kind has others of."""
    return [fact for fact in kind.facts if fact is not WaitStarted]


def told(kind: Kind[Any], *facts: object) -> Any:
    state = kind.begin("me", False)
    for fact in facts:
        state, _ = kind.step(state, fact, 0.0)
    return state


@pytest.mark.parametrize("kind", [AUDIO_ROOM, LIVE_STREAM, VIDEO_CALL], ids=lambda k: k.type.value)
@settings(max_examples=15)
@given(data=st.data())
def test_closing_is_the_last_word(kind: Kind[Any], data: st.DataObject) -> None:
    known = (*JOINED, CallAdopted(CALL)) if kind is VIDEO_CALL else JOINED
    before = shown(told(kind, *known))
    facts = st.lists(st.sampled_from(facts_of(kind)).flatmap(values_of), max_size=4)
    closed = told(kind, *known, CloseStarted(), LeaveStarted(), *data.draw(facts))
    assert shown(closed) == before
    assert not closed.session.connection.is_joined


def test_there_is_something_to_know() -> None:
    room, live, call = (
        shown(told(kind, *JOINED)) for kind in (AUDIO_ROOM, LIVE_STREAM, VIDEO_CALL)
    )
    assert room["my_seat"] == UTDSeat(0, "me")
    assert live["stage"] == (UTDStageMember("ana"),)
    assert call["remote_participants"] == room["remote_participants"] == (ANA,)
