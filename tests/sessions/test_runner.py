"""A session stays on its loop and goes by what was committed, whatever other threads do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from attrs import evolve

from tests.sessions.stage import Stage
from tests.sessions.watching import settle
from utd_rx.models import events as e
from utd_rx.models.participant import RemoteParticipant
from utd_rx.protocol import audio_room
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.facts import Effects
from utd_rx.protocol.facts.calls import FetchCall
from utd_rx.protocol.facts.connection import DeadlinePassed, Rejoin
from utd_rx.protocol.kinds import AUDIO_ROOM
from utd_rx.protocol.waiting import EndWait
from utd_rx.sessions.runner import Runner
from utd_rx.sessions.views import AudioRoomView
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.room import FakeRoom


class Visitor:
    """Another thread that subscribes, and is slow to take its first value."""

    def __init__(self, stage: Stage) -> None:
        self._entered, self._go_on = threading.Event(), threading.Event()
        self._thread = threading.Thread(
            target=stage.session.connected.subscribe, args=(self._take,), daemon=True
        )
        self._thread.start()
        assert self._entered.wait(10)

    def _take(self, _: bool) -> None:
        if threading.current_thread() is self._thread:
            self._entered.set()
            assert self._go_on.wait(10)

    async def leave(self) -> None:
        self._go_on.set()
        await asyncio.to_thread(self._thread.join, 10)


@pytest.fixture
async def threads(stage: Stage) -> AsyncIterator[set[int]]:
    """On which threads observers are called."""
    threads: set[int] = set()
    for stream in (stage.session.connected, stage.session.state):
        stream.subscribe(lambda _: threads.add(threading.get_ident()))
    yield threads
    assert threads == {threading.get_ident()}


async def test_a_join_that_is_not_published_yet_is_no_join_that_was_left(
    stage: Stage, threads: set[int]
) -> None:
    visitor = Visitor(stage)
    joining = asyncio.ensure_future(stage.session.join())
    await settle()
    assert not joining.done()
    await visitor.leave()
    async with asyncio.timeout(10):
        await joining
    assert stage.session.connected.value


async def test_a_left_room_can_be_joined_before_leaving_is_published(
    joined: Stage, threads: set[int]
) -> None:
    visitor = Visitor(joined)
    await joined.session.leave()
    joining = asyncio.ensure_future(joined.session.join())
    await settle()
    await visitor.leave()
    async with asyncio.timeout(10):
        await joining
    assert joined.session.connected.value


async def test_effects_are_carried_out_though_another_thread_published_them(
    joined: Stage, threads: set[int]
) -> None:
    await joined.session.take_seat(0, microphone=False)
    visitor = Visitor(joined)
    switching = asyncio.ensure_future(joined.session.set_microphone(True))
    await settle()
    assert not switching.done()  # nor taken for done by what was published before it
    await visitor.leave()
    async with asyncio.timeout(10):
        await switching
    assert joined.session.microphone_enabled.value


async def test_what_an_apps_own_error_says_is_in_no_state(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def mint() -> None:
        raise LookupError("s3cr3t")

    monkeypatch.setattr(stage.engine, "mint", mint)
    with pytest.raises(LookupError, match="s3cr3t"):
        await stage.session.join()
    failure = stage.session.failure.value
    assert failure is not None
    assert failure.message == "joining failed: LookupError"
    assert isinstance(failure.__cause__, LookupError)


async def test_a_fact_that_cannot_be_folded_takes_nothing_else_of_its_turn_with_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def step(state: AudioRoomState, fact: object, now: float) -> tuple[AudioRoomState, Effects]:
        if isinstance(fact, e.DataReceived):
            raise OverflowError("int too large to convert to float")
        return audio_room.step(state, fact, now)

    monkeypatch.setattr(AudioRoomView, "kind", evolve(AUDIO_ROOM, rules=step))
    stage = Stage()
    async with stage.session as session:
        await session.join()
        people = [RemoteParticipant(name) for name in ("ana", "ben", "cleo")]
        stage.room.emit(*(e.ParticipantConnected(who) for who in people[:2]))
        stage.room.push(b"1", sender="ana")
        stage.room.emit(e.ParticipantConnected(people[2]))
        await settle()
        there = session.remote_participants.value
    assert [who.identity for who in there] == ["ana", "ben", "cleo"]
    assert "the step of a DataReceived, now dropped, raised: OverflowError" in caplog.text


async def test_a_deadline_that_has_passed_is_told_once_though_it_is_not_published() -> None:
    stage = Stage()
    async with stage.session as session:
        await session.join()
        stage.room.emit(e.Reconnecting())
        await settle()
        visitor = Visitor(stage)
        heard: list[object] = []
        session._machine.on_commit(lambda at, items: heard.extend(items))
        stage.clock.advance(1_000.0)
        await settle()
        assert heard == [DeadlinePassed()]
        await visitor.leave()


async def test_what_is_published_only_after_the_close_starts_no_more_effects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage()
    async with stage.session as session:
        await session.join()
        await session.take_seat(0)
        visitor = Visitor(stage)
        stage.room.grant(can_publish=False)
        await settle()
    ended = asyncio.Event()
    session.connected.subscribe(None, None, ended.set)
    await visitor.leave()
    async with asyncio.timeout(10):
        await ended.wait()
    assert stage.room.tracks == ()


@pytest.mark.parametrize("wrong", [FetchCall, Rejoin])
async def test_every_effect_has_a_handler_and_every_handler_an_effect(wrong: type) -> None:
    async def handle(_: object) -> None:
        raise AssertionError

    room, begun = FakeRoom("me"), AUDIO_ROOM.begin("me", False)
    runner = Runner(AUDIO_ROOM, begun, lambda: "room", room=room, clock=FakeClock(100.0))
    handlers = dict.fromkeys(set(AUDIO_ROOM.effects) - {EndWait} ^ {wrong}, handle)
    with pytest.raises(TypeError, match=wrong.__name__):
        runner.start(handlers)
    await runner.aclose()
