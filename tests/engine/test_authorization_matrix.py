"""Every endpoint × every caller × own, other, host's and absent target, as the table says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest

from tests.engine.authorization import CALLS, NOT_APPLICABLE, Cell, Row, read_matrix, status_of
from tests.engine.conftest import World
from tests.engine.fakes import FakeClock, FakeMedia, HastyClock
from utd_rx.engine.app import make_app
from utd_rx.engine.authorization import (
    FOR_APPS,
    FOR_MEMBERS,
    FOR_MODERATORS,
    FOR_SECRET,
    FOR_USERS,
    Caller,
    Callers,
)
from utd_rx.engine.core import EngineCore
from utd_rx.engine.media_reports import MediaReports
from utd_rx.engine.options import EngineOptions, make_secrets
from utd_rx.engine.routes import calls
from utd_rx.engine.routes.http import Context
from utd_rx.engine.routes.request import CallersOf
from utd_rx.engine.routes.table import IN_ROOM
from utd_rx.engine.signal_hub import SignalHub
from utd_rx.engine.signed_tokens import SignedTokens
from utd_rx.engine.webhooks import WebhookSender

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
OPEN = {("GET", "/health"), ("POST", "/livekit/webhook"), ("GET", "/api/v1/signal")}
"""What needs no credentials of ours: a webhook is signed by the media server, and a socket shows
its bearer in its first frame.
"""


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
    assert {row.endpoint for row in ROWS} == set(CALLS)


def test_every_route_is_in_the_table() -> None:
    secrets = make_secrets(EngineOptions())
    clock = FakeClock()
    core = EngineCore(secrets.app_id, FakeMedia(), clock)
    sender = WebhookSender(None, secrets.app_secret, clock)
    context = Context(
        core, secrets, SignedTokens(secrets), "ws://x", "ws://y", SignalHub(clock, sender)
    )
    app = make_app(context, MediaReports(core, secrets, sender), None, per_minute=None)
    routed = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None
        and not route.resource.canonical.endswith("/")
        and route.method != "HEAD"
    }
    listed = {(row.method, "/api/v1" + row.path.partition("?")[0]) for row in ROWS}
    assert routed - OPEN == listed


ELSEWHERE: Mapping[str, Callers] = {
    "mint": FOR_APPS,
    "session": FOR_APPS,
    "participant.metadata.own": FOR_MEMBERS - FOR_SECRET,
    "participant.metadata": FOR_SECRET,
    "rooms.list": FOR_SECRET,
    "ban.room": FOR_MODERATORS,
    "ban.project": FOR_SECRET,
    "unban.room": FOR_MODERATORS,
    "unban.project": FOR_SECRET,
    "bans.room": FOR_MODERATORS,
    "bans.project": FOR_SECRET,
    "project": FOR_SECRET,
    "call.start": FOR_USERS,
    "call.participant": FOR_USERS | FOR_SECRET,
    "calls.list": FOR_SECRET,
}
"""Who may, where no row of `IN_ROOM` or of `calls.ROUTES` says it."""


REFUSED: Final[Mapping[str, Callers]] = {
    "stage.leave": frozenset({Caller.OWNER}),
    "stage.request": frozenset({Caller.OWNER}),
}
"""Whom the table of routes lets pass and a rule always refuses: who never leaves the stage."""


@pytest.mark.parametrize("endpoint", CALLS)
def test_whom_the_engine_lets_pass_is_whom_the_table_lets_succeed(endpoint: str) -> None:
    rows = [row for row in ROWS if row.endpoint == endpoint]
    listed: dict[tuple[str, str], Callers | CallersOf] = {
        (how, f"/rooms/{{room}}{path}"): allowed for how, path, allowed, _ in IN_ROOM
    }
    for how, path, allowed, _ in calls.ROUTES:
        listed[how, f"/calls/{{id}}{path}"] = allowed
    (call,) = {(row.method, row.path.partition("?")[0]) for row in rows}
    succeeds = {
        CALLER_OF[who]
        for row in rows
        for who, status in row.statuses.items()
        if status in ("200", "201")
    }
    # The owner is the only host there is.
    expected = ELSEWHERE[endpoint] if endpoint in ELSEWHERE else listed[call]
    assert not callable(expected)
    assert succeeds == expected - {Caller.HOST} - REFUSED.get(endpoint, frozenset())
