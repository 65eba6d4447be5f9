"""A call's room is its two parties': whoever else knocks is refused, and is told so."""

from __future__ import annotations

import asyncio

import pytest
from livekit import api

from tests.e2e.house import PATIENCE
from tests.e2e.phones import AUDIO, Exchange, agreed, heard
from tests.e2e.test_audio_room import refused
from utd_rx import (
    DisconnectReason,
    UTDCallEndReason,
    UTDCallStatus,
    UTDErrorCode,
)
from utd_rx.media.placed_rooms import PlacedRooms
from utd_rx.models.events import Disconnected, RoomEvent


def forged(exchange: Exchange, identity: str, call_id: str) -> str:
    """A token of one's own for a call's room, made with the media server's stolen key."""
    engine = exchange.engine
    room = engine.core.rooms.livekit_name(call_id)
    grants = api.VideoGrants(room_join=True, room=room)
    token = api.AccessToken(engine.livekit_api_key, engine.livekit_api_secret)
    return token.with_identity(identity).with_grants(grants).to_jwt()


async def test_nobody_else_gets_a_token_while_one_party_waits(exchange: Exchange) -> None:
    anna, ben, eve = [await exchange.phone(who) for who in ("anna", "ben", "eve")]
    call = await anna.session.start("ben")
    forbidden = []
    for who in ("eve", "ben", "anna"):
        mints = await exchange.api(who, call.call_id)
        forbidden.append(await refused(mints.mint()))
        as_call = mints.mint_token(identity=who, room_name=call.call_id, type=AUDIO)
        assert (await refused(as_call)).code is UTDErrorCode.VALIDATION
    forbidden.append(await refused(eve.client.join_audio_room("eve", call.call_id)))
    session = eve.session
    for command in (session.accept, session.ringing, session.reject, session.busy):
        forbidden.append(await refused(command(call.call_id)))
    assert {(error.code, error.status_code) for error in forbidden} == {
        (UTDErrorCode.FORBIDDEN, 403)
    }
    assert (session.status.value, eve.client.ringing_calls.value) == (None, ())
    assert anna.session.remote_participants.value == ()
    # Nothing of this has touched the call.
    await ben.session.accept(call.call_id)
    await heard(anna, ben)


@pytest.mark.parametrize("identity", ["eve", "ben"])
async def test_a_token_of_ones_own_does_not_lead_into_a_call(
    exchange: Exchange, identity: str
) -> None:
    anna, ben = await exchange.phone("anna"), await exchange.phone("ben")
    call = await anna.session.start("ben")
    room = PlacedRooms().make()
    removed: asyncio.Future[Disconnected] = asyncio.get_running_loop().create_future()

    def hear(events: tuple[RoomEvent, ...]) -> None:
        for event in events:
            if isinstance(event, Disconnected):
                removed.set_result(event)

    room.listen(hear)
    try:
        token = forged(exchange, identity, call.call_id)
        await room.connect(exchange.engine.livekit_url, token)
        told = await asyncio.wait_for(removed, PATIENCE)
        assert told.reason is DisconnectReason.PARTICIPANT_REMOVED
        await ben.session.accept(call.call_id)
        await heard(anna, ben)
        # Now it is full, and LiveKit refuses by itself: with a 500 and no reason.
        full = await refused(
            room.connect(exchange.engine.livekit_url, forged(exchange, "eve", call.call_id))
        )
        assert full.code is UTDErrorCode.SERVER
        assert "the room may be full" in full.message
    finally:
        await room.aclose()
    await heard(anna, ben)
    await anna.session.end()
    await agreed(anna, ben, UTDCallStatus.ENDED, UTDCallEndReason.CALLER_HANGUP)
    await exchange.empty()
