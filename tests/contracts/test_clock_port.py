"""The clock contract, held by the machine's clock and by the one that a test moves."""

from __future__ import annotations

import asyncio

import pytest
from attrs import frozen

from utd_rx.ports.clock import SYSTEM_CLOCK, Clock, sleep_until
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.contracts.clock import ClockContract


@frozen
class Waited:
    clock: Clock = SYSTEM_CLOCK

    async def pass_time(self, seconds: float) -> None:
        await sleep_until(self.clock, self.clock.now() + seconds)


@frozen
class Moved:
    clock: FakeClock

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)


class TestSystemClock(ClockContract):
    @pytest.fixture
    def bench(self) -> Waited:
        return Waited()


class TestFakeClock(ClockContract):
    @pytest.fixture
    def bench(self) -> Moved:
        return Moved(FakeClock(7.0))


async def test_sleeping_until_a_time_that_has_passed_yields_once() -> None:
    clock = FakeClock(10.0)
    sleeping = asyncio.ensure_future(sleep_until(clock, 9.0))
    await asyncio.sleep(0)
    assert not sleeping.done()
    clock.advance(0.0)
    await sleeping


async def test_who_stops_sleeping_is_not_called() -> None:
    clock = FakeClock()
    sleeping = asyncio.ensure_future(sleep_until(clock, 5.0))
    await asyncio.sleep(0)
    assert clock.next_at == 5.0
    sleeping.cancel()
    await asyncio.wait([sleeping])
    assert clock.next_at is None
