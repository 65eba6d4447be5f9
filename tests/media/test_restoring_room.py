"""A room goes on in the next media process: what was wanted is there again, told as one event."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from attrs import evolve

from tests.media.restored import ALL, BEN, FACE, VOICE, Restored, turns
from utd_rx.audio.sources import ToneSource
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.media.carrying_out import PUBLISH_WITHIN
from utd_rx.media.restoring_room import SETTLE_WITHIN, RestoringRoom
from utd_rx.media.thinning import MAX_DATA
from utd_rx.models import events as ev
from utd_rx.models.audio import AudioFrame
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.data_tracks import DataTrackFrame, DataTrackInfo
from utd_rx.models.encryption import Encryption
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.methods import MethodInvocation
from utd_rx.models.participant import ParticipantPermission, TrackPublication, TrackSource
from utd_rx.models.transfers import TransferInfo
from utd_rx.models.video import VideoFrame
from utd_rx.ports.data import SelfDescription
from utd_rx.ports.methods import MethodRequest
from utd_rx.ports.transfers import TransferEnded, TransferHeader, TransferNews
from utd_rx.testing.contracts import refusal
from utd_rx.testing.contracts.room_bench import Loudspeaker
from utd_rx.testing.loop import run_virtual
from utd_rx.testing.room import FakeRoom
from utd_rx.video import TestPattern

FRAME = AudioFrame(np.zeros((480, 1), np.int16), 48_000, 0.0)
SEEN = VideoFrame(np.zeros((16, 16, 3), np.uint8), 0.0)
POSE = DataTrackInfo("DTR_pose", "pose")
LISTENER = ParticipantPermission(can_subscribe=True, can_publish_data=True)


async def test_a_death_looks_like_a_full_reconnect_and_the_roster_does_not_flicker() -> None:
    stage = await Restored().joined()
    before = len(stage.told)
    stage.die()
    back = await stage.again()
    assert stage.kinds(before) == [ev.Reconnecting, ev.Reconnected]
    assert back.snapshot.remotes == (BEN,)
    assert len(stage.rooms) == 2
    assert stage.now.is_connected


async def test_what_is_published_is_published_again_in_its_place() -> None:
    stage = await Restored().joined()
    tone, pattern = ToneSource(), TestPattern(64, 36, 10)
    sound = await stage.room.publish(tone)
    picture = await stage.room.publish(pattern, TrackSource.CAMERA)
    stage.die()
    back = await stage.again()
    moved = [event for event in stage.told if isinstance(event, ev.LocalTrackRepublished)]
    assert [event.previous_sid for event in moved] == [sound.sid, picture.sid]
    assert list(stage.now.sources.values()) == [tone, pattern]
    assert tuple(back.snapshot.local.tracks) == stage.now.tracks
    # They are known by the sids of before, too, for whoever has not heard of it yet.
    await stage.room.set_muted(sound.sid, True)
    assert stage.now.tracks[0].is_muted
    await stage.room.unpublish(picture.sid)
    assert len(stage.now.tracks) == 1


async def test_what_is_muted_is_published_again_when_it_is_unmuted() -> None:
    stage = await Restored().joined()
    track = await stage.room.publish(ToneSource())
    await stage.room.set_muted(track.sid, True)
    stage.die()
    back = await stage.again()
    assert stage.now.sources == {}
    assert [(one.sid, one.is_muted) for one in back.snapshot.local.tracks] == [(track.sid, True)]
    before = len(stage.told)
    await stage.room.set_muted(track.sid, False)
    await turns()
    assert not stage.now.tracks[0].is_muted
    assert {ev.LocalTrackRepublished, ev.TrackUnmuted} <= set(stage.kinds(before))


async def test_what_is_muted_while_nobody_is_there_is_not_heard_either() -> None:
    stage = await Restored().joined()
    track = await stage.room.publish(ToneSource())
    stage.die()
    await asyncio.sleep(0)
    await stage.room.set_muted(track.sid, True)
    await stage.again()
    assert stage.now.sources == {}


async def test_what_is_taken_down_while_nobody_is_there_stays_down() -> None:
    stage = await Restored().joined()
    track = await stage.room.publish(ToneSource())
    stage.die()
    await turns(1)
    await stage.room.unpublish(track.sid)
    back = await stage.again()
    assert stage.now.sources == {}
    assert back.snapshot.local.tracks == ()


async def test_another_source_is_what_is_published_again() -> None:
    stage = await Restored().joined()
    track = await stage.room.publish(TestPattern(64, 36, 10), TrackSource.CAMERA)
    other = TestPattern(128, 72, 5)
    await stage.room.replace(track.sid, other)
    stage.die()
    await stage.again()
    assert list(stage.now.sources.values()) == [other]


async def test_what_is_heard_seen_and_played_goes_on_under_its_number() -> None:
    stage = await Restored().joined()
    heard: list[AudioFrame] = []
    seen: list[VideoFrame] = []
    speaker = Loudspeaker()
    reception = await stage.room.hear(VOICE.sid, heard.extend)
    view = await stage.room.look(FACE.sid, seen.append, max_height=90)
    route = await stage.room.route(VOICE.sid, speaker.key, name="ben", gain=0.5)
    await stage.room.set_gain(route, 2.0)
    stage.die()
    await stage.again()
    stage.now.play(VOICE.sid, FRAME)
    stage.now.show(FACE.sid, SEEN)
    assert len(heard) == len(seen) == 1
    assert stage.now.pulled == {FACE.sid: 90}
    voice = speaker.voices[-1]
    assert (voice.name, voice.gain, len(voice.frames)) == ("ben", 2.0, 1)
    await stage.room.unhear(reception)
    await stage.room.unlook(view)
    await stage.room.unroute(route)
    stage.now.play(VOICE.sid, FRAME)
    assert len(heard) == 1
    assert stage.now.pulled == {}
    assert voice.is_closed


async def test_a_speaker_that_the_app_keeps_to_itself_is_played_on_as_well() -> None:
    stage, speaker = Restored(), Loudspeaker()
    room = RestoringRoom(stage.succession, stage.serve_room, needs=lambda key: False)
    await room.connect("wss://x", "token-1")
    route = await room.route(VOICE.sid, speaker.key, name="ben", gain=0.5)
    stage.now.play(VOICE.sid, FRAME)
    await room.set_gain(route, 2.0)
    [voice] = speaker.voices
    assert (voice.name, voice.gain, len(voice.frames)) == ("ben", 2.0, 1)
    stage.die()
    await turns(20)
    stage.now.play(VOICE.sid, FRAME)
    assert len(voice.frames) == 2
    await room.unroute(route)
    assert voice.is_closed
    nobody = await refusal(room.route("TR_nobody", speaker.key))
    assert nobody.code is UTDErrorCode.NOT_FOUND
    assert speaker.voices[-1].is_closed


async def test_what_is_told_before_the_join_has_answered_counts() -> None:
    stage = await Restored().joined()
    heard: list[AudioFrame] = []
    await stage.room.hear(VOICE.sid, heard.extend)
    silent = evolve(VOICE, is_subscribed=False)
    stage.remotes = (evolve(BEN, tracks=(silent,)),)
    stage.early = (
        ev.TrackSubscribed("ben", VOICE),
        ev.Reconnecting(),
        ev.DataReceived(b"x", "ben"),
    )
    stage.die()
    back = await stage.again()
    assert back.snapshot.remotes[0].tracks == (VOICE,)
    assert stage.kinds()[-2:] == [ev.Reconnected, ev.DataReceived]
    stage.now.play(VOICE.sid, FRAME)
    assert len(heard) == 1


async def test_what_has_ended_meanwhile_is_not_waited_for() -> None:
    stage = await Restored().joined()
    await stage.room.hear(VOICE.sid, lambda frames: None)
    stage.remotes = ()
    stage.die()
    assert (await stage.again()).snapshot.remotes == ()


async def test_the_last_word_on_what_is_received_is_said_again() -> None:
    stage = await Restored().joined()
    await stage.room.set_subscribed(FACE.sid, False)
    await turns()
    stage.die()
    await stage.again()
    unheard = await refusal(stage.now.look(FACE.sid, lambda frame: None))
    assert unheard.code is UTDErrorCode.NOT_FOUND
    await stage.now.hear(VOICE.sid, lambda frames: None)


async def test_methods_and_topics_are_served_on_and_numbers_of_before_mean_nothing() -> None:
    stage = await Restored().joined()
    calls: list[MethodInvocation] = []
    news: list[TransferNews] = []
    stop = stage.room.serve("echo", calls.append)
    stage.room.receive_streams("lk.chat", True, news.append)
    with pytest.raises(UTDStreamException, match="served already"):
        stage.room.serve("echo", calls.append)
    with pytest.raises(UTDStreamException, match="received already"):
        stage.room.receive_streams("lk.chat", True, news.append)
    first = asyncio.create_task(stage.now.methods.invoke("echo"))
    await turns(2)
    sent = await stage.room.open_stream(TransferHeader(is_text=True))
    stage.now.transfers.begin(TransferInfo("s", "ben", "lk.chat"), is_text=True)
    stage.die()
    await stage.again()
    first.cancel()
    assert isinstance(news[-1], TransferEnded)
    assert news[-1].failure is not None
    second = asyncio.create_task(stage.now.methods.invoke("echo"))
    await turns(2)
    assert calls[0].number != calls[1].number
    await stage.room.answer(calls[0].number, "of before")
    await stage.room.answer(calls[1].number, "of now")
    assert await second == "of now"
    left = await refusal(stage.room.write_stream(sent, b"x"))
    assert left.reason is ConflictReason.LEFT
    await stage.room.end_stream(sent, "")
    await stage.room.drop_stream(news[0].number)
    stop()
    stage.die()
    await stage.again(1)
    with pytest.raises(UTDStreamException):
        await stage.now.methods.invoke("echo")


async def test_a_stop_that_is_called_twice_ends_no_later_serving_of_the_same_function() -> None:
    stage = await Restored().joined()
    calls: list[MethodInvocation] = []
    take = calls.append
    stop = stage.room.serve("echo", take)
    stop()
    stage.room.serve("echo", take)
    stop()
    call = asyncio.create_task(stage.now.methods.invoke("echo"))
    await turns(2)
    await stage.room.answer(calls[0].number, "heard")
    assert await call == "heard"


async def test_what_was_said_of_oneself_is_said_again_as_the_server_has_it_since() -> None:
    stage = await Restored().joined()
    await stage.room.describe(SelfDescription(attributes={"mood": "good", "hat": "red"}))
    await stage.room.describe(SelfDescription(name="Me"))
    await turns()
    stage.now.emit(ev.ParticipantAttributesChanged("me", FrozenMap({"mood": "bad", "hat": "red"})))
    await turns()
    stage.die()
    await stage.again()
    local = stage.now.snapshot.local
    assert (local.name, dict(local.attributes)) == ("Me", {"mood": "bad", "hat": "red"})


async def test_data_tracks_go_on_both_ways() -> None:
    stage = Restored()
    stage.remotes = (evolve(BEN, data_tracks=(POSE,)),)
    await stage.joined()
    came: list[DataTrackFrame] = []
    reading = await stage.room.read_data_track(POSE.sid, came.append)
    number = await stage.room.publish_data_track("mine")
    over = await stage.room.publish_data_track("over")
    await stage.room.unpublish_data_track(over)
    stage.die()
    await stage.again()
    stage.now.data_tracks.play(POSE.sid, DataTrackFrame(b"pose"))
    await stage.room.push_data_frame(number, DataTrackFrame(b"x"))
    assert [name for name, _ in stage.now.data_tracks.pushed] == ["mine"]
    assert list(stage.now.data_tracks.published.values()) == ["mine"]
    assert len(came) == 1
    await stage.room.unread_data_track(reading)
    stage.now.data_tracks.play(POSE.sid, DataTrackFrame(b"pose"))
    assert len(came) == 1
    left = await refusal(stage.room.push_data_frame(over, DataTrackFrame(b"x")))
    assert left.reason is ConflictReason.LEFT


async def test_it_is_joined_with_the_keys_of_now() -> None:
    stage = Restored()
    first, second = Encryption("one"), Encryption("two")
    await stage.room.connect("wss://x", "token-1", encryption=first)
    await stage.room.encrypt(second)
    stage.die()
    await stage.again()
    assert stage.now.encryption == second


async def test_keys_that_change_while_it_is_joined_again_are_there_before_a_track() -> None:
    stage = Restored()
    await stage.room.connect("wss://x", "token-1", encryption=Encryption("one"))
    await stage.room.publish(TestPattern(64, 36, 5), TrackSource.CAMERA)
    stage.die()
    await turns(1)
    stage.closed = True
    again = asyncio.ensure_future(stage.again())
    await turns()
    changing = asyncio.ensure_future(stage.room.encrypt(Encryption("two")))
    await turns()
    assert not changing.done()
    assert stage.now.encryption is None  # it is being joined, with the keys of before
    seen: list[Encryption | None] = []
    stage.now.listen(lambda _: seen.append(stage.now.encryption))
    stage.now.gate.set()
    await again
    await changing
    assert len(seen) > 0
    assert set(seen) == {Encryption("two")}


async def test_a_process_that_dies_while_it_is_told_the_keys_has_an_heir_that_has_them() -> None:
    stage = Restored()
    await stage.room.connect("wss://x", "token-1", encryption=Encryption("one"))

    async def never(encryption: Encryption) -> None:
        await asyncio.Event().wait()

    stage.now.encrypt = never  # type: ignore[method-assign] # a fake
    changing = asyncio.ensure_future(stage.room.encrypt(Encryption("two")))
    await turns()
    stage.die()
    await stage.again()
    await changing
    assert stage.now.encryption == Encryption("two")


async def test_it_is_joined_with_the_newest_token() -> None:
    stage = await Restored().joined()

    async def newest() -> str:
        return "token-2"

    stage.now.newest_token = newest  # type: ignore[method-assign] # a fake
    stage.now.emit(ev.TokenRefreshed())
    await turns()
    stage.die()
    await stage.again()
    assert stage.now.tokens == ["token-2"]
    assert await stage.room.newest_token() == "token-2"


async def test_what_is_under_way_fails_typed_and_what_comes_waits() -> None:
    stage = await Restored().joined()

    async def never(request: MethodRequest) -> str:
        await asyncio.Event().wait()
        return ""

    stage.now.methods.others["slow"] = never
    call = asyncio.create_task(stage.room.call(MethodRequest("slow", "", "ben")))
    await turns(2)
    stage.die()
    later = asyncio.create_task(stage.room.send_data(b"x"))
    assert (await refusal(call)).code is UTDErrorCode.NETWORK
    await stage.again()
    await later
    assert [payload for payload, _, _ in stage.now.sent] == [b"x"]


async def test_a_join_under_way_fails_and_another_one_begins_in_the_next_process() -> None:
    stage = Restored()
    stage.succession.begin()
    stage.hosts[-1].has_served = True
    stage.now.gate.clear()
    join = asyncio.create_task(stage.room.connect("wss://x", "t"))
    await turns()
    stage.die()
    assert (await refusal(join)).code is UTDErrorCode.NETWORK
    assert stage.told == []
    await stage.joined()
    assert len(stage.rooms) == 2


async def test_a_join_of_a_process_that_died_before_it_served_is_the_next_ones() -> None:
    stage = Restored()
    stage.succession.begin()
    stage.die()  # which nobody sees before the join
    await stage.joined()
    assert stage.now.is_connected
    assert len(stage.hosts) == 2


async def test_a_join_that_ends_two_processes_is_not_tried_in_a_third_one() -> None:
    stage = Restored()
    stage.closed = True
    join = asyncio.create_task(stage.room.connect("wss://x", "t"))
    for _ in range(2):
        await turns()
        stage.die()
    assert (await refusal(join)).code is UTDErrorCode.NETWORK
    assert len(stage.hosts) == 2


async def test_a_grant_that_comes_a_moment_later_is_waited_for() -> None:
    stage = await Restored().joined()
    await stage.room.publish(ToneSource())
    stage.permission = LISTENER
    stage.die()
    await turns(12)
    assert not any(isinstance(event, ev.Reconnected) for event in stage.told)
    stage.now.grant(can_publish=True)
    await stage.until(lambda event: isinstance(event, ev.Reconnected))
    assert len(stage.now.tracks) == 1


@pytest.mark.parametrize("when", ["while it is joined", "until it is whole"])
async def test_a_storm_in_a_room_that_is_not_whole_is_bounded(when: str) -> None:
    stage = await Restored().joined()
    await stage.room.publish(ToneSource())
    stage.permission = LISTENER
    data = [ev.DataReceived(b"%05d" % n * 400, "ben") for n in range(6_000)]
    if when == "while it is joined":
        stage.early = tuple(data)
    before = len(stage.told)
    stage.die()
    await turns(12)
    if when == "until it is whole":
        stage.now.emit(*data)
        await turns()
    stage.now.grant(can_publish=True)
    await stage.until(lambda event: isinstance(event, ev.Reconnected))
    told = stage.told[before:]
    heard = [event for event in told if isinstance(event, ev.DataReceived)]
    missed = sum(event.count for event in told if isinstance(event, ev.DataMissed))
    assert sum(len(event.payload) for event in heard) <= 2 * MAX_DATA
    assert heard == data[missed:]


def test_a_grant_that_does_not_come_is_not_waited_for_long() -> None:
    async def main() -> None:
        stage = await Restored().joined()
        await stage.room.publish(ToneSource())
        stage.permission = LISTENER
        began = asyncio.get_running_loop().time()
        stage.die()
        back = await stage.again()
        assert asyncio.get_running_loop().time() - began == pytest.approx(SETTLE_WITHIN)
        assert not back.snapshot.local.permission.can_publish
        assert back.snapshot.local.tracks == ()

    run_virtual(main())


def test_a_device_that_hangs_keeps_nobody_out_and_its_track_has_failed() -> None:
    async def main() -> None:
        stage, loop = await Restored().joined(), asyncio.get_running_loop()
        card, pattern = ToneSource(), TestPattern(64, 36, 10)
        stuck = await stage.room.publish(card)
        await stage.room.publish(pattern, TrackSource.CAMERA)
        publish, began = FakeRoom.publish, loop.time()

        async def hang(room: FakeRoom, source: Any, *args: Any) -> TrackPublication:
            if source is card:
                await loop.create_future()
            return await publish(room, source, *args)

        with pytest.MonkeyPatch.context() as here:
            here.setattr(FakeRoom, "publish", hang)
            stage.die()
            await turns(2)
            await stage.room.send_data(b"x")
        assert loop.time() - began == PUBLISH_WITHIN
        assert ev.Reconnected in stage.kinds()
        [failed] = [event for event in stage.told if isinstance(event, ev.LocalTrackFailed)]
        assert (failed.track_sid, failed.error.code) == (stuck.sid, UTDErrorCode.TIMEOUT)
        assert list(stage.now.sources.values()) == [pattern]

    run_virtual(main())


async def test_messages_that_come_meanwhile_are_told_behind_it() -> None:
    stage = await Restored().joined()
    await stage.room.publish(ToneSource())
    stage.permission = LISTENER
    stage.die()
    await turns(12)
    stage.now.push(b"hello")
    stage.now.grant(can_publish=True)
    await stage.until(lambda event: isinstance(event, ev.DataReceived))
    assert stage.kinds()[-2:] == [ev.Reconnected, ev.DataReceived]


async def test_a_room_that_cannot_be_joined_again_has_ended() -> None:
    stage = await Restored().joined()
    stage.refusal = UTDStreamException("no", code=UTDErrorCode.UNAUTHORIZED)
    stage.die()
    await turns(20)
    assert stage.told[-1] == ev.Disconnected(DisconnectReason.MEDIA_FAILURE)
    assert (await refusal(stage.room.send_data(b"x"))).reason is ConflictReason.NOT_JOINED
    await stage.room.reconnect("token-2")
    assert stage.now.tokens[-1] == "token-2"


async def test_after_three_deaths_in_a_minute_it_is_given_up_with_the_last_words() -> None:
    stage = await Restored().joined()
    for words in ("one", "two"):
        stage.hosts[-1].die(words)
        await stage.again(1)
    stage.hosts[-1].die("native assert")
    await stage.until(lambda event: isinstance(event, ev.Disconnected))
    failed = await refusal(stage.room.reconnect())
    assert failed.code is UTDErrorCode.FEATURE_DISABLED
    assert "native assert" in failed.message
    assert len(stage.hosts) == 3
    stage.clock.advance(60)
    await stage.room.reconnect()
    assert len(stage.hosts) == 4


async def test_leaving_while_nobody_is_there_is_told_and_final() -> None:
    stage = await Restored().joined()
    stage.die()
    await asyncio.sleep(0)
    await stage.room.disconnect()
    assert stage.told[-1] == ev.Disconnected(DisconnectReason.CLIENT_INITIATED)
    await turns(20)
    await stage.room.disconnect()
    assert len(stage.hosts) == 2  # which has left in its place
    assert stage.kinds().count(ev.Disconnected) == 1


async def test_who_is_thrown_out_while_it_is_restored_is_out() -> None:
    stage = await Restored().joined()
    await stage.room.publish(ToneSource())
    stage.permission = LISTENER
    stage.die()
    await turns(12)
    stage.now.lose(DisconnectReason.PARTICIPANT_REMOVED)
    await stage.until(lambda event: isinstance(event, ev.Disconnected))
    await turns()
    assert stage.told[-1] == ev.Disconnected(DisconnectReason.PARTICIPANT_REMOVED)
    assert stage.kinds().count(ev.Disconnected) == 1


async def test_a_process_that_dies_while_nobody_is_joined_is_missed_by_nobody() -> None:
    stage = await Restored().joined()
    await stage.room.disconnect()
    before = len(stage.told)
    stage.die()
    await turns()
    assert len(stage.hosts) == 1
    assert len(stage.told) == before
    await stage.room.reconnect()
    assert len(stage.hosts) == 2


async def test_a_successor_that_dies_before_all_is_there_has_one_as_well() -> None:
    stage = await Restored().joined()
    await stage.room.publish(ToneSource())
    stage.permission = LISTENER
    stage.die()
    await turns(12)
    stage.permission = ALL
    stage.die()
    await stage.again(1)
    assert len(stage.now.tracks) == 1
    assert stage.kinds().count(ev.Reconnecting) == 1


async def test_a_succession_that_is_closed_ends_its_rooms() -> None:
    stage = await Restored().joined()
    await stage.succession.aclose()
    assert stage.told[-1] == ev.Disconnected(DisconnectReason.MEDIA_FAILURE)
    assert stage.hosts[-1].is_closed
    assert (await refusal(stage.room.reconnect())).reason is ConflictReason.CLOSED
    await stage.room.aclose()


async def test_it_is_closed_once_however_often_and_then_refuses_whatever_comes() -> None:
    stage = await Restored().joined()
    await asyncio.gather(stage.room.aclose(), stage.room.aclose())
    await stage.room.aclose()
    for command in (stage.room.send_data(b"x"), stage.room.reconnect()):
        assert (await refusal(command)).reason is ConflictReason.CLOSED
    await stage.room.disconnect()
    stage.die()
    await turns()
    assert (await refusal(stage.room.send_data(b"x"))).reason is ConflictReason.CLOSED
    await stage.room.aclose()


async def test_who_leaves_while_there_is_no_process_to_join_in_does_not_join() -> None:
    stage = await Restored().joined()
    await stage.room.disconnect()
    stage.die()
    await turns()
    await stage.room.reconnect()
    stage.die()
    await turns(2)
    await stage.room.disconnect()
    joining = asyncio.create_task(stage.room.reconnect())  # after the second death, a moment later
    await turns(2)
    await stage.room.disconnect()
    stage.clock.advance(1)
    assert (await refusal(joining)).reason is ConflictReason.LEFT
    assert not stage.now.is_connected
