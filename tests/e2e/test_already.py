"""A program that comes back is not refused what is its own: what is so already succeeds."""

from __future__ import annotations

import pytest

from tests.e2e.house import House
from tests.e2e.phones import Exchange
from tests.e2e.shows import Show
from tests.e2e.test_audio_room import refused
from utd_rx import ConflictReason, UTDRole, UTDSeatMode

pytestmark = pytest.mark.long


async def test_a_bot_that_is_started_again_and_again_sits_where_it_sat(house: House) -> None:
    host = await house.join("hana", as_host=True, seat_count=4)
    for _ in range(5):  # each takes the place of the one before, which nobody ended
        bot = await house.join("bot")
        await bot.take_seat(0)
        assert bot.microphone_enabled.value
    await host.seats.until(lambda grid: grid.occupant_of(0) == "bot")
    error = await refused(host.take_seat(0))
    assert error.reason is ConflictReason.REFUSED
    assert "'bot'" in error.message


async def test_every_command_of_an_audio_room_that_asks_for_what_is(house: House) -> None:
    host = await house.join("hana", as_host=True, seat_count=4, seat_mode=UTDSeatMode.REQUEST)
    ben, cleo = await house.join("ben"), await house.join("cleo")
    request = await ben.request_to_speak(microphone=False)
    assert await ben.request_to_speak(microphone=True) == request
    assert request is not None
    await host.approve_speaker(request)
    await ben.microphone_enabled.until(True)
    seat = (await ben.my_seat.until(lambda mine: mine is not None)) and ben.my_seat.value
    assert seat is not None
    await ben.set_microphone(False)
    await ben.take_seat(seat.index)
    assert ben.microphone_enabled.value
    await ben.set_microphone(False)
    assert await ben.request_to_speak(microphone=False) is None
    assert not ben.microphone_enabled.value
    again = await house.join("ben")  # who is started anew and asks as ever
    assert await again.request_to_speak() is None
    assert again.microphone_enabled.value
    ben = again
    await ben.move_seat(seat.index)
    await host.invite_to_speak("cleo")
    [invitation] = await cleo.invitations.until(bool)
    await cleo.accept_invitation(invitation.id, microphone=False)
    await cleo.accept_invitation(invitation.id)
    assert cleo.microphone_enabled.value
    for _ in range(2):
        await host.lock_seat(3)
        await host.set_role("ben", UTDRole.ADMIN)
        await host.lock_chat(True)
        await host.mute("cleo")
        await host.ban("nobody")
    for _ in range(2):
        await host.unlock_seat(3)
        await host.lock_chat(False)
        await host.unban("nobody")
        await ben.cancel_request()
        await ben.leave_seat()
        await cleo.set_microphone(False)
        await cleo.leave_seat()
    await host.roles.until(lambda roles: roles.get("ben") is UTDRole.ADMIN)
    other = await house.join("hana", as_host=True)  # who has not heard of the role
    await other.set_role("ben", UTDRole.ADMIN)


async def test_every_command_of_a_live_stream_that_asks_for_what_is(show: Show) -> None:
    host = await show.attend("hana", as_host=True)
    ben = await show.attend("ben")
    for _ in range(2):
        await host.go_live()
        await ben.request_stage()
    await host.stage_requests.until(bool)
    for _ in range(2):
        await host.invite_to_stage("ben")
    await ben.can_publish.until(True)
    await ben.request_stage()
    assert not ben.hand_raised.value
    for _ in range(2):
        await ben.leave_stage()
        await host.remove_from_stage("ben")
        await host.stop_live()


async def test_a_call_that_is_accepted_already(exchange: Exchange) -> None:
    anna, ben = await exchange.phone("anna"), await exchange.phone("ben")
    call = await exchange.talking(anna, ben)
    again = await ben.session.accept(call.call_id)
    assert again.call_id == call.call_id
    assert (await refused(anna.session.accept(call.call_id))).reason is ConflictReason.ALREADY
