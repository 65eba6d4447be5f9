"""The agent socket port keeps its promises over a WebSocket, at the end of a pipe, and faked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from aiohttp import web
from attrs import Factory, define

from tests.agent.socket_server import SocketServer, mute_server, socket_server
from utd_rx.agent.socket import AgentSocket
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.ports.agent_socket import (
    AgentSocketAddress,
    AgentSocketEnd,
    AgentSocketEnded,
    AgentSocketPort,
)
from utd_rx.testing.agent_socket import FakeAgentSocket
from utd_rx.testing.contracts.agent_socket import AgentSocketContract
from utd_rx.testing.pickled import pickled

SECRET = "sk_0123456789abcdef"
HEARTBEAT = 0.4


def address_of(url: str) -> AgentSocketAddress:
    headers = FrozenMap({"Authorization": f"Bearer {SECRET}"})
    return AgentSocketAddress(f"{url}?agent_id=a&token={SECRET}", headers)


def make_socket() -> AgentSocket:
    return AgentSocket(heartbeat=HEARTBEAT)


@define
class SocketBench:
    """A real socket, and a server."""

    port: AgentSocketPort
    server: SocketServer
    stack: AsyncExitStack
    address: AgentSocketAddress
    secret: str = SECRET
    mute: tuple[asyncio.Event, asyncio.Event] | None = None

    async def tell(self, *texts: str) -> None:
        assert self.server.line is not None
        for text in texts:
            await self.server.line.send(text)

    async def babble(self) -> None:
        assert self.server.line is not None
        await self.server.line.send(b"\x00\x01")

    async def end(self, code: int) -> None:
        assert self.server.line is not None
        await self.server.line.close(code, f"with {SECRET}")

    async def cut(self) -> None:
        assert self.server.line is not None
        self.server.line.cut()

    async def vanish(self) -> None:
        assert self.server.line is not None
        self.server.line.vanish()

    async def refuse(self, status: int, retry_after: int) -> None:
        headers = {"Retry-After": str(retry_after)}
        self.server.refuses_with = web.Response(status=status, headers=headers, text=f"no {SECRET}")

    async def be_nowhere(self) -> None:
        async with mute_server() as (url, _, _):
            self.address = address_of(url)

    async def hang_on(self) -> None:
        url, came, went = await self.stack.enter_async_context(mute_server())
        self.address, self.mute = address_of(url), (came, went)

    async def reached(self) -> None:
        if self.mute is None:
            await self.server.reached()
        else:
            await self.mute[0].wait()

    async def received(self, count: int) -> list[str]:
        return await self.server.has_received(count)

    async def deserted(self) -> int | None:
        if self.mute is None:
            return await self.server.deserted()
        await self.mute[1].wait()
        return None


class TestAgentSocket(AgentSocketContract):
    @pytest.fixture(params=["direct", "pickled"])
    async def bench(self, request: pytest.FixtureRequest) -> AsyncIterator[SocketBench]:
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(socket_server())
            port: AgentSocketPort = make_socket()
            if request.param == "pickled":
                port = await stack.enter_async_context(pickled(make_socket))
            yield SocketBench(port, server, stack, address_of(server.url))


@define
class FakeBench:
    """The fake, which is port and agent at once."""

    port: FakeAgentSocket = Factory(FakeAgentSocket)
    address: AgentSocketAddress = address_of("wss://agent.example.com/connect")
    secret: str = SECRET

    async def tell(self, *texts: str) -> None:
        self.port.tell(*texts)

    async def babble(self) -> None:
        self.port.babble()

    async def end(self, code: int) -> None:
        self.port.end(code)

    async def cut(self) -> None:
        self.port.lose()

    async def vanish(self) -> None:
        self.port.vanish()
        asyncio.get_running_loop().call_soon(self.port.miss)

    async def refuse(self, status: int, retry_after: int) -> None:
        self.port.refuse(status, retry_after)

    async def be_nowhere(self) -> None:
        self.port.end_of_all = AgentSocketEnded(AgentSocketEnd.LOST)

    async def hang_on(self) -> None:
        self.port.is_silent = True

    async def reached(self) -> None:
        await self.port.until(lambda fake: fake.addresses)

    async def received(self, count: int) -> list[str]:
        await self.port.until(lambda fake: len(fake.sent) >= count)
        return self.port.sent

    async def deserted(self) -> int | None:
        await self.port.until(lambda fake: not fake.is_open)
        return self.port.goodbyes[-1] if self.port.goodbyes else None


class TestFakeAgentSocket(AgentSocketContract):
    @pytest.fixture
    def bench(self) -> FakeBench:
        return FakeBench()
