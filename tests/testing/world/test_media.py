"""Sound and pictures of a world: what is said is heard, and nothing costs what nobody says."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np
import pytest

from tests.testing.world.party import Guest, Party, advance, now, virtual
from utd_rx.audio.levels import level_dbfs
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.sources import ToneSource
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import events as ev
from utd_rx.models.audio import AudioFormat, AudioFrame, FrameSink, Samples
from utd_rx.models.participant import TrackSource
from utd_rx.models.statistics import TrackDirection
from utd_rx.models.video import VideoFrame
from utd_rx.ports.clock import SYSTEM_CLOCK
from utd_rx.testing.audio import FakeAudio
from utd_rx.testing.contracts import refusal
from utd_rx.testing.contracts.room_bench import Loudspeaker
from utd_rx.testing.world.clock import WorldClock
from utd_rx.testing.world.devices import DeviceOpening, VirtualCamera, VirtualMicrophone
from utd_rx.video import TestPattern, read_counter

NOISE: Samples = np.random.default_rng(1).integers(-9_000, 9_000, (4_800, 1)).astype(np.int16)


class Recording:
    """What somebody hears of a track."""

    def __init__(self) -> None:
        self.frames: list[AudioFrame] = []

    def take(self, frames: tuple[AudioFrame, ...]) -> None:
        self.frames += frames

    @property
    def sound(self) -> Samples:
        """All of it that is not silence."""
        samples = [np.zeros((0, 1), np.int16), *(frame.samples for frame in self.frames)]
        return np.concatenate([piece for piece in samples if piece.any() or not len(piece)])


async def heard(party: Party, source: object) -> tuple[Guest, Guest, Recording]:
    """Let ben publish a source, and anna hear it."""
    anna, ben = await party.join("anna"), await party.join("ben")
    track = await ben.room.publish(source)  # type: ignore[arg-type] # wrong ones among them
    await advance(0)
    recording = Recording()
    await anna.room.hear(track.sid, recording.take)
    return anna, ben, recording


def sid_of(guest: Guest) -> str:
    return guest.of(ev.LocalTrackPublished)[-1].track.sid


# -- sound --------------------------------------------------------------------------------------


@virtual
async def test_what_is_said_is_heard_to_the_sample_and_else_silence_every_10_ms(
    party: Party,
) -> None:
    microphone = VirtualMicrophone()
    _, _, recording = await heard(party, microphone)
    await advance(0.5)
    await microphone.say(NOISE)
    assert now() == pytest.approx(0.6)
    await advance(0.4)
    assert np.array_equal(recording.sound, NOISE)
    assert len(recording.frames) == pytest.approx(100, abs=1)
    steps = np.diff([frame.at for frame in recording.frames])
    assert np.allclose(steps, 0.01)


@virtual
async def test_who_is_loud_speaks_until_silent(party: Party) -> None:
    microphone = VirtualMicrophone()
    anna, ben = await party.join("anna"), await party.join("ben")
    await ben.room.publish(microphone)
    await advance(0)
    saying = asyncio.create_task(microphone.say(1.0))
    await advance(2.5)
    assert saying.done()
    for guest in (anna, ben):
        speakers = [event.identities for event in guest.of(ev.ActiveSpeakersChanged)]
        assert speakers == [("ben",), ()]


@virtual
async def test_a_muted_microphone_is_not_heard(party: Party) -> None:
    microphone = VirtualMicrophone()
    _, ben, recording = await heard(party, microphone)
    await ben.room.set_muted(sid_of(ben), True)
    await microphone.say(NOISE)
    assert len(recording.sound) == 0
    assert microphone.is_open  # so that timing is kept
    await ben.room.set_muted(sid_of(ben), False)
    await microphone.say(NOISE)
    assert len(recording.sound) == len(NOISE)


@virtual
async def test_sources_of_the_machines_time_are_paced_by_the_loops(party: Party) -> None:
    tone = ToneSource(duration=5.0)
    anna, ben, recording = await heard(party, tone)
    await advance(7)
    assert tone.clock is SYSTEM_CLOCK
    assert len(recording.sound) == pytest.approx(5 * 48_000, abs=1_000)
    assert len(ben.of(ev.LocalAudioEnded)) == 1
    assert anna.of(ev.TrackUnpublished) == []


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2), (48_000, 2)])
@virtual
async def test_sound_of_any_format_is_heard_in_one(party: Party, rate: int, channels: int) -> None:
    tone = ToneSource(1_000.0, format=AudioFormat(rate, channels), duration=1.0)
    _, _, recording = await heard(party, tone)
    await advance(2)
    assert {frame.samples.shape for frame in recording.frames} == {(480, 1)}
    spectrum = np.abs(np.fft.rfft(recording.sound[:, 0]))
    assert np.argmax(spectrum) * 48_000 / len(recording.sound) == pytest.approx(1_000, abs=5)
    assert level_dbfs(recording.sound) == pytest.approx(-12.0, abs=0.5)


class Wrong:
    """A source that delivers what it is told."""

    format = AudioFormat()

    def __init__(self, frame: Any) -> None:
        self._frame = frame

    async def open(self, sink: FrameSink) -> DeviceOpening:
        asyncio.get_running_loop().call_later(1.0, sink, self._frame)
        return DeviceOpening(lambda: None)


@pytest.mark.parametrize(
    "frame",
    [
        b"\0\0",
        AudioFrame(np.zeros((480, 2), np.int16), 48_000),
        AudioFrame(np.zeros((9_600, 1), np.int16), 8_000),
    ],
)
@virtual
async def test_what_cannot_be_sent_ends_its_track_and_says_why(party: Party, frame: object) -> None:
    anna, ben, _ = await heard(party, Wrong(frame))
    await advance(2)
    assert ben.names()[-2:] == ["LocalTrackFailed", "LocalTrackUnpublished"]
    assert ben.of(ev.LocalTrackFailed)[0].error.code is UTDErrorCode.VALIDATION
    assert anna.names()[-1] == "TrackUnpublished"


@virtual
async def test_a_source_that_does_not_open_is_not_published(party: Party) -> None:
    class Broken(Wrong):
        async def open(self, sink: FrameSink) -> DeviceOpening:
            raise UTDStreamException("no such device", code=UTDErrorCode.NOT_FOUND)

    ben = await party.join("ben")
    assert (await refusal(ben.room.publish(Broken(b"")))).code is UTDErrorCode.NOT_FOUND
    assert ben.names() == []


@virtual
async def test_a_whole_microphone_works_on_the_worlds_time(party: Party) -> None:
    clock = WorldClock(asyncio.get_running_loop(), None)  # type: ignore[arg-type] # no dice needed
    audio = FakeAudio(clock)
    _, ben, recording = await heard(party, Microphone(backend=audio))
    audio.say(NOISE)
    await advance(1)
    assert np.array_equal(recording.sound, NOISE)
    await ben.room.unpublish(sid_of(ben))


@virtual
async def test_in_an_outage_nothing_is_heard_and_after_it_one_goes_on(party: Party) -> None:
    microphone = VirtualMicrophone()
    _, _, recording = await heard(party, microphone)
    party.network.partition("anna")
    await microphone.say(NOISE)
    await advance(16)
    party.network.heal("anna")
    await advance(4)
    assert len(recording.sound) == 0
    await microphone.say(NOISE)
    assert np.array_equal(recording.sound, NOISE)


@virtual
async def test_a_route_leaves_the_speaker_with_its_track(party: Party) -> None:
    microphone, speaker = VirtualMicrophone(), Loudspeaker()
    anna, ben, _ = await heard(party, microphone)
    await anna.room.route(sid_of(ben), speaker.key, name="ben")
    await microphone.say(NOISE)
    [voice] = speaker.voices
    assert np.array_equal(
        np.concatenate([frame.samples for frame in voice.frames if frame.samples.any()]), NOISE
    )
    await ben.room.unpublish(sid_of(ben))
    await advance(0)
    assert voice.is_closed
    refused = await refusal(anna.room.route(sid_of(ben), speaker.key))
    assert refused.code is UTDErrorCode.NOT_FOUND


@virtual
async def test_an_hour_of_open_microphones_is_an_hour_of_nothing(party: Party) -> None:
    for number in range(10):
        guest = await party.join(f"guest {number}")
        await guest.room.publish(VirtualMicrophone())
        await guest.room.publish(VirtualCamera(), TrackSource.CAMERA)
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    await advance(3_600)
    assert time.perf_counter() - begun < 1.0  # with frames of 10 ms it were minutes
    assert loop.time() == 3_600
    told = await guest.room.statistics()
    assert {track.packets for track in told.tracks} == {0}


# -- pictures -----------------------------------------------------------------------------------


@virtual
async def test_a_picture_is_seen_as_it_is_shown(party: Party) -> None:
    anna, ben = await party.join("anna"), await party.join("ben")
    camera, seen = VirtualCamera(), list[VideoFrame]()
    track = await ben.room.publish(camera, TrackSource.CAMERA)
    await advance(0)
    await anna.room.look(track.sid, seen.append)
    pattern = TestPattern(64, 36, 10)
    for number in (3, 4):
        await camera.show(pattern.picture(number))
        await advance(0.1)
    assert [read_counter(frame) for frame in seen] == [3, 4]
    assert [frame.timestamp for frame in seen] == pytest.approx([0.0, 0.1])


@pytest.mark.parametrize(
    ("asked", "rows"),
    [((180,), 180), ((190,), 180), ((300,), 360), ((90, 500), 720), ((90, None), 720)],
)
@virtual
async def test_a_large_picture_comes_in_the_size_that_serves_all_who_look(
    party: Party, asked: tuple[int | None, ...], rows: int
) -> None:
    anna, ben = await party.join("anna"), await party.join("ben")
    camera, seen = VirtualCamera(), list[VideoFrame]()
    track = await ben.room.publish(camera, TrackSource.CAMERA)
    await advance(0)
    for height in asked:
        await anna.room.look(track.sid, seen.append, max_height=height)
    await camera.show(TestPattern(1280, 720, 10).picture(5))
    await advance(0)
    assert [(frame.height, read_counter(frame)) for frame in seen] == [(rows, 5)] * len(asked)


@virtual
async def test_a_muted_camera_is_closed_and_opened_anew(party: Party) -> None:
    ben = await party.join("ben")
    camera = VirtualCamera()
    track = await ben.room.publish(camera, TrackSource.CAMERA)
    await ben.room.set_muted(track.sid, True)
    await advance(0)
    assert not camera.is_open
    other = VirtualCamera()
    await ben.room.replace(track.sid, other)  # opened when it is seen again
    assert not other.is_open
    await ben.room.set_muted(track.sid, False)
    await advance(0)
    assert (camera.is_open, other.is_open) == (False, True)
    await ben.room.replace(track.sid, camera)
    assert (camera.is_open, other.is_open) == (True, False)
    await ben.room.disconnect()
    assert not camera.is_open


@virtual
async def test_a_test_pattern_runs_on_the_loops_time(party: Party) -> None:
    anna, ben = await party.join("anna"), await party.join("ben")
    seen = list[VideoFrame]()
    track = await ben.room.publish(TestPattern(64, 36, 10), TrackSource.SCREEN_SHARE)
    await advance(0)
    await anna.room.look(track.sid, seen.append)
    await advance(2)
    numbers = [read_counter(frame) for frame in seen]
    assert numbers == list(range(numbers[0] or 0, (numbers[0] or 0) + len(seen)))
    assert len(seen) == pytest.approx(20, abs=1)


# -- figures ------------------------------------------------------------------------------------


@virtual
async def test_statistics_count_what_came_through_and_tell_the_line(party: Party) -> None:
    anna, ben, _ = await heard(party, ToneSource(duration=2.0))
    await advance(3)
    party.network.delay("anna", 0.05)
    for guest, direction in ((anna, TrackDirection.RECEIVED), (ben, TrackDirection.SENT)):
        told = await guest.room.statistics()
        [track] = told.tracks
        assert (track.direction, track.identity) == (direction, "ben")
        assert track.packets == pytest.approx(200, abs=2)
        assert track.bytes == track.packets * 60
    assert (await anna.room.statistics()).round_trip == 0.1
    assert (await ben.room.statistics()).round_trip == 0.0
