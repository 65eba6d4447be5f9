"""What every engine port promises a call session."""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Callable
from typing import Protocol

import pytest

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.call import UTDCall, UTDCallEndReason, UTDCallStatus
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.ports.engine import CallCalls
from utd_rx.testing.contracts import refusal

S, R = UTDCallStatus, UTDCallEndReason
AUDIO, VIDEO = UTDStreamType.AUDIO_CALL, UTDStreamType.VIDEO_CALL


class CallBench(Protocol):
    """One engine, as several users may ask it; nobody is on a call.

    `callee` acts for the user `them`, and so does `tablet`, their second device; `caller` for `me`,
    and `stranger` for somebody else.
    """

    caller: CallCalls
    callee: CallCalls
    tablet: CallCalls
    stranger: CallCalls
    me: str
    them: str


@pytest.mark.asyncio
class CallContract:
    """Derive from it, with a fixture `bench` that is a `CallBench`."""

    async def test_a_call_is_started_answered_and_ended(self, bench: CallBench) -> None:
        call = await bench.caller.start_call(
            bench.them, VIDEO, caller_name="Me", callee_name="Ali", metadata={"why": ["lunch"]}
        )
        assert (call.status, call.type, call.room_name) == (S.INITIATING, VIDEO, call.call_id)
        assert (call.caller_identity, call.callee_identity) == (bench.me, bench.them)
        assert (call.caller_name, call.callee_name) == ("Me", "Ali")
        assert call.metadata == FrozenMap({"why": ("lunch",)})
        assert (await bench.callee.ringing_call(call.call_id)).status is S.RINGING
        answered = await bench.callee.accept_call(call.call_id)
        assert (answered.status, answered.answered_by is None) == (S.ACTIVE, False)
        for joins in (call, answered):
            assert joins.token
            assert joins.url
            assert joins.token not in repr(joins)
        seen = await bench.caller.get_call(call.call_id)
        assert (seen.status, seen.token) == (S.ACTIVE, None)
        over = await bench.caller.end_call(call.call_id)
        assert (over.status, over.end_reason) == (S.ENDED, R.CALLER_HANGUP)
        assert over.duration_seconds is not None
        assert (await bench.callee.get_call(call.call_id)).status is S.ENDED

    async def test_what_comes_back_is_a_value(self, bench: CallBench) -> None:
        call = await bench.caller.start_call(bench.them, AUDIO, metadata={"a": {"b": [1, None]}})
        for value in (call, await bench.callee.get_call(call.call_id)):
            hash(value)
            assert pickle.loads(pickle.dumps(value)) == value

    @pytest.mark.parametrize(
        ("decline", "status", "reason"),
        [
            (lambda bench, id_: bench.callee.reject_call(id_), S.REJECTED, R.REJECTED),
            (lambda bench, id_: bench.callee.busy_call(id_), S.BUSY, R.BUSY),
            (lambda bench, id_: bench.caller.end_call(id_), S.ENDED, R.CALLER_CANCELLED),
        ],
    )
    async def test_a_call_that_is_over_is_refused_but_for_its_end(
        self,
        bench: CallBench,
        decline: Callable[[CallBench, str], Awaitable[UTDCall]],
        status: UTDCallStatus,
        reason: UTDCallEndReason,
    ) -> None:
        call_id = (await bench.caller.start_call(bench.them, AUDIO)).call_id
        over = await decline(bench, call_id)
        assert (over.status, over.end_reason) == (status, reason)
        for late in (
            bench.callee.ringing_call,
            bench.callee.accept_call,
            bench.callee.reject_call,
            bench.callee.busy_call,
            bench.caller.rejoin_call,
        ):
            assert (await refusal(late(call_id))).code is UTDErrorCode.CONFLICT
        for party in (bench.caller, bench.callee):
            again = await party.end_call(call_id)
            assert (again.status, again.end_reason) == (status, reason)

    async def test_one_device_answers_and_may_do_so_again(self, bench: CallBench) -> None:
        call_id = (await bench.caller.start_call(bench.them, AUDIO)).call_id
        await bench.callee.accept_call(call_id)
        assert (await bench.callee.accept_call(call_id)).status is S.ACTIVE
        for late in (
            bench.tablet.accept_call,
            bench.tablet.reject_call,
            bench.tablet.busy_call,
            bench.tablet.rejoin_call,
        ):
            assert (await refusal(late(call_id))).code is UTDErrorCode.CONFLICT
        assert (await bench.caller.get_call(call_id)).status is S.ACTIVE

    async def test_who_is_in_a_call_gets_another_token(self, bench: CallBench) -> None:
        call = await bench.caller.start_call(bench.them, AUDIO)
        await bench.callee.accept_call(call.call_id)
        for party in (bench.caller, bench.callee):
            again = await party.rejoin_call(call.call_id)
            assert (again.status, again.url) == (S.ACTIVE, call.url)
            assert again.token

    async def test_who_dials_whoever_dials_them_is_in_that_call(self, bench: CallBench) -> None:
        first = await bench.caller.start_call(bench.them, AUDIO)
        second = await bench.callee.start_call(bench.me, AUDIO)
        assert (second.call_id, second.status) == (first.call_id, S.ACTIVE)
        assert second.caller_identity == bench.me
        assert second.token
        assert second.token != first.token

    async def test_who_is_on_a_call_is_told_apart(self, bench: CallBench) -> None:
        await bench.caller.start_call(bench.them, AUDIO)
        busy = await refusal(bench.stranger.start_call(bench.them, AUDIO))
        already = await refusal(bench.caller.start_call("somebody", AUDIO))
        assert (busy.reason, already.reason) == (ConflictReason.BUSY, ConflictReason.ALREADY)

    async def test_what_is_not_one_s_own_is_forbidden(self, bench: CallBench) -> None:
        call_id = (await bench.caller.start_call(bench.them, AUDIO)).call_id
        for command in (
            bench.caller.accept_call,
            bench.caller.ringing_call,
            bench.caller.reject_call,
            bench.stranger.end_call,
            bench.stranger.get_call,
        ):
            assert (await refusal(command(call_id))).code is UTDErrorCode.FORBIDDEN

    async def test_a_call_that_is_none_is_not_found(self, bench: CallBench) -> None:
        for command in (
            bench.callee.accept_call,
            bench.callee.ringing_call,
            bench.callee.reject_call,
            bench.callee.busy_call,
            bench.caller.end_call,
            bench.caller.get_call,
            bench.caller.rejoin_call,
        ):
            error: UTDStreamException = await refusal(command("call_0123456789abcdef01234567"))
            assert (error.code, error.status_code) == (UTDErrorCode.NOT_FOUND, 404)
