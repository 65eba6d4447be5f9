"""What is recorded replays to the same streams, and recording never harms a session."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sessions.histories import plain, values_of
from tests.sessions.stage import Stage
from tests.state.virtual import run
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import events as e
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.participant import RemoteParticipant
from utd_rx.protocol import journal
from utd_rx.protocol.journal import End
from utd_rx.sessions import recording as recordings
from utd_rx.sessions.recording import Recording, record
from utd_rx.sessions.replay import replay
from utd_rx.sessions.streams import AudioRoomStreams

STREAMS = [
    "state",
    "connected",
    "connection_state",
    "can_publish",
    "remote_participants",
    "active_speakers",
    "microphone_enabled",
    "failure",
    "seats",
    "my_seat",
]

FULL = Path("/dev/full")

FEWER = max(20, settings().max_examples // 4)

Seen = dict[str, list[Any]]


def watch(streams: AudioRoomStreams) -> Seen:
    """Collect every value of every stream, and every event, from now on."""
    seen: Seen = {name: [] for name in STREAMS}
    for name, values in seen.items():
        getattr(streams, name).subscribe(values.append)
    seen["events"] = []
    streams.events.subscribe(seen["events"].append)
    return seen


def shown(seen: Seen, recording: Recording) -> Seen:
    """Return what was seen as the recording shows it, comparable."""
    return {name: [plain(recording.redact(v)) for v in values] for name, values in seen.items()}


def replayed(path: Path) -> Seen:
    again = replay(path)
    seen = watch(again)
    while again.step():
        pass
    return {name: [plain(value) for value in values] for name, values in seen.items()}


async def settle() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


# --- random histories ---

PEOPLE = ("me", "ana", "ben", "")
EVENTS: list[type[e.RoomEvent]] = [
    kind
    for kind in journal.ITEMS.values()
    if issubclass(kind, e.RoomEvent) and kind not in (e.Reconnected, e.Disconnected)
]
room_events = st.one_of([values_of(kind) for kind in EVENTS]).flatmap(
    lambda event: (
        st.sampled_from(PEOPLE).map(lambda who: evolve(event, identity=who))
        if hasattr(event, "identity")
        else st.just(event)
    )
)
Action = Callable[[Stage], Any]


async def _attempt(command: Any) -> None:
    with suppress(UTDStreamException):
        await asyncio.wait_for(command, 100)


actions: st.SearchStrategy[Action] = st.one_of(
    st.lists(room_events, max_size=3).map(lambda es: lambda stage: stage.room.emit(*es)),
    values_of(e.RoomSnapshot).map(
        lambda snapshot: lambda stage: stage.room.emit(e.Reconnecting(), e.Reconnected(snapshot))
    ),
    st.sampled_from(PEOPLE).map(
        lambda who: lambda stage: stage.room.emit(e.ParticipantConnected(RemoteParticipant(who)))
    ),
    st.sampled_from(DisconnectReason).map(lambda why: lambda stage: stage.room.lose(why)),
    st.tuples(st.integers(0, 3), st.none() | st.sampled_from(PEOPLE)).map(
        lambda to: lambda stage: stage.engine.seat(*to)
    ),
    st.booleans().map(lambda yes: lambda stage: stage.room.grant(can_publish=yes)),
    st.booleans().map(lambda on: lambda stage: _attempt(stage.session.set_microphone(on))),
    st.integers(0, 3).map(lambda seat: lambda stage: _attempt(stage.session.take_seat(seat))),
    st.just(lambda stage: _attempt(stage.session.leave_seat())),
    st.just(lambda stage: _attempt(stage.session.join())),
    st.just(lambda stage: stage.session.leave()),
    st.just(lambda stage: asyncio.sleep(20.0)),
)


@settings(
    max_examples=FEWER,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(actions, max_size=12), st.integers(0, 12), st.booleans())
def test_any_history_replays_to_the_same_streams(
    tmp_path: Path, history: list[Action], begin: int, keep_payloads: bool
) -> None:
    path = tmp_path / "session.jsonl"

    async def live() -> Seen:
        stage = Stage()
        recording: Recording | None = None
        seen: Seen = {}
        for i, action in enumerate([lambda stage: _attempt(stage.session.join()), *history]):
            if i == min(begin, len(history)):
                recording = record(stage.session, path, keep_payloads=keep_payloads)
                seen = watch(stage.session)
            result = action(stage)
            if asyncio.iscoroutine(result):
                await result
            await settle()
        await stage.session.aclose()
        assert recording is not None
        await recording.aclose()
        assert (recording.end, recording.failure) == (End.CLOSED, None)
        return shown(seen, recording)

    expected = run(live())
    assert replayed(path) == expected


# --- the recording ---


async def recorded(stage: Stage, path: Path) -> Recording:
    """Record a short session: three joined, one spoke and wrote."""
    await stage.session.join()
    recording = record(stage.session, path)
    for name in ("ana", "ben"):
        stage.room.emit(e.ParticipantConnected(RemoteParticipant(name, metadata="s3cr3t")))
        await settle()
    stage.room.push(b"s3cr3t", sender="ana", topic="chat")
    stage.room.emit(e.ActiveSpeakersChanged(("ana",)))
    await settle()
    return recording


async def test_by_default_neither_tokens_nor_payloads_nor_metadata_are_written(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.jsonl"
    stage = Stage()
    async with stage.session, await recorded(stage, path):
        pass
    text = path.read_text()
    assert "s3cr3t" not in text
    assert "bearer1" not in text
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.identity for p in replay(path).remote_participants.value] == []
    again = replay(path)
    events: list[e.RoomEvent] = []
    again.events.subscribe(events.append)
    await again.run(speed=None)
    [message] = [event for event in events if isinstance(event, e.DataReceived)]
    assert (message.sender, message.topic) == ("ana", "chat")
    assert message.payload.startswith(b"<redacted 6 bytes #")
    assert again.journal.header.redacted


async def test_payloads_can_be_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    stage = Stage()
    async with stage.session as session:
        await session.join()
        async with record(session, path, keep_payloads=True):
            stage.room.push(b"\x00\xff", sender="ana")
            await settle()
    [commit] = replay(path).journal.commits
    assert commit.items == (e.DataReceived(b"\x00\xff", "ana"),)


async def test_it_ends_with_the_session_and_closes_more_than_once(tmp_path: Path) -> None:
    stage = Stage()
    recording = record(stage.session, tmp_path / "a.jsonl")
    assert recording.end is None
    await stage.session.aclose()
    await asyncio.gather(recording.aclose(), recording.aclose())
    recording.close()
    assert recording.end is End.CLOSED
    with pytest.raises(UTDStreamException) as raised:
        record(stage.session, tmp_path / "b.jsonl")
    assert raised.value.code is UTDErrorCode.CONFLICT
    assert not (tmp_path / "b.jsonl").exists()


async def test_stopped_before_the_session_it_holds_nothing_later(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    stage = Stage()
    async with stage.session as session:
        with record(session, path) as recording:
            pass
        await session.join()
        assert recording.end is End.STOPPED
        assert session._machine._core.taps == ()
    assert replay(path).journal.commits == ()


async def test_two_recordings_do_not_mind_each_other(tmp_path: Path) -> None:
    stage = Stage()
    session = stage.session
    async with session, record(session, tmp_path / "a"), record(session, tmp_path / "b"):
        await session.join()
    one, two = replay(tmp_path / "a").journal, replay(tmp_path / "b").journal
    assert plain(one.commits) == plain(two.commits)


async def test_where_nothing_can_be_written_is_said_at_once(tmp_path: Path) -> None:
    stage = Stage()
    async with stage.session as session:
        for path in (tmp_path / "no" / "folder", tmp_path, Path("\0")):
            with pytest.raises(UTDStreamException) as raised:
                record(session, path)
            assert raised.value.code is UTDErrorCode.VALIDATION
        assert session._machine._core.taps == ()


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
async def test_a_full_disk_ends_the_recording_and_not_the_session(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = Stage()
    async with stage.session as session:
        recording = record(session, FULL)
        await session.join()
        await recording.aclose()
        await session.take_seat(1)
        assert session.microphone_enabled.value
        assert (recording.end, type(recording.failure)) == (End.FAILED, OSError)
        assert session._machine._core.taps == ()
    assert "the recording ended early" in caplog.text


async def test_a_disk_that_is_too_slow_ends_the_recording_and_not_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gate = threading.Event()
    write = journal.commit_line

    def slow(commit: journal.Commit) -> bytes:
        gate.wait(60)
        return write(commit)

    monkeypatch.setattr(recordings, "MAX_WAITING", 3)
    monkeypatch.setattr(journal, "commit_line", slow)
    path = tmp_path / "a.jsonl"
    stage = Stage()
    async with stage.session as session:
        await session.join()
        recording = record(session, path)
        for i in range(10):
            stage.room.emit(e.ParticipantConnected(RemoteParticipant(f"u{i}")))
            await settle()
        assert len(session.remote_participants.value) == 10
        gate.set()
        await recording.aclose()
    assert (recording.end, type(recording.failure)) == (End.FAILED, BufferError)
    # What is there is a beginning without a gap.
    again = replay(path)
    while again.step():
        pass
    names = [person.identity for person in again.remote_participants.value]
    assert names == [f"u{i}" for i in range(len(names))]
    assert 3 <= len(names) <= 4
    assert again.journal.end is End.FAILED


async def test_a_full_file_ends_the_recording_before_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    stage = Stage()
    async with stage.session as session:
        await session.join()
        recording = record(session, path, max_bytes=3_000)
        for i in range(100):
            stage.room.emit(e.ParticipantConnected(RemoteParticipant(f"u{i}")))
            await settle()
        await recording.aclose()
    assert (recording.end, recording.failure) == (End.FULL, None)
    assert path.stat().st_size <= 3_000
    assert 0 < len(replay(path).journal.commits) < 100
