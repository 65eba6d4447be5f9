"""A speaker on PortAudio, where it is alive: many voices, and what is told of their mix."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from math import ceil
from typing import Final

import numpy as np

from utd_rx.audio.convert import cut
from utd_rx.audio.levels import power_dbfs, powers
from utd_rx.audio.mixer import MixedVoice, Mixer
from utd_rx.audio.playback import PlaybackSide
from utd_rx.audio.supervised import LEVEL, SupervisedDevice
from utd_rx.models.audio import AudioFormat, FrameSink, Samples
from utd_rx.models.device_state import SpeakerState, SpeakerStatistics
from utd_rx.models.devices import DeviceKey
from utd_rx.models.faults import GuardedSink
from utd_rx.ports.audio import (
    Flush,
    Order,
    SetMuted,
    SetVolume,
    SpeakerSettings,
)

SLIP: Final = 0.0025
"""Seconds of room that a voice has at least for a slip before there was one (`jitter`): half of
what is asked for at once, which is 5 ms for short blocks, as they come in pairs."""


class Tap:
    """Cuts a mix into frames of 10 ms; one thread pushes, any may listen."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self._format = audio_format
        self._rest: Samples = np.zeros((0, audio_format.channels), np.int16)
        self._sinks: tuple[GuardedSink, ...] = ()
        self._is_anew = False
        self._lock = threading.Lock()  # of those who listen; whoever pushes never waits

    def listen(self, sink: FrameSink) -> Callable[[], None]:
        """Give every frame from now on to `sink`, on the pushing thread; call to stop."""
        # Each has an identity of its own: the same sink listens twice when it is passed twice.
        entry = GuardedSink(sink)
        with self._lock:
            self._is_anew |= not self._sinks
            self._sinks = (*self._sinks, entry)

        def stop() -> None:
            with self._lock:
                self._sinks = tuple(other for other in self._sinks if other is not entry)

        return stop

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens."""
        return bool(self._sinks)

    def push(self, samples: Samples, heard_at: float) -> None:
        """Take the next `(n, channels)` int16 of the mix, and when that will begin to be heard."""
        if self._is_anew:  # who comes later begins with what is mixed then
            self._is_anew, self._rest = False, self._rest[:0]
        heard_at -= len(self._rest) / self._format.sample_rate
        frames, self._rest = cut(np.concatenate([self._rest, samples]), self._format, heard_at)
        for frame in frames:
            for sink in self._sinks:
                sink(frame)


class PlayingDevice(SupervisedDevice[SpeakerState]):
    """Mixes, where the card delivers; voices may come and go on any, also while it is closed."""

    settings: SpeakerSettings

    def __init__(
        self,
        key: DeviceKey,
        settings: SpeakerSettings,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        state = SpeakerState(volume=settings.volume, is_muted=settings.is_muted)
        super().__init__(key, settings, state)
        block, self._rate = settings.block, settings.format.sample_rate
        self.mixer = Mixer(settings.format, max(SLIP, block / 2))
        self.mixer.volume, self.mixer.is_muted = settings.volume, settings.is_muted
        self._tap = Tap(settings.format)
        self.side: PlaybackSide = PlaybackSide(self.mixer, block, self._played, now)
        self._now = now
        self._pieces: deque[Samples] = deque(maxlen=ceil(LEVEL / block))

    @property
    def position(self) -> float:
        """Seconds that have left the device, since it was first opened."""
        played = self.mixer.position / self.format.sample_rate
        return max(0.0, played - self.side.delay)

    def voice(self, name: str, *, gain: float = 1.0, margin: float | None = None) -> MixedVoice:
        """Return a new place in the mix; see `Speaker.voice`."""
        return self.mixer.add(name, gain, margin=margin)

    def listen(self, sink: FrameSink) -> Callable[[], None]:
        """Give what it plays to `sink`; see `Speaker.listen`."""
        return self._tap.listen(sink)

    def order(self, order: Order) -> None:
        """Carry out an order; any thread."""
        match order:
            case SetVolume(volume):
                self.mixer.volume = volume
                self.teller.post(volume=volume)
            case SetMuted(is_muted):
                self.mixer.is_muted = is_muted
                self.teller.post(is_muted=is_muted)
            case Flush():
                self.side.flush()
                if self._supervisor is not None:
                    self._supervisor.wake()
            case _:
                super().order(order)

    def _played(self, samples: Samples) -> None:
        if self._tap.is_heard:
            self._tap.push(samples, self._now() + self.side.delay)
        self._pieces.append(samples)
        if self._is_due(len(samples) / self._rate):
            last = np.concatenate(self._pieces)[-round(LEVEL * self._rate) :]
            [power] = powers([last])
            self._tell(power_dbfs(power))

    def _statistics(self) -> SpeakerStatistics:
        concealed, dropped, refused = self.mixer.counts()
        voices = self.mixer.voices
        live = [voice for voice in voices if voice.is_live]
        deepest = max(live, key=lambda voice: voice.buffer.depth, default=None)
        depth = 0.0 if deepest is None else deepest.buffer.depth / self.format.sample_rate
        drift = 0.0 if deepest is None else deepest.buffer.drift
        return SpeakerStatistics(
            self.side.faults, concealed, dropped, refused, self.lost, len(voices),
            depth=depth, drift=drift, delay=depth + self.side.delay,
        )  # fmt: skip
