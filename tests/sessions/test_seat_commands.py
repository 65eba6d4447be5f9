"""Seat commands return when the state shows them, and raise when it never will."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from attrs import evolve

from tests.sessions.stage import LoopClock, Stage, code_of
from tests.sessions.watching import settle
from tests.state.virtual import run
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.events import ParticipantConnected, TrackMuted, TrackUnmuted
from utd_rx.models.participant import RemoteParticipant, TrackPublication, TrackSource
from utd_rx.models.seats import UTDSeatGrid, UTDSeatMode
from utd_rx.protocol.promises import PUSH_TIMEOUT
from utd_rx.protocol.speakers import GRANT_TIMEOUT


async def test_moving_keeps_what_is_published(joined: Stage) -> None:
    session = joined.session
    await session.take_seat(0)
    on: list[bool] = []
    session.microphone_enabled.subscribe(on.append)
    [track] = joined.room.tracks
    await session.move_seat(3)
    seat = session.my_seat.value
    assert seat is not None
    assert seat.index == 3
    assert (on, joined.room.tracks) == ([True], (track,))


async def test_lock_unlock_and_kick_return_when_the_grid_shows_it(joined: Stage) -> None:
    session, engine = joined.session, joined.engine
    engine.seat(1, "ana")
    engine.seat(2, "ben")
    await settle()
    await session.lock_seat(1)
    assert (session.seats.value.seats[1].is_locked, session.seats.value.seats[1].identity) == (
        True,
        None,
    )
    await session.unlock_seat(1)
    assert not session.seats.value.seats[1].is_locked
    await session.kick_seat(2)
    assert session.seats.value.seats[2].identity is None


async def test_a_refused_command_changes_nothing_and_says_why(joined: Stage) -> None:
    joined.engine.error = UTDStreamException("no", code=UTDErrorCode.FORBIDDEN, status_code=403)
    before = joined.session.state.value
    session = joined.session
    commands = (
        session.move_seat(0),
        session.lock_seat(0),
        session.unlock_seat(0),
        session.kick_seat(0),
        session.request_to_speak(),
        session.approve_speaker(1),
        session.reject_speaker(1),
        session.invite_to_speak("ana"),
    )
    for command in commands:
        with pytest.raises(UTDStreamException) as raised:
            await command
        assert raised.value is joined.engine.error
    assert (session.state.value.seats, session.state.value.session) == (
        before.seats,
        before.session,
    )


@pytest.mark.parametrize("wrong", ["1", None, 1.0, True, -1])
@pytest.mark.parametrize(
    "name",
    [
        "take_seat", "move_seat", "kick_seat", "lock_seat", "unlock_seat", "mute_seat",
        "unmute_seat", "approve_speaker", "reject_speaker", "accept_invitation",
        "decline_invitation",
    ],
)  # fmt: skip
async def test_what_is_no_number_is_refused_before_anything_is_made_of_it(
    joined: Stage, name: str, wrong: Any
) -> None:
    before = joined.session.state.value, list(joined.engine.asked)
    with pytest.raises(UTDStreamException) as raised:
        await getattr(joined.session, name)(wrong)
    assert code_of(raised) is UTDErrorCode.VALIDATION
    assert (joined.session.state.value, joined.engine.asked) == before


async def test_commands_before_joining_ask_nobody(stage: Stage) -> None:
    session = stage.session
    commands = (
        session.lock_seat(0),
        session.move_seat(0),
        session.request_to_speak(),
        session.get_seats(),
    )
    for command in commands:
        with pytest.raises(UTDStreamException) as raised:
            await command
        assert code_of(raised) is UTDErrorCode.CONFLICT
    assert (stage.engine.grid.revision, stage.engine.asked.count("get_seats")) == (1, 0)


async def test_a_seat_lost_while_waiting_for_the_grant_is_a_conflict_at_once(
    joined: Stage,
) -> None:
    joined.engine.grants = False
    taking = asyncio.ensure_future(joined.session.take_seat(1))
    await settle()
    joined.engine.seat(1, None)
    with pytest.raises(UTDStreamException) as raised:
        await taking
    assert code_of(raised) is UTDErrorCode.CONFLICT


async def test_a_seat_that_a_get_disproves_is_a_conflict_and_no_timeout(
    joined: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined.engine.grants = False
    joined.engine.is_silent = True
    taken = joined.engine.take_seat

    async def take_and_lose(room: str, index: int) -> None:
        await taken(room, index)
        joined.engine.seat(index, "bob")

    monkeypatch.setattr(joined.engine, "take_seat", take_and_lose)
    taking = asyncio.ensure_future(joined.session.take_seat(1))
    await settle()
    joined.clock.advance(PUSH_TIMEOUT)
    with pytest.raises(UTDStreamException) as raised:
        await taking
    assert code_of(raised) is UTDErrorCode.CONFLICT


@pytest.mark.parametrize("hangs", [False, True])
def test_the_wait_for_the_grant_is_ten_seconds_in_all(hangs: bool) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        stage = Stage(clock=LoopClock(loop))
        async with stage.session as session:
            await session.join()
            stage.engine.grants = False
            get_seats = stage.engine.get_seats

            async def slow(room: str) -> UTDSeatGrid:
                await asyncio.sleep(1_000 if hangs else 1)
                return await get_seats(room)

            stage.engine.get_seats = slow  # type: ignore[method-assign] # a slow engine
            begun = loop.time()
            with pytest.raises(UTDStreamException) as raised:
                await session.take_seat(0)
            assert code_of(raised) is UTDErrorCode.TIMEOUT
            assert loop.time() - begun == pytest.approx(GRANT_TIMEOUT)

    run(story())


async def test_a_microphone_switched_off_during_the_wait_for_the_seat_stays_off(
    joined: Stage,
) -> None:
    joined.engine.grants = False
    taking = asyncio.ensure_future(joined.session.take_seat(1))
    await settle()
    await joined.session.set_microphone(False)
    joined.room.grant(can_publish=True)
    with pytest.raises(UTDStreamException, match="later") as raised:
        await taking
    assert code_of(raised) is UTDErrorCode.CONFLICT
    assert joined.session.my_seat.value is not None
    assert joined.room.tracks == ()


async def test_a_wait_of_an_older_join_holds_up_no_command_of_the_next(joined: Stage) -> None:
    session, engine = joined.session, joined.engine
    engine.gate.clear()
    old = asyncio.ensure_future(session.take_seat(1))
    await settle()
    await session.leave()
    await session.join()
    new = asyncio.ensure_future(session.take_seat(2, microphone=False))
    await settle()
    old.cancel()
    await asyncio.wait([old])
    with pytest.raises(UTDStreamException) as raised:
        await session.move_seat(3)
    assert raised.value.reason is ConflictReason.BUSY
    engine.gate.set()
    await new
    assert session.my_seat.value is not None
    assert session.my_seat.value.index == 2


async def test_an_offer_accepted_in_an_older_join_seats_nobody_in_the_next(
    joined: Stage,
) -> None:
    session, engine = joined.session, joined.engine
    offer = {
        "invitation_id": 4, "inviter_identity": "sara", "target_identity": "me", "seat_index": 2,
    }  # fmt: skip
    engine.tell("_speaker_invitation", offer)
    await settle()
    engine.accept_seat = None
    engine.gate.clear()
    accepting = asyncio.ensure_future(session.accept_invitation(4))
    await settle()
    await session.leave()
    await session.join()
    engine.gate.set()
    with pytest.raises(UTDStreamException) as raised:
        await accepting
    assert raised.value.reason is ConflictReason.LEFT
    assert "take_seat" not in engine.asked


async def test_two_waits_for_a_seat_do_not_stack(joined: Stage) -> None:
    joined.engine.grants = False
    taking = asyncio.ensure_future(joined.session.take_seat(1))
    await settle()
    with pytest.raises(UTDStreamException) as raised:
        await joined.session.accept_invitation(4)
    assert code_of(raised) is UTDErrorCode.CONFLICT
    joined.room.grant(can_publish=True)
    await taking
    assert joined.session.microphone_enabled.value


@pytest.mark.parametrize("muted", [True, False])
async def test_muting_a_seat_waits_until_the_occupant_is_muted(joined: Stage, muted: bool) -> None:
    session, engine = joined.session, joined.engine
    track = TrackPublication("TR_ana", source=TrackSource.MICROPHONE, is_muted=not muted)
    joined.room.emit(ParticipantConnected(RemoteParticipant("ana", tracks=(track,))))
    engine.seat(2, "ana")
    await settle()
    muting = asyncio.ensure_future(session.mute_seat(2) if muted else session.unmute_seat(2))
    await settle()
    assert not muting.done()
    after = TrackPublication("TR_ana", source=TrackSource.MICROPHONE, is_muted=muted)
    joined.room.emit(TrackMuted("ana", after) if muted else TrackUnmuted("ana", after))
    await muting


async def test_muting_a_seat_waits_for_whom_the_engine_muted(
    joined: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, engine = joined.session, joined.engine
    track = TrackPublication("TR", source=TrackSource.MICROPHONE)
    for identity in ("ana", "bob"):
        joined.room.emit(ParticipantConnected(RemoteParticipant(identity, tracks=(track,))))
    engine.seat(2, "ana")
    await settle()
    engine.is_silent = True
    engine.seat(2, "bob")

    async def mute(room: str, index: int) -> UTDSeatGrid:
        return engine.grid

    monkeypatch.setattr(engine, "mute_seat", mute)
    muting = asyncio.ensure_future(session.mute_seat(2))
    await settle()
    joined.room.emit(TrackMuted("ana", evolve(track, is_muted=True)))
    await settle()
    assert not muting.done()
    joined.room.emit(TrackMuted("bob", evolve(track, is_muted=True)))
    await settle()
    assert muting.done()
    await muting


async def test_a_new_mode_is_asked_for_when_a_push_says_so(joined: Stage) -> None:
    engine, session = joined.engine, joined.session
    engine.is_silent = True
    engine.become(mode=UTDSeatMode.REQUEST, mode_id="grid-4")
    engine.tell("_mode_change", {"mode_id": "grid-4", "seat_count": 4})
    grid = await session.seats.until(lambda grid: grid.mode_id == "grid-4", timeout=5)
    assert grid.mode is UTDSeatMode.REQUEST
    fetches = engine.asked.count("get_seats")
    engine.tell("_mode_change", {"mode_id": "grid-4", "seat_count": 4})
    await settle()
    assert engine.asked.count("get_seats") == fetches


async def test_what_a_get_does_not_bear_out_is_counted(joined: Stage) -> None:
    joined.engine.tell("_speaker_request", {"request_id": 99, "identity": "mallory"})
    await settle()
    assert joined.session.pending_requests.value == ()
    assert joined.session.state.value.seats.disproved == 1
