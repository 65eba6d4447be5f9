"""What every room port promises; a subclass has a fixture `bench` that gives a `RoomBench`."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import numpy as np
import pytest

from utd_rx.audio.sources import ToneSource
from utd_rx.errors import ConflictReason, UTDErrorCode
from utd_rx.models import events as ev
from utd_rx.models.audio import AudioFrame
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.devices import DeviceKey
from utd_rx.models.participant import TrackKind, TrackSource
from utd_rx.models.statistics import TrackDirection
from utd_rx.models.video import VideoFrame
from utd_rx.testing.contracts import PATIENCE, Batches, refusal
from utd_rx.testing.contracts.room_bench import RoomBench, VoiceSeen
from utd_rx.testing.contracts.room_data import RoomDataPromises
from utd_rx.testing.contracts.room_encryption import RoomEncryptionPromises
from utd_rx.video import TestPattern, read_counter


@pytest.mark.asyncio
class RoomContract(RoomDataPromises, RoomEncryptionPromises):
    """The suite; see the module."""

    async def test_the_snapshot_tells_who_one_is_and_what_one_may(self, bench: RoomBench) -> None:
        snapshot = await bench.connect()
        assert snapshot.local.identity == bench.server.identity
        assert not snapshot.local.permission.can_publish
        assert snapshot.remotes == ()
        assert pickle.loads(pickle.dumps(snapshot)) == snapshot

    async def test_publishing_without_the_grant_is_refused_at_once(self, joined: RoomBench) -> None:
        assert (await refusal(joined.room.publish(ToneSource()))).code is UTDErrorCode.FORBIDDEN

    async def test_a_granted_track_is_published_muted_unmuted_and_unpublished(
        self, joined: RoomBench
    ) -> None:
        await joined.granted()
        track = await joined.room.publish(ToneSource())
        assert (track.source, track.is_muted) == (TrackSource.MICROPHONE, False)
        assert (await joined.seen(ev.LocalTrackPublished)).track == track
        await joined.room.set_muted(track.sid, True)
        muted = await joined.seen(ev.TrackMuted)
        assert (muted.identity, muted.track.sid) == (joined.server.identity, track.sid)
        assert muted.track.is_muted
        await joined.room.set_muted(track.sid, False)
        await joined.seen(ev.TrackUnmuted)
        await joined.room.unpublish(track.sid)
        assert (await joined.seen(ev.LocalTrackUnpublished)).track.sid == track.sid
        await joined.room.unpublish(track.sid)
        assert len(joined.all_of(ev.TrackMuted)) == 1

    @pytest.mark.parametrize("source", [TrackSource.CAMERA, TrackSource.SCREEN_SHARE])
    async def test_a_picture_is_published_muted_unmuted_and_unpublished(
        self, joined: RoomBench, source: TrackSource
    ) -> None:
        pattern = TestPattern(320, 180, 10)
        assert (await refusal(joined.room.publish(pattern, source))).code is UTDErrorCode.FORBIDDEN
        await joined.granted()
        track = await joined.room.publish(pattern, source)
        assert (track.kind, track.source) == (TrackKind.VIDEO, source)
        assert (await joined.seen(ev.LocalTrackPublished)).track == track
        await joined.room.set_muted(track.sid, True)
        assert (await joined.seen(ev.TrackMuted)).track.source is source
        await joined.room.set_muted(track.sid, False)
        await joined.seen(ev.TrackUnmuted)
        await joined.room.unpublish(track.sid)
        assert (await joined.seen(ev.LocalTrackUnpublished)).track.sid == track.sid

    async def test_a_picture_gets_another_source_on_the_same_track(self, joined: RoomBench) -> None:
        await joined.granted()
        pattern, other = TestPattern(320, 180, 10), TestPattern(64, 36, 10)
        track = await joined.room.publish(pattern, TrackSource.CAMERA)
        sound = await joined.room.publish(ToneSource())
        await joined.room.replace(track.sid, other)
        await joined.room.set_muted(track.sid, True)
        await joined.room.replace(track.sid, pattern)
        await joined.room.set_muted(track.sid, False)
        tone: Any = ToneSource()
        for sid, wrong in ((sound.sid, pattern), (track.sid, tone)):
            assert (await refusal(joined.room.replace(sid, wrong))).code is UTDErrorCode.VALIDATION
        assert joined.all_of(ev.LocalTrackUnpublished) == []
        await joined.room.unpublish(track.sid)
        assert (await joined.seen(ev.LocalTrackUnpublished)).track.sid == track.sid
        await joined.room.replace(track.sid, other)  # over, and so nothing
        assert len(joined.all_of(ev.LocalTrackPublished)) == 2

    async def test_sound_is_no_picture_and_a_picture_no_sound(self, joined: RoomBench) -> None:
        await joined.granted()
        for wrong in (
            joined.room.publish(ToneSource(), TrackSource.CAMERA),
            joined.room.publish(ToneSource(), TrackSource.SCREEN_SHARE),
            joined.room.publish(TestPattern(), TrackSource.MICROPHONE),
        ):
            assert (await refusal(wrong)).code is UTDErrorCode.VALIDATION
        assert joined.all_of(ev.LocalTrackPublished) == []

    async def test_losing_the_grant_unpublishes_once(self, joined: RoomBench) -> None:
        await joined.granted()
        track = await joined.room.publish(ToneSource())
        await joined.server.grant(can_publish=False)
        assert (await joined.seen(ev.LocalTrackUnpublished)).track.sid == track.sid
        assert (await refusal(joined.room.publish(ToneSource()))).code is UTDErrorCode.FORBIDDEN
        await joined.room.disconnect()
        assert len(joined.all_of(ev.LocalTrackUnpublished)) == 1

    async def test_a_disconnected_room_refuses_commands_and_connects_again(
        self, joined: RoomBench
    ) -> None:
        await joined.room.disconnect()
        await joined.room.disconnect()
        for command in (
            joined.room.send_data(b"x"),
            joined.room.publish(ToneSource()),
            joined.room.statistics(),
        ):
            assert (await refusal(command)).reason is ConflictReason.NOT_JOINED
        await joined.connect()
        await joined.room.send_data(b"x")

    async def test_the_end_is_told_before_disconnecting_returns(self, joined: RoomBench) -> None:
        await joined.room.disconnect()
        assert joined.told[-1] == ev.Disconnected(DisconnectReason.CLIENT_INITIATED)
        await joined.connect()
        assert len(joined.all_of(ev.Disconnected)) == 1

    async def test_it_reconnects_where_it_was_joined_last_once_that_is_over(
        self, bench: RoomBench
    ) -> None:
        for never in (bench.room.reconnect(), bench.room.newest_token()):
            assert (await refusal(never)).reason is ConflictReason.NOT_JOINED
        await bench.connect()
        for again in (bench.connect(), bench.room.reconnect()):
            assert (await refusal(again)).reason is ConflictReason.ALREADY
        await bench.thrown_out()
        snapshot = await bench.room.reconnect()
        assert snapshot.local.identity == bench.server.identity
        await bench.room.send_data(b"x")
        await bench.room.disconnect()
        for token in (bench.server.token, await bench.room.newest_token()):
            snapshot = await bench.room.reconnect(token)
            assert snapshot.local.identity == bench.server.identity
            await bench.room.disconnect()

    async def test_removal_by_the_server_is_the_last_event_and_says_why(
        self, joined: RoomBench
    ) -> None:
        reason = (await joined.thrown_out()).reason
        assert reason is DisconnectReason.PARTICIPANT_REMOVED
        await joined.room.disconnect()
        assert isinstance(joined.told[-1], ev.Disconnected)
        assert (await refusal(joined.room.send_data(b"x"))).reason is ConflictReason.NOT_JOINED

    async def test_who_stops_listening_hears_nothing_more(self, bench: RoomBench) -> None:
        heard: list[tuple[ev.RoomEvent, ...]] = []
        stop = bench.room.listen(heard.append)
        stop()
        stop()
        await bench.connect()
        await bench.granted()
        assert heard == []

    async def test_every_event_can_be_pickled_and_no_batch_is_empty(
        self, joined: RoomBench
    ) -> None:
        await joined.granted()
        await joined.hearing()
        await joined.room.publish(ToneSource())
        await joined.room.disconnect()
        assert joined.told
        assert all(joined.batches)
        assert pickle.loads(pickle.dumps(joined.told)) == joined.told

    async def test_frames_come_in_batches_until_they_are_not_wanted(
        self, joined: RoomBench
    ) -> None:
        sid = await joined.hearing()
        came = Batches[AudioFrame]()
        reception = await joined.room.hear(sid, came.take)
        first = await came.until(lambda frame: True)
        assert first.samples.dtype == np.int16
        assert len(first.samples) * 100 == first.sample_rate
        await joined.room.unhear(reception)
        count = len(came.batches)
        await joined.room.disconnect()
        assert len(came.batches) == count
        await joined.room.unhear(reception)

    async def test_a_track_is_received_as_the_last_word_says(self, joined: RoomBench) -> None:
        sid, room = await joined.hearing(), joined.room
        await room.set_subscribed(sid, False)
        assert (await joined.seen(ev.TrackUnsubscribed)).track.sid == sid
        nobody = await refusal(room.hear(sid, lambda frames: None))
        assert nobody.code is UTDErrorCode.NOT_FOUND
        for is_wanted in (True, False, True):
            await room.set_subscribed(sid, is_wanted)
        await joined.until(
            lambda event: isinstance(event, ev.TrackSubscribed) and event.track.sid == sid,
            after=joined.told.index(joined.all_of(ev.TrackUnsubscribed)[-1]),
        )
        came = Batches[AudioFrame]()
        await room.hear(sid, came.take)
        await came.until(lambda frame: True)
        await room.set_subscribed("TR_nobody", False)

    async def test_a_video_is_shown_to_all_who_look_until_they_look_away(
        self, joined: RoomBench
    ) -> None:
        sid = await joined.seeing()
        room, first, second = joined.room, Batches[VideoFrame](), Batches[VideoFrame]()
        view = await room.look(sid, lambda frame: first.take((frame,)))
        small = await room.look(sid, lambda frame: second.take((frame,)), max_height=90)
        frame = await first.until(lambda frame: read_counter(frame) is not None)
        assert (frame.width / frame.height, frame.rotation) == (16 / 9, 0)
        assert not frame.pixels.flags.writeable
        await second.until(lambda frame: read_counter(frame) is not None)
        await room.unlook(view)
        count, others = len(first.told), len(second.told)
        await second.until(lambda frame: True, after=others)
        assert len(first.told) == count
        await room.unlook(small)
        await room.unlook(small)
        for wrong in (
            (room.look(sid, first.take, max_height=0), UTDErrorCode.VALIDATION),  # type: ignore[arg-type] # not called
            (room.hear(sid, lambda _: None), UTDErrorCode.NOT_FOUND),  # it is no sound
        ):
            assert (await refusal(wrong[0])).code is wrong[1]

    async def test_statistics_are_of_each_track_that_is_sent_or_received(
        self, joined: RoomBench
    ) -> None:
        assert (await joined.room.statistics()).tracks == ()
        theirs = await joined.hearing()
        await joined.granted()
        ours = await joined.room.publish(ToneSource())
        camera = await joined.room.publish(TestPattern(320, 180, 10), TrackSource.CAMERA)
        told = await joined.room.statistics()
        me, other = joined.server.identity, (await joined.seen(ev.TrackSubscribed)).identity
        assert [
            (one.direction, one.identity, one.track_sid, one.source) for one in told.tracks
        ] == [
            (TrackDirection.SENT, me, ours.sid, TrackSource.MICROPHONE),
            (TrackDirection.SENT, me, camera.sid, TrackSource.CAMERA),
            (TrackDirection.RECEIVED, other, theirs, TrackSource.MICROPHONE),
        ]
        assert pickle.loads(pickle.dumps(told)) == told
        await joined.room.unpublish(ours.sid)
        assert ours.sid not in [one.track_sid for one in (await joined.room.statistics()).tracks]

    async def test_an_unknown_track_and_a_speaker_that_is_not_alive_play_nothing(
        self, joined: RoomBench
    ) -> None:
        sid = await joined.hearing()
        speaker = await joined.speakers.make()
        for command in (
            joined.room.hear("TR_nobody", lambda _: None),
            joined.room.look("TR_nobody", lambda _: None),
            joined.room.look(sid, lambda _: None),  # it is sound
            joined.room.route("TR_nobody", speaker),
            joined.room.route(sid, DeviceKey("speaker")),
        ):
            assert (await refusal(command)).code is UTDErrorCode.NOT_FOUND
        assert all(voice.is_closed for voice in await joined.speakers.voices(speaker))

    async def test_a_track_is_played_on_a_speaker_past_the_app(self, joined: RoomBench) -> None:
        sid = await joined.hearing()
        speaker = await joined.speakers.make()
        route = await joined.room.route(sid, speaker, name="ben", gain=0.5)

        async def voice() -> VoiceSeen:
            [only] = await joined.speakers.voices(speaker)
            return only

        seen = await voice()
        assert (seen.name, seen.gain) == ("ben", 0.5)
        async with asyncio.timeout(PATIENCE):
            while not (await voice()).frames:  # noqa: ASYNC110 - they come on a thread of the room's
                await asyncio.sleep(0)
        await joined.room.set_gain(route, 2.0)
        assert (await voice()).gain == 2.0
        await joined.room.unroute(route)
        assert (await voice()).is_closed
        await joined.room.unroute(route)
        await joined.room.set_gain(route, 1.0)

    async def test_who_comes_is_told_before_what_they_publish(self, joined: RoomBench) -> None:
        await joined.hearing()
        kinds = [type(event) for event in joined.told]
        assert kinds.index(ev.ParticipantConnected) < kinds.index(ev.TrackSubscribed)
