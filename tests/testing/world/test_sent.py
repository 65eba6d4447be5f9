"""What was asked of a world's engine goes by the names of `UTDApi`."""

from __future__ import annotations

from typing import Final

from utd_rx import UTDApi
from utd_rx.engine.routes.table import API, ROUTES
from utd_rx.testing.world.sent import CALLS, arguments_of, call_of

FOR_BACKENDS: Final = {
    ("GET", "/project"),
    ("GET", "/rooms"),
    ("GET", "/rooms/{room}"),
    ("DELETE", "/rooms/{room}"),
    ("PUT", "/rooms/{room}/metadata"),
    ("POST", "/rooms/{room}/send-data"),
    ("GET", "/rooms/{room}/participants/by-role"),
    ("PUT", "/rooms/{room}/participants/{identity}/metadata"),
    ("PUT", "/rooms/{room}/participants/{identity}/permissions"),
    ("PUT", "/rooms/{room}/participants/{identity}/forbid-stream"),
    ("PUT", "/rooms/{room}/participants/{identity}/resume-stream"),
    ("GET", "/calls"),
}
"""What no method of `UTDApi` asks."""


def test_every_route_that_a_client_asks_has_the_name_of_its_method() -> None:
    routes = {
        (method, path.removeprefix(API)) for method, path, _ in ROUTES if path.startswith(API)
    }
    # A call's participant is asked for as a room's is.
    named = {route for route in routes if ":call_" not in route[1]} - FOR_BACKENDS
    assert named == set(CALLS)
    # That one answers two of them.
    assert {name for name in CALLS.values() if not hasattr(UTDApi, name)} == {"get_participant"}


def test_another_route_goes_by_its_method_and_path() -> None:
    assert call_of("GET", "/rooms/{room}") == "GET /rooms/{room}"


def test_arguments_are_those_of_path_query_and_body() -> None:
    asked = arguments_of({"room": "7", "index": "7"}, {"page": "2"}, {"name": "x"})
    assert asked == {"room": "7", "index": 7, "page": "2", "name": "x"}
