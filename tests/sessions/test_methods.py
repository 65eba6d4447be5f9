"""Methods of a session: what is called of others, and what is served to them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.sessions.test_room import TOKEN, URL
from tests.sessions.watching import settle
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.events import (
    ParticipantConnected,
    ParticipantDisconnected,
    Reconnected,
    RoomMoved,
    RoomSnapshot,
)
from utd_rx.models.methods import MethodFailed, MethodInvocation
from utd_rx.models.participant import LocalParticipant, RemoteParticipant
from utd_rx.ports.methods import MAX_PAYLOAD, MethodRequest
from utd_rx.protocol.wire.methods import failure_from_wire
from utd_rx.sessions.methods import MAX_CALLS, MAX_OF_ONE, UNSEEN
from utd_rx.sessions.room import RoomSession
from utd_rx.testing import run_virtual
from utd_rx.testing.room import FakeRoom

FOREIGN = "ben\x1b[2J\n\u202e"
"""An identity that a terminal would obey."""

BUGS = (
    "no exception",
    "bug",
    "late",
    "no text",
    "too long",
    "cancelled",
    "ends itself",
    "ends itself late",
)

CONFLICT, NOT_FOUND = UTDErrorCode.CONFLICT, UTDErrorCode.NOT_FOUND


@pytest.fixture
def fake() -> FakeRoom:
    return FakeRoom("me")


@pytest.fixture
async def room(fake: FakeRoom) -> AsyncIterator[RoomSession]:
    async with RoomSession(URL, TOKEN, room=fake) as session:
        await session.join()
        fake.emit(ParticipantConnected(RemoteParticipant("ben")))
        fake.methods.others |= {"echo": echo, "silent": silent}
        await settle()
        yield session


def now() -> float:
    return asyncio.get_running_loop().time()


async def echo(request: MethodRequest) -> str:
    return request.payload


async def silent(request: MethodRequest) -> str:
    return str(await asyncio.get_running_loop().create_future())


async def failure(command: Awaitable[object]) -> UTDStreamException:
    with pytest.raises(UTDStreamException) as raised:
        await command
    return raised.value


async def test_a_call_returns_the_answer(room: RoomSession) -> None:
    assert await room.call("echo", "hello", to="ben") == "hello"
    assert await room.call_method("echo", to="ben") == ""


async def test_a_call_gives_up_when_the_other_one_leaves(room: RoomSession, fake: FakeRoom) -> None:
    calling = asyncio.ensure_future(room.call("silent", to="ben"))
    await settle()
    fake.emit(ParticipantDisconnected("ben"))
    assert (await failure(calling)).code is NOT_FOUND
    assert (await failure(room.call("echo", to="me"))).code is NOT_FOUND
    assert len(fake.methods.called) == 1


def test_who_is_not_seen_yet_is_called_and_waited_for_some_seconds() -> None:
    """News of who publishes nothing come late."""

    async def main() -> None:
        fake = FakeRoom("me")

        async def slow(request: MethodRequest) -> str:
            await asyncio.sleep(10)
            return request.payload

        async def fails(request: MethodRequest) -> str:
            raise UTDStreamException("nobody answered", code=UTDErrorCode.TIMEOUT)

        fake.methods.others |= {"echo": echo, "slow": slow, "fails": fails}
        async with RoomSession(URL, TOKEN, room=fake) as room:
            await room.join()
            assert await room.call("echo", "x", to="ben") == "x"
            began = now()
            assert (await failure(room.call("slow", to="ben"))).code is NOT_FOUND
            assert now() - began == UNSEEN
            assert (await failure(room.call("fails", to="ben"))).code is UTDErrorCode.TIMEOUT
            calling = asyncio.ensure_future(room.call("slow", "y", to="ben", timeout=20))
            await asyncio.sleep(UNSEEN / 2)
            fake.emit(ParticipantConnected(RemoteParticipant("ben")))
            assert await calling == "y"

    run_virtual(main())


async def test_what_somebody_is_called_is_told_as_one_printable_line(
    room: RoomSession, fake: FakeRoom
) -> None:
    fake.emit(ParticipantConnected(RemoteParticipant(FOREIGN)))
    await settle()
    calling = asyncio.ensure_future(room.call("silent", to=FOREIGN))
    await settle()
    fake.emit(ParticipantDisconnected(FOREIGN))
    told = {(await failure(calling)).message}
    told |= {
        failure_from_wire(number, "no", "", to=FOREIGN, method="echo").message
        for number in (1400, 1404, 1500, 1501, 1502, 1503, 1504, 1505, 1999)
    }
    assert all(one.isprintable() for one in told), told


@pytest.mark.parametrize("how", ["leave", "aclose"])
async def test_a_call_gives_up_when_the_session_ends(room: RoomSession, how: str) -> None:
    calling = asyncio.ensure_future(room.call("silent", to="ben"))
    await settle()
    await getattr(room, how)()
    assert (await failure(calling)).code is CONFLICT
    assert (await failure(room.call("echo", to="ben"))).code is CONFLICT


async def test_calls_under_way_are_bounded_and_a_cancelled_one_makes_room(
    room: RoomSession,
) -> None:
    calls = [asyncio.ensure_future(room.call("silent", to="ben")) for _ in range(MAX_CALLS)]
    await settle()
    assert (await failure(room.call("echo", to="ben"))).reason is ConflictReason.BUSY
    calls[0].cancel()
    await settle()
    assert await room.call("echo", "x", to="ben") == "x"


async def test_a_call_whose_caller_is_cancelled_ends_at_the_port(
    room: RoomSession, fake: FakeRoom
) -> None:
    ended: list[str] = []

    async def waits(request: MethodRequest) -> str:
        try:
            return await silent(request)
        finally:
            ended.append(request.method)

    fake.methods.others["waits"] = waits
    calling = asyncio.ensure_future(room.call("waits", to="ben"))
    await settle()
    assert ended == []
    calling.cancel()
    await settle()
    assert ended == ["waits"]


@pytest.mark.parametrize(
    ("method", "payload", "to", "timeout"),
    [
        ("", "", "ben", 1),
        ("x" * 65, "", "ben", 1),
        ("x", "\ud800", "ben", 1),
        ("x", "y" * 1_000_001, "ben", 1),
        ("x", b"", "ben", 1),
        ("x", "", "", 1),
        ("x", "", "ben", 0),
        ("x", "", "ben", float("nan")),
    ],
)
async def test_what_cannot_be_asked_is_refused(
    room: RoomSession, method: str, payload: str, to: str, timeout: float
) -> None:
    refused = await failure(room.call(method, payload, to=to, timeout=timeout))
    assert refused.code is UTDErrorCode.VALIDATION


async def test_what_a_method_returns_or_raises_reaches_its_caller(
    room: RoomSession, fake: FakeRoom, caplog: pytest.LogCaptureFixture
) -> None:
    async def judge(invocation: MethodInvocation) -> str:
        match invocation.payload:
            case "typed":
                raise UTDStreamException("not you", code=UTDErrorCode.FORBIDDEN)
            case "own":
                raise MethodFailed("mine", number=7, data="more")
            case "bug":
                raise KeyError("a secret")
            case "late":
                raise TimeoutError
            case "no exception":
                raise BaseException("neither an Exception nor an interrupt")
            case "no text":
                return 7  # type: ignore[return-value] # what is tested
            case "too long":
                return "x" * (MAX_PAYLOAD + 1)
            case "cancelled":
                part = asyncio.ensure_future(asyncio.sleep(0))
                part.cancel()
                await part
            case "ends itself" | "ends itself late":
                me = asyncio.current_task()
                assert me is not None
                me.cancel()
                await asyncio.sleep(0) if invocation.payload == "ends itself" else None
        return invocation.caller + invocation.payload

    room.serve("judge", judge)
    invoke = fake.methods.invoke
    assert await invoke("judge", "!") == "ben!"
    assert (await failure(invoke("judge", "typed"))).code is UTDErrorCode.FORBIDDEN
    own = await failure(invoke("judge", "own"))
    assert isinstance(own, MethodFailed)
    assert (own.number, own.data) == (7, "more")
    with caplog.at_level(logging.ERROR):
        for bug in BUGS:
            unsaid = await failure(invoke("judge", bug))
            assert isinstance(unsaid, MethodFailed)
            assert (unsaid.code, "secret" in str(unsaid)) == (UTDErrorCode.SERVER, False)
    for told in (
        "raised: KeyError",
        "by BaseException",
        "is a str, not int",
        "at most 1000000",
        "CancelledError",
    ):
        assert told in caplog.text


def test_a_method_that_takes_too_long_is_cancelled() -> None:
    async def main() -> None:
        fake, ended = FakeRoom("me"), asyncio.Event()

        async def slow(invocation: MethodInvocation) -> str:
            try:
                return str(await asyncio.get_running_loop().create_future())
            finally:
                ended.set()

        async with RoomSession(URL, TOKEN, room=fake) as session:
            await session.join()
            session.serve("slow", slow)
            late = await failure(fake.methods.invoke("slow", timeout=3))
            assert late.code is UTDErrorCode.TIMEOUT
            assert ended.is_set()

    run_virtual(main())


def until_cancelled(ended: list[str]) -> Callable[[MethodInvocation], Awaitable[str]]:
    """Return a method that never answers, and enters its caller when it is cancelled."""

    async def slow(invocation: MethodInvocation) -> str:
        try:
            return str(await asyncio.get_running_loop().create_future())
        finally:
            ended.append(invocation.caller)

    return slow


async def test_a_method_is_cancelled_when_its_caller_leaves_or_the_session_does(
    room: RoomSession, fake: FakeRoom
) -> None:
    ended: list[str] = []

    room.serve("slow", until_cancelled(ended))
    asked = [
        asyncio.ensure_future(fake.methods.invoke("slow", caller=who)) for who in ("ben", "cy")
    ]
    await settle()
    fake.emit(ParticipantDisconnected("ben"))
    await settle()
    assert ended == ["ben"]
    await room.leave()
    await settle()
    assert ended == ["ben", "cy"]
    for one in asked:
        one.cancel()


@pytest.mark.parametrize("is_moved", [False, True])
async def test_what_comes_back_ends_calls_with_those_who_left_and_not_with_who_was_never_seen(
    room: RoomSession, fake: FakeRoom, is_moved: bool
) -> None:
    ended: list[str] = []

    room.serve("slow", until_cancelled(ended))
    people = ("ben", "cy", "hidden")
    fake.emit(ParticipantConnected(RemoteParticipant("cy")))
    await settle()
    calls = [asyncio.ensure_future(room.call("silent", to=who)) for who in people]
    asked = [asyncio.ensure_future(fake.methods.invoke("slow", caller=who)) for who in people]
    await settle()
    here = RoomSnapshot("room", LocalParticipant("me"), remotes=(RemoteParticipant("cy"),))
    fake.emit(RoomMoved(here) if is_moved else Reconnected(here))
    await settle()
    assert ended == ["ben"]
    assert [call.done() for call in calls] == [True, False, False]
    assert (await failure(calls[0])).code is NOT_FOUND
    for one in (*calls[1:], *asked):
        one.cancel()


async def test_who_calls_too_often_is_refused_and_others_are_served(
    room: RoomSession, fake: FakeRoom
) -> None:
    async def slow(invocation: MethodInvocation) -> str:
        if invocation.caller == "ben":
            await asyncio.get_running_loop().create_future()
        return "served"

    room.serve("slow", slow)
    asked = [asyncio.ensure_future(fake.methods.invoke("slow")) for _ in range(MAX_OF_ONE)]
    await settle()
    assert (await failure(fake.methods.invoke("slow"))).code is UTDErrorCode.RATE_LIMITED
    assert await fake.methods.invoke("slow", caller="cy") == "served"
    for one in asked:
        one.cancel()


async def test_calls_of_all_that_are_served_are_bounded(room: RoomSession, fake: FakeRoom) -> None:
    async def slow(invocation: MethodInvocation) -> str:
        return str(await asyncio.get_running_loop().create_future())

    room.serve("slow", slow)
    callers = [f"p{number // MAX_OF_ONE}" for number in range(MAX_CALLS)]
    asked = [asyncio.ensure_future(fake.methods.invoke("slow", caller=who)) for who in callers]
    await settle()
    assert not any(one.done() for one in asked)
    refused = await failure(fake.methods.invoke("slow", caller="another"))
    assert refused.code is UTDErrorCode.RATE_LIMITED
    for one in asked:
        one.cancel()


async def test_a_method_is_served_once_until_it_is_disposed_of(
    room: RoomSession, fake: FakeRoom
) -> None:
    async def greet(invocation: MethodInvocation) -> str:
        return "hello"

    serving = room.serve("greet", greet)
    with pytest.raises(UTDStreamException) as twice:
        room.serve("greet", greet)
    assert twice.value.reason is ConflictReason.ALREADY
    assert await fake.methods.invoke("greet") == "hello"
    serving.dispose()
    assert (await failure(fake.methods.invoke("greet"))).code is NOT_FOUND
    room.serve("greet", greet)
    room.serve("plain", lambda invocation: invocation.payload.upper())
    assert await fake.methods.invoke("plain", "hello") == "HELLO"
    with pytest.raises(UTDStreamException, match="a function of"):
        room.serve("other", "no function")  # type: ignore[arg-type] # what is tested
