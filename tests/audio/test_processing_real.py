"""Voice processing on real PortAudio streams: what the speaker plays comes back over a cable."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.audio.cable import TIMEOUT, Heard, Kept
from tests.audio.echo_room import level
from tests.support.pulse import CABLE_A
from utd_rx.audio import WavSource, speech_path
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.speaker import Speaker
from utd_rx.models.audio import AudioFormat
from utd_rx.models.voice_processing import VoiceProcessing

pytestmark = [pytest.mark.usefixtures("bench"), pytest.mark.realtime]

ECHO = VoiceProcessing(echo_cancellation=True)
SPEECH = 400
"""Frames of the whole speech, once."""

MIN_ECHO_DB = 20.0
"""Measured: 34–40 dB over the first 4 s, 70–76 from then on."""

SPEECHES = 5
"""How many are listened to until one is as promised. A stall moves the echo, which is then learnt
anew: 15 dB over the first 4 s were seen beside a witness of less than 10 ms."""


@pytest.mark.parametrize(
    ("heard", "played"),
    [(AudioFormat(), AudioFormat()), (AudioFormat(16_000, 1), AudioFormat(48_000, 2))],
    ids=str,
)
async def test_the_speakers_echo_is_cancelled_and_who_is_near_is_heard(
    heard: AudioFormat, played: AudioFormat, kept: Kept
) -> None:
    speaker, near = kept(Speaker(CABLE_A, format=played)), kept(Speaker(CABLE_A))
    microphone = kept(Microphone(CABLE_A, format=heard, reference=speaker))
    frames = Heard()

    async def listen() -> float:
        """Return the level of one whole speech from now on."""
        begin = len(frames.frames)
        await frames.more(SPEECH)
        return level(np.concatenate([frame.samples for frame in frames.frames[begin:]]))

    for side in (speaker, near):
        await side.open()
    stream = await microphone.open(frames)
    far = kept(await WavSource(speech_path(), loop=True).open(speaker.voice("far end")))
    await frames.loud()
    echo = await listen()

    async def hear(is_promised: Callable[[float], bool]) -> list[float]:
        """Return the levels of speeches from now on, the last of which is as promised or none."""
        levels = [await listen()]
        while not is_promised(levels[-1]) and len(levels) < SPEECHES:
            levels.append(await listen())
        return levels

    await microphone.set_processing(ECHO)
    assert microphone.processing.value == ECHO
    cancelled = await hear(lambda level: echo - level > MIN_ECHO_DB)
    assert echo - cancelled[-1] > MIN_ECHO_DB, cancelled
    await microphone.statistics.until(lambda s: s.echo_delay > 0, timeout=TIMEOUT)
    statistics = microphone.statistics.value
    assert statistics.delay < statistics.echo_delay < 0.2
    await far.aclose()
    kept(await WavSource(speech_path(), loop=True).open(near.voice("near end")))
    await listen()
    near_by = await hear(lambda level: abs(level - echo) < 3)  # measured -0.3 dB
    assert near_by[-1] == pytest.approx(echo, abs=3), near_by
    await stream.aclose()
    assert microphone.statistics.value.unprocessed == 0
