"""What holds for every command and every stream of a session, whichever it is."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from tests.sessions.stage import Stage
from tests.sessions.watching import STREAMS, settle
from utd_rx.audio import ToneSource
from utd_rx.audio.speaker import Speaker
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFrame
from utd_rx.models.connection import UTDConnectionState
from utd_rx.models.events import ParticipantConnected
from utd_rx.models.participant import RemoteParticipant, TrackPublication, TrackSource
from utd_rx.models.role import UTDRole
from utd_rx.protocol.facts.people import AskBan
from utd_rx.protocol.kinds import AUDIO_ROOM
from utd_rx.sessions.audio_room import UTDAudioRoomSession
from utd_rx.sessions.playback import play
from utd_rx.sessions.runner import Runner
from utd_rx.sessions.view import Stream
from utd_rx.sessions.views import AudioRoomView
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.room import FakeRoom

ARGUMENTS: dict[str, object] = {
    "index": 0, "identity": "ana", "request_id": 1, "invitation_id": 1, "enabled": True,
    "locked": True, "role": UTDRole.ADMIN, "data": b"x", "to": ToneSource(),
    "attributes": {"mood": "good"}, "metadata": "x", "name": "Ana", "source": TrackSource.CAMERA,
    "method": "m", "text": "hi", "key": "k",
}  # fmt: skip
COMMANDS = sorted(
    name
    for name, method in inspect.getmembers(UTDAudioRoomSession, inspect.iscoroutinefunction)
    if not name.startswith("_") and name != "aclose"
)


LOCAL = ("set_key", "ratchet_key")
"""Commands that ask nobody and hold before a join, too; their identity may be None."""


def call(session: UTDAudioRoomSession, name: str, **given: object) -> Awaitable[Any]:
    """Call a command with something for each argument that it must have."""
    method: Callable[..., Awaitable[Any]] = getattr(session, name)
    needed = [
        parameter.name
        for parameter in inspect.signature(method).parameters.values()
        if parameter.default is inspect.Parameter.empty
    ]
    somebody = {"to": "ana"} if "method" in needed else {}
    return method(**{name: ARGUMENTS[name] for name in needed} | somebody | given)


def test_there_are_commands() -> None:
    assert {"join", "leave", "send_data", "take_seat", "get_seats", "kick"} <= set(COMMANDS)


@pytest.mark.parametrize("name", [*COMMANDS, "aclose", "chat.send"])
async def test_from_another_loop_every_command_is_refused_and_does_nothing(
    joined: Stage, name: str
) -> None:
    before, asked = joined.session.state.value, list(joined.engine.asked)

    async def elsewhere() -> None:
        match name:
            case "aclose":
                await joined.session.aclose()
            case "chat.send":
                await joined.session.chat.send("hi")
            case _:
                await call(joined.session, name)

    with pytest.raises(UTDStreamException) as raised:
        await asyncio.to_thread(asyncio.run, elsewhere())
    assert (raised.value.code, raised.value.reason) == (
        UTDErrorCode.CONFLICT,
        ConflictReason.FOREIGN_LOOP,
    )
    await settle()
    assert joined.session.state.value is before
    assert (joined.engine.asked, joined.room.sent) == (asked, [])


@pytest.mark.parametrize("name", [*COMMANDS, "chat.send"])
async def test_after_closing_every_command_says_that_it_is_closed(joined: Stage, name: str) -> None:
    await joined.session.aclose()
    with pytest.raises(UTDStreamException) as raised:
        await (
            joined.session.chat.send("hi") if name == "chat.send" else call(joined.session, name)
        )
    assert raised.value.reason is ConflictReason.CLOSED


@pytest.mark.parametrize(
    "name", [name for name in COMMANDS if name not in ("join", "leave", *LOCAL)]
)
async def test_before_joining_every_command_says_so_and_asks_nobody(
    stage: Stage, name: str
) -> None:
    with pytest.raises(UTDStreamException) as raised:
        await call(stage.session, name)
    assert raised.value.reason is ConflictReason.NOT_JOINED
    assert stage.engine.asked == []


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        (name, argument)
        for name in COMMANDS
        for argument, one in inspect.signature(
            getattr(UTDAudioRoomSession, name)
        ).parameters.items()
        if (argument == "identity" and name not in LOCAL) or one.annotation == "bool"
    ],
)
async def test_an_identity_or_a_flag_that_is_none_is_refused_and_asks_nobody(
    joined: Stage, name: str, wrong: str
) -> None:
    """As `mute(audio="yes")` and `ban(["bob"])`, which ended deep inside."""
    asked = len(joined.engine.asked)
    for value in (["bob"], None, 1, "") if wrong == "identity" else ("no", None, 1):
        with pytest.raises(UTDStreamException, match=wrong) as caught:
            await call(joined.session, name, **{wrong: value})
        assert caught.value.code is UTDErrorCode.VALIDATION
    assert len(joined.engine.asked) == asked


async def test_what_was_known_stays_readable_after_closing(joined: Stage) -> None:
    session = joined.session
    joined.room.emit(
        ParticipantConnected(RemoteParticipant("ana", metadata='{"role":"admin"}')),
    )
    joined.engine.seat(2, "ana")
    await session.take_seat(0)
    await session.chat.send("hello")
    kept = ("seats", "my_seat", "roles", "remote_participants", "chat_history")
    before = {name: getattr(session, name).value for name in kept}
    ends: list[str] = []
    session.seats.subscribe(on_completed=lambda: ends.append("seats"))
    await session.aclose()
    assert {name: getattr(session, name).value for name in kept} == before
    assert ends == ["seats"]
    assert session.connection_state.value is UTDConnectionState.DISCONNECTED
    assert (session.connected.value, session.can_publish.value) == (False, False)
    assert not session.microphone_enabled.value


async def test_a_command_that_waits_ends_when_the_session_closes(joined: Stage) -> None:
    joined.engine.grants = False
    taking = asyncio.ensure_future(joined.session.take_seat(1))
    await settle()
    await joined.session.aclose()
    with pytest.raises(UTDStreamException) as raised:
        await taking
    assert raised.value.reason in (ConflictReason.LEFT, ConflictReason.CLOSED)


async def test_a_cancelled_command_leaves_no_wait_behind(joined: Stage) -> None:
    joined.engine.grants = False
    taking = asyncio.ensure_future(joined.session.take_seat(1))
    await settle()
    assert joined.session.state.value.waits
    taking.cancel()
    await asyncio.wait([taking])
    assert joined.session.state.value.waits == ()
    assert joined.session.state.value.seating is None


async def test_every_stream_is_declared_with_what_it_means() -> None:
    declared = [
        name for name in dir(AudioRoomView) if isinstance(getattr(AudioRoomView, name), Stream)
    ]
    assert set(STREAMS) <= set(declared)
    for name in declared:
        assert (getattr(AudioRoomView, name).__doc__ or "").strip()


async def test_a_session_shows_its_streams_to_those_who_look(stage: Stage) -> None:
    assert set(STREAMS) <= set(dir(stage.session))
    assert stage.session.seats is stage.session.seats


async def test_an_effect_without_a_handler_is_noticed_when_the_session_is_made() -> None:
    begun = AUDIO_ROOM.begin("me", False)
    runner = Runner(AUDIO_ROOM, begun, lambda: "room", room=FakeRoom("me"), clock=FakeClock())
    with pytest.raises(TypeError, match="AskPlace"):
        runner.start({AskBan: lambda effect: asyncio.sleep(0)})
    await runner.aclose()


async def test_from_another_thread_one_hears_and_stops_hearing_on_the_session_s_loop(
    joined: Stage,
) -> None:
    voice = TrackPublication("TR_ana", source=TrackSource.MICROPHONE, is_subscribed=True)
    joined.room.emit(ParticipantConnected(RemoteParticipant("ana", tracks=(voice,))))
    await settle()
    heard: list[int] = []
    sound = joined.session.audio("ana")
    observing = await asyncio.to_thread(
        sound.subscribe, lambda frame: heard.append(threading.get_ident())
    )
    await settle()
    frame = AudioFrame(np.zeros((480, 1), np.int16), 48_000)
    joined.room.play("TR_ana", frame)
    assert heard == [threading.get_ident()]
    await asyncio.to_thread(observing.dispose)
    await settle()
    joined.room.play("TR_ana", frame)
    assert len(heard) == 1


async def test_playing_is_owned_by_the_loop_it_was_begun_on(joined: Stage) -> None:
    speaker = Speaker()
    async with play(joined.session, speaker) as playback:

        async def elsewhere() -> None:
            for command in (
                lambda: playback.set_gain("ana", 1.0),
                lambda: play(joined.session, speaker),
            ):
                with pytest.raises(UTDStreamException) as raised:
                    command()
                assert raised.value.reason is ConflictReason.FOREIGN_LOOP
            with pytest.raises(UTDStreamException) as raised:
                await playback.aclose()
            assert raised.value.reason is ConflictReason.FOREIGN_LOOP

        await asyncio.to_thread(asyncio.run, elsewhere())
    await speaker.aclose()
