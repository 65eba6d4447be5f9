"""Many voices into one sound: each costs one pull and one addition, a silent one almost nothing.

Gains move within a block, never by a step. A sum that would wrap around or clip is turned down.
"""

from __future__ import annotations

import threading
from typing import Final

import numpy as np
import numpy.typing as npt

from utd_rx.audio.backlog import Backlog
from utd_rx.audio.convert import Converter, DeviceFormat, playable
from utd_rx.audio.jitter import JitterBuffer, Mix, stretch
from utd_rx.models.audio import AudioFormat, AudioFrame, Samples, is_pcm
from utd_rx.ports.audio import check_gain

CEILING: Final = 32_767.0
RELEASE: Final = 0.1  # seconds in which the limiter's gain comes back by 1 - 1/e
_PIECES_PER_SECOND: Final = 1000

FEW: Final = 4
"""Voices that are added one by one in less time than all at once."""


class Limiter:
    """Keeps one stream within int16, block by block; `gain` is where the last block left it.

    It follows the peaks of pieces of 1 ms: down in time for each of them, without looking ahead
    over the end of a block, and up again in about `RELEASE`. Sound that fits passes unchanged.
    """

    def __init__(self, sample_rate: int) -> None:
        self._piece = max(1, sample_rate // _PIECES_PER_SECOND)
        self._rise = 1 - np.exp(-self._piece / (RELEASE * sample_rate))
        self.gain = 1.0

    def push(self, mix: npt.NDArray[np.float32]) -> Samples:
        """Return `(n, channels)` int16 for `(n, channels)` floats of int16 scale."""
        peak = float(np.abs(mix).max(initial=0.0))
        if peak <= CEILING and self.gain >= 1.0:
            return np.rint(mix).astype(np.int16)
        edges = self._edges(mix)
        at = np.arange(len(mix)) / self._piece
        gain = np.interp(at, np.arange(len(edges)), edges)[:, np.newaxis]
        self.gain = float(edges[-1])
        limited: Samples = np.rint(np.clip(mix * gain, -CEILING, CEILING)).astype(np.int16)
        return limited

    def _edges(self, mix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the gain at the edges of the pieces: never more than both neighbours allow."""
        starts = np.arange(0, len(mix), self._piece)
        peaks = np.maximum.reduceat(np.max(np.abs(mix), axis=1), starts)
        allowed = np.minimum(1.0, CEILING / np.maximum(peaks, CEILING))
        edges = np.empty(len(allowed) + 1)
        edges[0] = gain = min(self.gain, float(allowed[0]))
        for index, here in enumerate(allowed.tolist(), 1):
            gain += (1.0 - gain) * self._rise
            if gain > 0.9999:
                gain = 1.0
            ahead = float(allowed[index]) if index < len(allowed) else 1.0
            edges[index] = gain = min(gain, here, ahead)
        return edges


class MixedVoice:
    """One participant in the mix, a `ports.living.Voice`; `refused` are frames of a wrong kind."""

    buffer: JitterBuffer | Backlog

    def __init__(self, mixer: Mixer, name: str, gain: float, margin: float | None) -> None:
        self.name = name
        self.refused = 0
        self.is_live = margin is None
        self.buffer = (
            JitterBuffer(mixer.format, mixer.burst)
            if margin is None
            else Backlog(mixer.format, mixer.burst, margin)
        )
        self._take = self.buffer.take if isinstance(self.buffer, JitterBuffer) else None
        self._mixer = mixer
        self._gain = self._reached = check_gain(gain)
        self._format = mixer.format
        self._source: DeviceFormat | None = None
        self._converter: Converter | None = None

    def __call__(self, frame: AudioFrame) -> None:
        """Take a frame of any format, on one thread at a time; returns at once, never raises."""
        try:
            samples = frame.samples
            is_usual = frame.sample_rate == self._format.sample_rate and is_pcm(samples)
            if is_usual and samples.shape[1] == self._format.channels:
                self.buffer.push(samples)
            else:
                self.buffer.push(self._fit(frame))
        except Exception:  # noqa: BLE001 - counted: whoever hands sound over is not disturbed
            self.refused += 1

    @property
    def gain(self) -> float:
        """How loud it is in the mix: 0 to 4, 1 for unchanged. Set it on any thread."""
        return self._gain

    @gain.setter
    def gain(self, gain: float) -> None:
        self._gain = check_gain(gain)

    @property
    def position(self) -> float:
        """Seconds of this voice that went into the mix; the speaker's delay is still to come."""
        return self.buffer.taken / self._format.sample_rate

    @property
    def waiting(self) -> float:
        """Seconds that are left to go into the mix."""
        return self.buffer.waiting / self._format.sample_rate

    def flush(self) -> None:
        """Drop what waits, with a fade; what comes later is played. Any thread."""
        self.forget(fade=True)

    def forget(self, *, fade: bool) -> bool:
        """Drop what waits, also in the converter; return whether a fade is left to be pulled."""
        self._source = None
        return self.buffer.clear(fade=fade)

    def close(self) -> None:
        """Leave the mix, with a fade. Idempotent, any thread."""
        self._mixer.remove(self)

    def take(self, count: int) -> Samples | None:
        """Return what is heard in the next `count` samples, if all that is to be done to it is its
        gain and its length, else None and `mix_into` knows; the mixer's thread."""
        if self._take is None or self._gain != self._reached:
            return None
        return self._take(count)

    def mix_into(self, mix: Mix) -> None:
        """Add the next `len(mix)` samples; the mixer's thread."""
        sound = self.buffer.pull(len(mix))
        start, self._reached = self._reached, self._gain
        if sound is None:
            return
        if start == self._reached:
            mix += sound if start == 1.0 else sound * np.float32(start)
        else:
            mix += sound * _ramp(start, self._reached, len(mix))

    def _fit(self, frame: AudioFrame) -> Samples:
        samples = frame.samples
        if not is_pcm(samples):
            raise TypeError("no int16 of shape (samples, channels)")
        rate, channels = frame.sample_rate, samples.shape[1]
        source = DeviceFormat(rate, channels)
        if self._converter is None or self._source != source:
            playable(rate, channels)  # or it is refused
            self._source, self._converter = source, Converter(source, self._format)
        return self._converter.push(samples)


class Mixer:
    """All voices, the volume, the mute and the limiter; `position` counts the samples mixed.

    `pull` belongs to one thread; everything else may be called on any. `burst` is what a
    voice's buffer begins with.
    """

    def __init__(self, audio_format: AudioFormat, burst: float = 0.005) -> None:
        self.format = audio_format
        self.burst = burst
        self.position = 0
        self.volume = 1.0
        self.is_muted = False
        self._reached = 1.0
        self._lock = threading.Lock()
        self.voices: tuple[MixedVoice, ...] = ()
        self._leaving: tuple[MixedVoice, ...] = ()
        self._limiter = Limiter(audio_format.sample_rate)
        self._left: list[int] = [0, 0, 0]  # concealed, dropped, refused of voices that left

    def add(self, name: str, gain: float = 1.0, *, margin: float | None = None) -> MixedVoice:
        """Return a new voice; with a margin, of sound that is there before it is due."""
        voice = MixedVoice(self, name, gain, margin)
        with self._lock:
            self.voices = (*self.voices, voice)
        return voice

    def pull(self, count: int) -> Samples:
        """Return the next `count` samples of the mix, `(count, channels)` int16."""
        voices = self.voices
        if len(voices) == 1 and not self._leaving and self._lets_through(voices[0].gain):
            sound = voices[0].take(count)
            if sound is not None and len(sound) == count:
                self.position += count  # what most calls are: nothing is to be done to it
                sound.flags.writeable = False  # it is the voice's own memory
                return sound
            return self._mix(count, voices, sound)
        with self._lock:
            voices, self._leaving = self.voices + self._leaving, ()
        return self._mix(count, voices)

    def _mix(
        self, count: int, voices: tuple[MixedVoice, ...], only: Samples | None = None
    ) -> Samples:
        """Return what these voices say in `count` samples; what the only one says may be known."""
        # By their lengths: stretching is linear, so it is done once for all that need the same.
        taken: dict[int, tuple[list[Samples], list[float]]] = {}
        others: list[MixedVoice] = []
        for voice in voices:
            sound = voice.take(count) if only is None else only
            if sound is None:
                others.append(voice)
                continue
            if len(sound) not in taken:
                taken[len(sound)] = [], []
            sounds, gains = taken[len(sound)]
            sounds.append(sound)
            gains.append(voice.gain)
        mix: Mix = np.zeros((count, self.format.channels), np.float32)
        for voice in others:
            voice.mix_into(mix)
        for length, (sounds, gains) in taken.items():
            if length == count:
                _add(mix, sounds, gains)
            else:
                together: Mix = np.zeros((length, self.format.channels), np.float32)
                _add(together, sounds, gains)
                mix += stretch(together, count)
        start, self._reached = self._reached, 0.0 if self.is_muted else self.volume
        if start != self._reached:
            mix *= _ramp(start, self._reached, count)
        elif start != 1.0:
            mix *= np.float32(start)
        self.position += count
        return self._limiter.push(mix)

    def _lets_through(self, gain: float) -> bool:
        """Whether the only voice, of this gain, is the mix."""
        is_plain = gain == self.volume == self._reached == 1.0 and not self.is_muted
        return is_plain and self._limiter.gain >= 1.0

    def flush(self, *, fade: bool = False) -> None:
        """Drop what all voices have waiting; with a fade where the device's side has none."""
        for voice in self.voices:
            voice.forget(fade=fade)

    def counts(self) -> tuple[int, int, int]:
        """Return the samples concealed, the samples dropped and the frames refused so far."""
        with self._lock:
            concealed, dropped, refused = self._left
            for voice in self.voices:
                concealed += voice.buffer.concealed
                dropped += voice.buffer.dropped
                refused += voice.refused
        return concealed, dropped, refused

    def remove(self, voice: MixedVoice) -> None:
        """Let a voice leave, with a fade; what it counted stays."""
        with self._lock:
            if voice not in self.voices:
                return
            self.voices = tuple(other for other in self.voices if other is not voice)
            if voice.forget(fade=True):
                self._leaving += (voice,)
            self._left[0] += voice.buffer.concealed
            self._left[1] += voice.buffer.dropped
            self._left[2] += voice.refused


def _add(mix: Mix, sounds: list[Samples], gains: list[float]) -> None:
    """Add sounds as long as the mix to it, each with its gain."""
    if len(sounds) < FEW:
        for sound, gain in zip(sounds, gains, strict=True):
            mix += sound if gain == 1.0 else sound * np.float32(gain)
    else:  # all at once
        together = np.concatenate(sounds).astype(np.float32).reshape(len(sounds), -1)
        mix += (np.array(gains, np.float32) @ together).reshape(mix.shape)


def _ramp(start: float, end: float, count: int) -> Mix:
    return np.linspace(start, end, count, dtype=np.float32)[:, np.newaxis]
