"""`AfarAudio`: what an app finds by the key of a device that lives in the media process.

A port hands over values; an app may want more of a device: open a microphone with a sink of its
own, speak on a speaker. Where the device is alive in this process it is found by `living.find`.
Where it is not, what is found is one of these, which asks the port and crosses like everything
else. What would have to be called in the middle of the path, as a reference of the app's for the
echo canceller, is not to be had.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.media.frames import FrameReader
from utd_rx.media.hosted_speaker import HostedTap, HostedVoice, VoiceProgress
from utd_rx.media.near import Near
from utd_rx.models.audio import AudioFormat, AudioFrame, AudioInputStream, FrameSink
from utd_rx.models.checks import number
from utd_rx.models.devices import DeviceChoice, DeviceKey
from utd_rx.models.voice_processing import VoiceProcessing
from utd_rx.ports import living
from utd_rx.ports.audio import (
    Abilities,
    AudioPort,
    MicrophoneSettings,
    Order,
    Settings,
    StatesSink,
    check_gain,
)
from utd_rx.ports.room import FramesSink

MAX_MARGIN: Final = 0.25
"""Seconds; see `Speaker.voice`."""


class AfarStream:
    """A microphone that was opened from here: an `AudioInputStream`."""

    def __init__(self, close: Callable[[], Any], stop: Callable[[], None]) -> None:
        self._close = close
        self._stop = stop
        self._ended = asyncio.Event()

    async def wait_ended(self) -> None:
        """Wait until it is closed: a device that is lost is waited for. Cancelling is safe."""
        await self._ended.wait()

    async def aclose(self) -> None:
        """Close the device, once. Cancelling is safe: it closes all the same."""
        if not self._ended.is_set():
            await self._close()

    def end(self) -> None:
        """It is closed: the sink is called no more."""
        self._stop()
        self._ended.set()


class AfarMicrophone:
    """A microphone that is alive in the media process, as an `AudioInput` here."""

    lives_elsewhere = True

    def __init__(self, port: AudioPort, key: DeviceKey, settings: Settings) -> None:
        self.format: Final[AudioFormat] = settings.format
        self._port = port
        self._key = key
        self._stream: AfarStream | None = None
        living.enter(key, self)

    async def open(self, sink: FrameSink) -> AfarStream:
        """Open the device, and deliver its frames to `sink` on this loop; raises as the port.

        Cancelling is safe: nothing is open then.
        """

        def give(frames: tuple[AudioFrame, ...]) -> None:
            for frame in frames:
                sink(frame)

        stop = self._port.hear(self._key, give)
        try:
            await self._port.open(self._key)
        except BaseException:
            stop()
            raise
        self._stream = AfarStream(partial(self._port.close, self._key), stop)
        return self._stream

    def closed(self) -> None:
        """Somebody has closed the device."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.end()


