"""What a browser's unmodified livekit-client and a Python participant see of each other."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from livekit import api, rtc
from livekit.protocol import models
from livekit.protocol import room as room_protocol
from livekit.rtc._proto.track_publication_pb2 import VideoQuality

from tests.browser.chromium import Page
from tests.browser.conftest import BROWSER_TONE
from tests.browser.peer import PYTHON_TONE, Peer, joined
from tests.support.sfu import RunningSfu
from utd_rx.video.pattern import read_counter

# A browser hears and shows in real time, and needs a core for it.
pytestmark = [pytest.mark.browser, pytest.mark.realtime]

ROOM = "room"


def token(sfu: RunningSfu, identity: str, **grants: Any) -> str:
    grant = api.VideoGrants(room_join=True, room=ROOM, can_update_own_metadata=True, **grants)
    access = api.AccessToken(sfu.api_key, sfu.api_secret)
    return access.with_identity(identity).with_grants(grant).to_jwt()


@pytest.fixture
async def server(sfu: RunningSfu) -> AsyncIterator[api.LiveKitAPI]:
    async with api.LiveKitAPI(sfu.api_url, sfu.api_key, sfu.api_secret) as server:
        yield server


@pytest.fixture
async def ann(sfu: RunningSfu) -> AsyncIterator[Peer]:
    """Ann, who joins with Python."""
    async with joined(sfu.url, token(sfu, "ann")) as peer:
        yield peer


@pytest.fixture
async def bob(page: Page, sfu: RunningSfu, ann: Peer) -> Page:
    """Bob, who joins with the browser after her."""
    assert await page.call("join", sfu.url, token(sfu, "bob")) == "bob"
    return page


def is_bob(participant: rtc.Participant) -> bool:
    return participant.identity == "bob"


async def test_each_hears_the_other(ann: Peer, bob: Page) -> None:
    await bob.call("publishMicrophone")
    track, _, participant = await ann.seen("track_subscribed")
    async with ann.tone():
        assert await ann.pitch(track) == pytest.approx(BROWSER_TONE, abs=10)
        assert await bob.call("pitch", "ann") == pytest.approx(PYTHON_TONE, abs=10)
        await ann.seen("active_speakers_changed", lambda speakers: any(map(is_bob, speakers)))
    assert participant.identity == "bob"


async def test_the_browser_hears_who_published_before_it_came(
    sfu: RunningSfu, ann: Peer, page: Page
) -> None:
    async with ann.tone():
        await page.call("join", sfu.url, token(sfu, "bob"))
        assert await page.call("pitch", "ann") == pytest.approx(PYTHON_TONE, abs=10)


async def test_each_gets_the_layer_of_the_others_video_that_it_asks_for(
    ann: Peer, bob: Page
) -> None:
    """The browser sends a stream for each layer, Python one with all layers in it."""
    numbers: list[int] = []
    async with ann.camera(rtc.VideoCodec.AV1):
        await bob.call("publishCamera", "vp8")
        track, publication, _ = await ann.seen("track_subscribed")
        for quality, width in (("LOW", 320), ("MEDIUM", 640)):
            publication.set_video_quality(VideoQuality.Value(f"VIDEO_QUALITY_{quality}"))
            await bob.call("wantQuality", "ann", quality)
            await ann.sees(track, width)
            seen = await bob.call("picture", "ann", width)
            pixels = np.frombuffer(base64.b64decode(seen["data"]), np.uint8)
            number = read_counter(pixels.reshape(seen["height"], width, 4)[:, :, :3])
            assert number is not None, "a damaged picture"
            numbers.append(number)
    assert numbers == sorted(numbers)


@pytest.mark.parametrize("is_reliable", [True, False], ids=["reliable", "lossy"])
async def test_data_goes_both_ways(ann: Peer, bob: Page, is_reliable: bool) -> None:
    # Data of a participant not announced yet comes without a sender, and the real server takes
    # up to 3 s to announce one that publishes nothing.
    await ann.seen("participant_connected")
    await bob.call("send", "from the browser", "chat", is_reliable)
    (packet,) = await ann.seen("data_received")
    assert (packet.data, packet.topic) == (b"from the browser", "chat")
    assert packet.participant.identity == "bob"
    await ann.room.local_participant.publish_data("from Python", reliable=is_reliable, topic="chat")
    await bob.seen("dataReceived", text="from Python", topic="chat", identity="ann")


async def test_many_reliable_messages_keep_their_order(ann: Peer, bob: Page) -> None:
    for number in range(100):
        await ann.room.local_participant.publish_data(f"{number}", reliable=True)
    got = [(await bob.seen("dataReceived"))["text"] for _ in range(100)]
    assert got == [f"{number}" for number in range(100)]


async def test_mute_is_seen_on_both_sides(ann: Peer, bob: Page) -> None:
    await bob.call("publishMicrophone")
    await ann.seen("track_subscribed")
    for is_muted in (True, False):
        await bob.call("setMicrophoneMuted", is_muted)
        await ann.seen("track_muted" if is_muted else "track_unmuted", lambda p, _: is_bob(p))
    async with ann.tone() as publication:
        await bob.seen("trackSubscribed", identity="ann", source="microphone")
        track = publication.track
        assert isinstance(track, rtc.LocalAudioTrack)
        track.mute()
        await bob.seen("trackMuted", identity="ann", source="microphone")
        track.unmute()
        await bob.seen("trackUnmuted", identity="ann", source="microphone")


async def test_a_mute_by_the_server_reaches_the_browser(
    ann: Peer, bob: Page, server: api.LiveKitAPI
) -> None:
    sid = await bob.call("publishMicrophone")
    await ann.seen("track_subscribed")
    await server.room.mute_published_track(
        room_protocol.MuteRoomTrackRequest(room=ROOM, identity="bob", track_sid=sid, muted=True)
    )
    await bob.seen("trackMuted", identity="bob", source="microphone")
    await ann.seen("track_muted", lambda participant, _: is_bob(participant))


async def test_metadata_and_attributes_reach_the_browser(
    ann: Peer, bob: Page, server: api.LiveKitAPI
) -> None:
    await server.room.update_room_metadata(
        room_protocol.UpdateRoomMetadataRequest(room=ROOM, metadata="of the room")
    )
    await bob.seen("roomMetadataChanged", metadata="of the room")
    await ann.room.local_participant.set_metadata("of ann")
    await bob.seen("participantMetadataChanged", identity="ann", metadata="of ann")
    await ann.room.local_participant.set_attributes({"seat": "3"})
    await bob.seen("participantAttributesChanged", identity="ann", changed={"seat": "3"})


async def test_a_revoked_browser_goes_off_the_air_and_comes_back_when_granted(
    ann: Peer, bob: Page, server: api.LiveKitAPI
) -> None:
    async def permit(can_publish: bool) -> None:
        permission = models.ParticipantPermission(
            can_publish=can_publish, can_subscribe=True, can_publish_data=True
        )
        await server.room.update_participant(
            room_protocol.UpdateParticipantRequest(room=ROOM, identity="bob", permission=permission)
        )

    await bob.call("publishMicrophone")
    await ann.seen("track_subscribed")
    await permit(False)
    await bob.seen("participantPermissionsChanged", identity="bob", canPublish=False)
    await bob.seen("localTrackUnpublished", identity="bob", source="microphone")
    await ann.seen("track_unsubscribed")
    assert await bob.call("mayPublish") is False
    await permit(True)
    await bob.seen("participantPermissionsChanged", identity="bob", canPublish=True)
    await bob.call("publishMicrophone")
    track, _, _ = await ann.seen("track_subscribed")
    assert await ann.pitch(track) == pytest.approx(BROWSER_TONE, abs=10)


async def test_a_removed_browser_is_told_why(ann: Peer, bob: Page, server: api.LiveKitAPI) -> None:
    await ann.seen("participant_connected")
    await server.room.remove_participant(
        room_protocol.RoomParticipantIdentity(room=ROOM, identity="bob")
    )
    await bob.seen("disconnected", reason="PARTICIPANT_REMOVED")
    await ann.seen("participant_disconnected", is_bob)


async def test_the_browser_sees_python_come_and_go(sfu: RunningSfu, bob: Page) -> None:
    async with joined(sfu.url, token(sfu, "cid")):
        await bob.seen("participantConnected", identity="cid")
    await bob.seen("participantDisconnected", identity="cid")


@pytest.mark.parametrize(
    ("scenario", "event"),
    [("signal-reconnect", "signalReconnecting"), ("full-reconnect", "reconnecting")],
)
async def test_audio_goes_on_after_a_reconnect(
    ann: Peer, bob: Page, scenario: str, event: str
) -> None:
    await bob.call("publishMicrophone")
    track, _, _ = await ann.seen("track_subscribed")
    async with ann.tone():
        assert await ann.pitch(track) == pytest.approx(BROWSER_TONE, abs=10)
        await bob.call("simulate", scenario)
        await bob.seen(event)
        await bob.seen("reconnected")
        if scenario == "full-reconnect":
            track, _, _ = await ann.seen("track_subscribed")
        assert await ann.pitch(track) == pytest.approx(BROWSER_TONE, abs=10)
        assert await bob.call("pitch", "ann") == pytest.approx(PYTHON_TONE, abs=10)


async def test_a_token_signed_by_another_is_refused(page: Page, sfu: RunningSfu) -> None:
    forged = api.AccessToken(sfu.api_key, "x" * 40).with_identity("eve")
    forged = forged.with_grants(api.VideoGrants(room_join=True, room=ROOM))
    with pytest.raises(AssertionError, match=r"(?i)not ?allowed|unauthorized|invalid|permission"):
        await page.call("join", sfu.url, forged.to_jwt())
    assert await page.call("isConnected") is False
