"""Of what LiveKit writes into its log alone, who joins hears that it was sent away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from attrs import frozen

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.connection import DisconnectReason
from utd_rx.rtc import connector, native, overheard, way
from utd_rx.rtc.connector import Address, Connector

JWT = "a.token.of"
SESSION, SOCKET = "livekit::rtc_engine::rtc_session", "tungstenite::protocol"


@frozen
class Line:
    target: str
    message: str


LET_IN = Line("tungstenite::handshake::client", "Client handshake done.")
CLOSED = Line(SOCKET, 'Received close frame: Some(CloseFrame { code: Normal, reason: "" })')


def leave(reason: str) -> Line:
    head = "received leave request: LeaveRequest { can_reconnect: false"
    return Line(SESSION, f"{head}, reason: {reason}, action: Disconnect, regions: None }}")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([LET_IN, leave("DuplicateIdentity")], DisconnectReason.DUPLICATE_IDENTITY),
        ([LET_IN, CLOSED, leave("RoomDeleted")], DisconnectReason.ROOM_DELETED),
        ([LET_IN, leave("RoomDeleted"), CLOSED], DisconnectReason.ROOM_DELETED),
        ([LET_IN, CLOSED], DisconnectReason.SIGNAL_CLOSE),
        ([LET_IN, leave("OfAnotherRelease")], DisconnectReason.UNKNOWN),
        ([LET_IN, leave("99")], DisconnectReason.UNKNOWN),
    ],
)
async def test_who_was_let_in_hears_why_it_is_sent_away(
    lines: list[Line], reason: DisconnectReason
) -> None:
    with overheard.listening() as said:
        await asyncio.to_thread(overheard.hear, lines)  # a native thread
        await said.first
        assert said.reason is reason


@pytest.mark.parametrize(
    "lines",
    [
        [CLOSED, leave("RoomDeleted")],  # of the room that was left before
        [LET_IN],
        [LET_IN, Line("livekit", CLOSED.message), Line(SESSION, "received offer")],
        [LET_IN, Line(SESSION, f"received answer: {leave('RoomDeleted').message}")],
        [LET_IN, Line(SESSION, "received leave request: LeaveRequest { reason" + "x" * 10**6)],
    ],
)
async def test_nothing_else_is_taken_for_it(lines: list[Line]) -> None:
    with overheard.listening() as said:
        await asyncio.to_thread(overheard.hear, lines)
        await asyncio.sleep(0)
        assert not said.first.done()


async def test_who_listens_no_more_hears_nothing() -> None:
    with overheard.listening() as said:
        pass
    overheard.hear([LET_IN, CLOSED])
    await asyncio.sleep(0)
    assert said.first.cancelled()
    assert said.reason is DisconnectReason.SIGNAL_CLOSE


# -- a join -------------------------------------------------------------------------------------


class SentAway:
    """LiveKit's room, which waits for media after its server said some lines."""

    def __init__(self, *lines: Line, answers: bool = False) -> None:
        self._lines = lines
        self.media = asyncio.Event()
        if answers:
            self.media.set()

    async def connect(self, *_: object) -> None:
        await asyncio.to_thread(overheard.hear, self._lines)
        await asyncio.sleep(0)  # who listens is told in a turn of its own
        await self.media.wait()

    async def disconnect(self) -> None: ...


async def join(room: Any) -> str:
    given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    joins = Connector()
    try:
        return await joins.join(room, Address("url", JWT), lambda: "joined", given_up, timeout=5.0)
    finally:
        room.media.set()
        await joins.aclose()


@pytest.mark.parametrize(
    ("last", "code", "words"),
    [
        (leave("DuplicateIdentity"), UTDErrorCode.CONFLICT, "somewhere else"),
        (leave("RoomDeleted"), UTDErrorCode.NOT_FOUND, "the room was closed"),
        (leave("ServerShutdown"), UTDErrorCode.SERVER, "shuts down"),
        (leave("ParticipantRemoved"), UTDErrorCode.FORBIDDEN, "removed"),
        (leave("OfAnotherRelease"), UTDErrorCode.NETWORK, "hung up"),
        (CLOSED, UTDErrorCode.NETWORK, "hung up"),
    ],
)
async def test_a_join_that_the_server_ends_is_told_why_and_soon(
    monkeypatch: pytest.MonkeyPatch, last: Line, code: UTDErrorCode, words: str
) -> None:
    monkeypatch.setattr(connector, "GRACE", 0.0)
    with pytest.raises(UTDStreamException, match=f"sent it away at once: .*{words}") as caught:
        await join(SentAway(LET_IN, last))
    assert caught.value.code is code
    is_replaced = code is UTDErrorCode.CONFLICT
    assert caught.value.reason is (ConflictReason.REPLACED if is_replaced else None)


async def test_media_that_stands_already_is_waited_for() -> None:
    assert await join(SentAway(LET_IN, leave("RoomDeleted"), answers=True)) == "joined"


class Beside(SentAway):
    """Another room of the process, whose connection changes as often as one says."""

    def __init__(self, *, is_joined: bool) -> None:
        super().__init__()
        self.unrest, self.is_joined = 3, is_joined

    def isconnected(self) -> bool:
        return self.is_joined


async def test_beside_a_room_that_is_joined_and_calm_it_is_known_whose_lines_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connector, "GRACE", 0.0)
    other: Any = Beside(is_joined=True)
    way.take(other, "url", None)
    try:
        with pytest.raises(UTDStreamException, match="sent it away at once"):
            await join(SentAway(LET_IN, leave("RoomDeleted")))
    finally:
        way.leave(other)


def ends(other: Beside) -> None:
    other.is_joined = False


def goes(other: Any) -> None:
    way.leave(other)


def stirs(other: Beside) -> None:
    other.unrest += 1


@pytest.mark.parametrize("happens", [ends, goes, stirs])
@pytest.mark.parametrize("is_late", [False, True])
async def test_beside_a_room_to_which_something_happens_it_is_not(
    monkeypatch: pytest.MonkeyPatch, happens: Callable[[Any], None], is_late: bool
) -> None:
    monkeypatch.setattr(connector, "GRACE", 0.02)
    other: Any = Beside(is_joined=True)
    way.take(other, "url", None)
    try:
        task = asyncio.create_task(join(room := SentAway(LET_IN, CLOSED)))
        await asyncio.sleep(0)
        if is_late:  # its event comes behind the line
            await asyncio.to_thread(bool)
        happens(other)
        await asyncio.wait([task], timeout=0.1)
        room.media.set()
        assert await task == "joined"
    finally:
        way.leave(other)


async def test_beside_a_room_that_is_joining_it_is_not_known_whose_lines_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connector, "GRACE", 0.0)
    other: Any = Beside(is_joined=False)
    way.take(other, "url", None)
    try:
        room = SentAway(LET_IN, CLOSED)
        task = asyncio.create_task(join(room))
        done, _ = await asyncio.wait([task], timeout=0.1)
        assert not done
        room.media.set()
        assert await task == "joined"
    finally:
        way.leave(other)


async def test_a_room_that_has_just_been_joined_is_as_calm_as_another() -> None:
    room: Any = native.new_room()
    states = native.sdk().ConnectionState
    room.emit("connection_state_changed", states.CONN_CONNECTED)  # behind the join
    assert room.unrest == 0
    room.emit("connection_state_changed", states.CONN_RECONNECTING)
    room.emit("reconnecting")
    assert room.unrest == 2
