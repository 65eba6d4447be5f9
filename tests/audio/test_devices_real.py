"""Microphone and speaker on real PortAudio streams over a virtual cable: sent equals heard."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import numpy as np
import pytest
from attrs import evolve

from tests.audio.cable import TIMEOUT, Heard, Kept, Timed
from tests.support.pulse import CABLE_A, CABLE_B, Bench
from utd_rx.audio import (
    ToneSource,
    WavSource,
    portaudio,
    read_wav,
    speech_path,
)
from utd_rx.audio.devices import AudioDevice, AudioDirection, list_devices
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.sources import ArraySource
from utd_rx.audio.speaker import Speaker
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioFrame, Samples
from utd_rx.testing.sound import AudioComparison, compare

pytestmark = [pytest.mark.usefixtures("bench"), pytest.mark.realtime]

MIN_SNR_DB = 12.0
"""At the card's own 48 kHz it is bit for bit the same; PulseAudio converts other rates."""


SETTLES: Final = (0.0, 1.5, 0.0, 1.5, 0.0, 1.5)
"""Seconds of silence before what is compared, per attempt. Where two clocks meet is chance, and the
voice's buffer works off some milliseconds of it, at the beginning or later, by playing a little
faster: nothing is lost, but likeness is. One of the attempts is in between."""

SHORT: Final = 0.005
"""Seconds of a block with which it is always at the beginning: that attempt is in vain."""


def speech(audio_format: AudioFormat) -> Samples:
    """Return two seconds of the speech in another format; at another rate, of another pitch."""
    _, samples = read_wav(speech_path())
    samples = samples[: 2 * audio_format.sample_rate]
    if audio_format.channels == 1:
        return samples
    return np.concatenate([samples, samples[::-1]], axis=1)


async def over_the_cable(
    sent: Samples, audio_format: AudioFormat, block: float, settle: float = 0.0
) -> tuple[list[AudioComparison], Heard]:
    """Play `sent`, record it, and compare channel by channel."""
    heard = Heard()
    async with Kept() as kept:
        microphone = kept(Microphone(CABLE_A, format=audio_format, block=block))
        speaker = kept(Speaker(CABLE_A, format=audio_format, block=block))
        await microphone.open(heard)
        await speaker.open()
        await heard.more(100)  # a virtual card settles in its first second
        heard.frames.clear()
        voice = speaker.voice("speech")
        silence = np.zeros((round(settle * audio_format.sample_rate), sent.shape[1]), np.int16)
        said = np.concatenate([silence, sent])
        source = kept(await ArraySource(said, audio_format.sample_rate).open(voice))
        await source.wait_ended()
        await heard.more(60)
    compared = [
        compare(
            sent[:, channel],
            heard.sound[:, channel],
            audio_format.sample_rate,
            sent_started_at=source.started_at + settle,
            heard_started_at=heard.frames[0].at,
        )
        for channel in range(audio_format.channels)
    ]
    return compared, heard


def is_alike(compared: AudioComparison) -> bool:
    """Whether all of it was heard, as it was sent, within the delay a cable may have."""
    return (
        compared.is_match
        and (compared.snr_db or 0.0) > MIN_SNR_DB
        and compared.gain_db == pytest.approx(0.0, abs=0.7)
        and compared.lost_seconds <= 0.1
        and 0 < (compared.delay or 0.0) < 0.3
    )


@pytest.mark.parametrize(
    ("rate", "channels", "block"),
    [
        (48_000, 1, 0.005),
        (48_000, 2, 0.01),
        (44_100, 1, 0.01),
        (44_100, 2, 0.005),
        (16_000, 1, 0.005),
        (8_000, 1, 0.01),
        (8_000, 2, 0.005),
        (48_000, 1, 441 / 48_000),
        (48_000, 1, 1024 / 48_000),
        (44_100, 1, 333 / 44_100),
        (96_000, 1, 0.005),
    ],
)
async def test_sent_equals_heard(rate: int, channels: int, block: float) -> None:
    audio_format = AudioFormat(rate, channels)
    for settle in SETTLES[block <= SHORT :]:
        compared, heard = await over_the_cable(speech(audio_format), audio_format, block, settle)
        if all(map(is_alike, compared)):
            break
    assert all(map(is_alike, compared)), compared
    size = rate // 100
    assert {frame.samples.shape for frame in heard.frames} == {(size, channels)}
    assert all(frame.samples.dtype == np.int16 for frame in heard.frames)


