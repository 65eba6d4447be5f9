"""What the child does on its speakers for one who speaks in the app, or listens there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import frozen

from utd_rx.models.audio import AudioFrame, Samples
from utd_rx.models.device_state import SpeakerState
from utd_rx.models.devices import AudioDevice, DeviceKey
from utd_rx.ports import living
from utd_rx.ports.crossing import LevelSink
from utd_rx.ports.room import FramesSink

if TYPE_CHECKING:
    from utd_rx.audio.playing import PlayingDevice

LOOK: Final = 0.01
"""Seconds between two words of how far a voice has come, while it speaks: a frame."""

FORESEEN: Final = 1.0
"""Seconds for which a word of how far a speaker is holds; statistics come twice as often."""

BEGUN: Final = 0.1
"""Seconds after which a device that was opened plays, or is one that takes long."""


@frozen
class VoiceProgress:
    """How far a voice has come: in seconds, `fed` since so many flushes, in the mix, and left."""

    flushes: int = 0
    fed: float = 0.0
    position: float = 0.0
    waiting: float = 0.0


ProgressSink: TypeAlias = Callable[[VoiceProgress], None]


class HostedVoice:
    """A voice in the mix of a speaker that is alive here; see `living.Voice`."""

    def __init__(self, key: DeviceKey, name: str, gain: float, margin: float | None) -> None:
        self._voice: living.Voice = living.find(key).voice(name, gain=gain, margin=margin)
        self._fed = 0.0
        self._flushes = 0
        self._spoke = asyncio.Event()

    def feed(self, samples: Samples, sample_rate: int, at: float) -> None:
        """Play this behind what waits."""
        self._voice(AudioFrame(samples, sample_rate, at))
        self._fed += len(samples) / sample_rate
        self._spoke.set()

    def set_gain(self, gain: float) -> None:
        """Play it louder or softer."""
        self._voice.gain = gain

    def flush(self) -> None:
        """Drop what waits, with a fade."""
        self._voice.flush()
        self._fed = 0.0
        self._flushes += 1
        self._spoke.set()

    def close(self) -> None:
        """Leave the mix."""
        self._voice.close()

    def listen(self, sink: ProgressSink) -> Callable[[], None]:
        """Tell how far it has come, while something of it waits; call to stop."""
        task = asyncio.create_task(self._tell(sink), name="utd_rx far: a voice")

        def stop() -> None:
            task.cancel()

        return stop

    async def _tell(self, sink: ProgressSink) -> None:
        told = None
        while True:
            voice = self._voice
            now = VoiceProgress(self._flushes, self._fed, voice.position, voice.waiting)
            if now != told:
                told = now
                sink(now)
            if not now.waiting:
                self._spoke.clear()
                await self._spoke.wait()
            await asyncio.sleep(LOOK)


@frozen
class SpeakerPosition:
    """How far a speaker was at a time, in seconds of `time.monotonic()`, and whether it went on."""

    position: float = 0.0
    at: float = 0.0
    is_moving: bool = False

    def expected(self, at: float) -> float:
        """Return how far it is expected to be at a later time."""
        return self.position + (min(at - self.at, FORESEEN) if self.is_moving else 0.0)


class _Following(LevelSink):
    """Tells how far a speaker is with all that it tells of itself but its levels."""

    def __init__(self, speaker: living.LivingSpeaker, sink: Callable[[SpeakerPosition], None]):
        self._speaker, self._sink = speaker, sink
        self._device: AudioDevice | None = None
        self._begun: asyncio.TimerHandle | None = None

    def __call__(self, batch: tuple[SpeakerState, ...]) -> None:
        before, self._device = self._device, batch[-1].device
        if self._device is before:
            self._tell(is_moving=before is not None)
            return
        self.stop()
        self._tell(is_moving=False)
        loop = asyncio.get_running_loop()
        self._begun = loop.call_later(BEGUN, self._look_again, self._speaker.position)

    def stop(self) -> None:
        """Look no more. Idempotent."""
        if self._begun is not None:
            self._begun.cancel()

    def marked(self, state: SpeakerState) -> SpeakerState:
        """See `LevelSink`."""
        return state

    def take_level(self, state: SpeakerState) -> None:
        """See `LevelSink`."""

    def _look_again(self, before: float) -> None:
        self._tell(is_moving=self._speaker.position != before)

    def _tell(self, *, is_moving: bool) -> None:
        self._sink(SpeakerPosition(self._speaker.position, time.monotonic(), is_moving))


class HostedTap:
    """What a speaker that is alive here plays, and how far it is."""

    def __init__(self, key: DeviceKey) -> None:
        self._key = key

    def hear(self, sink: FramesSink) -> Callable[[], None]:
        """Give it to `sink`, in the card's callback; call to stop."""
        speaker: living.LivingSpeaker = living.find(self._key)
        return speaker.listen(lambda frame: sink((frame,)))

    def follow(self, sink: Callable[[SpeakerPosition], None]) -> Callable[[], None]:
        """Tell how far it is, now and whenever it tells something of itself, twice a second while
        it plays; call to stop."""
        speaker: PlayingDevice = living.find(self._key)
        following = _Following(speaker, sink)
        listening: Callable[[], None] = speaker.teller.listen(following)

        def stop() -> None:
            listening()
            following.stop()

        return stop
