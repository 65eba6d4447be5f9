"""An agent on a real stream over a virtual cable: whole while the loop is busy, silent at once."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from tests.audio.cable import TIMEOUT, Heard, Kept
from tests.support.pulse import CABLE_A
from utd_rx.agent.speaking import AgentPlayer
from utd_rx.audio import read_wav, speech_path
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.speaker import Speaker
from utd_rx.testing.sound import compare

pytestmark = [pytest.mark.usefixtures("bench"), pytest.mark.realtime]

RATE = 48_000


async def test_a_turn_is_heard_whole_though_the_loop_is_busy_and_a_flush_is_silent_within_20_ms(
    kept: Kept,
) -> None:
    heard, empty = Heard(), asyncio.Event()
    microphone, speaker = kept(Microphone(CABLE_A)), kept(Speaker(CABLE_A))
    player = kept(AgentPlayer(speaker, RATE, on_empty=lambda _: empty.set()))
    await microphone.open(heard)
    await player.open()
    await heard.more(100)  # a virtual card settles in its first second
    _, said = read_wav(speech_path())
    said = said[:RATE]
    heard.frames.clear()
    for start in range(0, len(said), 960):
        player.feed(said[start : start + 960])
    await heard.more(30)
    time.sleep(0.3)  # noqa: ASYNC251 - what is tested
    async with asyncio.timeout(TIMEOUT):
        await empty.wait()
    await heard.more(20)
    compared = compare(said[:, 0], heard.sound[:, 0], RATE)
    assert compared.is_match
    assert compared.lost_seconds == 0.0
    assert compared.delay_max == pytest.approx(compared.delay_min, abs=0.001)

    tail: list[float] = []
    for _ in range(3):  # one of them without a stall of this machine
        player.feed(np.full((10 * RATE, 1), 8_000, np.int16))
        await heard.loud()
        await heard.more(10)
        at = time.monotonic()
        player.flush()
        await heard.more(20)
        loud = [frame.at for frame in heard.frames if frame.samples.any()]
        tail.append(loud[-1] + 0.01 - at)
    # With what the cable holds: 10 ms to the card and as many from it.
    assert min(tail) < 0.02 + 0.02
