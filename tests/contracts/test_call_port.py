"""The engine port of calls keeps its promises, over HTTP and as a fake."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from attrs import frozen

from tests.engine.fakes import FakeClock, FakeMedia
from tests.rest.conftest import HandClock
from utd_rx.engine import LocalEngine
from utd_rx.models.call import UTDCall
from utd_rx.ports.engine import CallCalls
from utd_rx.rest import UTDApi, UTDApiClient
from utd_rx.testing.calls import FakeCallEngine
from utd_rx.testing.contracts.calls import CallContract
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
    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        async with LocalEngine(media=FakeMedia(), clock=FakeClock()) as engine:
            client = UTDApiClient(
                engine.base_url, app_id=engine.app_id, app_key=engine.app_key, clock=HandClock()
            )

            async def device(identity: str, device_id: str) -> UTDApi:
                reply = await UTDApi(client).mint_session(identity=identity, device_id=device_id)
                return UTDApi(client, bearer=reply.user_token)

            yield Bench(
                await device("ana", "phone"),
                await device("ben", "phone"),
                await device("ben", "tablet"),
                await device("cem", "phone"),
            )
            await client.aclose()


class TestFakeCallEngine(CallContract):
    @pytest.fixture
    async def bench(self) -> Bench:
        calls: dict[str, UTDCall] = {}

        def device(identity: str, device: str = "phone") -> FakeCallEngine:
            return FakeCallEngine(FakeRoom(identity), calls=calls, device=device)

        return Bench(device("ana"), device("ben"), device("ben", "tablet"), device("cem"))
