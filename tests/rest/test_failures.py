"""Whatever the network or the engine does, the caller gets one typed exception, in time."""

from __future__ import annotations

import logging
import socket
import traceback
from email.utils import formatdate

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.fixtures import wire_fixture
from tests.rest.conftest import APP_ID, APP_KEY, BEARER, HandClock, MakeClient
from tests.rest.engines import Answer, ScriptedEngine, raw, reply, socket_engine
from tests.support.threads import without_threads
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.rest import RetryPolicy, Timeouts, UTDApiClient
from utd_rx.rest.exchange import MAX_REPLY
from utd_rx.rest.failures import read_retry_after


async def _failure(client: UTDApiClient, method: str = "POST") -> UTDStreamException:
    with pytest.raises(UTDStreamException) as caught:
        await client.request(method, "/a", bearer=BEARER)
    return caught.value


async def test_without_threads_a_name_is_not_looked_up_and_later_it_is(
    engine: ScriptedEngine, make_client: MakeClient
) -> None:
    client = make_client(engine.base_url.replace("127.0.0.1", "localhost"))
    with without_threads():
        error = await _failure(client)
    assert error.code is UTDErrorCode.NETWORK
    assert "ulimit -u" in error.message
    engine.will(reply({}))
    await client.post("/a", bearer=BEARER)


@pytest.mark.parametrize("case", wire_fixture("errors"), ids=lambda case: case["message"])
async def test_an_error_reply_keeps_status_code_and_message(
    engine: ScriptedEngine, client: UTDApiClient, case: dict[str, object]
) -> None:
    status = case["status"]
    assert isinstance(status, int)
    engine.will(reply(case["body"], status))
    error = await _failure(client)
    assert (error.status_code, error.code.value) == (status, case["code"])
    assert error.message == case["message"]
    assert error.retry_after is None


@pytest.mark.parametrize("body", [b"<html>Bad Gateway</html>", b"", b"[1]", b"\xff", b"x" * 2**21])
async def test_an_error_reply_without_json_is_told_by_its_status(
    engine: ScriptedEngine, client: UTDApiClient, body: bytes
) -> None:
    engine.will(raw(body, 502))
    error = await _failure(client)
    assert (error.status_code, error.code) == (502, UTDErrorCode.SERVER)


@pytest.mark.parametrize(
    "body", [b"<html>", b"{", b'{"a":}', b"\xff\xfe\xfa", b"[" * 100_000, b"1" * 10_000]
)
async def test_garbage_is_malformed(
    engine: ScriptedEngine, client: UTDApiClient, body: bytes
) -> None:
    engine.will(raw(body))
    error = await _failure(client)
    assert (error.status_code, error.code) == (200, UTDErrorCode.MALFORMED_RESPONSE)


async def test_a_reply_may_have_one_mebibyte_and_no_more(
    engine: ScriptedEngine, client: UTDApiClient
) -> None:
    engine.will(raw(b'"' + b"x" * (MAX_REPLY - 2) + b'"'), raw(b'"' + b"x" * MAX_REPLY))
    assert len(str((await client.get("/a"))["data"])) == MAX_REPLY - 2
    error = await _failure(client)
    assert error.code is UTDErrorCode.MALFORMED_RESPONSE
    assert str(MAX_REPLY) in error.message


