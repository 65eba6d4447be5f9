"""A local engine on each SFU, and users of its rooms, of its calls and of its live streams."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.e2e.apart import leave_out
from tests.e2e.house import House
from tests.e2e.phones import Exchange, SkippingClock
from tests.e2e.runs import Runs
from tests.e2e.shows import Show
from tests.support.living import is_apart, none_here
from tests.support.sfu import SfuKind
from utd_rx.engine import EngineOptions, LocalEngine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if is_apart():
        leave_out(items)


@pytest.fixture(autouse=True)
def rooms_that_live_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, in a run for that."""
    none_here(monkeypatch)


@pytest.fixture
async def house(sfu_kind: SfuKind) -> AsyncIterator[House]:
    """An engine on the SFU under test."""
    options = EngineOptions(sfu=sfu_kind, silent_update_interval=0.1)
    async with LocalEngine(options) as engine, AsyncExitStack() as stack:
        yield House(engine, stack)


@pytest.fixture
async def exchange(sfu_kind: SfuKind) -> AsyncIterator[Exchange]:
    """An engine on the SFU under test, whose time can be set ahead."""
    options, clock = EngineOptions(sfu=sfu_kind, silent_update_interval=0.1), SkippingClock()
    async with LocalEngine(options, clock=clock) as engine, AsyncExitStack() as stack:
        yield Exchange(engine, stack, clock)


@pytest.fixture
async def show(sfu_kind: SfuKind) -> AsyncIterator[Show]:
    """The same for a live stream."""
    options, clock = EngineOptions(sfu=sfu_kind, silent_update_interval=0.1), SkippingClock()
    async with LocalEngine(options, clock=clock) as engine, AsyncExitStack() as stack:
        yield Show(engine, stack, clock)


@pytest.fixture
async def runs(sfu_kind: SfuKind) -> AsyncIterator[Runs]:
    """An engine that can be killed, with the SFU under test."""
    async with AsyncExitStack() as stack:
        found = Runs(sfu_kind, stack)
        stack.push_async_callback(found.kill)
        await found.start("s" * 32)
        yield found
