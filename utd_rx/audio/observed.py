"""Sound that comes live from elsewhere in this process, as an audio input: a mix, by the clock.

An observable of frames has its own idea of time: it pauses while nobody speaks, and comes in
bursts after a stall of the loop. An audio input goes on in real time. So what is observed is a
voice in a mix (`utd_rx.audio.mixer`) that is pulled once in 10 ms, and silence where nothing comes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from reactivex import Observable
from reactivex.abc import DisposableBase
from reactivex.disposable import CompositeDisposable

from utd_rx.audio.mixer import Mixer
from utd_rx.audio.pacer import PacedStream
from utd_rx.errors import invalid
from utd_rx.models.audio import FRAMES_PER_SECOND, AudioFormat, AudioFrame, FrameSink, Samples
from utd_rx.models.devices import DeviceKey
from utd_rx.ports import living
from utd_rx.ports.clock import SYSTEM_CLOCK, Clock

FRAME: Final = 1 / FRAMES_PER_SECOND  # seconds

TAIL: Final = 0.03
"""Seconds of silence after the end: more than a jitter buffer waits for before it plays."""


class MixedStream:
    """An open mix, an `AudioInputStream`; whom it follows may come and go on any thread."""

    def __init__(
        self, audio_format: AudioFormat, sink: FrameSink, clock: Clock, *, name: str
    ) -> None:
        self._mixer = Mixer(audio_format, FRAME)
        self._size = audio_format.samples_per_frame
        self._subscriptions = CompositeDisposable()
        self._is_over = False
        self._error: Exception | None = None
        self._paced = PacedStream(self._make_frame, None, audio_format, sink, clock, name=name)

    def follow(
        self,
        frames: Observable[AudioFrame],
        name: str,
        end: Callable[..., None] | None = None,
    ) -> Callable[[], None]:
        """Mix what `frames` brings, and call `end` after it, with its error; call to stop."""
        voice = self._mixer.add(name)
        subscription = frames.subscribe(voice, end, end)
        self._subscriptions.add(subscription)

        def stop() -> None:
            self._subscriptions.remove(subscription)
            voice.close()

        return stop

    def own(self, subscription: DisposableBase) -> None:
        """Dispose of `subscription` when the stream is closed."""
        self._subscriptions.add(subscription)

    def end(self, error: Exception | None = None) -> None:
        """End once all that waits has sounded; `wait_ended` raises the error. Any thread."""
        rate = self._mixer.format.sample_rate
        silence = np.zeros((round(TAIL * rate), self._mixer.format.channels), np.int16)
        for voice in self._mixer.voices:
            voice(AudioFrame(silence, rate))
        self._error = error
        self._is_over = True

    async def wait_ended(self) -> None:
        """Wait until what was observed has ended and sounded, or it is closed; raise its error.

        Cancelling is safe.
        """
        await self._paced.wait_ended()
        if self._error is not None:
            raise self._error

    async def aclose(self) -> None:
        """Stop, also if cancelled; after it returns the sink is called no more. Idempotent."""
        self._subscriptions.dispose()
        self._error = None
        await self._paced.aclose()

    def _make_frame(self, _: int) -> Samples | None:
        # Less than a frame of the silence at the end stays in a jitter buffer.
        if self._is_over and all(voice.waiting < FRAME for voice in self._mixer.voices):
            return None
        samples = self._mixer.pull(self._size)
        samples.flags.writeable = False
        return samples


class LivingSource:
    """An audio input that is more than a description: pickled it is itself in this process, and
    `NOT_FOUND` in another one."""

    def __init__(self, audio_format: AudioFormat | None = None) -> None:
        self.key: Final = DeviceKey("source")
        self.format: Final = audio_format or AudioFormat()
        living.enter(self.key, self)

    def __reduce__(self) -> tuple[object, ...]:
        return living.find, (self.key,)


class ObservableSource(LivingSource):
    """The frames of an observable as an audio input: `session.audio(…)`, or a chain behind it.

    Frames of any format are taken, on any thread, as they are spoken. Where none come there is
    silence; what comes faster than real time waits for 0.14 s at most, then the oldest is dropped:
    sound that is there already is an `ArraySource`'s. Each opening subscribes, and ends with the
    observable, once its last frame has sounded.

    Args:
        observable: Of `AudioFrame`s.
        format: Of the frames of this input; 48 kHz mono by default.
        clock: Paces the frames; for tests.

    Raises:
        UTDStreamException: `VALIDATION`, when it is no observable.
    """

    def __init__(
        self,
        observable: Observable[AudioFrame],
        format: AudioFormat | None = None,  # noqa: A002 - the word of AudioInput.format
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if not callable(getattr(observable, "subscribe", None)):
            raise invalid(
                f"an ObservableSource takes an observable, not {type(observable).__name__}"
            )
        super().__init__(format)
        self._observable = observable
        self._clock = clock

    async def open(self, sink: FrameSink) -> MixedStream:
        """Subscribe, and deliver frames of exactly 10 ms to `sink`, in real time, on this loop.

        What the observable fails with is raised by the stream's `wait_ended`. Cancelling is safe:
        it does not wait for anything.
        """
        stream = MixedStream(self.format, sink, self._clock, name="utd_rx.audio observable")
        stream.follow(self._observable, "observable", stream.end)
        return stream
