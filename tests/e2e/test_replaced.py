"""Of two connections of one identity the one that joined later stays, and the other learns why."""

from __future__ import annotations

import asyncio

from livekit import rtc

from tests.e2e.conftest import PATIENCE, House
from utd_rx import UTDConnectionState
from utd_rx.errors import ConflictReason


async def test_the_later_join_stays_and_the_earlier_learns_that_it_was_replaced(
    house: House,
) -> None:
    laptop = await house.join("sara")
    phone = await house.join("sara")
    await laptop.connection_state.until(UTDConnectionState.DISCONNECTED, timeout=PATIENCE)
    failure = laptop.failure.value
    assert failure is not None
    assert failure.reason is ConflictReason.REPLACED
    assert phone.connected.value


async def test_an_older_token_that_comes_back_does_not_keep_the_place(house: House) -> None:
    """As a machine does that slept, and wakes with the token of before."""
    host = await house.join("hana", as_host=True, seat_count=2)
    slept = await (await house.api("sara")).mint()
    phone = await house.join("sara")
    await phone.take_seat(1)
    laptop = rtc.Room()
    gone = asyncio.Event()
    laptop.on("disconnected", lambda *_: gone.set())
    await laptop.connect(slept.url, slept.token)
    try:
        async with asyncio.timeout(PATIENCE):
            await gone.wait()
        await phone.connected.until(True, timeout=PATIENCE)
        assert phone.failure.value is None
        await phone.microphone_enabled.until(True, timeout=PATIENCE)
        people = host.remote_participants
        await people.until(
            lambda there: [who.identity for who in there] == ["sara"], timeout=PATIENCE
        )
    finally:
        await laptop.disconnect()
