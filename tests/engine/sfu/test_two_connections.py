"""Clients of `/rtc`, with two peer connections, beside those of `/rtc/v1`, with one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit import rtc as sdk
from livekit.protocol import models, rtc
from livekit.rtc._proto.room_pb2 import SimulateScenarioKind

from tests.engine.sfu.clients import Camera, Client, Microphone, heard, seen, token
from tests.engine.sfu.conftest import Join
from tests.support.sfu import RunningSfu
from utd_rx.engine.sfu.join_queries import join_request

MakeMicrophone = Callable[[Client], Microphone]
TWO = sdk.RoomOptions(single_peer_connection=False)


async def test_each_kind_hears_sees_and_reaches_the_other(
    join: Join, microphone: MakeMicrophone, camera: Callable[..., Camera]
) -> None:
    old, new = await join("old", options=TWO), await join("new")
    await microphone(old).publish()
    await microphone(new).publish()
    await camera(old, 320, 180).publish()
    await heard(await new.subscribed("old"))
    await heard(await old.subscribed("new"))
    picture, _, _ = await new.wait_for(
        "track_subscribed", lambda track, *_: track.kind == sdk.TrackKind.KIND_VIDEO
    )
    assert (await seen(picture)).width == 320
    for one, other in ((old, new), (new, old)):
        await one.me.publish_data(one.identity)
        (packet,) = await other.wait_for("data_received")
        assert packet.data.decode() == one.identity


@pytest.mark.realtime(waits=True)  # LiveKit settles for 3 s before it resumes
@pytest.mark.parametrize("sfu_kind", ["embedded"])
async def test_a_resume_keeps_both_connections(join: Join, microphone: MakeMicrophone) -> None:
    old, new = await join("old", options=TWO), await join("new")
    await microphone(old).publish()
    await microphone(new).publish()
    ours, theirs = await new.subscribed("old"), await old.subscribed("new")
    await old.room.simulate_scenario(SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT)
    await old.wait_for("reconnected")
    await heard(ours)
    await heard(theirs)
    await new.me.publish_data("after")
    await old.wait_for("data_received")
    assert new.count("participant_disconnected") + old.count("track_unsubscribed") == 0


async def test_what_an_old_browser_says_is_in_the_query(sfu: RunningSfu, room_name: str) -> None:
    access = token(sfu, "raw", room_name)
    query = f"access_token={access}&auto_subscribe=1&sdk=js&version=1.15.13&protocol=12"
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{sfu.api_url}/rtc/validate?{query}") as response:
            assert response.status == 200
            assert response.headers["Access-Control-Allow-Origin"] == "*"
        async with http.get(f"{sfu.api_url}/rtc/validate?access_token=bad") as response:
            assert response.status == 401
        async with http.ws_connect(f"{sfu.api_url}/rtc?{query}") as socket:
            found: dict[str, rtc.SignalResponse] = {}
            while not {"join", "offer"} <= found.keys():
                message = rtc.SignalResponse.FromString(await socket.receive_bytes(timeout=20))
                found[message.WhichOneof("message") or ""] = message
        assert found["join"].join.subscriber_primary
        assert "m=application" in found["offer"].offer.sdp


def test_a_query_is_read_as_the_request_it_stands_for() -> None:
    query = {
        "sdk": "ios",
        "version": "2",
        "protocol": "16",
        "os": "iOS",
        "auto_subscribe": "0",
        "adaptive_stream": "true",
        "reconnect": "1",
        "sid": "PA_x",
    }
    assert join_request(query) == rtc.JoinRequest(
        client_info=models.ClientInfo(sdk="SWIFT", version="2", protocol=16, os="iOS"),
        connection_settings=rtc.ConnectionSettings(adaptive_stream=True),
        reconnect=True,
        participant_sid="PA_x",
    )
    assert join_request({}).connection_settings.auto_subscribe


@given(st.dictionaries(st.sampled_from(["sdk", "protocol", "reconnect", "sid"]), st.text()))
def test_any_query_is_a_request(query: Mapping[str, str]) -> None:
    request = join_request({key: json.dumps(value)[1:-1] for key, value in query.items()})
    assert request.client_info.protocol >= 0
