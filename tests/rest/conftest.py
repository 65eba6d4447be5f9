"""An engine to be scripted and clients that never really wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import pytest
from attrs import Factory, define

from tests.rest.engines import ScriptedEngine, scripted_engine
from utd_rx.ports.clock import Clock
from utd_rx.rest import Timeouts, UTDApi, UTDApiClient

APP_ID = "1234567890"
APP_KEY = "0123456789abcdef0123456789abcdef"
BEARER = "eyJhbGciOiJIUzI1NiJ9.secret-bearer.signature"


@define
class HandClock:
    """Time that a test sets; what is to be called at a time is called at once."""

    seconds: float = 1_000.0
    waits: list[float] = Factory(list)

    def now(self) -> float:
        return self.seconds

    def wall(self) -> float:
        return 1_000_000_000.0

    def call_at(self, at: float, callback: Callable[[], None]) -> Callable[[], None]:
        self.waits.append(at - self.seconds)
        return asyncio.get_running_loop().call_soon(callback).cancel

    def jitter(self) -> float:
        return 0.5


class MakeClient(Protocol):
    def __call__(
        self, base_url: str = ..., *, timeouts: Timeouts = ..., clock: Clock = ...
    ) -> UTDApiClient: ...


@pytest.fixture
async def engine() -> AsyncIterator[ScriptedEngine]:
    async with scripted_engine() as running:
        yield running


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def make_client(engine: ScriptedEngine, clock: HandClock) -> AsyncIterator[MakeClient]:
    """Make clients that are closed after the test; by default of the scripted engine."""
    made: list[UTDApiClient] = []

    def make(
        base_url: str = "",
        *,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 (frozen)
        clock: Clock = clock,
    ) -> UTDApiClient:
        client = UTDApiClient(
            base_url or engine.base_url,
            app_id=APP_ID,
            app_key=APP_KEY,
            timeouts=timeouts,
            clock=clock,
        )
        made.append(client)
        return client

    yield make
    for client in made:
        await client.aclose()


@pytest.fixture
def client(make_client: MakeClient) -> UTDApiClient:
    return make_client()


@pytest.fixture
def api(client: UTDApiClient) -> UTDApi:
    return UTDApi(client, bearer=BEARER)
