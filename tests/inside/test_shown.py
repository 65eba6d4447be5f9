"""Who looks at a session in a shell or a notebook sees what it is, and no secret."""

from __future__ import annotations

import copy
import pickle
import pydoc
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.agent.stage import KEY, AgentStage
from tests.sessions.call_stage import CallStage
from tests.sessions.live_stage import LiveStage
from tests.sessions.stage import Stage
from utd_rx import (
    AtomsAgentSession,
    AudioFrame,
    Microphone,
    Speaker,
    UTDAudioRoomSession,
    UTDCall,
    UTDCallSession,
    UTDCallStatus,
    UTDErrorCode,
    UTDLiveStreamSession,
    UTDRoom,
    UTDSeat,
    UTDSeatGrid,
    UTDStageMember,
    UTDStreamClient,
    UTDStreamException,
    UTDStreamType,
    VideoFrame,
    WavRecorder,
    level_dbfs,
    play,
    record,
)
from utd_rx.errors import ConflictReason, classify_response, conflict
from utd_rx.models import html
from utd_rx.sessions.view import Stream, View
from utd_rx.state.events import EventStream
from utd_rx.testing import FakeWorld, run_virtual

PLAIN: Any = vars(pydoc)["plaintext"]
EVIL = "<script>alert(1)</script>"


@pytest.fixture
async def live() -> AsyncIterator[UTDLiveStreamSession]:
    async with LiveStage(is_host=True).session as session:
        await session.join()
        yield session


@pytest.fixture
async def agent() -> AsyncIterator[AtomsAgentSession]:
    async with AgentStage().session as session:
        yield session


@pytest.mark.parametrize(
    "kind", [UTDAudioRoomSession, UTDLiveStreamSession, UTDCallSession, AtomsAgentSession]
)
def test_help_tells_every_stream_and_what_it_means(kind: type[View[Any]]) -> None:
    told = " ".join(pydoc.render_doc(kind, renderer=PLAIN).replace("|", " ").split())
    streams = {name: getattr(kind, name) for name in dir(kind)}
    docs = {name: one.__doc__ for name, one in streams.items() if isinstance(one, Stream)}
    assert len(docs) > 9
    assert [name for name, doc in docs.items() if f"{name} {doc}" not in told] == []


def test_a_stream_is_not_to_be_written() -> None:
    assert isinstance(UTDAudioRoomSession.seats, property)
    with pytest.raises(AttributeError):
        object.__new__(UTDAudioRoomSession).seats = None


async def test_sessions_say_where_they_are_as_whom_and_how_that_stands(
    joined: Stage, live: UTDLiveStreamSession, agent: AtomsAgentSession
) -> None:
    session = joined.session
    assert repr(session) == "<UTDAudioRoomSession 'room' as 'me', connected>"
    assert repr(live) == "<UTDLiveStreamSession 'room' as 'me', connected>"
    assert repr(agent) == f"<AtomsAgentSession {agent.agent_id!r}, idle>"
    assert repr(session.chat) == "<RoomChat of 'room', 0 messages>"
    async with CallStage().session as call:
        assert repr(call) == "<UTDCallSession as 'me', no call>"
    assert repr(call) == "<UTDCallSession as 'me', no call, closed>"
    assert repr(session.my_seat) == "<StateSubject 'my_seat': None, 0 observers>"
    await session.aclose()
    assert repr(session) == "<UTDAudioRoomSession 'room' as 'me', closed>"


async def test_recorders_say_what_they_write(joined: Stage, tmp_path: Path) -> None:
    frame = AudioFrame(np.zeros((480, 1), np.int16), 48_000)
    with WavRecorder(tmp_path / "heard.wav") as wav:
        assert repr(wav) == "<WavRecorder 'heard.wav', 0.0 s, open>"
        wav.write(frame)
    assert repr(wav) == "<WavRecorder 'heard.wav', 0.0 s, closed>"
    async with record(joined.session, tmp_path / "room.jsonl") as recording:
        assert repr(recording) == "<Recording 'room.jsonl', under way>"
    assert repr(recording) == "<Recording 'room.jsonl', stopped>"


def test_devices_rooms_and_worlds_say_how_they_stand() -> None:
    async def main() -> None:
        async with FakeWorld.on_loop() as world:
            assert repr(world) == "<FakeWorld after 0 s: nobody>"
            microphone = Microphone(backend=world.audio)
            assert repr(microphone) == "<Microphone not open>"
            host = await world.join_audio_room("host", host=True, microphone=microphone)
            await host.take_seat(0)
            microphone.mute()
            assert repr(microphone) == "<Microphone 'first', muted>"
            ben = await world.join_audio_room("ben")
            async with Speaker(backend=world.audio) as speaker, play(ben, speaker) as playback:
                assert repr(playback) == "<Playback of nobody>"
                await world.settle()
                assert repr(playback) == "<Playback of host>"
                assert repr(speaker) == "<Speaker 'first'>"
            assert repr(speaker) == "<Speaker closed>"
            await world.advance(61)
            assert repr(world) == "<FakeWorld after 61 s: host, ben>"

    run_virtual(main())
    assert repr(UTDRoom()) == "<UTDRoom not connected>"
    events: EventStream[int] = EventStream()
    assert repr(events) == "<EventStream, 0 observers>"
    events.close()
    assert repr(events) == "<EventStream, over>"


