"""The engine's errors are those of the golden fixture, and the client reads them as such."""

from __future__ import annotations

import asyncio
from typing import Final

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from tests.engine.conftest import World
from tests.fixtures import wire_fixture
from utd_rx.engine import EngineOptions, LocalEngine
from utd_rx.engine.routes.middleware import errors
from utd_rx.protocol.wire.errors import error_from_wire

KNOWN = {(entry["status"], entry["code"]) for entry in wire_fixture("errors")}
"""Every status with the code the client reads from it, as the fixture says."""


@pytest.mark.parametrize(
    ("method", "path", "body", "key", "status", "code"),
    [
        ("POST", "/token", {"identity": "u"}, "wrong", 401, "unauthorized"),
        ("POST", "/token", {"identity": "u"}, None, 422, "validation"),
        ("GET", "/nowhere", None, None, 404, "notFound"),
    ],
)
async def test_a_refusal_is_a_known_pair_of_status_and_code(
    method: str, path: str, body: object, key: str | None, status: int, code: str
) -> None:
    async with LocalEngine(EngineOptions()) as engine, aiohttp.ClientSession() as http:
        headers = {"X-App-Id": engine.app_id, "X-App-Key": key or engine.app_key}
        url = f"{engine.base_url}/api/v1{path}"
        async with http.request(method, url, json=body, headers=headers) as reply:
            wire = await reply.json()
    assert (reply.status, wire["code"]) == (status, code)
    assert set(wire) == {"message", "code"}
    assert (status, code) in KNOWN
    error = error_from_wire(reply.status, wire)
    assert (error.status_code, error.code.value, error.message) == (status, code, wire["message"])


CUT_OFF: Final = b"Content-Length: 100\r\n\r\n{"


@pytest.mark.parametrize(
    ("body", "status", "lines"),
    [
        (b"Content-Length: 70000\r\n\r\n" + b"x" * 70_000, b"413", 1),
        (b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde", b"415", 0),
        (b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n", b"400", 1),
        (b'Transfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\nzz\r\n', b"400", 1),
        (CUT_OFF, b"", 0),
    ],
    ids=["large", "gzip", "chunk", "later chunk", "cut off"],
)
async def test_a_body_that_is_none_is_one_log_line(
    world: World, caplog: pytest.LogCaptureFixture, body: bytes, status: bytes, lines: int
) -> None:
    fields = "".join(f"{name}: {value}\r\n" for name, value in world.app.items())
    port = int(world.engine.base_url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"POST /api/v1/token HTTP/1.1\r\nHost: x\r\n{fields}".encode() + body)
    if body == CUT_OFF:
        await writer.drain()
        writer.write_eof()
    assert (await reader.readline()).split()[1:2] == [status][: len(status)]
    writer.close()
    await writer.wait_closed()
    await world.call("GET", "/health")
    assert len(caplog.records) == lines
    assert not any(record.exc_info for record in caplog.records)


async def test_a_path_stands_in_the_log_as_it_was_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(_: web.Request) -> web.StreamResponse:
        raise RuntimeError("a mistake of ours")

    request = make_mocked_request("GET", "/api/v1/a%0d%0aERROR%20all%20is%20lost%1b[2J")
    assert (await errors(request, fail)).status == 500
    [record] = caplog.records
    assert record.getMessage().isprintable()
