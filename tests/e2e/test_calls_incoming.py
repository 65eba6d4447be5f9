"""Incoming calls: told of by a socket or not at all, on two devices, and both dialling at once."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.house import PATIENCE
from tests.e2e.phones import Exchange, NoSocket, Phone, agreed, consistent, heard
from tests.e2e.test_audio_room import refused
from utd_rx import (
    IncomingCall,
    UTDCallEndReason,
    UTDCallStatus,
    UTDErrorCode,
    UTDStreamException,
)

R, S = UTDCallEndReason, UTDCallStatus


async def test_a_call_is_told_of_once_and_to_who_comes_later(exchange: Exchange) -> None:
    anna, ben = await exchange.phone("anna"), await exchange.phone("ben")
    told: list[IncomingCall] = []
    ben.client.incoming_calls.subscribe(told.append)
    call = await anna.session.start("ben")
    await ben.rung("anna")
    # The same device once more: its socket is another one, to which the call is repeated.
    await ben.client.authenticate("ben")
    await ben.client.signal_connected.until(False, timeout=PATIENCE)
    await ben.client.signal_connected.until(True, timeout=PATIENCE)
    late: list[IncomingCall] = []
    ben.client.incoming_calls.subscribe(late.append)
    tablet = await exchange.phone("ben")
    assert (await tablet.rung("anna")).call_id == call.call_id
    await anna.session.end()
    await ben.silent()
    await tablet.silent()
    await anna.session.start("ben")
    await ben.rung("anna")
    assert [one.call_id for one in told] == [call.call_id, anna.session.call_id.value]
    assert told == late


async def test_a_call_can_be_accepted_by_an_id_that_came_otherwise(exchange: Exchange) -> None:
    """As by a push notification, on a network that lets no signal socket through."""
    anna, ben = [await exchange.phone(who, signal=NoSocket()) for who in ("anna", "ben")]
    call = await anna.session.start("ben")
    accepted = await ben.session.accept(call.call_id)
    assert (accepted.call_id, accepted.status) == (call.call_id, S.ACTIVE)
    assert ben.session.peer.value == "anna"
    await anna.stands(S.ACTIVE)
    await heard(anna, ben)
    for phone in (anna, ben):
        assert not phone.client.signal_connected.value
    await ben.session.end()
    await agreed(anna, ben, S.ENDED, R.CALLEE_HANGUP)


async def test_without_sockets_who_rings_hears_that_the_caller_gave_up(exchange: Exchange) -> None:
    anna, ben = [await exchange.phone(who, signal=NoSocket()) for who in ("anna", "ben")]
    call = await anna.session.start("ben")
    await ben.session.ringing(call.call_id)
    await anna.stands(S.RINGING)
    await anna.session.end()
    await agreed(anna, ben, S.ENDED, R.CALLER_CANCELLED)


async def devices(exchange: Exchange) -> tuple[Phone, Phone, Phone]:
    """Anna, and two devices of Ben's."""
    anna = await exchange.phone("anna")
    return anna, await exchange.phone("ben", device_id="a"), await exchange.phone("ben")


async def test_who_answers_on_one_device_silences_the_other(exchange: Exchange) -> None:
    anna, phone, laptop = await devices(exchange)
    call = await anna.session.start("ben")
    for device in (phone, laptop):
        assert (await device.rung("anna")).call_id == call.call_id
        await device.session.ringing(call.call_id)
    await phone.session.accept(call.call_id)
    await laptop.stands(S.ENDED)
    await laptop.silent()
    await phone.silent()
    assert laptop.session.end_reason.value is R.ANSWERED_ELSEWHERE
    assert (laptop.session.peer.value, laptop.session.duration.value) == ("anna", None)
    consistent(laptop.session)

    for command in (laptop.session.reject, laptop.session.busy, laptop.session.accept):
        error = await refused(command(call.call_id))
        assert (error.code, error.status_code) == (UTDErrorCode.CONFLICT, 409)
    await laptop.session.end()  # of nothing
    assert (anna.session.status.value, phone.session.status.value) == (S.ACTIVE, S.ACTIVE)
    await heard(anna, phone)
    assert laptop.session.end_reason.value is R.ANSWERED_ELSEWHERE
    await anna.session.end()
    await agreed(anna, phone, S.ENDED, R.CALLER_HANGUP)


async def test_who_declines_on_one_device_silences_the_other(exchange: Exchange) -> None:
    anna, phone, laptop = await devices(exchange)
    call = await anna.session.start("ben")
    for device in (phone, laptop):
        await device.rung("anna")
        await device.session.ringing(call.call_id)
    await laptop.session.reject(call.call_id)
    for device in (phone, laptop):
        await agreed(anna, device, S.REJECTED, R.REJECTED)
        await device.silent()
    assert (await refused(phone.session.accept(call.call_id))).code is UTDErrorCode.CONFLICT


async def test_of_two_devices_that_answer_at_once_one_does(exchange: Exchange) -> None:
    anna, phone, laptop = await devices(exchange)
    call = await anna.session.start("ben")
    for device in (phone, laptop):
        await device.session.ringing(call.call_id)
    answers = await asyncio.gather(
        phone.session.accept(call.call_id),
        laptop.session.accept(call.call_id),
        return_exceptions=True,
    )
    [lost] = [answer for answer in answers if isinstance(answer, UTDStreamException)]
    assert lost.code is UTDErrorCode.CONFLICT
    there, other = (laptop, phone) if answers[0] is lost else (phone, laptop)
    await other.stands(S.ENDED)
    assert other.session.end_reason.value is R.ANSWERED_ELSEWHERE
    await heard(anna, there)
    await there.session.end()
    await agreed(anna, there, S.ENDED, R.CALLEE_HANGUP)


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=pytest.mark.realtime)])
@pytest.mark.timeout(300)
async def test_who_call_each_other_at_once_are_in_one_call(exchange: Exchange, times: int) -> None:
    anna, ben = await exchange.phone("anna"), await exchange.phone("ben")
    callers: list[str | None] = []
    for number in range(times):
        pair = (anna, ben) if number % 2 else (ben, anna)
        one, other = await asyncio.gather(
            pair[0].session.start(pair[1].identity), pair[1].session.start(pair[0].identity)
        )
        assert one.call_id == other.call_id
        assert one.caller_identity == other.caller_identity
        callers.append(one.caller_identity)
        for phone in pair:
            await phone.stands(S.ACTIVE)
            await phone.silent()
        await heard(*pair)
        await pair[0].session.end()
        is_caller = pair[0].identity == one.caller_identity
        await agreed(*pair, S.ENDED, R.CALLER_HANGUP if is_caller else R.CALLEE_HANGUP)
    assert times == 2 or set(callers) == {"anna", "ben"}
    known = {call.id for call in exchange.engine.core.calls.calls()}
    assert len(known) == times
    await exchange.empty()
