"""Who hears of what and when; no network, and time is an argument."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from livekit.protocol import models, rtc
from livekit.protocol import room as rtc_room

from tests.engine.sfu.rooms import Signal, claims, done, join
from tests.hostile.raw_participant import RawParticipant
from utd_rx.engine.sfu import sdp
from utd_rx.engine.sfu.limits import LimitError
from utd_rx.engine.sfu.participant_ports import SfuContext
from utd_rx.engine.sfu.sfu_participant import Reason, State
from utd_rx.engine.sfu.sfu_room import RoomFullError, SfuRoom
from utd_rx.engine.sfu.transport import MAX_HELD


async def test_news_of_the_silent_is_collected(room: SfuRoom) -> None:
    _, alice = join(room, "alice")
    room.tick(3.0)
    alice.news()
    join(room, "bob")
    join(room, "carol")
    room.tick(5.9)
    assert alice.news() == []
    room.tick(6.0)
    assert alice.news() == [("bob", State.JOINED), ("carol", State.JOINED)]


async def test_an_urgent_change_takes_the_collected_along(room: SfuRoom) -> None:
    _, alice = join(room, "alice")
    bob, own = join(room, "bob")
    bob.update(metadata="m")
    assert alice.news() == [("bob", State.JOINED)]
    assert own.news() == [("bob", State.JOINED)]
    alice.sent.clear()
    room.tick(3.0)
    assert ("bob", State.JOINED) not in alice.news()


async def test_a_publishers_news_goes_out_at_once(room: SfuRoom) -> None:
    _, alice = join(room, "alice")
    bob, _ = join(room, "bob")
    bob.publish(rtc.AddTrackRequest(cid="c", type=models.TrackType.AUDIO))
    room.publish_info(bob, skip_self=True)
    assert alice.news() == [("bob", State.JOINED)]
    bob.close(Reason.CLIENT_INITIATED)
    assert alice.news() == [("bob", State.DISCONNECTED)]


async def test_a_replaced_session_ends_before_the_new_one_begins(room: SfuRoom) -> None:
    _, alice = join(room, "alice")
    old, signal = join(room, "bob")
    new, _ = join(room, "bob")
    leave = signal.sent[-1].leave
    assert (leave.reason, leave.action) == (Reason.DUPLICATE_IDENTITY, rtc.LeaveRequest.DISCONNECT)
    assert signal.is_closed
    assert alice.news() == [("bob", State.DISCONNECTED), ("bob", State.JOINED)]
    assert room.get("bob") is new
    old.close(Reason.CLIENT_INITIATED)
    assert room.get("bob") is new


async def test_a_session_is_not_told_what_the_one_before_it_was_allowed(room: SfuRoom) -> None:
    """Its client would take the permission for its own, and the next one for a revocation."""
    join(room, "bob", can_publish=True)
    bob, own = join(room, "bob", can_publish=False)
    room.tick(3.0)
    assert own.news() == [("bob", State.JOINED)]
    bob.update(name="Bob")
    assert own.news() == [("bob", State.JOINED)]


async def test_a_hidden_participants_news_is_its_own(room: SfuRoom) -> None:
    _, alice = join(room, "alice")
    spy, own = join(room, "spy", hidden=True)
    spy.update(name="Spy")
    room.tick(3.0)
    assert "spy" not in {identity for identity, _ in alice.news()}
    assert ("spy", State.JOINED) in own.news()
    assert [one.identity for one in room.others(spy)] == ["alice"]


async def test_versions_only_grow(room: SfuRoom) -> None:
    alice, _ = join(room, "alice")
    versions = [alice.info().version]
    for change in range(5):
        alice.update(metadata=str(change))
        versions.append(alice.info().version)
    assert versions == sorted(set(versions))


async def test_what_is_too_large_changes_nothing(room: SfuRoom) -> None:
    alice, _ = join(room, "alice")
    before = alice.info()
    with pytest.raises(LimitError):
        alice.update(name="n" * 257)
    with pytest.raises(LimitError):
        alice.update(metadata="m" * (512 * 1024 + 1))
    with pytest.raises(LimitError):
        alice.update(attributes={"k": "v" * 64 * 1024})
    assert alice.info() == before


async def test_an_equal_permission_is_no_news(room: SfuRoom) -> None:
    alice, signal = join(room, "alice")
    signal.sent.clear()
    alice.set_permission(alice.info().permission)
    assert signal.sent == []


async def test_revoking_ends_tracks_before_the_update_and_pushes_a_token(room: SfuRoom) -> None:
    alice, signal = join(room, "alice")
    alice.publish(
        rtc.AddTrackRequest(
            cid="c", type=models.TrackType.AUDIO, source=models.TrackSource.MICROPHONE
        )
    )
    signal.sent.clear()
    alice.set_permission(models.ParticipantPermission(can_subscribe=True))
    kinds = [one.WhichOneof("message") for one in signal.sent]
    assert kinds == ["track_unpublished", "update", "refresh_token"]
    assert not alice.info().is_publisher
    assert len(alice.publications) == 0


async def test_a_full_room_is_not_changed_by_who_does_not_fit(room: SfuRoom) -> None:
    room.configure(rtc_room.CreateRoomRequest(max_participants=1))
    alice, _ = join(room, "alice")
    with pytest.raises(RoomFullError):
        room.add(claims("bob"), rtc.JoinRequest(), ("127.0.0.1",), 0.0)
    assert list(room) == [alice]
    again, _ = join(room, "alice")
    assert list(room) == [again]


async def test_a_signal_that_ends_before_media_is_up_ends_the_session(room: SfuRoom) -> None:
    alice, signal = join(room, "alice")
    alice.on_signal_closed(Signal())  # an older one
    assert not alice.is_closed
    alice.on_signal_closed(signal)
    assert alice.is_closed
    assert room.get("alice") is None


async def test_who_falls_silent_has_twenty_seconds_to_come_back(room: SfuRoom) -> None:
    alice, signal = join(room, "alice")
    alice.connections.publisher.on_datagram(b"\x16", 10.0)
    room.tick(30.0)
    assert not alice.is_closed
    room.tick(30.1)
    leave = signal.sent[-1].leave
    assert (leave.reason, leave.action) == (Reason.CONNECTION_TIMEOUT, rtc.LeaveRequest.RECONNECT)
    assert signal.is_closed


async def test_who_hides_is_counted(room: SfuRoom) -> None:
    for identity, is_hidden in (("alice", False), ("spy", True)):
        participant, _ = join(room, identity, hidden=is_hidden)
        participant.publish(rtc.AddTrackRequest(cid="c", type=models.TrackType.AUDIO))
    info = room.info()
    assert (info.num_participants, info.num_publishers) == (2, 2)


@pytest.mark.parametrize("has_two", [False, True])
async def test_who_left_is_freed_at_once(room: SfuRoom, has_two: bool) -> None:
    """Not at some later collection of cycles: what it said may be megabytes."""
    gc.disable()
    try:
        alice, _ = join(room, "alice", has_two=has_two)
        bob, _ = join(room, "bob")
        alice.offer()
        alice.publish(rtc.AddTrackRequest(cid="c", type=models.TrackType.AUDIO))
        both = alice.connections
        left = [weakref.ref(one) for one in (alice, both.publisher, both.subscriber)]
        publications = weakref.ref(alice.publications)
        del both
        alice.close(Reason.CLIENT_INITIATED)
        del alice
        await asyncio.sleep(0)  # aiortc flushes in a task of its own
        assert {publications(), *(one() for one in left)} == {None}
        assert not bob.is_closed
    finally:
        gc.enable()


async def test_of_news_without_end_everybody_hears_little_and_the_newest(room: SfuRoom) -> None:
    now = asyncio.get_running_loop().time()
    _, alice = join(room, "alice", now)
    bob, own = join(room, "bob", now)
    publication = bob.publications.add(rtc.AddTrackRequest(cid="c", type=models.TrackType.AUDIO))
    bob.publish(rtc.AddTrackRequest(cid="c", type=models.TrackType.AUDIO, name="n" * 256))
    alice.sent.clear()
    for n in range(4001):
        bob.set_muted(publication, n % 2 == 0)
    assert 10 < len(alice.sent) < 1000
    assert len(own.sent) > 4000  # who asked is answered
    room.tick(now + 10.0)
    updates = [one.update for one in alice.sent if one.HasField("update")]
    told = [one.version for update in updates for one in update.participants if one.sid == bob.sid]
    assert told[-1] == bob.version
    assert told == sorted(told)
    bob.close(Reason.CLIENT_INITIATED)
    room.tick(now + 20.0)
    assert ("bob", State.DISCONNECTED) in alice.news()


async def test_news_of_one_does_not_take_anothers_along_before_its_time(
    room: SfuRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 10.0
    monkeypatch.setattr(SfuContext, "now", staticmethod(lambda: now))
    _, alice = join(room, "alice")
    pairs = []
    for identity in ("bob", "helper"):
        who, _ = join(room, identity)
        who.publish(rtc.AddTrackRequest(cid="c", type=models.TrackType.AUDIO, name="n" * 256))
        pairs.append((who, next(iter(who.publications))))
    (bob, his), (helper, theirs) = pairs
    bob.metadata = "m" * 32_000
    alice.sent.clear()
    for _ in range(80):
        now += 0.05
        bob.set_muted(his, not his.info.muted)
        for _ in range(8):
            helper.set_muted(theirs, not theirs.info.muted)
        room.tick(now)
    told = [info for one in alice.sent for info in one.update.participants]
    heard = sum(info.ByteSize() for info in told if info.sid == bob.sid)
    assert 4 * 50_000 < heard < 5 * 64 * 1024 + 33_000  # four seconds' worth, and the first of it
    assert len([info for info in told if info.sid == helper.sid]) > 50


async def test_data_beyond_a_share_is_held_then_refused_in_words(room: SfuRoom) -> None:
    alice, signal = join(room, "alice")
    bob, _ = join(room, "bob")
    alice.share.spend(1.0, 10.0)
    for _ in range(MAX_HELD):
        alice.connections.publisher.on_datagram(b"\x16", 10.0)
    room.tick(10.1)
    assert alice.connections.publisher.refused == 0
    for _ in range(10):
        alice.connections.publisher.on_datagram(b"\x16", 10.2)
        bob.connections.publisher.on_datagram(b"\x16", 10.2)
    signal.sent.clear()
    for n in range(10):
        room.tick(10.3 + n / 20)
    (told,) = [one.request_response for one in signal.sent if one.HasField("request_response")]
    assert told.reason == rtc.RequestResponse.LIMIT_EXCEEDED
    assert told.message.startswith("too much data at a time")
    room.tick(20.0)  # there is a share again, and what was held is taken
    for _ in range(10):
        alice.connections.publisher.on_datagram(b"\x16", 20.0)
    assert alice.connections.publisher.refused == 0
    assert not alice.is_closed


async def test_an_offer_of_many_sections_is_read_in_parts_unless_who_made_it_has_gone(
    room: SfuRoom,
) -> None:
    (ann, signal), (bob, other) = join(room, "ann"), join(room, "bob")
    many = RawParticipant("", "").offering(receiving=600).offer
    assert len(list(ann.on_offer(many))) == 601 // sdp.PART
    assert signal.sent[-1].HasField("answer")
    reading = bob.on_offer(many)
    next(reading)
    bob.close(Reason.CLIENT_INITIATED)
    done(reading)
    assert not [one for one in other.sent if one.HasField("answer")]
    room.close(Reason.ROOM_DELETED)


async def test_of_many_tracks_at_once_a_room_hears_in_one_word(room: SfuRoom) -> None:
    (ann, _), (_, signal) = join(room, "ann"), join(room, "bob")
    offers, cids = RawParticipant("", ""), [f"mic-{n}" for n in range(20)]
    for cid in cids:
        ann.publish(rtc.AddTrackRequest(cid=cid, type=models.TrackType.AUDIO))
    signal.sent.clear()
    done(ann.on_offer(offers.offering(sending=cids).offer))
    (update,) = [one.update for one in signal.sent if one.HasField("update")]
    assert len(update.participants[0].tracks) == len(cids)
    signal.sent.clear()
    done(ann.on_offer(offers.offering().offer))
    (update,) = [one.update for one in signal.sent if one.HasField("update")]
    assert not update.participants[0].tracks
    room.close(Reason.ROOM_DELETED)


async def test_what_was_on_sections_that_no_offer_has_any_more_is_gone_or_elsewhere(
    room: SfuRoom,
) -> None:
    (ann, _), (bob, signal) = join(room, "ann"), join(room, "bob")
    offers = RawParticipant("", "")
    ann.publish(rtc.AddTrackRequest(cid="mic", type=models.TrackType.AUDIO))
    done(ann.on_offer(offers.offering(sending=["mic"]).offer))
    (publication,) = ann.publications
    for first in (0, 100):
        done(bob.on_offer(offers.offering(first=first).offer))
        where = [one.answer.mid_to_track_id for one in signal.sent if one.HasField("answer")]
        assert dict(where[-1]) == {str(first): publication.sid}
    done(ann.on_offer(offers.offering(first=100).offer))
    assert list(ann.publications) == []
    room.close(Reason.ROOM_DELETED)
    await offers.aclose()
