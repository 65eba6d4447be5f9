"""A world without a network: genuine sessions and the genuine engine, on virtual time."""

from __future__ import annotations

import asyncio

import pytest

from utd_rx import (
    ConflictReason,
    UTDAudioRoomSession,
    UTDCallEndReason,
    UTDCallStatus,
    UTDConnectionState,
    UTDErrorCode,
    UTDSeatGrid,
    UTDStreamException,
    UTDStreamType,
)
from utd_rx.testing import FakeWorld, run_virtual


def sitting(seats: UTDSeatGrid) -> dict[int, str]:
    return {seat.index: seat.identity for seat in seats.seats if seat.identity is not None}


def test_people_of_an_audio_room_see_each_other_sit_and_speak() -> None:
    with FakeWorld() as world:
        anna = world.join_audio_room("anna", host=True, seats=8)
        ben = world.join_audio_room("ben")
        assert type(ben) is UTDAudioRoomSession
        assert [who.identity for who in ben.remote_participants.value] == ["anna"]
        world.run(ben.take_seat(1))
        world.run(anna.seats.until(lambda seats: sitting(seats) == {1: "ben"}))
        assert ben.microphone_enabled.value
        speakers: list[tuple[str, ...]] = []
        anna.active_speakers.subscribe(speakers.append)
        world.run(world.microphone("ben").say(2.0))
        world.advance(5.0)
        assert speakers == [(), ("ben",), ()]


def test_a_call_is_answered_and_lasts_as_long_as_it_may() -> None:
    with FakeWorld(max_call_seconds=60) as world:
        anna, ben = world.call("anna", "ben")
        assert (anna.status.value, ben.status.value) == (UTDCallStatus.ACTIVE,) * 2
        world.advance(59.0)
        assert ben.connected.value
        world.advance(1.0)
        assert anna.end_reason.value is UTDCallEndReason.MAX_DURATION
        assert not ben.connected.value


def test_a_call_that_nobody_answers_is_missed() -> None:
    with FakeWorld() as world:
        anna, _ = world.call("anna", "ben", UTDStreamType.VIDEO_CALL, answer=False)
        ringing = world.client("ben").ringing_calls
        assert [call.caller_identity for call in ringing.value] == ["anna"]
        world.advance(31.0)
        assert anna.status.value is UTDCallStatus.MISSED
        assert ringing.value == ()


def test_a_broadcast_has_a_host_on_its_stage_and_viewers() -> None:
    with FakeWorld() as world:
        anna = world.live_stream("anna")
        ben = world.join_live_stream("ben")
        world.settle()
        assert [member.identity for member in ben.stage.value] == ["anna"]
        assert (anna.viewer_count.value, anna.camera_enabled.value) == (1, True)
        world.run(anna.stop_live())
        world.run(ben.live_ended.until(True, timeout=10))


def test_a_minute_without_a_network_ends_a_connection_and_takes_no_time() -> None:
    with FakeWorld() as world:
        anna = world.join_audio_room("anna", host=True)
        states: list[UTDConnectionState] = []
        anna.connection_state.subscribe(states.append)
        world.network.partition("anna")
        world.advance(100.0)
        assert states == [
            UTDConnectionState.CONNECTED,
            UTDConnectionState.RECONNECTING,
            UTDConnectionState.FORCE_EXIT,
        ]
        assert world.now == 100.0


def test_a_program_that_is_killed_is_missed_and_may_come_back() -> None:
    with FakeWorld() as world:
        anna = world.join_audio_room("anna", host=True)
        ben = world.join_audio_room("ben")
        world.run(ben.take_seat(1))
        world.kill("ben")
        assert sitting(anna.seats.value) == {1: "ben"}
        world.advance(60.0)
        assert sitting(anna.seats.value) == {}
        with pytest.raises(UTDStreamException, match="the session is closed"):
            world.run(ben.take_seat(1))
        again = world.join_audio_room("ben")
        world.run(again.take_seat(1))
        assert sitting(anna.seats.value) == {1: "ben"}


