"""What `SignalSocket` sends, to whom, what it survives, and when it gives a dead engine up."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from yarl import URL

from tests.rest.engines import scripted_engine
from tests.rest.signal_engine import SignalEngine, signal_engine
from tests.support.certificate import write_certificate
from tests.support.http_proxy import HttpProxy, http_proxy
from tests.support.socket_floods import FLOOD, PINGS, TEXTS, counted_pongs
from tests.support.threads import without_threads
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.ports.loop_turns import MAX_FRAMES
from utd_rx.ports.proxy import Proxies
from utd_rx.ports.signal import SignalCall, SignalEnded, SignalEvent, SignalOpened, SignalRefused
from utd_rx.rest.checks import checked_signal_url
from utd_rx.rest.signal import SignalClient
from utd_rx.testing.contracts import PATIENCE, Batches
from utd_rx.testing.contracts.signal import a_call, is_call, is_ended, is_opened

TOKEN = "eyJhbGciOiJIUzI1NiJ9.secret-bearer.signature"
PASSWORD = "hunter2"


@pytest.fixture
async def engine() -> AsyncIterator[SignalEngine]:
    async with signal_engine(TOKEN) as running:
        yield running


@pytest.fixture
async def proxy() -> AsyncIterator[HttpProxy]:
    async with http_proxy() as running:
        yield running


@asynccontextmanager
async def open_socket(
    url: str, socket: SignalClient | None = None
) -> AsyncIterator[Batches[SignalEvent]]:
    told = Batches[SignalEvent]()
    task = asyncio.create_task((socket or SignalClient()).run(url, TOKEN, told.take))
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.wait([task])


async def end_of(url: str, socket: SignalClient | None = None) -> SignalEnded:
    """Run a socket that never opens, and return its end."""
    async with open_socket(url, socket) as told:
        end = await told.until(is_ended)
    assert told.told == [end]
    assert isinstance(end, SignalEnded)
    words = f"{end!r} {end.error!r} {end.error} {end.error.__cause__!r}"
    assert not any(secret in words for secret in (TOKEN, "secret-bearer", PASSWORD))
    return end


@pytest.mark.parametrize(
    "url",
    [
        "wss://engine.example.com/api/v1/signal",
        "wss://engine.example.com:8443/s?shard=7",
        "ws://localhost:8080/s",
        "ws://127.0.0.1:1",
        "ws://[::1]:8080/s",
    ],
)
def test_tls_and_this_machine_are_accepted(url: str) -> None:
    assert str(checked_signal_url(url)).rstrip("/") == url


@pytest.mark.parametrize(
    "url",
    [
        "ws://engine.example.com/s",
        "ws://203.0.113.7/s",
        "ws://localhost.example.com/s",
        "https://engine.example.com/s",
        "http://127.0.0.1/s",
        "wss://user:hunter2@engine.example.com/s",
        "wss://engine.example.com/s#hunter2",
        "wss://",
        "wss://h:99999",
        "/api/v1/signal",
        "",
    ],
)
async def test_any_other_url_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(UTDStreamException) as caught:
        checked_signal_url(url)
    assert caught.value.code is UTDErrorCode.VALIDATION
    assert PASSWORD not in str(caught.value)
    assert (await end_of(url)).error.code is UTDErrorCode.VALIDATION


async def test_the_bearer_is_in_the_first_frame_and_nowhere_else(engine: SignalEngine) -> None:
    async with open_socket(engine.url) as told:
        await told.until(is_opened)
    assert engine.authenticated == [TOKEN]
    assert TOKEN not in json.dumps(engine.handshakes)


async def test_what_is_sent_at_once_is_told_at_once(engine: SignalEngine) -> None:
    engine.ringing = tuple(a_call(number) for number in range(50))
    async with open_socket(engine.url) as told:
        await told.until(lambda one: is_call(one) and one.call.call_id == a_call(49).call_id)
    assert len(told.told) == 51
    assert len(told.batches) < 51


@pytest.mark.parametrize("flood", [TEXTS, PINGS])
async def test_a_flood_is_taken_in_turns(
    engine: SignalEngine, flood: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counted_pongs(monkeypatch) as pongs:
        async with open_socket(engine.url) as told:
            await told.until(is_opened)
            engine.flood(flood)
            await engine.tell(("incoming", a_call(7)))
            await told.until(is_call)
    taken = [len(batch) for batch in told.batches] if flood == TEXTS else pongs.values()
    assert sum(taken) >= FLOOD
    assert max(taken) <= MAX_FRAMES


async def test_without_threads_it_ends_typed() -> None:
    with without_threads():
        end = await end_of("ws://localhost:9/s")
    assert end.error.code is UTDErrorCode.NETWORK
    assert "ulimit -u" in end.error.message
    assert not end.is_final


HOSTILE: list[str | bytes] = [
    "",
    "no JSON",
    "[]",
    "7",
    "{}",
    '{"type": 7}',
    '{"type": "call_"}',
    '{"type": "incoming"}',
    '{"type": "call_incoming"}',
    '{"type": "call_incoming", "call": []}',
    '{"type": "call_incoming", "call": {"call_id": null}}',
    '{"type": "call_incoming", "call": {"call_id": "c", "status": "dancing"}}',
    '{"type": "error", "message": "unknown frame"}',
    '{"type": "auth_ok"}',
    "[" * 100_000,
    '{"type": "call_incoming", "call": ' + '{"a":' * 900 + "1" + "}" * 901,
    b"\x00\xff",
]


async def test_whatever_is_no_frame_is_counted_and_does_no_harm(engine: SignalEngine) -> None:
    async with open_socket(engine.url) as told:
        await told.until(is_opened)
        for frame in HOSTILE:
            await engine.send(frame)
        await engine.tell(("ended", a_call()))
        await told.until(is_call)
    assert told.told[1:-1] == [SignalRefused()] * len(HOSTILE)


async def test_a_frame_that_does_not_say_how_the_call_stands_says_it_by_its_type(
    engine: SignalEngine,
) -> None:
    async with open_socket(engine.url) as told:
        await told.until(is_opened)
        for kind in ("incoming", "ringing", "accepted", "rejected", "busy", "ended", "missed"):
            await engine.send(json.dumps({"type": f"call_{kind}", "call": {"call_id": kind}}))
        await told.until(lambda one: is_call(one) and one.kind == "missed")
    calls = [event for event in told.told if isinstance(event, SignalCall)]
    assert [(call.call.call_id, call.call.status.value) for call in calls] == [
        ("incoming", "initiating"),
        ("ringing", "ringing"),
        ("accepted", "active"),
        ("rejected", "rejected"),
        ("busy", "busy"),
        ("ended", "ended"),
        ("missed", "missed"),
    ]


async def test_a_frame_of_more_than_a_megabyte_ends_the_socket(engine: SignalEngine) -> None:
    async with open_socket(engine.url) as told:
        await told.until(is_opened)
        await engine.send("x" * 1_000_001)
        end = await told.until(is_ended)
        await engine.deserted()
    assert (end.code, end.error.code) == (None, UTDErrorCode.MALFORMED_RESPONSE)


async def test_an_engine_that_repeats_the_bearer_is_not_quoted(engine: SignalEngine) -> None:
    engine.tokens.clear()
    end = await end_of(engine.url)
    assert (end.code, end.error.code) == (4001, UTDErrorCode.UNAUTHORIZED)
    assert "bad bearer" in end.error.message


async def test_an_engine_that_does_not_answer_the_bearer_is_given_up(engine: SignalEngine) -> None:
    engine.is_silent = True
    end = await end_of(engine.url, SignalClient(open_within=0.05))
    assert (end.code, end.error.code) == (None, UTDErrorCode.TIMEOUT)
    await engine.deserted()


async def test_an_engine_that_answers_no_ping_is_given_up(engine: SignalEngine) -> None:
    engine.is_deaf = True
    async with open_socket(engine.url, SignalClient(heartbeat=0.05)) as told:
        await told.until(is_opened)
        end = await told.until(is_ended)
    assert (end.code, end.error.code) == (None, UTDErrorCode.NETWORK)


async def test_an_engine_that_answers_pings_is_kept(engine: SignalEngine) -> None:
    async with open_socket(engine.url, SignalClient(heartbeat=0.05)) as told:
        await told.until(is_opened)
        for _ in range(5):
            await engine.pinged()
        await engine.tell(("ended", a_call()))
        await told.until(is_call)
    assert told.told[0] == SignalOpened()


# --- engines that are none ----------------------------------------------------------------------


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def web_server(handler: Handler) -> AsyncIterator[str]:
    async with scripted_engine() as running:
        running.will(handler)
        yield running.base_url.replace("http://", "ws://") + "/api/v1/signal"


@pytest.mark.parametrize("status", [200, 401, 404, 500, 503])
async def test_an_engine_without_a_socket_is_told(status: int) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    async with web_server(answer) as url:
        end = await end_of(url)
    assert (end.error.code, end.is_final) == (UTDErrorCode.MALFORMED_RESPONSE, False)
    assert str(status) in end.error.message


async def test_a_redirect_is_not_followed(engine: SignalEngine) -> None:
    async def away(_: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": engine.url.replace("ws", "http", 1)})

    async with web_server(away) as url:
        end = await end_of(url)
    assert end.error.code is UTDErrorCode.MALFORMED_RESPONSE
    assert engine.handshakes == []


async def test_what_speaks_no_http_is_told() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        end = await end_of(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/s")
    assert end.error.code in (UTDErrorCode.MALFORMED_RESPONSE, UTDErrorCode.NETWORK)


# --- on the way ---------------------------------------------------------------------------------


async def test_the_proxy_is_asked_and_the_engine_must_prove_its_name(
    proxy: HttpProxy, tmp_path: Path
) -> None:
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(write_certificate(tmp_path, "engine.test"))  # which nobody vouches for
    async with scripted_engine(served) as engine:
        proxy.routes = {"engine.test:443": ("127.0.0.1", URL(engine.base_url).port or 0)}
        socket = SignalClient(proxies=Proxies.of(proxy.url))
        end = await end_of("wss://engine.test/api/v1/signal", socket)
        assert engine.seen == []
    assert proxy.asked == ["engine.test:443"]
    assert (end.error.code, end.is_final) == (UTDErrorCode.NETWORK, False)


@pytest.mark.parametrize("status", [403, 407, 503])
async def test_a_proxy_that_wants_another_password_is_asked_once(
    proxy: HttpProxy, status: int
) -> None:
    proxy.status = status
    url = proxy.url.replace("://", f"://ann:{PASSWORD}@")
    end = await end_of("wss://engine.test/s", SignalClient(proxies=Proxies.of(url)))
    assert (end.error.code, end.is_final) == (UTDErrorCode.NETWORK, status == 407)
    assert str(status) in end.error.message
    assert proxy.asked == ["engine.test:443"]


async def test_no_proxy_is_asked_for_this_machine(engine: SignalEngine, proxy: HttpProxy) -> None:
    async with open_socket(engine.url, SignalClient(proxies=Proxies.of(proxy.url))) as told:
        await told.until(is_opened)
    assert proxy.asked == []


async def test_cancelling_at_any_turn_of_the_loop_leaves_nothing_open(
    engine: SignalEngine,
) -> None:
    engine.ringing = (a_call(),)
    for turns in range(40):
        told = Batches[SignalEvent]()
        task = asyncio.create_task(SignalClient().run(engine.url, TOKEN, told.take))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        heard = len(told.told)
        async with asyncio.timeout(PATIENCE):
            await engine.deserted()
        assert len(told.told) == heard
        assert not any(is_ended(event) for event in told.told)


async def test_cancelling_while_it_connects_leaves_nothing_open() -> None:
    came = asyncio.Event()
    over = asyncio.Event()

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        await over.wait()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    async with server, asyncio.timeout(PATIENCE):
        async with open_socket(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/s") as told:
            await came.wait()
        over.set()
    assert told.told == []


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        (4003, "", "the user is banned"),
        (4008, "", "replaced by a newer sign-in of this device"),
        (4003, "for spam", "for spam"),
        (1012, "", "no reason given"),
    ],
)
async def test_a_close_code_says_what_it_means(
    engine: SignalEngine, code: int, reason: str, words: str
) -> None:
    async with open_socket(engine.url) as told:
        await told.until(is_opened)
        await engine.close(code, reason)
        end = await told.until(is_ended)
    assert isinstance(end, SignalEnded)
    assert end.error.message.endswith(f"{code}, {words}")
