"""The engine port over HTTP keeps its promises, also at the other end of a pipe."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from attrs import frozen

from tests.engine.fakes import FakeClock, FakeMedia
from tests.rest.conftest import HandClock
from utd_rx.engine import LocalEngine
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.role import UTDRole
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.ports.engine import EnginePort, JoinRequest
from utd_rx.rest import UTDApi, UTDApiClient
from utd_rx.testing.contracts.engine import EngineContract
from utd_rx.testing.engine import FakeEngine
from utd_rx.testing.pickled import pickled
from utd_rx.testing.room import FakeRoom

ROOM, HOST, OTHER = "friday", "sara", "mona"
DAY = 86_400.0


@frozen
class HttpBench:
    """A host's API, and an engine on a fake media server and a clock."""

    engine: EnginePort
    others: UTDApi
    media: FakeMedia
    clock: FakeClock
    room: str = ROOM
    me: str = HOST
    other: str = OTHER

    async def outlive(self) -> None:
        await self.clock.advance(DAY + 1)

    async def ask(self) -> int:
        request_id = await self.others.request_to_speak(ROOM)
        assert request_id is not None
        return request_id

    async def invite(self) -> int:
        if await self.engine.get_role(ROOM, OTHER) is not UTDRole.ADMIN:
            await self.engine.set_role(ROOM, OTHER, UTDRole.ADMIN)
        request_id = await self.others.invite_to_speak(ROOM, HOST)
        assert request_id is not None
        return request_id

    async def fail(self) -> None:
        self.media.is_down = True


class TestUTDApi(EngineContract):
    @pytest.fixture(params=["direct", "pickled"])
    async def bench(self, request: pytest.FixtureRequest) -> AsyncIterator[HttpBench]:
        media, clock = FakeMedia(), FakeClock()
        async with (
            LocalEngine(media=media, clock=clock) as engine,
            AsyncExitStack() as stack,
        ):
            near, there = (
                UTDApiClient(
                    engine.base_url,
                    app_id=engine.app_id,
                    app_key=engine.app_key,
                    clock=HandClock(),
                )
                for _ in range(2)
            )
            stack.push_async_callback(near.aclose)
            is_far = request.param == "pickled"
            host = UTDApi(there if is_far else near).acting_as(
                JoinRequest(HOST, ROOM, UTDStreamType.AUDIO_ROOM, role="host", seat_count=4)
            )
            served: EnginePort = host
            if is_far:
                served = await stack.enter_async_context(pickled(lambda: host, there.aclose))
            other = UTDApi(near).acting_as(JoinRequest(OTHER, ROOM, UTDStreamType.AUDIO_ROOM))
            for one in (served, other):
                await media.connect(engine.core, (await one.mint()).token)
            yield HttpBench(served, other, media, clock)


@frozen
class FakeBench:
    """The fake engine, whose other people are the test."""

    engine: FakeEngine
    room: str = ROOM
    me: str = HOST
    other: str = OTHER

    async def outlive(self) -> None:
        """Its bearers never end."""

    async def ask(self) -> int:
        self.engine.request(9, OTHER)
        return 9

    async def invite(self) -> int:
        self.engine.offered.add(5)
        return 5

    async def fail(self) -> None:
        self.engine.error = UTDStreamException("down", code=UTDErrorCode.SERVER, status_code=503)


class TestFakeEngine(EngineContract):
    @pytest.fixture
    async def bench(self) -> FakeBench:
        engine = FakeEngine(FakeRoom(HOST))
        engine.metadata[HOST] = "{}"
        return FakeBench(engine)
