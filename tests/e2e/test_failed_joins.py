"""A join that fails or is cancelled is a typed error and leaves nobody and nothing behind.

The leak guard of `tests/conftest.py` fails these tests for a task, thread or socket left over.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from aiohttp import web
from livekit import api

from tests.e2e.house import PATIENCE, House
from tests.support.living import is_apart, there
from utd_rx import UTDConnectionState, UTDErrorCode, UTDStreamClient, UTDStreamException
from utd_rx.rtc import connector

TIMEOUTS: Final = ("CONNECT_TIMEOUT", "LEFTOVER_TIMEOUT")
SOON: Final = 0.3


def closed_port() -> int:
    """Return a port of this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def engine_that_answers(reply: web.Response) -> AsyncIterator[UTDStreamClient]:
    """Run an engine whose every answer is `reply`, and yield a client of it."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=reply.body, status=reply.status, content_type=reply.content_type)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        url = f"http://127.0.0.1:{port}"
        async with UTDStreamClient("1", "k", base_url=url, token_base_url=url) as client:
            yield client
    finally:
        await runner.cleanup()


async def failure_of(client: UTDStreamClient) -> UTDStreamException:
    """Join, which must fail, and return how."""
    session = client.audio_room("u1", "lobby")
    async with session:
        with pytest.raises(UTDStreamException) as raised:
            await session.join()
        assert session.connection_state.value is UTDConnectionState.DISCONNECTED
    return raised.value


async def test_an_engine_that_is_not_there() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    async with UTDStreamClient("1", "k", base_url=url, token_base_url=url) as client:
        error = await failure_of(client)
    assert (error.code, error.status_code) == (UTDErrorCode.NETWORK, None)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"{}",
        b'{"token": "", "url": ""}',
        b'{"token": "t", "url": "nonsense", "user_token": "u"}',
        b'{"token": "t", "url": "ws://127.0.0.1:1", "user_token": "u\\nx"}',
        b"\xff",
    ],
)
async def test_an_engine_that_answers_nonsense(body: bytes) -> None:
    reply = web.Response(body=body, content_type="application/json")
    async with engine_that_answers(reply) as client:
        assert (await failure_of(client)).code is UTDErrorCode.MALFORMED_RESPONSE


async def test_an_sfu_that_is_not_there() -> None:
    reply = web.json_response(
        {"token": "t", "url": f"ws://127.0.0.1:{closed_port()}", "user_token": "u"}
    )
    async with engine_that_answers(reply) as client:
        error = await failure_of(client)
    assert error.code is UTDErrorCode.NETWORK


async def test_an_sfu_that_refuses_the_token(house: House) -> None:
    reply = web.json_response(
        {"token": "not.a.token", "url": house.engine.livekit_url, "user_token": "u"}
    )
    async with engine_that_answers(reply) as client:
        assert (await failure_of(client)).code is UTDErrorCode.UNAUTHORIZED


async def test_joins_cancelled_at_many_points_leave_no_ghost(house: House) -> None:
    await house.join("hana", as_host=True, seat_count=4)
    client = await house.client()
    for milliseconds in (0, 1, 2, 5, 10, 15, 20, 30, 40, 60, 80, 120):
        session = client.audio_room(f"ghost{milliseconds}", "lobby")
        async with session:
            try:
                async with asyncio.timeout(milliseconds / 1_000):
                    await session.join()
            except TimeoutError:
                pass
            else:
                await session.leave()
    engine = house.engine
    async with api.LiveKitAPI(
        engine.livekit_api_url, engine.livekit_api_key, engine.livekit_api_secret
    ) as livekit:
        rooms = await livekit.room.list_rooms(api.ListRoomsRequest())
        assert len(rooms.rooms) == 1
        request = api.ListParticipantsRequest(room=rooms.rooms[0].name)
        async with asyncio.timeout(PATIENCE):
            while True:
                present = await livekit.room.list_participants(request)
                identities = [who.identity for who in present.participants]
                if identities == ["hana"]:
                    break


class Impatience:
    """In a media process, which ends with its test."""

    async def begin(self) -> None:
        for name in TIMEOUTS:
            setattr(connector, name, SOON)


async def test_an_sfu_that_stays_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TIMEOUTS:
        monkeypatch.setattr(connector, name, SOON)
    hanging: list[asyncio.StreamWriter] = []

    async def stay_silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hanging.append(writer)

    server = await asyncio.start_server(stay_silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reply = web.json_response({"token": "t", "url": f"ws://127.0.0.1:{port}", "user_token": "u"})
    async with engine_that_answers(reply) as client:
        if is_apart():
            impatience = await there(Impatience)
            await impatience.begin()
        error = await failure_of(client)
    assert error.code is UTDErrorCode.TIMEOUT
    # LiveKit goes on by itself until it is refused; then nothing of the join is left.
    server.close()
    for writer in hanging:
        writer.close()
    await server.wait_closed()
