"""What a connection may cost before it has shown a token, and that a trusted one is kept."""

from __future__ import annotations

import asyncio
import logging
import socket
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from tests.support.sfu import fresh_options
from utd_rx.engine.server import LocalEngine
from utd_rx.engine.serving import GuestLimits, HttpServer, trust
from utd_rx.engine.sfu.server import EmbeddedSfu

TIMEOUT = 20.0
TOKEN = {"Authorization": "Bearer good"}
Open = Callable[..., Awaitable[int]]


def get(path: str, **headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: x", *(f"{key}: {headers[key]}" for key in headers)]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.fixture
async def serve() -> AsyncIterator[Open]:
    """Serve on a free port.

    `/` is open to all, `/mine` needs a token, `/body` reads one, at `/gone` the client goes away.
    """

    async def everybody(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def mine(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != TOKEN["Authorization"]:
            raise web.HTTPUnauthorized
        trust(request)
        return web.Response(text="yours")

    async def body(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    async def gone(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        await asyncio.sleep(0)
        response = web.StreamResponse()
        await response.prepare(request)
        return response

    async with AsyncExitStack() as stack:

        async def start(limits: GuestLimits | None = None, max_field_size: int = 8190) -> int:
            app = web.Application(client_max_size=2**30)
            app.add_routes(
                [web.get("/", everybody), web.get("/mine", mine), web.post("/body", body)]
            )
            app.add_routes([web.get("/gone", gone)])
            server = HttpServer(
                app, "test", shutdown_timeout=1.0, max_field_size=max_field_size, limits=limits
            )
            listener = socket.create_server(("127.0.0.1", 0))
            await server.start(listener)
            stack.push_async_callback(server.aclose)
            port: int = listener.getsockname()[1]
            return port

        yield start


class Stranger:
    """A bare TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        """Send as far as the other side takes it."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            return

    async def rest(self) -> bytes:
        """Everything until the connection ends; b"" when it was cut."""
        try:
            async with asyncio.timeout(TIMEOUT):
                return await self.reader.read()
        except ConnectionError:
            return b""

    async def answer(self) -> bytes:
        """The status line of one answer, whose body is read as well."""
        async with asyncio.timeout(TIMEOUT):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.split(b"\r\n") if b"Content-Length" in line)
            await self.reader.readexactly(int(length.partition(b":")[2]))
        return head.partition(b"\r\n")[0]


@asynccontextmanager
async def stranger(port: int) -> AsyncIterator[Stranger]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Stranger(reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


async def test_half_a_head_ends_in_time(serve: Open) -> None:
    port = await serve(GuestLimits(seconds=0.2))
    async with AsyncExitStack() as stack:
        everybody = [await stack.enter_async_context(stranger(port)) for _ in range(200)]
        for one in everybody:
            await one.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Half")
        assert {await one.rest() for one in everybody} == {b""}


async def test_a_connection_that_says_nothing_ends_in_time(serve: Open) -> None:
    async with stranger(await serve(GuestLimits(seconds=0.2))) as silent:
        assert await silent.rest() == b""


async def test_a_body_that_does_not_come_ends_in_time(serve: Open) -> None:
    async with stranger(await serve(GuestLimits(seconds=0.2))) as slow:
        await slow.send(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
        assert await slow.rest() == b""


async def test_a_head_in_pieces_is_read(serve: Open) -> None:
    async with stranger(await serve()) as slow:
        for byte in get("/"):
            await slow.send(bytes([byte]))
        assert await slow.answer() == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "head",
    [
        get("/", **{"X-Large": "x" * 1000}),
        bytes(1001),
        get("/", **{f"X{n}": "" for n in range(10)}),
    ],
    ids=["large", "endless", "many fields"],
)
async def test_a_head_too_large_is_refused_in_one_line(
    serve: Open, caplog: pytest.LogCaptureFixture, head: bytes
) -> None:
    async with stranger(await serve(GuestLimits(head=1000, fields=10))) as greedy:
        await greedy.send(head)
        answer = await greedy.rest()
    assert answer.startswith(b"HTTP/1.1 431 ") or not answer  # a reset may overtake it
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().endswith("header too large")
    assert record.exc_info is None


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01 a TLS hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n",
        get("/", **{"X-Long": "x" * 9000}),
    ],
    ids=["tls", "malformed", "long field"],
)
async def test_what_cannot_be_parsed_is_one_line_and_no_traceback(
    serve: Open, caplog: pytest.LogCaptureFixture, garbage: bytes
) -> None:
    caplog.set_level(logging.INFO)
    async with stranger(await serve()) as broken:
        await broken.send(garbage)
        assert (await broken.rest()).startswith(b"HTTP/1.0 400 ")
    assert len(caplog.records) <= 1
    for record in caplog.records:
        assert record.levelno == logging.WARNING
        assert record.exc_info is None
        assert "\n" not in record.getMessage()


async def test_a_guest_gets_one_answer(serve: Open) -> None:
    async with stranger(await serve()) as guest:
        await guest.send(get("/") + get("/mine", **TOKEN))
        answers = await guest.rest()
    assert answers.count(b"HTTP/1.1") == 1
    assert b"Connection: close" in answers
    async with stranger(await serve()) as guest:
        await guest.send(get("/mine", Authorization="Bearer bad"))
        assert (await guest.rest()).startswith(b"HTTP/1.1 401 ")


async def test_who_goes_away_before_the_answer_is_no_error(
    serve: Open, caplog: pytest.LogCaptureFixture
) -> None:
    port = await serve()
    async with stranger(port) as client:
        await client.send(get("/gone"))
        assert await client.rest() == b""
    async with stranger(port) as client:
        await client.send(get("/"))
        assert await client.answer() == b"HTTP/1.1 200 OK"
    assert caplog.records == []


async def test_who_is_trusted_stays(serve: Open) -> None:
    async with stranger(await serve(GuestLimits(received=5000, total=5000, seconds=60))) as known:
        for _ in range(100):  # more bytes than a guest's
            await known.send(get("/mine", **TOKEN))
            assert await known.answer() == b"HTTP/1.1 200 OK"
        await known.send(get("/"))
        assert await known.answer() == b"HTTP/1.1 200 OK"


async def test_the_oldest_guest_gives_way(serve: Open) -> None:
    port = await serve(GuestLimits(guests=2))
    async with stranger(port) as first, stranger(port) as second, stranger(port) as third:
        assert await first.rest() == b""
        for one in (second, third):
            await one.send(get("/"))
            assert await one.answer() == b"HTTP/1.1 200 OK"


async def test_the_greediest_guest_gives_way(serve: Open) -> None:
    port = await serve(GuestLimits(total=10_000))
    async with stranger(port) as small, stranger(port) as large:
        await small.send(get("/")[:-2])
        await large.send(bytes(11_000))
        assert await large.rest() == b""
        await small.send(b"\r\n")
        assert await small.answer() == b"HTTP/1.1 200 OK"


async def test_a_body_without_credentials_has_a_limit(serve: Open) -> None:
    async with stranger(await serve(GuestLimits(received=300_000))) as greedy:
        await greedy.send(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n")
        await greedy.send(bytes(9_999_999))
        assert await greedy.rest() == b""


async def at_once(limits: GuestLimits, request: bytes, many: int) -> tuple[list[int], list[bytes]]:
    """Have many connect and send before anybody looks; in which turns of the loop they were
    handled, and what they were answered."""
    turns, handled = 0, list[int]()

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def count(request: web.Request) -> web.Response:
        handled.append(turns)
        return web.Response(text=str(len(await request.read())))

    app = web.Application(client_max_size=2**30)
    app.add_routes([web.post("/", count)])
    server = HttpServer(app, "test", shutdown_timeout=1.0, limits=limits)
    listener = socket.create_server(("127.0.0.1", 0), backlog=many)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.aclose)
        clients = [socket.create_connection(listener.getsockname()) for _ in range(many)]
        for client in clients:
            client.sendall(request)
        turning = asyncio.create_task(turn())
        stack.callback(turning.cancel)
        await server.start(listener)
        answers = []
        for client in clients:
            reader, writer = await asyncio.open_connection(sock=client)
            answers.append(await Stranger(reader, writer).rest())
            writer.close()
    return handled, answers


def post(size: int) -> bytes:
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
    return head.encode() + bytes(size)


async def test_of_many_who_come_at_once_one_is_handled_in_a_turn_of_the_loop() -> None:
    handled, answers = await at_once(GuestLimits(), post(3), 40)
    assert [one[-1:] for one in answers] == [b"3"] * 40
    assert len(set(handled)) == 40


async def test_what_comes_behind_a_head_that_waits_is_kept_and_bounded() -> None:
    size = 600_000  # more than is read at a time
    _, answers = await at_once(GuestLimits(), post(size), 8)
    assert [one[-6:] for one in answers] == [b"600000"] * 8
    handled, answers = await at_once(GuestLimits(received=size // 2), post(size), 8)
    assert answers == [b""] * 8
    assert len(handled) < 8


async def test_closing_ends_guests_who_said_nothing() -> None:
    server = HttpServer(web.Application(), "test", shutdown_timeout=1.0)
    listener = socket.create_server(("127.0.0.1", 0))
    await server.start(listener)
    async with stranger(listener.getsockname()[1]) as silent, asyncio.timeout(TIMEOUT):
        await silent.send(b"GET")
        await server.aclose()
        assert await silent.rest() == b""
        await server.aclose()


@pytest.fixture(params=["engine", "media server"])
async def port(request: pytest.FixtureRequest) -> AsyncIterator[int]:
    """A real port: the engine's or the embedded media server's."""
    if request.param == "engine":
        async with LocalEngine() as engine:
            yield int(engine.base_url.rpartition(":")[2])
    else:
        sfu = EmbeddedSfu(fresh_options())
        await sfu.start()
        yield int(sfu.url.rpartition(":")[2])
        await sfu.aclose()


async def test_four_strangers_with_headers_without_end_cost_little(port: int) -> None:
    field = b"X-Large: " + bytes([120]) * 1_000_000 + b"\r\n"

    async def flood() -> None:
        async with stranger(port) as one:
            await one.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
            for _ in range(100):
                await one.send(field)
                if one.reader.at_eof():
                    break
            assert b"200 OK" not in await one.rest()

    tracemalloc.start()
    try:
        await asyncio.gather(*(flood() for _ in range(4)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32 * 1024 * 1024


@pytest.mark.parametrize("coding", ["deflate", "gzip", "GZIP", "br", "zstd"])
@pytest.mark.parametrize("path", ["livekit/webhook", "api/v1/token", "twirp/livekit.RoomService/x"])
async def test_nothing_is_unpacked_for_anybody(
    port: int, path: str, coding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked: list[int] = []

    def feed_data(_self: object, chunk: bytes) -> bool:
        unpacked.append(len(chunk))
        return False

    monkeypatch.setattr(aiohttp.http_parser.DeflateBuffer, "feed_data", feed_data)
    body = zlib.compress(bytes(1_000_000))
    head = f"POST /{path} HTTP/1.1\r\nHost: x\r\nContent-Encoding: {coding}\r\n"
    async with stranger(port) as one:
        await one.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert (await one.answer()).startswith(b"HTTP/1.1 415 ")
    assert not unpacked


async def test_who_is_trusted_is_refused_a_packed_body_too(serve: Open) -> None:
    url = f"http://127.0.0.1:{await serve()}"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/mine", headers=TOKEN) as response:
            assert response.status == 200
        async with session.post(f"{url}/body", data=b"x" * 100_000, compress=True) as response:
            assert response.status == 415
            assert response.headers["Accept-Encoding"] == "identity"
        async with session.post(f"{url}/body", data=b"x" * 100) as response:
            assert await response.text() == "100"


async def test_a_stranger_to_the_rest_api_is_answered_and_sent_away(port: int) -> None:
    async with aiohttp.ClientSession() as session:
        path = f"http://127.0.0.1:{port}/twirp/livekit.RoomService/ListRooms"
        async with session.post(path, data=b"x" * 100_000) as response:
            assert response.status in (401, 404)
            assert response.headers["Connection"] == "close"
