"""What a bot is written with: pairs that are never torn, events by type, commands for values."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex as rx
from attrs import evolve
from reactivex import operators as ops

from tests.sessions.stage import LoopClock, Stage
from tests.sessions.test_chat import chat_of
from tests.sessions.watching import settle
from tests.state.virtual import run
from utd_rx import UTDStreamException, perform
from utd_rx.models.chat import ChatMessage
from utd_rx.models.events import (
    ActiveSpeakersChanged,
    ParticipantConnected,
    RoomEvent,
    TrackEvent,
    TrackMuted,
)
from utd_rx.models.participant import RemoteParticipant, TrackKind, TrackPublication, TrackSource
from utd_rx.models.seats import UTDSeat, UTDSeatGrid


def turned(pair: Any) -> Any:
    return pair[1], pair[0]


async def test_a_bot_never_acts_on_a_pair_that_was_not(joined: Stage) -> None:
    session = joined.session
    greeted: list[tuple[str, int]] = []

    def greet(pair: tuple[tuple[RemoteParticipant, ...], tuple[str, ...]]) -> None:
        people, speakers = pair
        here = {who.identity for who in people}
        greeted.extend((who, len(here)) for who in speakers)
        assert set(speakers) <= here, "somebody speaks who is not here"

    failures: list[Exception] = []
    pairs = rx.combine_latest(session.remote_participants, session.active_speakers)
    pairs.pipe(ops.do_action(greet)).subscribe(on_error=failures.append)
    session.active_speakers.pipe(
        ops.with_latest_from(session.remote_participants),
        ops.map(turned),
        ops.do_action(greet),
    ).subscribe(on_error=failures.append)
    joined.room.emit(
        ParticipantConnected(RemoteParticipant("ana")), ActiveSpeakersChanged(("ana",))
    )
    await settle()
    assert (greeted, failures) == ([("ana", 1)] * 2, [])


async def test_a_seat_is_never_mine_without_being_mine_in_the_grid(joined: Stage) -> None:
    session, seen, failures = joined.session, list[int | None](), list[Exception]()

    def check(pair: tuple[UTDSeatGrid, UTDSeat | None]) -> None:
        grid, mine = pair
        assert mine == grid.seat_of("me")
        seen.append(None if mine is None else mine.index)

    for pairs in (
        rx.combine_latest(session.seats, session.my_seat),
        session.seats.pipe(ops.with_latest_from(session.my_seat)),
    ):
        pairs.pipe(ops.do_action(check)).subscribe(on_error=failures.append)
    await session.take_seat(1)
    await session.leave_seat()
    assert (seen, failures) == ([None, None, 1, 1, None, None], [])


async def test_events_by_type_and_by_what_types_have_in_common(joined: Stage) -> None:
    come: list[str] = []
    tracks: list[RoomEvent] = []
    joined.session.on(ParticipantConnected).subscribe(
        lambda event: come.append(event.participant.identity)
    )
    joined.session.on(TrackEvent).subscribe(tracks.append)
    track = TrackPublication("TR_1", "", TrackKind.AUDIO, TrackSource.MICROPHONE)
    muted = TrackMuted("ana", evolve(track, is_muted=True))
    ana = RemoteParticipant("ana", tracks=(track,))
    joined.room.emit(ParticipantConnected(ana), muted)
    await settle()
    assert (come, tracks) == (["ana"], [muted])
    with pytest.raises(UTDStreamException, match="takes a type of events"):
        joined.session.on(muted)  # type: ignore[arg-type] # what the test is about


async def test_each_chat_message_comes_once_to_who_listens_then(joined: Stage) -> None:
    chat, log = joined.session.chat, list[Any]()
    joined.room.push(chat_of("before", "0"), sender="ana")
    await settle()
    chat.messages.subscribe(lambda message: log.append(message.text), on_completed=log.clear)
    joined.room.push(chat_of("one", "1"), sender="ana")
    joined.room.push(chat_of("one", "1"), sender="ana")
    joined.room.push(chat_of("two", "2"), sender="ben")
    await settle()
    await chat.send("mine")
    assert log == ["one", "two", "mine"]
    for n in range(301):  # the history keeps 300
        joined.room.push(chat_of(str(n), f"n{n}"), sender="ana")
        await settle()
    assert log[3:] == [str(n) for n in range(301)]
    await joined.session.aclose()
    assert log == []


async def test_an_observer_of_messages_that_raises_hears_the_next_of_the_same_turn(
    joined: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def answer(message: ChatMessage) -> None:
        seen.append(message.text)
        raise ValueError("mine")

    joined.session.chat.messages.subscribe(answer)
    for n in "ab":
        joined.room.push(chat_of(n, n), sender="ana")
    await settle()
    assert seen == ["a", "b"]
    where = f"{__name__}.{answer.__qualname__}"
    what = f"an observer of chat.messages raised: ValueError in {where}"
    assert [message.split(" (")[0] for message in caplog.messages] == [what] * 2


def test_who_speaks_for_long_is_told_once_and_a_breath_is_no_end() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        stage = Stage(clock=LoopClock(loop))
        async with stage.session as session:
            await session.join()
            told: list[tuple[str, float]] = []

            async def warn(who: str) -> None:
                told.append((who, round(loop.time() - began, 1)))

            session.speaking_for("ana", 10).pipe(perform(warn)).subscribe()
            began = loop.time()
            for speakers, seconds in (
                (["ana"], 6.0),
                ([], 0.5),
                (["ana", "ben"], 8.0),
                ([], 2.0),
                (["ana"], 9.0),
                (["ben"], 20.0),
            ):
                stage.room.emit(ActiveSpeakersChanged(tuple(speakers)))
                await asyncio.sleep(seconds)
            assert told == [("ana", 10.0)]
            with pytest.raises(UTDStreamException, match="identity"):
                session.speaking_for("", 10)

    run(main())


def test_a_moderator_mutes_whoever_speaks_for_a_minute() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        stage = Stage(clock=LoopClock(loop), is_host=True)
        muted: list[tuple[str, float]] = []

        async def mute(identity: str) -> None:
            muted.append((identity, loop.time() - began))

        async with stage.session as session:
            (
                session.remote_participants.flat_map(
                    lambda people: rx.from_iterable(who.identity for who in people)
                )
                .distinct()
                .flat_map(lambda identity: session.speaking_for(identity, 60))
                .pipe(perform(mute))
                .subscribe()
            )
            await session.join()
            began = loop.time()
            for who in ("ana", "ben"):
                stage.room.emit(
                    ParticipantConnected(RemoteParticipant(who)),
                    ActiveSpeakersChanged(("ana", who)),
                )
                await asyncio.sleep(40)
            stage.room.emit(ActiveSpeakersChanged(("ben",)))
            await asyncio.sleep(100)
        assert [(who, round(at)) for who, at in muted] == [("ana", 60), ("ben", 100)]

    run(main())