class AfarVoice:
    """A voice in the mix of a speaker in the media process: a `living.Voice`.

    What it says of itself is as old as the last word from there, 10 ms and the way.
    """

    def __init__(self, make: Callable[[float], Any], gain: float) -> None:
        self._make = make
        self._gain = check_gain(gain)
        self._lock = threading.Lock()
        self._told = VoiceProgress()
        self._fed = 0.0
        self._flushes = 0
        self._before = 0.0  # seconds that went into the mixes of processes that are gone
        self._far: Any = None
        self._stop: Callable[[], None] = lambda: None
        self.is_closed = False

    @property
    def gain(self) -> float:
        """0 to 4, 1 for unchanged."""
        return self._gain

    @gain.setter
    def gain(self, gain: float) -> None:
        self._gain = check_gain(gain)
        if self._far is not None:
            self._far.set_gain(gain)

    @property
    def position(self) -> float:
        """Seconds of this voice that went into the mix."""
        return self._before + self._told.position

    @property
    def waiting(self) -> float:
        """Seconds of it that are left to go into the mix."""
        with self._lock:
            told = self._told
            if told.flushes != self._flushes:
                return self._fed
            # What was told is a sum of floats, and so is this.
            left = self._fed - told.fed + told.waiting
            return left if left > 1e-9 else 0.0

    def __call__(self, frame: AudioFrame) -> None:
        """Take a frame of any format, on any thread; returns at once and never raises."""
        with self._lock:
            if self._far is not None and not self.is_closed:
                self._fed += frame.duration
                self._far.feed(frame.samples, frame.sample_rate, frame.at)

    def flush(self) -> None:
        """Drop what waits, with a fade; what comes later is played."""
        with self._lock:
            self._fed = 0.0
            self._flushes += 1
            if self._far is not None:
                self._far.flush()

    def close(self) -> None:
        """Leave the mix. Idempotent."""
        self.is_closed = True
        if self._far is not None:
            self._far.close()
        self.lost()

    def attach(self) -> None:
        """Speak in the process that there is now."""
        self.lost()
        self._far = self._make(self._gain)
        self._stop = self._far.listen(self._progressed)

    def lost(self) -> None:
        """The process is gone, with what waited."""
        with self._lock:
            self._stop()
            self._far, self._stop = None, lambda: None
            self._before += self._told.position
            self._told = VoiceProgress()
            self._fed, self._flushes = 0.0, 0

    def _progressed(self, told: VoiceProgress) -> None:
        with self._lock:
            self._told = told


class AfarSpeaker:
    """A speaker that is alive in the media process, as a `living.LivingSpeaker` here."""

    lives_elsewhere = True

    def __init__(self, abilities: Abilities, key: DeviceKey, host: Callable[[], Any]) -> None:
        self._abilities = abilities
        self._key = key
        self._host = host
        self.voices: tuple[AfarVoice, ...] = ()
        living.enter(key, self)

    @property
    def position(self) -> float:
        """Not told; raises `FEATURE_DISABLED`."""
        raise UTDStreamException(
            'a speaker in the media process tells no position: pass media="inline"',
            code=UTDErrorCode.FEATURE_DISABLED,
        )

    def voice(self, name: str, *, gain: float = 1.0, margin: float | None = None) -> AfarVoice:
        """Return a new place in its mix; see `Speaker.voice`."""
        self._need_frames("voices")
        if margin is not None:
            number(margin, f"a margin is from 0 to {MAX_MARGIN:g} s", 0.0, MAX_MARGIN)

        def make(gain: float) -> Any:
            of = (self._key, name, gain, margin)
            return self._host().port(
                Near, HostedVoice, f"{HostedVoice.__module__}:HostedVoice", *of
            )

        voice = AfarVoice(make, gain)
        self.voices = (*(other for other in self.voices if not other.is_closed), voice)
        if self._host() is not None:
            voice.attach()
        return voice

    def listen(self, sink: FrameSink) -> Callable[[], None]:
        """Give what it plays to `sink` on this loop, in the process that there is now; call the
        result to stop."""
        self._need_frames("frames")

        def give(frames: tuple[AudioFrame, ...]) -> None:
            for frame in frames:
                sink(frame)

        reader = FrameReader(give)
        end = self._make(HostedTap, self._key).hear(reader)

        def stop() -> None:
            reader.stop()
            end()

        return stop

    def _make(self, kind: type, *args: Any) -> Any:
        """Return what stands for something that is made over there."""
        return self._host().port(Near, kind, f"{kind.__module__}:{kind.__name__}", *args)

    def _need_frames(self, what: str) -> None:
        if not self._abilities.has_frames:
            raise self._abilities.lack(what)


