"""What begins a call, and what is left of one that was cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from attrs import evolve

from tests.sessions.call_stage import (
    AUDIO,
    DOWN,
    VIDEO,
    CallStage,
    Command,
    R,
    S,
    accepting,
    refused,
    shown,
    starting,
    taking,
)
from tests.sessions.watching import settle
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.sessions.call import UTDCallSession
from utd_rx.testing.room import FakeRoom


async def test_before_the_first_call_there_is_nothing(stage: CallStage) -> None:
    session = stage.session
    assert shown(session) == (None, None, None)
    assert (session.call.value, session.duration.value, session.room_name) == (None, None, "")
    assert (session.type, session.identity) == (AUDIO, "me")


async def test_a_type_that_is_no_call_s_is_refused(stage: CallStage) -> None:
    with pytest.raises(UTDStreamException) as raised:
        stage.another(UTDStreamType.AUDIO_ROOM, FakeRoom("me"))
    assert raised.value.code is UTDErrorCode.VALIDATION


# --- start ----------------------------------------------------------------------------------


async def test_a_start_rings_joins_the_room_and_is_heard_once_answered(stage: CallStage) -> None:
    session = stage.session
    call = await session.start("ana", callee_name="Ana", metadata={"why": ["lunch"]})
    assert (call.status, call.token, call.url) == (S.INITIATING, None, None)
    assert shown(session) == (S.INITIATING, call.call_id, "ana")
    assert (session.peer_name.value, session.room_name) == ("Ana", call.call_id)
    assert session.connected.value
    assert stage.room.tokens == ["me-token1"]
    assert not session.can_publish.value
    stage.news(S.RINGING)
    assert session.status.value is S.RINGING
    assert stage.room.tracks == ()
    stage.news(S.ACTIVE)
    await settle()
    assert session.microphone_enabled.value
    stage.clock.advance(65.5)
    assert session.duration.value == 65.0
    await session.set_microphone(False)
    assert not session.microphone_enabled.value


async def test_a_call_without_a_microphone_hears_only() -> None:
    stage = CallStage(microphone=None)
    async with stage.session as session:
        await stage.talking()
        await settle()
        assert session.can_publish.value
        assert (session.microphone_enabled.value, session.microphone_failure.value) == (False, None)


@pytest.mark.parametrize("type_", [AUDIO, VIDEO])
async def test_a_video_call_is_seen_and_an_audio_call_is_not(type_: UTDStreamType) -> None:
    stage = CallStage(type_=type_)
    async with stage.session as session:
        await stage.talking()
        await settle()
        assert session.microphone_enabled.value
        assert session.camera_enabled.value is (type_ is VIDEO)
        if type_ is VIDEO:
            await session.set_camera(False)
            assert not session.camera_enabled.value
        else:
            for switch in (session.set_camera, session.set_screen_share):
                error = await refused(switch(True))
                assert (error.code, "VIDEO_CALL" in error.message) == (UTDErrorCode.FORBIDDEN, True)


async def test_who_calls_somebody_who_calls_them_is_in_that_call(stage: CallStage) -> None:
    theirs = stage.incoming()
    call = await stage.session.start("ana")
    assert (call.call_id, call.status) == (theirs, S.ACTIVE)
    assert shown(stage.session) == (S.ACTIVE, theirs, "ana")
    await settle()
    assert stage.session.microphone_enabled.value


async def test_a_callee_on_a_call_is_busy(stage: CallStage) -> None:
    stage.engine.busy.add("ana")
    error = await refused(stage.session.start("ana"))
    assert error.reason is ConflictReason.BUSY
    assert shown(stage.session) == (S.BUSY, None, "ana")
    assert stage.session.end_reason.value is R.BUSY
    stage.engine.busy.clear()
    assert (await stage.session.start("ana")).status is S.INITIATING


async def test_a_caller_on_a_call_changes_nothing(stage: CallStage) -> None:
    stage.engine.dial("me", "bob")
    error = await refused(stage.session.start("ana"))
    assert error.reason is ConflictReason.ALREADY
    assert shown(stage.session) == (None, None, None)


@pytest.mark.parametrize("status", [S.INITIATING, S.RINGING, S.ACTIVE])
async def test_in_a_call_no_other_is_begun_and_nobody_is_asked(stage: CallStage, status: S) -> None:
    call = await stage.session.start("ana")
    if status is not S.INITIATING:
        stage.news(status)
    asked = len(stage.engine.asked)
    for command in (
        stage.session.start("bob"),
        stage.session.accept("call_9"),
        stage.session.ringing("call_9"),
        stage.session.accept(call.call_id),
    ):
        assert (await refused(command)).reason is ConflictReason.ALREADY
    assert len(stage.engine.asked) == asked
    assert shown(stage.session) == (status, call.call_id, "ana")


async def test_while_one_is_begun_no_other_is(stage: CallStage) -> None:
    stage.engine.gate.clear()
    first = asyncio.ensure_future(stage.session.start("ana"))
    await settle()
    error = await refused(stage.session.start("bob"))
    assert error.reason is ConflictReason.ALREADY
    stage.engine.gate.set()
    assert (await first).callee_identity == "ana"


@pytest.mark.parametrize("metadata", [[1], "text", 7])
async def test_metadata_is_an_object(stage: CallStage, metadata: dict[str, object]) -> None:
    error = await refused(stage.session.start("ana", metadata=metadata))
    assert error.code is UTDErrorCode.VALIDATION
    assert stage.engine.asked == []


@pytest.mark.parametrize("callee", ["", 7, None])
async def test_nobody_cannot_be_called(stage: CallStage, callee: str) -> None:
    error = await refused(stage.session.start(callee))
    assert error.code is UTDErrorCode.VALIDATION
    assert stage.engine.asked == []


@pytest.mark.parametrize("metadata", [["lunch"], "lunch", 7])
async def test_what_is_said_with_a_call_has_names(stage: CallStage, metadata: Any) -> None:
    error = await refused(stage.session.start("ana", metadata=metadata))
    assert (error.code, "metadata" in error.message) == (UTDErrorCode.VALIDATION, True)
    assert stage.engine.asked == []


async def test_without_a_call_nobody_is_told_to_join(stage: CallStage) -> None:
    await stage.talking()
    await stage.session.end()
    for command in (stage.session.set_microphone(True), stage.session.statistics()):
        error = await refused(command)
        assert error.reason is ConflictReason.NOT_JOINED
        assert "accept a call" in error.message


@pytest.mark.parametrize(
    "command",
    [
        lambda session: session.mute("ana"),
        lambda session: session.kick("ana"),
        lambda session: session.ban("ana"),
        lambda session: session.unban("ana"),
        lambda session: session.bans(),
        lambda session: session.set_role("ana", "admin"),
        lambda session: session.lock_chat(True),
    ],
)
async def test_nobody_moderates_a_call(
    stage: CallStage, command: Callable[[UTDCallSession], Awaitable[object]]
) -> None:
    await stage.talking()
    asked = len(stage.engine.asked)
    error = await refused(command(stage.session))
    assert (error.code, error.status_code) == (UTDErrorCode.FEATURE_DISABLED, None)
    assert "calls have no moderation" in error.message
    assert len(stage.engine.asked) == asked


async def test_a_call_whose_room_cannot_be_joined_is_ended(stage: CallStage) -> None:
    stage.room.connect_error = DOWN
    assert await refused(stage.session.start("ana")) is DOWN
    [call] = stage.engine.calls.values()
    assert (call.status, call.end_reason) == (S.ENDED, R.CALLER_CANCELLED)
    assert stage.session.status.value is S.ENDED
    assert stage.session.end_reason.value is R.CALLER_CANCELLED
    assert stage.session.failure.value is DOWN


async def test_a_call_without_a_token_is_ended(stage: CallStage) -> None:
    start = stage.engine.start_call

    async def bare(*args: object, **options: object) -> object:
        return evolve(await start(*args, **options), token=None)  # type: ignore[arg-type] # passed on

    stage.engine.start_call = bare  # type: ignore[method-assign, assignment] # the fake does otherwise here
    error = await refused(stage.session.start("ana"))
    assert error.code is UTDErrorCode.MALFORMED_RESPONSE
    [call] = stage.engine.calls.values()
    assert call.status is S.ENDED


async def test_who_is_rejected_before_the_room_is_joined_is_told_so(stage: CallStage) -> None:
    stage.room.gate.clear()
    starting = asyncio.ensure_future(stage.session.start("ana"))
    await settle()
    stage.news(S.REJECTED, R.REJECTED)
    await settle()
    stage.room.gate.set()
    error = await refused(starting)
    assert (error.reason, "rejected" in error.message) == (ConflictReason.LEFT, True)
    assert shown(stage.session)[0] is S.REJECTED
    assert not stage.room.is_connected
    assert "end_call" not in stage.engine.asked


async def test_a_lost_answer_is_an_error_and_no_call(stage: CallStage) -> None:
    stage.engine.loses_replies = True
    assert (await refused(stage.session.start("ana"))).code is UTDErrorCode.NETWORK
    assert shown(stage.session) == (None, None, None)


# --- cancelling ------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [starting, accepting, taking])
@pytest.mark.parametrize("turns", range(14))
@pytest.mark.parametrize("held", ["engine", "room", "neither"])
async def test_whoever_is_cancelled_anywhere_leaves_no_call(
    stage: CallStage, command: Command, turns: int, held: str
) -> None:
    if held != "neither":
        (stage.engine if held == "engine" else stage.room).gate.clear()
    task = asyncio.ensure_future(command(stage))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    stage.engine.gate.set()
    stage.room.gate.set()
    await settle()
    await settle()
    statuses = {call.status for call in stage.engine.calls.values()}
    if task.cancelled():
        assert statuses <= {S.ENDED} or not any("accept" in one for one in stage.engine.asked)
        assert not stage.room.is_connected
        assert stage.session.status.value in (None, S.ENDED, S.INITIATING, S.RINGING)
        if "start_call" in stage.engine.asked:
            assert statuses <= {S.ENDED}
            await stage.session.start("ana")
    else:
        assert stage.session.connected.value


async def test_a_start_after_a_cancelled_one_waits_until_that_is_undone(stage: CallStage) -> None:
    stage.engine.gate.clear()
    first = asyncio.ensure_future(stage.session.start("ana"))
    await settle()
    first.cancel()
    await asyncio.wait([first])
    second = asyncio.ensure_future(stage.session.start("ana"))
    await settle()
    assert stage.engine.asked == ["start_call"]
    stage.engine.gate.set()
    call = await second
    assert stage.engine.asked == ["start_call", "end_call", "start_call"]
    assert stage.session.call_id.value == call.call_id


async def test_a_start_that_is_hung_up_ends_the_call_it_was_answered_with(
    stage: CallStage,
) -> None:
    stage.engine.gate.clear()
    starting = asyncio.ensure_future(stage.session.start("ana"))
    await settle()
    ending = asyncio.ensure_future(stage.session.end())
    await settle()
    assert not ending.done()
    stage.engine.gate.set()
    assert (await refused(starting)).reason is ConflictReason.LEFT
    await ending
    [call] = stage.engine.calls.values()
    assert call.status is S.ENDED
    assert not stage.room.is_connected
