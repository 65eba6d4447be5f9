"""Texts and files of a session: those that come, and those that are sent."""

from __future__ import annotations

import asyncio
import os
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.sessions.test_room import TOKEN, URL
from tests.sessions.watching import settle
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.events import DataMissed, ParticipantConnected, ParticipantDisconnected
from utd_rx.models.participant import RemoteParticipant
from utd_rx.models.transfers import TransferInfo, TransferProgress
from utd_rx.ports.transfers import MAX_LABEL
from utd_rx.sessions.incoming_streams import (
    MAX_WAITING,
    PER_PART,
    SHORT,
    IncomingFile,
    IncomingText,
    safe_name,
)
from utd_rx.sessions.room import RoomSession
from utd_rx.sessions.transfers import (
    MAX_ALL,
    MAX_ALL_OF_ONE,
    MAX_COMING,
    MAX_COMING_OF_ONE,
    MAX_SENDING,
    MAX_SENT_TEXT,
    PART,
)
from utd_rx.testing.fake_transfers import FakeTransfers
from utd_rx.testing.room import FakeRoom


@pytest.fixture
def fake() -> FakeRoom:
    return FakeRoom("me")


@pytest.fixture
def others(fake: FakeRoom) -> FakeTransfers:
    return fake.transfers


@pytest.fixture
async def room(fake: FakeRoom) -> AsyncIterator[RoomSession]:
    async with RoomSession(URL, TOKEN, room=fake) as session:
        await session.join()
        fake.emit(ParticipantConnected(RemoteParticipant("ben")))
        await settle()
        yield session


class Came:
    """What came on the topic `t`."""

    def __init__(self, room: RoomSession) -> None:
        self.texts: list[IncomingText] = []
        self.files: list[IncomingFile] = []
        self.observing = [
            room.text_streams("t").subscribe(self.texts.append),
            room.files("t").subscribe(self.files.append),
        ]


def send(
    others: FakeTransfers, *parts: bytes, is_text: bool = False, ends: bool = True, **info: Any
) -> int:
    """Let ben send something."""
    known: dict[str, Any] = {"id": "s", "sender": "ben", "topic": "t"}
    number = others.begin(TransferInfo(**{**known, **info}), is_text=is_text)
    for part in parts:
        others.part(number, part)
    if ends:
        others.finish(number)
    return number


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def failure(command: Any) -> UTDStreamException:
    with pytest.raises(UTDStreamException) as raised:
        await command
    return raised.value


async def test_an_item_appears_when_it_begins_and_its_whole_when_it_is_there(
    room: RoomSession, others: FakeTransfers
) -> None:
    came = Came(room)
    number = send(others, "ü".encode(), is_text=True, ends=False)
    [text] = came.texts
    reading = asyncio.ensure_future(text.read())
    others.part(number, b"ber")
    await settle()
    assert not reading.done()
    others.finish(number)
    assert (await reading, text.failure, text.info.sender) == ("über", None, "ben")
    assert (await failure(text.read())).reason is ConflictReason.ALREADY


async def test_chunks_come_from_the_first_on_to_one_observer(
    room: RoomSession, others: FakeTransfers
) -> None:
    came = Came(room)
    number = send(others, b"a", b"b", ends=False)
    [file] = came.files
    told: list[bytes | str] = []
    file.chunks.subscribe(told.append, on_completed=lambda: told.append("end"))
    others.part(number, b"c")
    others.finish(number)
    assert told == [b"a", b"b", b"c", "end"]
    again: list[Exception] = []
    file.chunks.subscribe(told.append, on_error=again.append)
    assert isinstance(again[0], UTDStreamException)


async def test_chunks_that_are_disposed_of_are_given_up(
    room: RoomSession, others: FakeTransfers
) -> None:
    came = Came(room)
    number = send(others, b"a", ends=False)
    told: list[bytes] = []
    came.files[0].chunks.subscribe(told.append).dispose()
    await settle()
    assert (told, others.dropped) == ([b"a"], [number])


