"""How a call is answered: here, elsewhere, by another session, and before a reply."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from attrs import evolve

from tests.sessions.call_stage import (
    AUDIO,
    CallStage,
    R,
    S,
    refused,
    shown,
)
from tests.sessions.watching import settle
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.call import UTDCall
from utd_rx.sessions.call import UTDCallSession
from utd_rx.testing.room import FakeRoom

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

    stage.engine.end_call = slow  # type: ignore[method-assign] # the fake does otherwise here
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

    stage.engine.ringing_call = slow  # type: ignore[method-assign] # the fake does otherwise here
    await stage.session.ringing(call_id)
    assert stage.session.status.value is (S.ENDED if status is S.ACTIVE else status)
    assert stage.session.end_reason.value is (reason or R.ANSWERED_ELSEWHERE)
    assert stage.signals.holders == {}


async def test_a_refusal_before_the_reply_to_the_dial_is_not_lost(stage: CallStage) -> None:
    stage.signals.turn(True)
    engine_starts = stage.engine.start_call

    async def slow(*args: object, **options: object) -> UTDCall:
        reply = await engine_starts(*args, **options)  # type: ignore[arg-type] # passed on
        stage.news(S.REJECTED, R.REJECTED)
        return reply

    stage.engine.start_call = slow  # type: ignore[method-assign] # the fake does otherwise here
    assert (await refused(stage.session.start("ana"))).reason is ConflictReason.LEFT
    assert shown(stage.session)[0] is S.REJECTED
    assert not stage.room.is_connected
