"""Whatever happens in a room, its recording replays to the same streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sessions.histories import ITEMS, values_of
from tests.sessions.stage import LoopClock, Stage
from tests.sessions.watching import Seen, replayed, settle, shown, watch
from tests.state.virtual import run
from utd_rx.errors import UTDStreamException
from utd_rx.models import events as e
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.participant import RemoteParticipant
from utd_rx.protocol.journal import End
from utd_rx.sessions.recording import Recording, record

FEWER = max(20, settings().max_examples // 4)

PEOPLE = ("me", "ana", "ben", "")
EVENTS: list[type[e.RoomEvent]] = [
    kind
    for kind in ITEMS.values()
    if issubclass(kind, e.RoomEvent) and kind not in (e.Reconnected, e.Disconnected)
]
room_events = st.one_of([values_of(kind) for kind in EVENTS]).flatmap(
    lambda event: (
        st.sampled_from(PEOPLE).map(lambda who: evolve(event, identity=who))
        if hasattr(event, "identity")
        else st.just(event)
    )
)
Action = Callable[[Stage], Any]


async def _attempt(command: Any) -> None:
    with suppress(UTDStreamException):
        await asyncio.wait_for(command, 100)


actions: st.SearchStrategy[Action] = st.one_of(
    st.lists(room_events, max_size=3).map(lambda es: lambda stage: stage.room.emit(*es)),
    values_of(e.RoomSnapshot).map(
        lambda snapshot: lambda stage: stage.room.emit(e.Reconnecting(), e.Reconnected(snapshot))
    ),
    st.sampled_from(PEOPLE).map(
        lambda who: lambda stage: stage.room.emit(e.ParticipantConnected(RemoteParticipant(who)))
    ),
    st.sampled_from(DisconnectReason).map(lambda why: lambda stage: stage.room.lose(why)),
    st.tuples(st.integers(0, 3), st.none() | st.sampled_from(PEOPLE)).map(
        lambda to: lambda stage: stage.engine.seat(*to)
    ),
    st.booleans().map(lambda yes: lambda stage: stage.room.grant(can_publish=yes)),
    st.booleans().map(lambda on: lambda stage: _attempt(stage.session.set_microphone(on))),
    st.integers(0, 3).map(lambda seat: lambda stage: _attempt(stage.session.take_seat(seat))),
    st.just(lambda stage: _attempt(stage.session.leave_seat())),
    st.just(lambda stage: _attempt(stage.session.join())),
    st.just(lambda stage: stage.session.leave()),
    st.just(lambda stage: asyncio.sleep(20.0)),
)


@settings(
    max_examples=FEWER,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(actions, max_size=12), st.integers(0, 12), st.booleans())
def test_any_history_replays_to_the_same_streams(
    tmp_path: Path, history: list[Action], begin: int, keep_payloads: bool
) -> None:
    path = tmp_path / "session.jsonl"

    async def live() -> Seen:
        stage = Stage(clock=LoopClock(asyncio.get_running_loop()))
        recording: Recording | None = None
        seen: Seen = {}
        for i, action in enumerate([lambda stage: _attempt(stage.session.join()), *history]):
            if i == min(begin, len(history)):
                recording = record(stage.session, path, keep_payloads=keep_payloads)
                seen = watch(stage.session)
            result = action(stage)
            if asyncio.iscoroutine(result):
                await result
            await settle()
        await stage.session.aclose()
        assert recording is not None
        await recording.aclose()
        assert (recording.end, recording.failure) == (End.CLOSED, None)
        return shown(seen, recording)

    expected = run(live())
    assert replayed(path) == expected
