"""What participants say of themselves shuts nobody out; what they ask is theirs to pay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import test_utils, web
from attrs import frozen
from livekit import api
from livekit.protocol import rtc

from tests.engine.sfu.rooms import CERTIFICATE, join
from tests.engine.sfu.test_signalling import join_request, receive, receive_kind
from tests.support.sfu import fresh_options
from utd_rx.engine.sfu import signalling
from utd_rx.engine.sfu.limits import MAX_METADATA_BYTES
from utd_rx.engine.sfu.participant_ports import SfuContext
from utd_rx.engine.sfu.sfu_room import SfuRoom
from utd_rx.engine.sfu.sfu_rooms import SfuRooms
from utd_rx.engine.sfu.udp_mux import UdpMux
from utd_rx.engine.sfu.webhook_sender import SfuWebhookSender


@frozen
class Door:
    """A room, and how one signs in."""

    room: SfuRoom
    url: str
    http: aiohttp.ClientSession

    async def open(self, **request: Any) -> aiohttp.ClientWebSocketResponse:
        url = f"{self.url}&join_request={join_request(**request)}"
        return await self.http.ws_connect(url, max_msg_size=0)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    options = fresh_options()
    rooms = SfuRooms(SfuContext(options, UdpMux(), CERTIFICATE, SfuWebhookSender(options)))
    token = api.AccessToken(options.api_key, options.api_secret).with_identity("mona")
    access = token.with_grants(api.VideoGrants(room="r", room_join=True)).to_jwt()
    app = web.Application()
    app.add_routes(signalling.routes(rooms))
    async with test_utils.TestServer(app) as server, aiohttp.ClientSession() as http:
        url = str(server.make_url("/rtc/v1").with_query(access_token=access))
        yield Door(rooms.get_or_create("r"), url, http)
        rooms.close_all()


async def test_a_room_of_any_size_lets_in_who_reads(door: Door) -> None:
    for n in range(20):
        join(door.room, f"mallory-{n}")[0].metadata = "m" * MAX_METADATA_BYTES
    socket = await door.open()
    response = await receive(socket)
    assert len(response.join.other_participants) == 20
    await receive_kind(socket, "refresh_token")
    sid = response.join.participant.sid
    resumed = await door.open(reconnect=True, participant_sid=sid)
    told = (await receive_kind(resumed, "update")).update
    assert len(told.participants) == 21
    await receive_kind(resumed, "refresh_token")


async def test_what_is_asked_is_of_the_share_of_who_asks(door: Door) -> None:
    socket = await door.open()
    await receive_kind(socket, "refresh_token")
    mona = door.room.get("mona")
    assert mona is not None
    before = mona.share.turned
    await socket.send_bytes(rtc.SignalRequest(ping=1).SerializeToString())
    await receive_kind(socket, "pong")
    assert before == 0.0 < mona.share.turned
