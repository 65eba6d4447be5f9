"""Only what is safe to repeat is repeated, a bounded number of times, and no longer than told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.fixtures import wire_fixture
from tests.rest.conftest import BEARER, HandClock, MakeClient
from tests.rest.engines import ScriptedEngine, raw, reply, socket_engine
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.rest import RetryPolicy, Timeouts, UTDApi, UTDApiClient

TOKEN = wire_fixture("token")["replies"]["local"]["wire"]
SESSION = wire_fixture("session")["replies"]["local"]["wire"]
GRID = wire_fixture("seats_rest")

Call = Callable[[UTDApi], Awaitable[object]]

REPEATING: dict[str, Call] = {
    "mint_token": lambda api: api.mint_token(
        identity="a", room_name="r", type=UTDStreamType.AUDIO_ROOM
    ),
    "mint_session": lambda api: api.mint_session(identity="a"),
    "get_seats": lambda api: api.get_seats("r"),
    "speak_requests": lambda api: api.speak_requests("r"),
    "cancel_request": lambda api: api.cancel_request("r"),
    "mute_participant": lambda api: api.mute_participant("r", "a"),
    "participant_metadata": lambda api: api.participant_metadata("r", "a"),
    "get_role": lambda api: api.get_role("r", "a"),
    "lock_chat": lambda api: api.lock_chat("r", True),
    "unban": lambda api: api.unban("a"),
    "bans": lambda api: api.bans(),
    "speaker_invitations": lambda api: api.speaker_invitations("r"),
    "get_stage": lambda api: api.get_stage("r"),
    "request_stage": lambda api: api.request_stage("r"),
    "cancel_stage_request": lambda api: api.cancel_stage_request("r"),
    "end_live": lambda api: api.end_live("r"),
    "accept_call": lambda api: api.accept_call("call_1"),
    "rejoin_call": lambda api: api.rejoin_call("call_1"),
    "ringing_call": lambda api: api.ringing_call("call_1"),
    "end_call": lambda api: api.end_call("call_1"),
    "get_call": lambda api: api.get_call("call_1"),
}
ONCE: dict[str, Call] = {
    "setup_seats": lambda api: api.setup_seats("r", seat_count=4),
    "take_seat": lambda api: api.take_seat("r", 0),
    "leave_seat": lambda api: api.leave_seat("r"),
    "move_seat": lambda api: api.move_seat("r", 1),
    "kick_seat": lambda api: api.kick_seat("r", 0),
    "lock_seat": lambda api: api.lock_seat("r", 0),
    "unlock_seat": lambda api: api.unlock_seat("r", 0),
    "mute_seat": lambda api: api.mute_seat("r", 0),
    "unmute_seat": lambda api: api.unmute_seat("r", 0),
    "request_to_speak": lambda api: api.request_to_speak("r"),
    "approve_speaker": lambda api: api.approve_speaker("r", 1),
    "reject_speaker": lambda api: api.reject_speaker("r", 1),
    "invite_to_speak": lambda api: api.invite_to_speak("r", "a"),
    "accept_invitation": lambda api: api.accept_invitation("r", 1),
    "decline_invitation": lambda api: api.decline_invitation("r", 1),
    "add_to_stage": lambda api: api.add_to_stage("r", "a"),
    "remove_from_stage": lambda api: api.remove_from_stage("r", "a"),
    "leave_stage": lambda api: api.leave_stage("r"),
    "dismiss_stage_request": lambda api: api.dismiss_stage_request("r", "a"),
    "kick_participant": lambda api: api.kick_participant("r", "a"),
    "set_role": lambda api: api.set_role("r", "a", "admin"),
    "ban": lambda api: api.ban("a"),
    "start_call": lambda api: api.start_call("a", UTDStreamType.AUDIO_CALL),
    "reject_call": lambda api: api.reject_call("call_1"),
    "busy_call": lambda api: api.busy_call("call_1"),
}


@pytest.mark.parametrize("name", REPEATING)
async def test_a_repeatable_call_survives_two_refusals(
    engine: ScriptedEngine, api: UTDApi, clock: HandClock, name: str
) -> None:
    call = {"call_id": "call_1", "status": "ringing"}
    answer = {**TOKEN, **SESSION, **GRID, "invitations": [], "members": [], **call}
    engine.will(reply(None, 503), reply(None, 502), reply(answer))
    await REPEATING[name](api)
    assert len(engine.seen) == 3
    assert clock.waits == [0.125, 0.25]


@pytest.mark.parametrize("name", ONCE)
async def test_any_other_call_is_sent_once(
    engine: ScriptedEngine, api: UTDApi, clock: HandClock, name: str
) -> None:
    engine.will(reply(None, 503))
    with pytest.raises(UTDStreamException):
        await ONCE[name](api)
    assert len(engine.seen) == 1
    assert clock.waits == []


def test_every_endpoint_is_in_one_of_the_two_tables() -> None:
    public = {name for name in dir(UTDApi) if not name.startswith("_")}
    public -= {"acting_as", "mint"}
    assert public == REPEATING.keys() | ONCE.keys()


async def test_attempts_are_counted(
    engine: ScriptedEngine, client: UTDApiClient, clock: HandClock
) -> None:
    engine.will(reply({"message": "maintenance"}, 503))
    with pytest.raises(UTDStreamException, match="maintenance") as caught:
        await client.get("/a")
    assert caught.value.status_code == 503
    assert len(engine.seen) == 3
    assert len(clock.waits) == 2


async def test_a_lost_connection_is_tried_again(make_client: MakeClient, clock: HandClock) -> None:
    async with socket_engine(b"") as broken:
        with pytest.raises(UTDStreamException) as caught:
            await make_client(broken.base_url).get("/a")
        assert broken.connections == 3
    assert caught.value.code is UTDErrorCode.NETWORK
    assert len(clock.waits) == 2


async def test_a_time_out_is_tried_again(
    engine: ScriptedEngine, make_client: MakeClient, clock: HandClock
) -> None:
    engine.will(engine.hang, reply({"a": 1}))
    assert await make_client(timeouts=Timeouts(receive=0.5)).get("/a") == {"a": 1}
    assert len(clock.waits) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 500, 501, 302])
async def test_a_plain_no_is_final(
    engine: ScriptedEngine, client: UTDApiClient, status: int
) -> None:
    engine.will(reply(None, status))
    with pytest.raises(UTDStreamException):
        await client.get("/a")
    assert len(engine.seen) == 1


async def test_garbage_is_final(engine: ScriptedEngine, client: UTDApiClient) -> None:
    engine.will(raw(b"<html>"))
    with pytest.raises(UTDStreamException):
        await client.get("/a")
    assert len(engine.seen) == 1


async def test_retry_after_is_waited_for_with_jitter_on_top(
    engine: ScriptedEngine, client: UTDApiClient, clock: HandClock
) -> None:
    engine.will(reply(None, 429, Retry_After="7"), reply({"a": 1}))
    assert await client.get("/a") == {"a": 1}
    assert clock.waits == [7.125]


async def test_a_retry_after_beyond_the_bound_ends_the_call(
    engine: ScriptedEngine, client: UTDApiClient, clock: HandClock
) -> None:
    engine.will(reply(None, 429, Retry_After="11"))
    with pytest.raises(UTDStreamException) as caught:
        await client.get("/a")
    assert caught.value.retry_after == 11.0
    assert clock.waits == []


async def test_a_wait_that_outlasts_the_call_is_not_begun(
    engine: ScriptedEngine, make_client: MakeClient, clock: HandClock
) -> None:
    engine.will(reply({"message": "later"}, 503, Retry_After="9"))
    with pytest.raises(UTDStreamException, match="later"):
        await make_client(timeouts=Timeouts(total=8.0)).get("/a")
    assert clock.waits == []


async def test_a_seat_is_never_taken_twice_even_when_the_reply_is_lost(
    make_client: MakeClient,
) -> None:
    async with socket_engine(b"") as broken:
        with pytest.raises(UTDStreamException):
            await UTDApi(make_client(broken.base_url), bearer=BEARER).take_seat("r", 0)
        assert broken.connections == 1


def test_waits_double_up_to_their_bound_and_jitter_is_full() -> None:
    policy = RetryPolicy(attempts=6, first_backoff=0.25, longest_backoff=2.0)
    waits = [policy.wait_before_next(attempt, None, 1.0) for attempt in range(1, 7)]
    assert waits == [0.25, 0.5, 1.0, 2.0, 2.0, None]
    assert policy.wait_before_next(1, None, 0.0) == 0.0


def test_one_attempt_never_repeats() -> None:
    assert RetryPolicy(attempts=1).wait_before_next(1, 0.0, 0.0) is None
