"""What `AgentSocket` sends, what it survives, and how it tells the ends of a connection apart."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import WSMsgType, web
from yarl import URL

from tests.agent.socket_server import SocketServer, mute_server, socket_server
from tests.rest.engines import scripted_engine
from tests.support.certificate import write_certificate
from tests.support.http_proxy import HttpProxy, http_proxy
from tests.support.socket_floods import FLOOD, PINGS, TEXTS, counted_pongs
from tests.support.threads import without_threads
from utd_rx.agent.socket import AgentSocket
from utd_rx.errors import UTDErrorCode
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.ports.agent_socket import (
    AgentSocketAddress,
    AgentSocketEnd,
    AgentSocketEnded,
    AgentSocketEvent,
    AgentSocketText,
)
from utd_rx.ports.loop_turns import MAX_FRAMES
from utd_rx.ports.proxy import Proxies
from utd_rx.testing.contracts import PATIENCE, Batches
from utd_rx.testing.contracts.agent_socket import is_ended, is_opened

SECRET = "sk_0123456789abcdef"
PASSWORD = "hunter2"


@pytest.fixture
async def server() -> AsyncIterator[SocketServer]:
    async with socket_server() as running:
        yield running


@pytest.fixture
async def proxy() -> AsyncIterator[HttpProxy]:
    async with http_proxy() as running:
        yield running


def address_of(url: str) -> AgentSocketAddress:
    return AgentSocketAddress(url, FrozenMap({"Authorization": f"Bearer {SECRET}"}))


@asynccontextmanager
async def open_socket(
    url: str, socket: AgentSocket | None = None
) -> AsyncIterator[Batches[AgentSocketEvent]]:
    told = Batches[AgentSocketEvent]()
    task = asyncio.create_task((socket or AgentSocket()).run(address_of(url), told.take))
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.wait([task])


async def end_of(url: str, socket: AgentSocket | None = None) -> AgentSocketEnded:
    """Run a socket that never opens, and return its end."""
    async with open_socket(url, socket) as told:
        end = await told.until(is_ended)
    assert told.told == [end]
    assert isinstance(end, AgentSocketEnded)
    assert not any(secret in end.message for secret in (SECRET, PASSWORD))
    return end


async def test_key_and_query_are_sent_as_they_are(server: SocketServer) -> None:
    async with open_socket(
        f"{server.url}?agent_id=a&variables=%7B%22n%22%3A%22%26%2B%22%7D"
    ) as told:
        await told.until(is_opened)
    (request,) = server.requests
    assert request.headers["Authorization"] == f"Bearer {SECRET}"
    assert dict(request.query) == {"agent_id": "a", "variables": '{"n":"&+"}'}


async def test_what_is_sent_at_once_is_told_at_once(server: SocketServer) -> None:
    async with open_socket(server.url) as told:
        await told.until(is_opened)
        assert server.line is not None
        for number in range(50):
            await server.line.send(f"{number}")
        await told.until(lambda one: one == AgentSocketText("49"))
    assert len(told.batches) < 25


async def test_who_closes_without_a_code_has_said_1005() -> None:
    async def close(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        assert request.transport is not None
        request.transport.write(b"\x88\x00")
        await ws.receive()
        return ws

    async with web_server(close) as url, open_socket(url) as told:
        end = await told.until(is_ended)
    assert (end.end, end.code) == (AgentSocketEnd.CLOSED, 1005)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x02\xff\xff", 1007),  # no UTF-8
        (b"\xf1\x00", 1002),  # reserved bits
        (b"\x88\x02\x03\xe7", 1002),  # close code 999
    ],
)
async def test_who_breaks_the_protocol_is_closed(frame: bytes, code: int) -> None:
    async def break_it(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        assert request.transport is not None
        request.transport.write(frame)
        await ws.receive()
        return ws

    async with web_server(break_it) as url, open_socket(url) as told:
        end = await told.until(is_ended)
    assert (end.end, end.code) == (AgentSocketEnd.CLOSED, code)


async def test_who_hangs_up_without_a_goodbye_is_lost() -> None:
    async def hang_up(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        assert request.transport is not None
        request.transport.close()
        return ws

    async with web_server(hang_up) as url, open_socket(url) as told:
        end = await told.until(is_ended)
    assert (end.end, end.code) == (AgentSocketEnd.LOST, None)


async def test_who_does_not_answer_the_handshake_is_silent() -> None:
    async with mute_server() as (url, _, went):
        end = await end_of(url, AgentSocket(open_within=0.05))
        async with asyncio.timeout(PATIENCE):
            await went.wait()
    assert (end.end, end.code) == (AgentSocketEnd.SILENT, None)


@pytest.mark.parametrize("is_full", [False, True])
async def test_a_goodbye_that_is_not_answered_is_given_up(
    server: SocketServer, is_full: bool
) -> None:
    """Also when what was sent before it is not taken."""
    socket = AgentSocket(close_within=0.05)
    async with open_socket(server.url, socket) as told:
        await told.until(is_opened)
        assert server.line is not None
        server.line.vanish()
        waiting = await fill(socket) if is_full else []
        await socket.close()
        end = await told.until(is_ended)
        errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert end.end is AgentSocketEnd.SILENT
    assert {getattr(error, "code", None) for error in errors} <= {UTDErrorCode.NETWORK}


async def test_who_stops_sending_takes_nobody_along(server: SocketServer) -> None:
    socket = AgentSocket()
    async with open_socket(server.url, socket) as told:
        await told.until(is_opened)
        assert server.line is not None
        server.line.vanish()
        first, *others = await fill(socket)
        first.cancel()
        await settle()
        assert first.cancelled()
        assert not any(one.done() for one in others)
    errors = await asyncio.gather(*others, return_exceptions=True)
    assert {getattr(error, "code", None) for error in errors} == {UTDErrorCode.NETWORK}


async def test_who_says_goodbye_and_takes_nothing_is_left_at_once(server: SocketServer) -> None:
    socket = AgentSocket()
    async with open_socket(server.url, socket) as told:
        await told.until(is_opened)
        assert server.line is not None
        server.line.vanish()
        waiting = await fill(socket)
        transport = server.requests[0].transport
        assert transport is not None
        transport.write(b"\x88\x02\x03\xe9")
        end = await told.until(is_ended)
        async with asyncio.timeout(PATIENCE):
            errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert (end.end, end.code) == (AgentSocketEnd.CLOSED, 1001)
    assert {getattr(error, "code", None) for error in errors} == {UTDErrorCode.NETWORK}


async def fill(socket: AgentSocket) -> list[asyncio.Task[None]]:
    """Send until nothing is taken any more; return what waits."""
    sending = [asyncio.create_task(socket.send("x" * 1_000_000)) for _ in range(30)]
    taken = -1
    while taken != (taken := sum(one.done() for one in sending)):
        await settle()
    assert taken < len(sending)
    return sending[taken:]


async def settle() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


async def test_who_answers_pings_is_kept_however_quiet() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(autoping=False)
        await ws.prepare(request)
        for _ in range(2):
            ping = await ws.receive()
            assert ping.type is WSMsgType.PING
            await ws.pong(ping.data)
        await ws.send_str("still there")
        await ws.receive()
        return ws

    async with web_server(answer) as url, open_socket(url, AgentSocket(heartbeat=0.2)) as told:
        await told.until(lambda one: one == AgentSocketText("still there"))
        assert not any(map(is_ended, told.told))


@pytest.mark.parametrize("flood", [TEXTS, PINGS])
async def test_a_flood_is_taken_in_turns(flood: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(autoping=False)
        await ws.prepare(request)
        assert request.transport is not None
        request.transport.write(flood)
        await ws.send_str("over")
        while (await ws.receive()).type is WSMsgType.PONG:
            pass
        return ws

    with counted_pongs(monkeypatch) as pongs:
        async with web_server(answer) as url, open_socket(url) as told:
            await told.until(lambda one: one == AgentSocketText("over"))
    texts = [sum(isinstance(one, AgentSocketText) for one in batch) for batch in told.batches]
    taken = texts if flood == TEXTS else pongs.values()
    assert sum(taken) >= FLOOD
    assert max(taken) <= MAX_FRAMES


async def test_without_threads_it_ends_as_lost() -> None:
    with without_threads():
        end = await end_of("ws://localhost:9/connect")
    assert end.end is AgentSocketEnd.LOST
    assert "ulimit -u" in end.message


async def test_the_words_of_a_refusal_are_told_without_the_key(server: SocketServer) -> None:
    text = f'{{"message": "no agent for {SECRET}\x1b[2J"}}'
    server.refuses_with = web.Response(status=404, text=text)
    end = await end_of(server.url)
    assert "no agent for" in end.message
    assert end.message.isprintable()


async def test_words_that_do_not_come_are_not_waited_for() -> None:
    over = asyncio.Event()

    async def stall(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(status=401, headers={"Content-Length": "100"})
        await reply.prepare(request)
        await over.wait()
        return reply

    async with web_server(stall) as url:
        end = await end_of(url)
        over.set()
    assert (end.end, end.code) == (AgentSocketEnd.REFUSED, 401)


async def test_a_redirect_is_not_followed(server: SocketServer) -> None:
    async def away(_: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": server.url.replace("ws", "http", 1)})

    async with web_server(away) as url:
        end = await end_of(url)
    assert (end.end, end.code) == (AgentSocketEnd.REFUSED, 307)
    assert server.requests == []


async def test_what_upgrades_without_the_right_answer_is_lost() -> None:
    async def pretend(_: web.Request) -> web.StreamResponse:
        return web.Response(status=101, headers={"Upgrade": "websocket", "Connection": "upgrade"})

    async with web_server(pretend) as url:
        end = await end_of(url)
    assert end.end is AgentSocketEnd.LOST


async def test_what_speaks_no_http_is_lost() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        end = await end_of(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/s")
    assert end.end is AgentSocketEnd.LOST


@pytest.mark.parametrize("url", ["wss://h:99999/", "wss://[", "nothing", "wss://a b/"])
async def test_what_is_no_address_is_an_end_as_any_other(url: str) -> None:
    assert (await end_of(url)).end is AgentSocketEnd.LOST


async def test_a_header_that_cannot_be_is_not_sent(server: SocketServer) -> None:
    told = Batches[AgentSocketEvent]()
    headers = FrozenMap({"Authorization": f"Bearer {SECRET}\r\nX: y"})
    await AgentSocket().run(AgentSocketAddress(server.url, headers), told.take)
    assert is_ended(told.told[0])
    assert SECRET not in f"{told.told}"
    assert server.requests == []


# --- on the way ---------------------------------------------------------------------------------


async def test_the_proxy_is_asked_and_the_agent_must_prove_its_name(
    proxy: HttpProxy, tmp_path: Path
) -> None:
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(write_certificate(tmp_path, "agent.test"))  # which nobody vouches for
    async with scripted_engine(served) as engine:
        proxy.routes = {"agent.test:443": ("127.0.0.1", URL(engine.base_url).port or 0)}
        end = await end_of("wss://agent.test/s", AgentSocket(proxies=Proxies.of(proxy.url)))
        assert engine.seen == []
    assert proxy.asked == ["agent.test:443"]
    assert end.end is AgentSocketEnd.LOST


@pytest.mark.parametrize("status", [403, 407, 503])
async def test_a_proxy_that_refuses_is_a_refusal(proxy: HttpProxy, status: int) -> None:
    proxy.status = status
    url = proxy.url.replace("://", f"://ann:{PASSWORD}@")
    end = await end_of("wss://agent.test/s", AgentSocket(proxies=Proxies.of(url)))
    assert (end.end, end.code) == (AgentSocketEnd.REFUSED, status)
    assert "proxy" in end.message
    assert proxy.asked == ["agent.test:443"]


async def test_cancelling_at_any_turn_of_the_loop_leaves_nothing_open(
    server: SocketServer,
) -> None:
    for turns in range(30):
        told = Batches[AgentSocketEvent]()
        socket = AgentSocket()
        task = asyncio.create_task(socket.run(address_of(server.url), told.take))
        for _ in range(turns):
            await asyncio.sleep(0)
        closing = asyncio.create_task(socket.close()) if turns % 2 else None
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if closing is not None:
            await closing
        heard = len(told.told)
        async with asyncio.timeout(PATIENCE):
            await server.deserted()
        assert len(told.told) == heard
        assert not any(is_ended(event) for event in told.told)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def web_server(handler: Handler) -> AsyncIterator[str]:
    async with scripted_engine() as running:
        running.will(handler)
        yield running.base_url.replace("http://", "ws://") + "/connect"
