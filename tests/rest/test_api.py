"""Each endpoint sends what the engine expects and returns what it says, typed."""

from __future__ import annotations

import pytest

from tests.fixtures import wire_fixture
from tests.rest.commands import mint
from tests.rest.conftest import BEARER, MakeClient
from tests.rest.engines import ScriptedEngine, reply
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.seats import UTDSeatMode
from utd_rx.rest import UTDApi

TOKEN = wire_fixture("token")
SESSION = wire_fixture("session")
GRID = wire_fixture("seats_rest")


async def test_a_mint_sends_its_fields_and_reads_its_reply(
    engine: ScriptedEngine, api: UTDApi
) -> None:
    engine.will(reply(TOKEN["replies"]["local"]["wire"]))
    token = await mint(
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
    await mint(api)
    await mint(api, metadata={"vip": True}, os="android", seat_mode="request", mode_id="m")
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
    assert (await mint(api)).room_name == "friday-room"


@pytest.mark.parametrize("wire", TOKEN["malformed"])
async def test_a_mint_that_gives_nothing_to_join_with_is_malformed(
    engine: ScriptedEngine, api: UTDApi, wire: object
) -> None:
    engine.will(reply(wire))
    with pytest.raises(UTDStreamException) as caught:
        await mint(api)
    assert caught.value.code is UTDErrorCode.MALFORMED_RESPONSE
    assert len(engine.seen) == 1


async def test_a_banned_user_gets_no_token(engine: ScriptedEngine, api: UTDApi) -> None:
    engine.will(reply({"message": "User is banned"}, 403))
    with pytest.raises(UTDStreamException) as caught:
        await mint(api)
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
    hosts = make_client(engine.base_url + "/in"), make_client(engine.base_url + "/mint")
    api = UTDApi(*hosts)
    await mint(api)
    await api.mint_session(identity="a")
    acting = UTDApi(*hosts, bearer=BEARER)
    await acting.get_seats("r")
    await mint(acting)
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


async def test_names_of_full_length_are_fine(engine: ScriptedEngine, api: UTDApi) -> None:
    engine.will(reply(TOKEN["replies"]["local"]["wire"]))
    await mint(api, identity="я" * 128, room_name="-_" * 64)
    assert len(engine.seen) == 1
