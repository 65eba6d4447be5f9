"""How a call is hung up, and what closing a session does."""

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
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.call import UTDCall

# --- end ------------------------------------------------------------------------------------


async def test_an_end_without_a_call_is_nothing(stage: CallStage) -> None:
    await stage.session.end()
    await stage.session.leave()
    assert stage.engine.asked == []


@pytest.mark.parametrize("leaves", [False, True])
async def test_an_end_leaves_and_tells_the_engine_once(stage: CallStage, leaves: bool) -> None:
    session = stage.session
    call = await stage.talking()
    await (session.leave() if leaves else session.end())
    await session.end()
    assert stage.engine.asked.count("end_call") == 1
    assert stage.engine.calls[call.call_id].end_reason is R.CALLER_HANGUP
    assert (session.status.value, session.end_reason.value) == (S.ENDED, R.CALLER_HANGUP)
    assert not stage.room.is_connected
    assert (session.connected.value, session.failure.value) == (False, None)


async def test_the_room_is_left_before_the_engine_has_answered(stage: CallStage) -> None:
    await stage.talking()
    stage.engine.gate.clear()
    ending = [asyncio.ensure_future(stage.session.end()) for _ in range(2)]
    await settle()
    assert not stage.room.is_connected
    assert stage.session.status.value is S.ACTIVE
    stage.engine.gate.set()
    await asyncio.gather(*ending)
    assert stage.engine.asked.count("end_call") == 1
    assert shown(stage.session)[0] is S.ENDED


async def test_an_end_that_is_cancelled_goes_on(stage: CallStage) -> None:
    call = await stage.talking()
    stage.engine.gate.clear()
    ending = asyncio.ensure_future(stage.session.end())
    await settle()
    ending.cancel()
    await asyncio.wait([ending])
    stage.engine.gate.set()
    await settle()
    assert stage.engine.calls[call.call_id].status is S.ENDED
    assert stage.session.status.value is S.ENDED


@pytest.mark.parametrize("status", [404, 409])
async def test_an_engine_that_knows_no_such_call_is_fine(stage: CallStage, status: int) -> None:
    await stage.talking()
    code = {404: UTDErrorCode.NOT_FOUND, 409: UTDErrorCode.CONFLICT}[status]
    stage.engine.error = UTDStreamException("no", code=code, status_code=status)
    await stage.session.end()
    assert (stage.session.status.value, stage.room.is_connected) == (S.ENDED, False)


async def test_an_engine_that_cannot_be_reached_is_told_after_the_room_is_left(
    stage: CallStage,
) -> None:
    await stage.talking()
    stage.engine.error = DOWN
    assert await refused(stage.session.end()) is DOWN
    assert not stage.room.is_connected
    assert shown(stage.session)[0] == S.ENDED
    assert stage.session.end_reason.value is R.CALLER_HANGUP


async def test_who_was_not_even_asked_has_not_been_told(stage: CallStage) -> None:
    await stage.talking()
    stage.engine.error = conflict(ConflictReason.CLOSED, "the client is closed")
    assert await refused(stage.session.end()) is stage.engine.error
    assert not stage.room.is_connected
    assert shown(stage.session)[0] == S.ENDED


@pytest.mark.parametrize("other", [None, "call_9"])
async def test_an_end_that_is_answered_with_a_call_that_goes_on_is_one_all_the_same(
    stage: CallStage, other: str | None
) -> None:
    call = await stage.talking()

    async def odd(call_id: str) -> UTDCall:
        return evolve(call, call_id=other or call_id, status=S.ACTIVE)

    stage.engine.end_call = odd  # type: ignore[method-assign] # the fake does otherwise here
    await stage.session.end()
    assert shown(stage.session) == (S.ENDED, call.call_id, "ana")
    assert stage.session.end_reason.value is R.CALLER_HANGUP


async def test_a_call_that_rings_here_is_declined_by_hanging_up(stage: CallStage) -> None:
    call_id = stage.incoming()
    await stage.session.ringing(call_id)
    await stage.session.end()
    assert stage.engine.calls[call_id].end_reason is R.REJECTED
    assert (stage.session.status.value, stage.session.end_reason.value) == (S.REJECTED, R.REJECTED)


# --- closing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [S.INITIATING, S.RINGING, S.ACTIVE])
async def test_closing_hangs_up(stage: CallStage, status: S) -> None:
    call = await stage.session.start("ana")
    if status is not S.INITIATING:
        stage.news(status)
    await stage.session.aclose()
    assert stage.engine.calls[call.call_id].status is S.ENDED
    assert shown(stage.session) == (S.ENDED, call.call_id, "ana")
    await stage.session.aclose()
    assert (await refused(stage.session.start("bob"))).reason is ConflictReason.CLOSED


async def test_closing_leaves_what_rings_to_others(stage: CallStage) -> None:
    call_id = stage.incoming()
    await stage.session.ringing(call_id)
    await stage.session.aclose()
    assert stage.engine.calls[call_id].status is S.RINGING
    assert shown(stage.session) == (S.RINGING, call_id, "ana")
    assert stage.signals.holders == {}


@pytest.mark.parametrize("command", [starting, accepting])
async def test_closing_while_a_call_is_begun_leaves_none(
    stage: CallStage, command: Command
) -> None:
    stage.engine.gate.clear()
    task = asyncio.ensure_future(command(stage))
    await settle()
    closing = asyncio.ensure_future(stage.session.aclose())
    await settle()
    stage.engine.gate.set()
    await closing
    assert (await refused(task)).reason in (ConflictReason.LEFT, ConflictReason.CLOSED)
    assert {call.status for call in stage.engine.calls.values()} == {S.ENDED}


async def test_no_token_is_in_the_state_or_in_what_a_command_returns(stage: CallStage) -> None:
    call = await stage.talking()
    assert "me-token" not in str((call, stage.session.state.value))
    assert stage.session.call.value is not None
    assert stage.session.call.value.token is None
