"""A replay runs without a network, at the speed asked for, and survives any file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sessions.stage import Stage
from tests.state.virtual import run
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.connection import UTDConnectionState
from utd_rx.models.events import (
    ActiveSpeakersChanged,
    ParticipantConnected,
    RoomEvent,
    RoomSnapshot,
)
from utd_rx.models.participant import LocalParticipant, RemoteParticipant
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol import journal
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.facts.connection import JoinStarted, JoinSucceeded
from utd_rx.protocol.journal import Commit, End, Header, Start
from utd_rx.sessions import replay as replays
from utd_rx.sessions.recording import record
from utd_rx.sessions.replay import replay
from utd_rx.state import ReadOnlySubjectError, debounce

SNAPSHOT = RoomSnapshot("room", LocalParticipant("me"))


def people(count: int) -> Iterator[Commit]:
    """A join, then somebody every 10 seconds."""
    yield Commit(100.0, (JoinStarted(),))
    yield Commit(101.0, (JoinSucceeded(1, SNAPSHOT),))
    for i in range(count):
        yield Commit(110.0 + 10 * i, (ParticipantConnected(RemoteParticipant(f"u{i}")),))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    header = Header(UTDStreamType.AUDIO_ROOM, "me", "lobby", "2026-05-01T12:00:00+00:00", True)
    lines = [journal.line_of(header), journal.line_of(Start(100.0, AudioRoomState("me")))]
    lines += [journal.line_of(commit) for commit in people(6)]
    path = tmp_path / "session.jsonl"
    path.write_bytes(b"".join([*lines, journal.line_of(End.CLOSED)]))
    return path


def test_it_says_what_it_is_of(path: Path) -> None:
    again = replay(path)
    assert (again.identity, again.room_name, again.type) == (
        "me",
        "lobby",
        UTDStreamType.AUDIO_ROOM,
    )
    assert again.started_at.isoformat() == "2026-05-01T12:00:00"
    assert (again.position, again.length) == (0.0, 60.0)
    assert again.journal.end is End.CLOSED


def test_steps_are_commits_and_the_streams_complete_after_the_last(path: Path) -> None:
    again = replay(path)
    log: list[object] = []
    again.remote_participants.subscribe(
        lambda listed: log.append(len(listed)), None, lambda: log.append("end")
    )
    again.events.subscribe(lambda _: log.append("event"), None, lambda: log.append("no more"))
    while again.step():
        pass
    assert log[:3] == [0, 1, "event"]
    assert log[-4:] == [6, "event", "end", "no more"]
    assert not again.step()
    assert again.position == again.length
    assert again.connection_state.value is UTDConnectionState.CONNECTED
    local = again.local_participant
    assert local is not None
    assert local.identity == "me"


@pytest.mark.parametrize("speed", [1.0, 4.0, 0.5])
def test_it_takes_the_time_it_took_over_the_speed(path: Path, speed: float) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        again = replay(path)
        times: list[float] = []
        begun = loop.time()
        again.remote_participants.subscribe(lambda _: times.append(loop.time() - begun))
        await again.run(speed)
        assert times == pytest.approx([0.0, *(10 * (i + 1) / speed for i in range(6))])

    run(main())


@pytest.mark.parametrize("speed", [None, float("inf")])
async def test_as_fast_as_possible_takes_no_time_and_lets_readers_in(
    path: Path, speed: float | None
) -> None:
    again = replay(path)
    sizes = []

    async def read() -> None:
        async for listed in again.remote_participants.changes():
            sizes.append(len(listed))

    async with asyncio.timeout(60):
        await asyncio.gather(read(), again.run(speed))
    assert sizes[-1] == 6


def test_a_cancelled_run_goes_on_where_it_was(path: Path) -> None:
    async def main() -> None:
        again = replay(path)
        running = asyncio.ensure_future(again.run())
        assert len(await again.remote_participants.until(lambda p: len(p) == 3)) == 3
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await asyncio.sleep(1_000)
        assert (len(again.remote_participants.value), again.position) == (3, 30.0)
        begun = asyncio.get_running_loop().time()
        await again.run()
        assert asyncio.get_running_loop().time() - begun == pytest.approx(30.0)
        assert len(again.remote_participants.value) == 6

    run(main())


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
async def test_a_speed_that_leads_nowhere_is_refused(path: Path, speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        await replay(path).run(speed)


def test_time_operators_can_follow_the_recordings_time(path: Path) -> None:
    again = replay(path)
    sizes: list[int] = []
    again.remote_participants.pipe(debounce(5.0, scheduler=again.scheduler)).subscribe(
        lambda listed: sizes.append(len(listed))
    )
    while again.step():
        pass
    assert sizes == [0, 1, 2, 3, 4, 5, 6]


def test_it_can_be_selected_from_and_not_written(path: Path) -> None:
    again = replay(path)
    count = again.select(lambda s: len(s.session.roster.remotes))
    again.step()
    again.step()
    again.step()
    assert count.value == 1
    with pytest.raises(ReadOnlySubjectError):
        again.connected.on_next(True)  # type: ignore[arg-type] # rejected by mypy as well


def test_closed_it_completes_where_it_is(path: Path) -> None:
    again = replay(path)
    again.step()
    again.close()
    again.close()
    assert not again.step()
    assert again.connection_state.value is UTDConnectionState.CONNECTING


def test_an_observer_that_raises_does_not_stop_it(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    again = replay(path)

    def broken(_: RoomEvent) -> None:
        raise ValueError("a bug in an observer")

    again.events.subscribe(broken)
    while again.step():
        pass
    assert len(again.remote_participants.value) == 6
    assert "a bug in an observer" in caplog.text


def test_a_missing_file_and_a_wild_date_are_refused(path: Path, tmp_path: Path) -> None:
    text = path.read_bytes()
    for wild in (b"soon", b"9999-12-31T23:59:59+00:00", b"0001-01-01T00:00:00+14:00"):
        path.write_bytes(text.replace(b"2026-05-01T12:00:00+00:00", wild))
        with pytest.raises(UTDStreamException) as raised:
            replay(path)
        assert raised.value.code is UTDErrorCode.VALIDATION
    for unreadable in (tmp_path / "missing", tmp_path, "\0"):
        with pytest.raises(UTDStreamException):
            replay(unreadable)


def test_items_of_a_newer_version_leave_the_rest(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    commit = Commit(200.0, (ActiveSpeakersChanged(("u1",)),))
    line = journal.line_of(commit).replace(b'"items":[', b'"items":[["Flew",{"to":"x"}],')
    path.write_bytes(b"".join([*lines[:-1], line, lines[-1]]))
    again = replay(path)
    while again.step():
        pass
    assert again.active_speakers.value == ("u1",)
    assert again.journal.skipped == 1


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
def test_an_observer_on_the_recorded_time_that_raises_stops_neither_it_nor_the_time(
    path: Path, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    again = replay(path)
    at: list[float] = []
    sizes: list[int] = []

    def broken(*_: object) -> None:
        raise error

    again.scheduler.schedule_relative(15.0, broken)
    again.scheduler.schedule_relative(15.0, broken)
    again.scheduler.schedule_relative(17.0, lambda *_: at.append(again.position))
    again.remote_participants.pipe(debounce(5.0, scheduler=again.scheduler)).subscribe(
        lambda listed: sizes.append(len(listed))
    )
    while again.step():
        pass
    assert sizes == [0, 1, 2, 3, 4, 5, 6]
    assert at == [20.0]
    assert caplog.text.count("on the recorded time raised: " + error.__name__) == 2


async def test_an_observer_on_the_recorded_time_may_close_it(path: Path) -> None:
    again = replay(path)
    again.scheduler.schedule_relative(15.0, lambda *_: again.close())
    await again.run(speed=None)
    assert len(again.remote_participants.value) == 1


def test_its_time_may_have_been_moved_by_hand(path: Path) -> None:
    again = replay(path)
    again.scheduler.advance_by(40.0)
    while again.step():
        pass
    assert len(again.remote_participants.value) == 6


def test_closing_it_ends_a_run_that_waits_for_the_next_commit(path: Path) -> None:
    async def main() -> None:
        again = replay(path)
        loop = asyncio.get_running_loop()
        loop.call_later(12.0, again.close)
        await again.run()
        assert loop.time() == pytest.approx(12.0)
        assert len(again.remote_participants.value) == 1

    run(main())


async def test_at_full_speed_readers_get_their_turn_before_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "_COMMITS_PER_TURN", 1)
    again = replay(path)
    sizes: list[int] = []

    async def read() -> None:
        async for listed in again.remote_participants.changes():
            sizes.append(len(listed))

    await asyncio.gather(read(), again.run(speed=None))
    assert set(sizes) & {1, 2, 3, 4, 5}


@pytest.mark.parametrize("lines", [0, 0.5, 1, 1.5])
def test_a_file_without_its_beginning_says_so(path: Path, lines: float) -> None:
    whole = path.read_bytes().splitlines(keepends=True)
    cut = whole[int(lines)][:9] if lines % 1 else b""
    path.write_bytes(b"".join(whole[: int(lines)]) + cut)
    with pytest.raises(UTDStreamException, match="ends before the state") as raised:
        replay(path)
    assert raised.value.code is UTDErrorCode.VALIDATION


async def test_so_does_one_that_was_allowed_too_few_bytes(tmp_path: Path) -> None:
    stage = Stage()
    async with stage.session as session:
        await record(session, tmp_path / "a.jsonl", max_bytes=100).aclose()
    with pytest.raises(UTDStreamException, match="max_bytes"):
        replay(tmp_path / "a.jsonl")
