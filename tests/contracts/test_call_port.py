"""The engine port of calls keeps its promises, over HTTP, behind a pipe, and as a fake."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial

import pytest
from attrs import frozen

from tests.engine.fakes import FakeClock, FakeMedia
from tests.rest.conftest import HandClock
from utd_rx.engine import LocalEngine
from utd_rx.models.call import UTDCall
from utd_rx.ports.engine import CallCalls
from utd_rx.rest import UTDApi, UTDApiClient
from utd_rx.rest.bearer import Bearer
from utd_rx.testing.calls import FakeCallEngine
from utd_rx.testing.contracts.calls import CallContract
from utd_rx.testing.pickled import pickled
from utd_rx.testing.room import FakeRoom


@frozen
class Bench:
    """Several users' devices at one engine."""

    caller: CallCalls
    callee: CallCalls
    tablet: CallCalls
    stranger: CallCalls
    me: str = "ana"
    them: str = "ben"


class TestUTDApi(CallContract):
    @pytest.fixture(params=["direct", "pickled"])
    async def bench(self, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
        async with (
            LocalEngine(media=FakeMedia(), clock=FakeClock()) as engine,
            AsyncExitStack() as stack,
        ):

            async def device(identity: str, device_id: str) -> CallCalls:
                client = UTDApiClient(
                    engine.base_url, app_id=engine.app_id, app_key=engine.app_key, clock=HandClock()
                )

                mint = partial(UTDApi(client).mint_session, identity=identity, device_id=device_id)
                api = UTDApi(client, bearer=Bearer(mint, clock=client.clock))
                if request.param == "pickled":
                    return await stack.enter_async_context(pickled(lambda: api, client.aclose))
                stack.push_async_callback(client.aclose)
                return api

            yield Bench(
                await device("ana", "phone"),
                await device("ben", "phone"),
                await device("ben", "tablet"),
                await device("cem", "phone"),
            )


class TestFakeCallEngine(CallContract):
    @pytest.fixture
    async def bench(self) -> Bench:
        calls: dict[str, UTDCall] = {}

        def device(identity: str, device: str = "phone") -> FakeCallEngine:
            return FakeCallEngine(FakeRoom(identity), calls=calls, device=device)

        return Bench(device("ana"), device("ben"), device("ben", "tablet"), device("cem"))
