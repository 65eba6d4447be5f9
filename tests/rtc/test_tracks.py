"""Tracks of a room, local and remote: published, muted, heard, and gone without a trace."""

from __future__ import annotations

import asyncio
import threading

import numpy as np

from tests.rtc.bench import (
    Frames,
    Loudspeaker,
    Party,
    Tone,
    ToneStream,
    eventually,
    permit,
    raises,
)
from utd_rx.errors import UTDErrorCode
from utd_rx.models import events as ev
from utd_rx.models.audio import AudioFormat, AudioFrame, FrameSink
from utd_rx.models.devices import DeviceKey
from utd_rx.models.participant import TrackSource
from utd_rx.rtc import streams


async def test_audio_arrives_as_read_only_frames_with_their_time(party: Party) -> None:
    ann, _ = await party.join("ann")
    bob, ear = await party.join("bob")
    track = await ann.publish(Tone())
    await ear.wait(ev.TrackSubscribed)
    frames = Frames()
    reception = await bob.hear(track.sid, frames.take)
    await frames.wait(lambda: frames.peak > 4_000)
    frame = frames.frames[-1]
    assert frame.samples.shape == (480, 1)
    assert frame.samples.dtype == np.int16
    assert not frame.samples.flags.writeable
    assert frame.sample_rate == 48_000
    times = [frame.at for frame in frames.frames]
    assert times == sorted(times)
    await bob.unhear(reception)
    count = len(frames.frames)
    await asyncio.sleep(0)
    await bob.unhear(reception)
    assert len(frames.frames) == count


async def test_stereo_and_other_rates_are_published_as_they_are(party: Party) -> None:
    ann, _ = await party.join("ann")
    bob, ear = await party.join("bob")
    stereo = Tone(audio_format=AudioFormat(44_100, 2))
    track = await ann.publish(stereo, TrackSource.SCREEN_SHARE_AUDIO)
    subscribed = await ear.wait(ev.TrackSubscribed)
    assert subscribed.track.name == "screen_share_audio"
    frames = Frames()
    await bob.hear(track.sid, frames.take)
    await frames.wait(lambda: frames.peak > 4_000)


class LongFrames(Tone):
    """A tone in frames of 20 ms, at the rate of many voices."""

    async def open(self, sink: FrameSink) -> ToneStream:
        waiting: list[AudioFrame] = []

        def merge(frame: AudioFrame) -> None:
            waiting.append(frame)
            if len(waiting) == 2:
                samples = np.concatenate([each.samples for each in waiting])
                sink(AudioFrame(samples[:441], 22_050))
                waiting.clear()

        return await super().open(merge)


async def test_an_input_of_longer_frames_of_another_rate_is_heard(party: Party) -> None:
    ann, _ = await party.join("ann")
    bob, ear = await party.join("bob")
    track = await ann.publish(LongFrames())
    await ear.wait(ev.TrackSubscribed)
    frames = Frames()
    await bob.hear(track.sid, frames.take)
    await frames.wait(lambda: frames.peak > 4_000)
    assert {frame.samples.shape for frame in frames.frames} == {(480, 1)}


async def test_a_reception_ends_with_its_track(party: Party) -> None:
    ann, _ = await party.join("ann")
    bob, ear = await party.join("bob")
    track = await ann.publish(Tone())
    await ear.wait(ev.TrackSubscribed)
    speaker = Loudspeaker()
    await bob.route(track.sid, speaker.key, name="ann")
    await bob.hear(track.sid, lambda _: None)
    await ann.unpublish(track.sid)
    await ear.wait(ev.TrackUnpublished)
    await eventually(lambda: streams.exchange().open_streams == 0)
    assert speaker.voices[0].is_closed
    await raises(UTDErrorCode.NOT_FOUND, bob.hear(track.sid, lambda _: None))
    await raises(UTDErrorCode.NOT_FOUND, bob.route(track.sid, speaker.key))
    assert len(speaker.voices) == 1


async def test_a_route_plays_on_the_speaker_until_it_is_taken_back(party: Party) -> None:
    ann, _ = await party.join("ann")
    bob, ear = await party.join("bob")
    track = await ann.publish(Tone())
    await ear.wait(ev.TrackSubscribed)
    await raises(UTDErrorCode.NOT_FOUND, bob.route(track.sid, DeviceKey("speaker")))
    speaker = Loudspeaker()
    route = await bob.route(track.sid, speaker.key, name="ann", gain=0.5)
    (voice,) = speaker.voices
    assert (voice.name, voice.gain) == ("ann", 0.5)
    await voice.frames.wait(lambda: voice.frames.peak > 4_000)
    # What came while the stream was being opened comes from who opened it; then the loop takes no
    # part.
    voice.threads.clear()
    await voice.frames.wait(lambda: bool(voice.threads))
    assert voice.threads.isdisjoint({threading.get_ident()})
    await bob.set_gain(route, 2.0)
    assert voice.gain == 2.0
    await bob.unroute(route)
    assert voice.is_closed
    count = len(voice.frames.frames)
    await bob.unroute(route)
    await bob.set_gain(route, 1.0)
    assert voice.gain == 2.0
    assert len(voice.frames.frames) == count


