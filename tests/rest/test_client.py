"""What a call sends, what it returns, and what it refuses to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import pytest

from tests.rest.conftest import APP_ID, APP_KEY, BEARER, HandClock, MakeClient
from tests.rest.engines import ScriptedEngine, raw, reply
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.rest import Timeouts, UTDApiClient


async def test_a_call_carries_credentials_and_json_and_returns_the_object(
    engine: ScriptedEngine, client: UTDApiClient
) -> None:
    engine.will(reply({"status": "ok"}))
    answer = await client.post("/rooms/x/seats", {"name": "علي"}, params={"a": "ü&"}, bearer=BEARER)
    assert answer == {"status": "ok"}
    (seen,) = engine.seen
    assert (seen.method, seen.raw_path) == ("POST", "/api/v1/rooms/x/seats")
    assert seen.query == {"a": "ü&"}
    assert seen.body == {"name": "علي"}
    assert seen.headers["X-App-Id"] == APP_ID
    assert seen.headers["X-App-Key"] == APP_KEY
    assert seen.headers["Authorization"] == f"Bearer {BEARER}"
    assert seen.headers["Content-Type"] == "application/json; charset=utf-8"


async def test_without_a_bearer_the_app_key_acts_alone(
    engine: ScriptedEngine, client: UTDApiClient
) -> None:
    engine.will(reply())
    await client.get("project")
    assert "Authorization" not in engine.seen[0].headers
    assert engine.seen[0].raw_path == "/api/v1/project"


async def test_each_method_is_its_own(engine: ScriptedEngine, client: UTDApiClient) -> None:
    engine.will(reply())
    await client.get("/a")
    await client.post("/a")
    await client.put("/a")
    await client.delete("/a")
    await client.delete("/a", {"identity": "x"})
    assert [(seen.method, seen.body) for seen in engine.seen] == [
        ("GET", None),
        ("POST", {}),
        ("PUT", {}),
        ("DELETE", None),
        ("DELETE", {"identity": "x"}),
    ]


@pytest.mark.parametrize("value", [[1, 2], "text", 7, True, None])
async def test_json_that_is_no_object_is_wrapped(
    engine: ScriptedEngine, client: UTDApiClient, value: object
) -> None:
    async def answer(_: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        return aiohttp.web.json_response(value)

    engine.will(answer)
    assert await client.get("/a") == {"data": value}


@pytest.mark.parametrize(("status", "body"), [(204, b""), (200, b""), (201, b" \n")])
async def test_an_empty_success_is_an_empty_object(
    engine: ScriptedEngine, client: UTDApiClient, status: int, body: bytes
) -> None:
    engine.will(raw(body, status))
    assert await client.post("/a") == {}


async def test_a_base_url_may_have_a_path(engine: ScriptedEngine, make_client: MakeClient) -> None:
    engine.will(reply())
    await make_client(engine.base_url + "/behind/proxy/").get("/a")
    assert engine.seen[0].raw_path == "/behind/proxy/api/v1/a"


async def test_fields_that_are_no_json_are_refused_before_sending(
    engine: ScriptedEngine, client: UTDApiClient
) -> None:
    engine.will(reply())
    for body in ({"x": object()}, {"x": float("nan")}):
        with pytest.raises(UTDStreamException) as caught:
            await client.post("/a", body)
        assert caught.value.code is UTDErrorCode.VALIDATION
    assert engine.seen == []


async def test_a_bearer_that_would_break_the_header_is_refused_and_not_repeated(
    client: UTDApiClient,
) -> None:
    with pytest.raises(UTDStreamException) as caught:
        await client.get("/a", bearer="tok\r\nX-Evil: 1")
    assert caught.value.code is UTDErrorCode.VALIDATION
    assert "Evil" not in str(caught.value)


async def test_a_shared_session_stays_open_and_its_switches_do_not_matter(
    engine: ScriptedEngine,
) -> None:
    engine.will(reply({"message": "no"}, 409))
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        client = UTDApiClient(engine.base_url, app_id=APP_ID, app_key=APP_KEY, session=session)
        with pytest.raises(UTDStreamException) as caught:
            await client.post("/a")
        assert caught.value.code is UTDErrorCode.CONFLICT
        await client.aclose()
        assert not session.closed
        with pytest.raises(UTDStreamException, match="closed"):
            await client.get("/a")


async def test_a_session_that_its_owner_closed_is_a_typed_failure(engine: ScriptedEngine) -> None:
    session = aiohttp.ClientSession()
    client = UTDApiClient(engine.base_url, app_id=APP_ID, app_key=APP_KEY, session=session)
    await session.close()
    with pytest.raises(UTDStreamException, match="closed"):
        await client.get("/a")


async def test_closing_is_idempotent_concurrent_and_needs_no_call_before(
    engine: ScriptedEngine, make_client: MakeClient
) -> None:
    engine.will(reply())
    unused, used = make_client(), make_client()
    await used.get("/a")
    await asyncio.gather(unused.aclose(), used.aclose(), used.aclose())
    await used.aclose()
    for client in (unused, used):
        with pytest.raises(UTDStreamException) as caught:
            await client.get("/a")
        assert caught.value.code is UTDErrorCode.CONFLICT


async def test_closing_ends_a_running_call_with_a_typed_failure(
    engine: ScriptedEngine, client: UTDApiClient
) -> None:
    arrived = asyncio.Event()

    async def hang(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        arrived.set()
        return await engine.hang(request)

    engine.will(hang)
    call = asyncio.create_task(client.post("/a"))
    await arrived.wait()
    await client.aclose()
    with pytest.raises(UTDStreamException) as caught:
        await call
    assert caught.value.code is UTDErrorCode.NETWORK


async def test_cancelling_a_call_ends_it_at_once(
    engine: ScriptedEngine, client: UTDApiClient
) -> None:
    arrived = asyncio.Event()

    async def hang(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        arrived.set()
        return await engine.hang(request)

    engine.will(hang, reply({"a": 1}))
    call = asyncio.create_task(client.get("/a"))
    await arrived.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await client.get("/a") == {"a": 1}


async def test_cancelling_the_wait_before_a_repetition_ends_the_call(
    engine: ScriptedEngine, make_client: MakeClient
) -> None:
    waiting = asyncio.Event()

    class StoppedClock(HandClock):
        def call_at(self, at: float, callback: Callable[[], None]) -> Callable[[], None]:
            waiting.set()
            return lambda: None

    engine.will(reply(None, 503))
    call = asyncio.create_task(make_client(clock=StoppedClock()).get("/a"))
    await waiting.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(engine.seen) == 1


async def test_nothing_printable_holds_a_key() -> None:
    client = UTDApiClient(app_id=APP_ID, app_key=APP_KEY)
    assert repr(client) == "UTDApiClient('https://engine.udt-stream.com')"
    assert UTDApiClient.DEFAULT_TOKEN_BASE_URL == "https://udt-stream.com"


@pytest.mark.parametrize("times", [{"connect": 0.0}, {"receive": -1.0}, {"total": 0.0}])
def test_a_time_out_is_positive(times: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="> 0"):
        Timeouts(**times)


async def test_a_client_of_another_loop_is_a_typed_failure_also_with_a_shared_session(
    engine: ScriptedEngine, client: UTDApiClient
) -> None:
    engine.will(reply())
    async with aiohttp.ClientSession() as session:
        sharing = UTDApiClient(engine.base_url, app_id=APP_ID, app_key=APP_KEY, session=session)

        def elsewhere(call: Callable[[], Coroutine[Any, Any, object]]) -> ConflictReason | None:
            with pytest.raises(UTDStreamException, match="one client per loop") as raised:
                asyncio.run(call())
            return raised.value.reason

        for one in (client, sharing):
            await one.get("/a")
            for call in (lambda: one.get("/a"), one.aclose):  # noqa: B023 - called at once
                reason = await asyncio.to_thread(elsewhere, call)
                assert reason is ConflictReason.FOREIGN_LOOP
            assert await one.get("/a") == {}
