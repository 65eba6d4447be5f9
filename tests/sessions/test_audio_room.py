"""An audio room session mirrors the engine, and its commands take effect or raise."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest
from attrs import evolve

from tests.sessions.stage import Stage, code_of
from tests.sessions.watching import settle
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFrame, AudioInput
from utd_rx.models.connection import DisconnectReason, UTDConnectionState
from utd_rx.models.events import (
    ParticipantConnected,
    ParticipantDisconnected,
    ParticipantNameChanged,
    RoomEvent,
    RoomMetadataChanged,
)
from utd_rx.models.participant import RemoteParticipant, TrackPublication, TrackSource
from utd_rx.models.seats import UTDSeat, UTDSeatGrid
from utd_rx.models.token import UTDTokenResponse
from utd_rx.protocol.promises import PUSH_TIMEOUT
from utd_rx.protocol.speakers import GRANT_TIMEOUT
from utd_rx.protocol.wire.seats import grid_to_push


async def test_joining_connects_and_knows_the_grid(joined: Stage) -> None:
    session = joined.session
    assert session.connected.value
    assert session.seats.value.count == 4
    assert not session.can_publish.value
    assert joined.engine.asked.count("get_seats") == 1
    assert session.local_participant is not None


async def test_taking_a_seat_grants_and_opens_the_microphone(joined: Stage) -> None:
    session = joined.session
    seen: list[tuple[object, ...]] = []
    session.select(
        lambda s: (
            s.my_seat is not None,
            s.session.roster.permission.can_publish,
            s.session.microphone.is_on,
        )
    ).subscribe(seen.append)
    await session.take_seat(2)
    assert seen[0] == (False, False, False)
    assert seen[-1] == (True, True, True)
    seat = session.my_seat.value
    assert seat is not None
    assert seat.index == 2
    assert [track.name for track in joined.room.tracks] == ["microphone"]


async def test_publishing_without_a_seat_is_refused_at_once(joined: Stage) -> None:
    with pytest.raises(UTDStreamException) as raised:
        await joined.session.set_microphone(True)
    assert code_of(raised) is UTDErrorCode.FORBIDDEN
    assert joined.room.tracks == ()


async def test_the_engines_refusal_reaches_the_caller_and_changes_nothing(joined: Stage) -> None:
    joined.engine.error = UTDStreamException("taken", code=UTDErrorCode.CONFLICT, status_code=409)
    before = joined.session.state.value
    with pytest.raises(UTDStreamException) as raised:
        await joined.session.take_seat(0)
    assert raised.value is joined.engine.error
    assert joined.session.state.value == before


async def test_without_a_push_the_engine_is_asked(joined: Stage) -> None:
    joined.engine.is_silent = True
    taking = asyncio.ensure_future(joined.session.take_seat(1))
    await settle()
    assert joined.engine.asked.count("get_seats") == 1
    joined.clock.advance(PUSH_TIMEOUT)
    await taking
    assert joined.session.microphone_enabled.value
    assert joined.engine.asked.count("get_seats") == 2


async def test_a_grant_that_never_comes_is_a_timeout(joined: Stage) -> None:
    joined.engine.grants = False
    taking = asyncio.ensure_future(joined.session.take_seat(1))
    await settle()
    joined.clock.advance(GRANT_TIMEOUT)
    with pytest.raises(UTDStreamException) as raised:
        await taking
    assert code_of(raised) is UTDErrorCode.TIMEOUT


async def test_leaving_while_waiting_for_the_grant_is_a_conflict(joined: Stage) -> None:
    joined.engine.grants = False
    taking = asyncio.ensure_future(joined.session.take_seat(1))
    await settle()
    await joined.session.leave()
    with pytest.raises(UTDStreamException) as raised:
        await taking
    assert code_of(raised) is UTDErrorCode.CONFLICT


async def test_losing_the_seat_closes_the_microphone_though_the_permission_stays(
    joined: Stage,
) -> None:
    await joined.session.take_seat(0)
    joined.engine.seat(0, None)
    await joined.session.microphone_enabled.until(False, timeout=5)
    await settle()
    assert joined.room.tracks == ()
    assert joined.room.snapshot.local.permission.can_publish
    assert not joined.session.can_publish.value


async def test_leaving_the_seat_ends_permission_and_microphone(joined: Stage) -> None:
    await joined.session.take_seat(0)
    await joined.session.leave_seat()
    assert joined.session.my_seat.value is None
    assert not joined.session.can_publish.value
    assert joined.room.tracks == ()


async def test_a_revoke_while_publishing_raises_and_leaves_nothing_published(
    joined: Stage,
) -> None:
    await joined.session.take_seat(0, microphone=False)
    joined.room.gate.clear()
    switching = asyncio.ensure_future(joined.session.set_microphone(True))
    await settle()
    joined.room.grant(can_publish=False)
    with pytest.raises(UTDStreamException) as raised:
        await switching
    assert code_of(raised) is UTDErrorCode.FORBIDDEN
    joined.room.gate.set()
    await settle()
    assert joined.room.tracks == ()


async def test_a_source_that_raises_anything_fails_the_toggle_and_no_later_one(
    joined: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def publish(source: AudioInput, track_source: TrackSource) -> TrackPublication:
        raise LookupError("no such instrument")  # as an app's own source may, when it is opened

    await joined.session.take_seat(0, microphone=False)
    with monkeypatch.context() as patched:
        patched.setattr(joined.room, "publish", publish)
        for _ in range(2):
            with pytest.raises(UTDStreamException, match=r"LookupError$") as raised:
                await joined.session.set_microphone(True)
            assert isinstance(raised.value.__cause__, LookupError)
    assert not joined.session.microphone_enabled.value
    await joined.session.set_microphone(True)


async def test_of_two_toggles_at_once_the_last_wins_and_the_first_is_told(joined: Stage) -> None:
    await joined.session.take_seat(0)
    results = await asyncio.gather(
        joined.session.set_microphone(False),
        joined.session.set_microphone(True),
        return_exceptions=True,
    )
    assert results[1] is None
    assert isinstance(results[0], UTDStreamException)
    assert results[0].code is UTDErrorCode.CONFLICT
    assert joined.session.microphone_enabled.value


async def test_without_a_microphone_the_seat_is_not_even_asked_for() -> None:
    stage = Stage(microphone=None)
    async with stage.session as session:
        await session.join()
        with pytest.raises(UTDStreamException, match="or microphone=False to do") as raised:
            await session.take_seat(0)
        assert code_of(raised) is UTDErrorCode.VALIDATION
        assert session.my_seat.value is None
        await session.take_seat(0, microphone=False)
        assert session.my_seat.value is not None


async def test_a_failed_join_is_raised_and_stays_in_the_state(stage: Stage) -> None:
    stage.room.connect_error = UTDStreamException("unreachable", code=UTDErrorCode.NETWORK)
    with pytest.raises(UTDStreamException):
        await stage.session.join()
    assert stage.session.connection_state.value is UTDConnectionState.DISCONNECTED
    failure = stage.session.failure.value
    assert failure is not None
    assert failure.code is UTDErrorCode.NETWORK
    await stage.session.join()
    assert stage.session.failure.value is None


async def test_a_cancelled_join_leaves_nobody_behind(stage: Stage) -> None:
    stage.room.gate.clear()
    joining = asyncio.ensure_future(stage.session.join())
    await settle()
    state = stage.session.connection_state
    assert state.value is UTDConnectionState.CONNECTING
    joining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await joining
    assert await state.until(UTDConnectionState.DISCONNECTED, timeout=0)
    assert not stage.room.is_connected


async def test_leaving_and_joining_again_works_on_the_same_session(joined: Stage) -> None:
    await joined.session.take_seat(0)
    await joined.session.leave()
    assert not joined.session.connected.value
    assert joined.session.seats.value.count == 0
    with pytest.raises(UTDStreamException):
        await joined.session.set_microphone(True)
    await joined.session.join()
    assert joined.session.connected.value
    assert joined.room.tokens == ["token1", "token2"]


async def test_a_grid_told_during_the_goodbye_is_not_there_in_the_next_join(
    joined: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, engine, room = joined.session, joined.engine, joined.room
    await session.take_seat(0)
    disconnect = room.disconnect

    async def say_goodbye() -> None:
        """LiveKit still reports meanwhile."""
        told = {"_seats": grid_to_push(evolve(engine.grid, revision=50))}
        room.emit(RoomMetadataChanged(json.dumps(told)))
        await settle()
        await disconnect()

    with monkeypatch.context() as patched:
        patched.setattr(room, "disconnect", say_goodbye)
        await session.leave()
    await settle()
    assert session.my_seat.value is None
    assert session.seats.value.count == 0
    # The room was made anew meanwhile, and its revisions begin again.
    engine.grid = UTDSeatGrid(tuple(UTDSeat(i) for i in range(9)), revision=1)
    await session.join()
    await session.take_seat(8)
    assert session.seats.value.count == 9


async def test_an_older_answer_that_comes_last_takes_no_seat(
    joined: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, engine = joined.session, joined.engine
    old = evolve(engine.grid, revision=None)
    new = evolve(old, seats=(UTDSeat(0, "me"), *old.seats[1:]))
    answers: list[asyncio.Future[UTDSeatGrid]] = []

    async def answered_later(room: str) -> UTDSeatGrid:
        answers.append(asyncio.get_running_loop().create_future())
        return await answers[-1]

    monkeypatch.setattr(engine, "get_seats", answered_later)
    asking = [asyncio.ensure_future(session.get_seats()) for _ in range(2)]
    await settle()
    for answer, grid in ((answers[1], new), (answers[0], old)):
        answer.set_result(grid)
        await settle()
    assert await asyncio.gather(*asking) == [old, new]
    assert session.my_seat.value is not None
    # Which of the two is older is asked, because nobody else can say.
    answers[2].set_result(new)
    await settle()
    assert (session.seats.value, len(answers)) == (new, 3)


async def test_leaving_while_the_grid_is_awaited_ends_the_join(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def never(room: str) -> UTDSeatGrid:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(stage.engine, "get_seats", never)
    joining = asyncio.ensure_future(stage.session.join())
    await asked.wait()
    await stage.session.leave()
    await settle()
    assert joining.done()
    with pytest.raises(UTDStreamException) as raised:
        await joining
    assert code_of(raised) is UTDErrorCode.CONFLICT


@pytest.mark.parametrize(
    ("claims", "granted", "is_host"),
    [(True, "host", True), (True, "audience", False), (True, None, True), (False, None, False)],
)
async def test_who_is_host_is_what_the_mint_granted(
    claims: bool, granted: str | None, is_host: bool
) -> None:
    stage = Stage(is_host=claims)
    stage.engine.role = granted
    async with stage.session as session:
        assert session.is_host is claims
        await session.join()
        assert session.is_host is is_host


async def test_joining_twice_is_a_conflict(joined: Stage) -> None:
    with pytest.raises(UTDStreamException) as raised:
        await joined.session.join()
    assert code_of(raised) is UTDErrorCode.CONFLICT
    assert joined.session.connected.value


async def test_events_of_one_turn_of_the_loop_are_one_commit(joined: Stage) -> None:
    seen: list[tuple[RemoteParticipant, ...]] = []
    joined.session.remote_participants.subscribe(seen.append)
    people = [RemoteParticipant(f"u{i}") for i in range(50)]
    joined.room.emit(*(ParticipantConnected(person) for person in people))
    await settle()
    assert seen == [(), tuple(people)]


async def test_events_between_snapshot_and_join_are_not_lost(stage: Stage) -> None:
    ana = RemoteParticipant("ana")
    stage.room.snapshot = evolve(stage.room.snapshot, remotes=(ana,))
    events: list[RoomEvent] = []
    stage.session.events.subscribe(events.append)
    stage.room.gate.clear()
    joining = asyncio.ensure_future(stage.session.join())
    await settle()
    stage.room.gate.set()
    # The room is connected from here on, and its event outruns the awaiting join.
    renamed = ParticipantNameChanged("ana", "Ana")
    stage.room.emit(renamed)
    await joining
    assert stage.session.remote_participants.value == (evolve(ana, name="Ana"),)
    assert renamed in events


async def test_an_event_is_observed_after_the_commit_it_belongs_to(joined: Stage) -> None:
    sizes: list[int] = []
    joined.session.events.subscribe(
        lambda _: sizes.append(len(joined.session.remote_participants.value))
    )
    joined.room.emit(ParticipantConnected(RemoteParticipant("ana")))
    await settle()
    assert sizes == [1]


async def test_a_forged_grid_moves_nobody(joined: Stage) -> None:
    forged = evolve(joined.engine.grid, revision=99, seats=())
    joined.engine.push(forged, sender="mallory")
    await settle()
    assert joined.session.seats.value.count == 4
    assert joined.session.state.value.forged == 1


async def test_removal_by_the_server_is_a_failure_in_the_state(joined: Stage) -> None:
    joined.room.lose(DisconnectReason.PARTICIPANT_REMOVED)
    await joined.session.connected.until(False, timeout=5)
    failure = joined.session.failure.value
    assert failure is not None
    assert failure.code is UTDErrorCode.FORBIDDEN


async def test_after_closing_streams_stay_readable_and_commands_raise(joined: Stage) -> None:
    session = joined.session
    completed: list[str] = []
    session.seats.subscribe(on_completed=lambda: completed.append("seats"))
    session.events.subscribe(on_completed=lambda: completed.append("events"))
    await asyncio.gather(session.aclose(), session.aclose())
    assert sorted(completed) == ["events", "seats"]
    assert session.connection_state.value is UTDConnectionState.DISCONNECTED
    for command in (session.take_seat(0), session.set_microphone(False), session.join()):
        with pytest.raises(UTDStreamException) as raised:
            await command
        assert code_of(raised) is UTDErrorCode.CONFLICT
    assert joined.engine.mints == 1


async def test_data_goes_out_with_topic_and_destinations(joined: Stage) -> None:
    await joined.session.send_data(b"hi", to=["ana"], topic="chat")
    assert joined.room.sent == [(b"hi", "chat", ("ana",))]


async def test_of_two_joins_at_once_one_wins_and_the_other_is_told(stage: Stage) -> None:
    results = await asyncio.gather(
        stage.session.join(), stage.session.join(), return_exceptions=True
    )
    assert results[0] is None
    assert isinstance(results[1], UTDStreamException)
    assert results[1].code is UTDErrorCode.CONFLICT
    assert stage.session.connected.value


async def test_a_leave_while_minting_is_not_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    minting, go_on = asyncio.Event(), asyncio.Event()
    mint = stage.engine.mint

    async def slow_mint() -> UTDTokenResponse:
        minting.set()
        await go_on.wait()
        return await mint()

    monkeypatch.setattr(stage.engine, "mint", slow_mint)
    joining = asyncio.ensure_future(stage.session.join())
    await minting.wait()
    assert stage.session.connection_state.value is UTDConnectionState.CONNECTING
    await stage.session.leave()
    go_on.set()
    with pytest.raises(UTDStreamException) as raised:
        await joining
    assert code_of(raised) is UTDErrorCode.CONFLICT
    assert not stage.session.connected.value
    assert not stage.room.is_connected


async def test_a_join_left_and_begun_again_is_not_disturbed_by_the_first(stage: Stage) -> None:
    stage.room.gate.clear()
    first = asyncio.ensure_future(stage.session.join())
    await settle()
    await stage.session.leave()
    second = asyncio.ensure_future(stage.session.join())
    await settle()
    first.cancel()
    await settle()
    stage.room.gate.set()
    await second
    assert stage.session.connected.value


async def test_a_refused_mint_is_a_failure_in_the_state(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = UTDStreamException("wrong key", code=UTDErrorCode.UNAUTHORIZED, status_code=401)

    async def refuse() -> UTDTokenResponse:
        raise refusal

    monkeypatch.setattr(stage.engine, "mint", refuse)
    with pytest.raises(UTDStreamException):
        await stage.session.join()
    assert stage.session.failure.value is refusal
    assert stage.session.connection_state.value is UTDConnectionState.DISCONNECTED


async def test_a_join_whose_grid_never_comes_leaves_the_room_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = UTDStreamException("broken", code=UTDErrorCode.SERVER, status_code=500)

    async def refuse(_: str) -> UTDSeatGrid:
        raise refusal

    monkeypatch.setattr(stage.engine, "get_seats", refuse)
    with pytest.raises(UTDStreamException) as raised:
        await stage.session.join()
    assert raised.value is refusal
    assert stage.session.failure.value is refusal
    assert not stage.session.connected.value
    assert not stage.room.is_connected
    monkeypatch.undo()
    await stage.session.join()
    assert stage.session.connected.value


async def test_what_one_hears_completes_with_the_session(joined: Stage) -> None:
    ends: list[str] = []
    joined.session.audio("ana").subscribe(on_completed=lambda: ends.append("ana"))
    await settle()
    await joined.session.aclose()
    assert ends == ["ana"]


async def test_one_hears_whichever_track_carries_the_voice(joined: Stage) -> None:
    heard: list[AudioFrame] = []
    joined.session.audio("ana").subscribe(heard.append)
    frame = AudioFrame(np.zeros((480, 1), np.int16), 48_000)
    for sid in ("TR_a", "TR_b"):
        voice = TrackPublication(sid, source=TrackSource.MICROPHONE, is_subscribed=True)
        joined.room.emit(ParticipantConnected(RemoteParticipant("ana", tracks=(voice,))))
        await settle()
        joined.room.play(sid, frame)
        await settle()
        joined.room.emit(ParticipantDisconnected("ana"))
        await settle()
        joined.room.play(sid, frame)
        await settle()
    assert heard == [frame, frame]
