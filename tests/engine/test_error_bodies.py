"""The engine's errors are those of the golden fixture, and the client reads them as such."""

from __future__ import annotations

import aiohttp
import pytest

from tests.fixtures import wire_fixture
from utd_rx.engine import EngineOptions, LocalEngine
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
