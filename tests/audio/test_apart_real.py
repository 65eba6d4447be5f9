"""A speaker and a microphone that live in a media process, used as if they were here."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from tests.rtc.bench import eventually
from tests.support.pulse import CABLE_A, Bench
from utd_rx.audio import ToneSource
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.speaker import Speaker
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFrame
from utd_rx.ports import living

pytestmark = pytest.mark.realtime


async def test_what_the_app_says_on_a_speaker_apart_is_heard_by_a_microphone_apart(
    bench: Bench,
) -> None:
    speaker = Speaker(CABLE_A, media="process")
    microphone = Microphone(CABLE_A, media="process")
    voice = speaker.voice("agent", margin=0.04)  # before there is a process
    assert not living.is_here(speaker.key)
    came: list[AudioFrame] = []
    await speaker.open()
    stream = await microphone.open(came.append)
    tone = await ToneSource(duration=0.5).open(voice)
    await eventually(lambda: any(np.abs(frame.samples).max() > 3_000 for frame in came))
    await eventually(lambda: voice.position >= 0.5 and not voice.waiting)
    with pytest.raises(UTDStreamException) as raised:
        speaker.position  # noqa: B018
    assert raised.value.code is UTDErrorCode.FEATURE_DISABLED
    await tone.aclose()
    await microphone.aclose()
    async with asyncio.timeout(1):
        await stream.wait_ended()
    await speaker.aclose()
