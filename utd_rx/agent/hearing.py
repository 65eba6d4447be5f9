"""placeholder of A4 until A2's is there"""
from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from utd_rx.models.audio import AudioFrame, AudioInput, AudioInputStream
from utd_rx.ports.clock import Clock


class AgentHearing:
    def __init__(self, source: AudioInput, rate: int, *, wake: Callable[[], None], on_speaking: Callable[[bool], None], clock: Clock) -> None:
        self.source, self.rate, self.wake = source, rate, wake
        self.silenced = False
        self.dropped = 0
        self._q: deque[bytes] = deque()
        self._rest: list[AudioFrame] = []
        self._stream: AudioInputStream | None = None

    @property
    def depth(self) -> float:
        return len(self._q) * 0.02

    def expect(self, rate: int) -> None:
        self.rate = rate

    def take(self) -> bytes | None:
        return self._q.popleft() if self._q else None

    def _sink(self, frame: AudioFrame) -> None:
        self._rest.append(frame)
        if len(self._rest) == 2:
            data = np.concatenate([f.samples for f in self._rest]).tobytes()
            self._rest.clear()
            self._q.append(bytes(len(data)) if self.silenced else data)
            self.wake()

    async def open(self) -> None:
        self._stream = await self.source.open(self._sink)

    async def aclose(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()
