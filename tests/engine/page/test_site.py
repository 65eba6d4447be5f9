"""The page's routes: who is let in, and what they say."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import aiohttp
import pytest

from tests.engine.conftest import World, on_fakes
from tests.engine.fakes import FakeClock, HastyClock
from utd_rx.engine.options import EngineOptions, make_secrets
from utd_rx.engine.page.site import FILES, KEY, STREAM, is_of_this_machine, policy


@pytest.fixture
def clock() -> FakeClock:
    return HastyClock()


def key_of(world: World) -> str:
    return (world.engine.page_url or "").partition("/#")[2]


def stream(world: World, **headers: str) -> Any:
    return world.http.get(f"{world.engine.base_url}{STREAM}", headers=headers)


async def line_of(reply: aiohttp.ClientResponse) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await reply.content.readline())
    return found


@pytest.mark.parametrize("path", FILES)
async def test_its_files_are_served_to_run_by_themselves(world: World, path: str) -> None:
    async with world.http.get(f"{world.engine.base_url}{path}") as reply:
        text = await reply.text()
    assert (reply.status, reply.content_type) == (200, FILES[path][1])
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    rules = dict(
        rule.split(" ", 1) for rule in reply.headers["Content-Security-Policy"].split("; ")
    )
    assert rules["default-src"] == rules["frame-ancestors"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == "'self'"
    assert rules["connect-src"] == "'self' ws://127.0.0.1:1 http://127.0.0.1:1"
    assert text == (files("utd_rx.engine.page") / "static" / FILES[path][0]).read_text("utf-8")


def test_nothing_in_it_is_inline_or_from_elsewhere() -> None:
    static = files("utd_rx.engine.page") / "static"
    page = (static / "index.html").read_text("utf-8")
    assert re.findall(r"(?:src|href)=\"([^\"]*)\"", page) == [
        *("/page/icon.svg", "/page/page.css", "/page/page.js", "/page/livekit-client.LICENSES.txt")
    ]
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=", page)
    ours = [name for name, _ in FILES.values() if not name.startswith(("livekit-client", "icon"))]
    for name in ours:
        text = (static / name).read_text("utf-8")
        assert not re.search(r"https?://|innerHTML|insertAdjacent|document\.write|eval\(", text)


def test_the_library_in_it_is_the_one_that_was_asked_for() -> None:
    static = files("utd_rx.engine.page") / "static"
    head, _, _ = (static / "livekit-client.js").read_text("utf-8").partition("\n")
    licences = (static / "livekit-client.LICENSES.txt").read_text("utf-8")
    found = re.match(r"// (livekit-client \S+), made by", head)
    assert found is not None
    assert f"{found[1]}: Apache-2.0" in licences
    assert len((static / "livekit-client.js").read_bytes()) < 700_000


async def test_the_stream_needs_the_pages_key(world: World) -> None:
    for key in ("", "wrong", world.engine.app_key, "\xff"):
        reply = await world.call("GET", STREAM, headers={KEY: key})
        assert reply.refusal == (401, "unauthorized")
    async with stream(world, **{KEY: key_of(world)}) as reply:
        assert (await line_of(reply))["app"]["app_key"] == world.engine.app_key


async def test_the_stream_goes_on(world: World) -> None:
    async with stream(world, **{KEY: key_of(world)}) as reply:
        assert set(await line_of(reply)) == {"app"}
        await world.host()
        news = await line_of(reply)
        assert list(news["rooms"]) == ["friday"]
        assert [where for _, where, _ in news["happened"]] == ["friday"] * 3
        await world.connect("mona")
        while "happened" not in (news := await line_of(reply)):
            assert list(news) == ["rooms"]  # she minted
        assert [text for _, _, text in news["happened"]] == ["mona comes"]


@pytest.mark.parametrize(
    ("remote", "host", "is_let_in"),
    [
        ("127.0.0.1", "127.0.0.1:8080", True),
        ("127.0.0.1", "localhost:8080", True),
        ("::1", "[::1]:8080", True),
        ("::ffff:127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "evil.example:8080", False),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", "127.0.0.1.evil.example", False),
        ("127.0.0.1", "192.168.1.7:8080", False),
        ("127.0.0.1", "[", False),
        ("127.0.0.1", "", False),
        ("192.168.1.7", "127.0.0.1:8080", False),
        (None, "127.0.0.1:8080", False),
    ],
)
def test_it_is_for_this_machine_under_its_own_name(
    remote: str | None, host: str, is_let_in: bool
) -> None:
    assert is_of_this_machine(remote, host) is is_let_in


@pytest.mark.parametrize("path", ["/", "/page/page.js", STREAM])
@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}]
)
async def test_another_site_is_refused(world: World, path: str, headers: dict[str, str]) -> None:
    reply = await world.call("GET", path, headers={**headers, KEY: key_of(world)})
    assert reply.refusal == (403, "forbidden")


async def test_it_can_be_switched_off() -> None:
    async with on_fakes(EngineOptions(page=False)) as world:
        assert world.engine.page_url is None
        for path in ("/", STREAM):
            assert (await world.call("GET", path)).refusal == (404, "notFound")


async def test_it_is_on_this_machine_whatever_the_engine_listens_on() -> None:
    async with on_fakes(EngineOptions(host="0.0.0.0")) as world:
        address = (world.engine.page_url or "").partition("/#")[0]
        assert address.startswith("http://127.0.0.1:")
        async with world.http.get(f"{address}/") as reply:
            assert reply.status == 200


async def test_it_counts_for_no_rate_limit() -> None:
    async with on_fakes(EngineOptions(rate_limit=1)) as world:
        for path in ("/", "/page/page.css", "/page/page.js"):
            async with world.http.get(f"{world.engine.base_url}{path}") as reply:
                assert reply.status == 200
        assert (await world.call("GET", "/health")).status == 200
        assert (await world.call("GET", "/api/v1/rooms", headers=world.server)).status == 200


async def test_an_engine_that_ends_lets_its_pages_go(world: World) -> None:
    async with stream(world, **{KEY: key_of(world)}) as reply:
        await line_of(reply)
        await world.engine.aclose()
        assert await reply.content.read() == b""


def test_the_key_outlives_the_engine_with_its_secret() -> None:
    one, two = (make_secrets(EngineOptions(app_secret="s" * 32)) for _ in range(2))
    assert one.page_key == two.page_key
    assert one.page_key not in repr(one)
    assert make_secrets(EngineOptions()).page_key != one.page_key


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ws://127.0.0.1:7880", "'self' ws://127.0.0.1:7880 http://127.0.0.1:7880"),
        ("wss://media.example", "'self' wss://media.example https://media.example"),
    ],
)
def test_only_the_one_media_server_can_be_talked_to(url: str, told: str) -> None:
    assert f"; connect-src {told}; " in policy(url)
