"""Each seat command says what the engine expects, and no odd reply empties the room."""

from __future__ import annotations

import pytest

from tests.fixtures import wire_fixture
from tests.rest.commands import Command, named
from tests.rest.engines import ScriptedEngine, reply
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.seats import Invitation, UTDSeatGrid
from utd_rx.protocol.wire.seats import grid_from_wire
from utd_rx.protocol.wire.speakers import ListedInvitation
from utd_rx.rest import UTDApi

GRID = wire_fixture("seats_rest")
SPEAKERS = wire_fixture("speakers")
LISTED = ListedInvitation(Invitation(4, "sara", "علي", 2), 41.5)

COMMANDS = [
    Command(lambda api: api.take_seat("r", 3), "POST", "r/seats/3/take", {}),
    Command(lambda api: api.leave_seat("r"), "POST", "r/seats/leave", {}),
    Command(
        lambda api: api.move_seat("r", 2),
        "POST",
        "r/seats/move",
        {"target_seat": 2},
        answer={"from": 0, "to": 2},
    ),
    Command(lambda api: api.kick_seat("r", 1), "POST", "r/seats/1/kick", {}),
    Command(lambda api: api.lock_seat("r", 1), "POST", "r/seats/1/lock", {}),
    Command(lambda api: api.unlock_seat("r", 1), "POST", "r/seats/1/unlock", {}),
    Command(lambda api: api.mute_seat("r", 1), "POST", "r/seats/1/mute", {}),
    Command(
        lambda api: api.mute_seat("r", 1),
        "POST",
        "r/seats/1/mute",
        {},
        answer={"count": 0},
        result=UTDSeatGrid(),
    ),
    Command(lambda api: api.unmute_seat("r", 1), "POST", "r/seats/1/unmute", {}),
    Command(
        lambda api: api.request_to_speak("r"),
        "POST",
        "r/speakers/request",
        {},
        answer=SPEAKERS["request"],
        result=7,
    ),
    Command(lambda api: api.request_to_speak("r"), "POST", "r/speakers/request", {}),
    Command(lambda api: api.cancel_request("r"), "DELETE", "r/speakers/request"),
    Command(
        lambda api: api.approve_speaker("r", 7),
        "POST",
        "r/speakers/requests/7/approve",
        {},
        answer=SPEAKERS["approve"],
        result=3,
    ),
    Command(lambda api: api.reject_speaker("r", 7), "POST", "r/speakers/requests/7/reject", {}),
    Command(
        lambda api: api.invite_to_speak("r", "علي", seat_index=2),
        "POST",
        "r/speakers/invite",
        {"target_identity": "علي", "seat_index": 2},
        answer=SPEAKERS["invite"],
        result=4,
    ),
    Command(
        lambda api: api.invite_to_speak("r", "b"),
        "POST",
        "r/speakers/invite",
        {"target_identity": "b"},
    ),
    Command(
        lambda api: api.speaker_invitations("r"),
        "GET",
        "r/speakers/invitations",
        answer=SPEAKERS["invitations"],
        result=(LISTED,),
    ),
    Command(
        lambda api: api.accept_invitation("r", 4),
        "POST",
        "r/speakers/invitations/4/accept",
        {},
        answer=SPEAKERS["accept"],
        result=2,
    ),
    Command(
        lambda api: api.decline_invitation("r", 4), "POST", "r/speakers/invitations/4/decline", {}
    ),
]


@pytest.mark.parametrize("command", COMMANDS, ids=named)
async def test_a_command_says_what_the_engine_expects(
    engine: ScriptedEngine, api: UTDApi, command: Command
) -> None:
    await command.check(engine, api)


async def test_a_grid_is_read_in_either_spelling(engine: ScriptedEngine, api: UTDApi) -> None:
    engine.will(reply(GRID), reply(wire_fixture("seats_push")), reply(GRID))
    grid = grid_from_wire(GRID)
    assert await api.get_seats("r") == grid
    assert await api.get_seats("r") == grid
    assert await api.setup_seats("r", seat_count=4, seat_mode="request", mode_id="grid-4") == grid
    assert engine.seen[2].raw_path == "/api/v1/rooms/r/seats/setup"
    assert engine.seen[2].body == {"seat_count": 4, "seat_mode": "request", "mode_id": "grid-4"}


async def test_an_empty_grid_is_a_grid(engine: ScriptedEngine, api: UTDApi) -> None:
    engine.will(reply({"seats": []}))
    assert await api.get_seats("r") == UTDSeatGrid()


@pytest.mark.parametrize("wire", [{}, {"ok": True}, {"data": []}])
async def test_a_reply_that_is_no_grid_does_not_empty_the_room(
    engine: ScriptedEngine, api: UTDApi, wire: object
) -> None:
    engine.will(reply(wire))
    with pytest.raises(UTDStreamException) as caught:
        await api.get_seats("r")
    assert caught.value.code is UTDErrorCode.MALFORMED_RESPONSE


@pytest.mark.parametrize("wire", [{}, {"invitations": None}, {"data": []}])
async def test_a_reply_that_lists_no_invitations_ends_none(
    engine: ScriptedEngine, api: UTDApi, wire: object
) -> None:
    engine.will(reply(wire))
    with pytest.raises(UTDStreamException) as caught:
        await api.speaker_invitations("r")
    assert caught.value.code is UTDErrorCode.MALFORMED_RESPONSE


@pytest.mark.parametrize("wire", [SPEAKERS["requests"], SPEAKERS["requests"]["requests"]])
async def test_speak_requests_come_in_order(
    engine: ScriptedEngine, api: UTDApi, wire: object
) -> None:
    engine.will(reply(wire))
    assert [(r.id, r.identity) for r in await api.speak_requests("r")] == [(7, "mona"), (9, "李雷")]
    assert engine.seen[0].raw_path == "/api/v1/rooms/r/speakers/requests"
