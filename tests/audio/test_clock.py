"""The real clock has the time base of frames, and yields when there is nothing to wait for."""

from __future__ import annotations

import asyncio
import pickle
import time

from utd_rx.audio.clock import MONOTONIC


async def test_it_is_the_monotonic_clock() -> None:
    before = time.monotonic()
    assert before <= MONOTONIC.now() <= time.monotonic()


async def test_a_moment_in_the_past_yields_once() -> None:
    ran: list[bool] = []
    asyncio.get_running_loop().call_soon(ran.append, True)
    await MONOTONIC.sleep_until(MONOTONIC.now() - 1)
    assert ran


async def test_it_does_not_return_early() -> None:
    at = MONOTONIC.now() + 0.002
    await MONOTONIC.sleep_until(at)
    assert MONOTONIC.now() >= at - 1e-6


def test_it_crosses_a_process_border() -> None:
    assert pickle.loads(pickle.dumps(MONOTONIC)) == MONOTONIC