async def test_a_sink_that_raises_does_not_end_the_sound(party: Party) -> None:
    ann, _ = await party.join("ann")
    bob, ear = await party.join("bob")
    track = await ann.publish(Tone())
    await ear.wait(ev.TrackSubscribed)
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, it: reported.append(it["exception"]))
    frames = Frames()

    def deaf(batch: tuple[AudioFrame, ...]) -> None:
        frames.take(batch)
        raise ValueError("deaf")

    await bob.hear(track.sid, deaf)
    await frames.wait(lambda: len(reported) > 2)
    assert {str(error) for error in reported} == {"deaf"}


async def test_a_finished_input_is_told_and_heard_to_its_end(party: Party) -> None:
    ann, ear = await party.join("ann")
    track = await ann.publish(Tone(frames=20))
    assert (await ear.wait(ev.LocalAudioEnded)).track_sid == track.sid


async def test_mute_is_told_to_both_sides_once_and_keeps_the_source(party: Party) -> None:
    ann, ear = await party.join("ann")
    _, other = await party.join("bob")
    tone = Tone()
    track = await ann.publish(tone)
    await other.wait(ev.TrackSubscribed)
    kinds: tuple[type[ev.TrackMuted | ev.TrackUnmuted], ...] = (ev.TrackMuted, ev.TrackUnmuted)
    for kind in kinds:
        muted = kind is ev.TrackMuted
        await ann.set_muted(track.sid, muted)
        await ann.set_muted(track.sid, muted)
        assert (await ear.wait(kind)).track.is_muted is muted
        assert (await other.wait(kind)).identity == "ann"
    assert tone.open_streams == 1
    await ann.unpublish(track.sid)
    await other.wait(ev.TrackUnpublished)
    for side in (ear, other):
        assert len(side.of(ev.TrackMuted)) == len(side.of(ev.TrackUnmuted)) == 1
    assert len(ear.of(ev.LocalTrackUnpublished)) == 1
    assert tone.open_streams == 0


async def test_the_microphone_follows_the_last_intent(party: Party) -> None:
    room, ear = await party.join("ann")
    await room.set_microphone(False)
    await raises(UTDErrorCode.VALIDATION, room.set_microphone(True))
    first, second = Tone(), Tone()
    await asyncio.gather(
        room.set_microphone(True, first),
        room.set_microphone(False),
        room.set_microphone(True, first),
    )
    assert first.open_streams == 1
    await ear.wait(ev.LocalTrackPublished)
    await room.set_microphone(False)
    assert (await ear.wait(ev.TrackMuted)).track.source is TrackSource.MICROPHONE
    await room.set_microphone(True)
    await ear.wait(ev.TrackUnmuted)
    await room.set_microphone(True, second)
    assert (first.open_streams, second.open_streams) == (0, 1)
    assert room.room is not None
    assert len(room.room.local_participant.track_publications) == 1


async def test_the_microphone_is_refused_at_once_without_permission(party: Party) -> None:
    room, ear = await party.join("ann", can_publish=False)
    tone = Tone()
    await raises(UTDErrorCode.FORBIDDEN, room.set_microphone(True, tone))
    assert tone.open_streams == 0
    await permit(await party.server(), "ann", publish=True)
    await ear.wait(ev.ParticipantPermissionsChanged, lambda event: event.permission.can_publish)
    await room.set_microphone(True, tone)
    await ear.wait(ev.LocalTrackPublished)


async def test_cancelled_publishing_leaves_neither_source_nor_track(party: Party) -> None:
    room, ear = await party.join("ann")
    _, other = await party.join("bob")
    tone = Tone()
    for turns in range(12):
        task = asyncio.create_task(room.publish(tone))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    assert room.room is not None
    publications = room.room.local_participant.track_publications
    await eventually(lambda: not publications and not tone.open_streams)
    last = await room.publish(tone)
    await other.wait(ev.TrackPublished, lambda event: event.track.sid == last.sid)
    # A server may answer a cancelled publication this late; then it is taken back this late.
    await eventually(lambda: list(publications) == [last.sid])
    assert tone.open_streams == 1
    await ear.wait(ev.LocalTrackPublished, lambda event: event.track.sid == last.sid)

    def told(kind: type[ev.LocalTrackPublished | ev.LocalTrackUnpublished]) -> list[str]:
        return sorted(event.track.sid for event in ear.of(kind))

    await eventually(
        lambda: told(ev.LocalTrackPublished) == sorted([*told(ev.LocalTrackUnpublished), last.sid])
    )