@pytest.mark.parametrize("how", ["ben leaves", "ben stops", "leave", "aclose"])
async def test_what_does_not_come_whole_is_a_failure_of_that_item_only(
    room: RoomSession, fake: FakeRoom, others: FakeTransfers, how: str
) -> None:
    came = Came(room)
    number = send(others, b"a", ends=False)
    if how.startswith("ben"):
        other = send(others, b"x", ends=False, sender="cy")
    reading = asyncio.ensure_future(came.files[0].read())
    failing: list[Exception] = []
    await settle()
    if how == "ben leaves":
        fake.emit(ParticipantDisconnected("ben"))
    elif how == "ben stops":
        others.finish(number, UTDStreamException("enough", code=UTDErrorCode.NETWORK))
    else:
        await getattr(room, how)()
    failed = await failure(reading)
    is_ben = how.startswith("ben")
    assert failed.code is (UTDErrorCode.NETWORK if is_ben else UTDErrorCode.CONFLICT)
    came.files[0].chunks.subscribe(on_error=failing.append)
    assert len(failing) == 1
    if is_ben:
        others.finish(other)
        assert await came.files[1].read() == b"x"


@pytest.mark.parametrize("size", [2, 4])
async def test_an_announced_size_is_not_believed(
    room: RoomSession, others: FakeTransfers, size: int
) -> None:
    came = Came(room)
    send(others, b"abc", size=size)
    assert (await failure(came.files[0].read())).code is UTDErrorCode.MALFORMED_RESPONSE


async def test_what_is_larger_than_the_limit_is_given_up(
    room: RoomSession, others: FakeTransfers, tmp_path: Path
) -> None:
    came = Came(room)
    numbers = [send(others, b"abc", ends=False) for _ in range(2)]
    reading = asyncio.ensure_future(came.files[0].read(limit=3))
    saving = asyncio.ensure_future(came.files[1].save(tmp_path, limit=3))
    while not names(tmp_path):  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)
    for number in numbers:
        others.part(number, b"d")
    for taking in (reading, saving):
        assert (await failure(taking)).code is UTDErrorCode.VALIDATION
    assert (sorted(others.dropped), names(tmp_path)) == (numbers, [])


async def test_what_nobody_takes_is_bounded(room: RoomSession, others: FakeTransfers) -> None:
    came = Came(room)
    number = send(others, b"x" * (MAX_WAITING - PER_PART), ends=False)
    assert came.files[0].failure is None
    others.part(number, b"x")
    await settle()
    assert others.dropped == [number]
    assert (await failure(came.files[0].read())).code is UTDErrorCode.VALIDATION


