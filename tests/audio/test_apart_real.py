"""A media process that is killed between two cards: both ways are heard again, soon."""

from __future__ import annotations

import os
import signal
import time
from itertools import pairwise

import pytest

from tests.audio.cable import Heard, Kept
from tests.rtc.bench import token
from tests.support.pulse import CABLE_A, CABLE_B
from tests.support.sfu import RunningSfu
from utd_rx import AudioFrame, ToneSource, open_room, play
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.speaker import Speaker

pytestmark = [pytest.mark.usefixtures("bench"), pytest.mark.realtime]

MOST: float = 1.5
"""Seconds of silence that a death may cost."""


@pytest.mark.embedded
@pytest.mark.parametrize("sfu_kind", [pytest.param("embedded", marks=pytest.mark.embedded)])
async def test_cards_and_room_are_there_again_after_a_kill(sfu: RunningSfu, kept: Kept) -> None:
    mouth, ear = kept(Speaker(CABLE_A, media="inline")), kept(Microphone(CABLE_B, media="inline"))
    microphone = kept(Microphone(CABLE_A, media="process"))
    speaker = kept(Speaker(CABLE_B, media="process"))
    microphone.set_gain(0.5)
    heard = Heard()
    loud_at: list[float] = []

    def listen(frame: AudioFrame) -> None:
        if abs(frame.samples.astype(int)).max() > 500:
            loud_at.append(time.monotonic())

    await mouth.open()
    kept(await ToneSource().open(mouth.voice("tone")))
    await speaker.open()
    anna = open_room(sfu.url, token(sfu, "anna"), microphone=microphone, media="process")
    ben = open_room(sfu.url, token(sfu, "ben"), microphone=ToneSource(600), media="inline")
    async with anna as apart, ben as here, play(apart, speaker):
        await apart.set_microphone(True)
        await here.set_microphone(True)
        here.audio("anna").subscribe(listen)
        await ear.open(heard)
        await heard.loud()
        failures: list[object] = []
        speaker.failure.subscribe(failures.append)
        pid = (await apart.statistics()).media.pid
        assert pid is not None
        killed_at = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        await speaker.failure.until(lambda failure: failure is not None, timeout=10)
        await speaker.failure.until(None, timeout=20)
        heard.frames.clear()
        await heard.loud()
        await heard.more(100)
        assert (await apart.statistics()).media.deaths == 1
        assert microphone.gain.value == 0.5
        assert loud_at[-1] > killed_at + 0.5
        silent = max(
            b - a for a, b in pairwise([killed_at, *(t for t in loud_at if t > killed_at)])
        )
        assert silent <= MOST
