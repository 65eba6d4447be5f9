"""A speaker on PortAudio, where it is alive: many voices, and what is told of their mix."""

from __future__ import annotations

import time
from collections.abc import Callable

from utd_rx.audio.levels import LevelMeter
from utd_rx.audio.mixer import Mixer, Voice
from utd_rx.audio.playback import PlaybackSide
from utd_rx.audio.supervised import LEVELS_PER_STATISTICS, SupervisedDevice
from utd_rx.audio.tap import Tap
from utd_rx.models.audio import AudioFrame, FrameSink, Samples
from utd_rx.models.device_state import SpeakerState, SpeakerStatistics
from utd_rx.models.devices import DeviceKey
from utd_rx.ports.audio import Flush, Order, SetMuted, SetVolume, SpeakerSettings


class PlayingDevice(SupervisedDevice[SpeakerState]):
    """Mixes, on the supervisor's thread; voices may come and go on any, also while it is closed.

    Args:
        key: Its name.
        settings: As it is wished.
        now: Monotonic seconds.

    Attributes:
        mixer: What is played.
    """

    def __init__(
        self,
        key: DeviceKey,
        settings: SpeakerSettings,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        state = SpeakerState(volume=settings.volume, is_muted=settings.is_muted)
        super().__init__(key, settings, state)
        self.mixer = Mixer(settings.format, settings.block)
        self.mixer.volume, self.mixer.is_muted = settings.volume, settings.is_muted
        self._tap = Tap(settings.format)
        self.side: PlaybackSide = PlaybackSide(self.mixer, settings.block, self._played, now)
        self._now = now
        self._meter = LevelMeter()
        self._levels = 0

    @property
    def position(self) -> float:
        """Seconds that have left the device, since it was first opened."""
        played = self.mixer.position / self.format.sample_rate
        return max(0.0, played - self.side.delay)

    def voice(self, name: str, *, gain: float = 1.0) -> Voice:
        """Return a new place in the mix; see `Speaker.voice`."""
        return self.mixer.add(name, gain)

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
                self.mixer.flush()
                self.side.flush()
                if self._supervisor is not None:
                    self._supervisor.wake()

    def _played(self, samples: Samples) -> None:
        self._tap.push(samples, self._now() + self.side.delay)
        level = self._meter.push(AudioFrame(samples, self.format.sample_rate))
        if level is None:
            return
        self._levels += 1
        if self._levels % LEVELS_PER_STATISTICS == 0:
            self.teller.post(level=level.rms_dbfs, statistics=self._statistics())
        else:
            self.teller.post(level=level.rms_dbfs)

    def _statistics(self) -> SpeakerStatistics:
        concealed, dropped, refused = self.mixer.counts()
        voices = self.mixer.voices
        deepest = max(voices, key=lambda voice: voice.buffer.depth, default=None)
        depth = 0.0 if deepest is None else deepest.buffer.depth / self.format.sample_rate
        return SpeakerStatistics(
            self.side.underruns,
            concealed,
            dropped,
            refused,
            lost=self.lost,
            voices=len(voices),
            depth=depth,
            drift=0.0 if deepest is None else deepest.buffer.drift,
            delay=depth + self.side.delay,
        )