def test_a_killed_caller_rings_no_longer_than_the_engine_waits() -> None:
    with FakeWorld() as world:
        world.call("anna", "ben", answer=False)
        world.kill("anna")
        world.advance(31.0)
        assert world.client("ben").ringing_calls.value == ()


def test_what_the_engine_refuses_is_what_rest_makes_of_it() -> None:
    with FakeWorld() as world:
        world.join_audio_room("anna", host=True, seats=2)
        ben = world.join_audio_room("ben")
        with pytest.raises(UTDStreamException) as refused:
            world.run(ben.lock_seat(0))
        assert (refused.value.code, refused.value.status_code) == (UTDErrorCode.FORBIDDEN, 403)
        asked = world.sent[-1]
        assert (asked.who, asked.call, asked.refused) == (
            "ben",
            "lock_seat",
            UTDErrorCode.FORBIDDEN,
        )
        assert (asked.arguments, asked.answer) == ({"room": "lobby", "index": 0}, None)


def test_what_was_asked_is_kept_in_order_with_its_answer() -> None:
    with FakeWorld() as world:
        anna = world.join_audio_room("anna", host=True, seats=3)
        world.advance(7.0)
        world.run(anna.take_seat(1))
        mint, taken = (asked for asked in world.sent if asked.call != "speaker_invitations")
        assert (mint.call, taken.call) == ("mint_token", "take_seat")
        assert mint.answer is not None
        assert (mint.answer["role"], mint.arguments["seat_count"]) == ("host", 3)
        assert (taken.at, taken.refused) == (7.0, None)


def test_requests_take_the_network_s_time_and_are_given_up() -> None:
    with FakeWorld() as world:
        world.join_audio_room("anna", host=True)
        ben = world.join_audio_room("ben")
        world.network.delay("ben", 0.3)
        world.run(ben.take_seat(1, microphone=False))
        assert 0.6 <= world.now < 1.0
        world.network.partition("ben")
        began = world.now
        with pytest.raises(UTDStreamException) as given_up:
            world.run(ben.leave_seat())
        assert given_up.value.code is UTDErrorCode.TIMEOUT
        assert world.now - began == pytest.approx(8.0)


def test_a_signal_socket_that_breaks_comes_back_and_tells_what_was_missed() -> None:
    with FakeWorld() as world:
        anna, _ = world.call("anna", "ben", answer=False)
        client = world.client("ben")
        world.network.partition("ben")
        world.run(anna.end())
        world.advance(60.0)
        assert not client.signal_connected.value
        world.network.heal("ben")
        world.advance(60.0)
        assert client.signal_connected.value
        assert client.ringing_calls.value == ()


def test_the_same_seed_is_the_same_world() -> None:
    def story() -> list[str]:
        with FakeWorld(seed=7) as world:
            anna = world.join_audio_room("anna", host=True)
            ben = world.join_audio_room("ben")
            world.network.delay("ben", 0.1, jitter=1.0)
            world.network.reorder("ben")
            heard: list[str] = []
            # As text: an error in it is equal to itself only.
            ben.state.subscribe(lambda state: heard.append(f"{world.now} {state}"))
            for index in range(4):
                world.run(anna.lock_seat(index))
                world.advance(0.5)
            world.network.partition("ben")
            world.advance(30.0)
            world.network.heal()
            world.advance(30.0)
            return [*heard, *map(str, world.sent)]

    assert story() == story()


def test_what_an_observer_raises_fails_the_verb() -> None:
    with FakeWorld() as world:
        anna = world.join_audio_room("anna", host=True)

        def judge(seats: UTDSeatGrid) -> None:
            assert sitting(seats) == {}, "somebody sits"

        anna.seats.subscribe(judge)
        with pytest.raises(AssertionError, match="somebody sits"):
            world.run(anna.take_seat(1))


def test_what_fails_in_the_background_fails_the_next_verb() -> None:
    async def bot() -> None:
        await asyncio.sleep(5.0)
        raise KeyError("a bug of the bot")

    with FakeWorld() as world:
        world.spawn(bot())
        world.advance(4.0)
        with pytest.raises(KeyError, match="a bug of the bot"):
            world.advance(2.0)


