"""A session in a plain room: what every session has, and nothing that asks an engine."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from tests.sessions.watching import settle
from utd_rx.audio import ToneSource
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.connection import DisconnectReason, UTDConnectionState
from utd_rx.models.events import (
    DataReceived,
    Disconnected,
    ParticipantConnected,
    RoomEvent,
    RoomMetadataChanged,
    RoomMoved,
    RoomSnapshot,
    RoomUpdated,
    TrackPublished,
)
from utd_rx.models.participant import RemoteParticipant, TrackPublication, TrackSource
from utd_rx.models.room import RoomInfo
from utd_rx.sessions.recording import record
from utd_rx.sessions.replay import Replay, replay
from utd_rx.sessions.room import PlainPass, RoomSession
from utd_rx.sessions.views import RoomView
from utd_rx.testing import run_virtual
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.room import FakeRoom

URL = "wss://sfu.example"
BANNED, UNKNOWN, VALIDATION = (
    UTDErrorCode.BANNED,
    UTDErrorCode.UNKNOWN,
    UTDErrorCode.VALIDATION,
)


def jwt(**claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"head.{body}.signature"


TOKEN = jwt(sub="me", video={"room": "lobby"})


@pytest.fixture
async def fake() -> FakeRoom:
    fake = FakeRoom("me")
    fake.grant(can_publish=True, can_update_metadata=True)
    fake.flush()
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


async def test_a_source_of_tokens_that_fails_says_why(fake: FakeRoom) -> None:
    failures: list[tuple[Any, UTDErrorCode, str]] = [
        (KeyError("s3cr3t"), UNKNOWN, "KeyError"),
        (UTDStreamException("no", code=BANNED), BANNED, "no"),
        (5, VALIDATION, "a token is"),
        (asyncio.CancelledError("s3cr3t"), UNKNOWN, "failed"),
    ]
    again = iter(failures)

    async def source() -> Any:
        failure, *_ = next(again)
        if isinstance(failure, BaseException):
            raise failure
        return failure

    async with RoomSession(URL, token_source=source, room=fake) as session:
        for _, code, words in failures:
            with pytest.raises(UTDStreamException, match=words) as caught:
                await session.join()
            assert caught.value.code is code
            assert "s3cr3t" not in str(session.failure.value)


async def test_a_source_of_tokens_that_cancels_its_task_in_an_outage_is_asked_again(
    fake: FakeRoom,
) -> None:
    clock, asked = FakeClock(), 0

    async def source() -> str:
        nonlocal asked
        asked += 1
        if asked == 2 and (me := asyncio.current_task()) is not None:
            me.cancel()
        return TOKEN

    async with RoomSession(URL, token_source=source, room=fake, clock=clock) as session:
        await session.join()
        fake.lose()
        await session.connected.until(False, timeout=5)
        for _ in range(5):
            await settle()
            clock.advance(5.0)
        await session.connected.until(True, timeout=5)
    assert asked == 3


async def test_a_source_of_tokens_that_is_not_async_is_refused_with_how_to_make_it_so(
    fake: FakeRoom,
) -> None:
    source: Any = lambda: TOKEN  # noqa: E731 - what is tested
    async with RoomSession(URL, token_source=source, room=fake) as session:
        with pytest.raises(UTDStreamException, match="async def") as caught:
            await session.join()
    assert caught.value.code is VALIDATION
    token: Any = asyncio.sleep(0, TOKEN)
    with pytest.raises(UTDStreamException, match="the function itself, not coroutine") as caught:
        RoomSession(URL, token_source=token, room=fake)
    assert caught.value.code is VALIDATION
    token.close()


async def test_a_source_of_tokens_that_hangs_is_given_up() -> None:
    async def main() -> None:
        async with RoomSession(URL, token_source=forever, room=FakeRoom("me")) as session:
            with pytest.raises(UTDStreamException, match="within 30 s") as caught:
                await session.join()
            assert caught.value.code is UTDErrorCode.TIMEOUT

    async def forever() -> str:
        await asyncio.get_running_loop().create_future()
        return TOKEN

    await asyncio.to_thread(run_virtual, main())


def test_what_a_room_is_joined_with_does_not_show_its_token() -> None:
    joined_with = PlainPass(URL, TOKEN)
    assert joined_with.token == TOKEN
    assert TOKEN not in repr(joined_with)
    assert URL in str(joined_with)


async def maybe(who: RemoteParticipant, track: TrackPublication) -> bool:
    return False


@pytest.mark.parametrize(
    ("url", "given"),
    [
        (URL, {}),
        (URL, {"token": TOKEN, "token_source": TOKEN}),
        ("", {"token": TOKEN}),
        (URL, {"token": "has spaces"}),
        (URL, {"token": b"bytes"}),
        (URL, {"token": TOKEN, "auto_subscribe": "yes"}),
        (URL, {"token": TOKEN, "auto_subscribe": maybe}),
        (URL, {"token_source": 5}),
    ],
)
async def test_what_cannot_be_joined_with_is_refused(
    fake: FakeRoom, url: str, given: dict[str, Any]
) -> None:
    with pytest.raises(UTDStreamException) as caught:
        RoomSession(url, room=fake, **given)
    assert caught.value.code is UTDErrorCode.VALIDATION


async def test_what_one_says_of_oneself_is_state_when_the_command_returns(
    room: RoomSession,
) -> None:
    await room.join()
    mood = room.attribute("mood", "me")
    await room.set_attributes({"mood": "good", "old": "x"})
    await room.set_attributes({"old": ""})
    await room.set_metadata("meta")
    await room.set_name("Me")
    me = room.local_participant
    assert me is not None
    assert (me.name, me.metadata, dict(me.attributes)) == ("Me", "meta", {"mood": "good"})
    assert (mood.value, room.attribute("mood", "nobody").value) == ("good", None)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("set_name", ""),
        ("set_name", "ä" * 129),
        ("set_name", None),
        ("set_metadata", "x" * (512 * 1024 + 1)),
        ("set_metadata", b"x"),
        ("set_attributes", {"k": "x" * (64 * 1024)}),
        ("set_attributes", {"": "x"}),
        ("set_attributes", {"k": 1}),
        ("set_attributes", ["k"]),
    ],
)
async def test_what_livekit_would_not_take_is_refused_by_name(
    room: RoomSession, command: str, said: object
) -> None:
    await room.join()
    with pytest.raises(UTDStreamException) as caught:
        await getattr(room, command)(said)
    assert caught.value.code is UTDErrorCode.VALIDATION


async def test_without_the_grant_nothing_can_be_said_of_oneself(
    room: RoomSession, fake: FakeRoom
) -> None:
    fake.grant(can_publish=True)
    await room.join()
    with pytest.raises(UTDStreamException, match="canUpdateOwnMetadata") as caught:
        await room.set_name("Me")
    assert caught.value.code is UTDErrorCode.FORBIDDEN


def speaking(identity: str) -> tuple[RoomEvent, ...]:
    track = TrackPublication(f"TR_{identity}", source=TrackSource.MICROPHONE)
    come = ParticipantConnected(RemoteParticipant(identity))
    return come, TrackPublished(identity, track)


def heard(session: RoomSession) -> list[str]:
    return [
        who.identity
        for who in session.remote_participants.value
        for track in who.tracks
        if track.is_subscribed
    ]


async def test_nothing_is_received_but_what_is_asked_for(fake: FakeRoom) -> None:
    async with RoomSession(URL, TOKEN, room=fake, auto_subscribe=False) as session:
        await session.join()
        fake.emit(*speaking("ana"), *speaking("ben"))
        await session.subscribe("ana", TrackSource.MICROPHONE)
        await session.subscribe("cy", TrackSource.MICROPHONE)
        fake.emit(*speaking("cy"))
        await settle()
        assert heard(session) == ["ana", "cy"]
        await session.unsubscribe("ana", TrackSource.MICROPHONE)
        assert heard(session) == ["cy"]


async def test_a_function_chooses_what_is_received_and_may_fail(
    fake: FakeRoom, caplog: pytest.LogCaptureFixture
) -> None:
    def choose(who: RemoteParticipant, track: TrackPublication) -> bool:
        if who.identity == "eve":
            raise RuntimeError("no idea")
        if who.identity == "may":
            return maybe(who, track)  # type: ignore[return-value] # as an app without a checker
        return who.identity == "ana" and track.source is TrackSource.MICROPHONE

    async with RoomSession(URL, TOKEN, room=fake, auto_subscribe=choose) as session:
        await session.join()
        fake.emit(*speaking("eve"), *speaking("ana"), *speaking("may"), *speaking("ben"))
        await settle()
        assert heard(session) == ["ana"]
        assert "auto_subscribe, which then receives nothing, raised: RuntimeError" in caplog.text
        assert "the answer of auto_subscribe is not awaited" in caplog.text
        await session.subscribe("ben", TrackSource.MICROPHONE)
        assert heard(session) == ["ana", "ben"]


async def test_who_may_not_receive_is_told_at_once(room: RoomSession, fake: FakeRoom) -> None:
    local = fake.snapshot.local
    deaf = evolve(local.permission, can_subscribe=False)
    fake.snapshot = evolve(fake.snapshot, local=evolve(local, permission=deaf))
    await room.join()
    with pytest.raises(UTDStreamException, match="canSubscribe") as caught:
        await room.subscribe("ana", TrackSource.MICROPHONE)
    assert caught.value.code is UTDErrorCode.FORBIDDEN


async def test_the_room_is_told_and_where_one_was_moved(room: RoomSession, fake: FakeRoom) -> None:
    fake.snapshot = evolve(fake.snapshot, name="lobby", metadata="m")
    await room.join()
    fake.emit(*speaking("ana"), RoomUpdated("", "RM_1"), RoomMetadataChanged("n"))
    await settle()
    assert room.room_info.value == RoomInfo("lobby", "RM_1", "n")
    ben = RemoteParticipant("ben")
    fake.emit(RoomMoved(RoomSnapshot("stage", fake.snapshot.local, sid="RM_2", remotes=(ben,))))
    await settle()
    assert (room.room_name, room.room_info.value) == ("stage", RoomInfo("stage", "RM_2"))
    assert [who.identity for who in room.remote_participants.value] == ["ben"]
    assert room.connected.value


async def test_it_is_recorded_and_replayed(
    room: RoomSession, fake: FakeRoom, tmp_path: Path
) -> None:
    path = tmp_path / "room.jsonl"
    async with record(room, path):
        await room.join()
        fake.emit(*speaking("ana"), RoomMetadataChanged("s3cr3t"))
        await room.set_metadata('{"role": "host", "s": "s3cr3t"}')
        await room.set_attributes({"mood": "good"})
    again = replay(path, Replay)
    assert isinstance(again, RoomView)
    while again.step():
        pass
    assert (again.room_name, again.identity) == ("room", "me")
    assert [who.identity for who in again.remote_participants.value] == ["ana"]
    assert again.attribute("mood", "me").value == "good"
    assert again.state.value.waits == ()
    assert "s3cr3t" not in path.read_text()
