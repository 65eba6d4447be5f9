"""A signal connection sends in order, says why it ends, and holds a bounded amount."""

from __future__ import annotations

import asyncio
import itertools
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from itertools import pairwise

import aiohttp
import pytest
from aiohttp import test_utils, web
from livekit.protocol import rtc

from utd_rx.engine.sfu import limits
from utd_rx.engine.sfu.budget import Share
from utd_rx.engine.sfu.limits import MAX_SIGNAL_BYTES, LimitError
from utd_rx.engine.sfu.signalling import MediaSignalSocket, in_turns

Connect = Callable[..., Awaitable[aiohttp.ClientWebSocketResponse]]


class Server:
    """Serves one connection as the test says, and keeps what came of it."""

    def __init__(self) -> None:
        self.requests: list[rtc.SignalRequest] = []
        self.refusals: list[LimitError] = []
        self.ended = asyncio.Event()
        self.times: asyncio.Queue[float] = asyncio.Queue()
        self.share: Share | None = None
        self.begin: Callable[[MediaSignalSocket], None] = lambda _: None

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer the upgrade."""
        signal = MediaSignalSocket(request)
        assert signal.can_upgrade
        await signal.upgrade()
        self.begin(signal)
        share = self.share or limits.share()
        return await signal.serve(self._take, self.refusals.append, self.ended.set, share)

    def _take(self, request: rtc.SignalRequest) -> Iterator[None]:
        self.requests.append(request)
        self.times.put_nowait(asyncio.get_running_loop().time())
        return iter(())

    async def end(self) -> None:
        """Wait until the connection has ended."""
        async with asyncio.timeout(20):
            await self.ended.wait()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def connect(server: Server) -> AsyncIterator[Connect]:
    async with AsyncExitStack() as stack:
        app = web.Application()
        app.add_routes([web.get("/", server.serve)])
        client = await stack.enter_async_context(test_utils.TestClient(test_utils.TestServer(app)))

        async def connect(
            begin: Callable[[MediaSignalSocket], None], compress: int = 0
        ) -> aiohttp.ClientWebSocketResponse:
            server.begin = begin
            opening = client.ws_connect("/", max_msg_size=0, compress=compress)
            return await stack.enter_async_context(opening)

        yield connect


async def received(socket: aiohttp.ClientWebSocketResponse) -> list[bytes]:
    """Everything until the connection ends."""
    return [message.data async for message in socket]


async def test_what_is_queued_goes_out_in_order_before_the_end(connect: Connect) -> None:
    messages = [str(n).encode() for n in range(1000)]

    def begin(signal: MediaSignalSocket) -> None:
        for message in messages:
            signal.send(message)
        signal.close()
        signal.send(b"too late")

    assert await received(await connect(begin)) == messages


async def test_of_many_requests_in_one_write_others_wait_for_one_at_most(
    server: Server, connect: Connect
) -> None:
    socket = await connect(lambda _: None)
    turns = [0]  # requests handled by each turn of the loop
    loop, is_done = asyncio.get_running_loop(), asyncio.Event()

    def turn() -> None:
        turns.append(len(server.requests))
        if turns[-1] < 500:
            loop.call_soon(turn)
        else:
            is_done.set()

    ping = rtc.SignalRequest(ping=1).SerializeToString()
    for _ in range(500):
        await socket.send_bytes(ping)
    turn()
    async with asyncio.timeout(20):
        await is_done.wait()
    assert max(after - before for before, after in pairwise(turns)) == 1


@pytest.mark.parametrize(("count", "size"), [(5000, 10), (20, 1_000_000)])
async def test_who_does_not_read_is_cut_off(connect: Connect, count: int, size: int) -> None:
    def begin(signal: MediaSignalSocket) -> None:
        for _ in range(count):
            signal.send(bytes(size))

    assert await received(await connect(begin)) == []  # a resume brings a snapshot instead


async def test_of_news_about_the_same_the_newest_waits_in_its_place(connect: Connect) -> None:
    def begin(signal: MediaSignalSocket) -> None:
        for n in range(5000):  # 5 GB, of which 1 MB waits
            signal.send(b"first" if n == 0 else bytes(1_000_000), "PA_1")
            if n == 0:
                signal.send(b"second")
        signal.send(b"newest", "PA_1")
        signal.close()

    assert await received(await connect(begin)) == [b"newest", b"second"]


async def test_who_asks_more_than_a_share_waits_and_is_served(
    server: Server, connect: Connect
) -> None:
    # Each request takes a second by this clock, which a tenth of real time makes up for.
    server.share = Share(10.0, 0.0, clock=map(float, itertools.count()).__next__)
    socket = await connect(lambda _: None)
    ping = rtc.SignalRequest(ping=1).SerializeToString()
    for _ in range(3):
        await socket.send_bytes(ping)
    async with asyncio.timeout(20):
        times = [await server.times.get() for _ in range(3)]
    assert min(after - before for before, after in pairwise(times)) > 0.09


async def test_one_message_may_be_larger_than_the_queue(connect: Connect) -> None:
    def begin(signal: MediaSignalSocket) -> None:
        signal.send(bytes(20_000_000))
        signal.close()

    assert [len(one) for one in await received(await connect(begin))] == [20_000_000]


async def test_requests_are_handed_over_and_large_ones_refused(
    connect: Connect, server: Server
) -> None:
    socket = await connect(lambda _: None)
    large = rtc.SignalRequest(add_track=rtc.AddTrackRequest(cid="c" * 257))
    small = rtc.SignalRequest(add_track=rtc.AddTrackRequest(cid="c" * 256))
    for request in (large, small):
        await socket.send_bytes(request.SerializeToString())
    await socket.close()
    await server.end()
    assert server.requests == [small]
    assert [str(one) for one in server.refusals] == ["AddTrackRequest.cid exceeds limits"]


@pytest.mark.parametrize(
    ("message", "code"), [(b"\xff" * 20, 1007), ("text", 1003)], ids=["garbage", "text"]
)
async def test_what_is_no_request_ends_the_connection(
    connect: Connect, server: Server, message: bytes | str, code: int
) -> None:
    socket = await connect(lambda _: None)
    await (socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message))
    assert await received(socket) == []
    assert socket.close_code == code
    await server.end()
    assert server.requests == []


@pytest.mark.parametrize("kind", ["ping", "pong"])
async def test_pings_without_end_close_it(connect: Connect, server: Server, kind: str) -> None:
    socket = await connect(lambda signal: signal.send(b"hello"))
    assert await socket.receive_bytes() == b"hello"
    send = socket.ping if kind == "ping" else socket.pong
    for _ in range(100):
        await send()
    await socket.send_bytes(rtc.SignalRequest(ping=1).SerializeToString())
    async with asyncio.timeout(20):
        await server.times.get()
    for _ in range(20):
        await send()
    assert await received(socket) == []
    assert socket.close_code == 1008
    await server.end()


async def test_a_packed_message_is_not_unpacked_beyond_what_a_message_may_be(
    connect: Connect, server: Server
) -> None:
    socket = await connect(lambda _: None, 15)
    assert socket.compress == 15
    message = bytes(64 * MAX_SIGNAL_BYTES)  # not counted: the client's own
    tracemalloc.start()
    try:
        await socket.send_bytes(message)
        assert await received(socket) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert socket.close_code == 1009
    assert peak < 16 * MAX_SIGNAL_BYTES
    await server.end()
    assert server.requests == []


async def test_between_the_parts_of_what_takes_long_others_have_their_turn_and_it_is_charged() -> (
    None
):
    loop, told, turns = asyncio.get_running_loop(), [], 0
    share = Share(1.0, 0.0, clock=map(float, itertools.count()).__next__)

    def parts() -> Iterator[None]:
        for n in range(5):
            told.append((n, turns))
            yield

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await in_turns(parts(), share)
    task.cancel()
    assert told == [(n, n) for n in range(5)]
    assert share.wait(loop.time()) > 5.0
