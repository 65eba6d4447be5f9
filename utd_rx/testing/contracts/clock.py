"""What every clock promises; a subclass has a fixture `bench` that gives a `ClockBench`."""

from __future__ import annotations

from typing import Protocol

import pytest

from utd_rx.ports.clock import Clock


class ClockBench(Protocol):
    """A clock, and a way to let its time pass."""

    clock: Clock

    async def pass_time(self, seconds: float) -> None:
        """Return when that much time has passed, and who was due has been called."""


@pytest.mark.asyncio
class ClockContract:
    """The suite; see the module."""

    async def test_time_goes_on_and_never_back(self, bench: ClockBench) -> None:
        before, wall = bench.clock.now(), bench.clock.wall()
        await bench.pass_time(0.01)
        assert bench.clock.now() >= before + 0.01
        assert bench.clock.wall() > wall

    async def test_nobody_is_called_early_and_each_once(self, bench: ClockBench) -> None:
        called: list[float] = []
        at = bench.clock.now() + 0.02
        bench.clock.call_at(at, lambda: called.append(bench.clock.now()))
        assert called == []
        await bench.pass_time(0.03)
        [when] = called
        assert when >= at
        await bench.pass_time(0.03)
        assert len(called) == 1

    async def test_who_is_due_first_is_called_first(self, bench: ClockBench) -> None:
        called: list[str] = []
        now = bench.clock.now()
        bench.clock.call_at(now + 0.02, lambda: called.append("later"))
        bench.clock.call_at(now + 0.01, lambda: called.append("sooner"))
        await bench.pass_time(0.03)
        assert called == ["sooner", "later"]

    async def test_what_is_due_already_is_called_soon_and_not_at_once(
        self, bench: ClockBench
    ) -> None:
        called: list[str] = []
        bench.clock.call_at(bench.clock.now() - 1.0, lambda: called.append("due"))
        assert called == []
        await bench.pass_time(0.0)
        assert called == ["due"]

    async def test_who_was_taken_back_is_not_called(self, bench: ClockBench) -> None:
        called: list[str] = []
        cancel = bench.clock.call_at(bench.clock.now() + 0.01, lambda: called.append("due"))
        cancel()
        cancel()
        await bench.pass_time(0.02)
        assert called == []

    async def test_who_is_called_may_ask_to_be_called_again(self, bench: ClockBench) -> None:
        called: list[float] = []

        def again() -> None:
            called.append(bench.clock.now())
            if len(called) < 3:
                bench.clock.call_at(bench.clock.now() + 0.01, again)

        bench.clock.call_at(bench.clock.now() + 0.01, again)
        await bench.pass_time(0.06)
        assert len(called) == 3

    async def test_jitter_is_a_share(self, bench: ClockBench) -> None:
        assert all(0.0 <= bench.clock.jitter() < 1.0 for _ in range(100))
