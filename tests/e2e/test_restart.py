"""The engine is killed and started anew: sessions are back, or told that they will not be.

An engine in a process of its own, with its media server; 5 s pass before the next one starts.
"""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from tests.e2e.house import PATIENCE
from tests.e2e.runs import Runs
from utd_rx import UTDAudioRoomSession, UTDConnectionState
from utd_rx.protocol.connection import Connection

pytestmark = pytest.mark.realtime(waits=True)

DOWN_SECONDS: Final = 5.0


async def outlive(runs: Runs, app_secret: str, *sessions: UTDAudioRoomSession) -> None:
    """Kill the engine and start it anew."""
    await runs.kill()
    for session in sessions:
        state = session.connection_state
        await state.until(UTDConnectionState.RECONNECTING, timeout=PATIENCE)
    await asyncio.sleep(DOWN_SECONDS)
    await runs.start(app_secret)


async def test_with_the_same_keys_and_ports_sessions_are_back(runs: Runs) -> None:
    sara = await runs.join("sara", as_host=True, seat_count=3)
    mona = await runs.join("mona")
    await mona.take_seat(1)
    await mona.set_microphone(True)
    addresses = dict(runs.addresses)
    await outlive(runs, "s" * 32, sara, mona)
    assert runs.addresses == addresses

    for session in (sara, mona):
        state = session.connection_state
        await state.until(UTDConnectionState.CONNECTED, timeout=PATIENCE)
        # The host's return makes the grid anew; nobody sits, and nobody may go on publishing.
        await session.seats.until(
            lambda grid: [seat.identity for seat in grid.seats] == [None] * 3, timeout=PATIENCE
        )
    await mona.can_publish.until(False, timeout=PATIENCE)
    assert not mona.microphone_enabled.value
    # The bearers of before are good, and sara is the host.
    await sara.lock_seat(0)
    await mona.take_seat(1)
    await mona.set_microphone(True)
    frames: asyncio.Queue[object] = asyncio.Queue()
    sara.audio("mona").subscribe(frames.put_nowait)
    async with asyncio.timeout(PATIENCE):
        for _ in range(20):
            await frames.get()


async def test_with_other_keys_sessions_are_told_at_once(runs: Runs) -> None:
    """Neither token nor bearer is known any more: a minute of hope would be for nothing."""
    mona = await runs.join("mona")
    seen: list[Connection] = []
    mona.select(lambda state: state.session.connection).subscribe(seen.append)
    await outlive(runs, "t" * 32, mona)
    tried = seen[-1].attempts
    settled = await mona.connection_state.until(
        lambda state: state is not UTDConnectionState.RECONNECTING, timeout=PATIENCE
    )
    # What was on its way may have met nobody. Then one try with the old token and one with a fresh
    # one (the app's key is still good): the first answer to either ends it, or says to go on.
    assert max(connection.attempts for connection in seen) <= tried + 2
    assert settled is not UTDConnectionState.FORCE_EXIT, "nobody told it: it gave up by itself"
    assert settled is UTDConnectionState.CONNECTED or mona.failure.value is not None
