"""The signal port keeps its promises over a WebSocket, at the other end of a pipe, and faked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from attrs import define

from tests.rest.signal_engine import SignalEngine, signal_engine
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.call import UTDCall
from utd_rx.ports.signal import SignalPort
from utd_rx.rest.signal import SignalClient
from utd_rx.testing.contracts.signal import SignalContract
from utd_rx.testing.pickled import pickled
from utd_rx.testing.signal import FakeSignal

TOKEN = "eyJhbGciOiJIUzI1NiJ9.secret-bearer.signature"


@define
class SocketBench:
    """A real socket, and an engine that speaks the contract."""

    port: SignalPort
    engine: SignalEngine
    url: str
    token: str = TOKEN

    async def tell(self, *frames: tuple[str, UTDCall]) -> None:
        await self.engine.tell(*frames)

    async def babble(self) -> None:
        await self.engine.send('{"type": "call_waiting", "call": {}}')

    async def end(self, code: int | None) -> None:
        if code is None:
            self.engine.cut()
        else:
            await self.engine.close(code, "so it is")

    async def refuse(self) -> None:
        self.engine.tokens.clear()

    async def vanish(self) -> None:
        # A port that nothing listens on.
        server = await asyncio.start_server(lambda _, __: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        self.url = f"ws://127.0.0.1:{port}/api/v1/signal"

    async def hang_on(self) -> None:
        self.engine.is_silent = True

    async def reached(self) -> None:
        await self.engine.reached()

    async def deserted(self) -> None:
        await self.engine.deserted()


class TestSignalSocket(SignalContract):
    @pytest.fixture(params=["direct", "pickled"])
    async def bench(self, request: pytest.FixtureRequest) -> AsyncIterator[SocketBench]:
        async with AsyncExitStack() as stack:
            engine = await stack.enter_async_context(signal_engine(TOKEN))
            port: SignalPort = SignalClient()
            if request.param == "pickled":
                port = await stack.enter_async_context(pickled(SignalClient))
            yield SocketBench(port, engine, engine.url)


@define
class FakeBench:
    """The fake, which is port and engine at once."""

    port: FakeSignal
    url: str = "ws://127.0.0.1:1/api/v1/signal"
    token: str = TOKEN

    async def tell(self, *frames: tuple[str, UTDCall]) -> None:
        self.port.tell(*frames)

    async def babble(self) -> None:
        self.port.babble()

    async def end(self, code: int | None) -> None:
        self.port.end(code)

    async def refuse(self) -> None:
        self.port.refuses.add(self.token)

    async def vanish(self) -> None:
        self.port.error = UTDStreamException("nobody there", code=UTDErrorCode.NETWORK)

    async def hang_on(self) -> None:
        self.port.is_silent = True

    async def reached(self) -> None:
        await asyncio.sleep(0)
        assert self.port.dialled == [self.token]

    async def deserted(self) -> None:
        assert self.port.live == 0


class TestFakeSignal(SignalContract):
    @pytest.fixture
    async def bench(self) -> FakeBench:
        return FakeBench(FakeSignal())


async def test_the_fake_repeats_what_rings_once_it_took_the_bearer() -> None:
    signal, told = FakeSignal(), list[object]()
    signal.is_silent = True
    running = asyncio.create_task(signal.run("ws://127.0.0.1:1", "t", told.extend))
    await asyncio.sleep(0)
    assert (signal.dialled, signal.live, signal.is_open, told) == (["t"], 1, False, [])
    signal.accept()
    assert signal.is_open
    signal.end()
    await running
    assert (signal.live, signal.most, signal.is_open) == (0, 1, False)