@pytest.mark.parametrize("rate", [11_025, 22_050, 32_000])
async def test_a_device_that_has_one_rate_only_is_converted(
    rate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As cheap cards are; 11,025 Hz has not even whole frames of 10 ms."""
    listed, opened = portaudio.query, portaudio.PortAudioStream

    def query() -> tuple[tuple[AudioDevice, int], ...]:
        return tuple((evolve(known, default_sample_rate=rate), n) for known, n in listed())

    def only_that_rate(
        device: AudioDevice, sample_rate: int, *rest: Any
    ) -> portaudio.PortAudioStream:
        if sample_rate != rate:
            raise UTDStreamException("only one rate", code=UTDErrorCode.VALIDATION)
        return opened(device, sample_rate, *rest)

    monkeypatch.setattr(portaudio, "query", query)
    monkeypatch.setattr(portaudio, "PortAudioStream", only_that_rate)
    audio_format = AudioFormat(48_000)
    for settle in SETTLES:
        [compared], heard = await over_the_cable(speech(audio_format), audio_format, 0.005, settle)
        assert {len(frame.samples) for frame in heard.frames} == {480}
        is_heard = compared.is_match and compared.lost_seconds <= 0.1
        if is_heard and compared.correlation > 0.85:
            break
    assert is_heard
    assert compared.correlation > 0.85


async def test_the_cables_are_listed() -> None:
    devices = await asyncio.to_thread(list_devices)
    names = {(device.name, device.direction) for device in devices}
    for cable in (CABLE_A, CABLE_B):
        assert {(cable, direction) for direction in AudioDirection} <= names
    for direction in AudioDirection:
        assert sum(device.is_default for device in devices if device.direction is direction) == 1


async def test_an_unknown_device_is_a_typed_error_and_nothing_stays_open(kept: Kept) -> None:
    microphone = kept(Microphone("no such device"))
    with pytest.raises(UTDStreamException) as caught:
        await microphone.open(lambda frame: None)
    assert caught.value.code is UTDErrorCode.NOT_FOUND
    assert CABLE_A in caught.value.message


async def test_a_microphone_is_swapped_while_it_streams(kept: Kept) -> None:
    heard, microphone, speaker = Heard(), kept(Microphone(CABLE_A)), kept(Speaker(CABLE_B))
    await microphone.open(heard)
    await speaker.open()
    kept(await ToneSource().open(speaker.voice("tone")))
    await heard.more(150)
    assert not np.any(heard.frames[-1].samples)
    await microphone.use(CABLE_B)
    assert microphone.device.value is not None
    await microphone.device.until(lambda d: d is not None and d.name == CABLE_B, timeout=TIMEOUT)
    await heard.loud()
    with pytest.raises(UTDStreamException):
        await microphone.use("no such device")
    await heard.loud()  # the old one goes on
    assert microphone.failure.value is None


async def test_a_swap_that_is_refused_disturbs_nothing(kept: Kept) -> None:
    """Neither what is heard while the microphone looks for the other one, nor what is played."""
    heard, microphone, speaker = await streaming(kept)
    await heard.more(100)
    begin = len(heard.frames)
    for side in (microphone, speaker):
        with pytest.raises(UTDStreamException):
            await side.use("no such device")
    await heard.more(20)
    frames = heard.frames[begin:]
    seconds = frames[-1].at - frames[0].at
    assert all(np.any(frame.samples) for frame in frames)
    assert abs(round(100 * seconds) - len(frames) + 1) <= 1  # none is lost


async def test_listing_leaves_the_apps_own_streams_alone() -> None:
    """An app may use `sounddevice` itself; nothing of ours is open meanwhile."""
    called = asyncio.Event()
    loop = asyncio.get_running_loop()
    own = portaudio.load().RawInputStream(
        channels=1, dtype="int16", callback=lambda *_: loop.call_soon_threadsafe(called.set)
    )
    with own:
        await asyncio.to_thread(list_devices)
        called.clear()
        assert await asyncio.wait_for(called.wait(), TIMEOUT)


async def test_a_speaker_is_swapped_while_it_plays(kept: Kept) -> None:
    heard, microphone, speaker = Heard(), kept(Microphone(CABLE_B)), kept(Speaker(CABLE_A))
    await microphone.open(heard)
    await speaker.open()
    kept(await ToneSource().open(speaker.voice("tone")))
    await speaker.level.until(lambda level: level > -20, timeout=TIMEOUT)
    await heard.more(10)
    assert not np.any(heard.sound)
    await speaker.use(CABLE_B)
    await heard.loud()
    await speaker.aclose()
    assert speaker.device.value is None


async def test_the_systems_default_is_followed_while_streaming(bench: Bench, kept: Kept) -> None:
    """The sound server moves the streams; nothing here has to do anything, nor notices."""

    async def choose(cable: str) -> None:
        await asyncio.to_thread(bench.pactl, "set-default-sink", cable)
        await asyncio.to_thread(bench.pactl, "set-default-source", f"{cable}.monitor")

    await choose(CABLE_A)
    kept.push_async_callback(choose, CABLE_A)
    other, default = Heard(), Heard()
    await kept(Microphone(CABLE_B)).open(other)
    await kept(Microphone()).open(default)
    speaker = kept(Speaker())
    await speaker.open()
    kept(await ToneSource().open(speaker.voice("tone")))
    await default.loud()
    await other.more(10)
    assert not np.any(other.sound)
    await choose(CABLE_B)
    await other.loud()
    await default.more(50)
    await default.loud()
    assert speaker.failure.value is None
    assert speaker.statistics.value.lost == 0


async def test_a_card_plugged_in_while_another_streams_is_listed_and_used(
    bench: Bench, kept: Kept
) -> None:
    new = "cable_new"
    heard, microphone, speaker = Heard(), kept(Microphone(CABLE_A)), kept(Speaker(CABLE_A))
    await microphone.open(heard)
    await speaker.open()
    kept(await ToneSource().open(speaker.voice("tone")))
    await heard.loud()
    failures: list[UTDStreamException | None] = []
    speaker.failure.subscribe(failures.append)
    microphone.failure.subscribe(failures.append)
    with pytest.raises(UTDStreamException, match=new):
        await speaker.use(new)  # not there: nothing is disturbed
    await asyncio.to_thread(bench.plug_in, new)
    try:
        assert new in {device.name for device in await asyncio.to_thread(list_devices)}
        await speaker.use(new)
        assert speaker.device.value is not None
        assert speaker.device.value.name == new
        await microphone.use(new)
        await heard.loud()
        await speaker.use(CABLE_A)
        await microphone.use(CABLE_A)
        await heard.loud()
    finally:
        await asyncio.to_thread(bench.unplug, new)
    assert failures == [None, None]


NOTICED: Final = 1.0
BACK: Final = 2.0
"""Seconds until a loss is noticed, and until it plays again after it was."""


async def streaming(kept: Kept) -> tuple[Heard, Microphone, Speaker]:
    """Return a microphone and a speaker on one cable, while a tone is heard over it."""
    heard, microphone, speaker = Heard(), kept(Microphone(CABLE_A)), kept(Speaker(CABLE_A))
    await microphone.open(heard)
    await speaker.open()
    kept(await ToneSource().open(speaker.voice("tone")))
    await heard.loud()
    return heard, microphone, speaker


@pytest.mark.parametrize("kind", ["source-output", "sink-input"])
async def test_killed_streams_are_noticed_and_come_back(
    bench: Bench, kept: Kept, kind: str
) -> None:
    heard, microphone, speaker = await streaming(kept)
    killed, other = (microphone, speaker)[:: 1 if kind == "source-output" else -1]
    told = Timed(killed)
    assert await asyncio.to_thread(bench.kill_streams, kind) == 1
    killed_at = asyncio.get_running_loop().time()
    noticed, back = await told.noticed(), await told.back()
    await heard.loud()
    assert killed.device.value is not None
    assert other.failure.value is None
    await killed.state.until(lambda state: state.statistics.lost == 1, timeout=TIMEOUT)
    assert noticed - killed_at < NOTICED
    assert back - noticed < BACK


async def test_an_unplugged_card_is_noticed_and_plays_again_when_it_is_back(
    bench: Bench, kept: Kept
) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(bench.unplug, CABLE_B)  # or the streams would be moved there
    try:
        heard, microphone, speaker = await streaming(kept)
        told = [Timed(side) for side in (microphone, speaker)]
        await asyncio.to_thread(bench.unplug, CABLE_A)
        gone_at = loop.time()
        noticed = max([await one.noticed() for one in told])
    finally:
        await asyncio.to_thread(bench.plug_in, CABLE_A)
        back_at = loop.time()
        await asyncio.to_thread(bench.plug_in, CABLE_B)
    back = max([await one.back() for one in told])
    await heard.loud()
    assert noticed - gone_at < NOTICED
    assert back - back_at < BACK


async def test_a_sound_server_that_restarts_is_survived(bench: Bench, kept: Kept) -> None:
    loop = asyncio.get_running_loop()
    heard, microphone, speaker = await streaming(kept)
    told = [Timed(side) for side in (microphone, speaker)]
    await asyncio.to_thread(bench.stop_daemon)
    died_at = loop.time()
    try:
        noticed = max([await one.noticed() for one in told])
        assert (microphone.device.value, speaker.device.value) == (None, None)
    finally:
        await asyncio.to_thread(bench.start_daemon)
    back_at = loop.time()
    back = max([await one.back() for one in told])
    await heard.loud()
    assert noticed - died_at < NOTICED
    assert back - back_at < BACK


async def test_mute_keeps_the_timing_and_speaking_shows_all_the_same(kept: Kept) -> None:
    heard, microphone, speaker = Heard(), kept(Microphone(CABLE_A)), kept(Speaker(CABLE_A))
    await microphone.open(heard)
    observed: list[AudioFrame] = []
    subscription = microphone.frames.subscribe(observed.append)
    await speaker.open()
    kept(await WavSource(speech_path(), loop=True).open(speaker.voice("speech")))
    await microphone.speaking.until(True, timeout=TIMEOUT)
    await microphone.level.until(lambda level: level > -60, timeout=TIMEOUT)
    microphone.mute()
    assert microphone.muted.value
    await heard.more(2)
    muted = len(heard.frames)
    await heard.more(300)
    assert not any(np.any(frame.samples) for frame in heard.frames[muted:])
    gaps = np.diff([frame.at for frame in heard.frames[muted:]])
    assert float(np.median(gaps)) == pytest.approx(0.01, abs=0.003)
    await microphone.level.until(lambda level: level == -100, timeout=TIMEOUT)
    await microphone.speaking.until(True, timeout=TIMEOUT)
    microphone.unmute()
    await heard.loud()
    assert len(observed) > 300
    subscription.dispose()


async def test_a_flush_drops_what_waits_and_the_position_goes_on(kept: Kept) -> None:
    heard, microphone, speaker = Heard(), kept(Microphone(CABLE_A)), kept(Speaker(CABLE_A))
    await microphone.open(heard)
    await speaker.open()
    voice = speaker.voice("burst")
    burst = [AudioFrame(np.full((480, 1), 8_000, np.int16), 48_000) for _ in range(11)]
    await heard.more(100)

    async def burst_heard(*, is_flushed: bool) -> float:
        begin, position = len(heard.frames), speaker.position
        for frame in burst:
            voice(frame)
        await heard.loud()
        if is_flushed:
            speaker.flush()
        await heard.more(30)
        assert speaker.position > position
        assert not np.any(heard.frames[-1].samples)
        return sum(bool(np.any(frame.samples)) for frame in heard.frames[begin:]) / 100

    assert await burst_heard(is_flushed=False) >= 0.11
    # What was played before it was heard, and what the device holds: 50 ms of the 110.
    assert min([await burst_heard(is_flushed=True) for _ in range(3)]) <= 0.08
    assert 0 < voice.position <= speaker.position + 0.1


async def test_open_again_after_closing_and_not_twice_at_once(kept: Kept) -> None:
    microphone = kept(Microphone(CABLE_A))
    for _ in range(2):
        heard = Heard()
        stream = await microphone.open(heard)
        with pytest.raises(UTDStreamException) as caught:
            await microphone.open(heard)
        assert caught.value.code is UTDErrorCode.CONFLICT
        await heard.more(5)
        await stream.aclose()
        count = len(heard.frames)
        await asyncio.sleep(0)
        assert len(heard.frames) == count
    await microphone.aclose()
    with pytest.raises(UTDStreamException):
        await microphone.open(lambda frame: None)
