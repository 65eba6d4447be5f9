"""What is recorded replays, and recording never harms a session."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from queue import SimpleQueue

import pytest

from tests.sessions.histories import plain
from tests.sessions.stage import Stage
from tests.sessions.watching import settle
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import events as e
from utd_rx.models.participant import RemoteParticipant
from utd_rx.protocol import journal
from utd_rx.protocol.journal import Commit, End
from utd_rx.sessions import recording as recordings
from utd_rx.sessions.recording import Recording, record
from utd_rx.sessions.replay import replay

FULL = Path("/dev/full")


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
    write = journal.line_of

    def slow(entry: journal.Header | journal.Start | journal.Commit | journal.End) -> bytes:
        if isinstance(entry, journal.Commit):
            gate.wait(60)
        return write(entry)

    monkeypatch.setattr(recordings, "MAX_WAITING", 3)
    monkeypatch.setattr(recordings, "line_of", slow)
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


async def test_begun_in_a_callback_it_misses_nothing_that_is_not_delivered_yet(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.jsonl"
    stage = Stage()
    begun: list[Recording] = []
    async with stage.session as session:
        await session.join()

        def on_people(people: tuple[RemoteParticipant, ...]) -> None:
            if people and not begun:
                stage.room.emit(e.ActiveSpeakersChanged(("ana",)))
                stage.room.flush()
                assert session.active_speakers.value == ()
                begun.append(record(session, path))

        session.remote_participants.subscribe(on_people)
        stage.room.emit(e.ParticipantConnected(RemoteParticipant("ana")))
        await settle()
        await begun[0].aclose()
    assert replay(path).active_speakers.value == ("ana",)


async def test_what_an_apps_own_source_and_mint_raise_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise LookupError("s3cr3t")

    path = tmp_path / "a.jsonl"
    stage = Stage()
    async with stage.session as session, record(session, path):
        with monkeypatch.context() as patched:
            patched.setattr(stage.engine, "mint", fail)
            with pytest.raises(LookupError):
                await session.join()
        await session.join()
        await session.take_seat(0, microphone=False)
        monkeypatch.setattr(stage.room, "publish", fail)
        with pytest.raises(UTDStreamException, match="microphone"):
            await session.set_microphone(True)
    text = path.read_text()
    assert "joining failed: LookupError" in text
    assert "microphone failed: LookupError" in text
    assert "s3cr3t" not in text


async def test_what_is_known_so_far_is_on_disk_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle = threading.Semaphore(0)

    class Queue(SimpleQueue[Commit | End]):
        """Tells when the writer asks for more."""

        def get(self, block: bool = True, timeout: float | None = None) -> Commit | End:
            idle.release()
            return super().get(block, timeout)

    monkeypatch.setattr(recordings, "SimpleQueue", Queue)
    path = tmp_path / "a.jsonl"
    stage = Stage()
    async with stage.session as session:
        await session.join()
        async with record(session, path):
            stage.room.emit(e.ParticipantConnected(RemoteParticipant("ana")))
            await settle()
            for _ in range(2):  # after the beginning, and after that commit
                assert await asyncio.to_thread(idle.acquire, timeout=10)
            read = replay(path).journal
            assert (len(read.commits), read.end) == (1, None)
