"""What happens to a call: news, outages, places, the next one."""

from __future__ import annotations

import asyncio

import pytest
from attrs import evolve

from tests.sessions.call_stage import (
    DOWN,
    CallStage,
    Command,
    R,
    S,
    accepting,
    refused,
    shown,
    starting,
)
from tests.sessions.watching import settle
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.connection import DisconnectReason, UTDConnectionState
from utd_rx.testing.room import FakeRoom

# --- what happens to a call ----------------------------------------------------------------------


@pytest.mark.parametrize("deleted_first", [False, True])
async def test_the_other_side_hangs_up(stage: CallStage, deleted_first: bool) -> None:
    await stage.talking()
    if deleted_first:
        over = stage.engine.turn(list(stage.engine.calls)[-1], S.ENDED, R.CALLEE_HANGUP)
        stage.room.lose(DisconnectReason.ROOM_DELETED)
        await settle()
        stage.signals.tell(over)
    else:
        stage.news(S.ENDED, R.CALLEE_HANGUP)
        await settle()
        stage.room.lose(DisconnectReason.ROOM_DELETED)
    await settle()
    session = stage.session
    assert (session.status.value, session.end_reason.value) == (S.ENDED, R.CALLEE_HANGUP)
    assert (session.connected.value, session.failure.value) == (False, None)
    assert session.connection_state.value is UTDConnectionState.DISCONNECTED


async def test_the_room_s_metadata_alone_tells_the_answer_and_the_end(stage: CallStage) -> None:
    call = await stage.session.start("ana")
    stage.metadata(evolve(stage.engine.calls[call.call_id], status=S.ACTIVE))
    await settle()
    assert stage.session.microphone_enabled.value
    stage.metadata(evolve(stage.engine.calls[call.call_id], status=S.ENDED))
    await settle()
    assert not stage.room.is_connected
    assert stage.session.status.value is S.ENDED


async def test_what_was_missed_while_the_socket_was_away_is_asked_for(stage: CallStage) -> None:
    call_id = stage.incoming()
    stage.signals.turn(True)
    await stage.session.ringing(call_id)
    stage.signals.turn(False)
    stage.engine.turn(call_id, S.MISSED, R.RING_TIMEOUT)
    stage.signals.turn(True)
    await settle()
    assert shown(stage.session)[0] is S.MISSED


async def test_without_a_socket_a_ringing_call_is_asked_about(stage: CallStage) -> None:
    call_id = stage.incoming()
    await stage.session.ringing(call_id)
    for _ in range(2):
        stage.clock.advance(3.0)
        await settle()
    assert stage.engine.asked.count("get_call") == 2
    stage.engine.turn(call_id, S.ENDED, R.CALLER_CANCELLED)
    stage.clock.advance(3.0)
    await settle()
    assert stage.session.end_reason.value is R.CALLER_CANCELLED


async def test_after_an_engine_was_started_anew_the_call_is_lost(stage: CallStage) -> None:
    await stage.talking()
    stage.engine.forget()
    stage.room.lose(DisconnectReason.ROOM_DELETED)
    await settle()
    session = stage.session
    assert (session.status.value, session.end_reason.value) == (S.ENDED, R.LOST)
    assert session.failure.value is None


async def test_an_engine_that_stays_silent_loses_the_call_after_a_minute(stage: CallStage) -> None:
    await stage.talking()
    stage.engine.read_error = DOWN
    stage.room.lose(DisconnectReason.PARTICIPANT_REMOVED)
    await settle()
    for _ in range(59):
        stage.clock.advance(1.0)
        await settle()
    assert stage.session.status.value is S.ACTIVE
    stage.clock.advance(1.0)
    assert stage.session.end_reason.value is R.LOST
    assert 8 <= stage.engine.asked.count("get_call") <= 12


