"""Data tracks: who may publish which, who receives them, and under which handles."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from livekit import rtc as sdk
from livekit.protocol import models, rtc
from livekit.rtc.participant import PublishDataTrackError

from tests.engine.sfu.clients import TIMEOUT
from tests.engine.sfu.conftest import Join
from tests.engine.sfu.rooms import Signal, done
from tests.engine.sfu.rooms import join as enter
from utd_rx.engine.sfu import requests
from utd_rx.engine.sfu.data_tracks import DataReceptions, DataTrack, DataTracks
from utd_rx.engine.sfu.limits import MAX_TRACKS, MAX_WISHES
from utd_rx.engine.sfu.sfu_participant import Reason, SfuParticipant
from utd_rx.engine.sfu.sfu_room import SfuRoom

Refusal = rtc.RequestResponse


class Receiver:
    """One who receives, and what it was told and sent."""

    def __init__(self) -> None:
        self.handles: dict[int, str] = {}
        self.told = 0
        self.packets: list[bytes] = []
        self.receptions = DataReceptions(self._send, self.packets.append)

    def _send(self, *, data_track_subscriber_handles: rtc.DataTrackSubscriberHandles) -> None:
        self.told += 1
        handles = data_track_subscriber_handles.sub_handles
        self.handles = {handle: one.track_sid for handle, one in handles.items()}
        for one in handles.values():
            assert (one.publisher_identity, one.publisher_sid) == ("ann", "PA_a")

    def subscribe(self, track: DataTrack, *, is_allowed: bool = True) -> None:
        self.receptions.wish(subscription(track.info.sid))
        self.receptions.reconcile(track, is_allowed=is_allowed)


def subscription(*sids: str, subscribe: bool = True) -> rtc.UpdateDataSubscription:
    one = rtc.UpdateDataSubscription.Update
    return rtc.UpdateDataSubscription(
        updates=[one(track_sid=sid, subscribe=subscribe) for sid in sids]
    )


@pytest.fixture
def tracks() -> DataTracks:
    return DataTracks("PA_a", "ann")


def publish(tracks: DataTracks, handle: int = 1, name: str = "t", **more: Any) -> DataTrack:
    answer = tracks.add(rtc.PublishDataTrackRequest(pub_handle=handle, name=name, **more))
    assert isinstance(answer, DataTrack)
    return answer


def refusal(tracks: DataTracks, handle: int, name: str) -> Refusal.Reason:
    answer = tracks.add(rtc.PublishDataTrackRequest(pub_handle=handle, name=name))
    assert isinstance(answer, Refusal)
    assert answer.publish_data_track.pub_handle == handle  # by which the client knows it
    return answer.reason


def packet(handle: int, frame: bytes = b"frame") -> bytes:
    return b"\x18\x00" + handle.to_bytes(2, "big") + bytes(8) + frame


def test_a_track_is_described_as_it_was_asked_for(tracks: DataTracks) -> None:
    schema = models.DataTrackSchemaId(name="s")
    encoding = models.DataTrackFrameEncoding(custom="e")
    info = publish(tracks, 7, "sensor", schema=schema, frame_encoding=encoding).info
    assert info.sid.startswith("DTR_")
    assert (info.pub_handle, info.name) == (7, "sensor")
    assert (info.schema, info.frame_encoding) == (schema, encoding)
    assert [one.info for one in tracks] == [info]


def test_what_makes_no_sense_is_refused(tracks: DataTracks) -> None:
    publish(tracks)
    for handle, name, reason in (
        (0, "x", Refusal.INVALID_HANDLE),
        (65536, "x", Refusal.INVALID_HANDLE),
        (2, "", Refusal.INVALID_NAME),
        (1, "x", Refusal.DUPLICATE_HANDLE),
        (2, "t", Refusal.DUPLICATE_NAME),
    ):
        assert refusal(tracks, handle, name) == reason
    for handle in range(2, MAX_TRACKS + 1):
        publish(tracks, handle, f"t{handle}")
    assert refusal(tracks, 1000, "one more") == Refusal.LIMIT_EXCEEDED
    answer = tracks.add(rtc.PublishDataTrackRequest(pub_handle=1000, name="one more"))
    assert isinstance(answer, Refusal)
    assert "limit reached" in answer.message  # words that `utd_rx.rtc` knows


def test_each_receiver_gets_the_packets_under_a_handle_of_its_own(tracks: DataTracks) -> None:
    first, second = publish(tracks, 10, "first"), publish(tracks, 20, "second")
    bob, cid = Receiver(), Receiver()
    for one in (first, second):
        bob.subscribe(one)
    cid.subscribe(second)
    assert bob.handles == {1: first.info.sid, 2: second.info.sid}
    assert cid.handles == {1: second.info.sid}
    done(tracks.on_packet(packet(20)))
    assert (bob.packets, cid.packets) == ([packet(2)], [packet(1)])


def test_packets_of_nothing_are_dropped(tracks: DataTracks) -> None:
    bob = Receiver()
    bob.subscribe(publish(tracks))
    for one in (b"", packet(1)[:11], packet(2)):
        done(tracks.on_packet(one))
    assert bob.packets == []


def test_who_may_not_or_wishes_no_more_gets_nothing(tracks: DataTracks) -> None:
    track, bob = publish(tracks), Receiver()
    bob.subscribe(track, is_allowed=False)
    assert bob.told == 0
    bob.receptions.reconcile(track, is_allowed=True)
    bob.receptions.reconcile(track, is_allowed=True)
    assert (bob.handles, bob.told) == ({1: track.info.sid}, 1)
    bob.receptions.wish(subscription(track.info.sid, subscribe=False))
    bob.receptions.reconcile(track, is_allowed=True)
    assert bob.handles == {}
    done(tracks.on_packet(packet(1)))
    assert bob.packets == []


def test_an_unpublished_track_ends_for_everybody(tracks: DataTracks) -> None:
    bob = Receiver()
    bob.subscribe(publish(tracks))
    assert tracks.remove(2) is None
    assert tracks.remove(1) is not None
    assert bob.handles == {}
    bob.subscribe(publish(tracks))
    assert list(bob.handles) == [2]  # late packets carry the old one
    tracks.close()
    assert bob.handles == {}


def test_who_left_receives_nothing_and_is_told_nothing(tracks: DataTracks) -> None:
    track, bob = publish(tracks), Receiver()
    bob.subscribe(track)
    bob.receptions.close()
    done(tracks.on_packet(packet(1)))
    assert (bob.told, bob.packets, track.handles) == (1, [], {})


def test_wishes_are_bounded_and_go_with_their_track(tracks: DataTracks) -> None:
    track, bob = publish(tracks), Receiver()
    bob.receptions.wish(subscription(*(f"DTR_{n}" for n in range(MAX_WISHES))))
    bob.subscribe(track)
    assert bob.told == 0
    bob.receptions.forget("DTR_0")
    bob.subscribe(track)
    assert bob.told == 1


async def test_frames_of_a_published_track_arrive_until_it_ends(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    local = await alice.me.publish_data_track(name="numbers")
    (remote,) = await bob.wait_for("data_track_published")
    assert (remote.info.name, remote.publisher_identity) == ("numbers", "alice")
    stream = remote.subscribe()

    async def push() -> None:
        while True:
            local.try_push(sdk.DataTrackFrame(payload=b"payload"))
            await asyncio.sleep(0.02)

    pushing = asyncio.create_task(push())
    try:
        async with asyncio.timeout(TIMEOUT):
            frame = await anext(aiter(stream))
    finally:
        pushing.cancel()
        await asyncio.wait({pushing})
    assert frame.payload == b"payload"
    await local.unpublish()
    (sid,) = await bob.wait_for("data_track_unpublished")
    assert sid == local.info.sid


async def test_a_name_without_end_is_refused_at_once(join: Join) -> None:
    """In terms that native code knows: it waited 10 s for any others."""
    alice = await join("alice")
    with pytest.raises(PublishDataTrackError, match=r"invalid|limit"):
        async with asyncio.timeout(5):
            await alice.me.publish_data_track(name="x" * 300)
    assert await alice.me.publish_data_track(name="x" * 256)


# -- in a room ----------------------------------------------------------------------------------


def ask(participant: SfuParticipant, **request: Any) -> None:
    done(requests.handle(participant, rtc.SignalRequest(**request)))


def publish_in_room(participant: SfuParticipant, name: str = "t", handle: int = 1) -> None:
    request = rtc.PublishDataTrackRequest(pub_handle=handle, name=name)
    ask(participant, publish_data_track_request=request)


def told(signal: Signal) -> list[list[str]]:
    """Take which tracks somebody receives, each time that it was told."""
    lists = [
        one.data_track_subscriber_handles.sub_handles.values()
        for one in signal.sent
        if one.HasField("data_track_subscriber_handles")
    ]
    signal.sent.clear()
    return [[one.track_sid for one in tracks] for tracks in lists]


def tracks_of(signal: Signal, identity: str) -> list[models.DataTrackInfo]:
    """The data tracks of somebody, as the room last said."""
    updates = [one.update.participants for one in signal.sent]
    return list(
        [one for infos in updates for one in infos if one.identity == identity][-1].data_tracks
    )


async def test_the_room_hears_of_a_track_and_who_subscribes_receives_it(room: SfuRoom) -> None:
    (ann, at_ann), (bob, at_bob) = enter(room, "ann"), enter(room, "bob")
    publish_in_room(ann)
    answers = [one.publish_data_track_response.info for one in at_ann.sent]
    (info,) = [one for one in answers if one.sid]
    assert tracks_of(at_bob, "ann") == [info]
    ask(bob, update_data_subscription=subscription(info.sid))
    assert told(at_bob) == [[info.sid]]
    ask(ann, unpublish_data_track_request=rtc.UnpublishDataTrackRequest(pub_handle=1))
    assert info in [one.unpublish_data_track_response.info for one in at_ann.sent]
    assert tracks_of(at_bob, "ann") == []
    assert told(at_bob) == [[]]


@pytest.mark.parametrize("end", ["permission", "leave"])
async def test_a_track_ends_with_the_right_to_publish_and_with_its_publisher(
    room: SfuRoom, end: str
) -> None:
    (ann, at_ann), (bob, at_bob) = enter(room, "ann"), enter(room, "bob")
    publish_in_room(ann)
    (sid,) = [one.info.sid for one in ann.data_tracks]
    ask(bob, update_data_subscription=subscription(sid))
    assert told(at_bob) == [[sid]]
    if end == "leave":
        ann.close(Reason.CLIENT_INITIATED)
        assert tracks_of(at_bob, "ann") == []
    else:
        ann.set_permission(models.ParticipantPermission(can_subscribe=True))
        assert any(one.HasField("unpublish_data_track_response") for one in at_ann.sent)
        publish_in_room(ann, "another", 2)
        assert at_ann.sent[-1].request_response.reason == Refusal.NOT_ALLOWED
    assert told(at_bob) == [[]]


async def test_who_may_not_subscribe_receives_no_track_until_it_may(room: SfuRoom) -> None:
    (ann, _), (bob, at_bob) = enter(room, "ann"), enter(room, "bob", can_subscribe=False)
    publish_in_room(ann)
    (sid,) = [one.info.sid for one in ann.data_tracks]
    ask(bob, update_data_subscription=subscription(sid))
    assert told(at_bob) == []
    bob.set_permission(models.ParticipantPermission(can_subscribe=True))
    assert told(at_bob) == [[sid]]
    ask(ann, subscription_permission=rtc.SubscriptionPermission(all_participants=False))
    assert told(at_bob) == [[]]


async def test_what_is_not_there_cannot_be_unpublished(room: SfuRoom) -> None:
    ann, at_ann = enter(room, "ann")
    ask(ann, unpublish_data_track_request=rtc.UnpublishDataTrackRequest(pub_handle=9))
    response = at_ann.sent[-1].request_response
    assert (response.reason, response.unpublish_data_track.pub_handle) == (Refusal.NOT_FOUND, 9)
