"""What participants say of themselves within their bounds shuts nobody out."""

from __future__ import annotations

import aiohttp
from aiohttp import test_utils, web
from livekit import api

from tests.engine.sfu.rooms import CERTIFICATE, join
from tests.engine.sfu.test_signalling import join_request, receive, receive_kind
from tests.support.sfu import fresh_options
from utd_rx.engine.sfu import signalling
from utd_rx.engine.sfu.limits import MAX_METADATA_BYTES
from utd_rx.engine.sfu.participant_ports import SfuContext
from utd_rx.engine.sfu.sfu_rooms import SfuRooms
from utd_rx.engine.sfu.udp_mux import UdpMux
from utd_rx.engine.sfu.webhook_sender import SfuWebhookSender


async def test_a_room_of_any_size_lets_in_who_reads() -> None:
    options = fresh_options()
    rooms = SfuRooms(SfuContext(options, UdpMux(), CERTIFICATE, SfuWebhookSender(options)))
    room = rooms.get_or_create("r")
    for n in range(20):
        join(room, f"mallory-{n}")[0].metadata = "m" * MAX_METADATA_BYTES
    token = api.AccessToken(options.api_key, options.api_secret).with_identity("victim")
    access = token.with_grants(api.VideoGrants(room="r", room_join=True)).to_jwt()
    app = web.Application()
    app.add_routes(signalling.routes(rooms))

    def opening(request: str) -> str:
        query = f"access_token={access}&join_request={request}"
        return str(server.make_url(f"/rtc/v1?{query}"))

    async with test_utils.TestServer(app) as server, aiohttp.ClientSession() as http:
        async with http.ws_connect(opening(join_request()), max_msg_size=0) as socket:
            response = await receive(socket)
            assert len(response.join.other_participants) == 20
            await receive_kind(socket, "refresh_token")
            sid = response.join.participant.sid
            again = opening(join_request(reconnect=True, participant_sid=sid))
            async with http.ws_connect(again, max_msg_size=0) as resumed:
                told = (await receive_kind(resumed, "update")).update
                assert len(told.participants) == 21
                await receive_kind(resumed, "refresh_token")
        rooms.close_all()
