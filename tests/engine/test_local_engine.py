"""Starting and ending: options, secrets, ports, and that nothing is left."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from attrs import evolve

from tests.engine.fakes import FakeMedia
from tests.support.sfu import SfuKind, free_port
from utd_rx.engine import EngineOptions, LocalEngine
from utd_rx.engine.options import make_secrets
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException


def test_secrets_are_made_per_run_and_in_the_engines_shape() -> None:
    one, two = make_secrets(EngineOptions()), make_secrets(EngineOptions())
    assert one.app_id.isdigit()
    assert len(one.app_id) == 10
    assert len(one.app_key) == len(one.app_secret) == 32
    assert int(one.app_key, 16) >= 0
    for name in ("app_key", "app_secret", "livekit_api_secret", "user_token_key"):
        assert getattr(one, name) != getattr(two, name)
        assert getattr(one, name) not in repr(one)


def test_given_secrets_are_kept() -> None:
    found = make_secrets(EngineOptions(app_id="1234567890", app_key="k", app_secret="s"))
    assert (found.app_id, found.app_key, found.app_secret) == ("1234567890", "k", "s")


@pytest.mark.parametrize(
    "change",
    [
        {"sfu": "other"},
        {"livekit_url": "ws://x"},
        {"sfu": "livekit", "livekit_url": "ws://x"},
        {"livekit_url": "ws://x", "livekit_api_key": "k", "livekit_api_secret": "s"},
        {
            "sfu": "livekit",
            "livekit_url": "x:7880",
            "livekit_api_key": "k",
            "livekit_api_secret": "s",
        },
        {"livekit_api_key": "k"},
        {
            "sfu": "livekit",
            "livekit_url": "ws://x",
            "livekit_api_key": "k",
            "livekit_api_secret": "s",
            "sfu_port": 7880,
        },
        {"rate_limit": 0},
        {"app_key": ""},
    ],
)
def test_options_that_make_no_sense_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UTDStreamException) as caught:
        evolve(EngineOptions(), **change)
    assert caught.value.code is UTDErrorCode.VALIDATION


async def test_it_listens_on_loopback_only_and_closes_twice() -> None:
    media = FakeMedia()
    engine = LocalEngine(media=media)
    await engine.start()
    assert engine.base_url == engine.token_base_url
    assert engine.base_url.startswith("http://127.0.0.1:")
    await asyncio.gather(engine.aclose(), engine.aclose())
    await engine.aclose()
    assert media.is_closed
    port = int(engine.base_url.rpartition(":")[2])
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port)).close()


async def test_it_starts_once() -> None:
    async with LocalEngine(media=FakeMedia()) as engine:
        with pytest.raises(UTDStreamException) as caught:
            await engine.start()
        assert caught.value.code is UTDErrorCode.CONFLICT


async def test_before_the_start_it_has_no_address_and_closing_is_nothing() -> None:
    engine = LocalEngine(media=FakeMedia())
    with pytest.raises(UTDStreamException):
        _ = engine.base_url
    await engine.aclose()
    assert "not running" in repr(engine)


async def test_a_taken_port_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        engine = LocalEngine(EngineOptions(port=port), media=FakeMedia())
        with pytest.raises(UTDStreamException, match=str(port)) as caught:
            await engine.start()
    assert caught.value.code is UTDErrorCode.CONFLICT


async def test_an_external_server_is_neither_started_nor_stopped() -> None:
    options = EngineOptions(
        sfu="livekit",
        livekit_url="wss://media.example.com/",
        livekit_api_key="key",
        livekit_api_secret="s" * 32,
    )
    async with LocalEngine(options) as engine:
        assert engine.livekit_url == "wss://media.example.com"
        assert engine.livekit_api_url == "https://media.example.com"
        assert engine.livekit_api_key == "key"


async def test_the_media_server_is_where_it_was_told_to_be(sfu_kind: SfuKind) -> None:
    port = free_port()
    options = EngineOptions(
        sfu=sfu_kind, sfu_port=port, livekit_api_key="key", livekit_api_secret="s" * 32
    )
    async with LocalEngine(options) as engine:
        assert engine.livekit_url == f"ws://127.0.0.1:{port}"
        assert (engine.livekit_api_key, engine.livekit_api_secret) == ("key", "s" * 32)
        with socket.socket(type=socket.SOCK_DGRAM) as udp, pytest.raises(OSError):
            udp.bind(("127.0.0.1", port))
        with pytest.raises(UTDStreamException) as caught:
            await LocalEngine(options).start()
        assert (caught.value.code, caught.value.reason) == (
            UTDErrorCode.CONFLICT,
            ConflictReason.BUSY,
        )


async def test_a_name_of_loopback_will_do() -> None:
    async with LocalEngine(EngineOptions(host="localhost")) as engine:
        assert engine.base_url.startswith("http://127.0.0.1:")
        assert engine.livekit_url.startswith("ws://127.0.0.1:")


async def test_a_media_server_that_cannot_start_leaves_nothing() -> None:
    engine = LocalEngine(EngineOptions(host="::1"))
    with pytest.raises(UTDStreamException, match="media server") as caught:
        await engine.start()
    assert caught.value.code is UTDErrorCode.CONFLICT
    await engine.aclose()


async def test_cancelling_the_start_leaves_nothing(sfu_kind: SfuKind) -> None:
    starting = asyncio.ensure_future(LocalEngine(EngineOptions(sfu=sfu_kind)).start())
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
