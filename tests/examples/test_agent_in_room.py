"""The agent of the example is heard in the room, hears it but not itself, and is interrupted."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from examples.agent_in_room import agent_in_room
from utd_rx import AudioFrame, ToneSource, UTDStreamClient, level_dbfs
from utd_rx.engine import LocalAgent, LocalEngine
from utd_rx.testing.contracts import PATIENCE

STORY = "Once upon a time there was " * 20
"""Half a minute as the stub says it."""


class Listener:
    """Whether a participant is heard, frame after frame."""

    def __init__(self) -> None:
        self._quiet = 0
        self.is_heard = False
        self._news = asyncio.Event()

    def hear(self, frame: AudioFrame) -> None:
        is_loud = level_dbfs(frame.samples) > -40
        self._quiet = 0 if is_loud else self._quiet + 1
        self.is_heard = is_loud or (self.is_heard and self._quiet < 30)
        self._news.set()

    async def until(self, is_heard: bool) -> None:
        while self.is_heard is not is_heard:
            self._news.clear()
            await self._news.wait()


async def test_it_sits_down_is_heard_and_falls_silent_for_who_speaks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with LocalEngine() as engine, LocalAgent() as local, asyncio.timeout(PATIENCE):
        client = UTDStreamClient(**engine.credentials, microphone=ToneSource(1_000.0))
        async with (
            client,
            await client.join_audio_room("sara", "lobby", as_host=True, seat_count=4) as sara,
        ):
            await sara.take_seat(1, microphone=False)
            address = {"api_key": local.api_key, "agent_id": "echo", "url": local.base_url}
            example = asyncio.create_task(agent_in_room(client, "lobby", 2, **address))
            call = await local.next_call()
            await call.until(lambda call: call.heard_seconds > 0)
            listener = Listener()
            sara.audio("agent").subscribe(listener.hear)
            await call.say(STORY)
            await listener.until(is_heard=True)
            began_at, turns_away = call.heard_seconds, len(STORY) * 0.06
            await sara.set_microphone(True)
            await call.until(lambda call: not call.is_talking)
            await listener.until(is_heard=False)
            assert call.heard_seconds - began_at < turns_away / 3
            # What it heard is who spoke, and not itself: a hum of 160 Hz.
            heard = call.heard[round(began_at * call.sample_rate) :].astype(float)
            spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
            hertz = np.fft.rfftfreq(len(heard), 1 / call.sample_rate)
            assert hertz[np.argmax(spectrum)] == pytest.approx(1_000, abs=20)
            assert spectrum[hertz < 500].max() < spectrum.max() / 20
            await call.close()
            await example
    assert STORY[:20] in capsys.readouterr().out
