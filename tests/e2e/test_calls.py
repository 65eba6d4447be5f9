"""Each way a call ends, with real media: both ends agree on how, and nothing is left of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.e2e.house import PATIENCE
from tests.e2e.phones import Exchange, Phone, agreed, consistent, heard
from tests.e2e.test_audio_room import refused
from utd_rx import UTDCallEndReason, UTDCallStatus, UTDErrorCode
from utd_rx.errors import ConflictReason

R, S = UTDCallEndReason, UTDCallStatus
Ending = Callable[[Exchange, Phone, Phone], Awaitable[None]]


async def caller_hangs_up(_: Exchange, caller: Phone, callee: Phone) -> None:
    await caller.session.end()


async def callee_hangs_up(_: Exchange, caller: Phone, callee: Phone) -> None:
    await callee.session.end()


async def too_long(exchange: Exchange, caller: Phone, callee: Phone) -> None:
    exchange.clock.skip(3601)


async def callee_is_lost(exchange: Exchange, caller: Phone, callee: Phone) -> None:
    await lost(exchange, callee)


async def caller_is_lost(exchange: Exchange, caller: Phone, callee: Phone) -> None:
    await lost(exchange, caller)


async def lost(exchange: Exchange, phone: Phone) -> None:
    """Have the media server end somebody's connection, which they do not make again in time."""
    core, call_id = exchange.engine.core, phone.session.room_name
    assert await core.media.remove(core.rooms.livekit_name(call_id), phone.identity)
    party = core.calls.find(call_id, None).party(phone.identity)
    async with asyncio.timeout(PATIENCE):
        while party is not None and party.sid is not None:  # until the engine has heard of it
            await asyncio.sleep(0)
            party = core.calls.find(call_id, None).party(phone.identity)
    await phone.session.connected.until(False, timeout=PATIENCE)
    # The call goes on: the engine was asked, and nobody has hung up.
    assert phone.session.status.value is S.ACTIVE
    exchange.clock.skip(31)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (caller_hangs_up, R.CALLER_HANGUP),
        (callee_hangs_up, R.CALLEE_HANGUP),
        (too_long, R.MAX_DURATION),
        (callee_is_lost, R.PEER_LOST),
        (caller_is_lost, R.PEER_LOST),
    ],
)
async def test_a_call_that_was_answered(
    exchange: Exchange, end: Ending, reason: UTDCallEndReason
) -> None:
    anna, ben = await exchange.phone("anna"), await exchange.phone("ben")
    await exchange.talking(anna, ben)
    for phone in (anna, ben):
        assert phone.session.status.value is S.ACTIVE
        assert phone.session.microphone_enabled.value
        consistent(phone.session)
    await end(exchange, anna, ben)
    call = await agreed(anna, ben, S.ENDED, reason)
    assert call.duration_seconds is not None
    assert (call.duration_seconds >= 3600) is (reason is R.MAX_DURATION)
    assert call.answered_by is not None
    await exchange.empty()


async def test_calls_that_were_not_answered(exchange: Exchange) -> None:
    """One after the other, with the same sessions: cancelled, rejected, busy, missed."""
    anna, ben = await exchange.phone("anna"), await exchange.phone("ben")

    async def cancel(_: str) -> None:
        await anna.session.end()

    async def miss(_: str) -> None:
        exchange.clock.skip(31)

    ends: dict[Callable[[str], Awaitable[None]], tuple[UTDCallStatus, UTDCallEndReason]] = {
        cancel: (S.ENDED, R.CALLER_CANCELLED),
        ben.session.reject: (S.REJECTED, R.REJECTED),
        ben.session.busy: (S.BUSY, R.BUSY),
        miss: (S.MISSED, R.RING_TIMEOUT),
    }
    for end, (status, reason) in ends.items():
        call = await anna.session.start("ben", metadata={"about": "lunch"})
        ringing = await ben.rung("anna")
        assert (ringing.call_id, dict(ringing.metadata)) == (call.call_id, {"about": "lunch"})
        await ben.session.ringing(call.call_id)
        await anna.stands(S.RINGING)
        assert anna.session.connected.value
        assert not anna.session.microphone_enabled.value
        await end(call.call_id)
        assert (await agreed(anna, ben, status, reason)).duration_seconds == 0
        await ben.silent()
        assert (await refused(ben.session.accept(call.call_id))).code is UTDErrorCode.CONFLICT
        await anna.session.end()  # once more, which is nothing
    await exchange.empty()


async def test_who_is_on_a_call_is_busy(exchange: Exchange) -> None:
    anna, ben, carl = [await exchange.phone(who) for who in ("anna", "ben", "carl")]
    call = await exchange.talking(anna, ben)
    busy = await refused(carl.session.start("anna"))
    assert (busy.code, busy.reason) == (UTDErrorCode.CONFLICT, ConflictReason.BUSY)
    assert (carl.session.status.value, carl.session.end_reason.value) == (S.BUSY, R.BUSY)
    assert (carl.session.peer.value, carl.session.call_id.value) == ("anna", None)
    twice = await refused(anna.session.start("carl"))
    assert (twice.code, twice.reason) == (UTDErrorCode.CONFLICT, ConflictReason.ALREADY)
    for phone in (anna, ben):
        assert phone.client.ringing_calls.value == ()
        assert phone.session.call_id.value == call.call_id
    await heard(anna, ben)
    await anna.session.end()
    await agreed(anna, ben, S.ENDED, R.CALLER_HANGUP)
    await carl.session.start("anna")
    await anna.rung("carl")


async def test_of_hang_ups_from_both_sides_one_counts(exchange: Exchange) -> None:
    anna, ben = await exchange.phone("anna"), await exchange.phone("ben")
    await exchange.talking(anna, ben)
    await asyncio.gather(anna.session.end(), ben.session.end())
    reason = anna.session.end_reason.value
    assert reason in (R.CALLER_HANGUP, R.CALLEE_HANGUP)
    await agreed(anna, ben, S.ENDED, reason)


async def test_who_was_cut_off_comes_back_and_the_call_goes_on(exchange: Exchange) -> None:
    anna, ben = await exchange.phone("anna"), await exchange.phone("ben")
    call = await exchange.talking(anna, ben)
    core = exchange.engine.core
    for phone in (anna, ben):
        assert await core.media.remove(core.rooms.livekit_name(call.call_id), phone.identity)
        await phone.session.connected.until(False, timeout=PATIENCE)
        assert phone.session.status.value is S.ACTIVE
        await phone.session.join()
        await phone.session.microphone_enabled.until(True, timeout=PATIENCE)
        await heard(anna, ben)
        assert phone.session.failure.value is None
    exchange.clock.skip(31)  # nobody counts as away
    await heard(anna, ben)
    await anna.session.end()
    await agreed(anna, ben, S.ENDED, R.CALLER_HANGUP)