def test_frames_say_their_shape_and_how_loud_they_are() -> None:
    samples = (9_000 * np.sin(np.arange(960) / 7)).astype(np.int16).reshape(480, 2)
    loud = f"{level_dbfs(samples):.1f}"
    assert repr(AudioFrame(samples, 48_000)) == f"<AudioFrame (480, 2) at 48000 Hz, {loud} dBFS>"
    assert repr(AudioFrame(np.zeros((480, 1), np.int16), 48_000)).endswith("Hz, silent>")
    assert repr(AudioFrame(np.zeros((0, 1), np.int16), 48_000)).endswith("Hz, silent>")
    assert repr(VideoFrame(np.zeros((32, 64, 3), np.uint8))) == "<VideoFrame (32, 64, 3)>"
    turned = VideoFrame(np.zeros((32, 64, 3), np.uint8), rotation=90)
    assert repr(turned) == "<VideoFrame (32, 64, 3), turned by 90°>"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (conflict(ConflictReason.NOT_JOINED, "join first"), "CONFLICT, not joined: join first"),
        (
            UTDStreamException("slow", code=UTDErrorCode.RATE_LIMITED, retry_after=2.0),
            "RATE_LIMITED: slow (try again in 2 s)",
        ),
        (
            UTDStreamException("you sit on seat 2", code=UTDErrorCode.CONFLICT, status_code=409),
            "CONFLICT: you sit on seat 2 (the session's streams show how things stand)",
        ),
        (UTDStreamException("no host", code=UTDErrorCode.NETWORK), "NETWORK: no host"),
    ],
)
def test_an_error_says_its_code_and_what_to_do(error: UTDStreamException, told: str) -> None:
    assert str(error) == told


@pytest.mark.parametrize("status", [401, 403, 404, 409, 429, 500])
def test_whatever_a_server_refuses_there_is_something_to_do(status: int) -> None:
    code = classify_response(status, "no")
    told = str(UTDStreamException("no", code=code, status_code=status))
    assert re.fullmatch(rf"{code.name}: no \(.+\)", told)


async def test_a_notebook_shows_grid_stage_call_and_session(
    joined: Stage, live: UTDLiveStreamSession, agent: AtomsAgentSession
) -> None:
    await joined.session.take_seat(1)
    shown = joined.session._repr_html_()
    grid = joined.session.seats._repr_html_()
    assert "<td>1</td><td>me</td>" in (grid or "")
    assert grid == joined.session.seats.value._repr_html_()
    assert (grid or "") in shown
    assert "as &#x27;me&#x27;, connected" in shown
    assert "<td>stage</td><td>me · Me · host</td>" in live._repr_html_()
    assert live.stage._repr_html_() == "me · Me · host"
    assert "<td>status</td><td>idle</td>" in agent._repr_html_()
    async with CallStage().session as session:
        assert "<td>call</td><td>—</td>" in session._repr_html_()


def test_what_others_wrote_is_shown_and_not_obeyed() -> None:
    grid = UTDSeatGrid((UTDSeat(0, EVIL, reserved_for=EVIL), UTDSeat(1, None, is_locked=True)))
    call = UTDCall(
        "c", UTDCallStatus.ENDED, UTDStreamType.AUDIO_CALL, caller_name=EVIL, callee_identity=EVIL
    )
    member = UTDStageMember("ana", EVIL)
    for value in (grid, call, member):
        shown = value._repr_html_()
        assert "&lt;script&gt;" in shown
        assert "<script>" not in shown
    assert "locked" in grid._repr_html_()
    assert html.cell((EVIL, None, True, UTDErrorCode.TIMEOUT)).count("<br>") == 3


def test_a_table_of_thousands_is_cut() -> None:
    grid = UTDSeatGrid(tuple(UTDSeat(index, f"user{index}") for index in range(2_000)))
    assert grid._repr_html_().count("<tr>") == 52
    assert "… and 1,950 more" in grid._repr_html_()
    assert len(html.cell("x" * 5_000)) < 300
    assert html.cell(("x",) * 60).endswith("… and 10 more")


def looks(value: object) -> str:
    form = getattr(value, "_repr_html_", lambda: "")
    return f"{value!r} {value!s} {form()}"


async def test_no_secret_is_in_sight(joined: Stage, agent: AtomsAgentSession) -> None:
    call = UTDCall("c", UTDCallStatus.ACTIVE, UTDStreamType.AUDIO_CALL, token="s3cr3t")
    assert "s3cr3t" not in looks(call)
    assert "s3cr3t" not in looks(UTDStreamClient("1", "s3cr3t"))
    assert KEY not in looks(agent)
    sessions: tuple[View[Any], ...] = (joined.session, agent)
    for session in sessions:
        streams = [
            name for name in dir(type(session)) if isinstance(getattr(type(session), name), Stream)
        ]
        for name in streams:
            told = looks(getattr(session, name)) + repr(getattr(session, name).value)
            assert KEY not in told
            assert not {"token1", "bearer1"} & set(re.findall(r"\w+", told)), "of the mint"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
async def test_a_session_is_not_copied_and_its_values_are(
    joined: Stage, copied: Callable[[object], object]
) -> None:
    session = joined.session
    for alive in (session, session.chat, session.events, session.data, UTDStreamClient("1", "k")):
        with pytest.raises(TypeError, match=r"is alive and can be neither .* take "):
            copied(alive)
    assert copied(session.seats.value)
    assert copied(session.state.value)


def test_a_name_that_turns_a_line_around_is_shown_as_what_it_is() -> None:
    assert html.cell("ann\u202e\x1b[2J\ud800") == "ann\ufffd\ufffd[2J\ufffd"
