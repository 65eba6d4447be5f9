"""Who stays in a room for longer than the bearer lasts does not notice."""

from __future__ import annotations

from contextlib import AsyncExitStack

from tests.e2e.house import PATIENCE, House
from tests.support.sfu import SfuKind
from utd_rx.engine import EngineOptions, LocalEngine
from utd_rx.engine.engine_clock import LoopEngineClock
from utd_rx.models.role import UTDRole

DAY = 86_400.0


class AheadClock(LoopEngineClock):
    """The loop's clock, whose wall clock a test sets ahead."""

    ahead = 0.0

    def wall(self) -> float:
        return super().wall() + self.ahead


async def test_a_day_later_every_command_of_a_joined_session_works(sfu_kind: SfuKind) -> None:
    clock = AheadClock()
    options = EngineOptions(sfu=sfu_kind, silent_update_interval=0.1)
    async with LocalEngine(options, clock=clock) as engine, AsyncExitStack() as stack:
        house = House(engine, stack)
        host = await house.join("sara", as_host=True, seat_count=4)
        mona = await house.join("mona")
        await mona.take_seat(1)
        await host.seats.until(lambda grid: grid.seats[1].identity == "mona", timeout=PATIENCE)
        clock.ahead = DAY + 10
        await mona.leave_seat()
        await host.seats.until(lambda grid: grid.seats[1].identity is None, timeout=PATIENCE)
        await host.take_seat(0)
        await host.lock_seat(2)
        await host.set_role("mona", "admin")
        assert host.roles.value["mona"] is UTDRole.ADMIN
