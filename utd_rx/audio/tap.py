"""What a speaker plays, as frames for whoever has to know: an echo canceller, a recorder."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from utd_rx.models.audio import AudioFormat, AudioFrame, FrameSink, Samples
from utd_rx.models.faults import GuardedSink


class Tap:
    """Cuts a mix into frames of 10 ms; one thread pushes, any may listen.

    Args:
        audio_format: Of the mix.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        self._format = audio_format
        self._rest: Samples = np.zeros((0, audio_format.channels), np.int16)
        self._sinks: tuple[GuardedSink, ...] = ()
        self._lock = threading.Lock()  # of those who listen; whoever pushes never waits

    def listen(self, sink: FrameSink) -> Callable[[], None]:
        """Give every frame from now on to `sink`, on the pushing thread; call to stop."""
        # Each has an identity of its own: the same sink listens twice when it is passed twice.
        entry = GuardedSink(sink)
        with self._lock:
            self._sinks = (*self._sinks, entry)

        def stop() -> None:
            with self._lock:
                self._sinks = tuple(other for other in self._sinks if other is not entry)

        return stop

    def push(self, samples: Samples, heard_at: float) -> None:
        """Take the next `(n, channels)` int16 of the mix.

        Args:
            samples: Any number.
            heard_at: When the first of them will be heard, in seconds of `time.monotonic()`.
        """
        if not self._sinks:
            self._rest = self._rest[:0]  # who comes later begins with what is mixed then
            return
        heard_at -= len(self._rest) / self._format.sample_rate
        sound = np.concatenate([self._rest, samples])
        size = self._format.samples_per_frame
        end = len(sound) - len(sound) % size
        for start in range(0, end, size):
            piece = sound[start : start + size]
            piece.flags.writeable = False
            at = heard_at + start / self._format.sample_rate
            for sink in self._sinks:
                sink(AudioFrame(piece, self._format.sample_rate, at))
        self._rest = sound[end:]
