"""A lost connection is made anew for a minute, by a clock that no reconnect has to move."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from attrs import evolve

from tests.sessions.stage import LoopClock, Stage
from tests.sessions.watching import settle
from tests.state.virtual import run
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.connection import DisconnectReason, UTDConnectionState
from utd_rx.models.events import Reconnected, Reconnecting, RoomEvent
from utd_rx.models.participant import RemoteParticipant
from utd_rx.models.token import UTDTokenResponse
from utd_rx.protocol.wire.seats import grid_to_push

S = UTDConnectionState
UNREACHABLE = UTDStreamException("unreachable", code=UTDErrorCode.NETWORK)


class Outage(Stage):
    """A stage on virtual time whose network goes away."""

    def __init__(self) -> None:
        super().__init__(clock=LoopClock(asyncio.get_running_loop()))
        self.attempts: list[float] = []
        self.error: UTDStreamException | None = UNREACHABLE
        connect = self.room.connect

        async def attempt(url: str, token: str, **options: Any) -> object:
            self.attempts.append(asyncio.get_running_loop().time() - self.down_at)
            self.room.connect_error = self.error
            return await connect(url, token, **options)

        self.attempt = attempt

    async def go_down(self) -> None:
        """LiveKit tries for 26 s, then it gives up."""
        self.down_at = asyncio.get_running_loop().time()
        self.room.connect = self.attempt  # type: ignore[method-assign, assignment] # a bad network
        self.room.emit(Reconnecting())
        await asyncio.sleep(26)
        self.room.lose(DisconnectReason.UNKNOWN)
        await settle()


def on_stage(test: Callable[[Outage], Awaitable[None]]) -> None:
    async def play() -> None:
        stage = Outage()
        async with stage.session as session:
            ana = RemoteParticipant("ana")
            stage.room.snapshot = evolve(stage.room.snapshot, remotes=(ana,))
            await session.join()
            await test(stage)

    run(play())


def test_without_a_network_the_exit_is_forced_after_sixty_seconds() -> None:
    async def story(stage: Outage) -> None:
        states: list[S] = []
        stage.session.connection_state.subscribe(states.append)
        await stage.go_down()
        await stage.session.connection_state.until(S.FORCE_EXIT, timeout=100)
        assert 59.9 < asyncio.get_running_loop().time() - stage.down_at < 60.1
        assert states == [S.CONNECTED, S.RECONNECTING, S.FORCE_EXIT]
        assert 6 <= len(stage.attempts) <= 40
        failure = stage.session.failure.value
        assert failure is not None
        assert failure.code is UTDErrorCode.TIMEOUT
        before = len(stage.attempts)
        await asyncio.sleep(30)
        assert len(stage.attempts) == before

    on_stage(story)


def test_when_the_network_is_back_everything_is_and_nobody_flickered() -> None:
    async def story(stage: Outage) -> None:
        session, room = stage.session, stage.room
        await session.take_seat(0)
        people: list[int] = []
        session.remote_participants.subscribe(lambda listed: people.append(len(listed)))
        events: list[RoomEvent] = []
        session.events.subscribe(events.append)
        await stage.go_down()
        await asyncio.sleep(10)
        assert not session.microphone_enabled.value
        assert session.my_seat.value is not None
        # The token is older than the seat: the grant comes after the connection.
        local = room.snapshot.local
        unseated = evolve(local, permission=evolve(local.permission, can_publish=False))
        metadata = json.dumps({"_seats": grid_to_push(stage.engine.grid)})
        room.snapshot = evolve(room.snapshot, local=unseated, metadata=metadata)
        stage.error = None
        await session.connection_state.until(S.CONNECTED, timeout=20)
        assert any(isinstance(event, Reconnected) for event in events)
        assert not session.microphone_enabled.value
        room.grant(can_publish=True)
        await session.microphone_enabled.until(True, timeout=20)
        assert people == [1]
        assert stage.engine.mints == 1

    on_stage(story)


async def publishing(stage: Outage) -> asyncio.Future[None]:
    """Sit down, and switch on a microphone that takes its time."""
    await stage.session.take_seat(0, microphone=False)
    metadata = json.dumps({"_seats": grid_to_push(stage.engine.grid)})
    stage.room.snapshot = evolve(stage.room.snapshot, metadata=metadata)
    stage.room.gate.clear()
    switching = asyncio.ensure_future(stage.session.set_microphone(True))
    await settle()
    return switching


def test_a_publication_that_an_outage_ends_is_waited_for() -> None:
    async def story(stage: Outage) -> None:
        switching = await publishing(stage)
        stage.room.lose(DisconnectReason.UNKNOWN)
        await settle()
        assert not switching.done()
        again = asyncio.ensure_future(stage.session.set_microphone(True))
        stage.room.gate.set()
        await asyncio.gather(switching, again)
        assert stage.session.microphone_enabled.value

    on_stage(story)


def test_what_an_outage_let_time_out_is_not_heard_later() -> None:
    async def story(stage: Outage) -> None:
        switching = await publishing(stage)
        stage.room.lose(DisconnectReason.UNKNOWN)
        with pytest.raises(UTDStreamException) as raised:
            await switching
        assert raised.value.code is UTDErrorCode.TIMEOUT
        stage.room.gate.set()
        await stage.session.connection_state.until(S.CONNECTED, timeout=20)
        assert stage.session.can_publish.value
        await asyncio.sleep(20)
        assert not stage.session.microphone_enabled.value

    on_stage(story)


def test_switching_off_in_an_outage_needs_no_waiting() -> None:
    async def story(stage: Outage) -> None:
        switching = await publishing(stage)
        stage.room.lose(DisconnectReason.UNKNOWN)
        await settle()
        await stage.session.set_microphone(False)
        with pytest.raises(UTDStreamException) as raised:
            await switching
        assert raised.value.code is UTDErrorCode.CONFLICT

    on_stage(story)


def test_leaving_in_an_outage_ends_the_wait_and_says_so() -> None:
    async def story(stage: Outage) -> None:
        switching = await publishing(stage)
        stage.room.lose(DisconnectReason.UNKNOWN)
        await settle()
        await stage.session.leave()
        with pytest.raises(UTDStreamException) as raised:
            await switching
        assert raised.value.code is UTDErrorCode.CONFLICT
        stage.room.gate.set()

    on_stage(story)


@pytest.mark.parametrize(
    ("code", "attempts"), [(UTDErrorCode.UNAUTHORIZED, 2), (UTDErrorCode.NOT_FOUND, 1)]
)
def test_a_refusal_ends_the_attempts_and_of_a_token_that_of_a_fresh_one(
    code: UTDErrorCode, attempts: int
) -> None:
    async def story(stage: Outage) -> None:
        stage.error = UTDStreamException("no", code=code)
        await stage.go_down()
        assert stage.session.connection_state.value is S.DISCONNECTED
        assert stage.session.failure.value is stage.error
        assert len(stage.attempts) == attempts
        assert stage.engine.mints == attempts

    on_stage(story)


def test_a_token_that_ended_in_an_outage_is_minted_anew() -> None:
    async def story(stage: Outage) -> None:
        stage.error = UTDStreamException("expired", code=UTDErrorCode.UNAUTHORIZED)
        mint = stage.engine.mint

        async def mint_good() -> UTDTokenResponse:
            stage.error = None
            return await mint()

        stage.engine.mint = mint_good  # type: ignore[method-assign]
        await stage.go_down()
        await stage.session.connected.until(True, timeout=5)
        assert stage.room.tokens == ["token1", "token2"]

    on_stage(story)


def test_a_later_call_for_the_same_outlives_an_earlier_one_that_gives_up() -> None:
    async def story(stage: Outage) -> None:
        await stage.session.take_seat(0)
        metadata = json.dumps({"_seats": grid_to_push(stage.engine.grid)})
        stage.room.snapshot = evolve(stage.room.snapshot, metadata=metadata)
        await stage.go_down()
        first = asyncio.ensure_future(stage.session.set_microphone(True))
        await asyncio.sleep(14)
        second = asyncio.ensure_future(stage.session.set_microphone(True))
        await asyncio.sleep(2)
        with pytest.raises(UTDStreamException) as raised:
            await first
        assert raised.value.code is UTDErrorCode.TIMEOUT
        stage.error = None
        await second
        assert stage.session.microphone_enabled.value

    on_stage(story)


@pytest.mark.parametrize("was_on", [True, False])
@pytest.mark.parametrize(
    ("words", "given_up", "is_on"),
    [
        ([(0, True), (16, True)], [True, False], True),
        ([(0, True)], [True], None),
        ([(0, True), (1, True)], [True, True], None),
        ([(4, False), (6, True)], [False, False], True),
        ([(1, False), (2, True), (4, False)], [False, True, False], False),
        ([(19, True)], [False], True),
    ],
)
def test_words_in_an_outage_wait_and_each_that_gives_up_takes_back_its_own(
    was_on: bool, words: list[tuple[float, bool]], given_up: list[bool], is_on: bool | None
) -> None:
    async def story(stage: Outage) -> None:
        await stage.session.take_seat(0, microphone=was_on)
        metadata = json.dumps({"_seats": grid_to_push(stage.engine.grid)})
        stage.room.snapshot = evolve(stage.room.snapshot, metadata=metadata)
        stage.room.gate.clear()
        stage.room.lose(DisconnectReason.UNKNOWN)
        await settle()
        lost_at, said = asyncio.get_running_loop().time(), []
        for at, enabled in words:
            await asyncio.sleep(lost_at + at - asyncio.get_running_loop().time())
            said.append(asyncio.ensure_future(stage.session.set_microphone(enabled)))
            await settle()
            assert said[-1].done() is not enabled
        await asyncio.sleep(lost_at + 20 - asyncio.get_running_loop().time())
        stage.room.gate.set()
        errors = await asyncio.gather(*said, return_exceptions=True)
        assert [error is not None for error in errors] == given_up
        await stage.session.can_publish.until(True, timeout=1)
        await settle()
        assert stage.session.microphone_enabled.value is (was_on if is_on is None else is_on)

    on_stage(story)


@pytest.mark.parametrize("there", [{"me": '{"_mint": 7}'}, {}], ids=["it is there", "it left"])
def test_who_is_displaced_by_an_older_join_takes_the_place_again(there: dict[str, str]) -> None:
    async def story(stage: Outage) -> None:
        local = evolve(stage.room.snapshot.local, metadata='{"_mint": 9}')
        stage.room.snapshot = evolve(stage.room.snapshot, local=local)
        await stage.session.leave()
        await stage.session.join()
        stage.engine.metadata = there
        stage.room.lose(DisconnectReason.DUPLICATE_IDENTITY)
        await stage.session.connected.until(False, timeout=5)
        await stage.session.connected.until(True, timeout=5)
        assert stage.session.failure.value is None

    on_stage(story)


@pytest.mark.parametrize("there", [{"me": '{"_mint": 12}'}, {"me": ""}])
def test_who_is_displaced_by_a_later_join_ends_and_says_by_what(there: dict[str, str]) -> None:
    async def story(stage: Outage) -> None:
        local = evolve(stage.room.snapshot.local, metadata='{"_mint": 9}')
        stage.room.snapshot = evolve(stage.room.snapshot, local=local)
        await stage.session.leave()
        await stage.session.join()
        stage.engine.metadata = there
        stage.room.lose(DisconnectReason.DUPLICATE_IDENTITY)
        await stage.session.connection_state.until(S.DISCONNECTED, timeout=5)
        failure = stage.session.failure.value
        assert failure is not None
        assert failure.reason is ConflictReason.REPLACED
        assert len(stage.room.tokens) == 2

    on_stage(story)


def test_leaving_in_an_outage_leaves_and_joining_again_works() -> None:
    async def story(stage: Outage) -> None:
        await stage.go_down()
        stage.room.gate.clear()
        await asyncio.sleep(2)
        await stage.session.leave()
        assert not stage.session.connected.value
        stage.room.gate.set()
        await settle()
        assert not stage.room.is_connected
        stage.error = None
        await stage.session.join()
        await asyncio.sleep(100)
        assert stage.session.connection_state.value is S.CONNECTED
        assert stage.room.is_connected

    on_stage(story)


def test_a_join_at_once_after_a_forced_exit_waits_until_the_room_has_left() -> None:
    async def story(stage: Outage) -> None:
        session, room = stage.session, stage.room
        disconnect = room.disconnect

        async def slow() -> None:
            """The network is gone, so leaving takes its time."""
            await asyncio.sleep(3)
            await disconnect()

        room.disconnect = slow  # type: ignore[method-assign] # a bad network
        room.emit(Reconnecting())
        await session.connection_state.until(S.FORCE_EXIT, timeout=100)
        await session.join()
        await asyncio.sleep(30)
        assert session.connected.value
        assert room.is_connected

    on_stage(story)


def test_a_removal_during_the_attempts_is_final() -> None:
    async def story(stage: Outage) -> None:
        await stage.go_down()
        stage.error = None
        await stage.session.connection_state.until(S.CONNECTED, timeout=20)
        stage.room.lose(DisconnectReason.PARTICIPANT_REMOVED)
        await settle()
        assert stage.session.connection_state.value is S.DISCONNECTED

    on_stage(story)
