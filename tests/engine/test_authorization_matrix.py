"""Every endpoint × every caller × own, other, host's and absent target, as the table says."""

from __future__ import annotations

import pytest

from tests.engine.authorization import CALLS, NOT_APPLICABLE, Cell, Row, read_matrix, status_of
from tests.engine.conftest import World
from tests.engine.fakes import FakeClock, FakeMedia, HastyClock
from utd_rx.engine.app import make_app
from utd_rx.engine.authorization import Caller, Endpoint
from utd_rx.engine.core import EngineCore
from utd_rx.engine.media_reports import MediaReports
from utd_rx.engine.options import EngineOptions, make_secrets
from utd_rx.engine.routes.request import Context

ROWS = read_matrix()
CALLER_OF = {
    "app_key": Caller.APP_KEY,
    "stranger": Caller.STRANGER,
    "visitor": Caller.VISITOR,
    "audience": Caller.AUDIENCE,
    "guest": Caller.GUEST,
    "admin": Caller.ADMIN,
    "owner": Caller.OWNER,
    "secret": Caller.SECRET,
}
OPEN = {("GET", "/health"), ("POST", "/livekit/webhook")}
"""What needs no credentials of ours: the latter is signed by the media server."""


@pytest.fixture
def clock() -> FakeClock:
    """One that does not hold up a ban between push and removal."""
    return HastyClock()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
async def test_the_table_is_what_happens(world: World, row: Row) -> None:
    expected = {who: status for who, status in row.statuses.items() if status != NOT_APPLICABLE}
    found = {}
    for caller in expected:
        cell = Cell(world, f"room-{caller}", caller, row.target)
        found[caller] = str(await status_of(row, cell))
    assert found == expected


def test_every_endpoint_is_in_the_table() -> None:
    assert {row.endpoint for row in ROWS} == {endpoint.label for endpoint in Endpoint}
    assert set(CALLS) == {endpoint.label for endpoint in Endpoint}


def test_every_route_is_in_the_table() -> None:
    secrets = make_secrets(EngineOptions())
    core = EngineCore(secrets.app_id, FakeMedia(), FakeClock())
    app = make_app(Context(core, secrets, "ws://x"), MediaReports(core, secrets), per_minute=None)
    routed = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None
        and not route.resource.canonical.endswith("/")
        and route.method != "HEAD"
    }
    listed = {(row.method, "/api/v1" + row.path.partition("?")[0]) for row in ROWS}
    assert routed - OPEN == listed


@pytest.mark.parametrize("endpoint", Endpoint)
def test_whom_the_engine_lets_pass_is_whom_the_table_lets_succeed(endpoint: Endpoint) -> None:
    succeeds = {
        CALLER_OF[who]
        for row in ROWS
        if row.endpoint == endpoint.label
        for who, status in row.statuses.items()
        if status in ("200", "201")
    }
    # The owner is the only host there is.
    assert succeeds == endpoint.allowed - {Caller.HOST}
