"""The engine port of a live stream keeps its promises, over HTTP, behind a pipe, and as a fake."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from attrs import frozen

from tests.engine.fakes import FakeClock, FakeMedia
from tests.rest.conftest import HandClock
from utd_rx.engine import LocalEngine
from utd_rx.models.role import UTDRole
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.ports.engine import JoinRequest, StageCalls
from utd_rx.rest import UTDApi, UTDApiClient
from utd_rx.testing.contracts.stage import StageContract
from utd_rx.testing.pickled import pickled
from utd_rx.testing.room import FakeRoom
from utd_rx.testing.stage import FakeStageEngine

ROOM, HOST, OTHER = "show", "sara", "mona"


@frozen
class Bench:
    """A host and a viewer at one engine."""

    host: StageCalls
    viewer: StageCalls
    room: str = ROOM
    me: str = HOST
    other: str = OTHER


class TestUTDApi(StageContract):
    @pytest.fixture(params=["direct", "pickled"])
    async def bench(self, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
        media = FakeMedia()
        async with (
            LocalEngine(media=media, clock=FakeClock()) as engine,
            AsyncExitStack() as stack,
        ):

            async def join(identity: str, role: str) -> UTDApi:
                client = UTDApiClient(
                    engine.base_url, app_id=engine.app_id, app_key=engine.app_key, clock=HandClock()
                )
                asked = JoinRequest(identity, ROOM, UTDStreamType.LIVE_STREAM, role=role)
                api = UTDApi(client).acting_as(asked)
                if request.param == "pickled":
                    there = api
                    api = await stack.enter_async_context(pickled(lambda: there, client.aclose))
                else:
                    stack.push_async_callback(client.aclose)
                await media.connect(engine.core, (await api.mint()).token)
                return api

            yield Bench(await join(HOST, "host"), await join(OTHER, "audience"))


class TestFakeStageEngine(StageContract):
    @pytest.fixture
    async def bench(self) -> Bench:
        host = FakeStageEngine(FakeRoom(HOST))
        host.promote(HOST, UTDRole.HOST)
        return Bench(host, FakeStageEngine(FakeRoom(OTHER), there=host.there))
