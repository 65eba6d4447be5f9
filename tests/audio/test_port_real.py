"""The audio contract on real PortAudio streams over virtual cables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.audio.cable import Kept
from tests.support.pulse import CABLE_A, CABLE_B, Bench
from utd_rx.audio import ToneSource
from utd_rx.audio.adapter import port
from utd_rx.audio.speaker import Speaker
from utd_rx.testing.contracts.audio import AudioBench, AudioContract

pytestmark = pytest.mark.realtime


class CableWorld:
    """Two cables; into the first one a tone is played all the time."""

    first, second = CABLE_A, CABLE_B

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._is_away = False

    async def lose(self) -> None:
        for kind in ("sink-input", "source-output"):
            self._bench.kill_streams(kind)

    async def take_away(self) -> None:
        await asyncio.to_thread(self._bench.stop_daemon)
        self._is_away = True

    async def bring_back(self) -> None:
        """Start the sound server; streams that were killed are opened anew at once."""
        if self._is_away:
            self._is_away = False
            await asyncio.to_thread(self._bench.start_daemon)

    async def sound(self) -> None:
        """Nothing: there is a tone."""


class TestCables(AudioContract):
    @pytest.fixture
    async def bench(self, bench: Bench, kept: Kept) -> AsyncIterator[AudioBench]:
        speaker = kept(Speaker(CABLE_A))
        await speaker.open()
        kept(await ToneSource().open(speaker.voice("tone")))
        world = CableWorld(bench)
        made = AudioBench(port(), world)
        yield made
        await world.bring_back()
        await made.close()
