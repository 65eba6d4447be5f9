"""An engine to be scripted and clients that never really wait."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import pytest
from attrs import Factory, define

from tests.rest.engines import ScriptedEngine, scripted_engine
from utd_rx.rest import RetryPolicy, Timeouts, UTDApi, UTDApiClient

APP_ID = "1234567890"
APP_KEY = "0123456789abcdef0123456789abcdef"
BEARER = "eyJhbGciOiJIUzI1NiJ9.secret-bearer.signature"


@define
class Waits:
    """A sleep that only takes notes."""

    taken: list[float] = Factory(list)

    async def sleep(self, seconds: float) -> None:
        self.taken.append(seconds)


class MakeClient(Protocol):
    def __call__(
        self, base_url: str = ..., *, timeouts: Timeouts = ..., retries: RetryPolicy | None = ...
    ) -> UTDApiClient: ...


@pytest.fixture
async def engine() -> AsyncIterator[ScriptedEngine]:
    async with scripted_engine() as running:
        yield running


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def retries(waits: Waits) -> RetryPolicy:
    """The default policy, whose dice always show one half and whose clock stands still."""
    return RetryPolicy(sleep=waits.sleep, random=lambda: 0.5, clock=lambda: 1_000_000_000.0)


@pytest.fixture
async def make_client(engine: ScriptedEngine, retries: RetryPolicy) -> AsyncIterator[MakeClient]:
    """Make clients that are closed after the test; by default of the scripted engine."""
    made: list[UTDApiClient] = []
    default = retries

    def make(
        base_url: str = "",
        *,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 (frozen)
        retries: RetryPolicy | None = None,
    ) -> UTDApiClient:
        client = UTDApiClient(
            base_url or engine.base_url,
            app_id=APP_ID,
            app_key=APP_KEY,
            timeouts=timeouts,
            retries=retries or default,
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
