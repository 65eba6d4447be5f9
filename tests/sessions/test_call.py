"""Each command of a call session: what it does, what refuses it, and what is left of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from attrs import evolve

from tests.sessions.call_stage import CallStage, R, S
from tests.sessions.watching import settle
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.call import UTDCall
from utd_rx.models.connection import DisconnectReason, UTDConnectionState
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.sessions.call import UTDCallSession
from utd_rx.testing.room import FakeRoom

AUDIO, VIDEO = UTDStreamType.AUDIO_CALL, UTDStreamType.VIDEO_CALL
DOWN = UTDStreamException("down", code=UTDErrorCode.NETWORK)
Command = Callable[[CallStage], Awaitable[object]]


@pytest.fixture
async def stage() -> AsyncIterator[CallStage]:
    stage = CallStage()
    yield stage
    stage.room.gate.set()
    stage.engine.gate.set()
    await stage.session.aclose()
    assert stage.signals.holders == {}
    assert stage.signals.sinks == []


async def refused(command: Awaitable[object]) -> UTDStreamException:
    with pytest.raises(UTDStreamException) as raised:
        await command
    return raised.value


def shown(session: UTDCallSession) -> tuple[object, ...]:
    return (session.status.value, session.call_id.value, session.peer.value)


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
        return evolve(await start(*args, **options), token=None)  # type: ignore[arg-type]

    stage.engine.start_call = bare  # type: ignore[method-assign, assignment]
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


def starting(stage: CallStage) -> Awaitable[object]:
    return stage.session.start("ana")


def accepting(stage: CallStage) -> Awaitable[object]:
    return stage.session.accept(stage.incoming())


def taking(stage: CallStage) -> Awaitable[object]:
    call_id = stage.incoming()

    async def take() -> None:
        await stage.session.ringing(call_id)
        await stage.session.accept(call_id)

    return take()


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


# --- accept, ringing, reject, busy --------------------------------------------------------------


async def test_a_call_that_nobody_told_of_is_accepted(stage: CallStage) -> None:
    call_id = stage.incoming()
    call = await stage.session.accept(call_id)
    assert (call.status, call.answered_by) == (S.ACTIVE, "phone")
    assert shown(stage.session) == (S.ACTIVE, call_id, "ana")
    await settle()
    assert stage.session.microphone_enabled.value


async def test_a_call_rings_and_is_accepted(stage: CallStage) -> None:
    call_id = stage.incoming()
    await stage.session.ringing(call_id)
    assert shown(stage.session) == (S.RINGING, call_id, "ana")
    assert not stage.session.connected.value
    assert list(stage.signals.holders) == [call_id]
    await stage.session.accept(call_id)
    assert stage.session.connected.value
    assert [call.status for call in stage.signals.heard] == [S.RINGING, S.ACTIVE]


@pytest.mark.parametrize(("name", "status"), [("reject", S.REJECTED), ("busy", S.BUSY)])
@pytest.mark.parametrize("rings", [False, True])
async def test_a_call_is_declined(stage: CallStage, name: str, status: S, rings: bool) -> None:
    call_id = stage.incoming()
    if rings:
        await stage.session.ringing(call_id)
    await getattr(stage.session, name)(call_id)
    assert shown(stage.session) == (status, call_id, "ana")
    assert stage.engine.calls[call_id].status is status


@pytest.mark.parametrize("name", ["reject", "busy"])
async def test_another_call_is_declined_and_the_own_one_goes_on(
    stage: CallStage, name: str
) -> None:
    call = await stage.talking()
    other = stage.engine.dial("bob", "me").call_id
    await getattr(stage.session, name)(other)
    assert stage.engine.calls[other].status.is_terminal
    assert shown(stage.session) == (S.ACTIVE, call.call_id, "ana")


@pytest.mark.parametrize("name", ["ringing", "reject", "busy", "accept"])
async def test_an_unknown_call_is_not_found(stage: CallStage, name: str) -> None:
    error = await refused(getattr(stage.session, name)("call_none"))
    assert error.code is UTDErrorCode.NOT_FOUND
    assert shown(stage.session) == (None, None, None)
    assert stage.signals.holders == {}


@pytest.mark.parametrize("name", ["ringing", "reject", "busy", "accept"])
async def test_a_refusal_makes_it_ask_how_the_call_stands(stage: CallStage, name: str) -> None:
    call_id = stage.incoming()
    await stage.session.ringing(call_id)
    stage.engine.calls[call_id] = evolve(stage.engine.turn(call_id, S.ACTIVE), answered_by="tablet")
    error = await refused(getattr(stage.session, name)(call_id))
    assert error.code is UTDErrorCode.CONFLICT
    await settle()
    assert shown(stage.session) == (S.ENDED, call_id, "ana")
    assert stage.session.end_reason.value is R.ANSWERED_ELSEWHERE
    assert stage.engine.calls[call_id].status is S.ACTIVE


async def test_an_accept_after_the_cancel_is_refused(stage: CallStage) -> None:
    call_id = stage.incoming()
    await stage.session.ringing(call_id)
    stage.engine.turn(call_id, S.ENDED, R.CALLER_CANCELLED)
    assert (await refused(stage.session.accept(call_id))).code is UTDErrorCode.CONFLICT
    await settle()
    assert stage.session.end_reason.value is R.CALLER_CANCELLED


async def test_an_accept_whose_answer_is_lost_is_taken_back(stage: CallStage) -> None:
    call_id = stage.incoming()
    await stage.session.ringing(call_id)
    stage.engine.loses_replies = True
    assert (await refused(stage.session.accept(call_id))).code is UTDErrorCode.NETWORK
    assert stage.engine.calls[call_id].status is S.ENDED
    assert shown(stage.session) == (S.ENDED, call_id, "ana")


async def test_an_accept_that_is_taken_back_was_not_answered_elsewhere(stage: CallStage) -> None:
    call_id = stage.incoming()
    await stage.session.ringing(call_id)
    stage.engine.loses_replies = True
    ends = stage.engine.end_call

    async def slow(call_id: str) -> UTDCall:
        await settle()  # so that a question would be answered before
        stage.engine.loses_replies = False
        return await ends(call_id)

    stage.engine.end_call = slow  # type: ignore[method-assign]
    assert (await refused(stage.session.accept(call_id))).code is UTDErrorCode.NETWORK
    await settle()
    assert shown(stage.session) == (S.ENDED, call_id, "ana")
    assert stage.session.end_reason.value is R.CALLEE_HANGUP


async def test_an_answer_told_before_its_reply_is_not_somebody_else_s(stage: CallStage) -> None:
    call_id = stage.incoming()
    await stage.session.ringing(call_id)
    stage.engine.gate.clear()
    accepting = asyncio.ensure_future(stage.session.accept(call_id))
    await settle()
    stage.signals.tell(evolve(stage.engine.calls[call_id], status=S.ACTIVE))
    assert stage.session.status.value is S.ACTIVE
    stage.engine.gate.set()
    await accepting
    assert stage.session.connected.value


@pytest.mark.parametrize("name", ["ringing", "reject", "busy", "accept"])
@pytest.mark.parametrize("id_", ["", None, 7])
async def test_what_is_no_id_is_refused_and_nobody_asked(
    stage: CallStage, name: str, id_: object
) -> None:
    error = await refused(getattr(stage.session, name)(id_))
    assert error.code is UTDErrorCode.VALIDATION
    assert (stage.engine.asked, stage.signals.holders) == ([], {})


async def test_an_accept_that_is_hung_up_ends_the_call_once(stage: CallStage) -> None:
    call_id = stage.incoming()
    await stage.session.ringing(call_id)
    stage.engine.gate.clear()
    accepting = asyncio.ensure_future(stage.session.accept(call_id))
    await settle()
    ending = asyncio.ensure_future(stage.session.end())
    await settle()
    stage.engine.gate.set()
    assert (await refused(accepting)).reason in (ConflictReason.LEFT, ConflictReason.REFUSED)
    await ending
    await settle()
    assert stage.engine.calls[call_id].status is S.ENDED
    assert shown(stage.session) == (S.ENDED, call_id, "ana")
    assert not stage.room.is_connected


async def test_a_call_belongs_to_one_session_of_a_client(stage: CallStage) -> None:
    call_id = stage.incoming()
    async with stage.another(AUDIO, FakeRoom("me")) as other:
        await other.ringing(call_id)
        for command in (stage.session.ringing, stage.session.busy, stage.session.reject):
            assert (await refused(command(call_id))).reason is ConflictReason.ALREADY
        assert shown(stage.session) == (None, None, None)
        await other.reject(call_id)
    later = stage.incoming()
    await stage.session.ringing(later)


# --- a call that another session of the client rings for ---------------------------------------


def dialling(session: UTDCallSession, _: str) -> Awaitable[object]:
    return session.start("ana")


def answering(session: UTDCallSession, call_id: str) -> Awaitable[object]:
    return session.accept(call_id)


Coming = Callable[[UTDCallSession, str], Awaitable[object]]


@pytest.mark.parametrize("come", [dialling, answering])
async def test_a_ringing_call_moves_to_the_session_that_takes_part(
    stage: CallStage, come: Coming
) -> None:
    call_id = stage.incoming()
    async with stage.another(AUDIO, FakeRoom("me")) as rings:
        await rings.ringing(call_id)
        await come(stage.session, call_id)
        assert shown(stage.session) == (S.ACTIVE, call_id, "ana")
        assert stage.session.connected.value
        assert shown(rings) == (S.ENDED, call_id, "ana")
        assert rings.end_reason.value is R.ANSWERED_ELSEWHERE
        for command in (rings.end(), rings.aclose()):
            await command
    assert stage.engine.calls[call_id].status is S.ACTIVE
    assert "end_call" not in stage.engine.asked
    await stage.session.end()
    assert stage.engine.calls[call_id].status is S.ENDED


async def test_a_call_goes_on_ringing_where_the_answer_of_another_session_fails(
    stage: CallStage,
) -> None:
    call_id = stage.incoming()
    async with stage.another(AUDIO, FakeRoom("me")) as other:
        await stage.session.ringing(call_id)
        stage.engine.error = UTDStreamException(
            "slow down", code=UTDErrorCode.RATE_LIMITED, status_code=429
        )
        assert (await refused(other.accept(call_id))).code is UTDErrorCode.RATE_LIMITED
        stage.engine.error = None
        await settle()
        assert shown(stage.session) == (S.RINGING, call_id, "ana")
        await stage.session.accept(call_id)
        assert stage.session.connected.value


async def test_a_call_that_another_session_is_answering_is_neither_taken_nor_ended(
    stage: CallStage,
) -> None:
    call_id = stage.incoming()
    async with stage.another(AUDIO, FakeRoom("me")) as other:
        await stage.session.ringing(call_id)
        stage.engine.gate.clear()
        accepting = asyncio.ensure_future(stage.session.accept(call_id))
        await settle()
        dial = asyncio.ensure_future(other.start("ana"))
        hung_up = asyncio.ensure_future(other.accept(call_id))
        await settle()
        stage.engine.gate.set()
        assert (await accepting).call_id == call_id
        for command in (dial, hung_up):
            assert (await refused(command)).reason is ConflictReason.ALREADY
        assert shown(other) == (None, None, None)
        assert shown(stage.session) == (S.ACTIVE, call_id, "ana")
    assert "end_call" not in stage.engine.asked


@pytest.mark.parametrize("how", ["cancel", "end", "aclose"])
async def test_a_dial_that_is_given_up_does_not_end_what_another_session_answered(
    stage: CallStage, how: str
) -> None:
    call_id = stage.incoming()
    async with stage.another(AUDIO, FakeRoom("me")) as other:
        stage.engine.gate.clear()
        accepting = asyncio.ensure_future(stage.session.accept(call_id))
        await settle()
        dial = asyncio.ensure_future(other.start("ana"))
        await settle()
        waiting = [dial]
        if how == "cancel":
            dial.cancel()
        else:
            waiting.append(asyncio.ensure_future(getattr(other, how)()))
        await settle()
        stage.engine.gate.set()
        await asyncio.wait([accepting, *waiting])
        await settle()
        assert shown(stage.session) == (S.ACTIVE, call_id, "ana")
    assert stage.engine.calls[call_id].status is S.ACTIVE
    assert stage.signals.holders.keys() == {call_id}


# --- two devices of the callee ------------------------------------------------------------------


async def test_an_answer_elsewhere_is_one_also_when_told_while_this_one_answers(
    stage: CallStage,
) -> None:
    call_id = stage.incoming()
    stage.signals.turn(True)
    await stage.session.ringing(call_id)
    stage.engine.gate.clear()
    accepting = asyncio.ensure_future(stage.session.accept(call_id))
    await settle()
    tablet = evolve(stage.engine.turn(call_id, S.ACTIVE), answered_by="tablet")
    stage.engine.calls[call_id] = tablet
    stage.signals.tell(tablet)
    stage.engine.gate.set()
    assert (await refused(accepting)).code is UTDErrorCode.CONFLICT
    await settle()
    assert shown(stage.session) == (S.ENDED, call_id, "ana")
    assert stage.session.end_reason.value is R.ANSWERED_ELSEWHERE
    assert stage.engine.calls[call_id].status is S.ACTIVE
    assert stage.signals.holders == {}


@pytest.mark.parametrize("knows", [False, True])
async def test_hanging_up_what_only_rings_here_does_not_end_it_where_it_was_answered(
    stage: CallStage, knows: bool
) -> None:
    call_id = stage.incoming()
    stage.signals.turn(True)
    await stage.session.ringing(call_id)
    stage.engine.calls[call_id] = evolve(stage.engine.turn(call_id, S.ACTIVE), answered_by="tablet")
    if knows:
        stage.signals.tell(stage.engine.calls[call_id])
    await stage.session.end()
    assert stage.engine.calls[call_id].status is S.ACTIVE
    assert shown(stage.session) == (S.ENDED, call_id, "ana")
    assert stage.session.end_reason.value is R.ANSWERED_ELSEWHERE


@pytest.mark.parametrize("over", [(S.ENDED, R.CALLER_CANCELLED), (S.MISSED, R.RING_TIMEOUT)])
async def test_hanging_up_what_rings_no_more_is_fine(stage: CallStage, over: tuple[S, R]) -> None:
    call_id = stage.incoming()
    stage.signals.turn(True)
    await stage.session.ringing(call_id)
    stage.engine.turn(call_id, *over)
    await stage.session.end()
    assert (stage.session.status.value, stage.session.end_reason.value) == over


# --- what overtakes the reply ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason"),
    [(S.ENDED, R.CALLER_CANCELLED), (S.MISSED, R.RING_TIMEOUT), (S.ACTIVE, None)],
)
async def test_what_is_told_before_the_reply_to_ringing_is_not_lost(
    stage: CallStage, status: S, reason: R | None
) -> None:
    call_id = stage.incoming()
    stage.signals.turn(True)
    engine_rings = stage.engine.ringing_call

    async def slow(call_id: str) -> UTDCall:
        reply = await engine_rings(call_id)
        stage.news(status, reason)
        return reply

    stage.engine.ringing_call = slow  # type: ignore[method-assign]
    await stage.session.ringing(call_id)
    assert stage.session.status.value is (S.ENDED if status is S.ACTIVE else status)
    assert stage.session.end_reason.value is (reason or R.ANSWERED_ELSEWHERE)
    assert stage.signals.holders == {}


async def test_a_refusal_before_the_reply_to_the_dial_is_not_lost(stage: CallStage) -> None:
    stage.signals.turn(True)
    engine_starts = stage.engine.start_call

    async def slow(*args: object, **options: object) -> UTDCall:
        reply = await engine_starts(*args, **options)  # type: ignore[arg-type]
        stage.news(S.REJECTED, R.REJECTED)
        return reply

    stage.engine.start_call = slow  # type: ignore[method-assign]
    assert (await refused(stage.session.start("ana"))).reason is ConflictReason.LEFT
    assert shown(stage.session)[0] is S.REJECTED
    assert not stage.room.is_connected


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

    stage.engine.end_call = odd  # type: ignore[method-assign]
    await stage.session.end()
    assert shown(stage.session) == (S.ENDED, call.call_id, "ana")
    assert stage.session.end_reason.value is R.CALLER_HANGUP


async def test_a_call_that_rings_here_is_declined_by_hanging_up(stage: CallStage) -> None:
    call_id = stage.incoming()
    await stage.session.ringing(call_id)
    await stage.session.end()
    assert stage.engine.calls[call_id].end_reason is R.REJECTED
    assert (stage.session.status.value, stage.session.end_reason.value) == (S.REJECTED, R.REJECTED)


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

    stage.engine.participant_metadata = metadata  # type: ignore[method-assign]
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