def test_who_waits_for_what_was_spawned_hears_of_it_once() -> None:
    async def bot() -> None:
        raise KeyError("a bug of the bot")

    with FakeWorld() as world:
        with pytest.raises(KeyError, match="a bug of the bot"):
            world.run(world.spawn(bot()))
        world.advance(1.0)


def test_what_does_not_end_is_given_up_on_virtual_time() -> None:
    with FakeWorld() as world:
        anna = world.join_audio_room("anna", host=True)
        with pytest.raises(TimeoutError, match="within 30 virtual seconds"):
            world.run(anna.microphone_enabled.until(True), within=30.0)
        assert world.now == 30.0


def test_what_was_begun_on_another_loop_is_refused() -> None:
    """As what `asyncio.gather` makes where no loop runs."""
    elsewhere = asyncio.new_event_loop()
    with FakeWorld() as world, pytest.raises(UTDStreamException, match="another loop"):
        world.run(elsewhere.create_future())
    elsewhere.close()


def test_coroutines_of_a_plain_test_use_what_does_not_wait() -> None:
    async def bot() -> float:
        world.network.delay("anna", 0.1)
        assert world.client("anna").identity == "anna"
        with pytest.raises(UTDStreamException, match=r"asyncio\.sleep"):
            world.advance(1.0)
        return world.now

    with FakeWorld() as world:
        world.join_audio_room("anna", host=True)
        assert world.run(bot()) == 0.0


def test_it_is_the_same_world_for_coroutines() -> None:
    async def main() -> float:
        async with FakeWorld.on_loop() as world:
            anna = await world.join_audio_room("anna", host=True)
            ben = await world.join_audio_room("ben")
            await ben.take_seat(1)
            await asyncio.sleep(3600)
            await world.settle()
            assert sitting(anna.seats.value) == {1: "ben"}
            return world.now

    assert run_virtual(main()) == 3600.0


async def test_on_a_loop_of_real_time_it_says_what_to_do() -> None:
    with pytest.raises(UTDStreamException, match="run_virtual"):
        FakeWorld.on_loop()
    with pytest.raises(UTDStreamException, match="on_loop"):
        FakeWorld()


def test_a_world_that_is_over_is_over() -> None:
    world = FakeWorld()
    anna = world.join_audio_room("anna", host=True)
    ended: list[str] = []
    anna.seats.subscribe(on_completed=lambda: ended.append("completed"))
    world.close()
    world.close()
    assert ended == ["completed"]
    with pytest.raises(UTDStreamException, match="this world is over"):
        world.advance(1.0)


def test_somebody_has_as_many_programs_as_devices() -> None:
    with FakeWorld() as world:
        phone = world.join_audio_room("anna", host=True, device_id="phone")
        tablet = world.join_audio_room("anna", host=True, device_id="tablet")
        world.settle()
        assert not phone.connected.value
        failure = phone.failure.value
        assert failure is not None
        assert failure.reason is ConflictReason.REPLACED
        world.kill("anna/phone")
        assert tablet.connected.value
        assert world.sent[-1].who == "anna/tablet"


def test_what_the_client_makes_ends_with_its_program_too() -> None:
    async def make() -> UTDAudioRoomSession:
        session = world.client("anna").audio_room("anna", "lobby", as_host=True)
        await session.join()
        return session

    with FakeWorld() as world:
        anna = world.run(make())
        world.kill("anna")
        with pytest.raises(UTDStreamException, match="the session is closed"):
            world.run(anna.leave_seat())
        with pytest.raises(UTDStreamException, match="no client in this world"):
            world.kill("anna")


def test_days_pass_and_nobody_s_token_is_in_the_way() -> None:
    with FakeWorld() as world:
        anna = world.join_audio_room("anna", host=True)
        ben = world.join_audio_room("ben")
        world.advance(3 * 86_400.0)
        world.run(ben.take_seat(1))
        world.network.interrupt("anna", full=True)
        world.advance(10.0)
        assert sitting(anna.seats.value) == {1: "ben"}
        assert anna.connected.value
