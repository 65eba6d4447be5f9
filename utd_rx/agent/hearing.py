"""What the agent hears: any audio input as chunks of 20 ms at the wire's rate, without a gap.

The server decides by silence that the user has finished, so there is always sound: where the
source is over or lost, silence is made up by the clock, and what is muted is sent as silence.

Frames come on any thread, are converted there and wait in a queue of a second, from which whoever
sends takes them on the loop. Beyond it the oldest are dropped and counted.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import numpy as np

from utd_rx.audio.activity import VoiceActivity
from utd_rx.audio.convert import Converter
from utd_rx.audio.levels import level_dbfs
from utd_rx.models.audio import AudioFormat, AudioFrame, AudioInput, AudioInputStream, Samples
from utd_rx.models.device_state import FLOOR_DBFS
from utd_rx.models.faults import GuardedSink
from utd_rx.ports.audio import Abilities
from utd_rx.ports.clock import SYSTEM_CLOCK, Clock, sleep_until

logger: Final = logging.getLogger("utd_rx.agent")

# In seconds, but for MAX_CHUNKS.
CHUNK: Final = 0.02
MAX_CHUNKS: Final = 50  # that wait to be sent, a second of sound
MISSING: Final = 0.1
"""Without a frame after which silence is made up: more than a thread waits for the GIL, and less
than a server takes for the end of a turn."""


class AgentHearing:
    """The microphone of an agent's session; everything but what `source` calls is for its loop.

    Args:
        source: What is heard; opened by `open`.
        sample_rate: Of the wire, in Hz.
        wake: Called on this loop when there is something to take, and was nothing before.
        on_speaking: Called on this loop when somebody begins or ceases to speak, silenced or not.
        clock: Of the silence that is made up.

    Raises:
        UTDStreamException: `FEATURE_DISABLED` for a microphone without frames, and as `expect`.
    """

    def __init__(
        self,
        source: AudioInput,
        sample_rate: int,
        *,
        wake: Callable[[], None],
        on_speaking: Callable[[bool], None],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        able: Abilities | None = getattr(source, "abilities", None)
        if able is not None and not able.has_frames:
            raise able.lack("frames")
        self._source = source
        self._wake = wake
        self._on_speaking = on_speaking
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._sink = GuardedSink(self._hear)
        self._making = threading.Lock()  # of chunks: by the source, and of silence by this loop
        self._waiting: deque[bytes] = deque()
        self._stream: AudioInputStream | None = None
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._activity = VoiceActivity()
        self._is_heard = False  # somebody who speaks, on the source's thread
        self._is_speaking = False  # as it was told
        self._heard_at = 0.0
        self.dropped = 0
        """Chunks that were too old to be sent."""
        self.silenced = False
        """Whether silence is sent in place of what the source brings, from its next frame on."""
        self.expect(sample_rate)

    @property
    def depth(self) -> float:
        """Seconds that wait to be taken."""
        return len(self._waiting) * CHUNK

    def expect(self, sample_rate: int) -> None:
        """Make chunks of this rate from now on; what waits was for another session, and is dropped.

        Raises:
            UTDStreamException: `FEATURE_DISABLED`, when the source's format has to be converted and
                soxr is missing.
        """
        wire, source = AudioFormat(sample_rate), self._source.format
        converter = Converter(source, wire)
        with self._making:
            self._wire, self._given, self._converter = wire, source, converter
            self._rest: Samples = np.zeros((0, 1), np.int16)
            self._waiting.clear()

    async def open(self) -> None:
        """Open the source; nothing when it is open. Cancelling is safe: nothing is open then.

        Raises:
            UTDStreamException: As the source's `open`.
        """
        if self._stream is not None:
            return
        self._activity, self._is_heard = VoiceActivity(), False
        self._heard_at = self._clock.now()
        self._stream = await self._source.open(self._sink)
        self._tasks = (
            asyncio.create_task(self._follow(self._stream), name="utd_rx.agent: the source"),
            asyncio.create_task(self._fill(), name="utd_rx.agent: silence"),
        )

    async def aclose(self) -> None:
        """Close the source, and drop what waits; it may be opened again. Idempotent."""
        stream, self._stream = self._stream, None
        tasks, self._tasks = self._tasks, ()
        for task in tasks:
            task.cancel()
        try:
            if stream is not None:
                await asyncio.wait(tasks)
                await stream.aclose()
        finally:
            self._waiting.clear()
            self._tell(is_speaking=False)

    def take(self) -> bytes | None:
        """Take the oldest 20 ms: PCM16, little-endian, mono; None when nothing waits."""
        return self._waiting.popleft() if self._waiting else None

    def _hear(self, frame: AudioFrame) -> None:
        """Take a frame of the source, on its thread."""
        with self._making:
            given = frame.format
            if given != self._given:
                self._given, self._converter = given, Converter(given, self._wire)
            self._heard_at = self._clock.now()
            samples = self._converter.push(frame.samples)
            self._push(samples, level_dbfs(frame.samples), frame.duration)

    def _push(self, samples: Samples, level: float, duration: float) -> None:
        """Queue what has become whole, with the lock held."""
        if self.silenced:
            samples = np.zeros_like(samples)
        sound = np.concatenate([self._rest, samples])
        size = round(CHUNK * self._wire.sample_rate)
        while len(sound) >= size:
            chunk, sound = sound[:size], sound[size:]
            if len(self._waiting) == MAX_CHUNKS:
                self.dropped += self.take() is not None
            self._waiting.append(chunk.astype("<i2", copy=False).tobytes())
            if len(self._waiting) == 1:
                self._at_home(self._wake)
        self._rest = sound
        is_speaking = self._activity.push(level, duration)
        if is_speaking is not self._is_heard:
            self._is_heard = is_speaking
            self._at_home(lambda: self._tell(is_speaking=is_speaking))

    def _at_home(self, callback: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed, nobody sends any more
            self._loop.call_soon_threadsafe(callback)

    def _tell(self, *, is_speaking: bool) -> None:
        is_speaking = is_speaking and self._stream is not None
        if is_speaking is not self._is_speaking:
            self._is_speaking = is_speaking
            self._on_speaking(is_speaking)

    async def _follow(self, stream: AudioInputStream) -> None:
        try:
            await stream.wait_ended()
        except Exception:
            logger.exception("the microphone of an agent's session has ended")
        with self._making:
            self._push(self._converter.finish(), FLOOR_DBFS, 0.0)

    async def _fill(self) -> None:
        """Make up silence while nothing is heard."""
        while True:
            await sleep_until(self._clock, self._heard_at + MISSING)
            with self._making:
                now = self._clock.now()
                if now < self._heard_at + MISSING:
                    continue
                # After a stall of the loop, no more of it than is missing now.
                self._heard_at = max(self._heard_at + CHUNK, now - MISSING)
                silence = np.zeros((round(CHUNK * self._wire.sample_rate), 1), np.int16)
                self._push(silence, FLOOR_DBFS, CHUNK)
