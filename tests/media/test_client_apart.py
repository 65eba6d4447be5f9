"""A client whose rooms live apart has its process from the start to the end, on whichever loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.media.test_house import Street
from tests.rest.engines import reply, scripted_engine
from utd_rx import (
    Microphone,
    UTDErrorCode,
    UTDStreamClient,
    UTDStreamException,
    UTDStreamType,
    open_room,
)
from utd_rx.media.house import house
from utd_rx.media.restoring_room import RestoringRoom
from utd_rx.ports.room import RoomPort
from utd_rx.sessions.signals import Signals
from utd_rx.testing.room import FakeRoom


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def street(monkeypatch: pytest.MonkeyPatch) -> Street:
    """Where everything lives."""
    street = Street()
    place = "utd_rx.media.placed_rooms.place"
    monkeypatch.setattr(place, lambda media, has_device: street.house)
    return street


@pytest.mark.long
def test_it_is_started_with_the_client_before_there_is_a_loop_and_ends_with_it() -> None:
    client = UTDStreamClient("app", "key", media="process")
    process = house().succession.current
    assert process is not None
    pid: int = process.pid

    async def main() -> None:
        session = client.audio_room("ada", "lobby")
        assert isinstance(session.room, RestoringRoom)
        assert house().succession.current is process
        await session.room.disconnect()
        assert is_alive(pid)
        await client.aclose()
        assert is_alive(pid)  # for the session
        await session.aclose()
        assert not is_alive(pid)

    asyncio.run(main())


async def test_a_room_of_the_apps_own_is_where_the_app_makes_it() -> None:
    made: list[RoomPort] = []

    def make() -> RoomPort:
        made.append(FakeRoom("ada"))
        return made[-1]

    client = UTDStreamClient("app", "key", media="process", microphone=Microphone(), make_room=make)
    session = client.audio_room("ada", "lobby")
    assert made == [session.room]
    assert house().succession.current is None
    await session.aclose()
    await client.aclose()


async def test_where_there_can_be_none_a_client_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.frozen", True, raising=False)
    with pytest.raises(UTDStreamException, match="frozen") as refused:
        UTDStreamClient("app", "key", media="process")
    assert refused.value.code is UTDErrorCode.FEATURE_DISABLED


WRONG: list[dict[str, Any]] = [
    {"token": None},
    {"token": "t", "auto_subscribe": "yes"},
    {"token": "t", "encryption": "key"},
    {"token": None, "token_source": 3},
]


@pytest.mark.parametrize("options", WRONG, ids=lambda options: "-".join(options))
async def test_a_room_that_is_refused_holds_no_process(
    street: Street, options: dict[str, Any]
) -> None:
    with pytest.raises(UTDStreamException) as refused:
        async with open_room("wss://x", **options):
            pass
    assert refused.value.code is UTDErrorCode.VALIDATION
    assert all(host.is_closed for host in street.hosts)


MADE: dict[str, Callable[[UTDStreamClient, Any], object]] = {
    "audio room": lambda client, key: client.audio_room("ada", "lobby", encryption=key),
    "live stream": lambda client, key: client.live_stream("ada", "lobby", encryption=key),
    "call": lambda client, key: client.call_session(UTDStreamType.AUDIO_CALL, encryption=key),
}


@pytest.mark.parametrize("kind", MADE)
async def test_a_session_that_is_refused_holds_no_process(street: Street, kind: str) -> None:
    async with scripted_engine() as engine:
        engine.will(reply({"user_token": "bearer", "signaling_enabled": False}))
        url = engine.base_url
        client = UTDStreamClient("app", "key", base_url=url, token_base_url=url)
        await client.authenticate("ada")
        with pytest.raises(UTDStreamException, match="Encryption"):
            MADE[kind](client, "x")
        await client.aclose()
    assert street.hosts[0].is_closed


def test_a_session_without_a_loop_holds_no_process(street: Street) -> None:
    client = UTDStreamClient("app", "key")
    with pytest.raises(UTDStreamException, match="a session needs a running event loop"):
        client.audio_room("ada", "lobby")
    asyncio.run(client.aclose())
    assert street.hosts[0].is_closed


async def test_a_client_whose_closing_is_cancelled_lets_go_of_the_process(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, hangs = UTDStreamClient("app", "key"), asyncio.Event()

    async def hang(signals: Signals) -> None:
        hangs.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(Signals, "hang_up", hang)  # as of an engine that is silent
        closing = asyncio.ensure_future(client.aclose())
        await hangs.wait()
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
    assert street.hosts[0].is_closed
    await client.aclose()
