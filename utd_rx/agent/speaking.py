"""The agent's voice on its way to where it is heard: played at its own pace, however early it came.

Sound arrives faster than it is spoken, a turn of minutes in seconds, and carries no time. What was
played, and not what has arrived, says when the agent is silent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from utd_rx.agent.outlets import Outlet, PacedOutlet, SpeakerOutlet
from utd_rx.audio.observed import LivingSource
from utd_rx.audio.speaker import Speaker
from utd_rx.errors import ConflictReason, UTDStreamException, invalid
from utd_rx.models.audio import AudioFormat, AudioFrame, AudioInputStream, FrameSink, Samples
from utd_rx.ports.clock import SYSTEM_CLOCK, Clock, sleep_until

logger: Final = logging.getLogger("utd_rx.agent")

LONGEST: Final = 1800.0
"""Seconds of the voice that wait at most, as long as a session lasts: 170 MB at a speaker's 48 kHz.
Beyond it is a server that floods, and the newest is dropped."""

# Seconds after which it is looked again whether all has been played:
POLL: Final = 0.005  # at least, as a speaker takes the rest when it does
LOOK: Final = 1.0  # at most, as it may take nothing any more


class AgentVoice(LivingSource):
    """What an agent says, as a source of sound for a room, or for anything else that takes one.

    It may be opened any number of times, in this process only; an opening goes on through silence
    and reconnects, and ends with the agent's session.
    """

    def __init__(
        self, audio_format: AudioFormat, begin: Callable[[FrameSink], AudioInputStream]
    ) -> None:
        super().__init__(audio_format)
        self._begin = begin

    async def open(self, sink: FrameSink) -> AudioInputStream:
        """Deliver frames of exactly 10 ms to `sink`, in real time, on this loop.

        What was said before it was opened is not delivered. Cancelling is safe: it does not wait
        for anything.
        """
        return self._begin(sink)


class AgentPlayer:
    """Plays what the agent says, on a speaker or into a sink, and into every opening of its voice.

    It belongs to the loop it was made on.

    Args:
        sink: A `Speaker`, which is opened by `open` unless the app has; any `FrameSink`, which gets
            frames of 10 ms when they are due; None for neither.
        sample_rate: That is expected, in Hz; the sink and `voice` keep it.
        on_empty: Called on this loop when all was played, with the seconds after which the last of
            it has been heard; not after a `flush`.
        clock: Paces what is no speaker.

    Raises:
        UTDStreamException: `VALIDATION` for what is no sink; `FEATURE_DISABLED` for a speaker that
            has no voices, or of a rate that cannot be converted to.
    """

    def __init__(
        self,
        sink: Speaker | FrameSink | None,
        sample_rate: int,
        *,
        on_empty: Callable[[float], None],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if sink is not None and not isinstance(sink, Speaker) and not callable(sink):
            raise invalid(
                "speaker is a Speaker, a WavRecorder or another sink of frames, not "
                f"{type(sink).__name__}"
            )
        self._sample_rate = sample_rate
        self._on_empty = on_empty
        self._clock = clock
        self._speaker = sink if isinstance(sink, Speaker) else None
        self._has_opened = self._is_flooded = self._is_closed = False
        self._format = AudioFormat(sample_rate)
        self._out: SpeakerOutlet | PacedOutlet
        if isinstance(sink, Speaker):
            self._out = SpeakerOutlet(sink, clock)
        else:
            self._out = self._paced(sink or _nowhere)
        self._tracks: tuple[PacedOutlet, ...] = ()
        self._watching: asyncio.Task[None] | None = None
        self.voice: Final = AgentVoice(self._format, self._open_track)
        self.begin(sample_rate)

    @property
    def is_playing(self) -> bool:
        """Whether something waits that `on_empty` was not called for yet."""
        return self._watching is not None

    @property
    def waiting(self) -> float:
        """Seconds of the agent's voice that are left to be played."""
        return max(outlet.waiting for outlet in self._outlets)

    def begin(self, sample_rate: int) -> None:
        """Take sound of this rate from now on; what waits is played first.

        Raises:
            UTDStreamException: `FEATURE_DISABLED`: it has to be converted and soxr is missing.
        """
        for outlet in self._outlets:
            outlet.expect(sample_rate)
        self._sample_rate = sample_rate

    def feed(self, samples: Samples) -> None:
        """Play `(n, 1)` int16 behind what waits; never waits itself."""
        is_flooded, self._is_flooded = self._is_flooded, self.waiting >= LONGEST
        if self._is_flooded:
            if not is_flooded:
                logger.warning("%g s of an agent's voice wait: what comes is dropped", LONGEST)
            return
        for outlet in self._outlets:
            outlet.feed(samples)
        if self._watching is None and len(samples):
            watching = asyncio.create_task(self._watch(), name="utd_rx.agent: play")
            self._watching = watching

    def finish(self) -> None:
        """Let out to the last sample what has been fed: the turn is over as far as is known."""
        for outlet in self._outlets:
            outlet.finish()

    def flush(self) -> None:
        """Be silent, within a fade and what a device already holds; what comes later is played."""
        self._stop_watching()
        for outlet in self._outlets:
            outlet.flush()

    async def open(self) -> None:
        """Open the speaker, unless the app has. Cancelling is safe: nothing is open then.

        Raises:
            UTDStreamException: As `Speaker.open`.
        """
        if self._speaker is None or self._has_opened:
            return
        try:
            await self._speaker.open()
        except UTDStreamException as error:
            if error.reason is not ConflictReason.ALREADY:
                raise
        else:
            self._has_opened = True

    async def release(self) -> None:
        """Drop what waits, and let go of the speaker if `open` opened it. Idempotent."""
        self.flush()
        if self._speaker is not None and self._has_opened:
            self._has_opened = False
            await self._speaker.close()

    async def aclose(self) -> None:
        """Drop what waits and end every opening of `voice`, later ones, too. Idempotent."""
        await self.release()
        self._is_closed = True
        for track in self._tracks:
            track.end()
        await self._out.aclose()

    @property
    def _outlets(self) -> tuple[Outlet, ...]:
        return (self._out, *(track for track in self._tracks if not track.is_closed))

    def _paced(self, sink: FrameSink, *, is_continuous: bool = False) -> PacedOutlet:
        return PacedOutlet(self._format, sink, self._clock, is_continuous=is_continuous)

    def _open_track(self, sink: FrameSink) -> PacedOutlet:
        track = self._paced(sink, is_continuous=True)
        track.expect(self._sample_rate)
        if self._is_closed:
            track.end()
        self._tracks = (*(track for track in self._tracks if not track.is_closed), track)
        return track

    def _stop_watching(self) -> None:
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()

    async def _watch(self) -> None:
        while True:
            while left := self.waiting:
                await sleep_until(self._clock, self._clock.now() + min(max(left, POLL), LOOK))
                for outlet in self._outlets:
                    if outlet.waiting:
                        outlet.tend()
            self.finish()  # what a conversion holds back, where nobody says that a turn is over
            if not self.waiting:
                break
        self._watching = None
        self._on_empty(max(outlet.tail for outlet in self._outlets))


def _nowhere(_: AudioFrame) -> None:
    """Hear nothing: without a sink, time goes on."""