async def test_parts_of_next_to_nothing_count(room: RoomSession, others: FakeTransfers) -> None:
    came = Came(room)
    number = send(others, ends=False)
    for _ in range(MAX_WAITING // (PER_PART + 1) + 1):
        assert came.files[0].failure is None
        others.part(number, b"x")
    assert came.files[0].failure is not None


async def test_who_reads_holds_what_came_and_not_its_parts(
    room: RoomSession, others: FakeTransfers
) -> None:
    came = Came(room)
    number = send(others, ends=False)
    reading = asyncio.create_task(came.files[0].read())
    await settle()
    tracemalloc.start()
    try:
        for n in range(20_000):
            others.part(number, b"%06d" % n)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    others.finish(number)
    assert len(await reading) == 120_000
    assert held < 300_000


async def test_what_comes_at_a_time_is_bounded(room: RoomSession, others: FakeTransfers) -> None:
    came = Came(room)
    told: list[object] = []
    room.events.subscribe(told.append)
    for number in range(MAX_COMING + 5):
        send(others, ends=False, sender=f"p{number // MAX_COMING_OF_ONE}", size=SHORT + 1)
    grown = [send(others, ends=False, sender=sender) for sender in ("p0", "new")]
    for number in grown:
        others.part(number, b"x" * SHORT)
    await settle()
    assert (len(came.files), others.dropped[5:]) == (MAX_COMING + 2, grown)
    for file in came.files[-2:]:
        assert (await failure(file.read())).code is UTDErrorCode.RATE_LIMITED
    assert told == [DataMissed(1)] * 7


async def test_short_ones_that_a_busy_loop_hears_of_together_all_come(
    room: RoomSession, others: FakeTransfers
) -> None:
    came = Came(room)
    told: list[object] = []
    room.events.subscribe(told.append)
    for number in range(MAX_ALL + 2):
        send(others, b"x", is_text=True, ends=False, sender=f"p{number // MAX_ALL_OF_ONE}")
    await settle()
    assert (len(came.texts), len(others.dropped), told) == (MAX_ALL, 2, [DataMissed(1)] * 2)
    send(others, b"x", is_text=True, ends=False, sender="p0")
    assert len(came.texts) == MAX_ALL


async def test_what_a_sender_is_called_is_told_as_one_printable_line(
    room: RoomSession, fake: FakeRoom, others: FakeTransfers
) -> None:
    called = "ben\x1b[2J\n\u202e"
    fake.emit(ParticipantConnected(RemoteParticipant(called)))
    came = Came(room)
    send(others, b"abc", sender=called, size=7)
    send(others, b"abc", sender=called, ends=False)
    await settle()
    fake.emit(ParticipantDisconnected(called))
    await settle()
    for file, words in zip(came.files, ("announced 7 bytes", "left before"), strict=True):
        assert file.failure is not None
        assert words in file.failure.message
        assert file.failure.message.isprintable()


@pytest.mark.parametrize(
    ("proposed", "name"),
    [
        ("notes.txt", "notes.txt"),
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\evil.exe", "evil.exe"),
        ("C:\\x\\evil.exe", "evil.exe"),
        ("..", "file"),
        ("", "file"),
        (".bashrc", "bashrc"),
        ("a\x00b\nc\x1b.txt", "a_b c_.txt"),
        ("con.txt", "_con.txt"),
        ("a" * 300 + ".txt", "a" * 236 + ".txt"),
        ("a" * 300, "a" * 240),
        ("a." + "b" * 300, "a." + "b" * 16),
        ("\U0001f600" * 200 + ".txt", "\U0001f600" * 59 + ".txt"),
        ("x" + "\U0001f600" * 200, "x" + "\U0001f600" * 59),
        ("a" * 230 + "\U0001f468\u200d\U0001f469" * 9, "a" * 230 + "\U0001f468"),
        ("x" * 199 + "\u0633" * 60 + ".\u067e", "x" * 199 + "\u0633" * 19 + ".\u067e"),
        ("x*y?.txt", "x_y_.txt"),
        ("\ud800.txt", "_.txt"),
        ("C:", "file"),
    ],
)
async def test_a_senders_name_never_leaves_the_folder(
    room: RoomSession, others: FakeTransfers, tmp_path: Path, proposed: str, name: str
) -> None:
    assert safe_name(proposed) == name
    came = Came(room)
    for _ in range(2):
        send(others, b"abc", name=proposed)
    saved = [await file.save(tmp_path) for file in came.files]
    assert saved[0] == tmp_path / name
    assert len({*saved}) == len(names(tmp_path)) == 2
    assert {path.read_bytes() for path in saved} == {b"abc"}


async def test_saving_that_is_cancelled_leaves_no_file(
    room: RoomSession, others: FakeTransfers, tmp_path: Path
) -> None:
    came = Came(room)
    send(others, b"abc", ends=False)
    saving = asyncio.ensure_future(came.files[0].save(tmp_path, name="mine"))
    while not names(tmp_path):  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving
    assert names(tmp_path) == []
    send(others, b"abc")
    refused = await failure(came.files[1].save(tmp_path, name="../mine"))
    assert refused.code is UTDErrorCode.VALIDATION
    assert await came.files[1].read() == b"abc"


async def test_nothing_is_received_while_nobody_observes(
    room: RoomSession, others: FakeTransfers
) -> None:
    came = Came(room)
    for one in came.observing:
        one.dispose()
    send(others, b"abc")
    assert came.files == []
    again = Came(room)
    send(others, b"abc")
    assert len(again.files) == 1


async def test_a_text_is_sent_in_parts_of_whole_characters(
    room: RoomSession, others: FakeTransfers
) -> None:
    text = "x" * (PART - 1) + "ü" * PART
    await room.send_text(text, topic="t", to=["ben"], attributes={"a": "b"})
    [sent] = others.sent
    assert (sent.header.topic, sent.header.to, sent.reason) == ("t", ("ben",), "")
    assert "".join(part.decode() for part in sent.parts) == text
    assert len(sent.parts) == 3
    await room.send_text("", to=[])
    assert len(others.sent) == 1


async def test_a_file_is_sent_with_its_progress(
    room: RoomSession, others: FakeTransfers, tmp_path: Path
) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"x" * (PART + 1))
    sending = room.send_file(path, topic="t")
    told: list[TransferProgress] = []
    ended = asyncio.Event()
    sending.progress.subscribe(told.append, on_completed=ended.set)
    await sending
    await ended.wait()
    assert sending.failure is None
    assert [one.sent for one in told] == [0, PART, PART + 1]
    [sent] = others.sent
    assert (sent.header.name, sent.header.mime_type) == ("notes.txt", "text/plain")
    assert (sent.header.size, sent.reason) == (PART + 1, "")


