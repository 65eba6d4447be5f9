"""A program that ends while its media process starts or joins leaves neither that nor a ghost."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.inside.media_house import AT_LAST, MediaHouse, interrupt, interrupt_twice, media_house
from tests.inside.programs import PATIENCE, Program

pytestmark = [pytest.mark.long, pytest.mark.embedded]

HOW = pytest.mark.parametrize("how", ["ctrl-c", "ctrl-c twice", "kill -9"])


@pytest.fixture
async def house() -> AsyncIterator[MediaHouse]:
    async with media_house(AT_LAST) as house:
        yield house


@HOW
async def test_while_it_starts(house: MediaHouse, how: str) -> None:
    app = await house.begin("stay", "process")
    children = await house.first_children(app)  # which import for half a second from now on
    await end(app, how)
    await house.all_ended(children)
    await house.gone()


@HOW
async def test_while_it_joins(house: MediaHouse, how: str) -> None:
    async with deaf_server() as (url, reached):
        app = await house.begin("stay", "process", url)
        await asyncio.wait_for(reached.wait(), PATIENCE)
        children = house.children(app, "process")
        await end(app, how)
        await house.all_ended(children)


async def end(app: Program, how: str) -> None:
    """End it, and see that it ends of that."""
    if how == "kill -9":
        app.process.kill()
        assert (await app.end())[0] == -signal.SIGKILL
        return
    if how == "ctrl-c":
        interrupt(app)
    else:
        await interrupt_twice(app)
    status, said = await app.end()
    assert (status, said.splitlines()[-1]) == (-signal.SIGINT, "KeyboardInterrupt")


@asynccontextmanager
async def deaf_server() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Give the address of what takes connections and never answers, and whether somebody came."""
    reached = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        yield f"ws://{host}:{port}", reached
