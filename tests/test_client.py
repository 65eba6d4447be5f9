"""What `UTDStreamClient` promises about joining, and whose time it is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from livekit import rtc

from tests.engine.fakes import FakeMedia
from tests.state.virtual import run
from utd_rx import (
    TestPattern,
    ToneSource,
    UTDErrorCode,
    UTDStreamClient,
    UTDStreamException,
    UTDStreamType,
)
from utd_rx.engine import LocalEngine
from utd_rx.models.connection import UTDConnectionState
from utd_rx.models.token import UTDTokenResponse
from utd_rx.rest.api import UTDApi
from utd_rx.rtc import native
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.room import FakeRoom


class SilentRoom(rtc.Room):
    """LiveKit's room on a server that accepts the connection and says nothing until told to."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.left = asyncio.Event()

    async def connect(self, *_: object) -> None:
        await self.answer

    async def disconnect(self, **_: object) -> None:
        self.left.set()


async def seconds_of_a_join(patch: pytest.MonkeyPatch, *, patience: float | None = None) -> float:
    """Join on a silent media server for at most `patience` seconds; return how long it took."""

    async def mint(*_: object, **__: object) -> UTDTokenResponse:
        return UTDTokenResponse("t", "wss://silent", "lobby", "u")

    room, loop = SilentRoom(), asyncio.get_running_loop()
    patch.setattr(native, "new_room", lambda: room)
    patch.setattr(UTDApi, "mint_token", mint)
    begun = loop.time()
    async with UTDStreamClient("1", "k") as client:
        try:
            async with asyncio.timeout(patience):
                await client.join_audio_room("sami", "lobby")
        except UTDStreamException as error:
            assert error.code is UTDErrorCode.TIMEOUT
        except TimeoutError:
            assert patience is not None
        else:
            raise AssertionError("nobody answered")
        assert client.identity is None
    took = loop.time() - begun
    room.answer.set_result(None)
    await room.left.wait()
    return took


async def test_the_clock_of_a_client_is_that_of_its_sessions_and_of_what_they_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mints: list[str] = []
    mint = UTDApi.mint_token

    async def counted(api: UTDApi, *, identity: str, **options: Any) -> UTDTokenResponse:
        mints.append(identity)
        return await mint(api, identity=identity, **options)

    monkeypatch.setattr(UTDApi, "mint_token", counted)
    clock, room = FakeClock(), FakeRoom("sara")
    async with (
        LocalEngine(media=FakeMedia()) as engine,
        UTDStreamClient(
            engine.app_id,
            engine.app_key,
            base_url=engine.base_url,
            token_base_url=engine.base_url,
            make_room=lambda: room,
            clock=clock,
        ) as client,
        await client.join_audio_room("sara", "friday", as_host=True) as session,
    ):
        assert mints == ["sara"]
        clock.advance(86_400)
        await session.get_seats()
        assert len(mints) > 1, "the bearer ended by this clock"
        room.gate.clear()
        room.lose()
        await session.connected.until(False, timeout=5)
        clock.advance(60)
        assert session.connection_state.value is UTDConnectionState.FORCE_EXIT


async def test_a_live_stream_is_joined_as_who_was_named() -> None:
    async with (
        LocalEngine(media=FakeMedia()) as engine,
        UTDStreamClient(
            engine.app_id,
            engine.app_key,
            base_url=engine.base_url,
            token_base_url=engine.base_url,
            microphone=ToneSource(),
            make_room=lambda: FakeRoom("sara"),
        ) as client,
    ):
        session = client.live_stream("sara", "show", as_host=True, name="Sara")
        assert (session.type, session.identity, session.room_name) == (
            UTDStreamType.LIVE_STREAM, "sara", "show",
        )  # fmt: skip
        assert session.microphone_source == ToneSource()
        identities = [client.identity]
        await session.join()
        identities.append(client.identity)
        assert (session.is_host, identities) == (True, [None, "sara"])
        await session.aclose()
        async with await client.join_live_stream("mona", "show", as_host=True) as claimant:
            assert not claimant.is_host


@pytest.mark.parametrize(
    "wrong",
    [{"camera": ToneSource()}, {"screen": "x11"}, {"microphone": TestPattern()}, {"as_host": 1}],
)
async def test_what_is_no_source_is_refused_where_it_is_given(wrong: dict[str, Any]) -> None:
    async with UTDStreamClient("1", "k") as client:
        with pytest.raises(UTDStreamException) as raised:
            client.live_stream("sara", "show", **wrong)
        assert raised.value.code is UTDErrorCode.VALIDATION


def test_a_silent_media_server_costs_what_the_docstring_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run(seconds_of_a_join(monkeypatch)) == 15 + 5


def test_cancelling_a_join_on_a_silent_media_server_takes_5_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run(seconds_of_a_join(monkeypatch, patience=1)) == 1 + 5