async def test_who_lost_the_room_comes_back_with_a_fresh_token(stage: CallStage) -> None:
    await stage.talking()
    await settle()
    stage.room.lose(DisconnectReason.PARTICIPANT_REMOVED)
    await settle()
    assert stage.session.status.value is S.ACTIVE
    await stage.session.join()
    await settle()
    assert stage.room.tokens == ["me-token1", "me-token2"]
    assert stage.session.microphone_enabled.value
    assert (await refused(stage.session.join())).reason is ConflictReason.ALREADY


async def test_an_engine_without_another_token_is_come_back_to_with_the_first(
    stage: CallStage,
) -> None:
    await stage.talking()
    stage.engine.can_rejoin = False
    stage.room.lose(DisconnectReason.PARTICIPANT_REMOVED)
    await settle()
    await stage.session.join()
    assert stage.room.tokens == ["me-token1", "me-token1"]


async def test_in_an_outage_that_outlasts_the_token_a_fresh_one_is_taken(stage: CallStage) -> None:
    await stage.talking()
    stage.room.connect_error = UTDStreamException("worn", code=UTDErrorCode.UNAUTHORIZED)
    stage.room.lose(DisconnectReason.UNKNOWN)
    await settle()
    await settle()
    assert stage.room.tokens == ["me-token1", "me-token2"]
    assert stage.session.connected.value


async def test_a_place_is_asked_about_in_the_call_s_room(stage: CallStage) -> None:
    local = evolve(stage.room.snapshot.local, metadata='{"_mint": 9}')
    stage.room.snapshot = evolve(stage.room.snapshot, local=local)
    asked: list[tuple[str, str]] = []

    async def metadata(room: str, identity: str) -> str:
        asked.append((room, identity))
        return '{"_mint": 7}'

    stage.engine.participant_metadata = metadata  # type: ignore[method-assign] # the fake does otherwise here
    call = await stage.talking()
    stage.room.lose(DisconnectReason.DUPLICATE_IDENTITY)
    await settle()
    assert asked == [(call.call_id, "me")]
    assert stage.session.connected.value


@pytest.mark.parametrize("there", ["none", "over", "ringing"])
async def test_without_a_call_that_this_device_is_in_there_is_nothing_to_join(
    stage: CallStage, there: str
) -> None:
    if there == "over":
        await stage.talking()
        await stage.session.end()
    if there == "ringing":
        await stage.session.ringing(stage.incoming())
    error = await refused(stage.session.join())
    assert error.reason is ConflictReason.NOT_JOINED


async def test_a_session_makes_one_call_after_another(stage: CallStage) -> None:
    session = stage.session
    first = await stage.talking()
    stage.clock.advance(5.0)
    await session.end()
    assert session.call_id.value == first.call_id
    second = await session.start("bob")
    assert shown(session) == (S.INITIATING, second.call_id, "bob")
    assert (session.duration.value, session.end_reason.value) == (None, None)
    await session.end()
    third = stage.incoming()
    await session.accept(third)
    await settle()
    assert (session.room_name, session.microphone_enabled.value) == (third, True)


class SlowRoom(FakeRoom):
    """One that takes its time to be left, and cannot be joined before."""

    def __init__(self) -> None:
        super().__init__("me")
        self.lets_go = asyncio.Event()
        self.lets_go.set()

    async def disconnect(self) -> None:
        await self.lets_go.wait()
        await super().disconnect()


@pytest.mark.parametrize("come", [starting, accepting])
async def test_a_call_right_after_another_waits_until_the_room_is_left(come: Command) -> None:
    room = SlowRoom()
    stage = CallStage(room=room)
    first = await stage.talking()
    room.lets_go.clear()
    stage.news(S.ENDED, R.CALLEE_HANGUP)
    second = asyncio.ensure_future(come(stage))
    await settle()
    stage.signals.tell(evolve(first, status=S.ACTIVE))
    room.lets_go.set()
    await second
    assert stage.session.connected.value
    assert stage.session.call_id.value != first.call_id
    await stage.session.aclose()
