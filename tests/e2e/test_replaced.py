"""Of two connections of one identity the one that joined later stays, and the other learns why."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from livekit import rtc

from tests.e2e.house import PATIENCE, House
from tests.support.processes import asleep
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


@pytest.mark.realtime(waits=True)
@pytest.mark.timeout(180)
async def test_a_machine_that_slept_through_the_later_join_ends_and_says_so(house: House) -> None:
    await house.join("hana", as_host=True, seat_count=2)
    engine = house.engine
    laptop = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("sleeper.py")),
        *(engine.base_url, engine.app_id, engine.app_key, "sara", "lobby"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert laptop.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            assert await laptop.stdout.readline() == b"connected\n"
        with asleep(laptop.pid):
            phone = await house.join("sara")
            await asyncio.sleep(35)  # longer than the ping time-outs of either side
        async with asyncio.timeout(90):
            assert await laptop.stdout.readline() == b"ended REPLACED\n"
        await phone.connected.until(True, timeout=PATIENCE)
        assert phone.failure.value is None
    finally:
        if laptop.returncode is None:
            laptop.kill()
        await laptop.wait()
