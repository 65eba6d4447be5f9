"""The places where an agent is heard: a speaker, or what takes frames of 10 ms when they are due.

Each keeps what it has not played yet (`utd_rx.audio.backlog`), and is a voice in a mix: that of a
speaker, on its thread, so that a busy loop makes no gap; or one of its own, which the clock pulls.
"""

from __future__ import annotations

from typing import Final

from utd_rx.audio.convert import Converter
from utd_rx.audio.mixer import Mixer
from utd_rx.audio.observed import FRAME
from utd_rx.audio.pacer import PacedStream
from utd_rx.audio.speaker import Speaker
from utd_rx.models.audio import AudioFormat, AudioFrame, FrameSink, Samples
from utd_rx.models.faults import GuardedSink
from utd_rx.ports.clock import Clock
from utd_rx.ports.living import Voice

# In seconds.
MARGIN: Final = 0.04
"""That is there before a turn begins: two chunks as the server sends them. More where sound came
late (`utd_rx.audio.backlog`)."""

DEAF: Final = 3.0
"""After which what takes nothing, as a speaker that is closed or unplugged, is not waited for:
longer than a sound server needs to open one."""


class Outlet:
    """A place where the agent is heard: a voice in a mix, and what makes its sound fit."""

    is_closed = False

    def __init__(self, voice: Voice, audio_format: AudioFormat, clock: Clock) -> None:
        self._voice = voice
        self._format = audio_format
        self._clock = clock
        self._converter = Converter(audio_format, audio_format)
        self._position = 0.0
        self._moved_at = 0.0

    @property
    def waiting(self) -> float:
        """Seconds that are left to be played."""
        return self._voice.waiting

    @property
    def tail(self) -> float:
        """Seconds after which what was played last has been heard."""
        return FRAME

    def expect(self, sample_rate: int) -> None:
        """Take sound of this rate from now on; raises as `Converter`, and nothing is changed."""
        converter = Converter(AudioFormat(sample_rate), self._format)
        self.finish()
        self._converter = converter

    def feed(self, samples: Samples) -> None:
        """Play `(n, 1)` int16 of the expected rate behind what waits."""
        self._play(self._converter.push(samples))

    def finish(self) -> None:
        """Let out what the conversion holds back: what comes next is another sound."""
        self._play(self._converter.finish())

    def flush(self) -> None:
        """Drop what waits, with a fade."""
        self._converter.clear()
        self._voice.flush()

    def tend(self) -> None:
        """Drop what waits if none of it was taken for `DEAF`; called now and then while it does."""
        position, now = self._voice.position, self._clock.now()
        if position != self._position:
            self._position, self._moved_at = position, now
        elif now - self._moved_at >= DEAF:
            self.flush()
            self._position = self._voice.position  # the fade counts as taken, and waits now

    def _play(self, samples: Samples) -> None:
        if not self.waiting:
            self._moved_at = self._clock.now()
        if len(samples):
            self._voice(AudioFrame(samples, self._format.sample_rate))


class SpeakerOutlet(Outlet):
    """A voice on a speaker."""

    def __init__(self, speaker: Speaker, clock: Clock) -> None:
        super().__init__(speaker.voice("agent", margin=MARGIN), speaker.format, clock)
        self._speaker = speaker

    @property
    def tail(self) -> float:
        """The delay of the device, as it was told last."""
        return self._speaker.statistics.value.delay

    async def aclose(self) -> None:
        """Leave the mix. Idempotent."""
        self._voice.close()


class PacedOutlet(Outlet):
    """A sink that gets 10 ms when they are due, and an `AudioInputStream`.

    Where `is_continuous`, silence goes on while there is no sound. The clock paces on this loop.
    """

    def __init__(
        self, audio_format: AudioFormat, sink: FrameSink, clock: Clock, *, is_continuous: bool
    ) -> None:
        self._mixer = Mixer(audio_format, FRAME)
        # A file has no gap where sound came late, and need not wait for more of it.
        voice = self._mixer.add("agent", margin=MARGIN if is_continuous else 0.0)
        super().__init__(voice, audio_format, clock)
        self._sink = GuardedSink(sink)
        self._is_continuous = is_continuous
        self._stream: PacedStream | None = None
        if is_continuous:
            self._run()

    async def wait_ended(self) -> None:
        """Wait until the agent's session is closed, or this. Cancelling is safe."""
        if self._stream is not None:
            await self._stream.wait_ended()

    async def aclose(self) -> None:
        """Stop; after it returns the sink is called no more. Idempotent."""
        self.is_closed = True
        if self._stream is not None:
            await self._stream.aclose()

    def end(self) -> None:
        """End once all that waits has been played."""
        self.is_closed = True

    def _play(self, samples: Samples) -> None:
        super()._play(samples)
        if self._stream is None and self.waiting:
            self._run()

    def _run(self) -> None:
        self._stream = PacedStream(
            self._make_frame, None, self._format, self._sink, self._clock,
            name="utd_rx.agent: the voice",
        )  # fmt: skip

    def _make_frame(self, _: int) -> Samples | None:
        if not self.waiting and (self.is_closed or not self._is_continuous):
            self._stream = None
            return None
        samples = self._mixer.pull(self._format.samples_per_frame)
        samples.flags.writeable = False
        return samples
