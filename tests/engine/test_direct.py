"""The routes without a server answer as they do behind one."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from tests.engine.conftest import World
from utd_rx.engine.call_news import Nobody
from utd_rx.engine.routes.direct import answer, route_of
from utd_rx.engine.routes.http import Context, HttpReply
from utd_rx.engine.signal_hub import SignalHub
from utd_rx.engine.signed_tokens import SignedTokens


def context_of(world: World) -> Context:
    core = world.engine.core
    hub = SignalHub(core.clock, Nobody())
    return Context(core, world.secrets, SignedTokens(world.secrets), "ws://x", "ws://y", hub)


async def ask(
    world: World, method: str, path: str, body: object, headers: Mapping[str, str]
) -> HttpReply:
    text = b"" if body is None else json.dumps(body).encode()
    route = route_of(method, path)
    return await answer(context_of(world), route, query={}, headers=headers, body=text)


@pytest.mark.parametrize(
    ("method", "path", "named", "names"),
    [
        ("GET", "/api/v1/rooms/bans", "/rooms/bans", {}),
        ("GET", "/api/v1/rooms/friday/", "/rooms/{room}", {"room": "friday"}),
        (
            "DELETE",
            "/api/v1/rooms/friday/participants/mona%2F%C3%A9",
            "/rooms/{room}/participants/{identity}",
            {"room": "friday", "identity": "mona/é"},
        ),
        (
            "GET",
            "/api/v1/rooms/call_1/participants/mona",
            "/rooms/{id:call_[^/]+}/participants/{identity}",
            {"id": "call_1", "identity": "mona"},
        ),
    ],
)
def test_a_path_leads_where_the_first_route_that_fits_does(
    method: str, path: str, named: str, names: dict[str, str]
) -> None:
    found = route_of(method, path)
    assert found is not None
    assert (found.path, found.names) == (f"/api/v1{named}", names)


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/v1/rooms"), ("GET", "/api/v1/moon"), ("GET", "/")]
)
def test_other_paths_lead_nowhere(method: str, path: str) -> None:
    assert route_of(method, path) is None


async def test_it_answers_what_the_server_answers(world: World) -> None:
    sara, app = {"Authorization": f"Bearer {await world.host()}"}, world.app
    mint = {"identity": "mona", "room_name": "friday", "type": "audio_room"}
    for method, path, body, headers in (
        ("GET", "/rooms/friday/seats", None, sara),
        ("POST", "/rooms/friday/seats/99/take", None, sara),
        ("POST", "/rooms/friday/seats/move", {"target_seat": "x"}, sara),
        ("GET", "/rooms/friday/seats", None, app),
        ("GET", "/rooms/friday/seats", None, {}),
        ("POST", "/token", {**mint, "type": "king"}, app),
    ):
        there = await world.call(method, f"/api/v1{path}", body, headers=headers)
        here = await ask(world, method, f"/api/v1{path}", body, headers)
        assert (here.status, here.body) == (there.status, there.body)


async def test_a_failure_of_its_own_is_logged_and_says_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.host()
    broken = context_of(world)
    object.__setattr__(broken, "tokens", None)
    route = route_of("GET", "/api/v1/rooms/friday/seats")
    reply = await answer(broken, route, query={}, headers={"Authorization": "Bearer x"}, body=b"")
    assert (reply.status, reply.body["message"]) == (500, "Internal error")
    assert "GET /api/v1/rooms/{room}/seats failed" in caplog.text
