"""The signal end point as a hostile or unusual client sees it, without the SDK."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import gzip
import resource
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from livekit import api
from livekit.protocol import models, rtc

from tests.engine.sfu.clients import token
from tests.support.sfu import RunningSfu
from utd_rx.engine.sfu.sfu_participant import SfuParticipant

Recorded = Callable[[str], str]


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def join_request(*, compress: bool = False, **fields: Any) -> str:
    request = rtc.JoinRequest(
        client_info=models.ClientInfo(sdk=models.ClientInfo.JS, protocol=16), **fields
    ).SerializeToString()
    wrapped = rtc.WrappedJoinRequest(join_request=request)
    if compress:
        wrapped.compression = rtc.WrappedJoinRequest.GZIP
        wrapped.join_request = gzip.compress(request)
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()


def url(
    sfu: RunningSfu, path: str, room: str, join: str, identity: str = "raw", **grants: Any
) -> str:
    access = token(sfu, identity, room, **grants)
    return f"{sfu.api_url}{path}?access_token={access}&join_request={join}"


async def identities(sfu: RunningSfu, room: str) -> list[str]:
    async with api.LiveKitAPI(sfu.api_url, sfu.api_key, sfu.api_secret) as admin:
        listed = await admin.room.list_participants(api.ListParticipantsRequest(room=room))
    return [one.identity for one in listed.participants]


async def receive(socket: aiohttp.ClientWebSocketResponse) -> rtc.SignalResponse:
    message = await socket.receive(timeout=20)
    assert message.type is aiohttp.WSMsgType.BINARY, message
    return rtc.SignalResponse.FromString(message.data)


async def receive_kind(socket: aiohttp.ClientWebSocketResponse, kind: str) -> rtc.SignalResponse:
    while True:
        response = await receive(socket)
        if response.WhichOneof("message") == kind:
            return response


class Traced:
    """What a block of code cost, in bytes of Python's memory."""

    peak = kept = 0


@contextlib.contextmanager
def traced() -> Iterator[Traced]:
    memory = Traced()
    tracemalloc.start()
    try:
        yield memory
        memory.kept, memory.peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()


