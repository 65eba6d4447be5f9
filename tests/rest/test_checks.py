"""What cannot be right is refused before it is sent."""

from __future__ import annotations

import pytest

from tests.rest.commands import Call, mint
from tests.rest.engines import ScriptedEngine
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.protocol.wire.tokens import MAX_CREDENTIAL
from utd_rx.rest import UTDApi
from utd_rx.rest.checks import checked_secret

LONG = "x" * 129
BAD: list[Call] = [
    lambda api: mint(api, identity=""),
    lambda api: mint(api, identity=LONG),
    lambda api: mint(api, identity="a\nb"),
    lambda api: mint(api, identity="a\x9fb"),
    lambda api: mint(api, identity="\ud800"),
    lambda api: mint(api, identity=7),
    lambda api: mint(api, room_name=""),
    lambda api: mint(api, room_name=LONG),
    lambda api: mint(api, room_name="a b"),
    lambda api: mint(api, room_name="a/b"),
    lambda api: mint(api, room_name="комната"),
    lambda api: mint(api, room_name="room\n"),
    lambda api: mint(api, room_name=5),
    lambda api: mint(api, seat_count=0),
    lambda api: mint(api, seat_count=101),
    lambda api: mint(api, seat_count=True),
    lambda api: mint(api, seat_mode="anarchy"),
    lambda api: mint(api, host_seat=-1),
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


def test_a_credential_has_an_end() -> None:
    longest = "x" * MAX_CREDENTIAL
    assert checked_secret(longest, "bearer") == longest
    with pytest.raises(UTDStreamException, match="bearer must be") as caught:
        checked_secret(longest + "x", "bearer")
    assert caught.value.code is UTDErrorCode.VALIDATION