async def test_a_small_reply_that_unpacks_to_a_huge_one_is_malformed(
    engine: ScriptedEngine, client: UTDApiClient
) -> None:
    async def bomb(_: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        response = aiohttp.web.Response(body=b" " * (8 * MAX_REPLY))
        response.enable_compression(aiohttp.web.ContentCoding.gzip)
        return response

    engine.will(bomb)
    assert (await _failure(client)).code is UTDErrorCode.MALFORMED_RESPONSE


async def test_a_reply_that_does_not_decompress_is_malformed(
    engine: ScriptedEngine, client: UTDApiClient
) -> None:
    engine.will(raw(b"this is no gzip", 200, Content_Encoding="gzip"))
    assert (await _failure(client)).code is UTDErrorCode.MALFORMED_RESPONSE


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(
    engine: ScriptedEngine, client: UTDApiClient, status: int
) -> None:
    engine.will(reply(None, status, Location="/elsewhere"))
    error = await _failure(client, "GET")
    assert (error.status_code, error.code) == (status, UTDErrorCode.MALFORMED_RESPONSE)
    assert len(engine.seen) == 1


async def test_an_upgrade_that_nobody_asked_for_is_no_success(
    engine: ScriptedEngine, client: UTDApiClient
) -> None:
    engine.will(reply({"seats": []}, 101))
    error = await _failure(client)
    assert (error.status_code, error.code) == (101, UTDErrorCode.MALFORMED_RESPONSE)


@pytest.mark.parametrize("how", ["hang", "stall"])
async def test_a_silent_engine_times_out(
    engine: ScriptedEngine, make_client: MakeClient, how: str
) -> None:
    answer: Answer = getattr(engine, how)
    engine.will(answer)
    error = await _failure(make_client(timeouts=Timeouts(receive=0.05)))
    assert (error.status_code, error.code) == (None, UTDErrorCode.TIMEOUT)
    assert "it may have done what was asked" in error.message


async def test_the_whole_call_is_bounded_when_single_silences_are_not_long_enough(
    engine: ScriptedEngine, make_client: MakeClient
) -> None:
    engine.will(engine.hang)
    error = await _failure(make_client(timeouts=Timeouts(total=0.05)))
    assert error.code is UTDErrorCode.TIMEOUT


class _NeverResolves(AbstractResolver):
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing to close."""


class _Hangs(_NeverResolves):
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        import asyncio

        await asyncio.Event().wait()
        raise AssertionError


class _Fails(_NeverResolves):
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise OSError("Name or service not known")


@pytest.mark.parametrize(
    ("resolver", "code", "patience"),
    [(_Hangs, UTDErrorCode.TIMEOUT, 0.05), (_Fails, UTDErrorCode.NETWORK, 10.0)],
)
async def test_a_name_that_does_not_resolve(
    resolver: type[AbstractResolver], code: UTDErrorCode, patience: float
) -> None:
    connector = aiohttp.TCPConnector(resolver=resolver())
    async with aiohttp.ClientSession(connector=connector) as session:
        client = UTDApiClient(
            app_id=APP_ID, app_key=APP_KEY, session=session, timeouts=Timeouts(connect=patience)
        )
        error = await _failure(client)
    assert (error.status_code, error.code) == (None, code)


async def test_a_refused_connection_is_a_network_failure(make_client: MakeClient) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: refuses
        error = await _failure(make_client(f"http://127.0.0.1:{taken.getsockname()[1]}"))
    assert (error.status_code, error.code) == (None, UTDErrorCode.NETWORK)


async def test_a_failed_handshake_is_a_network_failure_and_not_repeated(
    engine: ScriptedEngine, make_client: MakeClient, clock: HandClock
) -> None:
    client = make_client(engine.base_url.replace("http:", "https:"))
    with pytest.raises(UTDStreamException) as caught:
        await client.get("/a")
    assert caught.value.code is UTDErrorCode.NETWORK
    assert clock.waits == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", UTDErrorCode.NETWORK),
        (b"HTTP/1.1 200 OK\r\nContent-Le", UTDErrorCode.NETWORK),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", UTDErrorCode.NETWORK),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
            UTDErrorCode.NETWORK,
        ),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", UTDErrorCode.MALFORMED_RESPONSE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", UTDErrorCode.MALFORMED_RESPONSE),
    ],
    ids=["no reply", "cut head", "cut body", "cut chunk", "another protocol", "wrong length"],
)
async def test_a_broken_exchange(
    make_client: MakeClient, answer: bytes, code: UTDErrorCode
) -> None:
    async with socket_engine(answer) as broken:
        error = await _failure(make_client(broken.base_url))
    assert (error.status_code, error.code) == (None, code)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
async def test_no_layer_below_sends_a_call_twice(make_client: MakeClient, method: str) -> None:
    # aiohttp by itself would send GET, PUT and DELETE again when the peer hangs up.
    async with socket_engine(b"") as broken:
        await _failure(make_client(broken.base_url), method)
        assert broken.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
        b"HTTP/1.1 401 No\r\nContent-Length: %d\r\n\r\n%s"
        % (len(m := b'{"message": "bad %s %s"}' % (BEARER.encode(), APP_KEY.encode())), m),
        b"HTTP/1.1 400 %s Bad\r\nX-Echo: %s\r\n" % (APP_KEY.encode(), BEARER.encode()),
    ],
    ids=["no reply", "no HTTP", "cut", "quoted", "quoted in a cut head"],
)
async def test_no_failure_shows_a_credential(
    make_client: MakeClient, caplog: pytest.LogCaptureFixture, answer: bytes
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with socket_engine(answer) as broken:
            error: BaseException | None = await _failure(make_client(broken.base_url))
    shown = caplog.text + "".join(traceback.format_exception(error))
    while error is not None:
        shown += repr(error) + str(error) + repr(vars(error)) + repr(error.args)
        error = error.__cause__ or error.__context__
    assert BEARER not in shown
    assert APP_KEY not in shown


NOW = 1_000_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": " 120 "}, 120.0),
        ({"Retry-After": formatdate(NOW + 30, usegmt=True)}, 30.0),
        ({"Retry-After": formatdate(NOW - 30, usegmt=True)}, 0.0),
        (
            # The engine's clock is an hour ahead: its own Date tells the difference.
            {
                "Retry-After": formatdate(NOW + 3_605, usegmt=True),
                "Date": formatdate(NOW + 3_600, usegmt=True),
            },
            5.0,
        ),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "1" * 400}, None),
        ({"Retry-After": "Thu, 99 Foo 2026 99:99:99 GMT"}, None),
        ({"Retry-After": ""}, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert read_retry_after(headers, NOW) == seconds


async def test_retry_after_reaches_the_caller(engine: ScriptedEngine, client: UTDApiClient) -> None:
    engine.will(reply({"message": "slow down"}, 429, Retry_After="7"))
    error = await _failure(client)
    assert (error.is_rate_limited, error.retry_after) == (True, 7.0)


def test_a_policy_has_sane_bounds() -> None:
    for attempts in (0, 11):
        with pytest.raises(ValueError, match="attempts"):
            RetryPolicy(attempts=attempts)