@pytest.mark.parametrize("how", ["cancel", "leave", "aclose"])
async def test_a_file_that_is_given_up_is_told_so(
    room: RoomSession, fake: FakeRoom, tmp_path: Path, how: str
) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"x" * PART * 100)
    sending = room.send_file(path)
    await sending.progress.until(lambda progress: progress.sent > 0)
    if how == "cancel":
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert fake.transfers.sent[0].reason
        assert isinstance(sending.failure, UTDStreamException)
    else:
        await getattr(room, how)()
        assert (await failure(sending)) is sending.failure
    assert sending.failure.code is UTDErrorCode.CONFLICT


async def test_closing_ends_what_is_sent_whatever_livekit_does(
    room: RoomSession, fake: FakeRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def write(number: int, data: bytes) -> None:
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(fake, "write_stream", write)
    sending = asyncio.ensure_future(room.send_text("x"))
    await settle()
    await room.aclose()
    await settle()
    assert sending.done()
    assert (await failure(sending)).reason is ConflictReason.CLOSED


@pytest.mark.parametrize(
    ("after", "why"), [(b"xyz", "more than the 2 bytes"), (b"x", "shrank while it was sent")]
)
async def test_a_sending_that_failed_says_so_when_its_progress_completes(
    room: RoomSession, fake: FakeRoom, tmp_path: Path, after: bytes, why: str
) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"xx")
    fake.gate.clear()
    sending = room.send_file(path)
    told: list[Exception | None] = []
    ended = asyncio.Event()

    def end() -> None:
        told.append(sending.failure)
        ended.set()

    sending.progress.subscribe(on_completed=end)
    path.write_bytes(after)
    fake.gate.set()
    await ended.wait()
    assert told == [sending.failure]
    assert why in str(await failure(sending))
    assert fake.transfers.sent[0].reason


@pytest.mark.parametrize("leaves", [True, False])
async def test_what_ends_with_the_room_was_left_meanwhile(
    room: RoomSession, fake: FakeRoom, monkeypatch: pytest.MonkeyPatch, leaves: bool
) -> None:
    async def write(number: int, data: bytes) -> None:
        if leaves:
            await room.leave()
        raise UTDStreamException("Sending failed: closed", code=UTDErrorCode.NETWORK)

    monkeypatch.setattr(fake, "write_stream", write)
    failed = await failure(room.send_text("x"))
    assert failed.reason is (ConflictReason.LEFT if leaves else None)
    assert failed.code is (UTDErrorCode.CONFLICT if leaves else UTDErrorCode.NETWORK)


async def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(
    room: RoomSession, tmp_path: Path
) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"x")
    sending = room.send_file(path)
    path.unlink()
    os.mkfifo(path)
    assert (await failure(sending)).code is UTDErrorCode.VALIDATION


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux has it")
async def test_a_file_of_no_known_size_is_refused(room: RoomSession) -> None:
    sending = room.send_file("/proc/self/status")
    assert (await failure(sending)).code is UTDErrorCode.VALIDATION


async def test_what_is_sent_at_a_time_is_bounded(
    room: RoomSession, fake: FakeRoom, tmp_path: Path
) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"x")
    fake.gate.clear()
    sending = [room.send_file(path) for _ in range(MAX_SENDING)]
    await settle()
    assert (await failure(room.send_text("x"))).reason is ConflictReason.BUSY
    with pytest.raises(UTDStreamException):
        room.send_file(path)
    fake.gate.set()
    for one in sending:
        await one
    await room.send_text("x")


async def test_what_cannot_be_sent_is_refused(room: RoomSession, tmp_path: Path) -> None:
    for command in (
        room.send_text("\ud800"),
        room.send_text(b"bytes"),  # type: ignore[arg-type] # what is tested
        room.send_text("x", topic="x" * (MAX_LABEL + 1)),
        room.send_text("x" * (MAX_SENT_TEXT + 1)),
        room.send_text("x", to="ben"),
        room.send_text("x", topic="lk.rpc_request"),
    ):
        assert (await failure(command)).code is UTDErrorCode.VALIDATION
    for observe in (room.text_streams, room.files):
        with pytest.raises(UTDStreamException, match="LiveKit's own: call_method"):
            observe("lk.rpc_response")
    with pytest.raises(FileNotFoundError):
        room.send_file(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe")
    for no_file in (tmp_path / "pipe", tmp_path, "/dev/zero"):
        with pytest.raises(UTDStreamException, match="is no file") as refused:
            room.send_file(no_file)
        assert refused.value.code is UTDErrorCode.VALIDATION
    with pytest.raises(UTDStreamException, match="NUL"):
        room.send_file("\0")
    with pytest.raises(UTDStreamException, match="path must be"):
        room.send_file(7)  # type: ignore[arg-type] # what is tested
