"""Publishing, subscribing, hearing, muting, and what permissions do to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from livekit import api, rtc
from livekit.protocol import models
from livekit.rtc.participant import PublishTrackError

from tests.engine.sfu.clients import Camera, Client, Microphone, heard, quiet, seen
from tests.engine.sfu.conftest import Join

MakeMicrophone = Callable[[Client], Microphone]
MakeCamera = Callable[..., Camera]


async def test_a_published_tone_is_heard(join: Join, microphone: MakeMicrophone) -> None:
    alice, bob = await join("alice"), await join("bob")
    publication = await microphone(alice).publish()
    track = await bob.subscribed("alice")
    assert track.sid == publication.sid
    assert bob.room.remote_participants["alice"].track_publications[publication.sid].source == (
        rtc.TrackSource.SOURCE_MICROPHONE
    )
    await heard(track)
    await alice.wait_for("local_track_subscribed")


async def test_a_track_is_described(
    join: Join, microphone: MakeMicrophone, admin: api.LiveKitAPI, room_name: str
) -> None:
    alice, bob = await join("alice"), await join("bob")
    await microphone(alice).publish(dtx=False)
    await heard(await bob.subscribed("alice"))
    request = api.RoomParticipantIdentity(room=room_name, identity="alice")
    (track,) = (await admin.room.get_participant(request)).tracks
    # Sound and picture of one stream are kept together.
    assert (track.stream, track.disable_dtx) == ("camera", True)
    assert list(track.audio_features) == [models.AudioTrackFeature.TF_NO_DTX]


async def test_a_late_joiner_hears_what_is_there(join: Join, microphone: MakeMicrophone) -> None:
    alice = await join("alice")
    await microphone(alice).publish()
    await microphone(alice).publish(rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO)
    bob = await join("bob")
    await bob.until(lambda: bob.count("track_subscribed") == 2)
    for _, (track, *_) in [one for one in bob.events if one[0] == "track_subscribed"]:
        await heard(track)


async def test_everybody_hears_everybody(join: Join, microphone: MakeMicrophone) -> None:
    clients = [await join(f"p{n}") for n in range(4)]
    for client in clients:
        await microphone(client).publish()
    for client in clients:
        for other in clients:
            if other is not client:
                await heard(await client.subscribed(other.identity))


async def test_unpublishing_is_seen_and_the_place_is_used_again(
    join: Join, microphone: MakeMicrophone
) -> None:
    alice, bob = await join("alice"), await join("bob")
    for _ in range(5):
        since = len(bob.events)
        mic = microphone(alice)
        publication = await mic.publish()
        await heard(await bob.subscribed("alice", since=since))
        await alice.me.unpublish_track(publication.sid)
        await bob.wait_for("track_unsubscribed", since=since)
        await bob.wait_for("track_unpublished", since=since)


async def test_mute_and_unmute_are_seen_and_heard(join: Join, microphone: MakeMicrophone) -> None:
    alice, bob = await join("alice"), await join("bob")
    mic = microphone(alice)
    await mic.publish()
    track = await bob.subscribed("alice")
    await heard(track)
    mic.track.mute()
    who, publication = await bob.wait_for("track_muted")
    assert who.identity == "alice"
    assert publication.muted
    await heard(track, audible=False)
    mic.track.unmute()
    await bob.wait_for("track_unmuted")
    await heard(track)


async def test_video_arrives(join: Join, camera: MakeCamera) -> None:
    alice, bob = await join("alice"), await join("bob")
    await camera(alice).publish()
    frame = await seen(await bob.subscribed("alice"))
    assert (frame.width, frame.height) == (640, 360)
    carol = await join("carol")
    await seen(await carol.subscribed("alice"))


async def test_a_client_chooses_what_it_receives(join: Join, microphone: MakeMicrophone) -> None:
    alice = await join("alice")
    bob = await join("bob", options=rtc.RoomOptions(auto_subscribe=False))
    await microphone(alice).publish()
    publication, _ = await bob.wait_for("track_published")
    assert bob.count("track_subscribed") == 0
    publication.set_subscribed(True)
    track = await bob.subscribed("alice")
    await heard(track)
    publication.set_subscribed(False)
    await quiet(track)  # sooner, the SDK may miss that anything changed, on either server
    since = len(bob.events)
    publication.set_subscribed(True)
    await heard(await bob.subscribed("alice", since=since))


async def test_a_publisher_chooses_who_receives(join: Join, microphone: MakeMicrophone) -> None:
    alice, bob, carol = await join("alice"), await join("bob"), await join("carol")
    alice.me.set_track_subscription_permissions(
        allow_all_participants=False,
        participant_permissions=[
            rtc.ParticipantTrackPermission(participant_identity="bob", allow_all=True)
        ],
    )
    await microphone(alice).publish()
    await heard(await bob.subscribed("alice"))
    await carol.wait_for("track_published")
    assert carol.count("track_subscribed") == 0
    alice.me.set_track_subscription_permissions(allow_all_participants=True)
    await heard(await carol.subscribed("alice"))


async def test_a_client_that_may_not_subscribe_receives_nothing(
    join: Join, microphone: MakeMicrophone, admin: api.LiveKitAPI, room_name: str
) -> None:
    alice, bob = await join("alice"), await join("bob", can_subscribe=False)
    await microphone(alice).publish()
    await bob.wait_for("track_published")
    assert bob.count("track_subscribed") == 0
    permission = api.ParticipantPermission(can_subscribe=True, can_publish=True)
    await _permit(admin, room_name, "bob", permission)
    await heard(await bob.subscribed("alice"))


async def _permit(
    admin: api.LiveKitAPI, room: str, identity: str, permission: api.ParticipantPermission
) -> api.ParticipantInfo:
    return await admin.room.update_participant(
        api.UpdateParticipantRequest(room=room, identity=identity, permission=permission)
    )


async def test_revoking_publish_ends_the_track_and_granting_lets_publish_again(
    join: Join, microphone: MakeMicrophone, admin: api.LiveKitAPI, room_name: str
) -> None:
    alice, bob = await join("alice"), await join("bob")
    mic = microphone(alice)
    publication = await mic.publish()
    await heard(await bob.subscribed("alice"))
    since = len(alice.events)
    info = await _permit(
        admin, room_name, "alice", api.ParticipantPermission(can_subscribe=True, can_publish=False)
    )
    assert not info.permission.can_publish
    await bob.wait_for("track_unsubscribed")
    await bob.wait_for("track_unpublished")
    await alice.wait_for("participant_permissions_changed", since=since)
    await alice.wait_for("token_refreshed", since=since)
    await alice.me.unpublish_track(publication.sid)
    since, bob_since = len(alice.events), len(bob.events)
    await _permit(
        admin, room_name, "alice", api.ParticipantPermission(can_subscribe=True, can_publish=True)
    )
    await alice.wait_for(
        "participant_permissions_changed",
        lambda who, permission: who.identity == "alice" and permission.can_publish,
        since=since,
    )
    await microphone(alice).publish()
    await heard(await bob.subscribed("alice", since=bob_since))


@pytest.mark.long  # LiveKit waits for 10 s
async def test_only_who_may_publishes_and_only_permitted_sources(
    join: Join, microphone: MakeMicrophone, camera: MakeCamera
) -> None:
    alice = await join("alice", can_publish=True, can_publish_sources=["microphone"])
    bob = await join("bob")
    carol = await join("carol", can_publish=False)
    await microphone(alice).publish()
    await heard(await bob.subscribed("alice"))
    # Each takes 10 s, since the SDK ignores the refusal.
    refused = await asyncio.gather(
        camera(alice).publish(), microphone(carol).publish(), return_exceptions=True
    )
    assert [type(one) for one in refused] == [PublishTrackError] * 2


async def test_narrowing_the_sources_unpublishes_the_others(
    join: Join,
    microphone: MakeMicrophone,
    camera: MakeCamera,
    admin: api.LiveKitAPI,
    room_name: str,
) -> None:
    alice, bob = await join("alice"), await join("bob")
    kept = await microphone(alice).publish()
    gone = await camera(alice).publish()
    await bob.until(lambda: bob.count("track_subscribed") == 2)
    permission = api.ParticipantPermission(
        can_subscribe=True, can_publish=True, can_publish_sources=[api.TrackSource.MICROPHONE]
    )
    await _permit(admin, room_name, "alice", permission)
    publication, _ = await bob.wait_for("track_unpublished")
    assert publication.sid == gone.sid
    assert list(bob.room.remote_participants["alice"].track_publications) == [kept.sid]


async def test_speakers_come_and_go(join: Join, microphone: MakeMicrophone) -> None:
    alice, bob = await join("alice"), await join("bob")
    mic = microphone(alice)
    await mic.publish()
    await heard(await bob.subscribed("alice"))
    await bob.wait_for(
        "active_speakers_changed", lambda who: [one.identity for one in who] == ["alice"]
    )
    await alice.wait_for("active_speakers_changed", lambda who: len(who) == 1)
    since = len(bob.events)
    mic.is_sounding = False
    await bob.wait_for("active_speakers_changed", lambda who: not who, since=since)


@pytest.mark.long
async def test_a_good_connection_is_called_excellent(join: Join) -> None:
    alice = await join("alice")
    who, quality = await alice.wait_for("connection_quality_changed")
    assert who.identity == "alice"
    assert quality == rtc.ConnectionQuality.QUALITY_EXCELLENT