def resident_bytes() -> int:
    """The process's, on Linux; memory of protobuf is not Python's."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def until_closed(socket: aiohttp.ClientWebSocketResponse) -> None:
    async with asyncio.timeout(20):
        async for _ in socket:
            pass


@pytest.mark.parametrize("compress", [False, True])
async def test_a_browser_joins_with_everything_in_the_query(
    sfu: RunningSfu,
    http: aiohttp.ClientSession,
    room_name: str,
    recorded: Recorded,
    compress: bool,
) -> None:
    offer = rtc.SessionDescription(type="offer", sdp=recorded("sdk_join"), id=7)
    wrapped = join_request(compress=compress, publisher_offer=offer)
    async with http.ws_connect(url(sfu, "/rtc/v1", room_name, wrapped)) as socket:
        first = await receive(socket)
        assert first.WhichOneof("message") == "join"
        assert first.join.participant.identity == "raw"
        assert first.join.fast_publish
        assert not first.join.subscriber_primary
        answer = (await receive_kind(socket, "answer")).answer
        assert (answer.type, answer.id) == ("answer", 7)
        assert "a=mid:6" in answer.sdp
        await socket.send_bytes(
            rtc.SignalRequest(ping_req=rtc.Ping(timestamp=5)).SerializeToString()
        )
        assert (await receive_kind(socket, "pong_resp")).pong_resp.last_ping_timestamp == 5


async def test_validate_says_what_is_wrong_to_a_browser(
    sfu: RunningSfu, http: aiohttp.ClientSession, room_name: str
) -> None:
    good = join_request()
    async with http.get(url(sfu, "/rtc/v1/validate", room_name, good)) as response:
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    async with http.get(f"{sfu.api_url}/rtc/v1/validate?access_token=bad") as response:
        assert response.status == 401
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    async with http.get(url(sfu, "/rtc/v1/validate", room_name, "%%%")) as response:
        assert response.status == 400
    async with http.head(f"{sfu.api_url}/") as response:
        assert response.status == 200


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "!!!",
        base64.urlsafe_b64encode(b"\xff\xff\xff").decode(),
        base64.urlsafe_b64encode(
            rtc.WrappedJoinRequest(
                compression=rtc.WrappedJoinRequest.GZIP, join_request=b"no gzip"
            ).SerializeToString()
        ).decode(),
        base64.urlsafe_b64encode(
            rtc.WrappedJoinRequest(
                compression=rtc.WrappedJoinRequest.GZIP,
                join_request=gzip.compress(bytes(64 * 1024 * 1024)),
            ).SerializeToString()
        ).decode(),
    ],
)
async def test_a_broken_join_request_is_refused_before_the_upgrade(
    sfu: RunningSfu, http: aiohttp.ClientSession, room_name: str, broken: str
) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await http.ws_connect(url(sfu, "/rtc/v1", room_name, broken))
    assert caught.value.status == 400


async def test_resuming_an_unknown_session_starts_over(
    sfu: RunningSfu, http: aiohttp.ClientSession, room_name: str
) -> None:
    join = join_request(reconnect=True, participant_sid="PA_unknown")
    async with http.ws_connect(url(sfu, "/rtc/v1", room_name, join)) as socket:
        leave = (await receive_kind(socket, "leave")).leave
        assert leave.reason == models.DisconnectReason.STATE_MISMATCH
        assert leave.action == rtc.LeaveRequest.RECONNECT
        await until_closed(socket)


async def test_a_session_of_another_identity_cannot_be_resumed(
    sfu: RunningSfu, http: aiohttp.ClientSession, room_name: str
) -> None:
    async with http.ws_connect(url(sfu, "/rtc/v1", room_name, join_request())) as victim:
        sid = (await receive(victim)).join.participant.sid
        join = join_request(reconnect=True, participant_sid=sid)
        address = url(sfu, "/rtc/v1", room_name, join, identity="mallory")
        async with http.ws_connect(address) as socket:
            assert (await receive_kind(socket, "leave")).leave.reason == (
                models.DisconnectReason.STATE_MISMATCH
            )


@pytest.mark.parametrize("sfu_kind", ["embedded"])  # livekit-server looks at no sid
async def test_who_was_replaced_while_away_is_told_so_and_the_newer_one_stays(
    sfu: RunningSfu, http: aiohttp.ClientSession, room_name: str
) -> None:
    async with http.ws_connect(url(sfu, "/rtc/v1", room_name, join_request())) as laptop:
        sid = (await receive(laptop)).join.participant.sid
        async with http.ws_connect(url(sfu, "/rtc/v1", room_name, join_request())) as phone:
            await receive_kind(phone, "refresh_token")
            resume = join_request(reconnect=True, participant_sid=sid)
            async with http.ws_connect(url(sfu, "/rtc/v1", room_name, resume)) as again:
                leave = (await receive_kind(again, "leave")).leave
                assert leave.reason == models.DisconnectReason.DUPLICATE_IDENTITY
                assert leave.action == rtc.LeaveRequest.DISCONNECT
                await until_closed(again)
            await phone.send_bytes(rtc.SignalRequest(ping=1).SerializeToString())
            assert (await receive(phone)).WhichOneof("message") == "pong"


class TestHostileEmbedded:
    """What the embedded server does where the real one differs in detail."""

    pytestmark = pytest.mark.parametrize("sfu_kind", ["embedded"])

    @pytest.mark.parametrize(
        "message",
        [b"\xff" * 20, "text", bytes(2 * 1024 * 1024 + 1)],
        ids=["garbage", "text", "oversized"],
    )
    async def test_a_message_that_is_no_request_ends_the_connection(
        self,
        sfu: RunningSfu,
        http: aiohttp.ClientSession,
        room_name: str,
        message: bytes | str,
    ) -> None:
        async with http.ws_connect(url(sfu, "/rtc/v1", room_name, join_request())) as socket:
            await receive_kind(socket, "join")
            if isinstance(message, str):
                await socket.send_str(message)
            else:
                await socket.send_bytes(message)
            await until_closed(socket)
        async with http.head(f"{sfu.api_url}/") as response:
            assert response.status == 200

    @pytest.mark.parametrize(
        "sdp", ["", "v=0", "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", "m=audio", "a" * 1_500_000]
    )
    async def test_a_useless_offer_makes_the_client_start_over(
        self, sfu: RunningSfu, http: aiohttp.ClientSession, room_name: str, sdp: str
    ) -> None:
        async with http.ws_connect(url(sfu, "/rtc/v1", room_name, join_request())) as socket:
            await receive_kind(socket, "join")
            offer = rtc.SessionDescription(type="offer", sdp=sdp)
            await socket.send_bytes(rtc.SignalRequest(offer=offer).SerializeToString())
            leave = (await receive_kind(socket, "leave")).leave
            assert leave.action == rtc.LeaveRequest.RECONNECT
            await until_closed(socket)

    async def test_a_track_that_may_not_be_published_is_refused(
        self, sfu: RunningSfu, http: aiohttp.ClientSession, room_name: str
    ) -> None:
        access = token(sfu, "raw", room_name, can_publish=True, can_publish_sources=["camera"])
        address = f"{sfu.api_url}/rtc/v1?access_token={access}&join_request={join_request()}"
        async with http.ws_connect(address) as socket:
            await receive_kind(socket, "join")
            request = rtc.AddTrackRequest(cid="c", source=models.TrackSource.MICROPHONE)
            await socket.send_bytes(rtc.SignalRequest(add_track=request).SerializeToString())
            refused = (await receive_kind(socket, "request_response")).request_response
            assert refused.reason == rtc.RequestResponse.NOT_ALLOWED
            assert (refused.request_id, refused.add_track.cid) == (0, "c")
            request.source, request.type = models.TrackSource.CAMERA, models.TrackType.VIDEO
            for n in range(70):
                request.cid = f"c{n}"
                await socket.send_bytes(rtc.SignalRequest(add_track=request).SerializeToString())
            refused = (await receive_kind(socket, "request_response")).request_response
            assert refused.reason == rtc.RequestResponse.LIMIT_EXCEEDED

    async def test_any_request_in_any_order_leaves_the_server_alive(
        self, sfu: RunningSfu, http: aiohttp.ClientSession, room_name: str
    ) -> None:
        fields = [one.name for one in rtc.SignalRequest.DESCRIPTOR.fields]
        async with http.ws_connect(url(sfu, "/rtc/v1", room_name, join_request())) as socket:
            await receive_kind(socket, "join")
            for name in fields:
                if name in ("leave", "offer", "ping"):
                    continue
                request = rtc.SignalRequest()
                getattr(request, name).SetInParent()
                await socket.send_bytes(request.SerializeToString())
            await socket.send_bytes(rtc.SignalRequest(ping=1).SerializeToString())
            await receive_kind(socket, "pong")

    async def test_requests_that_are_too_large_are_refused_in_a_few_bytes(
        self, sfu: RunningSfu, http: aiohttp.ClientSession, room_name: str
    ) -> None:
        track = rtc.AddTrackRequest(cid="c" * 1_900_000, type=models.TrackType.AUDIO)
        large = rtc.SignalRequest(add_track=track).SerializeToString()
        async with http.ws_connect(url(sfu, "/rtc/v1", room_name, join_request())) as socket:
            await receive_kind(socket, "refresh_token")
            with traced() as memory:
                for _ in range(50):
                    await socket.send_bytes(large)
                for _ in range(50):
                    refused = (await receive_kind(socket, "request_response")).request_response
                    assert refused.reason == rtc.RequestResponse.LIMIT_EXCEEDED
                    assert refused.ByteSize() < 100
            assert memory.peak < 20_000_000

    @pytest.mark.long
    async def test_nothing_of_who_left_stays_in_memory(
        self, sfu: RunningSfu, http: aiohttp.ClientSession, room_name: str
    ) -> None:
        sids = [f"{n:0250}" for n in range(4096)]
        wishes = rtc.UpdateSubscription(track_sids=sids, subscribe=True)
        permission = rtc.SubscriptionPermission(
            track_permissions=[
                rtc.TrackPermission(participant_identity=f"{n:0250}") for n in range(1000)
            ]
        )
        gc.disable()
        try:
            with traced() as memory:
                for _ in range(20):
                    address = url(sfu, "/rtc/v1", room_name, join_request())
                    async with http.ws_connect(address) as socket:
                        await receive_kind(socket, "refresh_token")
                        for request in (
                            rtc.SignalRequest(subscription=wishes),
                            rtc.SignalRequest(subscription_permission=permission),
                            rtc.SignalRequest(leave=rtc.LeaveRequest()),
                        ):
                            await socket.send_bytes(request.SerializeToString())
                        await until_closed(socket)
        finally:
            gc.enable()
        assert memory.kept < 5_000_000  # one of the twenty alone holds 1.2 MB of wishes

    async def test_fields_nobody_knows_are_not_kept(
        self, sfu: RunningSfu, http: aiohttp.ClientSession, room_name: str
    ) -> None:
        unknown = b"\xfa\x3e\xe0\xfb\x73" + bytes(1_900_000)  # field 1007, a text
        before = resident_bytes()
        async with http.ws_connect(url(sfu, "/rtc/v1", room_name, join_request())) as socket:
            await receive_kind(socket, "refresh_token")
            for n in range(50):
                track = rtc.AddTrackRequest(cid=f"c{n}", type=models.TrackType.AUDIO)
                track.MergeFromString(unknown)
                request = rtc.SignalRequest(add_track=track)
                await socket.send_bytes(request.SerializeToString())
                await receive_kind(socket, "track_published")
            del track, request
            assert resident_bytes() - before < 50_000_000

    async def test_a_welcome_that_fails_leaves_no_ghost(
        self,
        sfu: RunningSfu,
        http: aiohttp.ClientSession,
        room_name: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(SfuParticipant, "push_token", fail)
        async with http.ws_connect(url(sfu, "/rtc/v1", room_name, join_request())) as socket:
            await until_closed(socket)
        assert await identities(sfu, room_name) == []
