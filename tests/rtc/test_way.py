"""Media goes the way it is told to, whatever the environment of the process says."""

from __future__ import annotations

import ctypes
import os
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from livekit import rtc

from tests.rtc.bench import Ear, Party, raises, token
from tests.support.http_proxy import HttpProxy, http_proxy
from utd_rx.errors import ConflictReason, UTDErrorCode
from utd_rx.models import events as ev
from utd_rx.ports.proxy import Proxies
from utd_rx.rtc import way
from utd_rx.rtc.room import UTDRoom

HOST = "media.test:7880"
"""Known to the proxy alone."""

NAMES = ("HTTP_PROXY", "https_proxy", "ALL_PROXY", "NO_PROXY")


class Joined:
    """Stands for a room."""


def native_environment() -> dict[str, str]:
    """Return what native code finds in the environment."""
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_char_p
    found = {name: getenv(name.encode()) for name in (*NAMES, "HTTPS_PROXY", "http_proxy")}
    return {name: value.decode() for name, value in found.items() if value}


@pytest.fixture
async def proxy(party: Party) -> AsyncIterator[HttpProxy]:
    """A proxy that reaches the SFU, under a name that nobody else knows."""
    sfu = urlsplit(party.sfu.url)
    async with http_proxy() as proxy:
        proxy.routes = {HOST: (sfu.hostname or "", sfu.port or 0)}
        yield proxy


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment that names a proxy, in every way; nobody listens there."""
    named = dict.fromkeys(NAMES, "http://127.0.0.1:9")
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    return named


async def test_the_environment_counts_for_nothing_unless_it_is_asked(
    party: Party, environment: dict[str, str]
) -> None:
    room, ear = await party.join("ann")
    assert set(native_environment()) == {"NO_PROXY"}
    assert environment.items() <= dict(os.environ).items()  # Python's own libraries see it
    assert room.room is not None
    await room.room.simulate_scenario(rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT)
    await ear.wait(ev.Reconnected)
    await room.disconnect()
    assert native_environment() == environment


async def test_a_proxy_that_is_given_is_the_way_there_and_back_after_an_outage(
    party: Party, proxy: HttpProxy, environment: dict[str, str]
) -> None:
    secret = proxy.url.replace("//", "//ann:hunter2@")
    proxy.login = "ann:hunter2"
    async with UTDRoom(allow_clear_text=True, proxies=Proxies.of(secret, environment={})) as room:
        ear = Ear(room)
        await room.connect(f"ws://{HOST}", token(party.sfu, "ann"))
        assert set(proxy.asked) == {HOST}
        before = len(proxy.asked)
        assert room.room is not None
        await room.room.simulate_scenario(rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT)
        await ear.wait(ev.Reconnected)
        assert len(proxy.asked) > before
    assert native_environment() == environment


async def test_a_token_goes_in_clear_to_no_other_machine_unless_that_is_allowed(
    party: Party, proxy: HttpProxy
) -> None:
    async with UTDRoom(proxies=Proxies.of(proxy.url, environment={})) as room:
        error = await raises(
            UTDErrorCode.VALIDATION, room.connect(f"ws://{HOST}", token(party.sfu, "ann"))
        )
    assert "allow_clear_text=True" in error.message
    assert not proxy.asked


async def test_the_environments_proxy_holds_when_it_is_trusted(
    party: Party, proxy: HttpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    async with UTDRoom(allow_clear_text=True, proxies=Proxies.of(trust_env=True)) as room:
        await room.connect(f"ws://{HOST}", token(party.sfu, "ann"))
    assert proxy.asked


@pytest.mark.parametrize("status", [403, 407, 503])
@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_a_proxy_that_refuses_is_named_and_not_taken_for_the_server(
    scheme: str, status: int, environment: dict[str, str]
) -> None:
    async with http_proxy() as proxy:
        proxy.status = status
        secret = Proxies.of(proxy.url.replace("//", "//ann:hunter2@"), environment={})
        async with UTDRoom(allow_clear_text=True, proxies=secret) as room:
            joining = room.connect(f"{scheme}://{HOST}", "a.b.c")
            error = await raises(UTDErrorCode.NETWORK, joining)
    assert f"HTTP/1.1 {status}" in error.message
    assert proxy.url.removeprefix("http://") in error.message
    assert "hunter2" not in error.message
    assert native_environment() == environment  # also after a join that failed


async def test_a_proxy_that_is_not_there_is_named() -> None:
    async with UTDRoom(
        allow_clear_text=True, proxies=Proxies.of("http://127.0.0.1:9", environment={})
    ) as room:
        error = await raises(UTDErrorCode.NETWORK, room.connect(f"ws://{HOST}", "a.b.c"))
    assert "127.0.0.1:9" in error.message


async def test_two_ways_at_once_are_refused_and_one_after_the_other_are_not(
    party: Party, proxy: HttpProxy
) -> None:
    direct, _ = await party.join("ann")
    async with UTDRoom(
        allow_clear_text=True, proxies=Proxies.of(proxy.url, environment={})
    ) as room:
        joining = room.connect(f"ws://{HOST}", token(party.sfu, "bob"))
        error = await raises(UTDErrorCode.CONFLICT, joining)
        assert error.reason is ConflictReason.BUSY
        assert proxy.url.removeprefix("http://") in error.message
        await direct.disconnect()
        await room.connect(f"ws://{HOST}", token(party.sfu, "bob"))
        await raises(UTDErrorCode.CONFLICT, direct.reconnect())


def test_each_kind_of_dial_has_a_way_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, "HTTPS_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    first: Any = Joined()
    second: Any = Joined()
    proxy = Proxies.of("http://proxy.test:1", environment={}).tls
    way.take(first, "ws://127.0.0.1:7880", None)
    way.take(second, "wss://media.test", proxy)
    assert native_environment() == {"HTTPS_PROXY": "http://proxy.test:1", "NO_PROXY": "*"}
    way.leave(first)
    way.leave(first)
    assert "HTTPS_PROXY" in native_environment()
    way.leave(second)
    assert native_environment() == {}