class UnplacedDevice:
    """A device that lives nowhere yet: it is found where it is put when something is wanted of it.

    Args:
        key: Of the device.
        place: Lets it live somewhere, where `living.find(key)` finds it then; returns whether that
            is elsewhere.
    """

    def __init__(self, key: DeviceKey, place: Callable[[], bool]) -> None:
        self._key = key
        self._place = place
        living.enter(key, self)

    @property
    def lives_elsewhere(self) -> bool:
        """Whether it does, from now on."""
        return self._place()

    @property
    def position(self) -> float:
        """See `living.LivingSpeaker`."""
        told: float = self._there().position
        return told

    def voice(self, name: str, *, gain: float = 1.0, margin: float | None = None) -> living.Voice:
        """See `living.LivingSpeaker`."""
        voice: living.Voice = self._there().voice(name, gain=gain, margin=margin)
        return voice

    def listen(self, sink: FrameSink) -> Callable[[], None]:
        """See `living.LivingReference`."""
        stop: Callable[[], None] = self._there().listen(sink)
        return stop

    async def open(self, sink: FrameSink) -> AudioInputStream:
        """See `AudioInput`."""
        stream: AudioInputStream = await self._there().open(sink)
        return stream

    def _there(self) -> Any:
        self._place()
        return living.find(self._key)


class AfarAudio:
    """An audio port of devices in media processes whose devices are found here by their keys.

    It is an `Heir`, behind the port that it is around: voices go on in the process that follows.

    Args:
        port: The devices.
        begin: Starts a process where there is none, so that somebody may speak in it.
    """

    rank = 0
    is_wanted = False

    def __init__(self, port: AudioPort, begin: Callable[[], None] = lambda: None) -> None:
        self.abilities: Final = port.abilities
        self._port = port
        self._begin = begin
        self._process: Any = None
        self._devices: dict[DeviceKey, AfarMicrophone | AfarSpeaker] = {}

    # --- the port -------------------------------------------------------------------------------

    def add(self, key: DeviceKey, settings: Settings) -> None:
        """See `AudioPort`, as for the rest."""
        self._port.add(key, settings)
        if isinstance(settings, MicrophoneSettings):
            self._devices[key] = AfarMicrophone(self, key, settings)
        else:
            self._devices[key] = AfarSpeaker(self.abilities, key, self._host)

    def forget(self, key: DeviceKey) -> None:
        self._devices.pop(key, None)
        self._port.forget(key)

    def order(self, key: DeviceKey, order: Order) -> None:
        self._port.order(key, order)

    def listen(self, key: DeviceKey, sink: StatesSink) -> Callable[[], None]:
        return self._port.listen(key, sink)

    def hear(self, key: DeviceKey, sink: FramesSink) -> Callable[[], None]:
        return self._port.hear(key, sink)

    async def open(self, key: DeviceKey) -> None:
        await self._port.open(key)

    async def use(self, key: DeviceKey, device: DeviceChoice) -> None:
        await self._port.use(key, device)

    async def process(self, key: DeviceKey, processing: VoiceProcessing) -> None:
        await self._port.process(key, processing)

    async def close(self, key: DeviceKey, *, for_good: bool = False) -> None:
        try:
            await self._port.close(key, for_good=for_good)
        finally:
            device = self._devices.get(key)
            if isinstance(device, AfarMicrophone):
                device.closed()

    # --- an heir --------------------------------------------------------------------------------

    def attach(self, host: Any) -> None:
        """Let voices speak in this process from now on."""
        self._process = host
        for voice in self._voices():
            voice.attach()

    def lost(self, failure: UTDStreamException) -> None:
        """It died."""
        self._process = None
        for voice in self._voices():
            voice.lost()

    async def restore(self) -> None:
        """There is nothing to wait for."""

    def given_up(self, failure: UTDStreamException) -> None:
        """There is no successor."""

    def _host(self) -> Any:
        if self._process is None:
            self._begin()
        return self._process

    def _voices(self) -> tuple[AfarVoice, ...]:
        speakers = [one for one in tuple(self._devices.values()) if isinstance(one, AfarSpeaker)]
        return tuple(
            voice for speaker in speakers for voice in speaker.voices if not voice.is_closed
        )
