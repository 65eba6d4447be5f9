"""One rule for calls from a foreign loop or thread, and the bridge for them."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Any, assert_type

import pytest
from attrs import frozen

from tests.agent.stage import AgentStage
from tests.sessions.call_stage import CallStage
from tests.sessions.live_stage import LiveStage
from tests.sessions.stage import Stage
from tests.sessions.watching import settle
from utd_rx import (
    FromThread,
    LoopThread,
    UTDErrorCode,
    UTDSeatGrid,
    UTDStreamClient,
    UTDStreamException,
)
from utd_rx.engine import LocalEngine
from utd_rx.errors import ConflictReason
from utd_rx.models.events import DataReceived, ParticipantConnected
from utd_rx.models.participant import RemoteParticipant


@frozen
class Belonging:
    """What a loop owns, and how it ends there."""

    owned: object
    aclose: Callable[[], Awaitable[None]]


async def audio_room() -> Belonging:
    session = Stage().session
    return Belonging(session, session.aclose)


async def chat() -> Belonging:
    session = Stage().session
    return Belonging(session.chat, session.aclose)


async def live_stream() -> Belonging:
    session = LiveStage().session
    return Belonging(session, session.aclose)


async def call() -> Belonging:
    session = CallStage().session
    return Belonging(session, session.aclose)


async def agent() -> Belonging:
    session = AgentStage().session
    return Belonging(session, session.aclose)


async def client() -> Belonging:
    made = UTDStreamClient("1", "k")
    await made.aclose()  # of this loop from now on
    return Belonging(made, made.aclose)


def commands_of(owned: object) -> list[Callable[[], Awaitable[object]]]:
    """Every async method that is public, each called with something for what it must have."""

    def called(method: Callable[..., Awaitable[object]]) -> Callable[[], Awaitable[object]]:
        parameters = inspect.signature(method).parameters.values()
        must = [one.name for one in parameters if one.default is one.empty and one.kind < 2]
        return lambda: method(*must)

    methods = inspect.getmembers(owned, inspect.iscoroutinefunction)
    return [called(method) for name, method in methods if not name.startswith("_")]


def reason_of(run: Callable[[], object]) -> ConflictReason | None:
    with pytest.raises(UTDStreamException) as raised:
        run()
    assert raised.value.code is UTDErrorCode.CONFLICT
    return raised.value.reason


def step(command: Callable[[], Awaitable[object]]) -> None:
    """Begin a command where no loop runs, as on a plain thread."""
    command().__await__().__next__()


@pytest.mark.parametrize("make", [audio_room, chat, live_stream, call, agent, client])
async def test_a_command_elsewhere_is_refused_at_once(
    make: Callable[[], Awaitable[Belonging]],
) -> None:
    made = await make()
    commands = commands_of(made.owned)
    assert commands

    async def begin(command: Callable[[], Awaitable[object]]) -> None:
        await command()

    def elsewhere() -> set[ConflictReason | None]:
        without = {reason_of(partial(step, command)) for command in commands}
        with asyncio.Runner() as runner:

            def run(command: Callable[[], Awaitable[object]]) -> None:
                runner.run(begin(command))

            return without | {reason_of(partial(run, command)) for command in commands}

    assert await asyncio.to_thread(elsewhere) == {ConflictReason.FOREIGN_LOOP}
    await made.aclose()


async def test_a_client_whose_closing_was_refused_elsewhere_is_closed_where_it_joined() -> None:
    async with LocalEngine() as engine:
        made = UTDStreamClient(**engine.credentials)
        async with await made.join_audio_room("ana", "lobby", as_host=True, seat_count=2):
            closing = partial(asyncio.run, made.aclose())
            reason = await asyncio.to_thread(reason_of, closing)
            assert reason is ConflictReason.FOREIGN_LOOP
        await made.aclose()


async def test_one_subscribes_anywhere_and_hears_on_the_loop(joined: Stage) -> None:
    session, home = joined.session, threading.get_ident()
    heard: list[tuple[str, bool]] = []

    def note(what: str) -> Callable[[object], None]:
        return lambda _: heard.append((what, threading.get_ident() == home))

    def elsewhere() -> None:
        session.remote_participants.subscribe(note("state"))
        session.events.subscribe(note("event"))
        session.data.subscribe(note("data"))
        session.audio("ana").subscribe(note("sound")).dispose()

    await asyncio.to_thread(elsewhere)
    assert heard == [("state", False)]
    heard.clear()
    joined.room.emit(ParticipantConnected(RemoteParticipant("ana")))
    joined.room.emit(DataReceived(b"hi", "ana"))
    await settle()
    assert set(heard) == {("state", True), ("event", True), ("data", True)}


async def test_the_bridge_waits_or_gives_a_future(joined: Stage) -> None:
    session = joined.session

    def elsewhere() -> tuple[object, ConflictReason | None]:
        assert session.from_thread.run(session.take_seat, 0) is None
        session.from_thread.submit(session.move_seat, 2).result()
        grid = assert_type(session.from_thread.run(session.get_seats), UTDSeatGrid)
        assert grid.occupant_of(2) == "me"
        refused = reason_of(lambda: session.from_thread.run(session.join))
        return session.from_thread.run(lambda: threading.get_ident()), refused

    where = await asyncio.to_thread(elsewhere)
    assert where == (threading.get_ident(), ConflictReason.ALREADY)
    assert session.my_seat.value is not None
    assert session.my_seat.value.index == 2


async def test_to_cancel_the_future_is_to_cancel_the_command(joined: Stage) -> None:
    session = joined.session
    joined.engine.grants = False
    taking: Future[None] = session.from_thread.submit(session.take_seat, 1)
    await settle()
    assert session.state.value.waits
    taking.cancel()
    await settle()
    assert session.state.value.waits == ()


async def test_to_wait_on_a_thread_with_a_loop_is_refused(joined: Stage) -> None:
    run = joined.session.from_thread.run
    assert reason_of(lambda: run(joined.session.leave)) is ConflictReason.FOREIGN_LOOP
    assert joined.session.connected.value


def test_a_loop_that_is_over_says_so() -> None:
    loop = asyncio.new_event_loop()
    bridge = FromThread(loop)
    assert reason_of(lambda: bridge.submit(asyncio.sleep, 0)) is ConflictReason.CLOSED
    loop.close()
    assert reason_of(lambda: bridge.run(asyncio.sleep, 0)) is ConflictReason.CLOSED


def test_who_waits_when_the_thread_s_loop_ends_is_told() -> None:
    begun, reasons = threading.Event(), []

    async def wait_for_ever() -> None:
        begun.set()
        await asyncio.Event().wait()

    with LoopThread() as loop:
        waiting = threading.Thread(
            target=lambda: reasons.append(reason_of(lambda: loop.run(wait_for_ever)))
        )
        waiting.start()
        begun.wait()
        left = loop.submit(wait_for_ever)
    waiting.join()
    assert reasons == [ConflictReason.CLOSED]
    with pytest.raises(CancelledError):
        left.result()


def test_a_program_without_a_loop_makes_and_closes_a_session() -> None:
    async def joined() -> Stage:
        stage = Stage()
        await stage.session.join()
        return stage

    seen: list[Any] = []
    with LoopThread() as loop:
        session = loop.run(joined).session
        session.my_seat.subscribe(seen.append)
        loop.run(session.take_seat, 3)
        assert session.my_seat.value is not None
        loop.run(session.aclose)
    assert session.seats.value.occupant_of(3) == "me", "readable when all is over"
    assert [seat and seat.index for seat in seen] == [None, 3]
