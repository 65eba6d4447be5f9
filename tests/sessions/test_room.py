"""A session in a plain room: what every session has, and nothing that asks an engine."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator

import pytest

from tests.sessions.watching import settle
from utd_rx.audio import ToneSource
from utd_rx.errors import ConflictReason
from utd_rx.models.connection import DisconnectReason, UTDConnectionState
from utd_rx.models.events import DataReceived, Disconnected, ParticipantConnected
from utd_rx.models.participant import RemoteParticipant
from utd_rx.sessions.room import RoomSession
from utd_rx.testing.room import FakeRoom

URL = "wss://sfu.example"


def jwt(**claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"head.{body}.signature"


TOKEN = jwt(sub="me", video={"room": "lobby"})


@pytest.fixture
async def fake() -> FakeRoom:
    fake = FakeRoom("me")
    fake.grant(can_publish=True)
    return fake


@pytest.fixture
async def room(fake: FakeRoom) -> AsyncIterator[RoomSession]:
    async with RoomSession(URL, TOKEN, room=fake, microphone=ToneSource()) as session:
        yield session


async def test_before_it_joins_its_token_says_who_and_where(room: RoomSession) -> None:
    assert (room.identity, room.room_name) == ("me", "lobby")
    assert room.connection_state.value is UTDConnectionState.DISCONNECTED


async def test_it_joins_speaks_and_leaves(room: RoomSession) -> None:
    await room.join()
    await room.set_microphone(True)
    assert (room.connected.value, room.microphone_enabled.value) == (True, True)
    await room.leave()
    assert room.connection_state.value is UTDConnectionState.DISCONNECTED


async def test_data_of_any_type_is_the_apps_and_chat_is_chat(
    room: RoomSession, fake: FakeRoom
) -> None:
    await room.join()
    fake.emit(ParticipantConnected(RemoteParticipant("ana")))
    told: list[bytes] = []
    room.data.subscribe(lambda message: told.append(message.payload))
    fake.emit(DataReceived(b'{"type": "_seat_update"}', "ana"))
    await room.chat.send("hello")
    await settle()
    assert told == [b'{"type": "_seat_update"}']
    assert [message.text for message in room.chat_history.value] == ["hello"]


async def test_what_only_an_engine_can_do_is_not_there(room: RoomSession) -> None:
    assert not {"kick", "ban", "mute", "bans", "roles", "chat_locked", "is_host"} & set(dir(room))


async def test_whoever_takes_its_identity_keeps_the_place(
    room: RoomSession, fake: FakeRoom
) -> None:
    await room.join()
    fake.emit(Disconnected(DisconnectReason.DUPLICATE_IDENTITY))
    await settle()
    assert room.connection_state.value is UTDConnectionState.DISCONNECTED
    assert room.failure.value is not None
    assert room.failure.value.reason is ConflictReason.REPLACED


async def test_a_source_of_tokens_is_asked_for_each_join_and_each_time_it_comes_back(
    fake: FakeRoom,
) -> None:
    asked: list[str] = []

    async def source() -> str:
        asked.append(f"token-{len(asked)}")
        return asked[-1]

    async with RoomSession(URL, token_source=source, room=fake) as session:
        await session.join()
        fake.lose()
        await session.connected.until(False, timeout=5)
        await session.connected.until(True, timeout=5)
        await session.leave()
        await session.join()
    assert asked == ["token-0", "token-1", "token-2"]
