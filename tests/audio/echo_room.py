"""A speaker and a microphone in one room, on virtual devices: what is played comes back as an echo.

Everything between the two callbacks is the real thing: mixer, limiter, rings, tap, frames, and
LiveKit's processing. Time is counted in blocks, so a run is the same every time.
"""

from __future__ import annotations

import numpy as np

from tests.audio.cards import connect
from utd_rx.audio import read_wav, speech_path
from utd_rx.audio.capture import CaptureConnection, CaptureSide
from utd_rx.audio.playback import PlaybackConnection
from utd_rx.audio.playing import PlayingDevice
from utd_rx.audio.processing import ProcessingStage
from utd_rx.models.audio import AudioFormat, AudioFrame, Samples
from utd_rx.models.devices import DeviceKey
from utd_rx.models.voice_processing import VoiceProcessing
from utd_rx.ports.audio import SpeakerSettings

BLOCK = 0.01
LATENCY = 0.01


def speech(seconds: float, sample_rate: int = 48_000) -> Samples:
    """Return the package's speech over and over, `(n, 1)`; at another rate, of another pitch."""
    _, samples = read_wav(speech_path())
    count = round(seconds * sample_rate)
    return np.tile(samples, (count // len(samples) + 1, 1))[:count]


def level(samples: Samples) -> float:
    """Return the level in dB of one step, the same for every sound that it is compared with."""
    return 10 * float(np.log10(np.mean(np.square(samples.astype(np.float64))) + 1e-3))


class EchoRoom:
    """One room.

    Args:
        processing: Of the microphone.
        delay: Seconds that the echo is under way in the air.
        gain: Of the echo.
        heard: Format of the microphone.
        played: Format of the speaker.
    """

    def __init__(
        self,
        processing: VoiceProcessing,
        *,
        delay: float = 0.03,
        gain: float = 0.3,
        heard: AudioFormat | None = None,
        played: AudioFormat | None = None,
    ) -> None:
        self.heard, self.played = heard or AudioFormat(), played or AudioFormat()
        self.processing = processing
        self._gain = gain
        self._now = 100.0
        self.speaker = PlayingDevice(
            DeviceKey("speaker"),
            SpeakerSettings(format=self.played, block=BLOCK),
            lambda: self._now,
        )
        self.voice = self.speaker.voice("far end")
        self._out = connect(
            PlaybackConnection, self.played.sample_rate, self.played.channels, BLOCK, LATENCY
        )
        self._out.ring.skip(self._out.ring.depth)
        self.speaker.side.adopt(self._out)
        self._frames: list[AudioFrame] = []
        self._side = CaptureSide(self.heard, BLOCK, self._hear)
        self.stage = ProcessingStage(
            self.speaker.listen, lambda: self._side.latency, now=lambda: self._now
        )
        self._is_processing = False
        self._in = connect(
            CaptureConnection, self.heard.sample_rate, self.heard.channels, BLOCK, LATENCY
        )
        self._side.adopt(self._in)
        self._air = np.zeros(round((delay + 2 * LATENCY) * self.heard.sample_rate))

    async def run(self, far: Samples, near: Samples) -> Samples:
        """Play `far` while somebody says `near`; return what the microphone gives, `(n,)`."""
        if not self._is_processing:
            await self.stage.use(self.processing)
            self._is_processing = True
        self._frames.clear()
        played, heard = self.played, self.heard
        taken = round(BLOCK * played.sample_rate)
        given = round(BLOCK * heard.sample_rate)
        for number in range(len(far) // taken):
            block = np.repeat(far[number * taken : (number + 1) * taken], played.channels, axis=1)
            self.voice(AudioFrame(block, played.sample_rate))
            out = np.zeros((taken, played.channels), np.int16)
            self._out.callback(out.data, taken, None, None)
            # The crudest of resamplers: what it adds is sound of the room all the same.
            at = np.linspace(0, taken, given, endpoint=False)
            self._air = np.append(self._air, np.interp(at, np.arange(taken), out.mean(axis=1)))
            echo, self._air = self._gain * self._air[:given], self._air[given:]
            said = near[number * given : (number + 1) * given, 0]
            sound = np.clip(np.rint(echo + said), -32_768, 32_767).astype(np.int16)
            block = np.repeat(sound[:, np.newaxis], heard.channels, axis=1)
            self._now += BLOCK
            self._in.callback(block.tobytes(), given, None, None)
            self._in.heard_at = self._now
            self.speaker.side.work()
            self._side.work()
        return np.concatenate([frame.samples[:, 0] for frame in self._frames])

    def _hear(self, frame: AudioFrame) -> None:
        self._frames.append(self.stage.push(frame))
