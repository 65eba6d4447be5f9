"""Each endpoint sends what the engine expects and returns what it says, typed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.fixtures import wire_fixture
from tests.rest.conftest import BEARER, MakeClient
from tests.rest.engines import ScriptedEngine, reply
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.role import UTDRole
from utd_rx.models.seats import Invitation, UTDSeatGrid, UTDSeatMode
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.models.token import UTDTokenResponse
from utd_rx.protocol.wire.seats import grid_from_wire
from utd_rx.protocol.wire.speakers import ListedInvitation
from utd_rx.rest import UTDApi

TOKEN = wire_fixture("token")
SESSION = wire_fixture("session")
GRID = wire_fixture("seats_rest")
SPEAKERS = wire_fixture("speakers")

Call = Callable[[UTDApi], Awaitable[object]]


async def _mint(api: UTDApi, **options: Any) -> UTDTokenResponse:
    given = {"identity": "sara", "room_name": "friday-room", "type": UTDStreamType.AUDIO_ROOM}
    return await api.mint_token(**{**given, **options})


async def test_a_mint_sends_its_fields_and_reads_its_reply(
    engine: ScriptedEngine, api: UTDApi
) -> None:
    engine.will(reply(TOKEN["replies"]["local"]["wire"]))
    token = await _mint(
        api,
        role="host",
        name="Sara",
        device_id="dev-1",
        seat_count=8,
        seat_mode=UTDSeatMode.FREE,
        host_seat=0,
    )
    (seen,) = engine.seen
    assert (seen.method, seen.raw_path) == ("POST", "/api/v1/token")
    assert seen.body == TOKEN["request"]
    assert "Authorization" not in seen.headers
    expected = TOKEN["replies"]["local"]["expected"]
    assert {key: getattr(token, key) for key in expected} == expected


async def test_a_mint_leaves_out_what_was_not_given(engine: ScriptedEngine, api: UTDApi) -> None:
    engine.will(reply(TOKEN["replies"]["local"]["wire"]))
    await _mint(api)
    await _mint(api, metadata={"vip": True}, os="android", seat_mode="request", mode_id="m")
    assert engine.seen[0].body == {
        "identity": "sara",
        "room_name": "friday-room",
        "type": "audio_room",
        "role": "audience",
    }
    assert engine.seen[1].body == {
        **engine.seen[0].body,
        "metadata": {"vip": True},
        "os": "android",
        "seat_mode": "request",
        "mode_id": "m",
    }


async def test_a_mint_without_the_rooms_name_means_the_room_that_was_asked_for(
    engine: ScriptedEngine, api: UTDApi
) -> None:
    engine.will(reply({"token": "t", "url": "wss://u", "user_token": "b"}))
    assert (await _mint(api)).room_name == "friday-room"


@pytest.mark.parametrize("wire", TOKEN["malformed"])
async def test_a_mint_that_gives_nothing_to_join_with_is_malformed(
    engine: ScriptedEngine, api: UTDApi, wire: object
) -> None:
    engine.will(reply(wire))
    with pytest.raises(UTDStreamException) as caught:
        await _mint(api)
    assert caught.value.code is UTDErrorCode.MALFORMED_RESPONSE
    assert len(engine.seen) == 1


async def test_a_banned_user_gets_no_token(engine: ScriptedEngine, api: UTDApi) -> None:
    engine.will(reply({"message": "User is banned"}, 403))
    with pytest.raises(UTDStreamException) as caught:
        await _mint(api)
    assert caught.value.is_banned
    assert not caught.value.is_forbidden


async def test_a_session_mint(engine: ScriptedEngine, api: UTDApi) -> None:
    engine.will(reply(SESSION["replies"]["local"]["wire"]))
    session = await api.mint_session(identity="sara", name="Sara", device_id="dev-1")
    (seen,) = engine.seen
    assert (seen.method, seen.raw_path) == ("POST", "/api/v1/auth/session")
    assert seen.body == SESSION["request"]
    expected = SESSION["replies"]["local"]["expected"]
    assert {key: getattr(session, key) for key in expected} == expected


@pytest.mark.parametrize("wire", SESSION["malformed"])
async def test_a_session_mint_without_a_bearer_is_malformed(
    engine: ScriptedEngine, api: UTDApi, wire: object
) -> None:
    engine.will(reply(wire))
    with pytest.raises(UTDStreamException) as caught:
        await api.mint_session(identity="sara")
    assert caught.value.code is UTDErrorCode.MALFORMED_RESPONSE


async def test_mints_go_to_the_token_host_and_the_rest_to_the_engine(
    engine: ScriptedEngine, make_client: MakeClient
) -> None:
    engine.will(reply({**TOKEN["replies"]["local"]["wire"], **GRID}))
    api = UTDApi(make_client(engine.base_url + "/in"), make_client(engine.base_url + "/mint"))
    await _mint(api)
    await api.mint_session(identity="a")
    acting = api.with_bearer(BEARER)
    await acting.get_seats("r")
    await _mint(acting)
    assert [seen.raw_path for seen in engine.seen] == [
        "/mint/api/v1/token",
        "/mint/api/v1/auth/session",
        "/in/api/v1/rooms/r/seats",
        "/mint/api/v1/token",
    ]
    assert [seen.headers.get("Authorization") for seen in engine.seen] == [
        None,
        None,
        f"Bearer {BEARER}",
        None,
    ]


async def test_a_grid_is_read_in_either_spelling(engine: ScriptedEngine, api: UTDApi) -> None:
    engine.will(reply(GRID), reply(wire_fixture("seats_push")), reply(GRID))
    grid = grid_from_wire(GRID)
    assert await api.get_seats("r") == grid
    assert await api.get_seats("r") == grid
    assert await api.setup_seats("r", seat_count=4, seat_mode="request", mode_id="grid-4") == grid
    assert engine.seen[2].raw_path == "/api/v1/rooms/r/seats/setup"
    assert engine.seen[2].body == {"seat_count": 4, "seat_mode": "request", "mode_id": "grid-4"}


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


async def test_an_empty_grid_is_a_grid(engine: ScriptedEngine, api: UTDApi) -> None:
    engine.will(reply({"seats": []}))
    assert await api.get_seats("r") == UTDSeatGrid()


R = "/api/v1/rooms/r"
COMMANDS: list[tuple[Call, str, str, object, object, object]] = [
    # call, method, path, body, the engine's reply, result
    (lambda api: api.take_seat("r", 3), "POST", f"{R}/seats/3/take", {}, {}, None),
    (lambda api: api.leave_seat("r"), "POST", f"{R}/seats/leave", {}, {}, None),
    (
        lambda api: api.move_seat("r", 2),
        "POST",
        f"{R}/seats/move",
        {"target_seat": 2},
        {"from": 0, "to": 2},
        None,
    ),
    (lambda api: api.kick_seat("r", 1), "POST", f"{R}/seats/1/kick", {}, {}, None),
    (lambda api: api.lock_seat("r", 1), "POST", f"{R}/seats/1/lock", {}, {}, None),
    (lambda api: api.unlock_seat("r", 1), "POST", f"{R}/seats/1/unlock", {}, {}, None),
    (lambda api: api.mute_seat("r", 1), "POST", f"{R}/seats/1/mute", {}, {}, None),
    (
        lambda api: api.mute_seat("r", 1),
        "POST",
        f"{R}/seats/1/mute",
        {},
        {"count": 0},
        UTDSeatGrid(),
    ),
    (lambda api: api.unmute_seat("r", 1), "POST", f"{R}/seats/1/unmute", {}, {}, None),
    (
        lambda api: api.request_to_speak("r"),
        "POST",
        f"{R}/speakers/request",
        {},
        SPEAKERS["request"],
        7,
    ),
    (lambda api: api.request_to_speak("r"), "POST", f"{R}/speakers/request", {}, {}, None),
    (lambda api: api.cancel_request("r"), "DELETE", f"{R}/speakers/request", None, {}, None),
    (
        lambda api: api.approve_speaker("r", 7),
        "POST",
        f"{R}/speakers/requests/7/approve",
        {},
        SPEAKERS["approve"],
        3,
    ),
    (
        lambda api: api.reject_speaker("r", 7),
        "POST",
        f"{R}/speakers/requests/7/reject",
        {},
        {},
        None,
    ),
    (
        lambda api: api.invite_to_speak("r", "علي", seat_index=2),
        "POST",
        f"{R}/speakers/invite",
        {"target_identity": "علي", "seat_index": 2},
        SPEAKERS["invite"],
        4,
    ),
    (
        lambda api: api.invite_to_speak("r", "b"),
        "POST",
        f"{R}/speakers/invite",
        {"target_identity": "b"},
        {},
        None,
    ),
    (
        lambda api: api.speaker_invitations("r"),
        "GET",
        f"{R}/speakers/invitations",
        None,
        SPEAKERS["invitations"],
        (ListedInvitation(Invitation(4, "sara", "علي", 2), 41.5),),
    ),
    (
        lambda api: api.accept_invitation("r", 4),
        "POST",
        f"{R}/speakers/invitations/4/accept",
        {},
        SPEAKERS["accept"],
        2,
    ),
    (
        lambda api: api.decline_invitation("r", 4),
        "POST",
        f"{R}/speakers/invitations/4/decline",
        {},
        {},
        None,
    ),
    (lambda api: api.kick_participant("r", "b"), "DELETE", f"{R}/participants/b", None, {}, None),
    (
        lambda api: api.mute_participant("r", "b", video=True, muted=False),
        "PUT",
        f"{R}/participants/b/mute",
        {"audio": True, "video": True, "muted": False},
        {},
        None,
    ),
    (
        lambda api: api.set_role("r", "b", "admin"),
        "PUT",
        f"{R}/participants/b/role",
        {"role": "admin"},
        wire_fixture("moderation")["role"],
        None,
    ),
    (
        lambda api: api.get_role("r", "b"),
        "GET",
        f"{R}/participants/b",
        None,
        {"identity": "b", "role": "admin"},
        UTDRole.ADMIN,
    ),
    (
        lambda api: api.get_role("r", "b"),
        "GET",
        f"{R}/participants/b",
        None,
        {"identity": "b", "role": "wizard"},
        None,
    ),
    (
        lambda api: api.participant_metadata("r", "b"),
        "GET",
        f"{R}/participants/b",
        None,
        {"identity": "b", "metadata": '{"role": "admin"}'},
        '{"role": "admin"}',
    ),
    (
        lambda api: api.participant_metadata("r", "b"),
        "GET",
        f"{R}/participants/b",
        None,
        {"identity": "b"},
        "",
    ),
    (
        lambda api: api.lock_chat("r", True),
        "PUT",
        f"{R}/comments/lock",
        {"locked": True},
        wire_fixture("moderation")["comments_lock"],
        None,
    ),
    (
        lambda api: api.ban("b", room="r", reason="spam", duration=60),
        "POST",
        "/api/v1/rooms/ban",
        {"identity": "b", "room_name": "r", "reason": "spam", "duration": 60},
        {"id": 1},
        None,
    ),
    (lambda api: api.ban("b"), "POST", "/api/v1/rooms/ban", {"identity": "b"}, {}, None),
    (
        lambda api: api.unban("b", room="r"),
        "DELETE",
        "/api/v1/rooms/ban",
        {"identity": "b", "room_name": "r"},
        {},
        None,
    ),
]


@pytest.mark.parametrize(("call", "method", "path", "body", "answer", "result"), COMMANDS)
async def test_a_command_says_what_the_engine_expects(
    engine: ScriptedEngine,
    api: UTDApi,
    call: Call,
    method: str,
    path: str,
    body: object,
    answer: object,
    result: object,
) -> None:
    engine.will(reply(answer))
    assert await call(api) == result
    (seen,) = engine.seen
    assert (seen.method, seen.raw_path, seen.body) == (method, path, body)
    assert seen.headers["Authorization"] == f"Bearer {BEARER}"


@pytest.mark.parametrize("wire", [SPEAKERS["requests"], SPEAKERS["requests"]["requests"]])
async def test_speak_requests_come_in_order(
    engine: ScriptedEngine, api: UTDApi, wire: object
) -> None:
    engine.will(reply(wire))
    assert [(r.id, r.identity) for r in await api.speak_requests("r")] == [(7, "mona"), (9, "李雷")]
    assert engine.seen[0].raw_path == f"{R}/speakers/requests"


async def test_bans_come_page_by_page(engine: ScriptedEngine, api: UTDApi) -> None:
    engine.will(reply(wire_fixture("bans")))
    one_room, project = await api.bans(page=2, per_page=50)
    assert (one_room.identity, one_room.room_name, one_room.is_permanent) == (
        "mallory",
        "friday-room",
        False,
    )
    assert (project.identity, project.room_name, project.is_permanent) == ("трол", None, True)
    assert engine.seen[0].query == {"page": "2", "per_page": "50"}


LONG = "x" * 129
BAD: list[Call] = [
    lambda api: _mint(api, identity=""),
    lambda api: _mint(api, identity=LONG),
    lambda api: _mint(api, identity="a\nb"),
    lambda api: _mint(api, identity="a\x9fb"),
    lambda api: _mint(api, identity="\ud800"),
    lambda api: _mint(api, identity=7),
    lambda api: _mint(api, room_name=""),
    lambda api: _mint(api, room_name=LONG),
    lambda api: _mint(api, room_name="a b"),
    lambda api: _mint(api, room_name="a/b"),
    lambda api: _mint(api, room_name="комната"),
    lambda api: _mint(api, room_name="room\n"),
    lambda api: _mint(api, room_name=5),
    lambda api: _mint(api, seat_count=0),
    lambda api: _mint(api, seat_count=101),
    lambda api: _mint(api, seat_count=True),
    lambda api: _mint(api, seat_mode="anarchy"),
    lambda api: _mint(api, host_seat=-1),
    lambda api: api.mint_session(identity=""),
    lambda api: api.get_seats("../x"),
    lambda api: api.setup_seats("r", seat_count=101),
    lambda api: api.take_seat("r", -1),
    lambda api: api.take_seat("r", True),
    lambda api: api.take_seat("r", "0"),  # type: ignore[arg-type]
    lambda api: api.take_seat("r", 1.0),  # type: ignore[arg-type]
    lambda api: api.move_seat("r", -1),
    lambda api: api.approve_speaker("r", -1),
    lambda api: api.invite_to_speak("r", "\x00"),
    lambda api: api.invite_to_speak("r", "a", seat_index=-1),
    lambda api: api.kick_participant("r", ""),
    lambda api: api.ban("a", duration=0),
    lambda api: api.ban("a", room="a b"),
    lambda api: api.bans(per_page=101),
]


@pytest.mark.parametrize("call", BAD)
async def test_what_cannot_be_right_is_refused_before_it_is_sent(
    engine: ScriptedEngine, api: UTDApi, call: Call
) -> None:
    with pytest.raises(UTDStreamException) as caught:
        await call(api)
    assert caught.value.code is UTDErrorCode.VALIDATION
    assert caught.value.status_code is None
    assert engine.seen == []


async def test_names_of_full_length_are_fine(engine: ScriptedEngine, api: UTDApi) -> None:
    engine.will(reply(TOKEN["replies"]["local"]["wire"]))
    await _mint(api, identity="я" * 128, room_name="-_" * 64)
    assert len(engine.seen) == 1
